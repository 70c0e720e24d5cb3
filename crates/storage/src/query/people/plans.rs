//! No query walks a whole table: each statement's plan is looked at, on both databases, with 100,000 of everything.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, Value};
use serde_json::json;
use time::Duration;
use transom_domain::{
    Address, Agent, AgentId, ChannelAccount, ChannelAccountId, Connection, ConversationId, CustomField, CustomFieldId,
    Direction, FieldKind, FieldValue, Ids, MessageId, Profile, Role, Tab, Team, TeamId, UuidV7,
};
use uuid::Uuid;

use super::sets::{Set, Wish};
use super::statement::Sql;
use super::{
    Comparison, ContactCondition, ContactQuery, ConversationCondition, ConversationQuery, Earlier, FieldTest, Filter,
    Inbox, Moment, PersonSeed, Sort, StatusFilter, TabCounts, Touch, Touched, WindowColumns, WindowState,
};
use super::{marks, search};
use crate::both_databases;
use crate::query::millis;
use crate::test_support::{NOON, TestDatabase};
use crate::{Reader, Storage, StorageError, WorkspaceScope};

/// So many of everything are made one by one,
const SEEDS: usize = 1_000;
/// and each of them has so many copies.
const COPIES: usize = 100;
const MANY: usize = SEEDS * COPIES;
const NAMES: [&str; 10] = ["Mara", "Ole", "José", "Ángel", "Xi", "Priya", "Lena", "Tom", "Ivo", "Zoë"];

struct Crowd {
    storage: Storage,
    scope: WorkspaceScope,
    account: ChannelAccountId,
    /// One that few have.
    rare: ChannelAccountId,
    agent: AgentId,
    team: TeamId,
    field: CustomFieldId,
    conversation: ConversationId,
    message: MessageId,
}

/// Contacts with a term for each of these words, as whoever knows nothing of marks finds them.
async fn plainly(reader: &Reader, words: &[&str]) -> BTreeSet<Uuid> {
    let mut all: Option<BTreeSet<Uuid>> = None;
    for word in words {
        let term = [b"n", word.as_bytes()].concat();
        let mut statement = Sql::of(reader);
        statement
            .with("SELECT contact_id FROM contact_terms WHERE workspace_id = $1 AND term >= ", term.clone())
            .with(" AND term < ", search::after_prefix(&term));
        let rows = reader.conn.query_all_raw(statement.on(&reader.conn)).await.unwrap();
        let found: BTreeSet<Uuid> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
        all = Some(all.map_or(found.clone(), |all| all.intersection(&found).copied().collect()));
    }
    all.unwrap_or_default()
}

/// Names whose words many have each, and few, some, or many have together: each is read in another way.
async fn names_lead_to_whoever_has_them(reader: &Reader) {
    let mut ways = BTreeSet::new();
    for words in
        [&["mara", "family9", "ole"][..], &["mara", "family9"], &["mara", "ole"], &["mara"], &["mara", "nobody"]]
    {
        let expected = plainly(reader, words).await;
        let text = words.join(" ");
        for sort in [Sort::Newest, Sort::Oldest] {
            let query =
                ConversationQuery { q: Some(text.clone()), sort, limit: 30_000, ..ConversationQuery::new(NOON) };
            let found = reader.conversations(&query).await.unwrap();
            let places: Vec<_> = found.iter().map(|stored| stored.sort_key(sort)).collect();
            let in_order = |pair: &[i64]| if sort == Sort::Newest { pair[0] >= pair[1] } else { pair[0] <= pair[1] };
            assert!(places.windows(2).all(in_order), "{text}");
            let found: BTreeSet<Uuid> = found.iter().map(|stored| stored.contact.uuid()).collect();
            assert!(found == expected, "{text}: {} and not {}", found.len(), expected.len());
            // A page of them is the beginning of all.
            let page = reader.conversations(&ConversationQuery { limit: 7, ..query }).await.unwrap();
            let begins = page.iter().map(|stored| stored.sort_key(sort)).eq(places.iter().take(7).copied());
            assert!(begins, "{text}");
        }
        let query = ContactQuery { q: Some(text.clone()), limit: 30_000, ..ContactQuery::default() };
        let found = reader.contacts(&query).await.unwrap();
        let found: BTreeSet<Uuid> = found.iter().map(|stored| stored.contact.id.uuid()).collect();
        assert!(found == expected, "contacts {text}: {} and not {}", found.len(), expected.len());
        let mut wanted =
            reader.wanted(&ConversationQuery { q: Some(text), ..ConversationQuery::new(NOON) }).await.unwrap().unwrap();
        let bound = reader.driven(&wanted.wishes).await.unwrap();
        let driver = reader.smallest(&mut wanted.wishes, bound).await.unwrap();
        ways.insert((driver.is_some(), matches!(wanted.wishes[0].set, Set::These(..)), expected.is_empty()));
    }
    let all = [(true, true, false), (false, false, false), (true, false, true)];
    assert!(all.iter().all(|way| ways.contains(way)), "{ways:?}");
}

