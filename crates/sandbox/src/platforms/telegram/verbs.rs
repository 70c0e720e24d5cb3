//! The control verbs of Telegram alone: business connections and groups.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::bot::{Connection, Group, bot};
use super::methods;
use super::updates::report;
use crate::Problem;
use crate::world::World;

/// The control verb `business_connection`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionOrder {
    #[serde(default)]
    id: Option<String>,
    owner: String,
    #[serde(default = "yes")]
    can_reply: bool,
    #[serde(default = "yes")]
    is_enabled: bool,
    #[serde(default)]
    excluded: BTreeSet<String>,
}

fn yes() -> bool {
    true
}

/// Makes or changes a business connection, and tells the bot.
pub(super) fn connect(world: &mut World, account: &str, body: Value) -> Result<Value, Problem> {
    let order: ConnectionOrder =
        serde_json::from_value(body).map_err(|error| Problem::invalid(format!("business_connection: {error}")))?;
    world.customer(&order.owner)?;
    let date = world.now();
    let id = order.id.unwrap_or_else(|| format!("bc-{}", world.names.token(12)));
    let ConnectionOrder { owner, can_reply, is_enabled, excluded, .. } = order;
    let connection = Connection { id: id.clone(), owner, can_reply, is_enabled, excluded, date };
    bot(world, account)?.connections.insert(id.clone(), connection.clone());
    let view = methods::connection_view(world, &connection);
    let delivery = report(world, account, "business_connection", &view);
    Ok(json!({"id": id, "delivery": delivery}))
}

/// The control verb `group`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupOrder {
    #[serde(default)]
    id: Option<i64>,
    title: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    kicked: bool,
    #[serde(default)]
    migrated_to: Option<i64>,
}

/// Makes or changes a group that the bot is in.
pub(super) fn group(world: &mut World, account: &str, body: Value) -> Result<Value, Problem> {
    let order: GroupOrder =
        serde_json::from_value(body).map_err(|error| Problem::invalid(format!("group: {error}")))?;
    let number = i64::try_from(world.names.number()).unwrap_or_default();
    let id = order.id.unwrap_or(-1_002_000_000_000 - number);
    if id >= 0 {
        return Err(Problem::invalid("a group's id is negative"));
    }
    let kind = order.kind.unwrap_or_else(|| "supergroup".to_owned());
    let group = Group { id, title: order.title, kind, kicked: order.kicked, migrated_to: order.migrated_to };
    bot(world, account)?.groups.insert(id, group);
    Ok(json!({"id": id}))
}
