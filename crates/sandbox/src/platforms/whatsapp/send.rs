//! Takes messages, and reports what becomes of them.

use std::collections::BTreeMap;
use std::time::Duration as Pause;

use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use super::errors::GraphError;
use super::message::{MediaRef, Outgoing};
use super::number::{Numbers, Refusals, TooFast, WhatsAppSettings};
use super::{inbound, media, number, rules, templates};
use crate::Problem;
use crate::chats::{Author, ChatKey, Entry, Progress};
use crate::http::Reply;
use crate::ledger::Send;
use crate::media::Media;
use crate::people::digits;
use crate::platforms::{ReceiptOrder, Route};
use crate::sandbox::Shared;
use crate::webhooks;
use crate::world::{Receipts, World};

/// Free entry points: when the customer came by an advertisement, and when the business first answered.
#[derive(Debug, Default)]
struct EntryPoints(BTreeMap<ChatKey, (OffsetDateTime, Option<OffsetDateTime>)>);

/// An id for a message. Unique over restarts, since the seed comes from the clock.
pub(super) fn wamid(world: &mut World) -> String {
    let (seed, number) = (world.names.seed(), world.names.number());
    format!("wamid.HBgM{seed:016X}{number:010X}AA==")
}

/// `POST /{phone}/messages`.
pub(super) async fn messages(shared: &Shared, route: &Route, phone: &str, body: &Value) -> Reply {
    if body.get("status").is_some() {
        return mark_read(&mut shared.world(), phone, body).unwrap_or_else(|error| error.reply());
    }
    let outgoing = match Outgoing::parse(body) {
        Ok(outgoing) => outgoing,
        Err(error) => return error.reply(),
    };
    // The file behind a link is fetched before anything is decided, so that one failure is one refusal.
    let file = match &outgoing.media {
        Some(MediaRef::Link(link)) => Some(webhooks::fetch(shared, link).await),
        _ => None,
    };
    let mut world = shared.world();
    accept(&mut world, route, phone, body, outgoing, file).unwrap_or_else(|error| error.reply())
}

type Fetched = Option<Result<(String, bytes::Bytes), String>>;

fn accept(
    world: &mut World,
    route: &Route,
    phone: &str,
    body: &Value,
    mut outgoing: Outgoing,
    file: Fetched,
) -> Result<Reply, GraphError> {
    let settings = number::settings(world, phone).map_err(|_| GraphError::no_such_object(phone))?;
    let now = world.now();
    let filled =
        outgoing.template.as_ref().map(|template| templates::fill(world, &settings.waba_id, template)).transpose()?;
    let category = filled.as_ref().map(|filled| filled.category.clone());
    if let Some(filled) = filled {
        (outgoing.text, outgoing.buttons) = (filled.text, filled.buttons);
    }
    let addressee = Addressee::find(world, &settings, &outgoing)?;
    let key = ChatKey::direct(phone, addressee.customer.as_deref().unwrap_or_default());
    if let Some((target, _)) = &outgoing.reaction
        && world.chats.get(&key).is_none_or(|chat| chat.entry(target).is_none())
    {
        return Err(GraphError::invalid("message_id", "no such message in this conversation"));
    }
    let media = checked_file(world, phone, &outgoing)?;
    if let Some(number) = world.shelves.of::<Numbers>().0.get_mut(phone) {
        number.pace(&addressee.shown, now).map_err(|fast| match fast {
            TooFast::Throughput => GraphError::new(130_429, "Cloud API message throughput has been reached"),
            TooFast::Pair => GraphError::new(
                131_056,
                "Too many messages sent from this phone number to the same user in a short time",
            ),
        })?;
    }

    let message = wamid(world);
    let reply = addressee.reply(&message, outgoing.kind == "template");
    let refusal = match (&route.fails_later, &addressee.customer) {
        (Some((code, details)), _) => Some(GraphError::new(*code, details)),
        (None, None) => Some(rules::undeliverable()),
        (None, Some(_)) => rules::refusal(world, &key, category.as_deref(), now),
    };
    let (media, refusal) = match (refusal, file) {
        (Some(refusal), _) => (None, Some(refusal)),
        (None, Some(fetched)) => match media::from_link(world, phone, &outgoing.kind, fetched) {
            Ok(media) => (Some(media), None),
            Err(error) => (None, Some(error)),
        },
        (None, None) => (media, None),
    };
    if let Some(refusal) = refusal {
        let later = route.fails_later.is_some() || (refusal.comes_later() && settings.refusals == Refusals::Async);
        if !later {
            return Err(refusal);
        }
        let failure = Failure {
            account: phone.to_owned(),
            message,
            recipient: addressee,
            callback: outgoing.callback,
            error: refusal,
        };
        let code = failure.error.code;
        world.later(Pause::from_millis(10), move |world| failure.report(world));
        return Ok(reply.coded(code));
    }
    book(world, &settings, &key, &addressee, body, outgoing, media, &message, category, now);
    Ok(reply)
}

