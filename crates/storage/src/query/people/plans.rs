//! No query walks a whole table: each statement's plan is looked at, on both databases, with 100,000 of everything.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

mod crowd;

use std::collections::BTreeSet;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};
use time::Duration;
use transom_domain::{Address, Direction, FieldValue, Ids, Profile, Tab, TeamId, UuidV7};
use uuid::Uuid;

use self::crowd::{Crowd, crowd};
use super::search;
use super::sets::{Set, Wish};
use super::statement::Sql;
use super::{
    Comparison, ContactCondition, ContactQuery, ConversationCondition, ConversationQuery, Earlier, FieldTest, Filter,
    Inbox, Moment, PersonSeed, Sort, StatusFilter, TabCounts, Touch, Touched, WindowColumns, WindowState,
};
use crate::Reader;
use crate::both_databases;
use crate::test_support::{NOON, TestDatabase};

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
        let mut for_any = 0;
        let any = if is_postgres { Some(for_any_value(&db).await) } else { None };
        for (name, statement) in statements {
            let of_values = plan(&reader, statement.clone(), is_postgres).await;
            let is_page = name.starts_with("conversations: ") || name.starts_with("contacts: ");
            if let Some(any) = any.as_ref().filter(|_| is_page) {
                let of_any = plan_for_any(any, &reader, statement).await;
                if cost(&of_any) < cost(&of_values) + PLANNING {
                    for_any += 1;
                    look_at(&format!("{name}, for any value"), of_any);
                }
            }
            look_at(&name, of_values);
        }
        assert!(offenders.is_empty(), "{} statements:\n{}", offenders.len(), offenders.join("\n\n"));
        assert!(for_any > 100 || !is_postgres, "only {for_any} plans for any value were looked at");
        names_lead_to_whoever_has_them(&reader).await;
        // The check itself would notice.
        let mut whole = Sql::of(&reader);
        whole.push("SELECT count(*) FROM conversations c WHERE c.preview = 'x' AND $1 = $1");
        assert_eq!(whole_tables(&plan(&reader, whole, is_postgres).await, is_postgres).len(), 1);
    }
}
