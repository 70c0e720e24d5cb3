//! The stream of events: over real HTTP, on both databases.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream as Chunks, StreamExt as _};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use transom_domain::SettableClock;
use transom_storage::both_databases;
use transom_tests::Stage;

/// A stream that is being read.
struct Stream {
    chunks: Pin<Box<dyn Chunks<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

/// An event: its number, and what it says.
type Told = (u64, Value);

impl Stream {
    async fn open(stage: &Stage, base: &str, last: Option<u64>) -> Self {
        let request =
            transom_tests::http().get(format!("{base}/v1/events")).bearer_auth(stage.world.token.expose_secret());
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let answer = request.send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Self { chunks: Box::pin(answer.bytes_stream()), text: String::new() }
    }

    async fn next(&mut self) -> Told {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                let field = |name: &str| {
                    event.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
                };
                let told = field("id:").zip(field("data:"));
                self.text = rest;
                // What has no number is a sign of life.
                if let Some((id, data)) = told {
                    return (id.parse().unwrap(), serde_json::from_str(&data).unwrap());
                }
            }
            let chunk = tokio::time::timeout(Duration::from_mins(1), self.chunks.next()).await;
            let chunk = chunk.expect("no event within a minute").expect("the stream has ended").unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Everything until so many contacts were added.
    async fn until_added(&mut self, contacts: usize) -> Vec<Told> {
        let mut seen = Vec::new();
        while added(&seen).len() < contacts {
            seen.push(self.next().await);
        }
        seen
    }
}

/// The contacts that were added, by their ids.
fn added(told: &[Told]) -> Vec<&str> {
    told.iter()
        .filter(|(_, data)| data["type"] == "contact.created")
        .map(|(_, data)| data["contact"].as_str().unwrap())
        .collect()
}

/// So many more contacts; their ids.
async fn add(stage: &Stage, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        let made =
            stage.api.post("/contacts", json!({ "display_name": format!("C{n}") })).await.unwrap().expect(201).unwrap();
        ids.push(made.text("/id").unwrap().to_owned());
    }
    ids
}

both_databases! {
    /// Where a connection broke off the next one goes on, with what happened meanwhile: no gap, no repeat; on another replica as
    /// well, where there may be one.
    async fn a_stream_goes_on_where_it_ended(db: TestDatabase) {
        let is_shared = db.is_postgres();
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let replica = if is_shared { Some(stage.world.replica().await.unwrap()) } else { None };
        let here = stage.world.server.base_url().to_owned();
        let there = replica.as_ref().map_or(here.clone(), |replica| replica.base_url().to_owned());

        let mut live = Stream::open(&stage, &here, None).await;
        let first = add(&stage, 5).await;
        let seen = live.until_added(5).await;
        drop(live);
        assert_eq!(added(&seen), first, "in the order in which they happened");
        let meanwhile = add(&stage, 5).await;

        // It got no further than the second one.
        let (last, _) = *seen.iter().filter(|(_, data)| data["type"] == "contact.created").nth(1).unwrap();
        let rest: Vec<&Told> = seen.iter().filter(|(id, _)| *id > last).collect();
        let mut resumed = Stream::open(&stage, &there, Some(last)).await;
        let again = resumed.until_added(8).await;
        assert_eq!(again.iter().take(rest.len()).collect::<Vec<_>>(), rest, "the same under the same numbers");
        assert_eq!(added(&again), [&first[2..], &meanwhile].concat());
        let later = add(&stage, 1).await;
        let new = resumed.until_added(1).await;
        assert_eq!(added(&new), later, "and what is new follows");
        let numbers: Vec<u64> = again.iter().chain(&new).map(|(id, _)| *id).collect();
        assert_eq!(numbers, (last + 1..=last + numbers.len() as u64).collect::<Vec<_>>(), "none is missing, none comes twice");
        drop(resumed);
        if let Some(replica) = replica {
            replica.stop().await;
        }
        stage.strike().await;
    }
}
