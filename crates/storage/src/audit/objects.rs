//! Which columns of which objects the log shows. What is not listed is never shown: secrets, and what customers said and are
//! called, since the log outlives an erasure.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::StorageError;
use crate::query::sql;

/// A row as it is shown: columns and values.
pub(crate) type Snapshot = BTreeMap<&'static str, Value>;

/// A collection of the API with its table.
struct Object {
    collection: &'static str,
    table: &'static str,
    /// What one of them is called.
    kind: &'static str,
    /// The column that names one.
    key: &'static str,
    shown: &'static [&'static str],
}

const fn object(
    collection: &'static str,
    table: &'static str,
    kind: &'static str,
    shown: &'static [&'static str],
) -> Object {
    Object { collection, table, kind, key: "id", shown }
}

const OBJECTS: &[Object] = &[
    object("agents", "agents", "agent", &["name", "role", "active"]),
    object("teams", "teams", "team", &["name"]),
    object("tokens", "tokens", "token", &["name", "agent_id", "scopes", "expires_at", "revoked_at"]),
    Object { key: "name", ..object("tags", "tags", "tag", &["name"]) },
    object("settings", "workspaces", "settings", &["name", "settings"]),
    object("connections", "connections", "connection", &["platform", "name", "settings", "removed_at"]),
    object(
        "channels",
        "channel_accounts",
        "channel",
        &["platform", "policy", "name", "features", "limits", "quota_group", "country", "enabled", "removed_at"],
    ),
    object("contacts", "contacts", "contact", &["blocked", "version"]),
    object(
        "conversations",
        "conversations",
        "conversation",
        &["contact_id", "account_id", "status", "snoozed_until", "agent_id", "team_id"],
    ),
    object("messages", "messages", "message", &["conversation_id", "kind", "direction", "agent_id", "state"]),
    object("attachments", "attachments", "attachment", &["state", "size", "mime", "agent_id"]),
    object("jobs", "jobs", "job", &["kind", "state", "stop"]),
    object("saved-replies", "saved_replies", "saved_reply", &["title"]),
    object(
        "broadcasts",
        "broadcasts",
        "broadcast",
        &["name", "account_id", "agent_id", "state", "send_at", "per_minute"],
    ),
    object("quarantine", "quarantine", "quarantine_entry", &["journal_id", "account_id", "reason", "state"]),
    object(
        "webhook-endpoints",
        "webhook_endpoints",
        "webhook_endpoint",
        &["url", "description", "kinds", "enabled", "agent_id", "disabled_because", "old_secret_until"],
    ),
];

/// Columns whose truth SQLite keeps as a number.
const TRUTHS: [&str; 4] = ["active", "enabled", "blocked", "stop"];

fn of_collection(collection: &str) -> Option<&'static Object> {
    OBJECTS.iter().find(|object| object.collection == collection)
}

/// What one of a collection is called; of one that is not known here, as the collection itself.
pub(super) fn kind_of(collection: &str) -> String {
    of_collection(collection).map_or_else(|| collection.replace('-', "_"), |object| object.kind.to_owned())
}

/// The collection whose objects a table holds.
pub(super) fn collection_of(table: &str) -> Option<&'static str> {
    OBJECTS.iter().find(|object| object.table == table).map(|object| object.collection)
}

/// Reads what is shown of an object, as texts.
pub(super) fn select(db: &impl ConnectionTrait, ws: Uuid, collection: &str, id: &str) -> Option<Statement> {
    let object = of_collection(collection)?;
    let text = |column: &&str| match db.get_database_backend() {
        DbBackend::Sqlite => {
            format!("CASE typeof({column}) WHEN 'blob' THEN lower(hex({column})) ELSE CAST({column} AS TEXT) END")
        }
        _ => format!("CAST({column} AS text)"),
    };
    let columns: Vec<String> = object.shown.iter().map(text).collect();
    let (columns, table) = (columns.join(", "), object.table);
    let key: sea_orm::Value = if object.key == "id" { id.parse::<Uuid>().ok()?.into() } else { id.into() };
    Some(match table {
        "workspaces" => sql(db, &format!("SELECT {columns} FROM workspaces WHERE id = $1"), [ws.into()]),
        _ => {
            let query = format!("SELECT {columns} FROM {table} WHERE workspace_id = $1 AND {} = $2", object.key);
            sql(db, &query, [ws.into(), key])
        }
    })
}

/// A row of [`select`].
pub(super) fn read(row: &QueryResult, collection: &str) -> Result<Snapshot, StorageError> {
    let shown = of_collection(collection).map_or(&[][..], |object| object.shown);
    let mut snapshot = Snapshot::new();
    for (at, column) in shown.iter().enumerate() {
        let text: Option<String> = row.try_get_by_index(at)?;
        snapshot.insert(column, text.map_or(Value::Null, |text| value_of(column, text)));
    }
    Ok(snapshot)
}

fn value_of(column: &str, text: String) -> Value {
    if TRUTHS.contains(&column) {
        return json!(matches!(text.as_str(), "1" | "true" | "t"));
    }
    if column.ends_with("_at") || column.ends_with("_until") {
        return text.parse::<i64>().map_or(Value::Null, |millis| json!(millis));
    }
    if column.ends_with("_id")
        && let Ok(id) = Uuid::try_parse(&text)
    {
        return json!(id);
    }
    if matches!(column, "settings" | "scopes" | "features" | "limits" | "kinds") {
        return serde_json::from_str(&text).unwrap_or(Value::String(text));
    }
    Value::String(text)
}

/// The columns that differ, before and after, as JSON; `beside` is what else was made.
pub(super) fn difference(
    before: Option<Snapshot>,
    after: Option<Snapshot>,
    beside: Option<(String, String)>,
) -> (Option<String>, Option<String>) {
    let shown = |these: &Option<Snapshot>, those: &Option<Snapshot>| -> Option<Map<String, Value>> {
        let differs = |(column, value): &(&&'static str, &Value)| {
            those.as_ref().is_none_or(|those| those.get(**column) != Some(*value))
        };
        let columns = these.as_ref()?.iter().filter(differs);
        Some(columns.map(|(column, value)| ((*column).to_owned(), value.clone())).collect())
    };
    let (old, mut new) = (shown(&before, &after), shown(&after, &before));
    if let Some((collection, id)) = beside {
        new.get_or_insert_default().insert("made".to_owned(), json!({ "kind": kind_of(&collection), "id": id }));
    }
    let text = |columns: Option<Map<String, Value>>| {
        columns.filter(|columns| !columns.is_empty()).map(|columns| Value::Object(columns).to_string())
    };
    (text(old), text(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_kept() {
        let row = |role: &str| Some(Snapshot::from([("name", json!("Ada")), ("role", json!(role))]));
        let (before, after) = difference(row("agent"), row("admin"), None);
        assert_eq!((before.as_deref(), after.as_deref()), (Some(r#"{"role":"agent"}"#), Some(r#"{"role":"admin"}"#)));
        let (before, after) = difference(None, row("agent"), None);
        assert_eq!((before, after.as_deref()), (None, Some(r#"{"name":"Ada","role":"agent"}"#)));
        assert_eq!(difference(row("agent"), row("agent"), None), (None, None));
    }

    #[test]
    fn no_secret_and_nothing_of_a_customer_is_shown() {
        for object in OBJECTS {
            for column in object.shown {
                let hidden = ["secret", "hash", "content", "profile", "display", "preview", "phone", "email", "extra"];
                let allowed = *column == "old_secret_until" || !hidden.iter().any(|word| column.contains(word));
                assert!(allowed, "{}.{column}", object.table);
            }
        }
    }
}
