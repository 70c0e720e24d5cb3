//! Reading a mail's source: the one parser behind IMAP and webhooks, bounded, and never trusted.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use encoding_rs::Encoding;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};
use time::{Duration, OffsetDateTime};
use transom_channel::{MediaBytes, ParseError};

use crate::address::canonical;
use crate::message_id;

/// Parts and nesting beyond which a mail is nothing that people write (sheet 6). Each part and each level has such a header.
const MAX_CONTENT_TYPES: usize = 500;
const MAX_PARTS: usize = 200;
/// The longest text and the longest HTML that are shown; the source has all of it.
const MAX_TEXT: usize = 1024 * 1024;
const MAX_HTML: usize = 2 * 1024 * 1024;
/// The longest header value that is looked at.
const MAX_VALUE: usize = 64 * 1024;

/// What a mail says, in any form that it came in.
#[derive(Debug, Default)]
pub(crate) struct Letter {
    /// Names in lower case, values unfolded, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) message_id: Option<String>,
    pub(crate) in_reply_to: Vec<String>,
    pub(crate) references: Vec<String>,
    pub(crate) from: Option<Correspondent>,
    pub(crate) to: Vec<String>,
    pub(crate) cc: Vec<String>,
    pub(crate) subject: Option<String>,
    pub(crate) date: Option<OffsetDateTime>,
    /// The words, whole.
    pub(crate) text: Option<String>,
    /// The HTML, whole and as it came.
    pub(crate) html: Option<String>,
    pub(crate) files: Vec<MediaBytes>,
    /// Where the provider tells: the addresses in the envelope.
    pub(crate) delivered_to: Vec<String>,
    /// The parts of a report.
    pub(crate) report: Option<Report>,
}

/// Somebody in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Correspondent {
    pub(crate) address: String,
    pub(crate) name: Option<String>,
}

/// A `multipart/report` (RFC 6522).
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Its type, in lower case: `delivery-status`, `disposition-notification`, `feedback-report`.
    pub(crate) kind: String,
    /// What machines read: fields in blocks, names in lower case.
    pub(crate) blocks: Vec<Vec<(String, String)>>,
    /// Headers of the mail that it is about.
    pub(crate) about: Option<Box<Letter>>,
}

impl Letter {
    /// The first header of that name; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers of that name.
    pub(crate) fn all<'l>(&'l self, name: &'l str) -> impl Iterator<Item = &'l str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Reads a mail's source.
    ///
    /// # Errors
    /// When it is no mail at all.
    pub(crate) fn read(source: &[u8]) -> Result<Self, ParseError> {
        let mended = mended(source);
        let whole = count(&mended, b"content-type") <= MAX_CONTENT_TYPES;
        let parser = MessageParser::default();
        // A fault of the parser is one mail's trouble.
        let parse = || if whole { parser.parse(&*mended) } else { parser.parse_headers(&*mended) };
        let read = catch_unwind(AssertUnwindSafe(|| parse().map(|message| Self::of(&message, &mended, whole))));
        let letter = read.map_err(|_| ParseError::new("a mail that can't be taken apart"))?;
        letter.filter(Self::is_mail).ok_or_else(|| ParseError::new("not a mail: it has none of a mail's headers"))
    }

    /// Reads headers alone.
    pub(crate) fn of_headers<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Self {
        let mut block = String::new();
        for (name, value) in headers {
            let sound = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
            if sound {
                let value = value.replace(['\r', '\n', '\0'], " ");
                block.extend([name, ": ", &value, "\r\n"]);
            }
        }
        block.push_str("\r\n");
        let parse = || {
            MessageParser::default()
                .parse_headers(block.as_bytes())
                .map(|message| Self::of(&message, block.as_bytes(), false))
        };
        catch_unwind(AssertUnwindSafe(parse)).ok().flatten().unwrap_or_default()
    }

