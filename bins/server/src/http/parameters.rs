//! Query parameters: a name that the document lacks is refused, since a filter that is not seen finds too much.

use poem::Request;
use serde_json::Value;

use super::problem::Problem;
use super::schema::Document;
use crate::api;

/// Checks the names in a request's query.
///
/// # Errors
/// 400 with those that there are.
pub(super) fn check(request: &Request) -> Result<(), Problem> {
    let Some(query) = request.uri().query().filter(|query| !query.is_empty()) else { return Ok(()) };
    let (method, path) = (request.method().as_str(), request.uri().path());
    // An unknown path has an error of its own.
    let Some(operation) = Document::new(api::document()).operation_at(method, path) else { return Ok(()) };
    let known: Vec<&str> = operation
        .get("parameters")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|parameter| parameter.get("in").is_some_and(|place| place == "query"))
        .filter_map(|parameter| parameter.get("name").and_then(Value::as_str))
        .collect();
    match url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| !known.contains(&name.as_ref())) {
        None => Ok(()),
        Some((name, _)) => {
            let name: String = name.chars().take(64).collect();
            let there_is = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let detail = format!("there is no parameter `{name}` here; there is {there_is}");
            Err(Problem::new("parameter_invalid", detail).at(name))
        }
    }
}
