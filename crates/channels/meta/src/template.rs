//! Message templates as Meta keeps them, for numbers and for Pages: the catalogue, and what webhooks tell of it. Pure.

use serde_json::Value;
use transom_channel::TemplateNotice;
use transom_domain::template::{TemplateButton, TemplateButtonKind, TemplateHeader};
use transom_domain::{TemplateDefinition, TemplateStatus};

use crate::envelope;

/// What a status means for sending (whatsapp.md 1.2, messenger.md 1.5). A word that is not in the sheet sends nothing.
pub fn status(word: &str) -> TemplateStatus {
    match word.to_ascii_uppercase().as_str() {
        // FLAGGED is a warning. LOCKED forbids editing, and leaves sending as it was.
        "APPROVED" | "REINSTATED" | "UNARCHIVED" | "FLAGGED" | "LOCKED" => TemplateStatus::Approved,
        "PAUSED" | "ARCHIVED" => TemplateStatus::Paused,
        "REJECTED" | "LIMIT_EXCEEDED" => TemplateStatus::Rejected,
        "DISABLED" => TemplateStatus::Disabled,
        "PENDING_DELETION" | "DELETED" => TemplateStatus::Deleted,
        _ => TemplateStatus::Pending,
    }
}

/// One entry of the catalogue; `None` for one without id, name or language.
///
/// Components that we don't know and that take no parameters go out with the template by themselves. One that needs what we
/// can't give makes the template unsendable: its status is `disabled`, and the platform's word for it says why.
pub fn definition(entry: &Value) -> Option<TemplateDefinition> {
    let word = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let provider_status = word("status").unwrap_or("UNKNOWN");
    let mut definition = TemplateDefinition {
        provider_id: entry.get("id").and_then(envelope::text)?,
        name: word("name")?.to_owned(),
        language: word("language")?.to_owned(),
        category: word("category").unwrap_or_default().to_ascii_lowercase(),
        status: status(provider_status),
        provider_status: provider_status.to_owned(),
        header: None,
        body: String::new(),
        footer: None,
        buttons: Vec::new(),
    };
    let mut beyond_us = None;
    for component in entry.get("components").and_then(Value::as_array).into_iter().flatten() {
        beyond_us = beyond_us.or(add(&mut definition, component));
    }
    if let Some(what) = beyond_us {
        definition.provider_status = format!("{provider_status}, but Transom can't fill its {what}");
        definition.status = match definition.status {
            TemplateStatus::Approved => TemplateStatus::Disabled,
            other => other,
        };
    }
    Some(definition)
}

/// Takes one component over; answers what of it can't be filled.
fn add(definition: &mut TemplateDefinition, component: &Value) -> Option<String> {
    let word = |name: &str| component.get(name).and_then(Value::as_str).unwrap_or_default();
    let text = || word("text").to_owned();
    match word("type").to_ascii_uppercase().as_str() {
        "HEADER" => {
            definition.header = Some(match word("format").to_ascii_uppercase().as_str() {
                "TEXT" | "" => TemplateHeader::Text { text: text() },
                "IMAGE" => TemplateHeader::Image,
                "VIDEO" => TemplateHeader::Video,
                "DOCUMENT" => TemplateHeader::Document,
                "LOCATION" => TemplateHeader::Location,
                other => return Some(format!("header ({})", other.to_ascii_lowercase())),
            });
            None
        }
        "BODY" => {
            definition.body = text();
            // Meta writes the words of an authentication template itself, and the code is its one parameter.
            if definition.body.is_empty() && definition.category == "authentication" {
                "{{1}}".clone_into(&mut definition.body);
            }
            None
        }
        "FOOTER" => {
            definition.footer = Some(text()).filter(|text| !text.is_empty());
            None
        }
        "BUTTONS" => {
            let buttons = component.get("buttons").and_then(Value::as_array).into_iter().flatten();
            let (buttons, beyond_us): (Vec<_>, Vec<_>) = buttons.map(button).unzip();
            definition.buttons = buttons;
            beyond_us.into_iter().flatten().next()
        }
        // Cards and countdowns take parameters of their own, whatever their JSON shows.
        what @ ("CAROUSEL" | "LIMITED_TIME_OFFER") => Some(what.to_ascii_lowercase()),
        what if component.to_string().contains("{{") => Some(what.to_ascii_lowercase()),
        _ => None,
    }
}

