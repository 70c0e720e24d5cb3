//! What [`Channel::plan`](crate::Channel::plan) checks before anything leaves, with one wording for what is refused.
//!
//! Limits come with their units, from [`Capabilities`] or from a platform's documents; what a file's type or size is, is checked
//! as far as somebody stated it. A channel asks for what it needs, in the order in which its customers should hear of it:
//!
//! ```
//! use transom_channel::{Capabilities, PlannedPart, Unsendable, checks};
//! use transom_domain::{Body, Content};
//!
//! fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
//!     let bodies = match &content.body {
//!         Body::Text { text, attachments } => {
//!             checks::text_and_files(text, attachments, known)?;
//!             checks::one_by_one(text, attachments, known)
//!         }
//!         Body::Location(place) => {
//!             checks::place(place)?;
//!             vec![content.body.clone()]
//!         }
//!         other => return Err(checks::not_carried(other)),
//!     };
//!     Ok(checks::parts(bodies, content.reply_to.as_ref()))
//! }
//! ```

use std::fmt;

use transom_domain::{Attachment, Body, Choice, Choices, Content, Location, MediaKind, MediaSource};
use url::Url;

use crate::{Capabilities, MediaRule, PlannedPart, TextLimit, Unsendable};

/// What a channel can't carry, in words that end `this channel can't carry …`.
pub fn not_supported(what: impl Into<String>) -> Unsendable {
    Unsendable::NotSupported { what: what.into() }
}

/// A value that the platform would refuse, and what is expected.
pub fn malformed(field: impl Into<String>, reason: impl fmt::Display) -> Unsendable {
    Unsendable::Malformed { field: field.into(), reason: reason.to_string() }
}

/// For a channel that carries nothing of this sort.
pub fn not_carried(body: &Body) -> Unsendable {
    not_supported(match body {
        Body::Text { .. } => "texts",
        Body::Choices(_) => "buttons and lists",
        Body::Location(_) => "places",
        Body::Contacts { .. } => "contact cards",
        Body::Reaction(_) => "reactions",
        Body::Template(_) => "message templates",
        Body::Mail(_) => "letters with a subject",
        Body::Unsupported { .. } => "content that could not be read",
    })
}

/// Something must be there.
///
/// # Errors
/// [`Unsendable::Malformed`].
pub fn present(field: &str, text: &str) -> Result<(), Unsendable> {
    if text.trim().is_empty() { Err(malformed(field, "it must not be empty")) } else { Ok(()) }
}

/// A text must fit.
///
/// # Errors
/// [`Unsendable::TooLong`], in the limit's unit.
pub fn length(place: &'static str, limit: TextLimit, text: &str) -> Result<(), Unsendable> {
    if limit.fits(text) {
        return Ok(());
    }
    Err(Unsendable::TooLong { place, length: limit.length(text), max: limit.max(), unit: limit.unit() })
}

/// There may be so many.
///
/// # Errors
/// [`Unsendable::TooMany`].
pub fn at_most(what: &'static str, count: usize, max: impl Into<usize>) -> Result<(), Unsendable> {
    let max = max.into();
    if count > max { Err(Unsendable::TooMany { what, count, max }) } else { Ok(()) }
}

/// An address must be one, of one of these schemes.
///
/// # Errors
/// [`Unsendable::Malformed`].
pub fn address(field: &str, url: &str, schemes: &[&str]) -> Result<(), Unsendable> {
    match Url::parse(url) {
        Ok(parsed) if schemes.contains(&parsed.scheme()) => Ok(()),
        _ => Err(malformed(field, format_args!("an address that starts with {} is needed", schemes.join(" or ")))),
    }
}

/// A place must lie on the globe. Not a number lies nowhere.
///
/// # Errors
/// [`Unsendable::Malformed`].
pub fn place(place: &Location) -> Result<(), Unsendable> {
    if (-90.0..=90.0).contains(&place.latitude) && (-180.0..=180.0).contains(&place.longitude) {
        return Ok(());
    }
    Err(malformed("location", "latitude goes from -90 to 90, longitude from -180 to 180"))
}

/// The rule for files of a kind.
///
/// # Errors
/// [`Unsendable::NotSupported`] where the channel takes none.
pub fn rule(known: &Capabilities, kind: MediaKind) -> Result<&MediaRule, Unsendable> {
    let rule = known.media.iter().find(|rule| rule.kind == kind);
    rule.ok_or_else(|| not_supported(format!("a file of kind `{}`", kind.as_str())))
}

