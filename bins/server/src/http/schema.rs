//! Where a value differs from a schema of the API document: to tell callers which field is wrong, and to test our answers.

use serde_json::Value;

/// The first difference between a value and its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where, such as `attachments[0].kind`; empty for the whole value.
    pub at: String,
    /// What is wrong there, and what is expected.
    pub detail: String,
}

/// An OpenAPI document, to look schemas up in.
#[derive(Debug, Clone, Copy)]
pub struct Document<'d> {
    root: &'d Value,
    /// Whether fields that a schema does not name are wrong even where it does not forbid them.
    closed: bool,
}

impl<'d> Document<'d> {
    /// A document as it is served.
    pub fn new(root: &'d Value) -> Self {
        Self { root, closed: false }
    }

    /// The same, and no object may have fields that are not documented: for our own answers.
    #[must_use]
    pub fn closed(self) -> Self {
        Self { closed: true, ..self }
    }

    /// Every operation as (path, method, operation).
    pub fn operations(self) -> impl Iterator<Item = (&'d str, &'d str, &'d Value)> {
        let paths = self.root.get("paths").and_then(Value::as_object).into_iter().flatten();
        paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
    }

    /// The operation of that id.
    pub fn operation(self, id: &str) -> Option<&'d Value> {
        self.operations().map(|(.., operation)| operation).find(|operation| text(operation, "operationId") == Some(id))
    }

    /// The operation that a method and a path lead to.
    pub fn operation_at(self, method: &str, path: &str) -> Option<&'d Value> {
        let fits = |template: &str| {
            let (mut asked, mut known) = (path.split('/'), template.split('/'));
            loop {
                match (asked.next(), known.next()) {
                    (None, None) => return true,
                    (Some(asked), Some(known)) if known.starts_with('{') || asked == known => {}
                    _ => return false,
                }
            }
        };
        let mut operations = self.operations();
        let found = operations.find(|(template, known, _)| known.eq_ignore_ascii_case(method) && fits(template));
        found.map(|(.., operation)| operation)
    }

    /// The schema of that name.
    pub fn schema(self, name: &str) -> Option<&'d Value> {
        self.root.get("components")?.get("schemas")?.get(name)
    }

    /// The schema of an operation's JSON body.
    pub fn body_of(self, operation: &'d Value) -> Option<&'d Value> {
        let content = operation.pointer("/requestBody/content")?.as_object()?;
        content.iter().find(|(kind, _)| kind.starts_with("application/json"))?.1.get("schema")
    }

    /// The schema of what an operation answers with a status.
    pub fn answer_of(self, operation: &'d Value, status: u16) -> Option<&'d Value> {
        let content = operation.get("responses")?.get(status.to_string())?.get("content")?.as_object()?;
        content.values().next()?.get("schema")
    }

    /// Follows references.
    pub fn resolve(self, schema: &'d Value) -> &'d Value {
        let target = text(schema, "$ref").and_then(|name| self.root.pointer(name.strip_prefix('#')?));
        target.map_or(schema, |target| self.resolve(target))
    }

    /// The first difference, `None` if there is none.
    pub fn mismatch(self, schema: &'d Value, value: &Value) -> Option<Mismatch> {
        self.differs(schema, value, "")
    }

    fn differs(self, schema: &'d Value, value: &Value, at: &str) -> Option<Mismatch> {
        let schema = self.resolve(schema);
        let wrong = |detail: String| Some(Mismatch { at: at.to_owned(), detail });
        if let Some(all) = list(schema, "allOf") {
            return all.iter().find_map(|part| self.differs(part, value, at));
        }
        if let Some(some) = list(schema, "oneOf").or_else(|| list(schema, "anyOf")) {
            return self.none_of(schema, some, value, at);
        }
        if let Some(words) = list(schema, "enum")
            && !words.contains(value)
        {
            let one_of = if words.len() > 1 { "one of " } else { "" };
            let words: Vec<String> = words.iter().map(|word| word.to_string().replace('"', "`")).collect();
            return wrong(format!("{one_of}{} is expected, and it is {}", words.join(", "), short(value)));
        }
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return None;
        }
        let kind = text(schema, "type").unwrap_or_default();
        if !is_of_kind(kind, value) {
            return wrong(format!("{} is expected, and it is {}", named(kind), short(value)));
        }
        match value {
            Value::Object(fields) => self.object_differs(schema, fields, at),
            Value::Array(items) => self.array_differs(schema, items, at),
            Value::String(text) => text_differs(schema, text).and_then(wrong),
            Value::Number(number) => number_differs(schema, number.as_f64()?).and_then(wrong),
            Value::Null | Value::Bool(_) => None,
        }
    }

    fn none_of(self, schema: &'d Value, some: &'d [Value], value: &Value, at: &str) -> Option<Mismatch> {
        // With a discriminator the one that is meant is known, and its own difference says most.
        if let Some(name) = schema.pointer("/discriminator/propertyName").and_then(Value::as_str)
            && let Some(word) = value.get(name).and_then(Value::as_str)
            && let Some(target) =
                schema.get("discriminator").and_then(|known| known.get("mapping")?.get(word)?.as_str())
            && let Some(meant) = self.root.pointer(target.trim_start_matches('#'))
        {
            return self.differs(meant, value, at);
        }
        let mut first = None;
        for one in some {
            let difference = self.differs(one, value, at)?;
            first.get_or_insert(difference);
        }
        first
    }

    fn object_differs(self, schema: &'d Value, fields: &serde_json::Map<String, Value>, at: &str) -> Option<Mismatch> {
        let none = serde_json::Map::new();
        let known = schema.get("properties").and_then(Value::as_object);
        let required = list(schema, "required").unwrap_or_default();
        let missing = required.iter().filter_map(Value::as_str).find(|name| !fields.contains_key(*name));
        if let Some(name) = missing {
            return Some(Mismatch { at: join(at, name), detail: "it is missing".to_owned() });
        }
        let others = schema.get("additionalProperties");
        for (name, value) in fields {
            let is_required = required.iter().any(|required| required == name.as_str());
            let difference = match (known.unwrap_or(&none).get(name), others) {
                // What may be left out may be null.
                (Some(_), _) if value.is_null() && !is_required => None,
                (Some(schema), _) => {
                    // The map outlives this call: it belongs to the document.
                    let schema = known.and_then(|known| known.get(name)).unwrap_or(schema);
                    self.differs(schema, value, &join(at, name))
                }
                (None, Some(Value::Bool(false))) => Some(unknown(at, name, known)),
                (None, Some(schema)) if !schema.is_boolean() => self.differs(schema, value, &join(at, name)),
                (None, _) if self.closed && known.is_some() => Some(unknown(at, name, known)),
                (None, _) => None,
            };
            if difference.is_some() {
                return difference;
            }
        }
        None
    }

    fn array_differs(self, schema: &'d Value, items: &[Value], at: &str) -> Option<Mismatch> {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
        let wrong = |detail: String| Some(Mismatch { at: at.to_owned(), detail });
        match (bound("minItems"), bound("maxItems")) {
            (Some(1), _) if items.is_empty() => return wrong("it is empty".to_owned()),
            (Some(least), _) if items.len() < least => return wrong(format!("at least {least} items are expected")),
            (_, Some(most)) if items.len() > most => return wrong(format!("at most {most} items are expected")),
            _ => {}
        }
        let each = schema.get("items")?;
        items.iter().enumerate().find_map(|(index, item)| self.differs(each, item, &format!("{at}[{index}]")))
    }
}

fn unknown(at: &str, name: &str, known: Option<&serde_json::Map<String, Value>>) -> Mismatch {
    let known: Vec<String> = known.into_iter().flatten().map(|(name, _)| format!("`{name}`")).collect();
    let name: String = name.chars().take(64).collect();
    Mismatch { at: join(at, &name), detail: format!("there is no such field; there is {}", known.join(", ")) }
}

fn text_differs(schema: &Value, value: &str) -> Option<String> {
    let length = value.chars().count() as u64;
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    match (bound("minLength"), bound("maxLength"), text(schema, "format")) {
        (Some(1), ..) if length < 1 => Some("it is empty".to_owned()),
        (Some(least), ..) if length < least => Some(format!("at least {least} characters are expected")),
        (_, Some(most), _) if length > most => {
            Some(format!("it is too long: {length} characters, and at most {most} are taken"))
        }
        (.., Some("uuid")) if uuid::Uuid::try_parse(value).is_err() => {
            Some("an id is expected, such as 0192e4a0-7b5a-7c3e-8f00-000000000001".to_owned())
        }
        (.., Some("date-time")) if !is_instant(value) => {
            Some("an instant is expected, such as 2026-11-20T10:00:00Z".to_owned())
        }
        _ => None,
    }
}

fn number_differs(schema: &Value, value: f64) -> Option<String> {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), _) if value < least => Some(format!("at least {least} is expected")),
        (_, Some(most)) if value > most => Some(format!("at most {most} is expected")),
        _ => {
            let most = match text(schema, "format")? {
                "uint8" => f64::from(u8::MAX),
                "uint16" => f64::from(u16::MAX),
                "uint32" => f64::from(u32::MAX),
                "uint64" => f64::INFINITY,
                _ => return None,
            };
            if value < 0.0 {
                return Some("a number from 0 on is expected".to_owned());
            }
            (value > most).then(|| format!("at most {most} is expected"))
        }
    }
}

