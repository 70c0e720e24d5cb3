//! Message templates: the catalogue of a WABA, and whether a send fits one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::GraphError;
use super::inbound;
use super::message::{needed, optional};
use super::number::{self, Review};
use crate::Problem;
use crate::chats::Button;
use crate::http::{Call, Reply};
use crate::world::World;

/// A template, in one language.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) language: String,
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub(super) category: String,
    /// `APPROVED`, `PENDING`, `PAUSED`, …
    pub(super) status: String,
    pub(super) named: bool,
    pub(super) components: Vec<Value>,
    pub(super) reason: Option<String>,
}

/// The templates of each WABA, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Catalogues(BTreeMap<String, Vec<Template>>);

/// A template as the control API takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTemplate {
    name: String,
    language: String,
    category: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    parameter_format: Option<String>,
    #[serde(default)]
    components: Vec<Value>,
}

/// A change of status as the control API takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewStatus {
    name: String,
    language: String,
    status: String,
    #[serde(default)]
    reason: Option<String>,
}

/// What a send makes of a template.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) category: String,
    pub(super) text: String,
    pub(super) buttons: Vec<Button>,
}

impl Template {
    fn view(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "language": self.language,
            "category": self.category,
            "status": self.status,
            "parameter_format": if self.named { "NAMED" } else { "POSITIONAL" },
            "components": self.components,
            "rejected_reason": self.reason.as_deref().unwrap_or("NONE"),
            "quality_score": {"score": "UNKNOWN"},
        })
    }

    fn component(&self, kind: &str) -> Option<&Value> {
        self.components.iter().find(|component| word(component, "type").eq_ignore_ascii_case(kind))
    }

    /// Why it cannot be sent in its present status.
    fn unusable(&self) -> Option<GraphError> {
        let named = format!("template name ({}) in {}", self.name, self.language);
        match self.status.as_str() {
            "APPROVED" | "FLAGGED" | "REINSTATED" | "LOCKED" => None,
            "PAUSED" => Some(GraphError::new(132_015, format!("{named} is paused"))),
            "DISABLED" => Some(GraphError::new(132_016, format!("{named} is disabled"))),
            _ => Some(GraphError::new(132_001, format!("{named} does not exist or is not approved"))),
        }
    }
}

/// Holds the `template` object of a send against the catalogue and fills in the parameters.
pub(super) fn fill(world: &mut World, waba: &str, call: &Value) -> Result<Filled, GraphError> {
    let name = needed(call, "name")?;
    let language = call.get("language").map(|language| needed(language, "code")).transpose()?;
    let language = language.ok_or_else(|| GraphError::missing("language"))?;
    let known = world.shelves.of::<Catalogues>().0.get(waba).into_iter().flatten();
    let template = known
        .into_iter()
        .find(|one| one.name == name && one.language == language)
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
    lines.extend(header(template, part("header"))?);
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
        lines.push(word(footer, "text").to_owned());
    }
    let buttons = fill_buttons(template, given)?;
    Ok(Filled { category: template.category.to_lowercase(), text: lines.join("\n"), buttons })
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
fn placeholders(text: &str) -> Vec<String> {
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

/// Checks the parameters of the buttons and says what can be tapped.
fn fill_buttons(template: &Template, given: &[Value]) -> Result<Vec<Button>, GraphError> {
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
    let mut buttons = Vec::new();
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
        if kind == "quick_reply" {
            let text = word(button, "text").to_owned();
            let payload = parameters.first().map(|one| needed(one, "payload")).transpose()?;
            buttons.push(Button { data: payload.unwrap_or_else(|| text.clone()), text, choice: false });
        }
    }
    Ok(buttons)
}

