//! The methods of the API.

use serde_json::{Map, Value, json};
use time::Duration;

use super::bot::{self, HOST, bot};
use super::refusals::Refused;
use super::{events, rules};
use crate::chats::{Author, ChatKey, Entry, Progress};
use crate::http::{Call, Reply};
use crate::ledger::Send;
use crate::platforms::{Route, kit};
use crate::sandbox::Shared;
use crate::world::World;

const MAX_JSON: usize = 30 * 1024;
const MB: u64 = 1024 * 1024;

/// Carries a method out.
pub(super) async fn call(shared: &Shared, account: &str, route: &Route, call: &Call) -> Result<Reply, Refused> {
    let body: Value = match call.body.as_ref() {
        b"" => json!({}),
        body => serde_json::from_slice(body).map_err(|_| Refused::of(3))?,
    };
    let Value::Object(fields) = body else { return Err(Refused::of(3)) };
    match call.pieces().as_slice() {
        ["send_message"] => send(&mut shared.world(), account, route, fields, call.body.len()),
        ["get_account_info"] => info(&mut shared.world(), account),
        ["get_user_details"] => details(&mut shared.world(), account, &fields),
        ["get_online"] => online(&mut shared.world(), account, &fields),
        ["set_webhook"] => set_webhook(shared, account, &fields).await,
        ["broadcast_message"] => Err(Refused::of(20)),
        _ => Ok(Reply::text(404, "no such method")),
    }
}

/// A customer's file, by its address: `{id}.{ending}`.
pub(super) fn download(world: &World, name: &str) -> Reply {
    let id = name.split('.').next().unwrap_or_default();
    match world.files.get(id) {
        Some(file) => Reply::bytes(200, "application/octet-stream", file.bytes.clone()),
        None => Reply::text(404, "gone"),
    }
}

fn text<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f str> {
    fields.get(name).and_then(Value::as_str)
}

/// What is wrong with a message, whoever it is for.
fn check(fields: &Map<String, Value>, length: usize) -> Result<(), Refused> {
    let bad = |what: &str| Err(Refused::with(3, what));
    let size = |name: &str| fields.get(name).and_then(Value::as_u64);
    let sender = fields.get("sender").and_then(Value::as_object).and_then(|sender| text(sender, "name"));
    let kind = text(fields, "type").ok_or_else(|| Refused::of(4))?;
    let ends = |endings: &[&str]| {
        let path = text(fields, "media").and_then(|media| url::Url::parse(media).ok());
        let path = path.map(|url| url.path().to_ascii_lowercase()).unwrap_or_default();
        endings.iter().any(|ending| path.ends_with(ending))
    };
    match sender {
        None | Some("") => return Err(Refused::of(4)),
        Some(name) if name.encode_utf16().count() > 28 => return bad("sender.name"),
        Some(_) => {}
    }
    if length > MAX_JSON {
        return bad("the request is larger than 30 KB");
    }
    if fields.get("tracking_data").is_some_and(|data| data.as_str().is_none_or(|data| data.len() > 4_000)) {
        return bad("tracking_data");
    }
    match kind {
        "text" => match text(fields, "text") {
            None | Some("") => Err(Refused::of(4)),
            Some(words) if words.chars().count() > 7_000 => bad("text"),
            Some(_) => Ok(()),
        },
        "picture" => match text(fields, "text") {
            None => Err(Refused::of(4)),
            Some(words) if words.chars().count() > 768 => bad("text"),
            Some(_) if !ends(&[".jpeg", ".jpg", ".png", ".gif"]) => bad("media"),
            Some(_) => Ok(()),
        },
        "video" => match size("size") {
            None => Err(Refused::of(4)),
            Some(size) if size > 26 * MB => bad("size"),
            Some(_) if !ends(&[".mp4"]) => bad("media"),
            Some(_) => Ok(()),
        },
        "file" => {
            let name = text(fields, "file_name").ok_or_else(|| Refused::of(4))?;
            let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
            match (size("size"), ending.as_deref()) {
                (None, _) => Err(Refused::of(4)),
                (Some(size), _) if size > 50 * MB => bad("size"),
                (_, None | Some("exe" | "bat" | "apk" | "ipa" | "vbs" | "ps1" | "jse" | "msi")) => bad("file_name"),
                _ if name.chars().count() > 256 || text(fields, "media").is_none() => bad("file_name"),
                _ => Ok(()),
            }
        }
        "contact" => {
            let card = fields.get("contact").and_then(Value::as_object).ok_or_else(|| Refused::of(4))?;
            match (text(card, "name"), text(card, "phone_number")) {
                (Some(name), Some(phone)) if name.chars().count() <= 28 && phone.chars().count() <= 18 => Ok(()),
                (Some(_), Some(_)) => bad("contact"),
                _ => Err(Refused::of(4)),
            }
        }
        "location" => {
            let degrees = |name: &str, most: f64| {
                let place = fields.get("location").and_then(|place| place.get(name)).and_then(Value::as_f64);
                place.is_some_and(|degrees| degrees.abs() <= most)
            };
            if degrees("lat", 90.0) && degrees("lon", 180.0) { Ok(()) } else { bad("location") }
        }
        "url" => match text(fields, "media") {
            Some(link) if link.chars().count() <= 2_000 => Ok(()),
            _ => bad("media"),
        },
        "sticker" if fields.contains_key("sticker_id") => Ok(()),
        "rich_media" if fields.contains_key("rich_media") => Ok(()),
        _ => bad("type"),
    }
}

