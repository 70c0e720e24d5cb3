//! A letter that the business handed in, as its server reads it.

use mail_parser::{Address, Message, MessageParser, MimeHeaders as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::reply::SmtpError;

/// The longest line without its end (RFC 5322 section 2.1.1).
const LONGEST_LINE: usize = 998;

/// A file of a letter.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) name: Option<String>,
    pub(super) mime: String,
    pub(super) bytes: Vec<u8>,
}

/// What a letter says.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) id: String,
    pub(super) subject: String,
    /// As readers see them: `Name <address>`.
    pub(super) from: Vec<(Option<String>, String)>,
    pub(super) to: Vec<(Option<String>, String)>,
    pub(super) cc: Vec<(Option<String>, String)>,
    pub(super) reply_to: Vec<(Option<String>, String)>,
    pub(super) in_reply_to: Vec<String>,
    pub(super) references: Vec<String>,
    pub(super) text: String,
    pub(super) html: Option<String>,
    pub(super) files: Vec<File>,
    /// All fields of the header, unfolded and otherwise as they came.
    pub(super) fields: Vec<(String, String)>,
    /// The header, as it came.
    pub(super) head: String,
}

impl Outgoing {
    /// Reads a letter as strictly as servers do that guard their name.
    pub(super) fn read(bytes: &[u8], eight_bit: bool) -> Result<Self, SmtpError> {
        let bad = |words: &str| SmtpError::of(554, "5.6.0", words);
        for line in bytes.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.contains(&b'\r') || line.contains(&0) {
                return Err(bad("bare carriage returns and NUL are not allowed"));
            }
            if line.len() > LONGEST_LINE {
                return Err(bad("a line is longer than 998 octets"));
            }
        }
        if !eight_bit && !bytes.is_ascii() {
            return Err(SmtpError::of(554, "5.6.3", "eight-bit content was not announced"));
        }
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 2);
        let head = bytes.get(..end).unwrap_or_default();
        if !head.is_ascii() {
            return Err(SmtpError::of(554, "5.6.7", "the header holds more than ASCII"));
        }
        let head = String::from_utf8_lossy(head).into_owned();
        let fields = unfolded(&head);
        let count = |name: &str| fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count();
        for (name, least) in [("From", 1), ("Date", 1), ("Message-ID", 1), ("Subject", 0), ("To", 0), ("Cc", 0)] {
            if !(least..=1).contains(&count(name)) {
                return Err(bad(&format!("{name} is expected once")));
            }
        }
        let message = MessageParser::default().parse(bytes).ok_or_else(|| bad("this is no message"))?;
        let field = |name: &str| {
            fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        Ok(Self {
            id: ids(field("Message-ID").unwrap_or_default()).pop().ok_or_else(|| bad("Message-ID is malformed"))?,
            subject: message.subject().unwrap_or_default().to_owned(),
            from: people(message.from()),
            to: people(message.to()),
            cc: people(message.cc()),
            reply_to: people(message.reply_to()),
            in_reply_to: ids(field("In-Reply-To").unwrap_or_default()),
            references: ids(field("References").unwrap_or_default()),
            text: message.body_text(0).map(|text| text.replace("\r\n", "\n").trim_end().to_owned()).unwrap_or_default(),
            html: html(&message),
            files: message.attachments().map(file).collect(),
            fields,
            head,
        })
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The ids of all mails that this one answers.
    pub(super) fn answers(&self) -> impl Iterator<Item = &String> {
        self.in_reply_to.iter().chain(&self.references)
    }

    /// The `mailto:` address of List-Unsubscribe (RFC 2369).
    pub(super) fn unsubscribe(&self) -> Option<String> {
        let listed = self.field("List-Unsubscribe")?;
        let address = listed.split(['<', '>']).find_map(|piece| piece.trim().strip_prefix("mailto:"))?;
        Some(address.split('?').next().unwrap_or_default().to_owned())
    }

    /// For the ledger.
    pub(super) fn view(&self, envelope: Value) -> Value {
        let shown = |people: &[(Option<String>, String)]| people.iter().map(shown).collect::<Vec<_>>();
        let files = self.files.iter().map(|file| {
            json!({"name": file.name, "type": file.mime, "size": file.bytes.len(), "sha256": hex::encode(Sha256::digest(&file.bytes))})
        });
        json!({
            "message_id": self.id, "subject": self.subject, "text": self.text, "html": self.html,
            "from": shown(&self.from), "to": shown(&self.to), "cc": shown(&self.cc), "reply_to": shown(&self.reply_to),
            "in_reply_to": self.in_reply_to, "references": self.references, "files": files.collect::<Vec<_>>(),
            "headers": self.fields, "envelope": envelope,
        })
    }
}

