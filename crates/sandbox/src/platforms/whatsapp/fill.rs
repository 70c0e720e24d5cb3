//! Whether a send fits its template, and what the customer then reads.

use std::collections::BTreeMap;

use serde_json::Value;

use super::errors::GraphError;
use super::message::{Parts, needed, optional};
use super::templates::{Template, find, word};
use crate::chats::{Button, Link};
use crate::world::World;

/// What a send makes of a template.
#[derive(Debug)]
pub(in crate::platforms) struct Filled {
    pub(in crate::platforms) category: String,
    pub(in crate::platforms) text: String,
    pub(in crate::platforms) parts: Parts,
}

/// Holds the `template` object of a send against the catalogue and fills in the parameters.
pub(in crate::platforms) fn fill(world: &mut World, waba: &str, call: &Value) -> Result<Filled, GraphError> {
    let name = needed(call, "name")?;
    let language = call.get("language").map(|language| needed(language, "code")).transpose()?;
    let language = language.ok_or_else(|| GraphError::missing("language"))?;
    let template = find(world, waba, &name, &language)
        .ok_or_else(|| GraphError::new(132_001, format!("template name ({name}) does not exist in {language}")))?;
    if let Some(unusable) = template.unusable() {
        return Err(unusable);
    }
    let empty = Vec::new();
    let given = match call.get("components") {
        None | Some(Value::Null) => &empty,
        Some(Value::Array(components)) => components,
        Some(_) => return Err(GraphError::new(100, "Param template['components'] must be an array.")),
    };
    let part = |kind: &str| given.iter().find(|one| word(one, "type").eq_ignore_ascii_case(kind));
    let mut lines = Vec::new();
    let mut parts = Parts { header: header(template, part("header"))?, ..Parts::default() };
    lines.extend(parts.header.clone());
    if let Some(body) = template.component("BODY") {
        let filled = fill_text(&template_text(template, body), part("body"), template.named, "body")?;
        if filled.chars().count() > 1_024 {
            return Err(GraphError::new(132_005, "body: Translated text too long"));
        }
        lines.push(filled);
    }
    if let Some(footer) = template.component("FOOTER") {
        if part("footer").is_some_and(|part| !parameters(part).is_empty()) {
            return Err(GraphError::new(
                132_000,
                "footer: number of localizable_params does not match the expected number of params (0)",
            ));
        }
        parts.footer = Some(word(footer, "text").to_owned());
        lines.extend(parts.footer.clone());
    }
    (parts.buttons, parts.links) = fill_buttons(template, given)?;
    Ok(Filled { category: template.category.to_lowercase(), text: lines.join("\n"), parts })
}

/// Meta writes the body of an authentication template itself.
fn template_text(template: &Template, body: &Value) -> String {
    match word(body, "text") {
        "" if template.category == "AUTHENTICATION" => "{{1}} is your verification code.".to_owned(),
        text => text.to_owned(),
    }
}

fn header(template: &Template, given: Option<&Value>) -> Result<Option<String>, GraphError> {
    let Some(header) = template.component("HEADER") else {
        return match given.map(parameters) {
            Some(parameters) if !parameters.is_empty() => {
                Err(GraphError::new(132_018, "header: this template has no header"))
            }
            _ => Ok(None),
        };
    };
    let format = word(header, "format").to_ascii_lowercase();
    if format.is_empty() || format == "text" {
        return fill_text(word(header, "text"), given, template.named, "header").map(Some);
    }
    let parameters = given.map(parameters).unwrap_or_default();
    let [parameter] = parameters.as_slice() else {
        let details = format!(
            "header: Format mismatch, expected {}, received {} parameters",
            format.to_uppercase(),
            parameters.len()
        );
        return Err(GraphError::new(132_012, details));
    };
    let kind = word(parameter, "type");
    let file = parameter.get(kind).is_some_and(|file| file.get("id").is_some() != file.get("link").is_some());
    if kind != format || (format != "location" && !file) {
        let details = format!("header: Format mismatch, expected {}, received {kind}", format.to_uppercase());
        return Err(GraphError::new(132_012, details));
    }
    Ok(Some(format!("[{format}]")))
}

/// What stands before the first placeholder, its name, and what stands after it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name.trim(), after))
}

/// The placeholders of a text, in the order of their first mention.
pub(super) fn placeholders(text: &str) -> Vec<String> {
    let (mut found, mut rest): (Vec<String>, _) = (Vec::new(), text);
    while let Some((_, name, after)) = next_placeholder(rest) {
        if !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
        rest = after;
    }
    found
}

