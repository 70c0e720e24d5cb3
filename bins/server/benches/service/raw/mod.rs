//! The raw limits: the same rows, written by hand with the databases' own drivers.

mod postgres;
mod sqlite;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};
use transom_domain::{Clock as _, SystemClock};
use transom_storage::test_support::TestDatabase;
use uuid::Uuid;

use super::world::{TEXT, name};

/// The file as the service's writer opens it.
pub fn sqlite(database: &TestDatabase) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(database.url().trim_start_matches("sqlite:"))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(std::time::Duration::from_secs(5))
}

pub fn postgres(database: &TestDatabase) -> PgConnectOptions {
    database.url().parse().unwrap()
}

const JOURNAL: &str = "INSERT INTO journal (workspace_id, id, connection_id, account_id, source, headers, body, body_hash, \
                       received_at, state, crashes) VALUES ($1, $2, $1, NULL, 'webhook', $3, $4, $5, $6, 'new', 0)";

pub async fn journal_sqlite(connection: &mut SqliteConnection, workspace: Uuid, headers: &str, body: &[u8]) {
    let (hash, now) = (Sha256::digest(body).to_vec(), now());
    let insert =
        sqlx::query(JOURNAL).bind(workspace).bind(Uuid::now_v7()).bind(headers).bind(body).bind(hash).bind(now);
    insert.execute(connection).await.unwrap();
}

pub async fn journal_postgres(connection: &mut PgConnection, workspace: Uuid, headers: &Value, body: &[u8]) {
    let (hash, now) = (Sha256::digest(body).to_vec(), now());
    let insert =
        sqlx::query(JOURNAL).bind(workspace).bind(Uuid::now_v7()).bind(headers).bind(body).bind(hash).bind(now);
    insert.execute(connection).await.unwrap();
}

fn now() -> i64 {
    i64::try_from(SystemClock.now().unix_timestamp_nanos() / 1_000_000).unwrap()
}

/// Whose messages.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    New,
    Known,
}

/// Who writes the rows of an inbound message by hand.
pub struct Hand {
    connection: Connection,
    workspace: Uuid,
    account: Uuid,
    /// The last number of an event: SQLite's writer gives them as it goes, on PostgreSQL a task does so for all.
    seq: i64,
}

enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A message with all values of its rows.
struct Rows {
    journal: Uuid,
    key: String,
    phone: String,
    contact: Uuid,
    identity: Uuid,
    conversation: Uuid,
    episode: Uuid,
    message: Uuid,
    line: Uuid,
    events: [Uuid; 3],
    profile: Value,
    profile_at: Value,
    terms: Vec<Vec<u8>>,
    addresses: Value,
    facts: String,
    author: Value,
    content: Value,
    line_content: Value,
    extra: Value,
    line_extra: Value,
    data: [Value; 3],
    summary: Value,
    now: i64,
    closes_at: i64,
}

impl Rows {
    /// The rows that the service writes, in content and size.
    fn of((customer, message): (u64, u64), journal: Uuid) -> Self {
        let (now, id) = (now(), Uuid::now_v7);
        let phone = format!("+49155{customer:08}");
        let closes_at = now + 86_400_000;
        let (identity, message_id) = (id(), id());
        let transition = json!({
            "from": { "state": "closed" }, "to": { "state": "open" }, "assigned_from": {}, "assigned_to": {},
            "by": { "type": "customer" }, "cause": "inbound", "message": message_id, "category": null,
        });
        let opening =
            json!({ "kind": "message", "at": closes_at.to_string(), "first_at": now.to_string(), "sent": [] });
        Self {
            journal,
            key: format!("wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBI3N0EyQUJCMjFEQzZCQUMz{message:08}"),
            contact: id(),
            identity,
            conversation: id(),
            episode: id(),
            message: message_id,
            line: id(),
            events: [id(), id(), id()],
            profile: json!({ "name": name(customer), "phone": phone }),
            profile_at: json!({ "name": now, "phone": now }),
            terms: vec![
                b"ncustomer".to_vec(),
                format!("nnumber{customer}").into_bytes(),
                format!("p{}", phone.trim_start_matches('+').chars().rev().collect::<String>()).into_bytes(),
            ],
            addresses: json!([{ "kind": "phone", "value": phone }]),
            facts: json!({ "wrote_before": true, "subscribed": true, "consented": true, "openings": [opening] })
                .to_string(),
            author: json!({ "type": "actor", "actor": { "type": "customer" } }),
            content: json!({ "body": { "type": "text", "text": TEXT, "attachments": [] }, "reply_to": null }),
            line_content: json!({ "body": { "type": "text", "text": "conversation.opened", "attachments": [] } }),
            extra: json!({ "group": null }),
            line_extra: json!({ "activity": "conversation.opened", "data": transition }),
            data: [json!({ "identity": identity }), transition, json!({ "message": message_id, "preview": TEXT })],
            summary: json!({ "items": 1, "quarantined": 0 }),
            phone,
            now,
            closes_at,
        }
    }
}

impl Hand {
    pub async fn open(database: &TestDatabase, workspace: Uuid, account: Uuid) -> Self {
        if database.is_postgres() {
            let connection = Connection::Postgres(postgres(database).connect().await.unwrap());
            return Self { connection, workspace, account, seq: 0 };
        }
        let mut connection = sqlite(database).connect().await.unwrap();
        let last = sqlx::query_scalar("SELECT last_seq FROM event_numberers WHERE workspace_id = $1").bind(workspace);
        let seq = last.fetch_one(&mut connection).await.unwrap();
        Self { connection: Connection::Sqlite(connection), workspace, account, seq }
    }

    pub async fn close(self) {
        match self.connection {
            Connection::Sqlite(connection) => connection.close().await.unwrap(),
            Connection::Postgres(connection) => connection.close().await.unwrap(),
        }
    }

    /// How many messages a second, a hundred a commit, as the service does it.
    pub async fn apply(&mut self, of: Of, calls: &[(u64, u64)], journal: &[Uuid]) -> f64 {
        let rows: Vec<Rows> = calls.iter().zip(journal).map(|(call, journal)| Rows::of(*call, *journal)).collect();
        let began = std::time::Instant::now();
        for rows in rows.chunks(100) {
            match &mut self.connection {
                Connection::Sqlite(connection) => {
                    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.unwrap();
                    for rows in rows {
                        let seq = self.seq;
                        self.seq += sqlite::apply(&mut transaction, self.workspace, self.account, of, rows, seq).await;
                    }
                    sqlite::numbered(&mut transaction, self.workspace, self.seq).await;
                    transaction.commit().await.unwrap();
                }
                Connection::Postgres(connection) => {
                    let mut transaction = connection.begin().await.unwrap();
                    for rows in rows {
                        postgres::apply(&mut transaction, self.workspace, self.account, of, rows).await;
                    }
                    transaction.commit().await.unwrap();
                }
            }
        }
        rows.len() as f64 / began.elapsed().as_secs_f64()
    }
}
