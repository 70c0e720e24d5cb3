//! How long a page of 50 takes over HTTP, through the real program as a process of its own: every list, filter and search, each of
//! its rows with its contact's name and with what may be sent now.
//!
//! ```text
//! cargo bench -p transom-server --bench lists -- [--contacts N] [--messages N] [--rounds N] [--far] [--only WORDS]
//!     [--folder DIR] [--database-url URL]
//! ```
//! On SQLite unless there is a URL. A folder is kept, with the database in it or the key to the one at the URL: it is filled once,
//! and only measured from then on. `--far` also follows the cursors to page 1,000, or the last there is, which takes long; `--only`
//! measures the lists whose names have these words. Goals: a median under 10 ms, a p99 under 50 ms.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a benchmark stops at the first surprise, and its output is the point"
)]

#[path = "../tests/process/mod.rs"]
mod process;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use process::{Service, at_rest, client, derived_by, whatsapp};
use serde_json::{Value, json};
use transom_domain::SettableClock;
use transom_sandbox::{NewAccount, Sandbox, SandboxConfig};
use transom_storage::WorkspaceScope;
use transom_storage::test_support::crowd;

struct Plan {
    contacts: usize,
    messages: usize,
    rounds: usize,
    far: bool,
    only: String,
    folder: Option<PathBuf>,
    url: Option<String>,
}

impl Plan {
    fn read() -> Self {
        let only = String::new();
        let mut plan = Self { contacts: 10_000, messages: 5, rounds: 20, far: false, only, folder: None, url: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("{word} takes a value"));
            let number = |text: String| text.replace('_', "").parse().expect("a number");
            match word.as_str() {
                "--contacts" => plan.contacts = number(value()),
                "--messages" => plan.messages = number(value()),
                "--rounds" => plan.rounds = number(value()),
                "--far" => plan.far = true,
                "--only" => plan.only = value(),
                "--folder" => plan.folder = Some(value().into()),
                "--database-url" => plan.url = Some(value()),
                // What cargo adds.
                "--bench" => {}
                other => panic!(
                    "`{other}` is none of --contacts, --messages, --rounds, --far, --only, --folder, --database-url"
                ),
            }
        }
        plan
    }
}

#[tokio::main]
async fn main() {
    let plan = Plan::read();
    let sandbox = Sandbox::start(SandboxConfig::new(SettableClock::running())).await.unwrap();
    let thrown_away = tempfile::tempdir().unwrap();
    let folder = plan.folder.clone().unwrap_or_else(|| thrown_away.path().to_owned());
    std::fs::create_dir_all(&folder).unwrap();
    let mut service = Service::start(&sandbox, &folder, plan.url.as_deref()).await;
    let kept = folder.join("bench.txt");
    if !kept.exists() {
        let token = service.create_workspace();
        let second = fill(&plan, &mut service, &sandbox, &folder, &token).await;
        std::fs::write(&kept, format!("{token} {second}")).unwrap();
    }
    let kept = std::fs::read_to_string(&kept).unwrap();
    let (token, second) = kept.split_once(' ').unwrap();
    // Windows that have closed since it was filled are noted first.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let pages = Pages { http: client(), base: service.base(), token: token.to_owned(), rounds: plan.rounds };
    println!("| list | rows | page 1, median | p99 | page 1,000 | median | p99 |\n|---|---|---|---|---|---|---|");
    let all = conversations(second).into_iter().chain(contacts(second));
    let (mut slowest, mut count) = ((0.0, 0.0), 0);
    for (name, path) in all.filter(|(name, _)| name.contains(&plan.only)) {
        let first = pages.timed(&path, None).await;
        let mut times = vec![first];
        let mut beyond = " | |".to_owned();
        if plan.far {
            let (cursor, page) = pages.far(&path).await;
            let far = pages.timed(&path, cursor.as_deref()).await;
            beyond = format!("{page} | {:.1} | {:.1}", far.median, far.p99);
            times.push(far);
        }
        let Times { rows, median, p99 } = times[0];
        println!("| {name} | {rows} | {median:.1} | {p99:.1} | {beyond} |");
        count += 1;
        slowest = times
            .iter()
            .fold(slowest, |(median, p99): (f64, f64), times| (median.max(times.median), p99.max(times.p99)));
    }
    println!("\n{count} lists; the slowest median {:.1} ms, the slowest p99 {:.1} ms", slowest.0, slowest.1);
    service.stop().await;
    sandbox.shutdown().await;
}

