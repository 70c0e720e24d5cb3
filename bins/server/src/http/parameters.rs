//! Parameters, checked against the document before the API reads them: a name that it lacks is refused, since a filter that
//! is not seen finds too much, and so is a second value of what takes one; a wrong value is told with what is expected.

use poem::Request;
use serde_json::{Number, Value};

use super::problem::Problem;
use super::schema::Document;
use crate::api;

/// Checks a request's query, and its headers of the document.
///
/// # Errors
/// 400 with what there is, or what is expected.
pub(super) fn check(request: &Request) -> Result<(), Problem> {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let document = Document::new(api::document());
    // An unknown path has an error of its own.
    let Some(operation) = document.operation_at(method, path) else { return Ok(()) };
    check_query(document, operation, request.uri().query().unwrap_or_default())?;
    for (name, schema) in parameters(operation, "header") {
        let values: Vec<&str> = request.header(name).into_iter().collect();
        check_values(document, (name, schema), &values)?;
    }
    Ok(())
}

fn check_query(document: Document<'_>, operation: &Value, query: &str) -> Result<(), Problem> {
    if query.is_empty() {
        return Ok(());
    }
    let known: Vec<(&str, &Value)> = parameters(operation, "query").collect();
    let given: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    if let Some((name, _)) = given.iter().find(|(name, _)| known.iter().all(|(known, _)| known != name)) {
        let name: String = name.chars().take(64).collect();
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let there_is = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let detail = format!("there is no parameter `{name}` here; there is {there_is}");
        return Err(Problem::new("parameter_invalid", detail).at(name));
    }
    for (name, schema) in known {
        let of_it = given.iter().filter(|(given, _)| given == name);
        let values: Vec<&str> = of_it.map(|(_, value)| value.as_ref()).collect();
        check_values(document, (name, schema), &values)?;
    }
    Ok(())
}

/// An operation's parameters in one place, with their schemas.
fn parameters<'d>(operation: &'d Value, place: &str) -> impl Iterator<Item = (&'d str, &'d Value)> {
    let all = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    all.filter(move |parameter| parameter.get("in").is_some_and(|known| known == place))
        .filter_map(|parameter| Some((parameter.get("name")?.as_str()?, parameter.get("schema")?)))
}

fn check_values(document: Document<'_>, (name, schema): (&str, &Value), values: &[&str]) -> Result<(), Problem> {
    match values_differ(document, document.resolve(schema), values) {
        None => Ok(()),
        Some(detail) => Err(Problem::new("parameter_invalid", format!("`{name}`: {detail}")).at(name)),
    }
}

/// What is wrong with the values that a parameter was given.
fn values_differ(document: Document<'_>, schema: &Value, values: &[&str]) -> Option<String> {
    let value = match (schema.get("items"), values) {
        (_, []) => return None,
        (Some(each), values) => values.iter().map(|value| read(document.resolve(each), value)).collect(),
        (None, [value]) => read(schema, value),
        (None, values) => return Some(format!("it takes one value, and {} are given", values.len())),
    };
    document.mismatch(schema, &value).map(|difference| difference.detail)
}

/// A value as its schema has it; a text if it can't be that, so that the schema says what is expected.
fn read(schema: &Value, text: &str) -> Value {
    let number = || text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
    let read = match schema.get("type").and_then(Value::as_str) {
        Some("boolean") => text.parse().ok().map(Value::Bool),
        Some("integer") => number().ok().map(Value::Number),
        Some("number") => text.parse().ok().and_then(Number::from_f64).map(Value::Number),
        _ => None,
    };
    read.unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations() -> impl Iterator<Item = (&'static str, &'static Value)> {
        Document::new(api::document()).operations().map(|(path, _, operation)| (path, operation))
    }

    #[test]
    fn every_parameter_of_some_words_lists_them() {
        let document = Document::new(api::document());
        let mut seen = 0;
        for (path, operation) in operations() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let schema = document.resolve(&parameter["schema"]);
                let schema = schema.get("items").map_or(schema, |each| document.resolve(each));
                let Some(words) = schema.get("enum").and_then(Value::as_array) else { continue };
                assert_eq!(parameter["in"], "query", "{path}: nobody checks it there");
                let name = parameter["name"].as_str().unwrap();
                let problem = check_query(document, operation, &format!("{name}=no-such-word")).unwrap_err();
                for word in words {
                    let word = word.as_str().unwrap();
                    assert!(problem.to_string().contains(&format!("`{word}`")), "{path}: {problem}");
                    assert!(
                        check_query(document, operation, &format!("{name}={word}")).is_ok(),
                        "{path} {name} {word}"
                    );
                }
                seen += 1;
            }
        }
        assert!(seen > 10, "{seen}");
    }
}
