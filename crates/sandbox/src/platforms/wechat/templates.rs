//! Template messages, from Tencent's documents: a verified service account sends notices to its followers, so many in a day of
//! China's time; the same `client_msg_id` to the same person is sent once for ten minutes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime, UtcOffset};

use super::account::official;
use super::calls::Refused;
use super::events;
use super::rules;
use crate::Problem;
use crate::chats::{Author, ChatKey, Entry, Progress};
use crate::http::Reply;
use crate::ledger::Send;
use crate::platforms::Ask;
use crate::world::World;

/// For so long a repeated key is known.
const KEY_LIVES: Duration = Duration::minutes(10);
const KIND: &str = "template";

/// What an account may send, and the keys of what it sent.
#[derive(Debug, Default)]
pub(super) struct Templates {
    by_id: BTreeMap<String, (String, String)>,
    keys: Vec<(String, String, OffsetDateTime, i64)>,
}

/// Makes or replaces a template.
pub(super) fn keep(world: &mut World, account: &str, order: &Value) -> Result<Value, Problem> {
    let text = |name: &str| order.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (id, title, content) = (text("template_id"), text("title"), text("content"));
    if id.is_empty() || content.is_empty() {
        return Err(Problem::invalid("template: {\"template_id\": \"…\", \"title\": \"…\", \"content\": \"…\"}"));
    }
    official(world, account)?.templates.by_id.insert(id.clone(), (title, content));
    Ok(json!({ "template_id": id }))
}

/// Whether the account may send templates at all.
pub(super) fn may(world: &mut World, account: &str) -> bool {
    official(world, account).is_ok_and(|official| official.settings.service_account)
}

/// "Important service notices only, no marketing".
pub(super) fn is_notice(ask: &Ask) -> bool {
    ask.category.as_deref().is_none_or(|category| category == "utility")
}

/// How many are left today.
pub(super) fn left(world: &mut World, account: &str, now: OffsetDateTime) -> u32 {
    let there = |at: OffsetDateTime| at.to_offset(UtcOffset::from_hms(8, 0, 0).unwrap_or(UtcOffset::UTC)).date();
    let today = |send: &&Send| send.account == account && send.kind == KIND && there(send.at) == there(now);
    let used = u32::try_from(world.ledger.sends.iter().filter(today).count()).unwrap_or(u32::MAX);
    official(world, account).map_or(0, |official| official.settings.template_limit.saturating_sub(used))
}

/// The catalogue.
pub(super) fn list(world: &mut World, account: &str) -> Result<Reply, Refused> {
    if !may(world, account) {
        return Err(Refused::new(48_001, "api unauthorized"));
    }
    let found = official(world, account).map(|official| official.templates.by_id.clone()).unwrap_or_default();
    let list: Vec<Value> = found
        .iter()
        .map(|(id, (title, content))| json!({"template_id": id, "title": title, "content": content, "example": ""}))
        .collect();
    Ok(Reply::json(200, &json!({ "template_list": list })))
}

/// `message/template/send`.
pub(super) fn send(world: &mut World, account: &str, given: &Map<String, Value>) -> Result<Reply, Refused> {
    if !may(world, account) {
        return Err(Refused::new(48_001, "api unauthorized"));
    }
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (openid, id, key) = (text("touser"), text("template_id"), text("client_msg_id"));
    let customer = world.customer_at("wechat", &openid).filter(|_| !openid.is_empty());
    let customer = customer.ok_or_else(|| Refused::new(40_003, "invalid openid"))?;
    let (chat, gone) = (ChatKey::direct(account, &customer.id), customer.unreachable_on.contains("wechat"));
    let now = world.now();
    let official = official(world, account).map_err(|_| Refused::new(-1, "system error"))?;
    let known = official.templates.by_id.get(&id).cloned();
    let (title, content) = known.ok_or_else(|| Refused::new(40_037, "invalid template_id"))?;
    let words = filled(&content, given.get("data")).ok_or_else(|| Refused::new(47_003, "argument invalid!"))?;
    let same =
        |one: &&(String, String, OffsetDateTime, i64)| one.0 == openid && one.1 == key && now < one.2 + KEY_LIVES;
    if let Some((.., msgid)) = official.templates.keys.iter().find(same).filter(|_| !key.is_empty()) {
        return Ok(Reply::json(200, &json!({"errcode": 0, "errmsg": "ok", "msgid": msgid})));
    }
    if gone || world.chats.get(&chat).is_some_and(|chat| chat.blocked) {
        return Err(Refused::new(43_004, "require subscribe"));
    }
    if left(world, account, now) == 0 {
        return Err(Refused::new(45_009, "reach max api daily quota limit"));
    }
    let msgid = 3_001_002_003_000_000_000 + i64::try_from(world.names.number()).unwrap_or_default();
    if let Ok(official) = super::account::official(world, account) {
        official.templates.keys.push((openid.clone(), key, now, msgid));
    }
    let shown = if title.is_empty() { words } else { format!("{title}\n{words}") };
    let window = rules::would_accept(world, &chat, &Ask::free_form(), now).window;
    let refuses = world.chats.get(&chat).is_some_and(|chat| chat.opted_out);
    let booked = Send {
        seq: 0,
        at: now,
        platform: "wechat".to_owned(),
        account: account.to_owned(),
        customer: chat.customer.clone(),
        recipient: openid.clone(),
        via: None,
        provider_ids: vec![msgid.to_string()],
        method: "message/template/send".to_owned(),
        kind: KIND.to_owned(),
        category: Some("utility".to_owned()),
        text: shown.clone(),
        body: Value::Object(given.clone()),
        window,
        counted: false,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    world.accept(&chat, booked, vec![Entry::new(msgid.to_string(), Author::Business, now, KIND, &shown)]);
    let status = if refuses { "failed:user block" } else { "success" };
    let fields =
        [("Event", "TEMPLATESENDJOBFINISH".to_owned()), ("MsgID", msgid.to_string()), ("Status", status.to_owned())];
    events::report(world, account, &openid, now, "event", &fields);
    Ok(Reply::json(200, &json!({"errcode": 0, "errmsg": "ok", "msgid": msgid})))
}

/// The text with its places filled; `None` if a value is missing or empty.
fn filled(content: &str, data: Option<&Value>) -> Option<String> {
    let mut words = content.to_owned();
    while let Some((before, rest)) = words.split_once("{{") {
        let (place, after) = rest.split_once(".DATA}}")?;
        let value = data?.get(place)?.get("value")?.as_str().filter(|value| !value.trim().is_empty())?;
        words = format!("{before}{value}{after}");
    }
    Some(words)
}
