//! Taking webhook calls in, over HTTP: verified, journalled, answered; against plain inserts into the same table.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _};
use transom_storage::test_support::TestDatabase;
use uuid::Uuid;

use super::raw;
use super::wire::{Wire, post};
use super::world::{World, call, signature};
use super::{Figure, Goal, median};

const CONNECTIONS: usize = 64;
/// PostgreSQL has so many on its side as well: the pool of the service has this many, and so has the raw run.
const POSTGRES_CONNECTIONS: usize = 16;
const CALLS: u64 = 6_400;
const BATCH: u64 = 100;

pub async fn measure(name: &'static str, database: &TestDatabase, rounds: usize) -> Figure {
    let world = World::listening(database).await;
    let number = world.account.external_key.clone();
    let connections = if database.is_postgres() { POSTGRES_CONNECTIONS } else { CONNECTIONS };
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 0..=rounds as u64 {
        let bodies = (0..CALLS).map(|n| call(&number, n % 500, round * CALLS + n).to_string().into_bytes());
        let bodies: Arc<Vec<Vec<u8>>> = Arc::new(bodies.collect());
        let (one, other) =
            (over_http(&world, connections, &bodies).await, inserts(database, connections, &bodies).await);
        // The first round warms up caches, pools and prepared statements.
        if round > 0 {
            ours.push(one);
            raw.push(other);
        }
    }
    world.server.stop().await;
    let (what, goal) = if database.is_postgres() {
        (format!("accept a call, {connections} connections; raw: inserts, as many connections"), 0.5)
    } else {
        (format!("accept a call, {connections} connections; raw: {BATCH} inserts a commit"), 0.4)
    };
    let (ours, raw) = (median(ours), Some(median(raw)));
    Figure { what, database: name, ours, unit: "a second", raw, goal: Goal::Ratio(goal) }
}

async fn over_http(world: &World, connections: usize, bodies: &Arc<Vec<Vec<u8>>>) -> f64 {
    let hook = world.hook();
    let requests: Arc<Vec<Vec<u8>>> =
        Arc::new(bodies.iter().map(|body| post(&hook, &[("X-Hub-Signature-256", &signature(body))], body)).collect());
    let mut wires = join_all((0..connections).map(|_| Wire::to(world.server.local_addr()))).await;
    let began = Instant::now();
    let clients = wires.drain(..).enumerate().map(|(first, mut wire)| {
        let requests = requests.clone();
        tokio::spawn(async move {
            for request in requests.iter().skip(first).step_by(connections) {
                let (status, body) = wire.ask(request).await;
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    bodies.len() as f64 / began.elapsed().as_secs_f64()
}

async fn inserts(database: &TestDatabase, connections: usize, bodies: &Arc<Vec<Vec<u8>>>) -> f64 {
    let headers = json!([["content-type", "application/json"]]);
    let workspace = Uuid::now_v7();
    if !database.is_postgres() {
        let mut connection = raw::sqlite(database).connect().await.unwrap();
        let began = Instant::now();
        for bodies in bodies.chunks(BATCH.try_into().unwrap()) {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
            for body in bodies {
                raw::journal_sqlite(&mut transaction, workspace, &headers.to_string(), body).await;
            }
            transaction.commit().await.unwrap();
        }
        return bodies.len() as f64 / began.elapsed().as_secs_f64();
    }
    let mut pool = Vec::new();
    for _ in 0..connections {
        pool.push(raw::postgres(database).connect().await.unwrap());
    }
    let began = Instant::now();
    let clients = pool.into_iter().enumerate().map(|(first, mut connection)| {
        let (bodies, headers) = (bodies.clone(), headers.clone());
        tokio::spawn(async move {
            for body in bodies.iter().skip(first).step_by(connections) {
                raw::journal_postgres(&mut connection, workspace, &headers, body).await;
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    bodies.len() as f64 / began.elapsed().as_secs_f64()
}