/// Rows as they would be after some months: most conversations closed, a few waiting.
async fn crowd(db: &TestDatabase) -> Crowd {
    let storage = db.open().await;
    let scope = db.workspace(&storage, "Acme").await;
    let next = || UuidV7.next();
    let (agent, team, connection) = (AgentId::from(next()), TeamId::from(next()), next());
    let field = CustomFieldId::from(next());
    let accounts: Vec<Uuid> = (0..3).map(|_| next()).collect();
    let of_accounts = accounts.clone();
    let workspace = scope.workspace();
    let done: Result<(), StorageError> = storage
        .transact(&scope, move |tx| {
            let accounts = of_accounts.clone();
            Box::pin(async move {
                let ada = Agent { id: agent, workspace, name: "Ada".into(), alias: None, role: Role::Agent };
                tx.put_agent(&ada, true, NOON).await?;
                tx.put_team(&Team { id: team, name: "Team".into() }, NOON).await?;
                let connection = Connection { id: connection.into(), platform: "alpha".into(), name: "a".into() };
                tx.put_connection(&connection, &json!({}), NOON).await?;
                let score = CustomField {
                    id: field,
                    name: "Score".into(),
                    kind: FieldKind::Number,
                    options: Vec::new(),
                    archived: false,
                };
                tx.insert_custom_field(&score, NOON).await?;
                for n in 0..30 {
                    tx.create_tag(&format!("tag-{n}"), NOON).await?;
                }
                for (n, id) in accounts.iter().enumerate() {
                    let account = ChannelAccount {
                        id: (*id).into(),
                        connection: connection.id,
                        platform: ["alpha", "alpha", "beta"][n].into(),
                        policy: "alpha".into(),
                        name: "a".into(),
                        external_key: n.to_string(),
                        features: BTreeSet::default(),
                        limits: BTreeMap::default(),
                        quota_group: None,
                        country: None,
                        enabled: true,
                        suspended: None,
                        removed_at: None,
                    };
                    tx.put_account(&account, NOON).await?;
                }
                Ok(())
            })
        })
        .await;
    done.unwrap();
    let ws = workspace.uuid();
    let mut picked = None;
    for first in (0..SEEDS).step_by(500) {
        let (mut contacts, mut terms, mut labels, mut fields) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut identities, mut addresses) = (Vec::new(), Vec::new());
        let (mut conversations, mut tags, mut messages, mut parts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for n in first..first + 500 {
            let (contact, identity, conversation, message) = (next(), next(), next(), next());
            let at = NOON - Duration::minutes(i64::try_from(n * 7 % SEEDS).unwrap());
            let account = accounts[if n % 50 == 0 { 2 } else { n % 2 }];
            let user = format!("user-{n}");
            let profile = Profile {
                name: Some(format!("{} {} Family{}", NAMES[n % 10], NAMES[n / 10 % 10], n % 977)),
                phone: Some(format!("+4915{n:09}")),
                email: Some(format!("{user}@example.org")),
                username: Some(user.clone()),
                ..Profile::default()
            };
            let known = [Address::new("user_id", user.as_str())];
            let of_contact = search::terms(None, &profile, &known);
            let marks = marks::of_terms(&of_contact);
            for term in of_contact {
                terms.push(vec![ws.into(), Value::from(term), contact.into(), marks.into()]);
            }
            contacts.push(vec![
                ws.into(),
                contact.into(),
                marks.into(),
                json!(profile).into(),
                json!({}).into(),
                millis(at),
                (n % 400 == 0).into(),
                1_i64.into(),
                millis(at),
                millis(at),
            ]);
            labels.push(vec![ws.into(), contact.into(), format!("label-{}", n % 30).into()]);
            let score = FieldValue::Number(n.into());
            fields.push(vec![
                ws.into(),
                contact.into(),
                field.uuid().into(),
                score.to_string().into(),
                score.sort_key().into(),
            ]);
            identities.push(vec![
                ws.into(),
                identity.into(),
                contact.into(),
                account.into(),
                json!(known).into(),
                "{}".into(),
                millis(at),
                millis(at),
            ]);
            addresses.push(vec![ws.into(), account.into(), "user_id".into(), user.into(), identity.into()]);
            let tab = match n % 100 {
                0..=7 => "open",
                8..=12 => "assigned",
                13..=14 => "snoozed",
                _ => "closed",
            };
            let status = if tab == "assigned" { "open" } else { tab };
            let is_open = n % 10 == 0;
            conversations.push(vec![
                ws.into(),
                conversation.into(),
                identity.into(),
                contact.into(),
                marks.into(),
                account.into(),
                "".into(),
                status.into(),
                tab.into(),
                (tab == "snoozed").then(|| crate::instant::Millis::from(at + Duration::days(3))).into(),
                (tab == "assigned" && n % 3 == 0).then_some(agent.uuid()).into(),
                (tab == "assigned").then_some(team.uuid()).into(),
                next().into(),
                1_i64.into(),
                millis(at),
                is_open.then(|| crate::instant::Millis::from(at + Duration::days(7))).into(),
                is_open.then(|| crate::instant::Millis::from(at + Duration::days(7))).into(),
                is_open.then(|| crate::instant::Millis::from(at + Duration::days(7))).into(),
                "alpha@1".into(),
                is_open.then(|| crate::instant::Millis::from(at + Duration::days(7))).into(),
                millis(at),
                millis(at),
                millis(at),
                (tab == "open").then(|| crate::instant::Millis::from(at)).into(),
                "hello".into(),
                1_i64.into(),
                millis(at),
                millis(at),
            ]);
            tags.push(vec![ws.into(), conversation.into(), format!("tag-{}", n % 30).into(), millis(at)]);
            messages.push(vec![
                ws.into(),
                message.into(),
                conversation.into(),
                contact.into(),
                identity.into(),
                account.into(),
                "reply".into(),
                "inbound".into(),
                json!({"kind": "customer"}).into(),
                json!({"body": {"type": "text", "text": "hello"}}).into(),
                format!("p{n}").into(),
                json!({}).into(),
                millis(at),
                millis(at),
            ]);
            parts.push(vec![
                ws.into(),
                next().into(),
                message.into(),
                conversation.into(),
                account.into(),
                0_i64.into(),
                json!({}).into(),
                1_i64.into(),
                "sent".into(),
                format!("out-{n}").into(),
                1_i64.into(),
                millis(at),
            ]);
            picked = Some((conversation.into(), message.into()));
        }
        let tables: [(&str, &str, Vec<Vec<Value>>); 10] = [
            (
                "contacts",
                "workspace_id, id, marks, profile, profile_at, profile_until, blocked, version, created_at, updated_at",
                contacts,
            ),
            ("contact_terms", "workspace_id, term, contact_id, marks", terms),
            ("contact_labels", "workspace_id, contact_id, label", labels),
            ("contact_fields", "workspace_id, contact_id, field_id, value, sort_key", fields),
            (
                "identities",
                "workspace_id, id, contact_id, account_id, addresses, facts, created_at, updated_at",
                identities,
            ),
            ("identity_addresses", "workspace_id, account_id, kind, value, identity_id", addresses),
            (
                "conversations",
                "workspace_id, id, identity_id, contact_id, marks, account_id, thread, status, tab, snoozed_until, agent_id, team_id, \
              episode_id, episodes, status_since, window_closes_at, closing_at, window_ends_at, \
              window_policy_version, window_recompute_at, active_at, \
              last_message_at, last_inbound_at, waiting_since, preview, version, created_at, updated_at",
                conversations,
            ),
            ("conversation_tags", "workspace_id, conversation_id, tag, added_at", tags),
            (
                "messages",
                "workspace_id, id, conversation_id, contact_id, identity_id, account_id, kind, direction, author, content, \
              provider_id, extra, at, stored_at",
                messages,
            ),
            (
                "parts",
                "workspace_id, id, message_id, conversation_id, account_id, position, content, cost, state, provider_id, attempts, \
              updated_at",
                parts,
            ),
        ];
        for (table, columns, rows) in tables {
            for rows in rows.chunks(100) {
                let mut insert = Sql::new(format!("INSERT INTO {table} ({columns}) VALUES "));
                for (at, row) in rows.iter().enumerate() {
                    insert.push(if at == 0 { "" } else { ", " }).list(row.clone());
                }
                storage.execute(insert.on(storage.db())).await.unwrap();
            }
        }
    }
    for copy in 1..COPIES {
        multiply(&storage, copy, db.is_postgres()).await;
    }
    let mut count = Sql::new("SELECT count(*) FROM conversations");
    count.push(" WHERE tab <> ''");
    let row = storage.db().query_one_raw(count.on(storage.db())).await.unwrap().unwrap();
    assert_eq!(usize::try_from(row.try_get_by_index::<i64>(0).unwrap()).unwrap(), MANY);
    crate::test_support::crowd::analyse(&storage, db.url()).await.unwrap();
    let (conversation, message) = picked.unwrap();
    Crowd {
        storage,
        scope,
        account: accounts[0].into(),
        rare: accounts[2].into(),
        agent,
        team,
        field,
        conversation,
        message,
    }
}

