//! One statement a message: common table expressions write one table each.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::world::TEXT;
use super::{Of, Rows};

const NEW: &str = r"
WITH seen AS (
    INSERT INTO dedupe_keys (workspace_id, account_id, event_key, seen_at, kept_until)
    VALUES ($1, $2, $3, $4, NULL) ON CONFLICT DO NOTHING RETURNING 1
), address AS (
    INSERT INTO identity_addresses (workspace_id, account_id, kind, value, identity_id)
    SELECT $1, $2, 'phone', $5, $6 FROM seen ON CONFLICT DO NOTHING RETURNING 1
), contact AS (
    INSERT INTO contacts (workspace_id, id, profile, profile_at, profile_until, blocked, version, created_at, updated_at)
    SELECT $1, $7, $8, $9, $4, false, 1, $4, $4 FROM address
), terms AS (
    INSERT INTO contact_terms (workspace_id, term, contact_id) SELECT $1, term, $7 FROM address, unnest($10::bytea[]) AS term
), identity AS (
    INSERT INTO identities (workspace_id, id, contact_id, account_id, addresses, facts, created_at, updated_at)
    SELECT $1, $6, $7, $2, $11, $12, $4, $4 FROM address
), conversation AS (
    INSERT INTO conversations (workspace_id, id, identity_id, contact_id, account_id, thread, status, tab, episode_id, episodes,
        status_since, window_closes_at, free_form_until, closing_at, window_policy_version, window_recompute_at, active_at,
        last_message_at, last_inbound_at, waiting_since, preview, version, created_at, updated_at)
    SELECT $1, $13, $6, $7, $2, '', 'open', 'open', $14, 1, $4, $15, $15, $15, 'whatsapp@1', $15, $4, $4, $4, $4, $16, 1, $4, $4
    FROM address
), episode AS (
    INSERT INTO episodes (workspace_id, id, conversation_id, number, opened_at, opened_by, cause, cause_message_id)
    SELECT $1, $14, $13, 1, $4, $17, 'inbound', $18 FROM address
), messages AS (
    INSERT INTO messages (workspace_id, id, conversation_id, contact_id, identity_id, account_id, kind, direction, author,
        content, provider_id, reply_to, extra, at, stored_at)
    SELECT $1, $18, $13, $7, $6, $2, 'reply', 'inbound', $17, $19, $3, NULL::uuid, $20, $4, $4 FROM address
    UNION ALL SELECT $1, $21, $13, $7, $6, $2, 'activity', 'internal', $17, $22, NULL, $18, $23, $4, $4 FROM address
), events AS (
    INSERT INTO events (workspace_id, id, kind, conversation_id, contact_id, data, at)
    SELECT $1, $24, 'contact.created', NULL::uuid, $7, $25, $4 FROM address
    UNION ALL SELECT $1, $26, 'conversation.opened', $13, $7, $27, $4 FROM address
    UNION ALL SELECT $1, $28, 'message.received', $13, $7, $29, $4 FROM address
)
UPDATE journal SET state = 'applied', applied_at = $4, summary = $30 WHERE workspace_id = $1 AND id = $31 AND state = 'new'
";

const KNOWN: &str = r"
WITH seen AS (
    INSERT INTO dedupe_keys (workspace_id, account_id, event_key, seen_at, kept_until)
    VALUES ($1, $2, $3, $4, NULL) ON CONFLICT DO NOTHING RETURNING 1
), person AS MATERIALIZED (
    SELECT i.id, i.contact_id FROM seen CROSS JOIN LATERAL (
        SELECT a.identity_id FROM identity_addresses a
        WHERE a.workspace_id = $1 AND a.account_id = $2 AND a.kind = 'phone' AND a.value = $5
    ) a CROSS JOIN LATERAL (
        SELECT i.id, i.contact_id FROM identities i WHERE i.workspace_id = $1 AND i.id = a.identity_id FOR NO KEY UPDATE
    ) i
), told AS (
    UPDATE contacts c SET profile_at = $6, profile_until = $4 FROM person
    WHERE c.workspace_id = $1 AND c.id = person.contact_id
), facts AS (
    UPDATE identities i SET facts = $7, updated_at = $4 FROM person WHERE i.workspace_id = $1 AND i.id = person.id
), conversation AS (
    UPDATE conversations c SET window_closes_at = $8, free_form_until = $8, closing_at = $8, window_policy_version =
        'whatsapp@1', window_recompute_at = $8, active_at = $4, last_message_at = $4, last_inbound_at = $4, waiting_since =
        coalesce(waiting_since, $4), preview = $9, updated_at = $4
    FROM person WHERE c.workspace_id = $1 AND c.identity_id = person.id AND c.thread = ''
    RETURNING c.id, person.id AS identity_id, c.contact_id
), messages AS (
    INSERT INTO messages (workspace_id, id, conversation_id, contact_id, identity_id, account_id, kind, direction, author,
        content, provider_id, extra, at, stored_at)
    SELECT $1, $10, id, contact_id, identity_id, $2, 'reply', 'inbound', $11, $12, $3, $13, $4, $4 FROM conversation
), events AS (
    INSERT INTO events (workspace_id, id, kind, conversation_id, contact_id, data, at)
    SELECT $1, $14, 'message.received', id, contact_id, $15, $4 FROM conversation
)
UPDATE journal SET state = 'applied', applied_at = $4, summary = $16 WHERE workspace_id = $1 AND id = $17 AND state = 'new'
";

pub async fn apply(connection: &mut PgConnection, workspace: Uuid, account: Uuid, of: Of, rows: &Rows) {
    let first = |text| sqlx::query(text).bind(workspace).bind(account).bind(&rows.key).bind(rows.now).bind(&rows.phone);
    let statement = match of {
        Of::New => first(NEW)
            .bind(rows.identity)
            .bind(rows.contact)
            .bind(&rows.profile)
            .bind(&rows.profile_at)
            .bind(&rows.terms)
            .bind(&rows.addresses)
            .bind(&rows.facts)
            .bind(rows.conversation)
            .bind(rows.episode)
            .bind(rows.closes_at)
            .bind(TEXT)
            .bind(&rows.author)
            .bind(rows.message)
            .bind(&rows.content)
            .bind(&rows.extra)
            .bind(rows.line)
            .bind(&rows.line_content)
            .bind(&rows.line_extra)
            .bind(rows.events[0])
            .bind(&rows.data[0])
            .bind(rows.events[1])
            .bind(&rows.data[1])
            .bind(rows.events[2])
            .bind(&rows.data[2]),
        Of::Known => first(KNOWN)
            .bind(&rows.profile_at)
            .bind(&rows.facts)
            .bind(rows.closes_at)
            .bind(TEXT)
            .bind(rows.message)
            .bind(&rows.author)
            .bind(&rows.content)
            .bind(&rows.extra)
            .bind(rows.events[0])
            .bind(&rows.data[2]),
    };
    let done = statement.bind(&rows.summary).bind(rows.journal).execute(connection).await.unwrap();
    assert_eq!(done.rows_affected(), 1, "the call waited");
}
