//! How long a page of 50 takes: every list, filter and search, on page 1 and on page 1,000.
//!
//!     cargo bench -p transom-storage --bench lists -- --contacts 1000000 --messages 5 [--database-url URL] [--rounds 50] [--only WORDS]
//!
//! Without a URL both databases are made, filled and thrown away. With one, an empty database is filled and kept, and one that was
//! filled before is only measured; `--seed-only` fills and does not measure. `--only` measures the lists whose names have these words.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a bench stops at the first surprise"
)]

use std::time::Instant;

use time::{Duration, OffsetDateTime};
use transom_domain::{Clock, SystemClock, Tab};
use transom_storage::test_support::TestDatabase;
use transom_storage::test_support::crowd::{self, Crowd};
use transom_storage::{
    ContactCondition, ContactQuery, ConversationCondition as C, ConversationQuery, Filter, Find, FindBy, Inbox, Reader,
    Sort, StatusFilter, Storage, WindowState,
};

struct Plan {
    contacts: usize,
    messages: usize,
    rounds: usize,
    url: Option<String>,
    seed_only: bool,
    only: String,
}

impl Plan {
    fn read() -> Self {
        let mut plan =
            Self { contacts: 10_000, messages: 5, rounds: 50, url: None, seed_only: false, only: String::new() };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut number = || words.next().and_then(|n| n.replace('_', "").parse().ok()).expect("a number");
            match word.as_str() {
                "--contacts" => plan.contacts = number(),
                "--messages" => plan.messages = number(),
                "--rounds" => plan.rounds = number(),
                "--database-url" => plan.url = Some(words.next().expect("a URL")),
                "--seed-only" => plan.seed_only = true,
                "--only" => plan.only = words.next().expect("a part of a list's name"),
                // What cargo adds.
                "--bench" => {}
                other => {
                    panic!("`{other}` is none of --contacts, --messages, --rounds, --database-url, --seed-only, --only")
                }
            }
        }
        plan
    }
}

#[tokio::main]
async fn main() {
    let plan = Plan::read();
    match &plan.url {
        Some(url) => measure(&plan, url).await,
        None => {
            measure(&plan, TestDatabase::sqlite().url()).await;
            if let Some(database) = TestDatabase::postgres().await {
                measure(&plan, database.url()).await;
            }
        }
    }
}

async fn measure(plan: &Plan, url: &str) {
    let storage = Storage::open(TestDatabase::config_of(url)).await.unwrap();
    storage.migrate().await.unwrap();
    let now = SystemClock.now();
    let name = url.split(':').next().unwrap();
    let (reader, crowd) = filled(&storage, plan, url, now).await;
    if plan.seed_only {
        return;
    }
    println!("\n{name}, {} contacts\n", plan.contacts);
    println!("| list | rows | page 1, median | p99 | page 1,000 | median | p99 |\n|---|---|---|---|---|---|---|");
    let wanted = |name: &str| name.contains(&plan.only);
    for (name, query) in conversations(&crowd, now).into_iter().filter(|(name, _)| wanted(name)) {
        let first = time_conversations(&reader, &query, plan.rounds).await;
        let (after, page) = far_conversation(&reader, &query).await;
        let far = time_conversations(&reader, &ConversationQuery { after, ..query }, plan.rounds).await;
        row(&name, &first, page, &far);
    }
    for (name, query) in contacts(&crowd).into_iter().filter(|(name, _)| wanted(name)) {
        let first = time_contacts(&reader, &query, plan.rounds).await;
        let (after, page) = far_contact(&reader, &query).await;
        let far = time_contacts(&reader, &ContactQuery { after, ..query }, plan.rounds).await;
        row(&name, &first, page, &far);
    }
    let counted = |(name, query): &(String, ConversationQuery)| query.sort == Sort::Newest && wanted(name);
    for (name, query) in conversations(&crowd, now).into_iter().filter(counted) {
        let mut times = Vec::new();
        for _ in 0..plan.rounds {
            let from = Instant::now();
            reader.tab_counts(&query).await.unwrap();
            times.push(from.elapsed());
        }
        let times = Times::of(times, 0);
        println!("| counts: {name} | | {:.1} | {:.1} | | | |", times.median, times.p99);
    }
    storage.close().await.unwrap();
}

