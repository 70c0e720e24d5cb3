//! Letters that customers and their servers write (RFC 5322, 2045): built plainly, so that any reader can follow.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// A file.
#[derive(Debug, Clone)]
pub(super) struct Enclosed {
    pub(super) name: String,
    pub(super) mime: String,
    pub(super) bytes: Vec<u8>,
}

/// What a letter holds.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Words, perhaps also as HTML, and files.
    Words { text: String, html: Option<String>, files: Vec<Enclosed> },
    /// A report (RFC 6522): its kind, the words for people, the part for machines, and the header of the letter it is about.
    Report { kind: &'static str, words: String, machine: (&'static str, String), about: String },
}

/// A letter on its way to the business.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) id: String,
    pub(super) at: OffsetDateTime,
    /// Name and address.
    pub(super) from: (String, String),
    /// Empty for reports and automatic answers.
    pub(super) envelope_from: String,
    pub(super) to: Vec<String>,
    pub(super) cc: Vec<String>,
    /// Which of our addresses it was delivered to.
    pub(super) recipient: String,
    pub(super) subject: String,
    pub(super) answers: Option<String>,
    pub(super) references: Vec<String>,
    /// Further fields.
    pub(super) fields: Vec<(String, String)>,
    pub(super) content: Content,
}

impl Draft {
    /// The fields that a webhook lists, in order.
    pub(super) fn fields(&self) -> Vec<(String, String)> {
        let field = |name: &str, value: String| (name.to_owned(), value);
        let mut fields = vec![
            field("Return-Path", format!("<{}>", self.envelope_from)),
            field("Delivered-To", self.recipient.clone()),
            field("Date", self.at.format(&Rfc2822).unwrap_or_default()),
            field("From", format!("{} <{}>", encoded(&self.from.0), self.from.1)),
            field("To", self.to.join(", ")),
        ];
        if !self.cc.is_empty() {
            fields.push(field("Cc", self.cc.join(", ")));
        }
        fields.extend([field("Subject", encoded(&self.subject)), field("Message-ID", self.id.clone())]);
        fields.extend(self.answers.clone().map(|id| field("In-Reply-To", id)));
        if !self.references.is_empty() {
            fields.push(field("References", self.references.join("\r\n ")));
        }
        fields.extend(self.fields.iter().cloned());
        fields.push(field("MIME-Version", "1.0".to_owned()));
        fields
    }

    /// The whole letter.
    pub(super) fn raw(&self) -> String {
        let head: Vec<String> = self.fields().iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        head.concat() + &self.body()
    }

    fn body(&self) -> String {
        match &self.content {
            Content::Words { text, html, files } => {
                let words = match html {
                    None => part("text/plain; charset=utf-8", text.as_bytes(), None),
                    Some(html) => {
                        let (plain, rich) = (
                            part("text/plain; charset=utf-8", text.as_bytes(), None),
                            part("text/html; charset=utf-8", html.as_bytes(), None),
                        );
                        multipart("multipart/alternative", "words", &[plain, rich])
                    }
                };
                if files.is_empty() {
                    return words;
                }
                let files = files.iter().map(|file| part(&file.mime, &file.bytes, Some(&file.name)));
                let parts: Vec<String> = [words].into_iter().chain(files).collect();
                multipart("multipart/mixed", "parts", &parts)
            }
            Content::Report { kind, words, machine, about } => {
                let plain = |mime: &str, text: &str| format!("Content-Type: {mime}\r\n\r\n{text}\r\n");
                let parts = [
                    plain("text/plain; charset=us-ascii", words),
                    plain(machine.0, &machine.1),
                    plain("text/rfc822-headers", about),
                ];
                multipart(&format!("multipart/report; report-type={kind}"), "report", &parts)
            }
        }
    }
}

/// One part in base 64, 76 columns wide.
fn part(mime: &str, bytes: &[u8], file: Option<&str>) -> String {
    let encoded = BASE64.encode(bytes);
    let lines: Vec<String> =
        encoded.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let disposition = file
        .map(|name| format!("Content-Disposition: attachment; filename*=utf-8''{}\r\n", percent(name)))
        .unwrap_or_default();
    format!("Content-Type: {mime}\r\n{disposition}Content-Transfer-Encoding: base64\r\n\r\n{}\r\n", lines.join("\r\n"))
}

fn multipart(mime: &str, boundary: &str, parts: &[String]) -> String {
    let mark = format!("=_{boundary}_of_the_sandbox");
    let all: Vec<String> = parts.iter().map(|part| format!("--{mark}\r\n{part}\r\n")).collect();
    format!("Content-Type: {mime}; boundary=\"{mark}\"\r\n\r\n{}--{mark}--\r\n", all.concat())
}

/// As RFC 2231 has it.
fn percent(name: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    name.bytes().map(|byte| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Text for a header: as it is if every reader can read it, else in encoded words (RFC 2047).
pub(super) fn encoded(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.is_ascii() && !clean.contains(['<', '>', ',', '"', ':', ';', '(', ')', '@']) {
        return clean;
    }
    let mut words = vec![String::new()];
    for letter in clean.chars() {
        match words.last_mut() {
            Some(word) if word.len() + letter.len_utf8() <= 39 => word.push(letter),
            _ => words.push(letter.to_string()),
        }
    }
    words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64.encode(word))).collect::<Vec<_>>().join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_parser::MessageParser;
    use time::macros::datetime;

    #[test]
    fn a_letter_reads_as_it_was_meant() {
        let draft = Draft {
            id: "<m1@example.test>".to_owned(),
            at: datetime!(2026-03-01 09:00 UTC),
            from: ("Ännchen, Köln".to_owned(), "ann@example.test".to_owned()),
            envelope_from: "ann@example.test".to_owned(),
            to: vec!["support@shop.test".to_owned()],
            cc: vec!["bob@example.test".to_owned()],
            recipient: "support@shop.test".to_owned(),
            subject: "Wo ist mein Päckchen? ".repeat(5).trim().to_owned(),
            answers: None,
            references: vec!["<a@x.test>".to_owned(), "<b@x.test>".to_owned()],
            fields: Vec::new(),
            content: Content::Words {
                text: "Grüße\nAnn".to_owned(),
                html: Some("<p>Grüße</p>".to_owned()),
                files: vec![Enclosed {
                    name: "naïve.pdf".to_owned(),
                    mime: "application/pdf".to_owned(),
                    bytes: b"%PDF".to_vec(),
                }],
            },
        };
        let raw = draft.raw();
        let read = MessageParser::default().parse(raw.as_bytes()).unwrap();
        assert_eq!(read.subject(), Some("Wo ist mein Päckchen? ".repeat(5).trim()));
        assert_eq!(read.from().unwrap().first().unwrap().name(), Some("Ännchen, Köln"));
        assert_eq!(read.body_text(0).unwrap(), "Grüße\nAnn");
        assert_eq!(read.body_html(0).unwrap(), "<p>Grüße</p>");
        assert_eq!(read.attachment(0).map(|part| part.contents().to_vec()), Some(b"%PDF".to_vec()));
        assert!(raw.lines().all(|line| line.len() <= 76 || line.contains("filename")), "{raw}");
    }
}
