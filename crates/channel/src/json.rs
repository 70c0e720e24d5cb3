//! Reading JSON from outside: tolerant of what platforms really send, and quiet about what it says.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::ParseError;

/// Reads a document, and mends what would lose a message otherwise: bytes that are not UTF-8, and halves of surrogate pairs
/// that stand alone in an escape, become U+FFFD.
///
/// ```
/// let text: String = transom_channel::json::read(br#""half \ud83d of a smile""#)?;
/// assert_eq!(text, "half \u{fffd} of a smile");
/// # Ok::<_, transom_channel::ParseError>(())
/// ```
///
/// # Errors
/// [`ParseError`] with the place, never with words of the document: serde_json's own message would quote it.
pub fn read<T: DeserializeOwned>(document: &[u8]) -> Result<T, ParseError> {
    serde_json::from_slice(document).or_else(|error| match error.classify() {
        // Only here can mending help.
        Category::Syntax => serde_json::from_slice(&mended(document)).map_err(|error| unreadable(&error)),
        Category::Io | Category::Data | Category::Eof => Err(unreadable(&error)),
    })
}

/// An error without its content.
fn unreadable(error: &serde_json::Error) -> ParseError {
    let what = match error.classify() {
        Category::Eof => "JSON that breaks off",
        Category::Data => "JSON with a value of another type than expected",
        Category::Io | Category::Syntax => "not JSON",
    };
    ParseError::new(format!("{what}, at line {} column {}", error.line(), error.column()))
}

/// The document as UTF-8 without lone surrogates.
fn mended(document: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(document);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let (taken, written) = match code_unit(escape) {
            Some(0xD800..=0xDBFF) if matches!(escape.get(6..).and_then(code_unit), Some(0xDC00..=0xDFFF)) => {
                (12, escape.get(..12))
            }
            Some(0xD800..=0xDFFF) => (6, Some("\\ufffd")),
            Some(_) => (6, escape.get(..6)),
            // An escape of two characters, or a backslash before something that is none.
            None => {
                let taken = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
                (taken, escape.get(..taken))
            }
        };
        out.push_str(written.unwrap_or_default());
        rest = escape.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    out.into_bytes()
}

/// The UTF-16 unit that a `\uXXXX` at the start stands for.
fn code_unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::Value;

    #[rstest]
    #[case(br#""a\ud83db""#, "a\u{fffd}b")]
    #[case(br#""a\ude00b""#, "a\u{fffd}b")]
    #[case(br#""\ud83d\ude00 \ud83d""#, "\u{1f600} \u{fffd}")]
    #[case(br#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}")]
    #[case(br#""\\ud83d \ud83d""#, "\\ud83d \u{fffd}")]
    #[case(b"\"a\xffb\"", "a\u{fffd}b")]
    #[case(b"\"a\xff \\u00e9\\n\"", "a\u{fffd} \u{e9}\n")]
    fn what_can_be_mended_is_read(#[case] document: &[u8], #[case] text: &str) {
        assert_eq!(read::<String>(document).unwrap(), text);
    }

    #[rstest]
    #[case(b"")]
    #[case(b"{\"secret words\":")]
    #[case(b"\"secret words\"")]
    #[case(b"secret words")]
    #[case(b"[\"\\ud83d secret words\", 1] and more")]
    #[case("\"\\\u{e9} secret words\"".as_bytes())]
    fn errors_quote_nothing(#[case] document: &[u8]) {
        let error = read::<std::collections::BTreeMap<String, Value>>(document).unwrap_err().to_string();
        assert!(error.contains("JSON") && !error.contains("secret"), "{error}");
    }
}