#[expect(clippy::too_many_arguments, reason = "one private step of `accept`, cut off for its length")]
fn book(
    world: &mut World,
    settings: &WhatsAppSettings,
    key: &ChatKey,
    addressee: &Addressee,
    body: &Value,
    outgoing: Outgoing,
    media: Option<String>,
    message: &str,
    category: Option<String>,
    now: OffsetDateTime,
) {
    let window = rules::window(world, key, now);
    let counted = category.is_some() && !window.is_open();
    let mut text = outgoing.text;
    if let Some((target, emoji)) = &outgoing.reaction
        && let Some(entry) = world.chat_mut(key).entry_mut(target)
    {
        match emoji {
            Some(emoji) => entry.reactions.insert(String::new(), emoji.clone()),
            None => entry.reactions.remove(""),
        };
        text = format!("(reacted {})", emoji.as_deref().unwrap_or("no more"));
    }
    let mut entry = Entry::new(message, Author::Business, now, &outgoing.kind, &text);
    (entry.media, entry.buttons) = (media, outgoing.buttons);
    // A quoted bubble is dropped silently if its message is gone.
    entry.reply_to =
        outgoing.reply_to.filter(|quoted| world.chats.get(key).is_some_and(|chat| chat.entry(quoted).is_some()));
    let send = Send {
        seq: 0,
        at: now,
        platform: "whatsapp".to_owned(),
        account: settings.phone_number_id.clone(),
        customer: key.customer.clone(),
        recipient: addressee.input.clone(),
        via: None,
        provider_ids: vec![message.to_owned()],
        method: "messages".to_owned(),
        kind: outgoing.kind,
        category,
        text,
        body: body.clone(),
        window,
        counted,
        answered: true,
        receipt: Progress::Accepted,
        failed: None,
    };
    world.accept(key, send, vec![entry]);
    answered_an_ad(world, key, now);
    schedule_receipts(world, key, message);
}

/// Sent, delivered and, if so configured, read, each in its time.
fn schedule_receipts(world: &mut World, key: &ChatKey, message: &str) {
    let Ok(Receipts::Auto(pauses)) = world.account(&key.account).map(|account| account.receipts) else { return };
    let steps = [
        (Progress::Sent, Some(pauses.sent_ms)),
        (Progress::Delivered, Some(pauses.delivered_ms)),
        (Progress::Read, pauses.read_ms),
    ];
    for (progress, pause) in steps {
        let Some(pause) = pause else { continue };
        let (key, message) = (key.clone(), message.to_owned());
        world.later(Pause::from_millis(pause), move |world| {
            let blocked = world.chats.get(&key).is_some_and(|chat| chat.blocked);
            if progress == Progress::Sent || !blocked {
                status(world, &key, &message, progress, None, None);
            }
        });
    }
}

/// Moves a message on and tells the webhook. Nothing happens if it is that far already.
pub(super) fn status(
    world: &mut World,
    key: &ChatKey,
    message: &str,
    progress: Progress,
    error: Option<&GraphError>,
    at: Option<OffsetDateTime>,
) -> Option<u64> {
    if !world.progress(key, message, progress, error.map(|error| error.code)) {
        return None;
    }
    report_status(world, key, message, progress, error, at)
}

fn report_status(
    world: &mut World,
    key: &ChatKey,
    message: &str,
    progress: Progress,
    error: Option<&GraphError>,
    at: Option<OffsetDateTime>,
) -> Option<u64> {
    let settings = number::settings(world, &key.account).ok()?;
    let send = world.ledger.by_provider_id(&key.account, message)?.clone();
    let mut fields = Map::new();
    if let Some(callback) = send.body.get("biz_opaque_callback_data") {
        fields.insert("biz_opaque_callback_data".to_owned(), callback.clone());
    }
    if matches!(progress, Progress::Sent | Progress::Delivered) {
        let (pricing, conversation) = pricing(world, key, &send);
        fields.insert("pricing".to_owned(), pricing);
        if let Some(conversation) = conversation {
            fields.insert("conversation".to_owned(), conversation);
        }
    }
    if let Some(error) = error {
        fields.insert("errors".to_owned(), json!([error.in_webhook()]));
    }
    let mut contacts = None;
    if let Some(customer) = world.customers.get(&key.customer) {
        if !customer.hides_phone {
            fields.insert("recipient_id".to_owned(), json!(customer.address("whatsapp")));
        }
        fields.insert("recipient_user_id".to_owned(), json!(inbound::scoped_id(&settings, customer)));
        // A failed status comes without contacts.
        contacts = (progress != Progress::Failed).then(|| inbound::contact(&settings, customer));
    }
    let at = at.unwrap_or_else(|| world.now());
    report_statuses(world, &settings, message, progress, fields, contacts, at)
}

