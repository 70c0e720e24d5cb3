//! `POST /Messages.json`, and what can be asked about messages.

use std::time::Duration as Pause;

use serde_json::{Value, json};
use time::format_description::well_known::Rfc2822;

use super::account::{SmsSettings, is_number, sender, sid};
use super::errors::TwilioError;
use super::{rules, segments, statuses};
use crate::chats::{Author, ChatKey, Entry, Progress};
use crate::http::{Call, Reply, pairs};
use crate::ledger::{Send, Window};
use crate::platforms::Route;
use crate::world::World;

/// A message as it was asked for.
struct Order {
    to: String,
    text: String,
    files: Vec<String>,
    callback: Option<String>,
}

/// Takes a message, or says why not.
pub(super) fn create(world: &mut World, account: &str, route: &Route, call: &Call) -> Result<Reply, TwilioError> {
    let now = world.now();
    let found = sender(world, account).map_err(|_| TwilioError::of(20_404))?;
    found.pace(now)?;
    let settings = found.settings.clone();
    if settings.status != "active" {
        return Err(TwilioError::of(20_005));
    }
    let form = pairs(std::str::from_utf8(&call.body).unwrap_or_default());
    let order = checked(&settings, &form)?;
    let customer = world.customer_at("sms", &order.to).map(|customer| customer.id.clone());
    let key = ChatKey::direct(account, customer.as_deref().unwrap_or_default());
    let verdict = rules::would_accept(world, &key, now);
    if let Some(code) = verdict.code {
        return Err(TwilioError::of(code));
    }
    let message = sid(world, if order.files.is_empty() { "SM" } else { "MM" });
    let reply = Reply::json(201, &view(&settings, &message, &order, "queued"));
    let failure = match (&route.fails_later, &customer) {
        (Some((code, _)), _) => Some(*code),
        // Nobody has this number.
        (None, None) => Some(30_005),
        (None, Some(customer)) => unreachable_code(world, &key, customer),
    };
    book(world, &settings, &key, &form, &order, &message, verdict.window);
    match failure {
        Some(code) => {
            let (account, callback) = (account.to_owned(), order.callback);
            world.later(Pause::from_millis(10), move |world| {
                statuses::fails(world, &account, &message, &order.to, callback.as_deref(), code);
            });
        }
        None => statuses::schedule(world, &key, &message, &order.to, order.callback.as_deref()),
    }
    Ok(reply)
}

/// Why a message will not arrive, as the carrier says it later.
fn unreachable_code(world: &World, key: &ChatKey, customer: &str) -> Option<i64> {
    let blocked = world.chats.get(key).is_some_and(|chat| chat.blocked);
    let gone = world.customers.get(customer).is_some_and(|customer| customer.unreachable_on.contains("sms"));
    match (gone, blocked) {
        (true, _) => Some(30_005),
        (false, true) => Some(30_004),
        (false, false) => None,
    }
}

fn checked(settings: &SmsSettings, form: &[(String, String)]) -> Result<Order, TwilioError> {
    let field =
        |name: &str| form.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.clone());
    match (field("From"), field("MessagingServiceSid")) {
        (None, None) => return Err(TwilioError::of(21_603)),
        (Some(from), _) if from != settings.sender && from != settings.number => return Err(TwilioError::of(21_606)),
        (None, Some(service)) if service != settings.sender => return Err(TwilioError::of(20_404)),
        _ => {}
    }
    let to = field("To").ok_or_else(|| TwilioError::of(21_604))?;
    if !is_number(&to) {
        return Err(TwilioError::new(21_211, format!("Invalid 'To' Phone Number: {to}")));
    }
    if settings.landlines.contains(&to) {
        return Err(TwilioError::of(21_614));
    }
    if settings.regions.as_ref().is_some_and(|regions| !regions.iter().any(|prefix| to.starts_with(prefix.as_str()))) {
        return Err(TwilioError::of(21_408));
    }
    if settings.verified_only.as_ref().is_some_and(|verified| !verified.contains(&to)) {
        return Err(TwilioError::of(21_608));
    }
    let text = field("Body").unwrap_or_default();
    if text.chars().count() > 1_600 {
        return Err(TwilioError::of(21_617));
    }
    let files: Vec<String> = form.iter().filter(|(name, _)| name == "MediaUrl").map(|(_, url)| url.clone()).collect();
    if text.trim().is_empty() && files.is_empty() {
        return Err(TwilioError::of(21_619));
    }
    if files.len() > 10 {
        return Err(TwilioError::of(21_623));
    }
    if !files.iter().all(|file| url::Url::parse(file).is_ok_and(|url| url.scheme() == "https")) {
        return Err(TwilioError::of(21_620));
    }
    let callback = field("StatusCallback");
    if callback.as_deref().is_some_and(|url| !url::Url::parse(url).is_ok_and(|url| url.has_host())) {
        return Err(TwilioError::of(21_609));
    }
    Ok(Order { to, text, files, callback })
}