    /// All of its words, also where it has only HTML.
    pub(crate) fn words(&self) -> Cow<'_, str> {
        match (&self.text, &self.html) {
            (Some(text), _) => Cow::Borrowed(text),
            (None, Some(html)) => Cow::Owned(crate::html::to_text(html)),
            (None, None) => Cow::Borrowed(""),
        }
    }

    fn is_mail(&self) -> bool {
        let known = ["from", "return-path", "received", "message-id", "date", "subject", "to"];
        self.headers.iter().filter(|(name, _)| known.contains(&name.as_str())).count() > 1
    }

    /// Of a mail within `raw`, which need not begin with it.
    fn of(message: &Message<'_>, raw: &[u8], whole: bool) -> Self {
        let mut letter = Self { headers: raw_headers(message, raw), ..Self::default() };
        letter.message_id = letter.header("message-id").and_then(|id| message_id::read(id).into_iter().next());
        letter.in_reply_to = letter.header("in-reply-to").map(message_id::read).unwrap_or_default();
        letter.references = letter.header("references").map(message_id::read).unwrap_or_default();
        letter.from = message.from().or_else(|| message.sender()).and_then(correspondent);
        letter.to = addresses(message.all_to());
        letter.cc = addresses(message.all_cc());
        letter.subject = message.subject().map(|subject| crate::outbound::one_line(&plain(subject)));
        letter.date = message.date().and_then(instant);
        if whole && message.parts.len() <= MAX_PARTS {
            letter.take_parts(message);
        } else if whole {
            letter.text = message.text_bodies().next().and_then(|part| words(message, part)).map(|(text, _)| text);
        }
        letter
    }

    fn take_parts(&mut self, message: &Message<'_>) {
        let said = |parts: &mut dyn Iterator<Item = &MessagePart<'_>>, is_html: bool| {
            let of_kind = parts.filter(|part| part.is_text_html() == is_html);
            let all: Vec<String> = of_kind.filter_map(|part| words(message, part)).map(|(text, _)| text).collect();
            Some(all.join("\n")).filter(|text| !text.trim().is_empty())
        };
        self.text = said(&mut message.text_bodies(), false).map(|text| cut(text, MAX_TEXT));
        self.html = said(&mut message.html_bodies(), true).filter(|html| html.len() <= MAX_HTML);
        self.report = report(message);
        let files = message.attachments().filter_map(|part| enclosed(message, part));
        self.files = files.collect();
    }
}

/// Header values as they stand in the source, unfolded; bytes that are no UTF-8 are mended.
fn raw_headers(message: &Message<'_>, raw: &[u8]) -> Vec<(String, String)> {
    let value = |header: &mail_parser::Header<'_>| {
        let (start, end) = (header.offset_start() as usize, header.offset_end() as usize);
        let bytes = raw.get(start..end).unwrap_or_default();
        let bytes = bytes.get(..bytes.len().min(MAX_VALUE)).unwrap_or_default();
        (header.name().to_lowercase(), crate::outbound::one_line(&plain(&String::from_utf8_lossy(bytes))))
    };
    message.headers().iter().map(value).collect()
}

/// Without NUL, which no database stores.
fn plain(text: &str) -> String {
    text.replace('\0', "")
}

fn correspondent(address: &Address<'_>) -> Option<Correspondent> {
    let first = address.iter().find_map(|one| Some((canonical(one.address()?)?, one.name())))?;
    let name = first.1.map(|name| crate::outbound::one_line(&plain(name))).filter(|name| !name.is_empty());
    Some(Correspondent { name: name.map(|name| name.chars().take(200).collect()), address: first.0 })
}

fn addresses<'a>(all: impl Iterator<Item = &'a Address<'a>>) -> Vec<String> {
    let listed = all.flat_map(|address| address.iter()).filter_map(|one| canonical(one.address()?));
    let mut addresses: Vec<String> = Vec::new();
    for address in listed.take(1_000) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

fn instant(date: &mail_parser::DateTime) -> Option<OffsetDateTime> {
    date.is_valid().then(|| OffsetDateTime::from_unix_timestamp(date.to_timestamp()).ok()).flatten()
}

/// A text part in Unicode: by the charset that it declares, else UTF-8, else windows-1252 (sheet 6). And whether it is HTML.
fn words(message: &Message<'_>, part: &MessagePart<'_>) -> Option<(String, bool)> {
    let (decoded, is_html) = match &part.body {
        PartType::Text(text) => (text, false),
        PartType::Html(text) => (text, true),
        _ => return None,
    };
    let declared = part.content_type().and_then(|kind| kind.attribute("charset"));
    let known = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    let text = match known {
        // UTF-16 in mail is wrong and seen; a label that lies shows by its replacement characters.
        Some(encoding) if encoding != encoding_rs::UTF_8 || !decoded.contains('\u{fffd}') => {
            match octets(message, part) {
                Some(octets) if encoding != encoding_rs::UTF_8 => encoding.decode(&octets).0.into_owned(),
                _ => decoded.to_string(),
            }
        }
        None if declared.is_some_and(|label| label.to_ascii_lowercase().starts_with("utf-7")) => decoded.to_string(),
        _ => octets(message, part).map_or_else(|| decoded.to_string(), |octets| guessed(&octets)),
    };
    Some((plain(&text).replace("\r\n", "\n").replace('\r', "\n"), is_html))
}

