//! How messages fare, as status callbacks.

use super::account::sender;
use crate::Problem;
use crate::chats::{ChatKey, Progress};
use crate::platforms::{ReceiptOrder, kit};
use crate::world::World;

/// Receipts that come by themselves: handed to the carrier, then on the phone. Nobody tells of reading.
pub(super) fn schedule(world: &mut World, key: &ChatKey, message: &str, to: &str, callback: Option<&str>) {
    let (to, callback) = (to.to_owned(), callback.map(str::to_owned));
    kit::in_time(world, key, message, &[Progress::Sent, Progress::Delivered], move |world, key, message, progress| {
        if world.progress(key, message, progress, None) {
            report(world, &key.account, message, &to, callback.as_deref(), progress, None);
        }
    });
}

/// A message that did not arrive.
pub(super) fn fails(world: &mut World, account: &str, message: &str, to: &str, callback: Option<&str>, code: i64) {
    if let Some(key) = world.chat_with(account, message) {
        world.progress(&key, message, Progress::Failed, Some(code));
    }
    report(world, account, message, to, callback, Progress::Failed, Some(code));
}

/// To the message's own address, or for a service to its one; a number alone has none.
fn report(
    world: &mut World,
    account: &str,
    message: &str,
    to: &str,
    callback: Option<&str>,
    progress: Progress,
    code: Option<i64>,
) -> Option<u64> {
    let settings = sender(world, account).ok()?.settings.clone();
    if callback.is_none() && !settings.is_service() {
        return None;
    }
    let status = match progress {
        Progress::Accepted => "queued",
        Progress::Sent => "sent",
        Progress::Delivered => "delivered",
        Progress::Read | Progress::Played => "read",
        Progress::Failed => "undelivered",
    };
    let mut form = vec![
        ("SmsSid", message.to_owned()),
        ("SmsStatus", status.to_owned()),
        ("MessageStatus", status.to_owned()),
        ("To", to.to_owned()),
        ("MessageSid", message.to_owned()),
        ("AccountSid", settings.account_sid.clone()),
        ("From", settings.number.clone()),
        ("ApiVersion", "2010-04-01".to_owned()),
    ];
    if settings.is_service() {
        form.push(("MessagingServiceSid", settings.sender.clone()));
    }
    form.extend(code.map(|code| ("ErrorCode", code.to_string())));
    super::report(world, account, "status", callback, &form)
}

/// A receipt by hand.
pub(super) fn receipt(world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
    let unknown = || Problem::not_found(format!("account `{account}` has sent no message `{}`", order.message_id));
    let send = world.ledger.by_provider_id(account, &order.message_id).ok_or_else(unknown)?;
    let to = send.recipient.clone();
    let callback = send.body.get("StatusCallback").and_then(serde_json::Value::as_str).map(str::to_owned);
    let code = match (order.status, order.code) {
        (Progress::Accepted, _) => return Err(Problem::invalid("accepted is no receipt: sent, delivered or failed")),
        (Progress::Failed, code) => Some(code.unwrap_or(30_008)),
        (_, Some(_)) => return Err(Problem::invalid("only a failed receipt has a code")),
        (_, None) => None,
    };
    if let Some(key) = world.chat_with(account, &order.message_id) {
        world.progress(&key, &order.message_id, order.status, code);
    }
    // By hand a receipt may also come twice, or late: receivers must cope.
    Ok(report(world, account, &order.message_id, &to, callback.as_deref(), order.status, code))
}
