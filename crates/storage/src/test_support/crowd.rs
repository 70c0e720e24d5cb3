//! A workspace of any size, made as the service makes it: for benches and for trying out lists.
//!
//! Names of many scripts, some of them very common; most conversations closed, a few waiting; a year of activity, denser towards
//! the present. The same size gives the same workspace, but for its ids.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, Value};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_domain::{
    Actor, Address, Agent, AgentId, Assignment, Author, ChannelAccount, ChannelAccountId, Connection, ConnectionId,
    ContactId, Content, Conversation, ConversationId, Direction, EpisodeId, Message, MessageKind, Profile, Role,
    Status, Team, TeamId, UuidV7,
};
use transom_windows::Person;

use crate::query::Sql;
use crate::{
    NewConversation, NewMessage, PersonSeed, Reader, Storage, StorageError, Touch, Tx, WindowColumns, WorkspaceScope,
};

/// How many people one transaction stores.
const BATCH: usize = 512;
/// First names: the first of them is that of three people in ten.
const FIRST: [&str; 24] = [
    "Maria",
    "José",
    "Anna",
    "Müller-Ann",
    "Oleg",
    "Łukasz",
    "Zoë",
    "Nguyễn",
    "Иван",
    "Мария",
    "Γιώργος",
    "אברהם",
    "محمد",
    "किरण",
    "สมชาย",
    "小明",
    "美咲",
    "민준",
    "Ève",
    "Ángel",
    "Priya",
    "Ole",
    "Xochitl",
    "Wolfgang",
];
const LAST: [&str; 20] = [
    "Silva",
    "Klein",
    "Groß",
    "Nowak",
    "Ivanova",
    "Иванова",
    "Παπαδόπουλος",
    "כהן",
    "حسن",
    "मेहता",
    "ใจดี",
    "王",
    "佐藤",
    "김",
    "O’Neill",
    "Smith",
    "García",
    "Dubois",
    "Hansen",
    "Ångström",
];
/// Labels and tags, and on how many of a million each is: each on a third as many as the one before. The last is as frequent as those of
/// which lists take longest at a million: too rare to be met soon, and too common to be looked up quickly.
const MARKS: [(&str, usize); 9] = [
    ("first", 300_000),
    ("second", 100_000),
    ("third", 33_333),
    ("fourth", 11_111),
    ("fifth", 3_703),
    ("sixth", 1_234),
    ("seventh", 411),
    ("eighth", 137),
    ("hardest", 2_400),
];

/// What a crowd consists of, besides its contacts.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// Its accounts, of falling size: the first two of one platform, where they were made with it.
    pub accounts: Vec<ChannelAccountId>,
    /// Its agents.
    pub agents: Vec<AgentId>,
    /// Its teams.
    pub teams: Vec<TeamId>,
}

/// The names of labels and tags, the most frequent first; but for the last.
pub fn marks() -> [&'static str; 9] {
    MARKS.map(|(mark, _)| mark)
}

/// Fills an empty workspace with so many contacts, a conversation each, and so many messages in every conversation, over accounts
/// of platforms that there are not.
///
/// # Errors
/// When the database fails.
pub async fn fill(
    storage: &Storage,
    scope: &WorkspaceScope,
    (contacts, messages): (usize, usize),
    now: OffsetDateTime,
) -> Result<Crowd, StorageError> {
    const PLATFORMS: [&str; 4] = ["alpha", "alpha", "beta", "gamma"];
    let over = PLATFORMS.map(|platform| (ChannelAccountId::new(&UuidV7), format!("{platform}@1")));
    let made = over.clone();
    storage
        .transact::<_, StorageError, _>(scope, move |tx| {
            let made = made.clone();
            Box::pin(async move {
                for (at, (platform, (id, _))) in PLATFORMS.into_iter().zip(made).enumerate() {
                    let connection =
                        Connection { id: ConnectionId::new(&UuidV7), platform: platform.into(), name: platform.into() };
                    tx.put_connection(&connection, &json!({}), now).await?;
                    tx.put_account(&account(id, connection.id, platform, at), now).await?;
                }
                Ok(())
            })
        })
        .await?;
    fill_over(storage, scope, &over, (contacts, messages), now).await
}