fn guessed(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::WINDOWS_1252.decode(octets).0.into_owned(),
    }
}

/// The octets of a part, its transfer encoding undone.
fn octets(message: &Message<'_>, part: &MessagePart<'_>) -> Option<Vec<u8>> {
    let raw = message.raw_message().get(part.raw_body_offset() as usize..part.raw_end_offset() as usize)?;
    match part.encoding {
        mail_parser::Encoding::None => Some(raw.to_vec()),
        mail_parser::Encoding::Base64 => base64_decode(raw),
        mail_parser::Encoding::QuotedPrintable => quoted_printable_decode(raw),
    }
}

fn cut(text: String, max: usize) -> String {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// A file of the mail.
fn enclosed(message: &Message<'_>, part: &MessagePart<'_>) -> Option<MediaBytes> {
    let stated = part
        .content_type()
        .map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("octet-stream")).to_ascii_lowercase());
    let (bytes, stated) = match &part.body {
        PartType::Text(_) | PartType::Html(_) => {
            (Bytes::from(octets(message, part)?), stated.or_else(|| Some("text/plain".to_owned())))
        }
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => (Bytes::copy_from_slice(bytes), stated),
        // A mail within this one stays whole.
        PartType::Message(_) => {
            let raw = message.raw_message().get(part.raw_body_offset() as usize..part.raw_end_offset() as usize);
            (Bytes::copy_from_slice(raw.unwrap_or_default()), Some("message/rfc822".to_owned()))
        }
        PartType::Multipart(_) => return None,
    };
    let stated = stated.map(|mime| mime.replacen(CODED_MESSAGE, "message/", 1));
    let mime = super::files::mime_of(&bytes, stated.as_deref(), part.attachment_name());
    let file_name = Some(super::files::name_of(part.attachment_name(), &mime));
    Some(MediaBytes { bytes, mime, file_name })
}

fn report(message: &Message<'_>) -> Option<Report> {
    let root = message.root_part().content_type()?;
    if !root.ctype().eq_ignore_ascii_case("multipart") || !root.subtype()?.eq_ignore_ascii_case("report") {
        return None;
    }
    let kind = root.attribute("report-type").unwrap_or_default().to_ascii_lowercase();
    let mut report = Report { kind, ..Report::default() };
    for part in &message.parts {
        let Some(mime) = part.content_type().map(|c| (c.ctype(), c.subtype().unwrap_or_default().to_ascii_lowercase()))
        else {
            continue;
        };
        match (&part.body, mime.1.as_str()) {
            (PartType::Message(about), _) => {
                report.about = Some(Box::new(Letter::of(about, message.raw_message(), false)));
            }
            (body, "rfc822-headers") => {
                let text = body_text(body);
                let fields = blocks(&text).into_iter().next().unwrap_or_default();
                let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                report.about = Some(Box::new(Letter::of_headers(fields)));
            }
            (body, "delivery-status" | "global-delivery-status" | "disposition-notification" | "feedback-report") => {
                if report.kind.is_empty() {
                    mime.1.trim_start_matches("global-").clone_into(&mut report.kind);
                }
                report.blocks = blocks(&body_text(body));
            }
            _ => {}
        }
    }
    Some(report)
}

fn body_text<'b>(body: &'b PartType<'_>) -> Cow<'b, str> {
    match body {
        PartType::Text(text) | PartType::Html(text) => Cow::Borrowed(text),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => String::from_utf8_lossy(bytes),
        PartType::Message(_) | PartType::Multipart(_) => Cow::Borrowed(""),
    }
}

