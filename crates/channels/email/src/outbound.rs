//! From content to envelopes: what fits, what is refused, and who gets what. Pure.
//!
//! One part is one envelope: the person and everybody in Cc together, then each one in Bcc alone, so that no server can tell
//! the others of them. All parts of a message carry the same headers; the one address in a part's `bcc` is whose envelope
//! it is, and is written nowhere else.

use std::collections::BTreeSet;

use transom_channel::{Capabilities, MediaRule, PlannedPart, TextLimit, Unsendable};
use transom_domain::{Attachment, Body, Content, Mail, MediaSource};

use crate::address::Mailbox;
use crate::capabilities::{ENCODED, MAX_FILES, MAX_READERS, SUBJECT, TEXT};
use crate::config::Config;
use crate::message_id::is_message_id;

/// Splits content into envelopes.
pub(crate) fn plan(content: &Content, known: &Capabilities, config: &Config) -> Result<Vec<PlannedPart>, Unsendable> {
    if content.reply_to.as_deref().is_some_and(|id| !is_message_id(id)) {
        return Err(malformed("reply_to", "the Message-ID of a mail is needed, in angle brackets"));
    }
    let what = match &content.body {
        Body::Text { text, attachments } => {
            check_substance(text, None, attachments, known, config)?;
            return Ok(vec![PlannedPart::one(content.clone())]);
        }
        Body::Mail(mail) => return letters(content, mail, known, config),
        Body::Choices(_) => "buttons and lists",
        Body::Location(_) => "places; send a link to a map",
        Body::Contacts { .. } => "contact cards",
        Body::Reaction(_) => "reactions",
        Body::Template(_) => "message templates",
        Body::Unsupported { .. } => "content that could not be read",
    };
    Err(not_supported(what))
}

fn letters(
    content: &Content,
    mail: &Mail,
    known: &Capabilities,
    config: &Config,
) -> Result<Vec<PlannedPart>, Unsendable> {
    check_substance(&mail.text, mail.html.as_deref(), &mail.attachments, known, config)?;
    check_subject(mail.subject.as_deref())?;
    if config.sender(mail.from.as_deref()).is_none() {
        return Err(malformed("from", "one of the account's senders is needed"));
    }
    if !mail.references.iter().all(|id| is_message_id(id)) {
        return Err(malformed("references", "Message-IDs are needed, in angle brackets"));
    }
    let mut seen = BTreeSet::new();
    let cc = readers("cc", &mail.cc, &mut seen, config)?;
    let bcc = readers("bcc", &mail.bcc, &mut seen, config)?;
    let written = |bcc: Vec<String>| {
        let mail = Mail { cc: cc.clone(), bcc, ..mail.clone() };
        Content { body: Body::Mail(mail), reply_to: content.reply_to.clone() }
    };
    let recipients = u32::try_from(cc.len() + 1).unwrap_or(u32::MAX);
    let open = PlannedPart { cost: recipients, ..PlannedPart::one(written(Vec::new())) };
    let open = if cc.is_empty() { open } else { open.noted(format!("one mail to {recipients} readers")) };
    let blind = |one| PlannedPart::one(written(vec![one])).noted("a copy for one reader in Bcc alone");
    Ok([open].into_iter().chain(bcc.into_iter().map(blind)).collect())
}

/// Whether a part is what [`plan`] makes: at most one blind reader, and nothing to split.
pub(crate) fn check_part(content: &Content, known: &Capabilities, config: &Config) -> Result<(), Unsendable> {
    let alone = match &content.body {
        Body::Mail(mail) if mail.bcc.len() == 1 => {
            if readers("bcc", &mail.bcc, &mut BTreeSet::new(), config)?.is_empty() {
                return Err(malformed("bcc", "one of this mailbox's own addresses reads along already"));
            }
            let open = Mail { bcc: Vec::new(), ..mail.clone() };
            Content { body: Body::Mail(open), reply_to: content.reply_to.clone() }
        }
        _ => content.clone(),
    };
    match plan(&alone, known, config)?.len() {
        1 => Ok(()),
        _ => Err(malformed("bcc", "each blind reader has a part of their own")),
    }
}

/// Addresses as they are written, each once; our own are left out: nobody answers themselves.
fn readers(
    field: &'static str,
    list: &[String],
    seen: &mut BTreeSet<String>,
    config: &Config,
) -> Result<Vec<String>, Unsendable> {
    let mut readers = Vec::with_capacity(list.len());
    for text in list {
        let address = Mailbox::parse(text.trim()).map_err(|reason| malformed(field, reason))?;
        if !config.is_ours(address.as_str()) && seen.insert(address.key()) {
            readers.push(address.as_str().to_owned());
        }
    }
    match readers.len() > MAX_READERS {
        true => Err(Unsendable::TooMany { what: "readers", count: readers.len(), max: MAX_READERS }),
        false => Ok(readers),
    }
}

