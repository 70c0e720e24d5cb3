//! What an earlier version stored is still found after an upgrade.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use sea_orm::{ConnectionTrait, Database, Value};
use sea_orm_migration::MigratorTrait;
use serde_json::json;
use time::Duration;
use transom_domain::{Ids, Settings, UuidV7};

use super::Migrator;
use crate::both_databases;
use crate::query::{Sql, millis};
use crate::test_support::{NOON, TestDatabase};
use crate::{ConversationQuery, Sort, Storage, WindowColumns, WindowState};

/// The migration that gave windows an end of their own.
const MOMENTS: &str = "m0021_moments";

both_databases! {
    /// Whichever of its two ends is still to come, and if it has none.
    async fn windows_that_were_open_before_an_upgrade_are_found_after_it(db: TestDatabase) {
        // Its folder is made.
        Storage::open(db.config()).await.unwrap().close().await.unwrap();
        let raw = Database::connect(db.url()).await.unwrap();
        let before = Migrator::migrations().iter().position(|migration| migration.name() == MOMENTS).unwrap();
        Migrator::up(&raw, Some(u32::try_from(before).unwrap())).await.unwrap();

        let [workspace, connection, account] = std::array::from_fn(|_| UuidV7.next());
        let (at, later, over) = (millis(NOON), NOON + Duration::HOUR, NOON - Duration::HOUR);
        let (empty, name) = (Value::from(json!({})), Value::from("a"));
        let mut rows: Vec<(&str, &str, Vec<Value>)> = vec![
            (
                "workspaces",
                "id, name, settings, version, created_at",
                vec![workspace.into(), name.clone(), json!(Settings::default()).into(), 1_i64.into(), at.clone()],
            ),
            (
                "connections",
                "workspace_id, id, platform, name, settings, secret_hints, created_at, updated_at",
                vec![
                    workspace.into(),
                    connection.into(),
                    name.clone(),
                    name.clone(),
                    empty.clone(),
                    empty.clone(),
                    at.clone(),
                    at.clone(),
                ],
            ),
            (
                "channel_accounts",
                "workspace_id, id, connection_id, platform, policy, name, external_key, features, limits, enabled, created_at, \
                 updated_at",
                vec![
                    workspace.into(),
                    account.into(),
                    connection.into(),
                    name.clone(),
                    name.clone(),
                    name.clone(),
                    name.clone(),
                    json!([]).into(),
                    empty.clone(),
                    true.into(),
                    at.clone(),
                    at.clone(),
                ],
            ),
        ];
        let mut terms = Vec::new();
        let ends = [
            (Some(over), Some(over)),
            (Some(later), Some(over)),
            (Some(over), Some(later)),
            (Some(later), None),
            (Some(WindowColumns::NEVER), Some(over)),
            (Some(WindowColumns::NEVER), Some(WindowColumns::NEVER)),
        ];
        for (closes_at, free_form_until) in ends {
            let [contact, identity, conversation, episode] = std::array::from_fn(|_| UuidV7.next());
            let instant = |end: Option<time::OffsetDateTime>| end.map_or(Value::BigInt(None), millis);
            rows.push((
                "contacts",
                "workspace_id, id, profile, profile_at, profile_until, blocked, version, created_at, updated_at",
                vec![
                    workspace.into(),
                    contact.into(),
                    empty.clone(),
                    empty.clone(),
                    at.clone(),
                    false.into(),
                    1_i64.into(),
                    at.clone(),
                    at.clone(),
                ],
            ));
            for term in ["emara@example.org", "nklein", "nmara"] {
                let row = vec![workspace.into(), term.as_bytes().into(), contact.into()];
                terms.push(("contact_terms", "workspace_id, term, contact_id", row));
            }
            rows.push((
                "identities",
                "workspace_id, id, contact_id, account_id, addresses, facts, created_at, updated_at",
                vec![
                    workspace.into(),
                    identity.into(),
                    contact.into(),
                    account.into(),
                    json!([]).into(),
                    "".into(),
                    at.clone(),
                    at.clone(),
                ],
            ));
            rows.push((
                "conversations",
                "workspace_id, id, identity_id, contact_id, account_id, thread, status, tab, episode_id, episodes, status_since, \
                 window_closes_at, free_form_until, closing_at, window_policy_version, active_at, version, created_at, updated_at",
                vec![
                    workspace.into(),
                    conversation.into(),
                    identity.into(),
                    contact.into(),
                    account.into(),
                    "".into(),
                    "open".into(),
                    "open".into(),
                    episode.into(),
                    1_i64.into(),
                    at.clone(),
                    instant(closes_at),
                    instant(free_form_until),
                    instant([closes_at, free_form_until].into_iter().flatten().min()),
                    "a@1".into(),
                    at.clone(),
                    1_i64.into(),
                    at.clone(),
                    at.clone(),
                ],
            ));
        }
        rows.extend(terms);
        for (table, columns, row) in rows {
            let mut insert = Sql::new(format!("INSERT INTO {table} ({columns}) VALUES "));
            insert.list(row);
            raw.execute_raw(insert.on(&raw)).await.unwrap();
        }
        raw.close().await.unwrap();

        let storage = db.open().await;
        let scope = storage.all_scopes().await.unwrap().remove(0);
        let query = ConversationQuery { window: Some(WindowState::Open), sort: Sort::Oldest, ..ConversationQuery::new(NOON) };
        let found = storage.reader(&scope).conversations(&query).await.unwrap();
        let mut open: Vec<_> = found.iter().map(|stored| (stored.window.closes_at, stored.window.free_form_until)).collect();
        let mut expected = ends[1..].to_vec();
        open.sort_unstable();
        expected.sort_unstable();
        assert_eq!(open, expected);
        // Names of two words, stored before there were couples or marks.
        for (q, count) in [("mara klein", ends.len()), ("kl mar", ends.len()), ("mara kleist", 0), ("mara@ex", ends.len())] {
            let query = ConversationQuery { q: Some(q.into()), ..ConversationQuery::new(NOON) };
            assert_eq!(storage.reader(&scope).conversations(&query).await.unwrap().len(), count, "{q}");
        }
    }
}

/// Lists are read from indexes alone where VACUUM was lately.
#[tokio::test]
async fn postgresql_vacuums_what_lists_read_often() {
    let Some(db) = TestDatabase::postgres().await else { return };
    db.open().await.close().await.unwrap();
    let raw = Database::connect(db.url()).await.unwrap();
    for table in ["conversations", "contacts"] {
        let select =
            format!("SELECT array_to_string(reloptions, ' ') FROM pg_class WHERE oid = to_regclass('{table}')");
        let row = raw.query_one_raw(Sql::new(select).on(&raw)).await.unwrap().unwrap();
        let set: Option<String> = row.try_get_by_index(0).unwrap();
        assert!(set.is_some_and(|set| set.contains("autovacuum_vacuum_scale_factor=0.002")), "{table}");
    }
}
