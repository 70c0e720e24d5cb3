//! What all webhooks of Pages and Instagram accounts have in common.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::Side;
use super::page::{self, entry_time, millis};
use crate::http::ascii_json;
use crate::people::Customer;
use crate::world::World;

/// An event from a customer to the account, without its content.
pub(super) fn from_customer(side: &Side, account: &str, customer: &Customer, at: OffsetDateTime) -> Map<String, Value> {
    frame(customer.address(side.name), account, at)
}

/// An event from the account to a customer: an echo.
pub(super) fn to_customer(side: &Side, account: &str, customer: &Customer, at: OffsetDateTime) -> Map<String, Value> {
    frame(account, customer.address(side.name), at)
}

fn frame(sender: &str, recipient: &str, at: OffsetDateTime) -> Map<String, Value> {
    Map::from_iter([
        ("sender".to_owned(), json!({"id": sender})),
        ("recipient".to_owned(), json!({"id": recipient})),
        ("timestamp".to_owned(), json!(millis(at))),
    ])
}

/// Puts one event into the account's queue.
pub(super) fn report(
    world: &mut World,
    side: &Side,
    account: &str,
    name: &str,
    mut event: Map<String, Value>,
    content: Value,
) -> Option<u64> {
    let owner = page::settings(world, account).is_ok_and(|settings| settings.thread_owner);
    event.insert(name.to_owned(), content);
    let time = entry_time(world, account);
    let list = if owner { "messaging" } else { "standby" };
    let body = json!({"object": side.object, "entry": [{"id": account, "time": time, list: [event]}]});
    world.report(account, name, ascii_json(&body))
}

/// Puts one change into the account's queue.
pub(in crate::platforms) fn report_change(
    world: &mut World,
    object: &str,
    account: &str,
    field: &str,
    value: &Value,
) -> Option<u64> {
    let time = entry_time(world, account);
    let body = json!({"object": object, "entry": [{"id": account, "time": time, "changes": [{"field": field, "value": value}]}]});
    world.report(account, field, ascii_json(&body))
}