/// The same over four accounts that there are, the first of them the largest, each with what windows are derived by there
/// (`policy@version`).
///
/// # Errors
/// When the database fails.
pub async fn fill_over(
    storage: &Storage,
    scope: &WorkspaceScope,
    over: &[(ChannelAccountId, String); 4],
    (contacts, messages): (usize, usize),
    now: OffsetDateTime,
) -> Result<Crowd, StorageError> {
    let ids = &UuidV7;
    let crowd = Crowd {
        accounts: over.iter().map(|(account, _)| *account).collect(),
        agents: (0..20).map(|_| AgentId::new(ids)).collect(),
        teams: (0..3).map(|_| TeamId::new(ids)).collect(),
    };
    let (of, workspace) = (crowd.clone(), scope.workspace());
    storage
        .transact::<_, StorageError, _>(scope, move |tx| {
            let crowd = of.clone();
            Box::pin(async move {
                for (at, id) in crowd.agents.iter().enumerate() {
                    let agent =
                        Agent { id: *id, workspace, name: format!("Agent {at}"), alias: None, role: Role::Agent };
                    tx.put_agent(&agent, true, now).await?;
                }
                for (at, id) in crowd.teams.iter().enumerate() {
                    tx.put_team(&Team { id: *id, name: format!("Team {at}") }, now).await?;
                }
                for mark in marks() {
                    tx.create_tag(mark, now).await?;
                }
                Ok(())
            })
        })
        .await?;
    for first in (0..contacts).step_by(BATCH) {
        let people = first..contacts.min(first + BATCH);
        let (crowd, over) = (crowd.clone(), over.clone());
        storage
            .transact::<_, StorageError, _>(scope, move |tx| {
                let (crowd, over, people) = (crowd.clone(), over.clone(), people.clone());
                Box::pin(async move { store(tx, &crowd, &over, people, (contacts, messages), now).await })
            })
            .await?;
    }
    Ok(crowd)
}

/// Lets the database look at what it holds, as it does by itself in time.
///
/// # Errors
/// When the database fails.
pub async fn analyse(storage: &Storage, url: &str) -> Result<(), StorageError> {
    if !url.starts_with("postgres") {
        storage.execute(Sql::new("ANALYZE").on(storage.db())).await?;
        return Ok(());
    }
    // On a connection of its own: it may take longer than a statement of the service may.
    let failed = |error: sqlx::Error| StorageError::Database(error.to_string());
    let pool = sqlx::PgPool::connect(url).await.map_err(failed)?;
    sqlx::query("VACUUM ANALYZE").execute(&pool).await.map_err(failed)?;
    pool.close().await;
    Ok(())
}

impl Crowd {
    /// The crowd of a workspace that was filled before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(reader: &Reader) -> Result<Self, StorageError> {
        let mut accounts = reader.accounts().await?;
        accounts.sort_by(|one, other| one.external_key.cmp(&other.external_key));
        Ok(Self {
            accounts: accounts.into_iter().map(|account| account.id).collect(),
            agents: reader.agents().await?.into_iter().map(|stored| stored.agent.id).collect(),
            teams: reader.teams().await?.into_iter().map(|team| team.id).collect(),
        })
    }
}

fn account(id: ChannelAccountId, connection: ConnectionId, platform: &str, at: usize) -> ChannelAccount {
    ChannelAccount {
        id,
        connection,
        platform: platform.into(),
        policy: platform.into(),
        name: format!("{platform} {at}"),
        external_key: at.to_string(),
        features: BTreeSet::new(),
        limits: BTreeMap::new(),
        quota_group: None,
        country: None,
        enabled: true,
        suspended: None,
        removed_at: None,
    }
}

