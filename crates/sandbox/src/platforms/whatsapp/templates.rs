//! Message templates: the catalogue of a WABA.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::envelope;
use super::errors::GraphError;
use super::fill::placeholders;
use super::message::needed;
use super::number::{self, Review};
use crate::Problem;
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

/// Whose catalogue it is: the node that holds it, and how its webhooks leave.
#[derive(Debug, Clone)]
pub(in crate::platforms) struct Keeper {
    pub(in crate::platforms) account: String,
    pub(in crate::platforms) node: String,
    pub(in crate::platforms) tell: fn(&mut World, &str, &str, &Value),
}

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

/// WhatsApp's own: the account that holds the number.
pub(super) fn keeper(account: &str, waba: &str) -> Keeper {
    let tell: fn(&mut World, &str, &str, &Value) = |world, account, field, value| {
        if let Ok(settings) = number::settings(world, account) {
            envelope::report(world, account, &settings.waba_id, field, value);
        }
    };
    Keeper { account: account.to_owned(), node: waba.to_owned(), tell }
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

    pub(super) fn component(&self, kind: &str) -> Option<&Value> {
        self.components.iter().find(|component| word(component, "type").eq_ignore_ascii_case(kind))
    }

    /// Why it cannot be sent in its present status.
    pub(super) fn unusable(&self) -> Option<GraphError> {
        let named = format!("template name ({}) in {}", self.name, self.language);
        match self.status.as_str() {
            "APPROVED" | "FLAGGED" | "REINSTATED" | "LOCKED" => None,
            "PAUSED" => Some(GraphError::new(132_015, format!("{named} is paused"))),
            "DISABLED" => Some(GraphError::new(132_016, format!("{named} is disabled"))),
            _ => Some(GraphError::new(132_001, format!("{named} does not exist or is not approved"))),
        }
    }
}

/// A text field, empty if it is missing.
pub(in crate::platforms) fn word<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A template by name and language.
pub(super) fn find<'a>(world: &'a mut World, waba: &str, name: &str, language: &str) -> Option<&'a Template> {
    let catalogue = world.shelves.of::<Catalogues>().0.get(waba)?;
    catalogue.iter().find(|one| one.name == name && one.language == language)
}

/// `GET /{waba}/message_templates`, with Graph's paging.
pub(in crate::platforms) fn list(world: &mut World, base_url: &str, waba: &str, call: &Call) -> Reply {
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
    let data: Vec<_> = page.iter().map(|template| selected(template.view(), call.query("fields"))).collect();
    let mut answer = json!({"data": data});
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
pub(in crate::platforms) fn selected(object: Value, fields: Option<&str>) -> Value {
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
        let (keeper, template) = (keeper(account, waba), id.clone());
        world.later(Duration::from_millis(20), move |world| announce(world, &keeper, &template, "APPROVED", None));
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
pub(in crate::platforms) fn put(world: &mut World, keeper: &Keeper, body: Value) -> Result<Value, Problem> {
    let new: NewTemplate =
        serde_json::from_value(body).map_err(|error| Problem::invalid(format!("template: {error}")))?;
    let category = new.category.to_uppercase();
    let named = new.parameter_format.is_some_and(|format| format.eq_ignore_ascii_case("named"));
    sound(&new.name, &category, &new.components, named).map_err(Problem::invalid)?;
    let id = world.names.digits('6', 16);
    let catalogue = world.shelves.of::<Catalogues>().0.entry(keeper.node.clone()).or_default();
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
    announce(world, keeper, &id, &status, None);
    Ok(view)
}

/// The control verb `template_status`: sets a status and announces it.
pub(in crate::platforms) fn set_status(world: &mut World, keeper: &Keeper, body: Value) -> Result<Value, Problem> {
    let new: NewStatus =
        serde_json::from_value(body).map_err(|error| Problem::invalid(format!("template_status: {error}")))?;
    let catalogue = world.shelves.of::<Catalogues>().0.entry(keeper.node.clone()).or_default();
    let found = catalogue.iter().find(|one| one.name == new.name && one.language == new.language);
    let id = found.map(|template| template.id.clone());
    let id =
        id.ok_or_else(|| Problem::not_found(format!("there is no template `{}` in {}", new.name, new.language)))?;
    announce(world, keeper, &id, &new.status.to_uppercase(), new.reason.as_deref());
    one(world, &id).map(|(_, view)| view).ok_or_else(|| Problem::not_found("the template is gone"))
}

/// Sets a template's status and tells the webhook. A deleted one leaves the catalogue.
fn announce(world: &mut World, keeper: &Keeper, id: &str, event: &str, reason: Option<&str>) {
    let catalogue = world.shelves.of::<Catalogues>().0.entry(keeper.node.clone()).or_default();
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
    (keeper.tell)(world, &keeper.account, "message_template_status_update", &value);
}
