//! From content to parts: what fits, what is refused, and what it costs. Pure.

use transom_channel::{Capabilities, PlannedPart, Unsendable, checks};
use transom_domain::{Attachment, Body, Content};

use crate::capabilities::{MAX_FILES, MAX_TOTAL};
use crate::segments::Segments;

/// Splits content into messages: words with up to ten files, then the other files.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    if content.reply_to.is_some() {
        return Err(checks::not_supported("quotes of earlier messages"));
    }
    match &content.body {
        Body::Text { text, attachments } => split(text, attachments, known),
        Body::Location(_) => Err(checks::not_supported("places; send a link to a map")),
        other => Err(checks::not_carried(other)),
    }
}

fn split(text: &str, files: &[Attachment], known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    checks::words(text, files, known)?;
    files.iter().try_for_each(|file| check_file(file, known))?;
    let words = if text.trim().is_empty() { "" } else { text };
    if files.is_empty() {
        return Ok(vec![part(words, &[])]);
    }
    let groups = grouped(files);
    Ok(groups.iter().enumerate().map(|(n, files)| part(if n == 0 { words } else { "" }, files)).collect())
}

/// A text costs its segments; a message with files is one, whatever it says.
fn part(text: &str, files: &[Attachment]) -> PlannedPart {
    let body = Body::Text { text: text.to_owned(), attachments: files.to_vec() };
    let whole = PlannedPart::one(Content { body, reply_to: None });
    if files.is_empty() {
        let segments = Segments::of(text);
        PlannedPart { cost: segments.count, ..whole.noted(segments.note(text)) }
    } else {
        whole.noted("one MMS")
    }
}

/// Files in their order, as many to a message as it takes by number and by size.
fn grouped(files: &[Attachment]) -> Vec<Vec<Attachment>> {
    let mut groups: Vec<Vec<Attachment>> = Vec::new();
    let mut total = 0;
    for file in files {
        let size = file.size.unwrap_or_default();
        match groups.last_mut() {
            Some(group) if group.len() < MAX_FILES && total + size <= MAX_TOTAL => {
                total += size;
                group.push(file.clone());
            }
            _ => {
                total = size;
                groups.push(vec![file.clone()]);
            }
        }
    }
    groups
}

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    if known.media.is_empty() {
        return Err(checks::not_supported("files; send a link, or set `mms` if the sender can"));
    }
    let rule = checks::rule(known, file.kind)?;
    checks::own_file(file, &["https"])?;
    checks::stated(rule, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::capabilities;
    use rstest::rstest;
    use transom_domain::{Location, MediaKind, MediaSource};

    fn picture(size: Option<u64>) -> Attachment {
        let source = MediaSource::Url { url: "https://files.example/a.jpg".into() };
        Attachment { kind: MediaKind::Image, source, mime: Some("image/jpeg".into()), file_name: None, size }
    }

    fn with_files(text: &str, attachments: Vec<Attachment>) -> Content {
        Content { body: Body::Text { text: text.into(), attachments }, reply_to: None }
    }

    fn costs(content: &Content) -> Vec<u32> {
        plan(content, &capabilities(true, false)).unwrap().iter().map(|part| part.cost).collect()
    }

    #[test]
    fn a_text_costs_its_segments_and_files_cost_one() {
        assert_eq!(costs(&Content::text("a".repeat(161))), [2]);
        assert_eq!(costs(&Content::text("я".repeat(1_600))), [24]);
        assert_eq!(costs(&with_files(&"я".repeat(200), vec![picture(None)])), [1]);
        let planned = plan(&with_files("Look:", vec![picture(None)]), &capabilities(true, false)).unwrap();
        assert_eq!(planned[0].note.as_deref(), Some("one MMS"));
        assert_eq!(costs(&with_files("", vec![picture(None); 11])), [1, 1]);
        // Each fits, and two of them together do not.
        assert_eq!(costs(&with_files("", vec![picture(Some(MAX_TOTAL)), picture(Some(1)), picture(Some(1))])), [1, 1]);
    }

    #[rstest]
    #[case(Content::text(" "), "message_empty")]
    #[case(Content::text("x".repeat(1_601)), "text_too_long")]
    #[case(Content { reply_to: Some("SM1".into()), ..Content::text("x") }, "not_supported_by_channel")]
    #[case(with_files("", vec![picture(Some(MAX_TOTAL + 1))]), "media_too_large")]
    #[case(with_files("", vec![Attachment { mime: Some("image/tiff".into()), ..picture(None) }]), "media_type_not_accepted")]
    #[case(with_files("", vec![Attachment { kind: MediaKind::Sticker, ..picture(None) }]), "not_supported_by_channel")]
    #[case(with_files("", vec![Attachment { source: MediaSource::Url { url: "http://a.example/a.jpg".into() }, ..picture(None) }]), "content_malformed")]
    #[case(Content { body: Body::Location(Location { latitude: 1.0, longitude: 1.0, name: None, address: None }), reply_to: None }, "not_supported_by_channel")]
    fn what_does_not_fit_is_refused(#[case] content: Content, #[case] code: &str) {
        assert_eq!(plan(&content, &capabilities(true, false)).unwrap_err().code(), code);
    }

    #[test]
    fn without_mms_no_file_leaves() {
        let refused = plan(&with_files("", vec![picture(None)]), &capabilities(false, false)).unwrap_err();
        assert!(refused.to_string().contains("`mms`"), "{refused}");
    }
}