/// `Ann <ann@example.test>`, or the address alone.
pub(super) fn shown((name, address): &(Option<String>, String)) -> String {
    match name {
        Some(name) => format!("{name} <{address}>"),
        None => address.clone(),
    }
}

fn people(addresses: Option<&Address<'_>>) -> Vec<(Option<String>, String)> {
    let all = addresses.into_iter().flat_map(Address::iter);
    all.filter_map(|one| Some((one.name().map(str::to_owned), one.address()?.to_owned()))).collect()
}

fn html(message: &Message<'_>) -> Option<String> {
    let part = message.html_part(0).filter(|part| part.is_text_html())?;
    part.text_contents().map(str::to_owned)
}

fn file(part: &mail_parser::MessagePart<'_>) -> File {
    let mime = part.content_type().map(|found| match found.subtype() {
        Some(subtype) => format!("{}/{subtype}", found.ctype()),
        None => found.ctype().to_owned(),
    });
    File {
        name: part.attachment_name().map(str::to_owned),
        mime: mime.unwrap_or_else(|| "application/octet-stream".to_owned()),
        bytes: part.contents().to_vec(),
    }
}

/// `<a@b> <c@d>`, each with its brackets.
fn ids(text: &str) -> Vec<String> {
    let pieces = text.split('<').skip(1).filter_map(|piece| piece.split_once('>'));
    pieces.map(|(id, _)| format!("<{}>", id.trim())).filter(|id| id.contains('@')).collect()
}

/// Name and value of each field (RFC 5322 section 2.2.3).
fn unfolded(head: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        match (line.starts_with([' ', '\t']), fields.last_mut()) {
            (true, Some((_, value))) => value.push_str(line),
            _ => {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                fields.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "From: Shop <support@shop.test>\r\nTo: ann@example.test\r\nSubject: =?utf-8?B?w4RwZmVs?=\r\n\
        Date: Thu, 9 Oct 2025 08:53:20 +0000\r\nMessage-ID: <m1@shop.test>\r\nReferences: <a@x.test>\r\n <b@x.test>\r\n";

    fn read(head: &str, body: &str) -> Result<Outgoing, SmtpError> {
        Outgoing::read(format!("{head}\r\n{body}\r\n").as_bytes(), false)
    }

    #[test]
    fn a_letter_is_read() {
        let letter = read(HEAD, "Hello").unwrap();
        assert_eq!((letter.subject.as_str(), letter.text.as_str()), ("Äpfel", "Hello"));
        assert_eq!(letter.references, ["<a@x.test>", "<b@x.test>"]);
        assert_eq!(letter.from.iter().map(shown).collect::<Vec<_>>(), ["Shop <support@shop.test>"]);
        assert!(letter.files.is_empty() && letter.html.is_none());
    }

    #[test]
    fn what_guarded_servers_refuse() {
        let twice = format!("{HEAD}From: eve@x.test\r\n");
        let without = HEAD.replace("Message-ID", "X-Id");
        for head in [twice.as_str(), &without] {
            assert!(read(head, "Hello").is_err(), "{head}");
        }
        assert!(read(HEAD, &"a".repeat(999)).is_err());
        assert!(read(HEAD, "a\rb").is_err());
        assert!(read(HEAD, "Äpfel").is_err(), "eight bits have to be announced");
        assert!(Outgoing::read(format!("{HEAD}\r\nÄpfel\r\n").as_bytes(), true).is_ok());
    }
}
