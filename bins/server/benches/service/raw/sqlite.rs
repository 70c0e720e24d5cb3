//! One prepared statement a table: SQLite has none that writes several.

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteArguments;
use uuid::Uuid;

use super::super::world::TEXT;
use super::{Of, Rows};

const SEEN: &str = "INSERT INTO dedupe_keys (workspace_id, account_id, event_key, seen_at) VALUES ($1, $2, $3, $4) ON CONFLICT \
                    DO NOTHING";
const CONTACT: &str = "INSERT INTO contacts (workspace_id, id, profile, profile_at, profile_until, blocked, version, created_at, \
                       updated_at) VALUES ($1, $2, $3, $4, $5, 0, 1, $5, $5)";
const TERMS: &str =
    "INSERT INTO contact_terms (workspace_id, term, contact_id) VALUES ($1, $2, $5), ($1, $3, $5), ($1, $4, $5)";
const IDENTITY: &str = "INSERT INTO identities (workspace_id, id, contact_id, account_id, addresses, facts, created_at, \
                        updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
const ADDRESS: &str = "INSERT INTO identity_addresses (workspace_id, account_id, kind, value, identity_id) VALUES ($1, $2, \
                       'phone', $3, $4)";
const CONVERSATION: &str = "INSERT INTO conversations (workspace_id, id, identity_id, contact_id, account_id, thread, status, \
                            tab, episode_id, episodes, status_since, window_closes_at, free_form_until, closing_at, \
                            window_policy_version, window_recompute_at, active_at, last_message_at, last_inbound_at, \
                            waiting_since, preview, version, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, '', 'open', \
                            'open', $6, 1, $7, $8, $8, $8, 'whatsapp@1', $8, $7, $7, $7, $7, $9, 1, $7, $7)";
const EPISODE: &str = "INSERT INTO episodes (workspace_id, id, conversation_id, number, opened_at, opened_by, cause, \
                       cause_message_id) VALUES ($1, $2, $3, 1, $4, $5, 'inbound', $6)";
const MESSAGES: &str = "INSERT INTO messages (workspace_id, id, conversation_id, contact_id, identity_id, account_id, kind, \
                        direction, author, content, provider_id, reply_to, extra, at, stored_at) VALUES ($1, $2, $3, $4, $5, $6, \
                        'reply', 'inbound', $7, $8, $9, NULL, $10, $11, $11), ($1, $12, $3, $4, $5, $6, 'activity', 'internal', \
                        $7, $13, NULL, $2, $14, $11, $11)";
const EVENTS: &str = "INSERT INTO events (workspace_id, id, seq, kind, conversation_id, contact_id, data, at) VALUES ($1, $2, $3, \
                      'contact.created', NULL, $4, $5, $6), ($1, $7, $3 + 1, 'conversation.opened', $8, $4, $9, $6), ($1, $10, \
                      $3 + 2, 'message.received', $8, $4, $11, $6)";
const APPLIED: &str = "UPDATE journal SET state = 'applied', applied_at = $1, summary = $2 WHERE workspace_id = $3 AND id = $4 AND \
                       state = 'new'";

const PERSON: &str = "SELECT i.id, i.contact_id, c.id FROM identity_addresses a JOIN identities i ON i.workspace_id = $1 AND i.id = \
                      a.identity_id JOIN conversations c ON c.workspace_id = $1 AND c.identity_id = i.id AND c.thread = '' WHERE \
                      a.workspace_id = $1 AND a.account_id = $2 AND a.kind = 'phone' AND a.value = $3";
const TOLD: &str = "UPDATE contacts SET profile_at = $1, profile_until = $2 WHERE workspace_id = $3 AND id = $4";
const FACTS: &str = "UPDATE identities SET facts = $1, updated_at = $2 WHERE workspace_id = $3 AND id = $4";
const TOUCHED: &str = "UPDATE conversations SET window_closes_at = $1, free_form_until = $1, closing_at = $1, \
                       window_policy_version = 'whatsapp@1', window_recompute_at = $1, active_at = $2, last_message_at = $2, \
                       last_inbound_at = $2, waiting_since = coalesce(waiting_since, $2), preview = $3, updated_at = $2 WHERE \
                       workspace_id = $4 AND id = $5";
const MESSAGE: &str = "INSERT INTO messages (workspace_id, id, conversation_id, contact_id, identity_id, account_id, kind, \
                       direction, author, content, provider_id, extra, at, stored_at) VALUES ($1, $2, $3, $4, $5, $6, 'reply', \
                       'inbound', $7, $8, $9, $10, $11, $11)";