fn fill_text(text: &str, given: Option<&Value>, named: bool, part: &str) -> Result<String, GraphError> {
    let (wanted, parameters) = (placeholders(text), given.map(parameters).unwrap_or_default());
    if wanted.len() != parameters.len() {
        let (got, want) = (parameters.len(), wanted.len());
        let details = format!(
            "{part}: number of localizable_params ({got}) does not match the expected number of params ({want})"
        );
        return Err(GraphError::new(132_000, details));
    }
    let mut values = BTreeMap::new();
    for (at, parameter) in parameters.iter().enumerate() {
        let name =
            if named { optional(parameter, "parameter_name")?.unwrap_or_default() } else { (at + 1).to_string() };
        if !wanted.contains(&name) {
            let details = format!("{part}: Parameter name is missing, or none of this template's: '{name}'");
            return Err(GraphError::new(132_012, details));
        }
        values.insert(name, value(parameter, part)?);
    }
    // One pass, so that braces in a value stay what they are.
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_placeholder(rest) {
        let value =
            values.get(name).ok_or_else(|| GraphError::new(132_000, format!("{part}: no value for '{name}'")))?;
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The words of a body or header parameter.
fn value(parameter: &Value, part: &str) -> Result<String, GraphError> {
    let mismatch = |details: String| GraphError::new(132_012, format!("{part}: {details}"));
    let text = match word(parameter, "type") {
        "text" => needed(parameter, "text")?,
        "currency" => {
            let currency = parameter.get("currency").ok_or_else(|| GraphError::missing("currency"))?;
            let has = currency.get("code").is_some() && currency.get("amount_1000").is_some();
            if !has {
                return Err(mismatch("currency needs fallback_value, code and amount_1000".to_owned()));
            }
            needed(currency, "fallback_value")?
        }
        "date_time" => {
            needed(parameter.get("date_time").ok_or_else(|| GraphError::missing("date_time"))?, "fallback_value")?
        }
        other => return Err(mismatch(format!("Format mismatch, expected TEXT, received '{other}'"))),
    };
    if text.contains(['\n', '\r', '\t']) || text.contains("     ") {
        let details = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces";
        return Err(GraphError::new(132_018, format!("{part}: {details}")));
    }
    Ok(text)
}

/// Checks the parameters of the buttons and says what can be tapped, and what leads elsewhere.
fn fill_buttons(template: &Template, given: &[Value]) -> Result<(Vec<Button>, Vec<Link>), GraphError> {
    let defined = template.component("BUTTONS").and_then(|part| part.get("buttons")).and_then(Value::as_array);
    let defined: &[Value] = defined.map(Vec::as_slice).unwrap_or_default();
    let parts: Vec<_> = given.iter().filter(|one| word(one, "type").eq_ignore_ascii_case("button")).collect();
    let index = |part: &Value| match part.get("index") {
        Some(Value::String(text)) => text.parse::<usize>().ok(),
        Some(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        None => None,
    };
    if let Some(stray) = parts.iter().find(|part| index(part).is_none_or(|at| at >= defined.len())) {
        let at = stray.get("index").cloned().unwrap_or_default();
        return Err(GraphError::new(132_018, format!("buttons: this template has no button at index {at}")));
    }
    let (mut buttons, mut links) = (Vec::new(), Vec::new());
    for (at, button) in defined.iter().enumerate() {
        let kind = word(button, "type").to_ascii_lowercase();
        let part = parts.iter().find(|part| index(part) == Some(at));
        let parameters = part.map(|part| parameters(part)).unwrap_or_default();
        if let Some(part) = part
            && word(part, "sub_type").to_ascii_lowercase() != if kind == "otp" { "url" } else { kind.as_str() }
        {
            let details = format!("buttons: Button at index {at} is of type {kind}, not {}", word(part, "sub_type"));
            return Err(GraphError::new(132_012, details));
        }
        let wants_text = kind == "otp" || (kind == "url" && word(button, "url").contains("{{"));
        let has = |kind: &str| parameters.len() == 1 && parameters.iter().all(|one| word(one, "type") == kind);
        if (wants_text && !has("text")) || (kind == "copy_code" && !has("coupon_code")) {
            return Err(GraphError::new(
                131_008,
                format!("buttons: Button at index {at} of type {kind} requires a parameter"),
            ));
        }
        if kind == "url" && !wants_text && !parameters.is_empty() {
            return Err(GraphError::new(
                132_018,
                format!("buttons: Button at index {at} of type url takes no parameter"),
            ));
        }
        let text = word(button, "text").to_owned();
        match kind.as_str() {
            "quick_reply" => {
                let payload = parameters.first().map(|one| needed(one, "payload")).transpose()?;
                buttons.push(Button { data: payload.unwrap_or_else(|| text.clone()), text, choice: false });
            }
            "url" => {
                // Its one placeholder stands at the end, and is the one parameter.
                let value = parameters.first().map(|one| word(one, "text")).unwrap_or_default();
                let url = word(button, "url");
                let url = url.split_once("{{").map_or_else(|| url.to_owned(), |(stem, _)| format!("{stem}{value}"));
                links.push(Link::new(text, url));
            }
            "phone_number" => links.push(Link::new(text, format!("tel:{}", word(button, "phone_number")))),
            _ => {}
        }
    }
    Ok((buttons, links))
}

fn parameters(part: &Value) -> Vec<Value> {
    part.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default()
}