fn report_statuses(
    world: &mut World,
    settings: &WhatsAppSettings,
    message: &str,
    progress: Progress,
    mut fields: Map<String, Value>,
    contacts: Option<Value>,
    at: OffsetDateTime,
) -> Option<u64> {
    fields.insert("id".to_owned(), json!(message));
    fields.insert("status".to_owned(), json!(progress));
    fields.insert("timestamp".to_owned(), json!(at.unix_timestamp().to_string()));
    let mut value =
        json!({"messaging_product": "whatsapp", "metadata": inbound::metadata(settings), "statuses": [fields]});
    if let (Value::Object(value), Some(contacts)) = (&mut value, contacts) {
        value.insert("contacts".to_owned(), json!([contacts]));
    }
    inbound::report(world, &settings.phone_number_id, &settings.waba_id, "messages", &value)
}

/// A refusal that the caller learns of by webhook.
struct Failure {
    account: String,
    message: String,
    recipient: Addressee,
    callback: Option<String>,
    error: GraphError,
}

impl Failure {
    fn report(self, world: &mut World) {
        let Ok(settings) = number::settings(world, &self.account) else { return };
        let mut fields = Map::new();
        fields.insert("recipient_id".to_owned(), json!(self.recipient.shown));
        if let Some(callback) = self.callback {
            fields.insert("biz_opaque_callback_data".to_owned(), json!(callback));
        }
        if let Some(customer) = self.recipient.customer.and_then(|id| world.customers.get(&id)) {
            if customer.hides_phone {
                fields.remove("recipient_id");
            }
            fields.insert("recipient_user_id".to_owned(), json!(inbound::scoped_id(&settings, customer)));
        }
        fields.insert("errors".to_owned(), json!([self.error.in_webhook()]));
        let at = world.now();
        report_statuses(world, &settings, &self.message, Progress::Failed, fields, None, at);
    }
}

/// What a message costs: see the price table of per-message pricing, in force since 2025-07-01.
fn pricing(world: &mut World, key: &ChatKey, send: &Send) -> (Value, Option<Value>) {
    let entry_point = world.shelves.of::<EntryPoints>().0.get(key).and_then(|(_, answered)| *answered);
    let free_until = entry_point.map(|from| from + Duration::hours(72)).filter(|until| send.at < *until);
    let category = send.category.as_deref().unwrap_or("service");
    if let Some(until) = free_until {
        let pricing = json!({"billable": false, "pricing_model": "PMP", "type": "free_entry_point", "category": "referral_conversion"});
        let conversation = json!({
            "id": format!("{:032x}", until.unix_timestamp()),
            "expiration_timestamp": until.unix_timestamp().to_string(),
            "origin": {"type": "referral_conversion"},
        });
        return (pricing, Some(conversation));
    }
    let free = send.category.is_none() || (category == "utility" && send.window.is_open());
    let kind = if free { "free_customer_service" } else { "regular" };
    (json!({"billable": !free, "pricing_model": "PMP", "type": kind, "category": category}), None)
}

/// The customer came by an advertisement.
pub(super) fn entered_by_ad(world: &mut World, key: &ChatKey, at: OffsetDateTime) {
    world.shelves.of::<EntryPoints>().0.insert(key.clone(), (at, None));
}

/// The first answer within 24 hours begins the 72 free hours.
fn answered_an_ad(world: &mut World, key: &ChatKey, now: OffsetDateTime) {
    if let Some((came, answered @ None)) = world.shelves.of::<EntryPoints>().0.get_mut(key)
        && inbound::within(*came, Duration::hours(24), now)
    {
        *answered = Some(now);
    }
}