const EVENT: &str = "INSERT INTO events (workspace_id, id, seq, kind, conversation_id, contact_id, data, at) VALUES ($1, $2, $3, \
                     'message.received', $4, $5, $6, $7)";

type Statement<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

/// Writes a message and gives back how many events were numbered from `seq` on.
pub async fn apply(
    connection: &mut SqliteConnection,
    workspace: Uuid,
    account: Uuid,
    of: Of,
    rows: &Rows,
    seq: i64,
) -> i64 {
    let [author, content, extra] = [&rows.author, &rows.content, &rows.extra].map(ToString::to_string);
    let [created, opened, received] = rows.data.each_ref().map(ToString::to_string);
    let profile_at = rows.profile_at.to_string();
    run(connection, sqlx::query(SEEN).bind(workspace).bind(account).bind(&rows.key).bind(rows.now)).await;
    let events = match of {
        Of::New => {
            let Rows { contact, identity, conversation, now, .. } = *rows;
            let contact_row = sqlx::query(CONTACT).bind(workspace).bind(contact).bind(rows.profile.to_string());
            run(connection, contact_row.bind(profile_at).bind(now)).await;
            let terms = rows.terms.iter().fold(sqlx::query(TERMS).bind(workspace), sqlx::query::Query::bind);
            run(connection, terms.bind(contact)).await;
            let row = sqlx::query(IDENTITY).bind(workspace).bind(identity).bind(contact).bind(account);
            run(connection, row.bind(rows.addresses.to_string()).bind(&rows.facts).bind(now)).await;
            let row = sqlx::query(ADDRESS).bind(workspace).bind(account).bind(&rows.phone).bind(identity);
            run(connection, row).await;
            let row = sqlx::query(CONVERSATION).bind(workspace).bind(conversation).bind(identity).bind(contact);
            run(connection, row.bind(account).bind(rows.episode).bind(now).bind(rows.closes_at).bind(TEXT)).await;
            let row = sqlx::query(EPISODE).bind(workspace).bind(rows.episode).bind(conversation).bind(now);
            run(connection, row.bind(&author).bind(rows.message)).await;
            let row = sqlx::query(MESSAGES).bind(workspace).bind(rows.message).bind(conversation).bind(contact);
            let row =
                row.bind(identity).bind(account).bind(&author).bind(&content).bind(&rows.key).bind(&extra).bind(now);
            let line = row.bind(rows.line).bind(rows.line_content.to_string()).bind(rows.line_extra.to_string());
            run(connection, line).await;
            let row =
                sqlx::query(EVENTS).bind(workspace).bind(rows.events[0]).bind(seq + 1).bind(contact).bind(created);
            let row = row.bind(now).bind(rows.events[1]).bind(conversation).bind(opened).bind(rows.events[2]);
            run(connection, row.bind(received)).await;
            3
        }
        Of::Known => {
            let now = rows.now;
            let find = sqlx::query_as(PERSON).bind(workspace).bind(account).bind(&rows.phone);
            let (identity, contact, conversation): (Uuid, Uuid, Uuid) = find.fetch_one(&mut *connection).await.unwrap();
            run(connection, sqlx::query(TOLD).bind(profile_at).bind(now).bind(workspace).bind(contact)).await;
            run(connection, sqlx::query(FACTS).bind(&rows.facts).bind(now).bind(workspace).bind(identity)).await;
            let row = sqlx::query(TOUCHED).bind(rows.closes_at).bind(now).bind(TEXT).bind(workspace).bind(conversation);
            run(connection, row).await;
            let row = sqlx::query(MESSAGE).bind(workspace).bind(rows.message).bind(conversation).bind(contact);
            let row = row.bind(identity).bind(account).bind(&author).bind(&content).bind(&rows.key).bind(&extra);
            run(connection, row.bind(now)).await;
            let row = sqlx::query(EVENT).bind(workspace).bind(rows.events[0]).bind(seq + 1).bind(conversation);
            run(connection, row.bind(contact).bind(received).bind(now)).await;
            1
        }
    };
    let row = sqlx::query(APPLIED).bind(rows.now).bind(rows.summary.to_string()).bind(workspace).bind(rows.journal);
    run(connection, row).await;
    events
}

async fn run(connection: &mut SqliteConnection, statement: Statement<'_>) {
    assert_ne!(statement.execute(connection).await.unwrap().rows_affected(), 0);
}

/// Notes the last number that was given.
pub async fn numbered(connection: &mut SqliteConnection, workspace: Uuid, seq: i64) {
    let update = "UPDATE event_numberers SET last_seq = $1 WHERE workspace_id = $2";
    run(connection, sqlx::query(update).bind(seq).bind(workspace)).await;
}