async fn filled(storage: &Storage, plan: &Plan, url: &str, now: OffsetDateTime) -> (Reader, Crowd) {
    if let Some(scope) = storage.all_scopes().await.unwrap().first() {
        let reader = storage.reader(scope);
        let crowd = Crowd::of(&reader).await.unwrap();
        return (reader, crowd);
    }
    let new = transom_storage::NewWorkspace {
        id: transom_domain::WorkspaceId::new(&transom_domain::UuidV7),
        name: "Crowd".to_owned(),
        settings: transom_domain::Settings::default(),
    };
    let scope = storage.create_workspace(new, now).await.unwrap();
    let from = Instant::now();
    let crowd = crowd::fill(storage, &scope, (plan.contacts, plan.messages), now).await.unwrap();
    crowd::analyse(storage, url).await.unwrap();
    println!("filled with {} contacts in {:.0?}", plan.contacts, from.elapsed());
    (storage.reader(&scope), crowd)
}

fn row(name: &str, first: &Times, page: usize, far: &Times) {
    println!(
        "| {name} | {} | {:.1} | {:.1} | {page} | {:.1} | {:.1} |",
        first.rows, first.median, first.p99, far.median, far.p99
    );
}

struct Times {
    rows: usize,
    /// Milliseconds.
    median: f64,
    p99: f64,
}

impl Times {
    fn of(mut times: Vec<std::time::Duration>, rows: usize) -> Self {
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
        Self { rows, median: at(0.5), p99: at(0.99) }
    }
}

async fn time_conversations(reader: &Reader, query: &ConversationQuery, rounds: usize) -> Times {
    let (mut times, mut rows) = (Vec::new(), 0);
    for _ in 0..rounds {
        let from = Instant::now();
        rows = reader.conversations(query).await.unwrap().len();
        times.push(from.elapsed());
    }
    Times::of(times, rows)
}

async fn time_contacts(reader: &Reader, query: &ContactQuery, rounds: usize) -> Times {
    let (mut times, mut rows) = (Vec::new(), 0);
    for _ in 0..rounds {
        let from = Instant::now();
        rows = reader.contacts(query).await.unwrap().len();
        times.push(from.elapsed());
    }
    Times::of(times, rows)
}

/// The place behind which page 1,000 begins, or the last page there is, and its number.
async fn far_conversation(
    reader: &Reader,
    query: &ConversationQuery,
) -> (Option<(i64, transom_domain::ConversationId)>, usize) {
    let (mut after, mut rows) = (None, 0);
    while rows < 999 * 50 {
        let page = ConversationQuery { after, limit: 2_000.min(999 * 50 - rows as u32), ..query.clone() };
        let found = reader.conversations(&page).await.unwrap();
        let Some(last) = found.last().filter(|_| found.len() == page.limit as usize) else { break };
        after = Some((last.sort_key(query.sort), last.conversation.id));
        rows += found.len();
    }
    (after, rows / 50 + 1)
}

async fn far_contact(
    reader: &Reader,
    query: &ContactQuery,
) -> (Option<(OffsetDateTime, transom_domain::ContactId)>, usize) {
    let (mut after, mut rows) = (None, 0);
    while rows < 999 * 50 {
        let page = ContactQuery { after, limit: 2_000.min(999 * 50 - rows as u32), ..query.clone() };
        let found = reader.contacts(&page).await.unwrap();
        let Some(last) = found.last().filter(|_| found.len() == page.limit as usize) else { break };
        after = Some((last.contact.created_at, last.contact.id));
        rows += found.len();
    }
    (after, rows / 50 + 1)
}

fn found(by: FindBy, text: &str) -> ContactCondition {
    ContactCondition::Found(vec![Find { by, ..Find::anything(text) }])
}

/// What is looked for, and what is common of it: three people in ten, two in a hundred, one alone.
fn searches() -> Vec<(&'static str, ContactCondition)> {
    vec![
        ("a common name", found(FindBy::Anything, "mar")),
        ("a name of one in thirty", found(FindBy::Anything, "priya")),
        ("a common name and one of one in thirty", found(FindBy::Anything, "maria smith")),
        ("two names of one in thirty", found(FindBy::Anything, "priya dubois")),
        ("a rare name", found(FindBy::Anything, "rarename500")),
        ("a beginning of one in fifty", found(FindBy::Anything, "rare")),
        ("a character", found(FindBy::Name, "明")),
        ("a number's last four digits", found(FindBy::Phone, "4250")),
        ("an email address", found(FindBy::Email, "user4250@example.org")),
        ("a user name", found(FindBy::Username, "@user_425")),
        ("an id", found(FindBy::Id, "id-4250")),
        ("nobody", found(FindBy::Anything, "nobody")),
    ]
}

