//! Texts kept for reuse, with fields of the contact in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{SavedReplyId, field_key};

/// A text kept for reuse (R-311).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedReply {
    /// Its id.
    pub id: SavedReplyId,
    /// What agents find it by.
    pub title: String,
    /// The text, where no variant fits better; `{{field}}` stands for a field of the contact or the agent.
    pub content: String,
    /// Wordings for a language, a platform or both; no two for the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<SavedReplyVariant>,
}

/// A wording of a saved reply for some of its readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedReplyVariant {
    /// BCP 47 language tag in lower case; `None` for every language.
    pub language: Option<String>,
    /// The platform's name; `None` for every platform.
    pub platform: Option<String>,
    /// The text.
    pub content: String,
}

/// Fields without which a saved reply can't be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these fields have no value: {}", .0.join(", "))]
pub struct MissingFields(pub Vec<String>);

impl SavedReply {
    /// The wording for a language and a platform, and the variant that it is.
    ///
    /// A variant for another language or platform never fits. Of those that fit, the closer language decides, then the platform:
    /// to be understood matters more than to suit the channel.
    ///
    /// # Example: `de` fits `de-AT` where nothing is closer
    ///
    /// ```
    /// # use transom_domain::{SavedReply, SavedReplyId, SavedReplyVariant, UuidV7};
    /// let variant = |language: Option<&str>, platform: Option<&str>, content: &str| SavedReplyVariant {
    ///     language: language.map(str::to_owned),
    ///     platform: platform.map(str::to_owned),
    ///     content: content.to_owned(),
    /// };
    /// let reply = SavedReply {
    ///     id: SavedReplyId::new(&UuidV7),
    ///     title: "Hours".into(),
    ///     content: "We are open from nine.".into(),
    ///     variants: vec![variant(Some("de"), None, "Ab neun."), variant(None, Some("sms"), "From 9.")],
    /// };
    /// assert_eq!(reply.wording(Some("de-AT"), Some("sms")).0, "Ab neun.");
    /// assert_eq!(reply.wording(Some("fr"), Some("sms")).0, "From 9.");
    /// assert_eq!(reply.wording(None, None).0, "We are open from nine.");
    /// ```
    pub fn wording(&self, language: Option<&str>, platform: Option<&str>) -> (&str, Option<&SavedReplyVariant>) {
        let fits = |variant: &SavedReplyVariant| {
            let of_language = match (&variant.language, language) {
                (None, _) => 0,
                (Some(wanted), Some(spoken)) => closeness(wanted, spoken)?,
                (Some(_), None) => return None,
            };
            let of_platform = match (variant.platform.as_deref(), platform) {
                (None, _) => 0,
                (Some(wanted), Some(over)) if wanted.eq_ignore_ascii_case(over) => 1,
                (Some(_), _) => return None,
            };
            Some((of_language, of_platform))
        };
        let ranked = self.variants.iter().filter_map(|variant| Some((fits(variant)?, variant)));
        match ranked.max_by_key(|(rank, _)| *rank) {
            Some((_, variant)) => (&variant.content, Some(variant)),
            None => (&self.content, None),
        }
    }

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

/// How many subtags of what is spoken the wanted tag names, if it names no other (RFC 4647 section 3.4).
fn closeness(wanted: &str, spoken: &str) -> Option<usize> {
    let subtags = |tag: &str| tag.to_lowercase().split(['-', '_']).map(str::to_owned).collect::<Vec<_>>();
    let (wanted, spoken) = (subtags(wanted), subtags(spoken));
    spoken.starts_with(&wanted).then_some(wanted.len())
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
    for piece in cut(text) {
        match piece {
            Piece::Words(words) => filled.push_str(words),
            Piece::Place(name) => match by_name.get(&field_key(name)).filter(|value| !value.trim().is_empty()) {
                Some(value) => filled.push_str(value),
                None => missing.push(name.to_owned()),
            },
        }
    }
    if missing.is_empty() { Ok(filled) } else { Err(MissingFields(missing)) }
}

/// The name of each `{{field}}` in a text, as it is written there, repeats included.
///
/// # Example
///
/// ```
/// # use transom_domain::saved_reply::places;
/// assert!(places("Hello {{ First_Name }}, {{order num}} {{").eq(["First_Name", "order num"]));
/// ```
pub fn places(text: &str) -> impl Iterator<Item = &str> {
    cut(text).into_iter().filter_map(|piece| match piece {
        Piece::Place(name) => Some(name),
        Piece::Words(_) => None,
    })
}

enum Piece<'t> {
    Words(&'t str),
    Place(&'t str),
}

fn cut(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        pieces.push(Piece::Words(before));
        rest = match after.split_once("}}") {
            Some((name, tail)) => {
                pieces.push(Piece::Place(name.trim()));
                tail
            }
            None => {
                pieces.push(Piece::Words("{{"));
                after
            }
        };
    }
    pieces.push(Piece::Words(rest));
    pieces
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