/// A receipt by hand.
pub(super) fn receipt(world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
    let key = world.chat_with(account, &order.message_id);
    let key = key
        .ok_or_else(|| Problem::not_found(format!("account `{account}` has sent no message `{}`", order.message_id)))?;
    let error = match (order.status, order.code) {
        (Progress::Accepted, _) => {
            return Err(Problem::invalid("accepted is no receipt: sent, delivered, read, played or failed"));
        }
        (Progress::Failed, code) => Some(GraphError::new(code.unwrap_or(131_000), "Something went wrong")),
        (_, Some(_)) => return Err(Problem::invalid("only a failed receipt has a code")),
        (_, None) => None,
    };
    world.progress(&key, &order.message_id, order.status, error.as_ref().map(|error| error.code));
    // By hand a receipt may also come twice, or late: receivers must cope.
    Ok(report_status(world, &key, &order.message_id, order.status, error.as_ref(), order.at))
}

/// `{"status": "read"}`: the business has read the customer's messages up to this one.
fn mark_read(world: &mut World, phone: &str, body: &Value) -> Result<Reply, GraphError> {
    if body.get("status").and_then(Value::as_str) != Some("read") {
        return Err(GraphError::invalid("status", "must be read"));
    }
    let message = super::message::needed(body, "message_id")?;
    let unknown = || GraphError::invalid("message_id", "no such message");
    let key = world.chat_with(phone, &message).ok_or_else(unknown)?;
    let chat = world.chat_mut(&key);
    let at = chat.entry(&message).filter(|entry| entry.author == Author::Customer).ok_or_else(unknown)?.at;
    for entry in chat.entries.iter_mut().filter(|entry| entry.author == Author::Customer && entry.at <= at) {
        entry.progress = Progress::Read;
    }
    Ok(Reply::json(200, &json!({"success": true})))
}

/// The uploaded file that a message names, if it fits the message.
fn checked_file(world: &World, phone: &str, outgoing: &Outgoing) -> Result<Option<String>, GraphError> {
    let Some(MediaRef::Id(id)) = &outgoing.media else { return Ok(None) };
    let file: Option<&Media> = world.files.get(id).filter(|file| file.account == phone);
    let file = file.filter(|file| media::is_alive(file, world.now()));
    let file = file.ok_or_else(|| {
        GraphError::invalid("id", &format!("media '{id}' does not exist, or was not uploaded by this number"))
    })?;
    media::fits(&outgoing.kind, &file.mime, file.bytes.len())?;
    Ok(Some(id.clone()))
}

/// Whom a message is for.
#[derive(Debug)]
struct Addressee {
    /// As written in the request.
    input: String,
    /// The number, as digits; the BSUID if that was used.
    shown: String,
    by_user_id: bool,
    customer: Option<String>,
}

impl Addressee {
    fn find(world: &World, settings: &WhatsAppSettings, outgoing: &Outgoing) -> Result<Self, GraphError> {
        // Both may be given; the phone number goes first.
        if let Some(to) = &outgoing.to {
            let number = digits(to);
            if number.is_empty() {
                return Err(GraphError::invalid("to", "not a phone number"));
            }
            if number == settings.display_phone_number {
                return Err(GraphError::new(131_021, "The recipient's phone number is the sender's"));
            }
            let known = |number: &str| {
                let fits = |one: &&crate::people::Customer| {
                    one.address("whatsapp") == number || one.phone_digits().as_deref() == Some(number)
                };
                world.customers.values().find(fits)
            };
            let customer = known(&number);
            // Without a plus the platform takes the number as a national one, unless it is somebody's id as it stands.
            let shown = match customer {
                Some(customer) => customer.address("whatsapp").to_owned(),
                None if to.trim_start().starts_with('+') => number,
                None => format!("{}{number}", settings.display_phone_number.get(..2).unwrap_or_default()),
            };
            return Ok(Self {
                input: to.clone(),
                shown,
                by_user_id: false,
                customer: customer.map(|one| one.id.clone()),
            });
        }
        let user_id = outgoing.recipient.clone().unwrap_or_default();
        let customer = world.customers.values().find(|one| inbound::scoped_id(settings, one) == user_id);
        Ok(Self {
            input: user_id.clone(),
            shown: user_id,
            by_user_id: true,
            customer: customer.map(|one| one.id.clone()),
        })
    }

    /// The answer of success: accepted, no more.
    fn reply(&self, message: &str, template: bool) -> Reply {
        let id = if self.by_user_id { "user_id" } else { "wa_id" };
        let mut messages = Map::from_iter([("id".to_owned(), json!(message))]);
        if template {
            messages.insert("message_status".to_owned(), json!("accepted"));
        }
        let contact = json!({"input": self.input, id: self.shown});
        Reply::json(200, &json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [messages]}))
    }
}
