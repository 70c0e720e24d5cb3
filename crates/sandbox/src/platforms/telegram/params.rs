//! A method's parameters, whichever way they came: query, JSON, urlencoded or multipart.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::errors::BotError;
use crate::http::{Call, FormField, pairs};

/// The parameters of one call.
#[derive(Debug, Default)]
pub(super) struct Params {
    fields: BTreeMap<String, Value>,
    pub(super) files: BTreeMap<String, FormField>,
}

impl Params {
    pub(super) async fn read(call: &Call) -> Result<Self, BotError> {
        let mut params = Self::default();
        params.take_pairs(call.query.clone());
        let kind = call.content_type().to_ascii_lowercase();
        if kind.starts_with("multipart/form-data") {
            let fields =
                call.multipart().await.map_err(|error| BotError::bad(&format!("invalid multipart body: {error}")))?;
            for field in fields {
                if field.file_name.is_some() {
                    params.files.insert(field.name.clone(), field);
                } else {
                    let text = String::from_utf8_lossy(&field.bytes).into_owned();
                    params.fields.insert(field.name, Value::String(text));
                }
            }
        } else if kind.starts_with("application/json") && !call.body.is_empty() {
            match serde_json::from_slice(&call.body) {
                Ok(Value::Object(fields)) => params.fields.extend(fields),
                _ => return Err(BotError::bad("can't parse JSON object")),
            }
        } else {
            params.take_pairs(pairs(&String::from_utf8_lossy(&call.body)));
        }
        params.fields.retain(|_, value| !value.is_null());
        Ok(params)
    }

    /// What an answer to a webhook asks for: the method in lower case, and its parameters.
    pub(super) fn of_answer(answer: &[u8]) -> Option<(String, Self)> {
        let mut fields: BTreeMap<String, Value> = serde_json::from_slice(answer).ok()?;
        let method = fields.remove("method")?.as_str()?.to_ascii_lowercase();
        Some((method, Self { fields, files: BTreeMap::new() }))
    }

    fn take_pairs(&mut self, pairs: Vec<(String, String)>) {
        self.fields.extend(pairs.into_iter().map(|(name, value)| (name, Value::String(value))));
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }

    pub(super) fn needed(&self, name: &str) -> Result<String, BotError> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| BotError::bad(&format!("parameter \"{name}\" is required")))
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        number(self.fields.get(name)?)
    }

    pub(super) fn decimal(&self, name: &str) -> Option<f64> {
        match self.fields.get(name)? {
            Value::String(text) => text.parse().ok(),
            value => value.as_f64(),
        }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        match self.fields.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes"),
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            _ => false,
        }
    }

    /// An object or list; in a form it comes as its JSON text.
    pub(super) fn nested(&self, name: &str) -> Result<Option<Value>, BotError> {
        match self.fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| BotError::bad(&format!("can't parse {} JSON object", name.replace('_', " ")))),
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// For the ledger: the fields, with a summary in each file's place.
    pub(super) fn summary(&self) -> Value {
        let file = |field: &FormField| {
            json!({"file_name": field.file_name, "mime_type": field.mime, "size": field.bytes.len(),
                "sha256": hex::encode(Sha256::digest(&field.bytes))})
        };
        let mut all: Map<_, _> = self.fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        all.extend(self.files.iter().map(|(name, field)| (name.clone(), file(field))));
        Value::Object(all)
    }
}

/// A number, also as text.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    }
}