fn parameters(part: &Value) -> Vec<Value> {
    part.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn word<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// `GET /{waba}/message_templates`, with Graph's paging.
pub(super) fn list(world: &mut World, base_url: &str, waba: &str, call: &Call) -> Reply {
    let empty = Vec::new();
    let all = world.shelves.of::<Catalogues>().0.get(waba).unwrap_or(&empty);
    let fits = |template: &&Template| {
        let asked = |name: &str, value: &str| call.query(name).is_none_or(|asked| asked.eq_ignore_ascii_case(value));
        asked("name", &template.name)
            && asked("status", &template.status)
            && asked("language", &template.language)
            && asked("category", &template.category)
    };
    let fitting: Vec<_> = all.iter().filter(fits).collect();
    let limit = call.query("limit").and_then(|limit| limit.parse::<usize>().ok()).unwrap_or(25).clamp(1, 1_000);
    let start = match call.query("after") {
        None | Some("") => 0,
        Some(cursor) => match fitting.iter().position(|template| cursor_of(template) == cursor) {
            Some(at) => at + 1,
            None => return GraphError::new(100, "Invalid cursors values").reply(),
        },
    };
    let page: Vec<_> = fitting.iter().skip(start).take(limit).collect();
    let mut answer = json!({"data": page.iter().map(|template| selected(template.view(), call.query("fields"))).collect::<Vec<_>>()});
    if let (Some(first), Some(last)) = (page.first(), page.last()) {
        let (before, after) = (cursor_of(first), cursor_of(last));
        let mut paging = json!({"cursors": {"before": before, "after": after}});
        if start + page.len() < fitting.len() {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(call.query.iter().filter(|(name, _)| name != "after" && name != "access_token"));
            query.append_pair("after", &after);
            let next = format!("{base_url}{}?{}", call.full_path, query.finish());
            if let Value::Object(paging) = &mut paging {
                paging.insert("next".to_owned(), Value::String(next));
            }
        }
        if let Value::Object(answer) = &mut answer {
            answer.insert("paging".to_owned(), paging);
        }
    }
    Reply::json(200, &answer)
}

fn cursor_of(template: &Template) -> String {
    hex::encode(&template.id)
}

/// The object cut down to what `fields` names; Graph always adds the id.
pub(super) fn selected(object: Value, fields: Option<&str>) -> Value {
    let (Some(fields), Value::Object(all)) = (fields, &object) else { return object };
    let wanted: BTreeSet<&str> = fields.split(',').map(str::trim).chain(["id"]).collect();
    Value::Object(
        all.iter().filter(|(name, _)| wanted.contains(name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect(),
    )
}

/// `GET /{template}`.
pub(super) fn one(world: &mut World, id: &str) -> Option<(String, Value)> {
    let catalogues = &world.shelves.of::<Catalogues>().0;
    catalogues.iter().find_map(|(waba, all)| Some((waba.clone(), all.iter().find(|one| one.id == id)?.view())))
}

/// `POST /{waba}/message_templates`.
pub(super) fn create(world: &mut World, account: &str, waba: &str, body: &Value) -> Result<Reply, GraphError> {
    let (name, language) = (needed(body, "name")?, needed(body, "language")?);
    let category = needed(body, "category")?.to_uppercase();
    let components = body.get("components").and_then(Value::as_array).cloned().unwrap_or_default();
    let named = word(body, "parameter_format").eq_ignore_ascii_case("named");
    sound(&name, &category, &components, named).map_err(|why| GraphError::new(100, why))?;
    let catalogue = world.shelves.of::<Catalogues>().0.entry(waba.to_owned()).or_default();
    if catalogue.iter().any(|one| one.name == name && one.language == language) {
        return Err(GraphError::new(100, format!("There is already {language} content for this template")));
    }
    let id = world.names.digits('6', 16);
    let status = "PENDING".to_owned();
    let template = Template {
        id: id.clone(),
        name,
        language,
        category: category.clone(),
        status,
        named,
        components,
        reason: None,
    };
    world.shelves.of::<Catalogues>().0.entry(waba.to_owned()).or_default().push(template);
    if number::settings(world, account).is_ok_and(|settings| settings.template_review == Review::Auto) {
        let (account, template) = (account.to_owned(), id.clone());
        world.later(Duration::from_millis(20), move |world| announce(world, &account, &template, "APPROVED", None));
    }
    Ok(Reply::json(200, &json!({"id": id, "status": "PENDING", "category": category})))
}

/// `DELETE /{waba}/message_templates?name=`.
pub(super) fn delete(world: &mut World, waba: &str, name: Option<&str>) -> Result<Reply, GraphError> {
    let name = name.ok_or_else(|| GraphError::missing("name"))?;
    let catalogue = world.shelves.of::<Catalogues>().0.entry(waba.to_owned()).or_default();
    let before = catalogue.len();
    catalogue.retain(|one| one.name != name);
    if catalogue.len() == before {
        return Err(GraphError::new(100, format!("Message template '{name}' not found")));
    }
    Ok(Reply::json(200, &json!({"success": true})))
}

/// What the platform would not take as a template.
fn sound(name: &str, category: &str, components: &[Value], named: bool) -> Result<(), String> {
    let letters = name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if name.is_empty() || name.len() > 512 || !letters {
        return Err("name: 1 to 512 of a-z, 0-9 and _".to_owned());
    }
    if !matches!(category, "MARKETING" | "UTILITY" | "AUTHENTICATION") {
        return Err("category: MARKETING, UTILITY or AUTHENTICATION".to_owned());
    }
    let part = |kind: &str| components.iter().find(|one| word(one, "type").eq_ignore_ascii_case(kind));
    let body = part("BODY").ok_or("components: a BODY is needed")?;
    for (kind, limit) in [("HEADER", 60), ("BODY", 1_024), ("FOOTER", 60)] {
        if part(kind).is_some_and(|part| word(part, "text").chars().count() > limit) {
            return Err(format!("{kind}: text of at most {limit} characters"));
        }
    }
    let names = placeholders(word(body, "text"));
    let gapless = (1..=names.len()).all(|number| names.contains(&number.to_string()));
    let numbered = names.iter().any(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    if (!named && !gapless) || (named && numbered) {
        return Err(
            "BODY: placeholders are {{1}}, {{2}}, … without a gap, or names if parameter_format is NAMED".to_owned()
        );
    }
    let buttons = part("BUTTONS").and_then(|part| part.get("buttons")).and_then(Value::as_array);
    if buttons
        .is_some_and(|buttons| buttons.len() > 10 || buttons.iter().any(|one| word(one, "text").chars().count() > 25))
    {
        return Err("BUTTONS: at most 10, with at most 25 characters each".to_owned());
    }
    Ok(())
}

/// The control verb `template`: makes or replaces one, approved unless said otherwise.
pub(super) fn put(world: &mut World, account: &str, body: Value) -> Result<Value, Problem> {
    let new: NewTemplate =
        serde_json::from_value(body).map_err(|error| Problem::invalid(format!("template: {error}")))?;
    let waba = number::settings(world, account)?.waba_id;
    let category = new.category.to_uppercase();
    let named = new.parameter_format.is_some_and(|format| format.eq_ignore_ascii_case("named"));
    sound(&new.name, &category, &new.components, named).map_err(Problem::invalid)?;
    let id = world.names.digits('6', 16);
    let catalogue = world.shelves.of::<Catalogues>().0.entry(waba).or_default();
    let old = catalogue.iter().position(|one| one.name == new.name && one.language == new.language);
    let mut template = Template {
        id,
        name: new.name,
        language: new.language,
        category,
        status: new.status.unwrap_or_else(|| "APPROVED".to_owned()).to_uppercase(),
        named,
        components: new.components,
        reason: None,
    };
    let Some(slot) = old.and_then(|at| catalogue.get_mut(at)) else {
        let view = template.view();
        catalogue.push(template);
        return Ok(view);
    };
    template.id.clone_from(&slot.id);
    let (view, id, status) = (template.view(), template.id.clone(), template.status.clone());
    *slot = template;
    announce(world, account, &id, &status, None);
    Ok(view)
}

/// The control verb `template_status`: sets a status and announces it.
pub(super) fn set_status(world: &mut World, account: &str, body: Value) -> Result<Value, Problem> {
    let new: NewStatus =
        serde_json::from_value(body).map_err(|error| Problem::invalid(format!("template_status: {error}")))?;
    let waba = number::settings(world, account)?.waba_id;
    let catalogue = world.shelves.of::<Catalogues>().0.entry(waba).or_default();
    let found = catalogue.iter().find(|one| one.name == new.name && one.language == new.language);
    let id = found.map(|template| template.id.clone());
    let id =
        id.ok_or_else(|| Problem::not_found(format!("there is no template `{}` in {}", new.name, new.language)))?;
    announce(world, account, &id, &new.status.to_uppercase(), new.reason.as_deref());
    one(world, &id).map(|(_, view)| view).ok_or_else(|| Problem::not_found("the template is gone"))
}

/// Sets a template's status and tells the webhook. A deleted one leaves the catalogue.
fn announce(world: &mut World, account: &str, id: &str, event: &str, reason: Option<&str>) {
    let Ok(settings) = number::settings(world, account) else { return };
    let catalogue = world.shelves.of::<Catalogues>().0.entry(settings.waba_id.clone()).or_default();
    let Some(template) = catalogue.iter_mut().find(|one| one.id == id) else { return };
    event.clone_into(&mut template.status);
    template.reason = reason.map(str::to_owned);
    let mut value = json!({
        "event": event,
        "message_template_id": template.id.parse::<u64>().unwrap_or_default(),
        "message_template_name": template.name,
        "message_template_language": template.language,
        "message_template_category": template.category,
        "reason": reason.unwrap_or("NONE"),
    });
    if event == "PAUSED"
        && let Value::Object(value) = &mut value
    {
        let info =
            json!({"title": "FIRST_PAUSE", "description": "Your template has been paused because of low quality."});
        value.insert("other_info".to_owned(), info);
    }
    if event == "DELETED" {
        catalogue.retain(|one| one.id != id);
    }
    inbound::report(world, account, &settings.waba_id, "message_template_status_update", &value);
}