fn is_instant(value: &str) -> bool {
    time::OffsetDateTime::parse(value, &time::format_description::well_known::Rfc3339).is_ok()
}

fn is_of_kind(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => true,
    }
}

fn named(kind: &str) -> &'static str {
    match kind {
        "object" => "an object",
        "array" => "a list",
        "string" => "a text",
        "boolean" => "`true` or `false`",
        "integer" => "a whole number",
        _ => "a number",
    }
}

/// A value in a few characters.
fn short(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Null => "null".to_owned(),
        other => format!("`{}`", other.to_string().trim_matches('"').chars().take(40).collect::<String>()),
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

fn list<'v>(value: &'v Value, name: &str) -> Option<&'v [Value]> {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn difference(value: &Value) -> Option<(String, String)> {
        let root = json!({
            "paths": { "/things": { "post": { "operationId": "make", "requestBody": { "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/Thing" } } } } } } },
            "components": { "schemas": {
                "Thing": { "type": "object", "required": ["name"], "additionalProperties": false, "properties": {
                    "name": { "type": "string", "maxLength": 3 },
                    "id": { "type": "string", "format": "uuid" },
                    "parts": { "type": "array", "items": { "$ref": "#/components/schemas/Part" } } } },
                "Part": { "type": "object", "properties": { "kind": { "type": "string", "enum": ["a", "b"] } } }
            } }
        });
        let document = Document::new(&root);
        let schema = document.body_of(document.operation("make").unwrap()).unwrap();
        document.mismatch(schema, value).map(|difference| (difference.at, difference.detail))
    }

    #[test]
    fn a_difference_is_named_with_its_place() {
        let id = "0192e4a0-7b5a-7c3e-8f00-000000000001";
        assert_eq!(difference(&json!({ "name": "x", "id": id, "parts": [{ "kind": "a" }] })), None);
        assert_eq!(difference(&json!({ "name": "x", "id": null })), None);
        for (value, at, detail) in [
            (json!([]), "", "an object is expected"),
            (json!({}), "name", "missing"),
            (json!({ "name": 5 }), "name", "a text is expected, and it is `5`"),
            (json!({ "name": "four" }), "name", "4 characters, and at most 3"),
            (json!({ "name": "x", "id": "y" }), "id", "an id is expected"),
            (json!({ "name": "x", "nmae": 1 }), "nmae", "no such field; there is `id`, `name`, `parts`"),
            (json!({ "name": "x", "parts": [{}, { "kind": "c" }] }), "parts[1].kind", "one of `a`, `b` is expected"),
        ] {
            let found = difference(&value).unwrap();
            assert_eq!(found.0, at, "{value}");
            assert!(found.1.contains(detail), "{found:?}");
        }
    }
}
