//! From a letter to the bytes of a mail. Pure; every value passes through an encoder, none is pasted into a header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{ContentDisposition, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox as Named, Mailboxes, MultiPart, SinglePart, header};
use lettre::{Address, Message};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use transom_channel::MediaBytes;

use crate::address::Mailbox;
use crate::{html, outbound};

/// A letter, ready to be written.
#[derive(Debug)]
pub(crate) struct Letter<'l> {
    pub(crate) message_id: &'l str,
    pub(crate) date: OffsetDateTime,
    pub(crate) from: (&'l Mailbox, Option<&'l str>),
    pub(crate) reply_to: Option<String>,
    pub(crate) to: &'l Mailbox,
    pub(crate) cc: Vec<Mailbox>,
    pub(crate) subject: String,
    pub(crate) in_reply_to: Option<&'l str>,
    pub(crate) references: Vec<&'l str>,
    pub(crate) text: &'l str,
    pub(crate) html: Option<&'l str>,
    pub(crate) files: Vec<MediaBytes>,
    /// Our mailbox: by it we know our own mail when it comes back.
    pub(crate) loop_mark: &'l str,
    /// What a machine says of itself (RFC 3834 section 5).
    pub(crate) automatic: Option<&'static str>,
    /// How to get no more of this; empty for what was written to one person.
    pub(crate) unsubscribe: Unsubscribe<'l>,
}

/// How a reader gets no more of a kind of mail.
#[derive(Debug, Default)]
pub(crate) struct Unsubscribe<'l> {
    /// The address to write to (RFC 2369).
    pub(crate) by_mail: Option<String>,
    /// The address to post to, with one click (RFC 8058).
    pub(crate) by_click: Option<&'l str>,
}

impl Unsubscribe<'_> {
    /// Its headers.
    fn headers(&self) -> Vec<HeaderValue> {
        let click = self.by_click.map(|link| format!("<{link}>"));
        let mail = self.by_mail.as_ref().map(|address| format!("<mailto:{address}?subject=unsubscribe>"));
        let ways: Vec<String> = click.into_iter().chain(mail).collect();
        let ways: Vec<&str> = ways.iter().map(String::as_str).collect();
        let mut headers = Vec::new();
        if !ways.is_empty() {
            let (plain, folded) = (ways.join(", "), ways.join(",\r\n "));
            headers.push(HeaderValue::dangerous_new_pre_encoded(name("List-Unsubscribe"), plain, folded));
        }
        if self.by_click.is_some() {
            headers.push(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
        headers
    }
}

/// A mail that can't be written: a fault of ours, in words without its content.
#[derive(Debug, thiserror::Error)]
#[error("the mail can't be written: {0}")]
pub(crate) struct Unwritable(&'static str);

impl Letter<'_> {
    /// The mail, with CRLF as its only line ends.
    pub(crate) fn write(&self) -> Result<Vec<u8>, Unwritable> {
        let (from, name) = self.from;
        let mut message = Message::builder()
            .raw_header(raw("Date", date(self.date)?))
            .raw_header(raw("Message-ID", self.message_id.to_owned()))
            .mailbox(header::From::from(Mailboxes::from(named(from, name)?)))
            .mailbox(header::To::from(Mailboxes::from(named(self.to, None)?)));
        if !self.cc.is_empty() {
            let cc: Result<Mailboxes, Unwritable> = self.cc.iter().map(|address| named(address, None)).collect();
            message = message.mailbox(header::Cc::from(cc?));
        }
        if let Some(reply_to) = &self.reply_to {
            let address: Address = reply_to.parse().map_err(|_| Unwritable("the address to reply to"))?;
            message = message.mailbox(header::ReplyTo::from(Mailboxes::from(Named::new(None, address))));
        }
        message = message.raw_header(text("Subject", &outbound::one_line(&self.subject)));
        if let Some(id) = self.in_reply_to {
            message = message.raw_header(raw("In-Reply-To", id.to_owned()));
        }
        if !self.references.is_empty() {
            message = message.raw_header(folded("References", &self.references));
        }
        message = message.raw_header(raw("X-Loop", self.loop_mark.to_owned()));
        if let Some(how) = self.automatic {
            message = message
                .raw_header(raw("Auto-Submitted", how.to_owned()))
                .raw_header(raw("X-Auto-Response-Suppress", "All".to_owned()));
        }
        for header in self.unsubscribe.headers() {
            message = message.raw_header(header);
        }
        // The envelope is the session's; the builder wants one that the headers need not name.
        let own = address_of(from)?;
        message =
            message.envelope(lettre::address::Envelope::new(None, vec![own]).map_err(|_| Unwritable("the envelope"))?);
        let whole = if self.files.is_empty() {
            message.header(MIME_VERSION_1_0).multipart(self.words())
        } else {
            let mut mixed = MultiPart::mixed().boundary(self.boundary("m")).multipart(self.words());
            for file in &self.files {
                mixed = mixed.singlepart(enclosed(file));
            }
            message.header(MIME_VERSION_1_0).multipart(mixed)
        };
        Ok(whole.map_err(|_| Unwritable("its headers"))?.formatted())
    }

    /// The words twice: as text, and as HTML, the richer one last (RFC 2046 section 5.1.4).
    fn words(&self) -> MultiPart {
        let (text, html) = match self.html {
            Some(given) if self.text.trim().is_empty() => (html::to_text(given), html::for_sending(given)),
            Some(given) => (self.text.to_owned(), html::for_sending(given)),
            None => (self.text.to_owned(), html::of_text(self.text)),
        };
        let part = |kind: ContentType, words: String| SinglePart::builder().header(kind).body(plain_lines(&words));
        MultiPart::alternative()
            .boundary(self.boundary("a"))
            .singlepart(part(ContentType::TEXT_PLAIN, text))
            .singlepart(part(ContentType::TEXT_HTML, html))
    }

    /// No line of quoted-printable or base 64 can be one (RFC 2045 section 6.7), and nobody can know the id before.
    fn boundary(&self, level: &str) -> String {
        let id: String = self.message_id.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        format!("=_{level}_{id}")
    }
}

/// Line ends of one kind and no NUL: a bare CR or LF means two things to two servers (sheet 7, SMTP smuggling).
fn plain_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "")
}

