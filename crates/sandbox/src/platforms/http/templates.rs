//! Templates: what is sent must be one of these, with values for its places.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::account;
use crate::Problem;
use crate::world::World;

/// A template as the protocol lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    #[serde(default)]
    provider_id: String,
    pub(super) name: String,
    pub(super) language: String,
    pub(super) category: String,
    #[serde(default = "approved")]
    pub(super) status: String,
    #[serde(default)]
    provider_status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<Value>,
    body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    footer: Option<String>,
    #[serde(default)]
    buttons: Vec<Value>,
}

fn approved() -> String {
    "approved".to_owned()
}

/// Makes or replaces one.
pub(super) fn put(world: &mut World, account: &str, body: Value) -> Result<Value, Problem> {
    let mut template: Template =
        serde_json::from_value(body).map_err(|error| Problem::invalid(format!("template: {error}")))?;
    template.provider_id = format!("{}/{}", template.name, template.language);
    template.provider_status.clone_from(&template.status);
    let known = account::known(world, account)?;
    known.templates.retain(|other| other.provider_id != template.provider_id);
    known.templates.push(template.clone());
    serde_json::to_value(template).map_err(|error| Problem::invalid(error.to_string()))
}

pub(super) fn list(world: &mut World, account: &str) -> Vec<Value> {
    let known = account::known(world, account).map(|known| known.templates.clone()).unwrap_or_default();
    known.into_iter().filter_map(|template| serde_json::to_value(template).ok()).collect()
}

/// The template that a message names, and the text that the customer reads; `None` where its values do not fit.
pub(super) fn filled(world: &mut World, account: &str, content: &Value) -> Result<(Template, Option<String>), String> {
    let word = |name: &str| content.get(name).and_then(Value::as_str).unwrap_or_default();
    let known = account::known(world, account).map_err(|problem| problem.detail)?;
    let found = known.templates.iter().find(|one| one.name == word("name") && one.language == word("language"));
    let template = found.cloned().ok_or("there is no such template")?;
    if template.status != "approved" {
        return Err(template.status);
    }
    let header = match template.header.as_ref().map(|header| (header.get("format"), header.get("text"))) {
        Some((Some(format), Some(Value::String(text)))) if format == "text" => {
            fill(text, content.pointer("/header/text")).map(Some)
        }
        // A picture or a place is given with the message, and is no line of its text.
        Some(_) => content.get("header").map(|_| None),
        None => Some(None),
    };
    let lines = header.zip(fill(&template.body, content.get("body")));
    let text = lines.map(|(header, body)| {
        header.into_iter().chain([body]).chain(template.footer.clone()).collect::<Vec<_>>().join("\n")
    });
    Ok((template, text))
}

/// A text with its places filled, if the values fit.
fn fill(text: &str, values: Option<&Value>) -> Option<String> {
    let none = json!([]);
    let values = values.unwrap_or(&none);
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after.split_once("}}")?;
        let value = match values {
            Value::Array(list) => list.get(name.trim().parse::<usize>().ok()?.checked_sub(1)?)?,
            Value::Object(map) => map.get(name.trim())?,
            _ => return None,
        };
        filled.push_str(before);
        filled.push_str(value.as_str()?);
        rest = behind;
    }
    filled.push_str(rest);
    Some(filled)
}