/// Copies the seeds: ids get another first byte, names of addresses and messages an end of their own, times are a little older.
async fn multiply(storage: &Storage, copy: usize, is_postgres: bool) {
    // The first byte of a UUIDv7 of these decades is 1.
    let byte = copy + 1;
    let other = |column: &str| match is_postgres {
        true => format!("overlay({column}::text placing '{byte:02x}' from 1 for 2)::uuid"),
        false => format!("CAST(x'{byte:02x}' || substr({column}, 2) AS BLOB)"),
    };
    let is_seed = |column: &str| match is_postgres {
        true => format!(
            "{column} >= '01000000-0000-0000-0000-000000000000' AND {column} < '02000000-0000-0000-0000-000000000000'"
        ),
        false => format!("{column} >= x'01' AND {column} < x'02'"),
    };
    let later = |column: &str| format!("{column} - {}", copy * 5_500);
    let unique = |column: &str| format!("{column} || '-{copy}'");
    let same = |column: &str| column.to_owned();
    type Change<'c> = &'c dyn Fn(&str) -> String;
    let (other, later, unique, same): (Change<'_>, Change<'_>, Change<'_>, Change<'_>) =
        (&other, &later, &unique, &same);
    // The first column named is the one by which seeds are told from copies.
    let tables: [(&str, Vec<(&str, Change<'_>)>); 10] = [
        (
            "contacts",
            vec![
                ("id", other),
                ("marks", same),
                ("profile", same),
                ("profile_at", same),
                ("profile_until", same),
                ("blocked", same),
                ("version", same),
                ("created_at", later),
                ("updated_at", same),
            ],
        ),
        ("contact_terms", vec![("contact_id", other), ("term", same), ("marks", same)]),
        ("contact_labels", vec![("contact_id", other), ("label", same)]),
        ("contact_fields", vec![("contact_id", other), ("field_id", same), ("value", same), ("sort_key", same)]),
        (
            "identities",
            vec![
                ("id", other),
                ("contact_id", other),
                ("account_id", same),
                ("addresses", same),
                ("facts", same),
                ("created_at", same),
                ("updated_at", same),
            ],
        ),
        ("identity_addresses", vec![("identity_id", other), ("account_id", same), ("kind", same), ("value", unique)]),
        (
            "conversations",
            vec![
                ("id", other),
                ("identity_id", other),
                ("contact_id", other),
                ("marks", same),
                ("account_id", same),
                ("thread", same),
                ("status", same),
                ("tab", same),
                ("snoozed_until", same),
                ("agent_id", same),
                ("team_id", same),
                ("episode_id", same),
                ("episodes", same),
                ("status_since", same),
                ("window_closes_at", same),
                ("closing_at", same),
                ("window_ends_at", same),
                ("window_policy_version", same),
                ("window_recompute_at", same),
                ("active_at", later),
                ("last_message_at", later),
                ("last_inbound_at", later),
                ("waiting_since", same),
                ("preview", same),
                ("version", same),
                ("created_at", same),
                ("updated_at", same),
            ],
        ),
        ("conversation_tags", vec![("conversation_id", other), ("tag", same), ("added_at", same)]),
        (
            "messages",
            vec![
                ("id", other),
                ("conversation_id", other),
                ("contact_id", other),
                ("identity_id", other),
                ("account_id", same),
                ("kind", same),
                ("direction", same),
                ("author", same),
                ("content", same),
                ("provider_id", unique),
                ("extra", same),
                ("at", later),
                ("stored_at", same),
            ],
        ),
        (
            "parts",
            vec![
                ("id", other),
                ("message_id", other),
                ("conversation_id", other),
                ("account_id", same),
                ("position", same),
                ("content", same),
                ("cost", same),
                ("state", same),
                ("provider_id", unique),
                ("attempts", same),
                ("updated_at", same),
            ],
        ),
    ];
    for (table, columns) in tables {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let values: Vec<String> = columns.iter().map(|(name, change)| change(name)).collect();
        let copied = format!(
            "INSERT INTO {table} (workspace_id, {}) SELECT workspace_id, {} FROM {table} WHERE {}",
            names.join(", "),
            values.join(", "),
            is_seed(names[0])
        );
        storage.execute(Sql::new(copied).on(storage.db())).await.unwrap();
    }
}

/// The plan, one line a step.
async fn plan(reader: &Reader, statement: Sql, is_postgres: bool) -> Vec<String> {
    let mut explain = statement.on(&reader.conn);
    explain.sql = format!("{} {}", if is_postgres { "EXPLAIN" } else { "EXPLAIN QUERY PLAN" }, explain.sql);
    let rows = reader.conn.query_all_raw(explain).await.unwrap();
    let column = if is_postgres { 0 } else { 3 };
    rows.iter().map(|row| row.try_get_by_index::<String>(column).unwrap()).collect()
}

/// A connection to PostgreSQL that plans each statement for any value, as it may do by itself once it has planned it five times.
async fn for_any_value(db: &TestDatabase) -> DatabaseConnection {
    let mut options = ConnectOptions::new(db.url());
    options.max_connections(1);
    let one = Database::connect(options).await.unwrap();
    one.execute_unprepared("SET plan_cache_mode = force_generic_plan").await.unwrap();
    one
}

/// The plan of a page for any value.
async fn plan_for_any(one: &DatabaseConnection, reader: &Reader, statement: Sql) -> Vec<String> {
    let statement = statement.on(&reader.conn);
    let values = statement.values.map_or(0, |values| values.0.len());
    one.execute_unprepared(&format!("PREPARE page AS {}", statement.sql)).await.unwrap();
    let explain = format!("EXPLAIN EXECUTE page ({})", vec!["NULL"; values].join(", "));
    let rows = one.query_all_raw(Statement::from_string(DbBackend::Postgres, explain)).await.unwrap();
    one.execute_unprepared("DEALLOCATE page").await.unwrap();
    rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()).collect()
}

/// What PostgreSQL believes it costs to plan a page, far above what it is: a plan for any value is taken if it costs less than one for
/// the values and its planning.
const PLANNING: f64 = 200.0;

/// What PostgreSQL believes that a plan costs.
fn cost(plan: &[String]) -> f64 {
    let (_, behind) = plan[0].split_once("..").unwrap();
    behind.split(' ').next().unwrap().parse().unwrap()
}

/// Steps that read all of a table, as each database calls them.
fn whole_tables(plan: &[String], is_postgres: bool) -> Vec<&String> {
    let is_whole = |line: &&String| match is_postgres {
        // Tables that are empty here, or as small as a workspace has accounts, are read as they are.
        true => {
            line.contains("Seq Scan on ")
                && !["channel_accounts", "erasures", "survey_answers"]
                    .iter()
                    .any(|small| line.contains(&format!("Seq Scan on {small}")))
        }
        // What is made on the way, of at most two pages or four numbers, may be read as a whole.
        false => {
            line.starts_with("SCAN ")
                && *line != "SCAN d"
                && !line.ends_with("VALUES CLAUSE")
                && ![
                    "SCAN k",
                    "SCAN branch_",
                    "SCAN merged",
                    "SCAN named",
                    "SCAN found",
                    "SCAN tab_",
                    "SCAN counted",
                    "SCAN wanted",
                    "SCAN new",
                    "SCAN CONSTANT ROW",
                    "SCAN channel_accounts",
                    "SCAN (",
                ]
                .iter()
                .any(|made| line.starts_with(made))
        }
    };
    plan.iter().filter(is_whole).collect()
}

/// Those of a number, and those of a larger one.
fn scored(crowd: &Crowd) -> [ContactCondition; 2] {
    let score = |n: u64| FieldValue::Number(n.into());
    let tests = [FieldTest::OneOf(vec![score(7), score(8)]), FieldTest::Compared(Comparison::More, score(900))];
    tests.map(|test| ContactCondition::Field(crowd.field, test))
}

/// One filter at a time, and what it leaves over. Those with a time have no opposite.
fn narrowed(crowd: &Crowd) -> Vec<(String, Filter<ConversationCondition>)> {
    use ConversationCondition::{Agent, Contact, InboundAfter, InboundBefore, Platform, Tag};
    let times = [
        ("inbound before", InboundBefore(NOON - Duration::hours(12))),
        ("inbound after", InboundAfter(NOON - Duration::HOUR)),
    ];
    let others = [
        ("agent", Agent(vec![crowd.agent])),
        ("of a platform", Platform(vec!["beta".into()])),
        ("tagged", Tag(vec!["tag-7".into()])),
        ("contact's label", Contact(ContactCondition::Label(vec!["label-7".into()]))),
        ("contact blocked", Contact(ContactCondition::Blocked(true))),
    ];
    let (times, others) = (times.into_iter(), others.into_iter());
    let opposites = others.clone().map(|(name, condition)| (format!("not {name}"), Filter::is_not(condition)));
    times.chain(others).map(|(name, condition)| (name.to_owned(), Filter::is(condition))).chain(opposites).collect()
}

fn queries(crowd: &Crowd) -> Vec<(String, ConversationQuery)> {
    let all = || ConversationQuery::new(NOON);
    let mut queries: Vec<(String, ConversationQuery)> = Vec::new();
    let scored = scored(crowd).map(|condition| vec![Filter::is(ConversationCondition::Contact(condition))]);
    for sort in [Sort::Newest, Sort::Oldest, Sort::LongestWaiting, Sort::ClosingSoonest] {
        for after in [None, Some((1_795_000_000_000, crowd.conversation))] {
            let filters = [
                ("all", all()),
                ("tab open", ConversationQuery { tab: Some(Tab::Open), ..all() }),
                ("tab closed", ConversationQuery { tab: Some(Tab::Closed), ..all() }),
                ("status open", ConversationQuery { status: Some(StatusFilter::Open), ..all() }),
                ("mine", ConversationQuery { inbox: Some(Inbox::Mine(crowd.agent)), ..all() }),
                (
                    "mine open",
                    ConversationQuery {
                        inbox: Some(Inbox::Mine(crowd.agent)),
                        status: Some(StatusFilter::Open),
                        ..all()
                    },
                ),
                ("unassigned", ConversationQuery { inbox: Some(Inbox::Unassigned), ..all() }),
                ("team", ConversationQuery { inbox: Some(Inbox::Team(vec![crowd.team])), ..all() }),
                ("teams", ConversationQuery { teams: vec![crowd.team, TeamId::from(UuidV7.next())], ..all() }),
                ("account", ConversationQuery { accounts: vec![crowd.account], ..all() }),
                ("platform", ConversationQuery { platforms: vec!["beta".into()], ..all() }),
                ("contact", ConversationQuery { contact: Some(UuidV7.next().into()), ..all() }),
                ("window open", ConversationQuery { window: Some(WindowState::Open), ..all() }),
                ("window closed", ConversationQuery { window: Some(WindowState::Closed), ..all() }),
                ("closing", ConversationQuery { closing_before: Some(NOON + Duration::HOUR), ..all() }),
                ("tag", ConversationQuery { tags: vec!["tag-7".into(), "tag-8".into()], ..all() }),
                (
                    "score",
                    ConversationQuery { filters: vec![Filter::is(ConversationCondition::Score(vec![1, 2]))], ..all() },
                ),
                ("rare name", ConversationQuery { q: Some("family12".into()), ..all() }),
                ("common name", ConversationQuery { q: Some("mar".into()), ..all() }),
                ("two names", ConversationQuery { q: Some("mara fam".into()), ..all() }),
                ("number", ConversationQuery { q: Some("000017".into()), ..all() }),
                ("nobody", ConversationQuery { q: Some("nobody at all".into()), ..all() }),
                ("score", ConversationQuery { filters: scored[0].clone(), ..all() }),
                ("scores", ConversationQuery { filters: scored[1].clone(), ..all() }),
                ("name and tab", ConversationQuery { q: Some("mara".into()), tab: Some(Tab::Open), ..all() }),
            ];
            let narrowed = narrowed(crowd).into_iter();
            let narrowed = narrowed.map(|(name, filter)| (name, ConversationQuery { filters: vec![filter], ..all() }));
            for (name, query) in filters.map(|(name, query)| (name.to_owned(), query)).into_iter().chain(narrowed) {
                let page = if after.is_some() { "a later page" } else { "the first page" };
                queries.push((format!("{name}, {sort:?}, {page}"), ConversationQuery { sort, after, ..query }));
            }
        }
    }
    queries
}

/// Along indexes, and from the members of each set.
fn routes(wishes: &[Wish]) -> Vec<Option<usize>> {
    let sets = wishes.iter().enumerate().filter(|(_, wish)| wish.holds).map(|(at, _)| Some(at));
    std::iter::once(None).chain(sets).collect()
}

both_databases! {
    async fn no_statement_reads_a_whole_table(db: TestDatabase) {
        let crowd = crowd(&db).await;
        let (reader, is_postgres) = (crowd.storage.reader(&crowd.scope), db.is_postgres());
        let counts = reader.tab_counts(&ConversationQuery::new(NOON)).await.unwrap();
        assert_eq!(counts.closed, TabCounts::MANY, "nothing is counted beyond 10,000: {counts:?}");
        let mut statements: Vec<(String, Sql)> = Vec::new();
        for (name, query) in queries(&crowd) {
            let Some(wanted) = reader.wanted(&query).await.unwrap() else { panic!("{name}: nothing can be so") };
            let mut weighed = wanted.clone();
            let bound = reader.driven(&weighed.wishes).await.unwrap();
            let chosen = reader.smallest(&mut weighed.wishes, bound).await.unwrap();
            statements.push((format!("conversations: {name}, as chosen"), reader.page_of_conversations(&query, &weighed, chosen)));
            if wanted.closing_before.is_some() {
                let mut closing = wanted.clone();
                closing.is_closing = true;
                statements.push((format!("conversations: {name}, sorted"), reader.page_of_conversations(&query, &closing, None)));
            }
            for driver in routes(&wanted.wishes) {
                let page = reader.page_of_conversations(&query, &wanted, driver);
                statements.push((format!("conversations: {name}, from {driver:?}"), page));
                if query.sort == Sort::Newest && query.after.is_none() && wanted.tabs.is_none() {
                    let counts = reader.counts_of_conversations(&query, &wanted, driver);
                    statements.push((format!("counts: {name}, from {driver:?}"), counts));
                    let ids = reader.page_of_ids(&query, &wanted, driver, Some(crowd.conversation), 500);
                    statements.push((format!("ids: {name}, from {driver:?}"), ids));
                }
            }
        }
        for after in [None, Some((NOON - Duration::days(3), UuidV7.next().into()))] {
            let all = ContactQuery { after, limit: 50, ..ContactQuery::default() };
            let asked = |q: &str| ContactQuery { q: Some(q.into()), ..all.clone() };
            let with = |condition| ContactQuery { filters: vec![Filter::is(condition)], ..all.clone() };
            let scored = scored(&crowd).map(|condition| vec![Filter::is(condition)]);
            let contacts = [
                ("all", all.clone()),
                ("score", ContactQuery { filters: scored[0].clone(), ..all.clone() }),
                ("scores", ContactQuery { filters: scored[1].clone(), ..all.clone() }),
                ("label", ContactQuery { label: Some("label-7".into()), ..all.clone() }),
                ("blocked", ContactQuery { blocked: Some(true), ..all.clone() }),
                ("not blocked", ContactQuery { blocked: Some(false), ..all.clone() }),
                ("platform", with(ContactCondition::Platform(vec!["beta".into()]))),
                ("account", with(ContactCondition::Account(vec![crowd.rare]))),
                ("rare name", asked("family12")),
                ("common name", asked("m")),
                ("two names", asked("mara fam")),
                ("number", asked("000017")),
                ("email", asked("user-1999@")),
                ("username", asked("@user-1")),
                ("nobody", asked("nobody")),
            ];
            for (name, query) in contacts {
                let wishes = reader.wishes_of(&query).await.unwrap();
                let mut weighed = wishes.clone();
                let bound = reader.driven(&weighed).await.unwrap();
                let chosen = reader.smallest(&mut weighed, bound).await.unwrap();
                statements.push((format!("contacts: {name}, as chosen"), reader.page_of_contacts(&query, &weighed, chosen)));
                for driver in routes(&wishes) {
                    let page = reader.page_of_contacts(&query, &wishes, driver);
                    statements.push((format!("contacts: {name}, from {driver:?}"), page));
                }
            }
        }
        let before = Some((NOON, crowd.message));
        let seed = |n: usize| PersonSeed {
            identity: UuidV7.next().into(),
            contact: UuidV7.next().into(),
            account: crowd.account,
            addresses: vec![Address::new("user_id", format!("user-{n}")), Address::new("phone", n.to_string())],
            profile: Profile { name: Some("Mara".into()), ..Profile::default() },
            at: NOON,
        };
        let seeds: [PersonSeed; 32] = std::array::from_fn(|n| seed(n * 600));
        let facts = |seed: &PersonSeed| (seed.identity, transom_windows::Person::default());
        let touched = |seed: &PersonSeed| Touched {
            conversation: UuidV7.next().into(),
            identity: seed.identity,
            touch: Touch { at: NOON, direction: Direction::Inbound, by_person: false, preview: String::new() },
            window: WindowColumns::default(),
        };
        let one = seed(2);
        statements.extend([
            ("messages".to_owned(), reader.page_of_messages(crowd.conversation, None, 50)),
            ("older messages".to_owned(), reader.page_of_messages(crowd.conversation, before, 50)),
            ("history".to_owned(), reader.page_of_history(UuidV7.next().into(), None, 50)),
            ("older history".to_owned(), reader.page_of_history(UuidV7.next().into(), before, 50)),
            ("somebody of our id".to_owned(), reader.select_named(&Address::new("external_id", "c-17"))),
            ("message by the platform's id".to_owned(), reader.select_by_provider_id(crowd.account, "p17")),
            (
                "earlier messages".to_owned(),
                reader.select_answered(crowd.account, &[Earlier::Part(UuidV7.next().into()), Earlier::Message("p17")]),
            ),
            ("customer's last message".to_owned(), reader.select_last_to_answer(crowd.conversation, true).unwrap()),
            ("last message".to_owned(), reader.select_last_to_answer(crowd.conversation, false).unwrap()),
            ("last message of a person".to_owned(), reader.select_last_by_person(crowd.conversation)),
            ("ends".to_owned(), reader.select_ends_due(Moment::End, (None, NOON), 64)),
            ("ends to come".to_owned(), reader.select_ends_due(Moment::Notice, (Some(NOON), NOON + Duration::HOUR), 64)),
            ("ends to remind of".to_owned(), reader.select_ends_due(Moment::Reminder, (Some(NOON), NOON + Duration::HOUR), 64)),
            ("last word".to_owned(), reader.select_last_word(crowd.conversation)),
            ("last unanswered".to_owned(), reader.select_unanswered(crowd.conversation, NOON).unwrap()),
            ("snoozes".to_owned(), reader.select_snoozed_due(NOON, 100)),
            ("windows".to_owned(), reader.select_windows_due(NOON, 100)),
            ("other active".to_owned(), reader.select_other_active(UuidV7.next().into(), Some(crowd.conversation))),
            ("somebody of a number".to_owned(), reader.select_named(&Address::new("phone", "+49170000017"))),
            ("somebody of an id".to_owned(), reader.select_named(&Address::new("user_id", "user-17"))),
            ("one person".to_owned(), reader.select_known(&one, &one.addresses).unwrap()),
            ("many people".to_owned(), reader.select_known_by_address(&seeds)),
            ("threads".to_owned(), reader.select_threads(&seeds.each_ref().map(|seed| (seed.identity, "")))),
            ("facts".to_owned(), reader.update_facts_of(&seeds.each_ref().map(facts), NOON).unwrap()),
        ]);
        let [themselves, others] = reader.touch(&seeds.each_ref().map(touched), NOON);
        statements.extend([("touched".to_owned(), themselves), ("other threads".to_owned(), others)]);
        let mut offenders = Vec::new();
        let mut look_at = |name: &str, plan: Vec<String>| {
            if !whole_tables(&plan, is_postgres).is_empty() {
                offenders.push(format!("{name}:\n{}", plan.join("\n")));
            }
        };
        let any = if is_postgres { Some(for_any_value(&db).await) } else { None };
        for (name, statement) in statements {
            let of_values = plan(&reader, statement.clone(), is_postgres).await;
            let is_page = name.starts_with("conversations: ") || name.starts_with("contacts: ");
            if let Some(any) = any.as_ref().filter(|_| is_page) {
                let of_any = plan_for_any(any, &reader, statement).await;
                if cost(&of_any) < cost(&of_values) + PLANNING {
                    look_at(&format!("{name}, for any value"), of_any);
                }
            }
            look_at(&name, of_values);
        }
        assert!(offenders.is_empty(), "{} statements:\n{}", offenders.len(), offenders.join("\n\n"));
        names_lead_to_whoever_has_them(&reader).await;
        // The check itself would notice.
        let mut whole = Sql::of(&reader);
        whole.push("SELECT count(*) FROM conversations c WHERE c.preview = 'x' AND $1 = $1");
        assert_eq!(whole_tables(&plan(&reader, whole, is_postgres).await, is_postgres).len(), 1);
    }
}