fn send(
    world: &mut World,
    account: &str,
    route: &Route,
    fields: Map<String, Value>,
    length: usize,
) -> Result<Reply, Refused> {
    let now = world.now();
    if world.account(account).is_ok_and(|account| account.webhook_url.is_none()) {
        return Err(Refused::of(10));
    }
    check(&fields, length)?;
    let receiver = text(&fields, "receiver").ok_or_else(|| Refused::of(4))?.to_owned();
    let customer = world.customer_at("viber", &receiver).cloned().ok_or_else(|| Refused::of(5))?;
    if customer.unreachable_on.contains("viber") {
        return Err(Refused::of(5));
    }
    let key = ChatKey::direct(account, &customer.id);
    let (window, booking) = rules::booking(world, &key, now)?;
    let bot = bot(world, account).map_err(|_| Refused::of(8))?;
    let (token, billable) = (bot.next_token(), bot.settings.billable);
    let kind = text(&fields, "type").unwrap_or_default().to_owned();
    let words = shown(&kind, &fields);
    let send = Send {
        seq: 0,
        at: now,
        platform: "viber".to_owned(),
        account: account.to_owned(),
        customer: customer.id.clone(),
        recipient: receiver,
        via: None,
        provider_ids: vec![token.to_string()],
        method: "send_message".to_owned(),
        kind: kind.clone(),
        category: None,
        text: words.clone(),
        body: Value::Object(fields),
        window,
        counted: booking != rules::Booking::InSession,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    let entry = Entry::new(token.to_string(), Author::Business, now, &kind, words);
    world.accept(&key, send, vec![entry]);
    match &route.fails_later {
        Some((code, words)) => events::fails(world, &key, &token.to_string(), *code, words),
        None => events::schedule_receipts(world, &key, &token.to_string()),
    }
    Ok(Reply::json(
        200,
        &json!({"status": 0, "status_message": "ok", "message_token": token, "chat_hostname": HOST,
            "billing_status": booking.billing_status(billable)}),
    ))
}

/// What the customer reads.
fn shown(kind: &str, fields: &Map<String, Value>) -> String {
    let words = text(fields, "text").unwrap_or_default().to_owned();
    match kind {
        "contact" => {
            let card = fields.get("contact").and_then(Value::as_object);
            let part = |name: &str| card.and_then(|card| text(card, name)).unwrap_or_default().to_owned();
            format!("{}, {}", part("name"), part("phone_number"))
        }
        "location" => fields.get("location").map(Value::to_string).unwrap_or_default(),
        "url" => text(fields, "media").unwrap_or_default().to_owned(),
        _ => words,
    }
}

fn info(world: &mut World, account: &str) -> Result<Reply, Refused> {
    let webhook = world.account(account).ok().and_then(|account| account.webhook_url.clone()).unwrap_or_default();
    let people = world.chats.keys().filter(|key| key.account == account).count();
    let settings = bot(world, account).map_err(|_| Refused::of(8))?.settings.clone();
    Ok(Reply::json(
        200,
        &json!({"status": 0, "status_message": "ok", "id": settings.id, "name": settings.name, "uri": "sandboxbot",
            "webhook": webhook, "event_types": settings.event_types, "subscribers_count": people}),
    ))
}

fn details(world: &mut World, account: &str, fields: &Map<String, Value>) -> Result<Reply, Refused> {
    let now = world.now();
    let id = text(fields, "id").ok_or_else(|| Refused::of(4))?.to_owned();
    let customer = world.customer_at("viber", &id).cloned().ok_or_else(|| Refused::of(5))?;
    if !world.chats.contains_key(&ChatKey::direct(account, &customer.id)) {
        return Err(Refused::of(6));
    }
    let asked = bot(world, account).map_err(|_| Refused::of(8))?.asked.entry(id).or_default();
    asked.retain(|at| *at > now - Duration::hours(12));
    if asked.len() >= 2 {
        return Err(Refused::of(12));
    }
    asked.push(now);
    let mut user = events::user(&customer);
    user.extend([("primary_device_os".to_owned(), json!("android 16")), ("device_type".to_owned(), json!("phone"))]);
    Ok(Reply::json(200, &json!({"status": 0, "status_message": "ok", "message_token": 1, "user": user})))
}

fn online(world: &mut World, account: &str, fields: &Map<String, Value>) -> Result<Reply, Refused> {
    let ids = fields.get("ids").and_then(Value::as_array).ok_or_else(|| Refused::of(4))?;
    let ids: Vec<&str> = ids.iter().filter_map(Value::as_str).collect();
    if ids.len() > 100 {
        return Err(Refused::of(3));
    }
    let state = |id: &&str| {
        let known = world.customer_at("viber", id).map(|customer| ChatKey::direct(account, &customer.id));
        let known = known.is_some_and(|key| world.chats.contains_key(&key));
        json!({"id": id, "online_status": if known { 0 } else { 4 }, "online_status_message": if known { "online" } else { "unavailable" }})
    };
    let users: Vec<Value> = ids.iter().map(state).collect();
    Ok(Reply::json(200, &json!({"status": 0, "status_message": "ok", "users": users})))
}

/// Calls the address at once; only if it answers 200 it is kept. An empty one removes it.
async fn set_webhook(shared: &Shared, account: &str, fields: &Map<String, Value>) -> Result<Reply, Refused> {
    let address = text(fields, "url").unwrap_or_default().to_owned();
    let (body, token) = {
        let mut world = shared.world();
        let now = world.now();
        let bot = bot::bot(&mut world, account).map_err(|_| Refused::of(8))?;
        let body = json!({"event": "webhook", "timestamp": now.unix_timestamp_nanos() / 1_000_000, "chat_hostname": HOST,
            "message_token": bot.next_token()});
        (body.to_string(), bot.settings.token.clone())
    };
    if !address.is_empty() {
        url::Url::parse(&address).map_err(|_| Refused::of(1))?;
        let signed = hex::encode(kit::hmac_sha256(token.as_bytes(), body.as_bytes()));
        let request = shared.http.post(&address).header("content-type", "application/json").body(body);
        let answer = request.header("x-viber-content-signature", signed).send().await;
        if !answer.is_ok_and(|answer| answer.status().as_u16() == 200) {
            return Err(Refused::with(1, "webhook is not responding"));
        }
    }
    let wanted = fields.get("event_types").and_then(Value::as_array);
    let wanted: Option<Vec<String>> =
        wanted.map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    let mut world = shared.world();
    bot::bot(&mut world, account).map_err(|_| Refused::of(8))?.settings.event_types.clone_from(&wanted);
    if let Ok(account) = world.account_mut(account) {
        account.webhook_url = Some(address).filter(|address| !address.is_empty());
        account.queue.ring();
    }
    Ok(Reply::json(200, &json!({"status": 0, "status_message": "ok", "event_types": wanted})))
}
