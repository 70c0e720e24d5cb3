//! From `POST …/messages` to the platform's call, on an idle system.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use transom_desk::receive;
use transom_storage::test_support::TestDatabase;

use super::wire::{Wire, post, read_message};
use super::world::{World, call, signature};
use super::{Figure, Goal, median};

/// Fewer than the burst of one pair on WhatsApp: pacing is not what is measured.
const SENDS: usize = 40;

pub async fn measure() -> Figure {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let platform = tokio::spawn(platform(listener, arrived));
    let database = TestDatabase::sqlite();
    let world = World::working(&database, &endpoint).await;

    let mut wire = Wire::to(world.server.local_addr()).await;
    let body = call(&world.account.external_key, 1, 1).to_string();
    let written = post(&world.hook(), &[("X-Hub-Signature-256", &signature(body.as_bytes()))], body.as_bytes());
    assert_eq!(wire.ask(&written).await.0, 200);
    let conversation = loop {
        receive::apply_waiting(world.server.desk()).await.unwrap();
        let reader = world.server.desk().storage().reader(&world.caller.scope);
        let query = transom_storage::ConversationQuery::new(world.server.desk().now());
        if let Some(stored) = reader.conversations(&query).await.unwrap().pop() {
            break stored.conversation.id;
        }
    };

    let path = format!("/v1/conversations/{conversation}/messages");
    let bearer = format!("Bearer {}", world.token.expose_secret());
    let mut spans = Vec::new();
    for n in 0..SENDS {
        // Let the receipt of the last one settle: the system is idle.
        tokio::time::sleep(Duration::from_millis(25)).await;
        let body = json!({ "type": "reply", "text": format!("It is on its way, number {n}.") }).to_string();
        let request = post(&path, &[("Authorization", &bearer)], body.as_bytes());
        let began = Instant::now();
        let (status, answer) = wire.ask(&request).await;
        assert_eq!(status, 202, "{}", String::from_utf8_lossy(&answer));
        let at: Instant = arrivals.recv().await.unwrap();
        spans.push(at.saturating_duration_since(began).as_secs_f64() * 1_000.0);
    }
    world.server.stop().await;
    platform.abort();
    Figure {
        what: "`POST …/messages` to the platform's call, median, idle".to_owned(),
        database: "SQLite",
        ours: median(spans),
        unit: "ms",
        raw: None,
        goal: Goal::Below(15.0),
    }
}

/// Stands where the platform's API is: notes when a message's request is there, and accepts it.
async fn platform(listener: TcpListener, arrived: mpsc::UnboundedSender<Instant>) {
    let counter = Arc::new(std::sync::atomic::AtomicU64::new(0));
    while let Ok((mut stream, _)) = listener.accept().await {
        let (arrived, counter) = (arrived.clone(), counter.clone());
        tokio::spawn(async move {
            let mut buffer = Vec::new();
            while let Some((head, _)) = read_message(&mut stream, &mut buffer).await {
                let at = Instant::now();
                let n = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let answer = json!({ "messaging_product": "whatsapp", "messages": [{ "id": format!("wamid.{n}") }] });
                let answer = answer.to_string();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
                    answer.len()
                );
                tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await.unwrap();
                if head.starts_with("POST ") && head.lines().next().is_some_and(|line| line.contains("/messages")) {
                    arrived.send(at).unwrap();
                }
            }
        });
    }
}