fn check_substance(
    text: &str,
    html: Option<&str>,
    files: &[Attachment],
    known: &Capabilities,
    config: &Config,
) -> Result<(), Unsendable> {
    if text.trim().is_empty() && html.is_none_or(|html| html.trim().is_empty()) && files.is_empty() {
        return Err(Unsendable::Empty);
    }
    check_length("text", TEXT, text)?;
    // Markup takes more room than the words in it.
    check_length("html", TextLimit::Scalars(TEXT.max().saturating_mul(10)), html.unwrap_or_default())?;
    if files.len() > usize::from(MAX_FILES) {
        return Err(Unsendable::TooMany { what: "files", count: files.len(), max: usize::from(MAX_FILES) });
    }
    files.iter().try_for_each(|file| check_file(file, known))?;
    let total: u64 = files.iter().filter_map(|file| file.size).sum();
    let encoded = total.saturating_mul(ENCODED.0) / ENCODED.1;
    if encoded > config.max_bytes {
        return Err(Unsendable::MediaSize { kind: "all files together", size: encoded, max: config.max_bytes });
    }
    Ok(())
}

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    let kind = file.kind.as_str();
    let rule: &MediaRule = known
        .media
        .iter()
        .find(|rule| rule.kind == file.kind)
        .ok_or_else(|| not_supported(&format!("a file of kind `{kind}`")))?;
    if let Some(mime) = file.mime.as_ref().filter(|mime| !rule.accepts(mime)) {
        let (mime, accepted) = (mime.chars().take(100).collect(), rule.mimes.clone());
        return Err(Unsendable::MediaType { kind, mime, accepted });
    }
    if let Some(size) = file.size.filter(|size| *size > rule.max_bytes) {
        return Err(Unsendable::MediaSize { kind, size, max: rule.max_bytes });
    }
    match &file.source {
        MediaSource::Stored { .. } => Ok(()),
        MediaSource::Url { .. } => {
            Err(not_supported("files at an address; send the link in the text, or a stored copy"))
        }
        MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => {
            Err(not_supported("files of another message; send them from your own store"))
        }
    }
}

/// Controls and runs of blanks are mended when it is written (sheet 2); only its length can be wrong.
fn check_subject(subject: Option<&str>) -> Result<(), Unsendable> {
    check_length("subject", SUBJECT, &one_line(subject.unwrap_or_default()))
}

/// A text for one header line: no controls, blanks collapsed.
pub(crate) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

fn check_length(place: &'static str, limit: TextLimit, text: &str) -> Result<(), Unsendable> {
    if limit.fits(text) {
        return Ok(());
    }
    Err(Unsendable::TooLong { place, length: limit.length(text), max: limit.max(), unit: limit.unit() })
}

fn not_supported(what: &str) -> Unsendable {
    Unsendable::NotSupported { what: what.to_owned() }
}

fn malformed(field: &str, reason: &str) -> Unsendable {
    Unsendable::Malformed { field: field.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::capabilities;
    use rstest::rstest;
    use transom_channel::SettingValues;
    use transom_domain::{AttachmentId, MediaKind};

    fn config() -> Config {
        let settings = SettingValues::default()
            .with("mailbox", "support@shop.test")
            .with("smtp_host", "smtp.shop.test")
            .with("smtp_password", "p")
            .with("max_bytes", "1000000");
        Config::read(&settings).unwrap()
    }

    fn planned(mail: Mail) -> Result<Vec<PlannedPart>, Unsendable> {
        let config = config();
        plan(&Content { body: Body::Mail(mail), reply_to: None }, &capabilities(&config), &config)
    }

    fn letter() -> Mail {
        Mail { subject: Some("Order 7".into()), text: "It left.".into(), ..Mail::default() }
    }

    fn file(size: u64) -> Attachment {
        Attachment {
            kind: MediaKind::Document,
            source: MediaSource::Stored { id: AttachmentId::from(uuid::Uuid::nil()) },
            mime: None,
            file_name: None,
            size: Some(size),
        }
    }

    #[test]
    fn an_envelope_costs_its_readers() {
        let readers = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let parts =
            planned(Mail { cc: readers(&["a@x.test", "b@x.test"]), bcc: readers(&["c@x.test"]), ..letter() }).unwrap();
        let costs: Vec<u32> = parts.iter().map(|part| part.cost).collect();
        assert_eq!(costs, [3, 1]);
        // Each of them can be sent as it is; the whole can't.
        let config = config();
        let known = capabilities(&config);
        assert!(parts.iter().all(|part| check_part(&part.content, &known, &config).is_ok()));
        let whole =
            Content { body: Body::Mail(Mail { bcc: readers(&["c@x.test", "d@x.test"]), ..letter() }), reply_to: None };
        assert!(check_part(&whole, &known, &config).is_err());
    }

    #[rstest]
    #[case("content_malformed", Mail { from: Some("eve@example.test".into()), ..letter() })]
    #[case("content_malformed", Mail { cc: vec!["a@x.test, b@x.test".into()], ..letter() })]
    #[case("content_malformed", Mail { cc: vec!["a@x.test\r\nBcc: c@x.test".into()], ..letter() })]
    #[case("content_malformed", Mail { bcc: vec!["Ann <a@x.test>".into()], ..letter() })]
    #[case("content_malformed", Mail { references: vec!["<a@b>\r\nX: y".into()], ..letter() })]
    #[case("content_malformed", Mail { references: vec!["a@b".into()], ..letter() })]
    #[case("too_many", Mail { cc: (0..100).map(|n| format!("a{n}@x.test")).collect(), ..letter() })]
    #[case("too_many", Mail { attachments: vec![file(1); 51], ..letter() })]
    #[case("media_too_large", Mail { attachments: vec![file(800_000)], ..letter() })]
    #[case("media_too_large", Mail { attachments: vec![file(400_000); 2], ..letter() })]
    #[case("text_too_long", Mail { subject: Some("x".repeat(256)), ..letter() })]
    #[case("message_empty", Mail { subject: Some("x".into()), text: " \n".into(), ..Mail::default() })]
    fn what_can_not_leave_is_refused(#[case] code: &str, #[case] mail: Mail) {
        assert_eq!(planned(mail).unwrap_err().code(), code);
    }

    #[test]
    fn blanks_in_a_subject_are_mended() {
        assert_eq!(one_line(" a\r\n\tb\0 c\u{85}d "), "a b c d");
        assert!(planned(Mail { subject: Some(format!("a{}b", " ".repeat(300))), ..letter() }).is_ok());
    }
}