fn enclosed(file: &MediaBytes) -> SinglePart {
    let name = file.file_name.as_deref().map(outbound::one_line).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| "file".to_owned());
    // A type with parameters or of nobody's making is not passed on.
    let kind = file.mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let sound = kind.split_once('/').is_some_and(|(family, sort)| is_token(family) && is_token(sort));
    // A mail within a mail must not be in base 64 (RFC 2046 section 5.2.1), and servers take such apart: it goes as a file.
    let whole = !kind.starts_with("message/") && !kind.starts_with("multipart/");
    let kind = if sound && whole { kind.as_str() } else { "application/octet-stream" };
    let kind = ContentType::parse(kind)
        .unwrap_or(ContentType::parse("application/octet-stream").unwrap_or(ContentType::TEXT_PLAIN));
    SinglePart::builder()
        .header(kind)
        .header(ContentDisposition::attachment(&name))
        .header(header::ContentTransferEncoding::Base64)
        .body(file.bytes.to_vec())
}

fn named(address: &Mailbox, name: Option<&str>) -> Result<Named, Unwritable> {
    let name = name.map(outbound::one_line).filter(|name| !name.is_empty());
    Ok(Named::new(name, address_of(address)?))
}

fn address_of(address: &Mailbox) -> Result<Address, Unwritable> {
    Address::new(address.local(), address.domain()).map_err(|_| Unwritable("an address"))
}

fn date(at: OffsetDateTime) -> Result<String, Unwritable> {
    at.format(&Rfc2822).map_err(|_| Unwritable("its date"))
}

fn name(header: &'static str) -> HeaderName {
    HeaderName::new_from_ascii_str(header)
}

/// A value of our own making, in ASCII and short.
fn raw(header: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(name(header), value)
}

/// Ids, each on a line of its own.
fn folded(header: &'static str, ids: &[&str]) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(name(header), ids.join(" "), ids.join("\r\n "))
}

/// Words of people. What looks like an encoded word is encoded too, or readers would see something else.
fn text(header: &'static str, value: &str) -> HeaderValue {
    if !value.contains("=?") {
        return HeaderValue::new(name(header), value.to_owned());
    }
    // 45 octets become 60 letters, with what stands around them less than the 75 of RFC 2047 section 2.
    let mut words: Vec<String> = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let mut end = rest.len().min(45);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (word, more) = rest.split_at(end);
        words.push(format!("=?utf-8?b?{}?=", STANDARD.encode(word)));
        rest = more;
    }
    HeaderValue::dangerous_new_pre_encoded(name(header), value.to_owned(), words.join("\r\n "))
}