/// A number that looks like any other (splitmix64).
fn roll(of: usize, salt: u64) -> usize {
    let mut z = (of as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((z ^ (z >> 31)) >> 16).unwrap_or_default()
}

/// One of a list: the first in three of ten cases, of the rest each as often.
fn pick<T: Copy>(list: &[T], roll: usize) -> Option<T> {
    if roll % 10 < 3 { list.first().copied() } else { list.get(1 + roll / 10 % (list.len() - 1)).copied() }
}

/// The marks that somebody has.
fn marks_of(of: usize, salt: u64) -> Vec<String> {
    let has = |(at, (_, share)): &(usize, (&str, usize))| roll(of, salt + *at as u64) % 1_000_000 < *share;
    MARKS.into_iter().enumerate().filter(has).map(|(_, (mark, _))| mark.to_owned()).collect()
}

async fn store(
    tx: &Tx,
    crowd: &Crowd,
    over: &[(ChannelAccountId, String); 4],
    people: std::ops::Range<usize>,
    (all, messages): (usize, usize),
    now: OffsetDateTime,
) -> Result<(), StorageError> {
    let ids = &UuidV7;
    let (mut seeds, mut conversations, mut written) = (Vec::new(), Vec::new(), Vec::new());
    let (mut tags, mut labels) = (Vec::new(), Vec::new());
    for n in people {
        let (contact, conversation) = (ContactId::new(ids), ConversationId::new(ids));
        let [first, second, third, fourth] = over;
        let (account, version) = match roll(n, 1) % 100 {
            0..60 => first,
            60..85 => second,
            85..99 => third,
            _ => fourth,
        };
        let account = *account;
        // A family name of its own for one in fifty: rare names.
        let (first, last) = (pick(&FIRST, roll(n, 2)), pick(&LAST, roll(n, 3)));
        let last = if n % 50 == 0 { format!("Rarename{n}") } else { last.unwrap_or_default().to_owned() };
        let profile = Profile {
            name: Some(format!("{} {last}", first.unwrap_or_default())),
            phone: Some(format!("+49155{n:08}")),
            email: Some(format!("user{n}@example.org")),
            username: Some(format!("user_{n}")),
            ..Profile::default()
        };
        // A year, the last weeks busier.
        let share = f64::from(u32::try_from(roll(n, 4) % 1_000_000).unwrap_or_default()) / 1_000_000.0;
        let at = transom_domain::truncate_to_millis(now - Duration::days(365) * (share * share));
        let seed = PersonSeed {
            identity: transom_domain::IdentityId::new(ids),
            contact,
            account,
            addresses: vec![Address::new("user_id", format!("id-{n}"))],
            profile,
            at,
        };
        let (status, assignment) = match roll(n, 5) % 100 {
            0..3 => (Status::Open, Assignment::default()),
            3..8 => {
                let team = crowd.teams.get(roll(n, 6) % crowd.teams.len()).copied();
                (Status::Open, Assignment { agent: pick(&crowd.agents, roll(n, 7)), team })
            }
            8..10 => (Status::Snoozed { until: now + Duration::days(3) }, Assignment::default()),
            _ => (Status::Closed, Assignment::default()),
        };
        let closes_at = at + Duration::DAY;
        conversations.push(NewConversation {
            conversation: Conversation {
                id: conversation,
                identity: seed.identity,
                thread: String::new(),
                status,
                assignment,
                episode: EpisodeId::new(ids),
                episodes: 1,
                status_since: at,
            },
            contact,
            account,
            touch: Touch { at, direction: Direction::Inbound, by_person: false, preview: "Where is my order?".into() },
            window: WindowColumns {
                closes_at: Some(closes_at),
                free_form_until: (closes_at > now).then_some(closes_at),
                policy_version: version.clone(),
                recompute_at: (closes_at > now).then_some(closes_at),
                ends_at: (closes_at > now).then_some(closes_at),
            },
        });
        for message in 0..messages {
            let at = at - Duration::minutes(i64::try_from(message).unwrap_or_default());
            let message = Message {
                id: transom_domain::MessageId::new(ids),
                conversation,
                kind: MessageKind::Reply,
                direction: Direction::Inbound,
                author: Author::Actor(Actor::Customer),
                content: Content::text("Where is my order?"),
                state: None,
                at,
            };
            let new = NewMessage {
                provider_id: Some(format!("in-{}", message.id)),
                message,
                account,
                identity: seed.identity,
                reply_to: None,
                payload: None,
                permit: None,
                extra: json!({}),
            };
            written.push((new, contact));
        }
        tags.extend(marks_of(n + all, 20).into_iter().map(|tag| (conversation, tag)));
        labels.extend(marks_of(n, 40).into_iter().map(|label| (contact, label)));
        seeds.push((seed, Person::default()));
    }
    tx.insert_people(&seeds, now).await?;
    tx.insert_conversations(&conversations, now).await?;
    tx.insert_messages(&written, now).await?;
    // Nobody waits in a closed conversation.
    let closed =
        conversations.iter().map(|new| &new.conversation).filter(|stored| matches!(stored.status, Status::Closed));
    let mut settled =
        Sql::new("UPDATE conversations SET waiting_since = NULL, last_answer_at = active_at WHERE workspace_id = ");
    settled.bind(tx.ws()).push(" AND id IN ").list(closed.map(|stored| stored.id.uuid()));
    tx.conn.execute_raw(settled.on(&tx.conn)).await?;
    for (into, rows) in [
        (
            "conversation_tags (workspace_id, conversation_id, tag, added_at)",
            tags.iter()
                .map(|(id, tag)| vec![tx.ws().into(), id.uuid().into(), tag.as_str().into(), crate::query::millis(now)])
                .collect::<Vec<Vec<Value>>>(),
        ),
        (
            "contact_labels (workspace_id, contact_id, label)",
            labels.iter().map(|(id, label)| vec![tx.ws().into(), id.uuid().into(), label.as_str().into()]).collect(),
        ),
    ] {
        for rows in rows.chunks(64) {
            let mut statement = Sql::new(format!("INSERT INTO {into} VALUES "));
            statement.rows(rows.iter().cloned());
            tx.conn.execute_raw(statement.on(&tx.conn)).await?;
        }
    }
    Ok(())
}