/// Blocks of `Name: value` lines between empty lines, folded lines joined.
pub(super) fn blocks(text: &str) -> Vec<Vec<(String, String)>> {
    let mut blocks: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines().take(5_000) {
        let last = blocks.last_mut();
        if line.trim().is_empty() {
            if last.is_some_and(|block| !block.is_empty()) {
                blocks.push(Vec::new());
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = last.and_then(|block| block.last_mut()) {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let (Some((name, value)), Some(block)) = (line.split_once(':'), last) {
            block.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Stands for `message/` where the part is encoded: the parser would go down into it without an end (RFC 2046 section 5.2.1
/// forbids such parts).
const CODED_MESSAGE: &str = "x-coded/";

/// The source as the parser can take it. Parameters that begin on a folded line are joined to theirs, since the parser loses
/// them; and what it would go down into without an end is shown to it as a file.
fn mended(source: &[u8]) -> Vec<u8> {
    let joined = joined(source);
    let mut mended = joined.clone();
    let lower = joined.to_ascii_lowercase();
    for at in places(&lower, b"multipart/digest") {
        overwrite(&mut mended, at, b"multipart/mixed ");
    }
    for at in places(&lower, b"message/") {
        let block = header_block(&lower, at);
        let holds = |needle: &[u8]| !places(block, needle).is_empty();
        if holds(b"content-transfer-encoding") && (holds(b"base64") || holds(b"quoted-printable")) {
            overwrite(&mut mended, at, CODED_MESSAGE.as_bytes());
        }
    }
    mended
}

/// Joins `;\s*(boundary|name|filename|charset)\*?=` and a value that begins on the next line.
fn joined(source: &[u8]) -> Vec<u8> {
    const NAMES: [&[u8]; 4] = [b"boundary", b"name", b"filename", b"charset"];
    let mut out = Vec::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.iter().position(|byte| *byte == b'=') {
        let (before, after) = rest.split_at(at + 1);
        out.extend_from_slice(before);
        let line_end = if after.starts_with(b"\r\n") { 2 } else { usize::from(after.starts_with(b"\n")) };
        let folded = after.get(line_end..).unwrap_or_default();
        let is_folded = line_end > 0 && folded.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        rest = if is_folded && ends_with_parameter(before, &NAMES) { folded.trim_ascii_start() } else { after };
    }
    out.extend_from_slice(rest);
    out
}

/// Whether `; name=` ends here.
fn ends_with_parameter(before: &[u8], names: &[&[u8]]) -> bool {
    let name = before.strip_suffix(b"=").unwrap_or(before);
    let name = name.strip_suffix(b"*").unwrap_or(name);
    let lower = name.get(name.len().saturating_sub(200)..).unwrap_or_default().to_ascii_lowercase();
    names.iter().any(|known| lower.strip_suffix(*known).is_some_and(|rest| rest.trim_ascii_end().ends_with(b";")))
}

/// Where a needle stands, at most so often as there can be parts.
fn places(hay: &[u8], needle: &[u8]) -> Vec<usize> {
    let windows = hay.windows(needle.len()).enumerate();
    windows.filter(|(_, window)| *window == needle).map(|(at, _)| at).take(2 * MAX_CONTENT_TYPES).collect()
}

fn count(hay: &[u8], needle: &[u8]) -> usize {
    hay.windows(needle.len()).filter(|window| window.eq_ignore_ascii_case(needle)).count()
}

/// The lines around a place, from the empty line before to the empty line after.
fn header_block(source: &[u8], at: usize) -> &[u8] {
    const AROUND: usize = 8 * 1024;
    let start = at.saturating_sub(AROUND);
    let before = source.get(start..at).unwrap_or_default();
    let after = source.get(at..(at + AROUND).min(source.len())).unwrap_or_default();
    let empty = |window: &[u8]| window == b"\n\n" || window == b"\n\r";
    let from = before.windows(2).rposition(empty).map_or(0, |found| found + 2);
    let to = after.windows(2).position(empty).unwrap_or(after.len());
    source.get(start + from..at + to).unwrap_or_default()
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + with.len()) {
        place.copy_from_slice(with);
    }
}

/// When a mail was written, as far as that can be believed: not after it arrived, and not longer before than servers try.
pub(crate) fn believed(date: Option<OffsetDateTime>, arrived: OffsetDateTime) -> OffsetDateTime {
    const LONGEST_WAY: Duration = Duration::days(5);
    date.filter(|date| *date <= arrived && arrived - *date <= LONGEST_WAY).unwrap_or(arrived)
}