fn conversations(crowd: &Crowd, now: OffsetDateTime) -> Vec<(String, ConversationQuery)> {
    let all = || ConversationQuery::new(now);
    let with = |condition| ConversationQuery { filters: vec![Filter::is(condition)], ..all() };
    let without = |condition| ConversationQuery { filters: vec![Filter::is_not(condition)], ..all() };
    let marks = crowd::marks();
    let tag = |at: usize| C::Tag(vec![marks[at].to_owned()]);
    let label = |at: usize| C::Contact(ContactCondition::Label(vec![marks[at].to_owned()]));
    let mut lists: Vec<(String, ConversationQuery)> = vec![
        ("all".into(), all()),
        ("tab closed".into(), ConversationQuery { tab: Some(Tab::Closed), ..all() }),
        ("tab open".into(), ConversationQuery { tab: Some(Tab::Open), ..all() }),
        ("status open".into(), ConversationQuery { status: Some(StatusFilter::Open), ..all() }),
        ("mine".into(), ConversationQuery { inbox: Some(Inbox::Mine(crowd.agents[0])), ..all() }),
        (
            "mine, open".into(),
            ConversationQuery { inbox: Some(Inbox::Mine(crowd.agents[0])), status: Some(StatusFilter::Open), ..all() },
        ),
        ("unassigned".into(), ConversationQuery { inbox: Some(Inbox::Unassigned), ..all() }),
        ("team".into(), ConversationQuery { inbox: Some(Inbox::Team(crowd.teams.clone())), ..all() }),
        ("three agents".into(), ConversationQuery { assignees: crowd.agents[1..4].to_vec(), ..all() }),
        ("not this agent".into(), without(C::Agent(vec![crowd.agents[0]]))),
        ("platform of one in a hundred".into(), with(C::Platform(vec!["gamma".into()]))),
        (
            "platform and status".into(),
            ConversationQuery { status: Some(StatusFilter::Open), ..with(C::Platform(vec!["alpha".into()])) },
        ),
        ("not the largest platform".into(), without(C::Platform(vec!["alpha".into()]))),
        ("channel".into(), with(C::Account(vec![crowd.accounts[1]]))),
        ("window open".into(), with(C::Window(WindowState::Open))),
        (
            "window closed, tab open".into(),
            ConversationQuery { tab: Some(Tab::Open), ..with(C::Window(WindowState::Closed)) },
        ),
        ("closing within 6 hours".into(), with(C::ClosingBefore(now + Duration::hours(6)))),
        ("wrote since a week".into(), with(C::InboundAfter(now - Duration::days(7)))),
        ("silent since a month".into(), with(C::InboundBefore(now - Duration::days(30)))),
        ("not the commonest tag".into(), without(tag(0))),
    ];
    for at in [0, 2, 4, 6, 8] {
        lists.push((format!("tag {}", marks[at]), with(tag(at))));
        lists.push((
            format!("tag {}, tab open", marks[at]),
            ConversationQuery { tab: Some(Tab::Open), ..with(tag(at)) },
        ));
        lists.push((format!("label {}", marks[at]), with(label(at))));
    }
    for (name, search) in searches() {
        lists.push((name.to_owned(), with(C::Contact(search.clone()))));
        lists.push((
            format!("{name}, tab open"),
            ConversationQuery { tab: Some(Tab::Open), ..with(C::Contact(search)) },
        ));
    }
    let mut sorted = Vec::new();
    for (name, query) in lists {
        for (order, sort) in [
            ("oldest", Sort::Oldest),
            ("longest waiting", Sort::LongestWaiting),
            ("closing soonest", Sort::ClosingSoonest),
        ] {
            sorted.push((format!("{name}, {order}"), ConversationQuery { sort, ..query.clone() }));
        }
        sorted.push((name, query));
    }
    sorted
}

fn contacts(crowd: &Crowd) -> Vec<(String, ContactQuery)> {
    let all = || ContactQuery { limit: 50, ..ContactQuery::default() };
    let with = |condition| ContactQuery { filters: vec![Filter::is(condition)], ..all() };
    let marks = crowd::marks();
    let mut lists = vec![
        ("contacts: all".to_owned(), all()),
        ("contacts: not blocked".to_owned(), with(ContactCondition::Blocked(false))),
        ("contacts: blocked".to_owned(), with(ContactCondition::Blocked(true))),
        ("contacts: a platform of one in a hundred".to_owned(), with(ContactCondition::Platform(vec!["gamma".into()]))),
        ("contacts: a channel".to_owned(), with(ContactCondition::Account(vec![crowd.accounts[1]]))),
    ];
    for at in [0, 2, 4, 6, 8] {
        lists.push((
            format!("contacts: label {}", marks[at]),
            with(ContactCondition::Label(vec![marks[at].to_owned()])),
        ));
    }
    lists.extend(searches().into_iter().map(|(name, search)| (format!("contacts: {name}"), with(search))));
    lists
}
