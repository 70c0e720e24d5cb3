//! Echoes of what was sent, and how far it came.

use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::envelope::{from_customer, report, to_customer};
use super::page::{self, millis};
use super::{Receipts as Style, Side};
use crate::Problem;
use crate::chats::{Author, ChatKey, Progress};
use crate::platforms::ReceiptOrder;
use crate::world::{Receipts, World};

/// The API's own message comes back, with who sent it.
pub(super) fn echo(world: &mut World, side: &Side, key: &ChatKey, message: &str, sent: &Value) {
    let Ok(settings) = page::settings(world, &key.account) else { return };
    let Some(customer) = world.customers.get(&key.customer).cloned().filter(|_| settings.echoes) else { return };
    let mut content = Map::from_iter([
        ("mid".to_owned(), json!(message)),
        ("is_echo".to_owned(), json!(true)),
        ("app_id".to_owned(), json!(settings.app_id)),
    ]);
    for name in ["text", "metadata", "reply_to"] {
        if let Some(value) = sent.get("message").and_then(|sent| sent.get(name)).or_else(|| sent.get(name)) {
            content.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(attached) =
        sent.get("message").and_then(|sent| sent.get("attachment").or_else(|| sent.get("attachments")))
    {
        let list = if attached.is_array() { attached.clone() } else { json!([attached]) };
        content.insert("attachments".to_owned(), list);
    }
    let at = world.now();
    report(
        world,
        side,
        &key.account,
        "message",
        to_customer(side, &key.account, &customer, at),
        Value::Object(content),
    );
}

/// Delivered and, if so configured, read, each in its time.
pub(super) fn schedule(world: &mut World, side: &'static Side, key: &ChatKey, message: &str) {
    let Ok(Receipts::Auto(pauses)) = world.account(&key.account).map(|account| account.receipts) else { return };
    for (progress, pause) in [(Progress::Delivered, Some(pauses.delivered_ms)), (Progress::Read, pauses.read_ms)] {
        let Some(pause) = pause else { continue };
        let (key, message) = (key.clone(), message.to_owned());
        world.later(Duration::from_millis(pause), move |world| {
            if !world.chats.get(&key).is_some_and(|chat| chat.blocked) {
                moves(world, side, &key, &message, progress, None);
            }
        });
    }
}

/// Moves a message on and tells the webhook. Nothing happens if it is that far already.
pub(super) fn moves(
    world: &mut World,
    side: &Side,
    key: &ChatKey,
    message: &str,
    progress: Progress,
    at: Option<OffsetDateTime>,
) -> Option<u64> {
    if !world.progress(key, message, progress, None) {
        return None;
    }
    tell(world, side, key, message, progress, at)
}

fn tell(
    world: &mut World,
    side: &Side,
    key: &ChatKey,
    message: &str,
    progress: Progress,
    at: Option<OffsetDateTime>,
) -> Option<u64> {
    let customer = world.customers.get(&key.customer)?.clone();
    let at = at.unwrap_or_else(|| world.now());
    let (name, content) = match (side.receipts, progress) {
        (Style::Watermarks, Progress::Delivered) => ("delivery", json!({"mids": [message], "watermark": millis(at)})),
        (Style::Watermarks, Progress::Read | Progress::Played) => ("read", json!({"watermark": millis(at)})),
        (Style::LatestSeen, Progress::Read | Progress::Played) => ("read", json!({"mid": message})),
        _ => return None,
    };
    report(world, side, &key.account, name, from_customer(side, &key.account, &customer, at), content)
}

/// The customer sees everything that is there.
pub(super) fn sees(world: &mut World, side: &Side, key: &ChatKey) -> Vec<u64> {
    let unread = world.chat_mut(key).unread();
    let mut told = Vec::new();
    let last = unread.last().cloned();
    for message in &unread {
        world.progress(key, message, Progress::Read, None);
    }
    // One receipt says it for all: by its watermark, or by the latest message.
    told.extend(last.and_then(|message| tell(world, side, key, &message, Progress::Read, None)));
    told
}

/// A receipt by hand.
pub(super) fn by_hand(
    world: &mut World,
    side: &Side,
    account: &str,
    order: &ReceiptOrder,
) -> Result<Option<u64>, Problem> {
    let key = world.chat_with(account, &order.message_id);
    let key = key.filter(|key| {
        let entry = world.chats.get(key).and_then(|chat| chat.entry(&order.message_id));
        entry.is_some_and(|entry| entry.author == Author::Business)
    });
    let key = key
        .ok_or_else(|| Problem::not_found(format!("account `{account}` has sent no message `{}`", order.message_id)))?;
    match order.status {
        Progress::Delivered | Progress::Read => {}
        _ => return Err(Problem::invalid("this platform tells of delivered and read alone")),
    }
    if order.code.is_some() {
        return Err(Problem::invalid("nothing fails after it was taken here"));
    }
    world.progress(&key, &order.message_id, order.status, None);
    // By hand a receipt may also come twice, or late: receivers must cope.
    Ok(tell(world, side, &key, &order.message_id, order.status, order.at))
}
