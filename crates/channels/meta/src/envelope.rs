//! The outer shape of every webhook: `{"object": …, "entry": […]}`.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use transom_channel::{ParseError, json};

/// One entry of a call: what happened on one node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// The node: a WhatsApp Business Account, a Page, an Instagram account. Empty if the call does not say.
    pub id: String,
    /// When the entry was made, where it says so.
    pub at: Option<OffsetDateTime>,
    /// All its fields: `changes`, `messaging`, `standby`, …
    pub fields: Map<String, Value>,
}

impl Entry {
    /// The objects of a list in this entry; none if it is not there. What is no object comes along too: it must not be lost.
    pub fn list(&self, name: &str) -> &[Value] {
        self.fields.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

/// The entries of a call about `object`.
///
/// # Errors
/// [`ParseError`] for a body that is not JSON, not this shape, or about something else.
pub fn read(body: &[u8], object: &str) -> Result<Vec<Entry>, ParseError> {
    match json::read(body)? {
        // Documents show a call in a list of one (instagram.md 4.3).
        Value::Array(calls) if !calls.is_empty() => {
            let read = calls.into_iter().map(|call| entries_of(call, object)).collect::<Result<Vec<_>, _>>()?;
            Ok(read.into_iter().flatten().collect())
        }
        call => entries_of(call, object),
    }
}

fn entries_of(call: Value, object: &str) -> Result<Vec<Entry>, ParseError> {
    let Value::Object(mut call) = call else { return Err(ParseError::new("the call is not an object")) };
    if call.get("object").and_then(Value::as_str) != Some(object) {
        return Err(ParseError::new(format!("the call is not about `{object}`")));
    }
    match call.remove("entry") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(entries)) => entries.into_iter().map(entry).collect(),
        Some(_) => Err(ParseError::new("`entry` is not a list")),
    }
}

fn entry(value: Value) -> Result<Entry, ParseError> {
    let Value::Object(fields) = value else {
        return Err(ParseError::new("an entry is not an object"));
    };
    let id = fields.get("id").and_then(text).unwrap_or_default();
    let at = fields.get("time").and_then(instant);
    Ok(Entry { id, at, fields })
}

/// A text, or a number as text: ids come as both.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An instant: Unix seconds or milliseconds, as a number or as text. `None` for anything else, and for zero.
///
/// ```
/// use serde_json::json;
/// use time::macros::datetime;
/// use transom_meta::envelope::instant;
///
/// assert_eq!(instant(&json!("1790000000")), Some(datetime!(2026-09-21 14:13:20 UTC)));
/// assert_eq!(instant(&json!(1790000000123_u64)), Some(datetime!(2026-09-21 14:13:20.123 UTC)));
/// assert_eq!(instant(&json!("soon")), None);
/// ```
pub fn instant(value: &Value) -> Option<OffsetDateTime> {
    /// Seconds reach this in the year 5138; milliseconds did in 1973.
    const MILLISECONDS_FROM: i64 = 100_000_000_000;
    let number = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| *number > 0)?;
    let millis = if number < MILLISECONDS_FROM { i128::from(number) * 1_000 } else { i128::from(number) };
    OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).ok()
}

/// A key for an event that has no id: the same content on the same entry is the same event (P7).
pub fn key(what: &str, entry: &Entry, content: &Value) -> String {
    let mut hash = Sha256::new();
    hash.update(entry.id.as_bytes());
    hash.update(entry.at.map_or(0, OffsetDateTime::unix_timestamp_nanos).to_be_bytes());
    hash.update(content.to_string().as_bytes());
    digest(what, hash)
}

/// A key for an event without an id that is told from others by these words, in this order.
pub fn key_of<'w>(what: &str, words: impl IntoIterator<Item = &'w str>) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_be_bytes());
        hash.update(word.as_bytes());
    }
    digest(what, hash)
}

fn digest(what: &str, hash: Sha256) -> String {
    let digest = hex::encode(hash.finalize());
    format!("{what}:{}", digest.get(..32).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[test]
    fn entries_are_read() {
        let body = json!({"object": "page", "entry": [{"id": 7, "time": 1_790_000_000_123_u64, "messaging": [1, {}]}, {}], "more": null});
        let entries = read(body.to_string().as_bytes(), "page").unwrap();
        assert_eq!((entries[0].id.as_str(), entries[0].list("messaging").len()), ("7", 2));
        assert_eq!((entries[1].id.as_str(), entries[1].at, entries[1].list("messaging").len()), ("", None, 0));
        assert_eq!(read(br#"{"object":"page"}"#, "page"), Ok(Vec::new()));
    }

    #[rstest]
    #[case("")]
    #[case("[]")]
    #[case("{}")]
    #[case(r#"{"object":"instagram","entry":[]}"#)]
    #[case(r#"{"object":"page","entry":{}}"#)]
    #[case(r#"{"object":"page","entry":["secret words"]}"#)]
    fn other_bodies_are_refused_without_repeating_them(#[case] body: &str) {
        let error = read(body.as_bytes(), "page").unwrap_err().to_string();
        assert!(!error.contains("secret") && !error.contains("instagram"), "{error}");
    }

    #[test]
    fn keys_tell_events_apart_and_repeats_not() {
        let at = |seconds| Entry { id: "1".into(), at: instant(&json!(seconds)), ..Entry::default() };
        let paused = json!({"event": "PAUSED"});
        assert_eq!(key("t", &at(1_790_000_000), &paused), key("t", &at(1_790_000_000), &paused));
        assert_ne!(key("t", &at(1_790_000_000), &paused), key("t", &at(1_790_000_001), &paused));
        assert_ne!(key("t", &at(1_790_000_000), &paused), key("t", &at(1_790_000_000), &json!({"event": "APPROVED"})));
    }

    #[test]
    fn words_are_told_apart_by_where_they_end() {
        assert_eq!(key_of("t", ["ab", "c"]), key_of("t", ["ab", "c"]));
        assert_ne!(key_of("t", ["ab", "c"]), key_of("t", ["a", "bc"]));
    }

    proptest::proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = read(&body, "page");
        }
    }
}
