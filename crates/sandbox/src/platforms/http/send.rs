//! `message.send`.

use serde_json::{Value, json};
use time::Duration;

use super::{account, events, refused, rules, templates};
use crate::chats::{Author, Button, ChatKey, Entry, Progress};
use crate::http::{Call, Reply};
use crate::ledger::Send;
use crate::platforms::{Because, Route};
use crate::world::World;

/// Takes a message, or says why not. An id that was seen within a day gets its old answer, and nothing is sent.
pub(super) fn send(world: &mut World, account: &str, route: &Route, call: &Call, body: Value) -> Result<Reply, Reply> {
    let now = world.now();
    let id = call.header("webhook-id").unwrap_or_default().to_owned();
    let invalid = |what: &str| refused(422, "invalid_request", what, &[]);
    if id.is_empty() || body.get("id").and_then(Value::as_str) != Some(id.as_str()) {
        return Err(invalid("id: not that of the header"));
    }
    let known = account::known(world, account).map_err(|_| invalid("account"))?;
    known.seen.retain(|_, (at, _)| *at > now - Duration::DAY);
    if let Some((_, answer)) = known.seen.get(&id) {
        return Ok(answer.clone());
    }
    let rules = known.settings.rules;
    let content = body.get("content").cloned().unwrap_or_default();
    let to = |kind: &str| body.pointer(&format!("/to/{kind}")).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (user_id, phone) = (to("user_id"), to("phone"));
    let by_number = world.customers.values().find(|one| !phone.is_empty() && one.phone.as_deref() == Some(&*phone));
    let by_id = || world.customer_at("http", &user_id).filter(|_| !user_id.is_empty());
    let customer = match rules {
        account::Rules::InHouse => by_id().or(by_number),
        account::Rules::ViberBusiness => by_number,
    };
    let nobody = match rules {
        account::Rules::InHouse => "unreachable",
        account::Rules::ViberBusiness => "SRVC_NOT_VIBER_USER",
    };
    let customer = customer.filter(|customer| !customer.unreachable_on.contains("http"));
    let customer = customer.cloned().ok_or_else(|| refused(422, nobody, "nobody has this address", &[]))?;
    let key = ChatKey::direct(account, &customer.id);
    let kind = content.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();

    let (text, category) = if kind == "template" {
        let (template, text) = templates::filled(world, account, &content)
            .map_err(|why| refused(422, "template_refused", &why, &[("template_status", json!(why))]))?;
        let text = text.ok_or_else(|| refused(422, "template_refused", "its values do not fit", &[]))?;
        (text, Some(template.category))
    } else {
        (shown(&kind, &content).ok_or_else(|| invalid("content"))?, None)
    };
    if let Some(chat) = world.chats.get(&key) {
        if chat.blocked {
            return Err(refused(409, "blocked", "the person blocks this sender", &[]));
        }
        if chat.opted_out {
            return Err(refused(409, "opted_out", "the person wants no messages", &[("scope", json!("all"))]));
        }
    }
    let (window, because, full) = rules::judged(world, &key, category.is_none(), now);
    match (because, full) {
        (Some(Because::Quota), Some(("unanswered", _))) => {
            return Err(refused(409, "SRVC_WAIT_FOR_USER_RESPONSE", "wait for the person's reply", &[]));
        }
        (Some(Because::Quota), full) => {
            let name = full.map(|(name, _)| name);
            return Err(refused(409, "quota_reached", "no more for now", &[("quota", json!(name))]));
        }
        (Some(_), _) => return Err(refused(409, "window_closed", "the window is closed", &[])),
        (None, _) => {}
    }

    let provider_id = format!("m-{}", world.names.number());
    let mut entry = Entry::new(&provider_id, Author::Business, now, &kind, &text);
    entry.reply_to = body.get("reply_to").and_then(Value::as_str).map(str::to_owned);
    entry.buttons = buttons(&content);
    let send = Send {
        seq: 0,
        at: now,
        platform: "http".to_owned(),
        account: account.to_owned(),
        customer: customer.id.clone(),
        recipient: if user_id.is_empty() { phone } else { user_id },
        via: None,
        provider_ids: vec![provider_id.clone()],
        method: "message.send".to_owned(),
        kind,
        category,
        text,
        body,
        window,
        counted: true,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    world.accept(&key, send, vec![entry]);
    match &route.fails_later {
        Some((code, words)) => events::fails(world, &key, &provider_id, *code, words),
        None => events::schedule_receipts(world, &key, &provider_id),
    }
    let answer = Reply::json(200, &json!({"id": provider_id}));
    if let Ok(known) = account::known(world, account) {
        known.seen.insert(id, (now, answer.clone()));
    }
    Ok(answer)
}

/// What the customer reads.
fn shown(kind: &str, content: &Value) -> Option<String> {
    let word = |name: &str| content.get(name).and_then(Value::as_str).map(str::to_owned);
    match kind {
        "text" | "choices" => word("text"),
        "media" => word("url").map(|_| word("caption").unwrap_or_default()),
        "location" => content.get("latitude").map(|_| content.to_string()),
        "contacts" => content.get("contacts").map(Value::to_string),
        "reaction" => word("to").map(|_| word("emoji").unwrap_or_default()),
        _ => None,
    }
}

fn buttons(content: &Value) -> Vec<Button> {
    let list = content.get("buttons").and_then(Value::as_array);
    let word = |button: &Value, name: &str| button.get(name).and_then(Value::as_str).map(str::to_owned);
    let button =
        |button: &Value| Some(Button { data: word(button, "id")?, text: word(button, "title")?, choice: false });
    list.into_iter().flatten().filter_map(button).collect()
}