/// A MIME type must be one that the rule takes.
///
/// # Errors
/// [`Unsendable::MediaType`] with those that it takes.
pub fn mime(rule: &MediaRule, mime: &str) -> Result<(), Unsendable> {
    if rule.accepts(mime) {
        return Ok(());
    }
    let (kind, mime) = (rule.kind.as_str(), mime.chars().take(100).collect());
    Err(Unsendable::MediaType { kind, mime, accepted: rule.mimes.clone() })
}

/// A file of so many bytes must not be larger than the rule takes.
///
/// # Errors
/// [`Unsendable::MediaSize`].
pub fn size(rule: &MediaRule, size: u64) -> Result<(), Unsendable> {
    at_most_bytes(rule.kind, size, rule.max_bytes)
}

/// A file's type and size must be what the rule takes, as far as they are stated; the platform judges the rest. For what the
/// platform fetches by address another size may hold.
///
/// # Errors
/// [`Unsendable::MediaType`] or [`Unsendable::MediaSize`].
pub fn stated(rule: &MediaRule, file: &Attachment) -> Result<(), Unsendable> {
    file.mime.as_deref().map_or(Ok(()), |stated| mime(rule, stated))?;
    let max = match &file.source {
        MediaSource::Url { .. } => rule.max_bytes_by_url.unwrap_or(rule.max_bytes),
        _ => rule.max_bytes,
    };
    file.size.map_or(Ok(()), |size| at_most_bytes(rule.kind, size, max))
}

fn at_most_bytes(kind: MediaKind, size: u64, max: u64) -> Result<(), Unsendable> {
    if size > max { Err(Unsendable::MediaSize { kind: kind.as_str(), size, max }) } else { Ok(()) }
}

/// A file must come from an own store or from a public address of one of these schemes: what came in on a platform is sent as
/// the copy that was stored.
///
/// # Errors
/// [`Unsendable::NotSupported`] or [`Unsendable::Malformed`].
pub fn own_file(file: &Attachment, schemes: &[&str]) -> Result<(), Unsendable> {
    match &file.source {
        MediaSource::Stored { .. } => Ok(()),
        MediaSource::Url { url } => address("attachment", url, schemes),
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => {
            Err(not_supported("files of another message; send them from your own store"))
        }
    }
}

/// A message must say something, and its words must fit.
///
/// # Errors
/// [`Unsendable::Empty`] or [`Unsendable::TooLong`].
pub fn words(text: &str, files: &[Attachment], known: &Capabilities) -> Result<(), Unsendable> {
    if text.trim().is_empty() && files.is_empty() {
        return Err(Unsendable::Empty);
    }
    length("text", known.text, text)
}

/// [`words`], and each file of a kind, type and size that the channel takes.
///
/// # Errors
/// As [`words`], [`rule`] and [`stated`].
pub fn text_and_files(text: &str, files: &[Attachment], known: &Capabilities) -> Result<(), Unsendable> {
    words(text, files, known)?;
    files.iter().try_for_each(|file| stated(rule(known, file.kind)?, file))
}

/// A text alone.
pub fn text_alone(text: &str) -> Body {
    Body::Text { text: text.to_owned(), attachments: Vec::new() }
}

/// One file a request. The words go with the first where it takes any and they fit below it, else before all of them; blanks
/// alone are no words.
pub fn one_by_one(text: &str, files: &[Attachment], known: &Capabilities) -> Vec<Body> {
    let has_words = !text.trim().is_empty();
    let takes_words = |file: &Attachment| rule(known, file.kind).is_ok_and(|rule| rule.caption);
    let below =
        has_words && known.caption.is_some_and(|limit| limit.fits(text)) && files.first().is_some_and(takes_words);
    let caption = |n: usize| if n == 0 && below { text.to_owned() } else { String::new() };
    let before = (has_words && !below).then(|| text_alone(text));
    let files = files.iter().enumerate();
    before
        .into_iter()
        .chain(files.map(|(n, file)| Body::Text { text: caption(n), attachments: vec![file.clone()] }))
        .collect()
}

