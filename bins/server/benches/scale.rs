//! Much at once, through the real program as a process of its own.
//!
//! ```text
//! cargo bench -p transom-server --bench scale -- [bulk_close] [export] [--postgres] [--conversations N] [--messages N]
//! ```
//! Without a name both; on SQLite unless told otherwise. Goals: no turn of a job, and no transaction, longer than a second; no
//! more than 64 MiB for an export of any size.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark stops at the first surprise, and its output is the point"
)]

#[path = "../tests/process/mod.rs"]
mod process;

use std::time::{Duration, Instant};

use process::{Opening, client};
use serde_json::{Value, json};
use transom_storage::test_support::TestDatabase;

/// A number of the command line.
fn number(name: &str, otherwise: usize) -> usize {
    let given = std::env::args().skip_while(|word| word != name).nth(1);
    given.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} takes a number")))
}

#[tokio::main]
async fn main() {
    let named = |name: &str| std::env::args().any(|word| word == name);
    let both = !named("bulk_close") && !named("export");
    if both || named("bulk_close") {
        bulk_close().await;
    }
    if both || named("export") {
        export().await;
    }
}

async fn opening() -> (Opening, Option<TestDatabase>) {
    let database = match std::env::args().any(|word| word == "--postgres") {
        true => Some(TestDatabase::postgres().await.expect("PostgreSQL's programs")),
        false => None,
    };
    (Opening::of(1, database.as_ref().map(TestDatabase::url)).await, database)
}

/// A line of `/proc/<pid>/status`, in KiB.
fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How long no turn of a job was (the upper end of a bucket), the mean, both in seconds, and how many there were: as `/metrics` tells.
async fn turns(base: &str) -> (f64, f64, f64) {
    let http = client();
    let text = http.get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
    let of = |line: &str| line.rsplit(' ').next().and_then(|number| number.parse::<f64>().ok()).unwrap();
    let one = |start: &str| text.lines().find(|line| line.starts_with(start)).map(of).unwrap();
    let (sum, count) = (one("transom_job_turn_seconds_sum"), one("transom_job_turn_seconds_count"));
    let mut buckets = text.lines().filter(|line| line.starts_with("transom_job_turn_seconds_bucket"));
    let holds_all = buckets.find(|line| of(line) >= count).unwrap();
    let end = holds_all.split('"').nth(1).unwrap().parse().unwrap_or(f64::INFINITY);
    (end, sum / count, count)
}

/// A bulk close: how it goes on, and how long its transactions are.
async fn bulk_close() {
    let count = number("--conversations", 100_000);
    let (mut opening, database) = opening().await;
    let began = Instant::now();
    opening.fill(count, 1).await;
    println!("{count} open conversations stored in {:.1?}", began.elapsed());
    let (token, service) = (opening.token.clone(), opening.service());
    let longest = std::sync::Arc::new(std::sync::Mutex::new(0.0_f64));
    let (seen, url) = (longest.clone(), database.as_ref().map(|database| database.url().to_owned()));
    // PostgreSQL says itself how old its transactions are; those of its own housekeeping are none of ours.
    let watching = tokio::spawn(async move {
        let Some(url) = url else { return };
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        loop {
            const AGE: &str = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8 FROM \
                               pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND \
                               pid <> pg_backend_pid()";
            let age: f64 = sqlx::query_scalar(AGE).fetch_one(&pool).await.unwrap();
            {
                let mut longest = seen.lock().unwrap();
                *longest = longest.max(age);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let began = Instant::now();
    let close = json!({ "filter": "tab:all", "status": { "status": "closed" } });
    let begun = service.post_once(&token, "/conversations/bulk", "close-all", close).await.expect(202).unwrap();
    let path = format!("/jobs/{}", begun.text("/id").unwrap());
    let (mut done, mut reports) = (0, 0);
    let job: Value = loop {
        let job = service.get(&token, &path).await.expect(200).unwrap().body;
        let now = job["done"].as_u64().unwrap();
        assert!(now >= done, "progress went back");
        reports += u32::from(now > done);
        done = now;
        if !job["finished_at"].is_null() {
            break job;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    watching.abort();
    let (most, mean, turns) = turns(&service.base()).await;
    let took = began.elapsed().as_secs_f64();
    println!(
        "closed {} of {count} in {took:.1} s, {:.0} a second; {turns} turns, mean {:.0} ms, none longer than {:.0} ms; oldest \
         transaction seen {:.0} ms; progress was seen to move {reports} times",
        job["changed"],
        count as f64 / took,
        mean * 1_000.0,
        most * 1_000.0,
        *longest.lock().unwrap() * 1_000.0,
    );
    assert_eq!(job["changed"], json!(count), "{job}");
    opening.close().await;
}

/// An export of every message: how fast, and by how much the process grows.
async fn export() {
    const EACH: usize = 100;
    let messages = number("--messages", 1_000_000);
    let (mut opening, database) = opening().await;
    let began = Instant::now();
    opening.fill(messages / EACH, EACH).await;
    println!("{messages} messages stored in {:.1?}", began.elapsed());
    let service = opening.service();
    let http = client();
    let ask = |limit: &'static str| {
        let url = format!("{}/v1/conversations/export?format=jsonl&include=messages{limit}", service.base());
        http.get(url).bearer_auth(&opening.token)
    };
    // Once for a few, so that what every first request needs is there.
    ask("&filter=%2B491550000001").send().await.unwrap().bytes().await.unwrap();
    let before = memory(service.pid(), "VmRSS:");
    std::fs::write(format!("/proc/{}/clear_refs", service.pid()), "5").unwrap();
    let began = Instant::now();
    let mut answer = ask("").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let (mut lines, mut bytes) = (0, 0);
    while let Some(chunk) = answer.chunk().await.unwrap() {
        lines += chunk.split(|byte| *byte == b'\n').count() - 1;
        bytes += chunk.len();
    }
    let (peak, took) = (memory(service.pid(), "VmHWM:"), began.elapsed().as_secs_f64());
    let growth = peak.saturating_sub(before) as f64 / 1024.0;
    println!(
        "{lines} lines, {:.0} MiB in {took:.1} s, {:.0} lines a second; resident before {:.1} MiB, peak {:.1} MiB, growth {growth:.1} MiB",
        bytes as f64 / 1_048_576.0,
        lines as f64 / took,
        before as f64 / 1024.0,
        peak as f64 / 1024.0,
    );
    assert_eq!(lines, messages / EACH * EACH);
    opening.close().await;
    drop(database);
}
