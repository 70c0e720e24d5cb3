//! Templates: the parameters of a send, and the catalogue as Graph lists it. Pure.

use serde_json::Value;
use transom_channel::Unsendable;
use transom_domain::template::{HeaderParameter, TemplateButton, TemplateButtonKind, TemplateHeader, TextParameters};
use transom_domain::{Attachment, MediaKind, TemplateDefinition, TemplateMessage, TemplateStatus};

use crate::capabilities::TEMPLATE_NAME;
use crate::outbound::{check_place, fits, location, malformed, present};
use crate::wire::{Component, File, FileRef, Language, Parameter, Template};

/// More spaces in a row than this are refused in a parameter (132018).
const MOST_SPACES: usize = 4;

/// Whether a send can be written, before anything leaves. That its parameters fit the template's text was checked against
/// the catalogue; this is what WhatsApp wants besides.
pub(crate) fn check(template: &TemplateMessage) -> Result<(), Unsendable> {
    present("template.name", &template.name)?;
    fits("template name", TEMPLATE_NAME, &template.name)?;
    if !template.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Err(malformed("template.name", "lower-case letters, digits and underscores are allowed"));
    }
    present("template.language", &template.language)?;
    match &template.parameters.header {
        Some(HeaderParameter::Text(values)) => check_texts("header", values)?,
        Some(HeaderParameter::Location(place)) => check_place(place)?,
        Some(HeaderParameter::Media(file)) if header_kind(file.kind).is_none() => {
            return Err(Unsendable::NotSupported {
                what: format!("a template's header of kind `{}`", file.kind.as_str()),
            });
        }
        None | Some(HeaderParameter::Media(_)) => {}
    }
    check_texts("body", &template.parameters.body)?;
    for (index, value) in &template.parameters.buttons {
        let field = format!("template.buttons.{index}");
        match button_kind(template, *index) {
            Some(TemplateButtonKind::Url) => check_text(&field, value)?,
            Some(TemplateButtonKind::QuickReply | TemplateButtonKind::CopyCode) => present(&field, value)?,
            Some(TemplateButtonKind::PhoneNumber | TemplateButtonKind::Other) => {
                return Err(malformed(field, "this button takes no value"));
            }
            None => return Err(malformed(field, "the template has no such button")),
        }
    }
    Ok(())
}

fn button_kind(template: &TemplateMessage, index: u32) -> Option<TemplateButtonKind> {
    template.buttons.get(usize::try_from(index).ok()?).map(|button| button.kind)
}

fn check_texts(place: &str, values: &TextParameters) -> Result<(), Unsendable> {
    match values {
        TextParameters::Positional(list) => (1..)
            .zip(list)
            .try_for_each(|(number, value): (usize, _)| check_text(&format!("template.{place}.{number}"), value)),
        TextParameters::Named(map) => {
            map.iter().try_for_each(|(name, value)| check_text(&format!("template.{place}.{name}"), value))
        }
    }
}

/// No line ends, no tabs, not more than four spaces in a row (whatsapp.md 2, "template param text").
fn check_text(field: &str, value: &str) -> Result<(), Unsendable> {
    present(field, value)?;
    if value.contains(['\n', '\r', '\t']) {
        return Err(malformed(field, "WhatsApp takes no line ends and no tabs in a template's parameter"));
    }
    let longest_run = value.split(|c| c != ' ').map(str::len).max().unwrap_or(0);
    if longest_run > MOST_SPACES {
        return Err(malformed(field, "WhatsApp takes at most four spaces in a row in a template's parameter"));
    }
    Ok(())
}

/// What a file is as a header; `None` for what no header can be.
fn header_kind(kind: MediaKind) -> Option<fn(File<'_>) -> Parameter<'_>> {
    match kind {
        MediaKind::Image => Some(|image| Parameter::Image { image }),
        MediaKind::Video | MediaKind::Animation => Some(|video| Parameter::Video { video }),
        MediaKind::Document => Some(|document| Parameter::Document { document }),
        MediaKind::Audio | MediaKind::Voice | MediaKind::Sticker => None,
    }
}

/// The file of a template's header.
pub(crate) fn header_file(template: &TemplateMessage) -> Option<&Attachment> {
    match &template.parameters.header {
        Some(HeaderParameter::Media(file)) => Some(file),
        _ => None,
    }
}

/// The send, as the platform wants it. Parts of the template without parameters are left out.
pub(crate) fn write(template: &TemplateMessage, file: Option<FileRef>) -> Result<Template<'_>, Unsendable> {
    let mut components = Vec::new();
    let header = match (&template.parameters.header, file) {
        (None, _) => Vec::new(),
        (Some(HeaderParameter::Text(values)), _) => texts(values),
        (Some(HeaderParameter::Location(place)), _) => vec![Parameter::Location { location: location(place) }],
        (Some(HeaderParameter::Media(media)), Some(source)) => {
            let make = header_kind(media.kind).ok_or_else(|| Unsendable::NotSupported {
                what: format!("a header of kind `{}`", media.kind.as_str()),
            })?;
            let filename = media.file_name.as_deref().filter(|_| media.kind == MediaKind::Document);
            vec![make(File { source, caption: None, filename, voice: None })]
        }
        (Some(HeaderParameter::Media(_)), None) => return Err(malformed("template.header", "the file is missing")),
    };
    if !header.is_empty() {
        components.push(Component::Header { parameters: header });
    }
    if !template.parameters.body.is_empty() {
        components.push(Component::Body { parameters: texts(&template.parameters.body) });
    }
    for (index, value) in &template.parameters.buttons {
        let (sub_type, parameter) = match button_kind(template, *index) {
            Some(TemplateButtonKind::QuickReply) => ("quick_reply", Parameter::Payload { payload: value }),
            Some(TemplateButtonKind::Url) => ("url", Parameter::Text { parameter_name: None, text: value }),
            Some(TemplateButtonKind::CopyCode) => ("copy_code", Parameter::CouponCode { coupon_code: value }),
            Some(TemplateButtonKind::PhoneNumber | TemplateButtonKind::Other) | None => {
                return Err(malformed(format!("template.buttons.{index}"), "this button takes no value"));
            }
        };
        components.push(Component::Button { sub_type, index: index.to_string(), parameters: vec![parameter] });
    }
    Ok(Template { name: &template.name, language: Language { code: &template.language }, components })
}

/// The parameters of a text: in order, or by name.
fn texts(values: &TextParameters) -> Vec<Parameter<'_>> {
    match values {
        TextParameters::Positional(list) => {
            list.iter().map(|text| Parameter::Text { parameter_name: None, text }).collect()
        }
        TextParameters::Named(map) => {
            map.iter().map(|(name, text)| Parameter::Text { parameter_name: Some(name), text }).collect()
        }
    }
}

/// What a status means for sending (whatsapp.md 1.2). A word that is not in the sheet sends nothing.
pub(crate) fn status(word: &str) -> TemplateStatus {
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
pub(crate) fn definition(entry: &Value) -> Option<TemplateDefinition> {
    let word = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let provider_status = word("status").unwrap_or("UNKNOWN");
    let mut definition = TemplateDefinition {
        provider_id: entry.get("id").and_then(transom_meta::envelope::text)?,
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

#[cfg(test)]
mod tests;