fn book(
    world: &mut World,
    settings: &SmsSettings,
    key: &ChatKey,
    form: &[(String, String)],
    order: &Order,
    message: &str,
    window: Window,
) {
    let now = world.now();
    let kind = if order.files.is_empty() { "sms" } else { "mms" };
    let body: serde_json::Map<String, Value> = form
        .iter()
        .map(|(name, value)| (name.clone(), if name == "MediaUrl" { json!(order.files) } else { json!(value) }))
        .collect();
    let send = Send {
        seq: 0,
        at: now,
        platform: "sms".to_owned(),
        account: settings.sender.clone(),
        customer: key.customer.clone(),
        recipient: order.to.clone(),
        via: None,
        provider_ids: vec![message.to_owned()],
        method: "Messages".to_owned(),
        kind: if kind == "sms" { "text".to_owned() } else { kind.to_owned() },
        category: None,
        text: order.text.clone(),
        body: Value::Object(body),
        window,
        counted: settings.daily_limit.is_some(),
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    let entry = Entry::new(message, Author::Business, now, kind, &order.text);
    world.accept(key, send, vec![entry]);
}

/// A message, as the API shows it.
fn view(settings: &SmsSettings, message: &str, order: &Order, status: &str) -> Value {
    let service = settings.is_service();
    let count = if service { 0 } else { segments::count(&order.text) };
    json!({
        "sid": message,
        "status": if service { "accepted" } else { status },
        "from": if service { None } else { Some(&settings.number) },
        "to": order.to,
        "body": order.text,
        "num_segments": count.to_string(),
        "num_media": order.files.len().to_string(),
        "direction": "outbound-api",
        "error_code": null,
        "error_message": null,
        "price": null,
        "price_unit": "USD",
        "messaging_service_sid": if service { Some(&settings.sender) } else { None },
        "account_sid": settings.account_sid,
        "api_version": "2010-04-01",
        "uri": format!("/2010-04-01/Accounts/{}/Messages/{message}.json", settings.account_sid),
    })
}

/// A send of the past, as the API shows it.
pub(super) fn shown(settings: &SmsSettings, send: &Send) -> Value {
    let status = match send.receipt {
        Progress::Accepted => "queued",
        Progress::Sent => "sent",
        Progress::Delivered => "delivered",
        Progress::Read | Progress::Played => "read",
        Progress::Failed => "undelivered",
    };
    let at = send.at.format(&Rfc2822).ok();
    // What waits in the queue has not been sent.
    let sent = (send.receipt != Progress::Accepted).then_some(&at);
    let files = send.body.get("MediaUrl").and_then(Value::as_array).map_or(0, Vec::len);
    json!({"sid": send.provider_ids.first(), "status": status, "from": settings.number, "to": send.recipient,
        "messaging_service_sid": settings.is_service().then_some(&settings.sender), "body": send.text,
        "num_media": files.to_string(), "direction": "outbound-api", "error_code": send.failed, "date_created": at,
        "date_sent": sent})
}

/// `GET /Messages/{sid}.json`.
pub(super) fn one(world: &mut World, account: &str, message: &str) -> Result<Reply, TwilioError> {
    let settings = sender(world, account).map_err(|_| TwilioError::of(20_404))?.settings.clone();
    let send = world.ledger.by_provider_id(account, message).ok_or_else(|| TwilioError::of(20_404))?;
    Ok(Reply::json(200, &shown(&settings, send)))
}
