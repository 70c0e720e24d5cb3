//! Texts kept for reuse, with fields of the contact in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{SavedReplyId, field_key};

/// A text kept for reuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedReply {
    /// Its id.
    pub id: SavedReplyId,
    /// What agents find it by.
    pub title: String,
    /// The text; `{{field}}` stands for a field of the contact or the agent.
    pub content: String,
}

/// Fields without which a saved reply can't be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these fields have no value: {}", .0.join(", "))]
pub struct MissingFields(pub Vec<String>);

impl SavedReply {
    /// The text with every `{{field}}` looked up; the names ignore case and outer spaces and may hold inner ones.
    ///
    /// Braces that hold no known sort of name, and braces inside the values, stay as they are.
    ///
    /// # Errors
    /// [`MissingFields`] names every field that is unknown or empty: never a gap in front of a customer.
    pub fn render(&self, fields: &BTreeMap<String, String>) -> Result<String, MissingFields> {
        render(&self.content, fields)
    }
}

/// [`SavedReply::render`] for a text that an agent pasted and edited.
///
/// # Errors
/// [`MissingFields`] names every field that is unknown or empty.
pub fn render(text: &str, fields: &BTreeMap<String, String>) -> Result<String, MissingFields> {
    let by_name: BTreeMap<String, &str> =
        fields.iter().map(|(name, value)| (field_key(name), value.as_str())).collect();
    let mut missing = Vec::new();
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        match by_name.get(&field_key(name)).filter(|value| !value.trim().is_empty()) {
            Some(value) => filled.push_str(value),
            None => missing.push(name.trim().to_owned()),
        }
        rest = tail;
    }
    filled.push_str(rest);
    if missing.is_empty() { Ok(filled) } else { Err(MissingFields(missing)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_spaces_and_ignore_case() {
        let fields = BTreeMap::from([("Order Num".to_owned(), "A-1 {{x}}".to_owned())]);
        assert_eq!(render("no {{ order num }}!", &fields).as_deref(), Ok("no A-1 {{x}}!"));
    }

    #[test]
    fn an_empty_or_unknown_field_is_an_error_with_its_name() {
        let fields = BTreeMap::from([("city".to_owned(), " ".to_owned())]);
        assert_eq!(render("{{city}} {{ zip }}", &fields), Err(MissingFields(vec!["city".into(), "zip".into()])));
    }
}
