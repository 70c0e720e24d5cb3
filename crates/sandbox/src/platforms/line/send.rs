//! `POST /v2/bot/message/reply` and `/push`.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::account::{Accepted, is_id, official};
use super::errors::LineError;
use super::message::{Outgoing, parse};
use super::rules;
use crate::chats::{Author, ChatKey, Entry, Progress};
use crate::http::{Call, Reply};
use crate::ledger::Send;
use crate::world::World;

/// A retry key is remembered for a day after the first attempt.
const RETRY_KEY_LIVES: Duration = Duration::hours(24);

/// `POST /v2/bot/message/reply`: the token names the customer. Costs nothing.
pub(super) fn reply(world: &mut World, account: &str, call: &Call, body: &Value) -> Result<Reply, LineError> {
    if call.header("x-line-retry-key").is_some() {
        return Err(LineError::new(400, "The retry key is not supported by this API"));
    }
    let token = body.get("replyToken").and_then(Value::as_str).unwrap_or_default();
    let outgoing = parse(body)?;
    let now = world.now();
    let official = official(world, account).map_err(|_| LineError::unauthorized())?;
    let life = official.token_life();
    let known = official.tokens.get_mut(token).filter(|known| !known.used && now < known.at + life);
    let known = known.ok_or_else(|| LineError::new(400, "Invalid reply token"))?;
    known.used = true;
    let key = ChatKey::direct(account, &known.customer);
    let arrives = world.chats.get(&key).is_some_and(|chat| !chat.blocked);
    Ok(answered(world, &key, "reply", body, outgoing, arrives, false))
}

/// `POST /v2/bot/message/push`: counted if it arrives, and answered by 200 if it does not.
pub(super) fn push(world: &mut World, account: &str, call: &Call, body: &Value) -> Result<Reply, LineError> {
    let now = world.now();
    let retry_key = call.header("x-line-retry-key").map(str::to_owned);
    if retry_key.as_deref().is_some_and(|key| !is_uuid(key)) {
        return Err(LineError::new(400, "Invalid retry key"));
    }
    if let Some(accepted) = retry_key.as_ref().and_then(|key| earlier(world, account, key, now)) {
        let conflict = json!({"message": "The retry key is already accepted", "sentMessages": accepted.sent});
        return Ok(named(world, Reply::json(409, &conflict)).with("x-line-accepted-request-id", accepted.request_id));
    }
    let to = body.get("to").and_then(Value::as_str).unwrap_or_default();
    if !['U', 'C', 'R'].into_iter().any(|first| is_id(to, first)) {
        return Err(LineError::property("to"));
    }
    let outgoing = parse(body)?;
    let customer = world.customer_at("line", to).map(|customer| customer.id.clone());
    let key = customer.map(|customer| ChatKey::direct(account, &customer));
    let key = key.ok_or_else(|| LineError::new(400, "Failed to send messages"))?;
    if !rules::has_room(world, account, now) {
        return Err(LineError::monthly_limit());
    }
    let arrives = rules::is_reached(world, &key, now);
    let reply = answered(world, &key, "push", body, outgoing, arrives, arrives);
    if let (Some(retry_key), Ok(official)) = (retry_key, official(world, account)) {
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let sent = answer.get("sentMessages").cloned().unwrap_or_default();
        let request_id = reply.headers.iter().find(|(name, _)| *name == "x-line-request-id");
        let request_id = request_id.map(|(_, value)| value.clone()).unwrap_or_default();
        official.accepted.insert(retry_key, Accepted { at: now, request_id, sent });
    }
    Ok(reply)
}

fn earlier(world: &mut World, account: &str, key: &str, now: OffsetDateTime) -> Option<Accepted> {
    let known = &mut official(world, account).ok()?.accepted;
    known.retain(|_, accepted| now < accepted.at + RETRY_KEY_LIVES);
    known.get(key).cloned()
}

/// Books a send, shows its messages on the phone if they arrive, and answers.
fn answered(
    world: &mut World,
    key: &ChatKey,
    method: &str,
    body: &Value,
    outgoing: Vec<Outgoing>,
    arrives: bool,
    counted: bool,
) -> Reply {
    let now = world.now();
    let mut sent = Vec::new();
    let mut entries = Vec::new();
    for message in &outgoing {
        let id = world.names.digits('5', 18);
        let mut entry = Entry::new(&id, Author::Business, now, message.kind, &message.text);
        entry.buttons.clone_from(&message.buttons);
        entries.push(entry);
        sent.push(json!({"quoteToken": format!("q-{id}"), "id": id}));
    }
    let provider_ids = entries.iter().map(|entry| entry.id.clone()).collect();
    let recipient = world.customers.get(&key.customer).map(|customer| customer.address("line").to_owned());
    let window = rules::would_accept(world, key, now).window;
    let words = outgoing.iter().map(|message| message.text.as_str()).filter(|text| !text.is_empty());
    let send = Send {
        seq: 0,
        at: now,
        platform: "line".to_owned(),
        account: key.account.clone(),
        customer: key.customer.clone(),
        recipient: recipient.unwrap_or_default(),
        via: None,
        provider_ids,
        method: method.to_owned(),
        kind: outgoing.first().map_or("text", |message| message.kind).to_owned(),
        category: None,
        text: words.collect::<Vec<_>>().join("\n"),
        body: body.clone(),
        window,
        counted,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    world.accept(key, send, if arrives { entries } else { Vec::new() });
    named(world, Reply::json(200, &json!({"sentMessages": sent})))
}

/// With the id that every answer carries.
pub(super) fn named(world: &mut World, reply: Reply) -> Reply {
    let number = world.names.number();
    reply.with("x-line-request-id", format!("{:08x}-5a4d-4b0c-9000-{number:012x}", world.names.seed() & 0xFFFF_FFFF))
}

/// Whether a text has the form of a UUID (RFC 9562).
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