fn button(button: &Value) -> (TemplateButton, Option<String>) {
    let word = |name: &str| button.get(name).and_then(Value::as_str);
    let kind = word("type").unwrap_or_default().to_ascii_uppercase();
    let (sort, url) = match kind.as_str() {
        "QUICK_REPLY" => (TemplateButtonKind::QuickReply, None),
        "URL" => (TemplateButtonKind::Url, word("url").map(str::to_owned)),
        // A one-time code: sent as the ending of an address, which the platform knows (whatsapp.md 2).
        "OTP" => (TemplateButtonKind::Url, Some("{{1}}".to_owned())),
        "PHONE_NUMBER" => (TemplateButtonKind::PhoneNumber, None),
        "COPY_CODE" => (TemplateButtonKind::CopyCode, None),
        _ => (TemplateButtonKind::Other, None),
    };
    // Products are chosen with each send.
    let beyond_us = matches!(kind.as_str(), "MPM" | "SPM").then(|| format!("button ({})", kind.to_ascii_lowercase()));
    (TemplateButton { kind: sort, text: word("text").unwrap_or_default().to_owned(), url }, beyond_us)
}

/// What a webhook's field tells about a template; `None` for one that is about something else, or can't be read.
pub fn notice(field: &str, value: &Value) -> Option<TemplateNotice> {
    match field {
        "message_template_status_update" => status_changed(value),
        "message_template_quality_update" => quality_changed(value),
        "template_category_update" => category_changed(value),
        "message_template_components_update" => about(value, "components changed"),
        _ => None,
    }
}

fn about(value: &Value, provider_status: &str) -> Option<TemplateNotice> {
    Some(TemplateNotice {
        provider_id: value.get("message_template_id").and_then(envelope::text),
        name: word(value, "message_template_name")?.to_owned(),
        language: word(value, "message_template_language")?.to_owned(),
        status: None,
        provider_status: provider_status.to_owned(),
        category: None,
        reason: None,
    })
}

fn status_changed(value: &Value) -> Option<TemplateNotice> {
    let event = word(value, "event")?;
    let title = value.get("other_info").and_then(|info| word(info, "title"));
    let status = match (event, title) {
        // "As before" (whatsapp.md 1.2).
        ("LOCKED", _) => None,
        (_, Some("UNPAUSE")) => Some(TemplateStatus::Approved),
        (_, Some("DISABLED")) => Some(TemplateStatus::Disabled),
        (event, _) => Some(status(event)),
    };
    let reason = word(value, "reason").filter(|reason| *reason != "NONE").or(title);
    Some(TemplateNotice { status, reason: reason.map(str::to_owned), ..about(value, event)? })
}

/// Quality alone neither stops nor allows anything.
fn quality_changed(value: &Value) -> Option<TemplateNotice> {
    about(value, &format!("quality {}", word(value, "new_quality_score")?))
}

/// A new category changes price and right at once; one that is only announced does not.
fn category_changed(value: &Value) -> Option<TemplateNotice> {
    let new = word(value, "new_category").map(str::to_ascii_lowercase);
    let announced =
        word(value, "correct_category").map(|category| format!("to become {}", category.to_ascii_lowercase()));
    let provider_status = match (&new, &announced) {
        (Some(new), _) => format!("category {new}"),
        (None, Some(_)) => "category announced".to_owned(),
        (None, None) => return None,
    };
    Some(TemplateNotice { category: new, reason: announced, ..about(value, &provider_status)? })
}

/// A text field that is there and not empty.
fn word<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}
