//! Event streams: one order, no gap, no repeat, resumable.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Bench, Client};

/// A stream that is being read.
struct Stream {
    chunks: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

/// One event as it came over the wire.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    id: Option<u64>,
    kind: Option<String>,
    retry: Option<u64>,
    data: Value,
}

impl Stream {
    async fn open(client: &Client, path: &str, last: Option<u64>) -> Self {
        let mut request = client.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { chunks: Box::pin(answer.bytes_stream()), text: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Told> {
        let read = async {
            loop {
                if let Some((event, rest)) = self.text.split_once("\n\n") {
                    let (event, rest) = (event.to_owned(), rest.to_owned());
                    self.text = rest;
                    if event.starts_with(':') {
                        continue;
                    }
                    let field = |name: &str| {
                        event.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
                    };
                    return Some(Told {
                        id: field("id:").map(|id| id.parse().unwrap()),
                        kind: field("event:"),
                        retry: field("retry:").map(|retry| retry.parse().unwrap()),
                        data: field("data:").map_or(Value::Null, |data| serde_json::from_str(&data).unwrap()),
                    });
                }
                match self.chunks.next().await {
                    Some(Ok(chunk)) => self.text.push_str(std::str::from_utf8(&chunk).unwrap()),
                    Some(Err(_)) | None => return None,
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(1), read).await.expect("no event within a minute")
    }
}

#[tokio::test]
async fn events_come_as_they_happen_and_a_stream_goes_on_where_it_ended() {
    let bench = Bench::start().await;
    let mut live = Stream::open(&bench.admin, "/events", None).await;
    for index in 0..5 {
        bench.admin.post("/contacts", json!({ "display_name": format!("C{index}") })).await.expect(201);
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        let told = live.next().await.unwrap();
        assert_eq!(
            (told.kind.as_deref(), told.data["type"].as_str()),
            (Some("contact.created"), Some("contact.created"))
        );
        assert_eq!(told.id, told.data["seq"].as_u64());
        seen.push(told);
    }
    drop(live);
    let numbers: Vec<u64> = seen.iter().map(|told| told.id.unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");

    let mut resumed = Stream::open(&bench.admin, "/events", Some(numbers[1])).await;
    for expected in &seen[2..] {
        assert_eq!(&resumed.next().await.unwrap(), expected);
    }
    bench.admin.post("/contacts", json!({ "display_name": "later" })).await.expect(201);
    assert_eq!(resumed.next().await.unwrap().id, Some(numbers[4] + 1), "and what is new follows");
    let mut by_query = Stream::open(&bench.admin, &format!("/events?after={}", numbers[3]), None).await;
    assert_eq!(by_query.next().await.unwrap(), seen[4]);
    drop((resumed, by_query));
    bench.stop().await;
}

#[tokio::test]
async fn another_workspace_sees_nothing_of_it() {
    let bench = Bench::start().await;
    let neighbour = bench.neighbour().await;
    let mut theirs = Stream::open(&neighbour, "/events?after=0", None).await;
    bench.admin.post("/contacts", json!({ "display_name": "ours" })).await.expect(201);
    neighbour.post("/contacts", json!({ "display_name": "theirs" })).await.expect(201);
    loop {
        let told = theirs.next().await.unwrap();
        if told.kind.as_deref() == Some("contact.created") {
            let contact = told.data["contact"].as_str().unwrap().to_owned();
            neighbour.get(&format!("/contacts/{contact}")).await.expect(200);
            break;
        }
    }
    drop(theirs);
    bench.stop().await;
}

#[tokio::test]
async fn a_place_that_is_gone_or_never_was_is_reset() {
    let bench = Bench::start().await;
    for index in 0..5 {
        bench.admin.post("/contacts", json!({ "display_name": format!("C{index}") })).await.expect(201);
    }
    let mut ahead = Stream::open(&bench.admin, "/events?after=1000000", None).await;
    assert_eq!(ahead.next().await.unwrap().kind.as_deref(), Some("reset"));

    // All but the last two are no longer kept.
    let reader = bench.server.desk().storage().reader(&bench.caller.scope);
    let last = reader.last_event_seq().await.unwrap();
    let storage = bench.server.desk().storage();
    let far = bench.now() + time::Duration::DAY;
    storage
        .transact(&bench.caller.scope, move |tx| Box::pin(async move { tx.purge_events(far, last - 2).await }))
        .await
        .unwrap();
    let mut behind = Stream::open(&bench.admin, "/events", Some(1)).await;
    let reset = behind.next().await.unwrap();
    assert_eq!((reset.kind.as_deref(), reset.id), (Some("reset"), Some(last - 2)));
    assert_eq!(behind.next().await.unwrap().id, Some(last - 1));
    drop((ahead, behind));
    bench.stop().await;
}

#[tokio::test]
async fn streams_are_counted_end_with_their_token_and_with_the_service() {
    let bench = Bench::start().await;
    let agent = bench.client("agent").await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(Stream::open(&agent, "/events", None).await);
    }
    agent.get("/events").await.refused(429, "too_many_streams");
    open.pop();
    // The place is given back when the service notices that nobody listens.
    bench
        .until("a place is free", || async {
            bench.admin.post("/contacts", json!({ "display_name": "wake" })).await.expect(201);
            let answer = agent.request(Method::GET, "/events").send().await.unwrap();
            (answer.status().as_u16() == 200).then_some(())
        })
        .await;

    let me = agent.get("/me").await.expect(200);
    bench
        .admin
        .patch(&format!("/agents/{}", me["agent"]["id"].as_str().unwrap()), json!({ "active": false }))
        .await
        .expect(200);
    let mut first = open.remove(0);
    let ended = async { while first.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_mins(1), ended).await.expect("a revoked token still streams");
    drop(open);

    let mut last = Stream::open(&bench.admin, "/events", None).await;
    let reading = tokio::spawn(async move {
        let mut told = Vec::new();
        while let Some(event) = last.next().await {
            told.push(event);
        }
        told
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = std::time::Instant::now();
    bench.stop().await;
    assert!(began.elapsed() < Duration::from_secs(8), "an open stream holds the service up");
    let told = reading.await.unwrap();
    assert_eq!(told.last().and_then(|event| event.retry), Some(1_000), "{told:?}");
}
