//! Jobs and exports through the death of the process: kill -9 of the real program, on either database.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod process;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use process::{Opening, Service};
use serde_json::{Value, json};
use transom_domain::ConversationId;
use transom_storage::test_support::TestDatabase;

/// How long a job may take, with the leases of the dead in its way.
const PATIENCE: Duration = Duration::from_mins(4);

async fn begins(service: &Service, token: &str) -> String {
    let close = json!({ "filter": "tab:all", "status": { "status": "closed" } });
    let begun = service.post_once(token, "/conversations/bulk", "close-all", close).await;
    assert_eq!(begun.status, 202, "{}", begun.body);
    format!("/jobs/{}", begun.text("/id").unwrap())
}

/// A job as it is watched: it only ever moves forward.
struct Watched {
    path: String,
    done: u64,
    total: Option<u64>,
}

impl Watched {
    fn new(path: String) -> Self {
        Self { path, done: 0, total: None }
    }

    async fn look(&mut self, service: &Service, token: &str) -> Value {
        let job = service.get(token, &self.path).await.expect(200).unwrap().body;
        let done = job["done"].as_u64().unwrap();
        assert!(done >= self.done, "it went back from {}: {job}", self.done);
        if let Some(total) = self.total {
            assert_eq!(job["total"].as_u64(), Some(total), "the total does not change once it is known");
        }
        (self.done, self.total) = (done, job["total"].as_u64());
        assert!(self.total.is_none_or(|total| done <= total), "{job}");
        job
    }

