//! Applying what was journalled, against the same rows written by hand.

use std::time::Instant;

use bytes::Bytes;
use futures_util::future::join_all;
use transom_desk::{Caller, receive, workspaces};
use transom_domain::{Clock as _, JournalId, SystemClock, UuidV7};
use transom_storage::test_support::TestDatabase;
use transom_storage::{CallSource, NewCall};

use super::raw::{Hand, Of};
use super::world::{World, call, connect};
use super::{Figure, Goal, median};

const PEOPLE: u64 = 1_000;

pub async fn measure(name: &'static str, database: &TestDatabase, rounds: usize) -> Vec<Figure> {
    let world = World::listening(database).await;
    let desk = world.server.desk();
    let (other, _) = workspaces::create(desk, "By hand", "Bea").await.unwrap();
    let by_hand = connect(&world.server, &other, "106540352242923").await;
    let mut hand = Hand::open(database, other.scope.workspace().uuid(), by_hand.id.uuid()).await;

    let mut rates = [const { Vec::new() }; 4];
    for round in 0..=rounds as u64 {
        let people = (1 + round) * PEOPLE..(2 + round) * PEOPLE;
        for (at, what) in [(0, Of::New), (2, Of::Known)] {
            let message = round * 2 * PEOPLE + at as u64 / 2 * PEOPLE;
            let calls: Vec<(u64, u64)> = people.clone().zip(message..).collect();
            let one = ours(&world, &calls).await;
            let rows = journal(&world, &other, by_hand.connection, &by_hand.external_key, &calls).await;
            let other = hand.apply(what, &calls, &rows).await;
            if round > 0 {
                rates[at].push(one);
                rates[at + 1].push(other);
            }
        }
    }
    hand.close().await;
    world.server.stop().await;
    let [new, new_by_hand, known, known_by_hand] = rates.map(median);
    let figure = |who: &str, ours, raw| Figure {
        what: format!("apply a message of a {who}; raw: the same rows by hand, 100 a commit"),
        database: name,
        ours,
        unit: "a second",
        raw: Some(raw),
        goal: Goal::Ratio(0.5),
    };
    vec![figure("new person", new, new_by_hand), figure("known person", known, known_by_hand)]
}

/// How many a second the service applies.
async fn ours(world: &World, calls: &[(u64, u64)]) -> f64 {
    let desk = world.server.desk();
    journal(world, &world.caller, world.account.connection, &world.account.external_key, calls).await;
    let began = Instant::now();
    let mut applied = 0;
    while applied < calls.len() {
        let done = receive::apply_waiting(desk).await.unwrap();
        assert_eq!((done.items, done.quarantined), (done.calls, 0), "every call brings one new message");
        applied += done.calls as usize;
    }
    applied as f64 / began.elapsed().as_secs_f64()
}

/// Puts calls into the journal, where the applying begins.
async fn journal(
    world: &World,
    caller: &Caller,
    connection: transom_domain::ConnectionId,
    number: &str,
    calls: &[(u64, u64)],
) -> Vec<uuid::Uuid> {
    let storage = world.server.desk().storage();
    let mut ids = Vec::with_capacity(calls.len());
    for calls in calls.chunks(50) {
        let new = calls.iter().map(|(customer, message)| NewCall {
            id: JournalId::new(&UuidV7),
            connection,
            account: None,
            source: CallSource::Webhook,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Bytes::from(call(number, *customer, *message).to_string()),
            received_at: SystemClock.now(),
        });
        let new: Vec<NewCall> = new.collect();
        for stored in join_all(new.iter().map(|call| storage.append_call(&caller.scope, call))).await {
            stored.unwrap();
        }
        ids.extend(new.iter().map(|call| call.id.uuid()));
    }
    ids
}
