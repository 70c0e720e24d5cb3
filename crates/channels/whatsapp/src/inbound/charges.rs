//! What messages cost, as statuses tell: not part of a receipt, and not lost.

use serde_json::Value;
use time::OffsetDateTime;
use transom_channel::{ParseError, RawInbound};
use transom_meta::envelope;

use super::{OBJECT, list, text};

/// How Meta counted one message (whatsapp.md 1.4 and 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The platform's id of the message.
    pub message_id: String,
    /// Our own reference: the part's id.
    pub correlation: Option<String>,
    /// The status that told it: `sent`, and one of `delivered` and `read`.
    pub status: String,
    /// When, by Meta's clock.
    pub at: Option<OffsetDateTime>,
    /// Whether it is paid for.
    pub billable: Option<bool>,
    /// `PMP` since prices are per message.
    pub model: Option<String>,
    /// `regular`, `free_customer_service` or `free_entry_point`.
    pub kind: Option<String>,
    /// `service`, `utility`, `marketing`, `marketing_lite`, `authentication`, `authentication-international`, `referral_conversion`.
    pub category: Option<String>,
    /// Until when everything is free, after an answer to an advertisement. A price, not a right to send.
    pub free_until: Option<OffsetDateTime>,
}

/// The charges in a webhook call: reports of costs read the journal with it.
///
/// ```
/// use time::macros::datetime;
/// use transom_channel::RawInbound;
///
/// let body = r#"{"object":"whatsapp_business_account","entry":[{"id":"7","changes":[{"field":"messages","value":{"statuses":[
///     {"id":"wamid.OUT1","status":"delivered","timestamp":"1790000121","recipient_id":"4915550100001",
///      "pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"utility"}}]}}]}]}"#;
/// let charges = transom_whatsapp::charges(&RawInbound::new(body, datetime!(2026-09-21 14:15 UTC)))?;
/// assert_eq!(charges[0].category.as_deref(), Some("utility"));
/// assert_eq!(charges[0].billable, Some(true));
/// # Ok::<_, transom_channel::ParseError>(())
/// ```
///
/// # Errors
/// [`ParseError`] for a body that is no call of this platform.
pub fn charges(raw: &RawInbound) -> Result<Vec<Charge>, ParseError> {
    let entries = envelope::read(&raw.body, OBJECT)?;
    let changes = entries.iter().flat_map(|entry| entry.list("changes"));
    let statuses = changes.filter_map(|change| change.get("value")).flat_map(|value| list(value, "statuses"));
    Ok(statuses.filter_map(charge).collect())
}

fn charge(status: &Value) -> Option<Charge> {
    let pricing = status.get("pricing").filter(|pricing| pricing.is_object())?;
    let word = |name: &str| text(pricing, name).map(str::to_owned);
    Some(Charge {
        message_id: text(status, "id")?.to_owned(),
        correlation: text(status, "biz_opaque_callback_data").map(str::to_owned),
        status: text(status, "status").unwrap_or_default().to_owned(),
        at: status.get("timestamp").and_then(envelope::instant),
        billable: pricing.get("billable").and_then(Value::as_bool),
        model: word("pricing_model"),
        kind: word("type"),
        category: word("category"),
        free_until: status
            .get("conversation")
            .filter(|_| text(pricing, "type") == Some("free_entry_point"))
            .and_then(|conversation| conversation.get("expiration_timestamp"))
            .and_then(envelope::instant),
    })
}