    /// Waits until so much is done, or all of it.
    async fn until(&mut self, service: &Service, token: &str, done: u64) -> Value {
        let began = Instant::now();
        loop {
            let job = self.look(service, token).await;
            if self.done >= done || !job["finished_at"].is_null() {
                return job;
            }
            assert!(began.elapsed() < PATIENCE, "it stays so: {job}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn pages(service: &Service, token: &str, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let join = if path.contains('?') { '&' } else { '?' };
        let page = service.get(token, &format!("{path}{join}limit=100{cursor}")).await.expect(200).unwrap().body;
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

/// Every conversation had its turn once, was closed once, and stands in the audit log once.
async fn each_was_closed_once(service: &Service, token: &str, job: &Value, path: &str, ids: &[ConversationId]) {
    let count = json!(ids.len());
    assert_eq!((&job["state"], &job["reason"]), (&json!("done"), &Value::Null), "{job}");
    assert_eq!(
        (&job["total"], &job["done"], &job["changed"], &job["failed"]),
        (&count, &count, &count, &json!(0)),
        "{job}"
    );
    let expected: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
    let results = pages(service, token, &format!("{path}/results")).await;
    assert!(results.iter().all(|one| one["result"] == "changed"), "each had its turn once");
    let named: BTreeSet<String> = results.iter().map(|one| one["conversation"].as_str().unwrap().to_owned()).collect();
    assert_eq!((results.len(), &named), (ids.len(), &expected));
    for id in ids.iter().step_by(ids.len() / 20) {
        let lines = service.get(token, &format!("/conversations/{id}/messages?limit=100")).await.expect(200).unwrap();
        let told = lines.body["items"].as_array().unwrap().iter().filter(|line| line["type"] != "reply").count();
        assert_eq!(told, 1, "closed once: {}", lines.body);
        let episodes = service.get(token, &format!("/conversations/{id}/episodes")).await.expect(200).unwrap();
        assert_eq!(episodes.body["items"].as_array().unwrap().len(), 1);
        assert!(episodes.body["items"][0]["closed_at"].is_string(), "{}", episodes.body);
    }
    let began = Instant::now();
    let rows = loop {
        let rows = pages(service, token, "/audit?action=job.bulk").await;
        if rows.iter().any(|row| row["after"]["ended"].is_object()) {
            break rows;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "the end is not in the log: {rows:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let changed: Vec<&str> = rows
        .iter()
        .flat_map(|row| row["after"]["changed"].as_array().into_iter().flatten())
        .map(|id| id.as_str().unwrap())
        .collect();
    assert_eq!(changed.len(), ids.len(), "each stands in the log once");
    assert_eq!(changed.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    assert!(rows.iter().all(|row| row["via"] == "job"), "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row["after"]["ended"].is_object()).count(), 1);
    let asked = pages(service, token, "/audit?action=bulkConversations").await;
    assert_eq!(asked.len(), 1, "that it was asked for, once");
    let of_it = |row: &Value| row["object_kind"] == "job" && path.ends_with(row["object"].as_str().unwrap());
    assert!(asked.iter().chain(&rows).all(of_it), "all of them are about the job");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_amid_a_bulk_change_does_each_thing_once() {
    let mut opening = Opening::of(1, None).await;
    let ids = opening.fill(900, 1).await;
    let token = opening.token.clone();
    let path = begins(opening.service(), &token).await;
    let mut watched = Watched::new(path.clone());
    for part in [1, 300] {
        let job = watched.until(opening.service(), &token, part).await;
        assert!(job["finished_at"].is_null(), "it was over before it was killed: {job}");
        opening.replicas[0].kill_and_restart().await;
    }
    let job = watched.until(opening.service(), &token, u64::MAX).await;
    each_was_closed_once(opening.service(), &token, &job, &path, &ids).await;
    opening.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_replica_takes_a_job_over() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let mut opening = Opening::of(2, Some(database.url())).await;
    let ids = opening.fill(900, 1).await;
    let token = opening.token.clone();
    let path = begins(opening.service(), &token).await;
    let mut watched = Watched::new(path.clone());
    // Whichever of them had it in hand: first one dies, then the other.
    let job = watched.until(&opening.replicas[1], &token, 1).await;
    assert!(job["finished_at"].is_null(), "{job}");
    opening.replicas[0].kill_9();
    let more = watched.done + 1;
    let job = watched.until(&opening.replicas[1], &token, more).await;
    assert!(job["finished_at"].is_null(), "{job}");
    opening.replicas[0].kill_and_restart().await;
    opening.replicas[1].kill_9();
    let job = watched.until(&opening.replicas[0], &token, u64::MAX).await;
    each_was_closed_once(&opening.replicas[0], &token, &job, &path, &ids).await;
    opening.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_cancelled_and_keeps_what_it_did() {
    let mut opening = Opening::of(1, None).await;
    opening.fill(900, 1).await;
    let (service, token) = (opening.service(), opening.token.as_str());
    let path = begins(service, token).await;
    let mut watched = Watched::new(path.clone());
    let job = watched.until(service, token, 1).await;
    assert!(job["finished_at"].is_null(), "{job}");
    service.post(token, &format!("{path}/cancel"), json!({})).await.expect(200).unwrap();
    let job = watched.until(service, token, u64::MAX).await;
    assert_eq!(job["state"], "canceled", "{job}");
    let (done, changed) = (job["done"].as_u64().unwrap(), job["changed"].as_u64().unwrap());
    assert!((1..900).contains(&done) && changed == done, "{job}");
    let results = pages(service, token, &format!("{path}/results")).await;
    let of = |word: &str| results.iter().filter(|one| one["result"] == word).count() as u64;
    assert_eq!((of("changed"), of("pending")), (done, 900 - done));
    opening.close().await;
}

/// What breaks off says so; asked for again, all of it comes, each line once.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_amid_an_export_breaks_it_off() {
    const CONVERSATIONS: usize = 250;
    const MESSAGES: usize = 80;
    let mut opening = Opening::of(1, None).await;
    opening.fill(CONVERSATIONS, MESSAGES).await;
    let http = transom_channel::http::HttpClient::new().unwrap();
    let path = "/v1/conversations/export?format=jsonl&include=messages";
    let ask = || {
        let url = format!("{}{path}", opening.service().base());
        http.request(reqwest::Method::GET, &url).bearer_auth(&opening.token)
    };
    let mut answer = ask().send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.chunk().await.unwrap().is_some(), "it begins");
    opening.replicas[0].kill_9();
    let whole = loop {
        match answer.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    assert!(!whole, "what was broken off looks like the whole");
    opening.replicas[0].kill_and_restart().await;
    let ask = || {
        let url = format!("{}{path}", opening.service().base());
        http.request(reqwest::Method::GET, &url).bearer_auth(&opening.token)
    };
    let text = ask().send().await.unwrap().text().await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: BTreeSet<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!((lines.len(), messages.len()), (CONVERSATIONS * MESSAGES, CONVERSATIONS * MESSAGES));
    opening.close().await;
}