/// Connects four channels of three platforms, and stores a crowd over them while no process runs. The id of the second.
async fn fill(plan: &Plan, service: &mut Service, sandbox: &Sandbox, folder: &Path, token: &str) -> String {
    let first = whatsapp(service, sandbox, token).await.channel;
    let second = whatsapp(service, sandbox, token).await.channel;
    let mut channels = vec![first, second.clone()];
    let bot = sandbox.control().create_account(NewAccount::on("telegram")).unwrap();
    let bot =
        json!({ "bot_token": bot.settings["token"], "webhook_secret": "nobody-calls-with-it", "account_id": bot.id });
    let site = json!({
        "widget_id": "a-widget", "event_secret": "nobody-calls-with-it-either-0123456789", "origins": "https://example.org"
    });
    for (platform, settings) in [("webchat", site), ("telegram", bot)] {
        let body = json!({ "platform": platform, "name": platform, "settings": settings });
        let made = service.post(token, "/channels", body).await.expect(201).unwrap();
        channels.push(made.text("/id").unwrap().to_owned());
    }
    service.kill_9();
    let began = Instant::now();
    let server = at_rest(folder, plan.url.as_deref()).await;
    let desk = server.desk();
    // What an earlier run left half filled is not what is measured.
    let [scope]: [WorkspaceScope; 1] =
        desk.storage().all_scopes().await.unwrap().try_into().expect("an empty database");
    let mut over = Vec::new();
    for channel in &channels {
        over.push(derived_by(desk, &scope, channel).await);
    }
    let (over, many) = (over.try_into().unwrap(), (plan.contacts, plan.messages));
    crowd::fill_over(desk.storage(), &scope, &over, many, desk.now()).await.unwrap();
    crowd::analyse(desk.storage(), plan.url.as_deref().unwrap_or_default()).await.unwrap();
    server.stop().await;
    println!("filled with {} contacts in {:.0?}\n", plan.contacts, began.elapsed());
    service.kill_and_restart().await;
    second
}

/// Milliseconds.
#[derive(Clone, Copy)]
struct Times {
    rows: usize,
    median: f64,
    p99: f64,
}

/// One client on a kept connection, as a browser has it.
struct Pages {
    http: reqwest::Client,
    base: String,
    token: String,
    rounds: usize,
}

impl Pages {
    async fn ask(&self, path: &str, limit: usize, cursor: Option<&str>) -> reqwest::Response {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let url = format!("{}/v1{path}&limit={limit}{cursor}", self.base);
        self.http.get(url).bearer_auth(&self.token).send().await.unwrap()
    }

    async fn timed(&self, path: &str, cursor: Option<&str>) -> Times {
        let (mut times, mut rows) = (Vec::new(), 0);
        for _ in 0..self.rounds {
            let began = Instant::now();
            let answer = self.ask(path, 50, cursor).await;
            let (status, body) = (answer.status(), answer.bytes().await.unwrap());
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
            assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
            let body: Value = serde_json::from_slice(&body).unwrap();
            rows = body["items"].as_array().unwrap().len();
        }
        times.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        Times { rows, median: at(0.5), p99: at(0.99) }
    }

    /// The cursor behind which page 1,000 begins, or the last page there is, and its number.
    async fn far(&self, path: &str) -> (Option<String>, usize) {
        let (mut cursor, mut rows) = (None, 0);
        while rows < 999 * 50 {
            let limit = 100.min(999 * 50 - rows);
            let page: Value = self.ask(path, limit, cursor.as_deref()).await.json().await.unwrap();
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = Some(next.to_owned());
            rows += limit;
        }
        (cursor, rows / 50 + 1)
    }
}

