//! 100,000 of everything, as they would be after some months.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, Value};
use serde_json::json;
use time::Duration;
use transom_domain::{
    Address, Agent, AgentId, ChannelAccount, ChannelAccountId, Connection, ConversationId, CustomField, CustomFieldId,
    FieldKind, FieldValue, Ids, MessageId, Profile, Role, Team, TeamId, UuidV7,
};
use uuid::Uuid;

use super::super::statement::Sql;
use super::super::{marks, search};
use crate::query::millis;
use crate::test_support::{NOON, TestDatabase};
use crate::{Storage, StorageError, WorkspaceScope};

/// So many of everything are made one by one,
const SEEDS: usize = 1_000;
/// and each of them has so many copies.
const COPIES: usize = 100;
const MANY: usize = SEEDS * COPIES;
const NAMES: [&str; 10] = ["Mara", "Ole", "José", "Ángel", "Xi", "Priya", "Lena", "Tom", "Ivo", "Zoë"];

/// What was made, and one of each of them.
pub(super) struct Crowd {
    pub(super) storage: Storage,
    pub(super) scope: WorkspaceScope,
    pub(super) account: ChannelAccountId,
    /// One that few have.
    pub(super) rare: ChannelAccountId,
    pub(super) agent: AgentId,
    pub(super) team: TeamId,
    pub(super) field: CustomFieldId,
    pub(super) conversation: ConversationId,
    pub(super) message: MessageId,
}

/// Rows as they would be after some months: most conversations closed, a few waiting.
pub(super) async fn crowd(db: &TestDatabase) -> Crowd {
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
                insert.rows(rows.iter().cloned());
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
