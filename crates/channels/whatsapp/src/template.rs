//! Templates: the parameters of a send, and the catalogue as Graph lists it. Pure.

use transom_channel::{Unsendable, checks};
use transom_domain::template::{HeaderParameter, TemplateButtonKind, TextParameters};
use transom_domain::{Attachment, MediaKind, TemplateMessage};

use crate::capabilities::TEMPLATE_NAME;
use crate::outbound::location;
use crate::wire::{Component, File, FileRef, Language, Parameter, Template};

/// More spaces in a row than this are refused in a parameter (132018).
const MOST_SPACES: usize = 4;

/// Whether a send can be written, before anything leaves. That its parameters fit the template's text was checked against
/// the catalogue; this is what WhatsApp wants besides.
pub(crate) fn check(template: &TemplateMessage) -> Result<(), Unsendable> {
    checks::present("template.name", &template.name)?;
    checks::length("template name", TEMPLATE_NAME, &template.name)?;
    if !template.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Err(checks::malformed("template.name", "lower-case letters, digits and underscores are allowed"));
    }
    checks::present("template.language", &template.language)?;
    match &template.parameters.header {
        Some(HeaderParameter::Text(values)) => check_texts("header", values)?,
        Some(HeaderParameter::Location(place)) => checks::place(place)?,
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
            Some(TemplateButtonKind::QuickReply | TemplateButtonKind::CopyCode) => checks::present(&field, value)?,
            Some(TemplateButtonKind::PhoneNumber | TemplateButtonKind::Other) => {
                return Err(checks::malformed(field, "this button takes no value"));
            }
            None => return Err(checks::malformed(field, "the template has no such button")),
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
    checks::present(field, value)?;
    if value.contains(['\n', '\r', '\t']) {
        return Err(checks::malformed(field, "WhatsApp takes no line ends and no tabs in a template's parameter"));
    }
    let longest_run = value.split(|c| c != ' ').map(str::len).max().unwrap_or(0);
    if longest_run > MOST_SPACES {
        return Err(checks::malformed(field, "WhatsApp takes at most four spaces in a row in a template's parameter"));
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
        (Some(HeaderParameter::Media(_)), None) => {
            return Err(checks::malformed("template.header", "the file is missing"));
        }
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
                return Err(checks::malformed(format!("template.buttons.{index}"), "this button takes no value"));
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

#[cfg(test)]
mod tests;