/// What is looked for, and what is common of it: three people in ten, two in a hundred, one alone.
const SEARCHES: [(&str, &str); 12] = [
    ("a common name", "mar"),
    ("a name of one in thirty", "priya"),
    ("a common name and one of one in thirty", "maria smith"),
    ("two names of one in thirty", "priya dubois"),
    ("a rare name", "rarename500"),
    ("a beginning of one in fifty", "rare"),
    ("a character", "name:明"),
    ("a number's last four digits", "phone:4250"),
    ("an email address", "email:user4250@example.org"),
    ("a user name", "username:@user_425"),
    ("an id", "id:id-4250"),
    ("nobody", "nobody"),
];

/// Lists of conversations, each in every order, with their paths.
fn conversations(channel: &str) -> Vec<(String, String)> {
    let channel = format!("channel:{channel}");
    let mut lists: Vec<(String, String)> = [
        ("all", ""),
        ("tab closed", "tab:closed"),
        ("tab open", "tab:open"),
        ("status open", "status:open"),
        ("mine", "assignee:\"Agent 0\""),
        ("mine, open", "assignee:\"Agent 0\" status:open"),
        ("unassigned", "inbox:unassigned"),
        ("team", "team:\"Team 0\",\"Team 1\",\"Team 2\""),
        ("three agents", "assignee:\"Agent 1\",\"Agent 2\",\"Agent 3\""),
        ("not this agent", "-assignee:\"Agent 0\""),
        ("platform of one in a hundred", "platform:telegram"),
        ("platform and status", "status:open platform:whatsapp"),
        ("not the largest platform", "-platform:whatsapp"),
        ("channel", &channel),
        ("window open", "window:open"),
        ("window closed, tab open", "window:closed tab:open"),
        ("closing within 6 hours", "closing_within:6h"),
        ("wrote since a week", "inbound_after:7d"),
        ("silent since a month", "inbound_before:30d"),
        ("not the commonest tag", "-tag:first"),
    ]
    .map(|(name, q)| (name.to_owned(), q.to_owned()))
    .into();
    for mark in crowd::marks().iter().step_by(2) {
        lists.push((format!("tag {mark}"), format!("tag:{mark}")));
        lists.push((format!("tag {mark}, tab open"), format!("tag:{mark} tab:open")));
        lists.push((format!("label {mark}"), format!("label:{mark}")));
    }
    for (name, q) in SEARCHES {
        lists.push((name.to_owned(), q.to_owned()));
        lists.push((format!("{name}, tab open"), format!("tab:open {q}")));
    }
    let mut sorted = Vec::new();
    for (name, q) in lists {
        for sort in ["oldest", "longest_waiting", "closing_soonest"] {
            let name = format!("{name}, {}", sort.replace('_', " "));
            sorted.push((name, format!("/conversations?q={}&sort={sort}", escaped(&q))));
        }
        sorted.push((name, format!("/conversations?q={}", escaped(&q))));
    }
    sorted
}

/// Lists of contacts.
fn contacts(channel: &str) -> Vec<(String, String)> {
    let channel = format!("channel:{channel}");
    let mut lists: Vec<(String, String)> = [
        ("all", ""),
        ("not blocked", "blocked:no"),
        ("blocked", "blocked:yes"),
        ("a platform of one in a hundred", "platform:telegram"),
        ("a channel", &channel),
    ]
    .into_iter()
    .chain(SEARCHES)
    .map(|(name, q)| (name.to_owned(), q.to_owned()))
    .collect();
    lists.extend(crowd::marks().iter().step_by(2).map(|mark| (format!("label {mark}"), format!("label:{mark}"))));
    let path = |(name, q): (String, String)| (format!("contacts: {name}"), format!("/contacts?q={}", escaped(&q)));
    lists.into_iter().map(path).collect()
}

/// A value as an address has it.
fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
