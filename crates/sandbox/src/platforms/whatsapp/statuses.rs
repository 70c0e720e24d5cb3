//! What becomes of messages: receipts, failures, and what they cost.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use super::errors::GraphError;
use super::number::WhatsAppSettings;
use super::send::Addressee;
use super::{envelope, number};
use crate::Problem;
use crate::chats::{Author, ChatKey, Progress};
use crate::http::Reply;
use crate::ledger::Send;
use crate::platforms::{ReceiptOrder, kit};
use crate::world::World;

/// Free entry points: when the customer came by an advertisement, and when the business first answered.
#[derive(Debug, Default)]
struct EntryPoints(BTreeMap<ChatKey, (OffsetDateTime, Option<OffsetDateTime>)>);

/// Sent, delivered and, if so configured, read, each in its time.
pub(super) fn schedule_receipts(world: &mut World, key: &ChatKey, message: &str) {
    let steps = [Progress::Sent, Progress::Delivered, Progress::Read];
    kit::in_time(world, key, message, &steps, |world, key, message, progress| {
        let blocked = world.chats.get(key).is_some_and(|chat| chat.blocked);
        if progress == Progress::Sent || !blocked {
            status(world, key, message, progress, None, None);
        }
    });
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
        fields.insert("recipient_user_id".to_owned(), json!(envelope::scoped_id(&settings, customer)));
        // A failed status comes without contacts.
        contacts = (progress != Progress::Failed).then(|| envelope::contact(&settings, customer));
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
        json!({"messaging_product": "whatsapp", "metadata": envelope::metadata(settings), "statuses": [fields]});
    if let (Value::Object(value), Some(contacts)) = (&mut value, contacts) {
        value.insert("contacts".to_owned(), json!([contacts]));
    }
    envelope::report(world, &settings.phone_number_id, &settings.waba_id, "messages", &value)
}

/// A refusal that the caller learns of by webhook.
pub(super) struct Failure {
    pub(super) account: String,
    pub(super) message: String,
    pub(super) recipient: Addressee,
    pub(super) callback: Option<String>,
    pub(super) error: GraphError,
}

impl Failure {
    pub(super) fn report(self, world: &mut World) {
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
            fields.insert("recipient_user_id".to_owned(), json!(envelope::scoped_id(&settings, customer)));
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
        let pricing = json!({"billable": false, "pricing_model": "PMP", "type": "free_entry_point",
            "category": "referral_conversion"});
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
pub(super) fn answered_an_ad(world: &mut World, key: &ChatKey, now: OffsetDateTime) {
    if let Some((came, answered @ None)) = world.shelves.of::<EntryPoints>().0.get_mut(key)
        && within(*came, Duration::hours(24), now)
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
pub(super) fn mark_read(world: &mut World, phone: &str, body: &Value) -> Result<Reply, GraphError> {
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

/// Whether an instant still lies in the span that began at `from`.
pub(super) fn within(from: OffsetDateTime, span: Duration, now: OffsetDateTime) -> bool {
    now >= from && now < from + span
}