/// The words of a message with buttons where there is no header and no footer: they become lines of it.
pub fn words_above(choices: &Choices) -> String {
    let lines = [choices.header.as_deref(), Some(choices.text.as_str()), choices.footer.as_deref()];
    lines.into_iter().flatten().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// Buttons and no list, at least one of them, under words that fit.
///
/// # Errors
/// [`Unsendable`] for the first thing that is not so.
pub fn buttons_below(
    words: &str,
    limit: TextLimit,
    choices: &Choices,
    max: impl Into<usize>,
) -> Result<(), Unsendable> {
    if choices.list.is_some() {
        return Err(not_supported("lists to choose from; buttons work"));
    }
    if words.trim().is_empty() {
        return Err(Unsendable::Empty);
    }
    length("text", limit, words)?;
    at_most("buttons", choices.buttons.len(), max)?;
    if choices.buttons.is_empty() { Err(malformed("buttons", "at least one is needed")) } else { Ok(()) }
}

/// A button needs a label, which fits.
///
/// # Errors
/// [`Unsendable::Malformed`] or [`Unsendable::TooLong`].
pub fn label(button: &Choice, limit: TextLimit) -> Result<(), Unsendable> {
    if button.title.trim().is_empty() {
        return Err(malformed("button.title", "a button needs a label"));
    }
    length("button", limit, &button.title)
}

/// A button that opens no address needs an answer, which fits.
///
/// # Errors
/// [`Unsendable::Malformed`] or [`Unsendable::TooLong`].
pub fn answer(button: &Choice, limit: TextLimit) -> Result<(), Unsendable> {
    if button.id.is_empty() {
        return Err(malformed("button.id", "a button needs an answer or an address"));
    }
    length("button id", limit, &button.id)
}

/// One part a body; the first quotes what the message quotes.
pub fn parts(bodies: Vec<Body>, reply_to: Option<&String>) -> Vec<PlannedPart> {
    let quotes = std::iter::once(reply_to.cloned()).chain(std::iter::repeat(None));
    bodies.into_iter().zip(quotes).map(|(body, reply_to)| PlannedPart::one(Content { body, reply_to })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use transom_domain::AttachmentId;

    fn rule_of(kind: MediaKind, caption: bool) -> MediaRule {
        MediaRule { kind, mimes: vec!["image/png"], max_bytes: 10, max_bytes_by_url: Some(5), caption }
    }

    fn file(source: MediaSource, mime: Option<&str>, size: Option<u64>) -> Attachment {
        Attachment { kind: MediaKind::Image, source, mime: mime.map(str::to_owned), file_name: None, size }
    }

    fn stored() -> MediaSource {
        MediaSource::Stored { id: AttachmentId::from(uuid::Uuid::from_u128(1)) }
    }

    fn by_url() -> MediaSource {
        MediaSource::Url { url: "https://files.example/1".to_owned() }
    }

    #[rstest]
    #[case(file(stored(), None, None), None)]
    #[case(file(stored(), Some("image/png; q=1"), Some(10)), None)]
    #[case(file(stored(), Some("image/gif"), None), Some("media_type_not_accepted"))]
    #[case(file(stored(), None, Some(11)), Some("media_too_large"))]
    #[case(file(by_url(), None, Some(5)), None)]
    #[case(file(by_url(), None, Some(6)), Some("media_too_large"))]
    fn what_is_stated_must_be_taken(#[case] file: Attachment, #[case] code: Option<&str>) {
        assert_eq!(stated(&rule_of(MediaKind::Image, false), &file).err().map(|error| error.code()), code);
    }

    #[test]
    fn limits_say_their_unit() {
        let error = length("text", TextLimit::Utf8Bytes(3), "éé").unwrap_err();
        assert_eq!(error.to_string(), "text is too long: 4 bytes, and at most 3 are taken");
        assert!(length("text", TextLimit::Utf8Bytes(4), "éé").is_ok() && at_most("buttons", 3, 3_u8).is_ok());
        assert_eq!(at_most("buttons", 4, 3_u8).unwrap_err().code(), "too_many");
    }

    #[rstest]
    #[case(90.0, -180.0, true)]
    #[case(90.1, 0.0, false)]
    #[case(0.0, 180.5, false)]
    #[case(f64::NAN, 0.0, false)]
    fn places_lie_on_the_globe(#[case] latitude: f64, #[case] longitude: f64, #[case] fits: bool) {
        assert_eq!(place(&Location { latitude, longitude, name: None, address: None }).is_ok(), fits);
    }

    #[test]
    fn files_come_from_an_own_store_or_a_public_address() {
        assert!(own_file(&file(stored(), None, None), &["https"]).is_ok());
        assert!(own_file(&file(by_url(), None, None), &["https"]).is_ok());
        let error = own_file(&file(MediaSource::Url { url: "http://a.example".to_owned() }, None, None), &["https"]);
        assert_eq!(error.unwrap_err().to_string(), "attachment: an address that starts with https is needed");
    }

    #[test]
    fn the_first_part_quotes() {
        let quoted = "m1".to_owned();
        let parts = parts(vec![text_alone("a"), text_alone("b")], Some(&quoted));
        let quotes: Vec<_> = parts.iter().map(|part| part.content.reply_to.as_deref()).collect();
        assert_eq!(quotes, [Some("m1"), None]);
    }
}
