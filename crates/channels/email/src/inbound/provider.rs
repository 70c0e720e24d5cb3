//! What providers post: Mailgun's forms and Postmark's JSON (sheet 4, inbound-parse webhooks).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value as Json;
use transom_channel::{MediaBytes, ParseError, json};

use super::files;
use super::form::{Field, Value};
use super::mime::Letter;
use crate::address::canonical;

/// What a call brought.
#[derive(Debug)]
pub(crate) enum Brought {
    /// A mail; its source, where it came along or can be written again.
    Mail(Box<Letter>, Bytes),
    /// Something else, in the provider's word.
    Other(String),
}

/// A form of Mailgun's.
pub(crate) fn mailgun(fields: &[Field<'_>]) -> Result<Brought, ParseError> {
    let text = |name: &str| {
        fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).and_then(|field| match &field.value {
            Value::Text(text) => Some(text.as_str()),
            Value::File { .. } => None,
        })
    };
    let raw = fields.iter().find(|field| field.name == "body-mime").map(|field| match &field.value {
        Value::Text(text) => text.as_bytes(),
        Value::File { bytes, .. } => bytes,
    });
    let delivered_to: Vec<String> =
        text("recipient").into_iter().flat_map(|list| list.split(',')).filter_map(canonical).collect();
    if let Some(raw) = raw {
        let letter = Letter { delivered_to, ..Letter::read(raw)? };
        return Ok(Brought::Mail(Box::new(letter), Bytes::copy_from_slice(raw)));
    }
    if text("from").or_else(|| text("sender")).is_none() {
        return Ok(Brought::Other(text("event").unwrap_or("a form that is no mail").to_owned()));
    }
    let listed: Vec<(String, String)> =
        text("message-headers").and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
    let named = ["From", "To", "Cc", "Subject", "Date", "Message-Id", "In-Reply-To", "References"];
    let missing = named.iter().filter(|name| !listed.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)));
    let missing = missing.filter_map(|name| Some(((*name).to_owned(), text(name)?.to_owned())));
    let headers: Vec<(String, String)> = listed.iter().cloned().chain(missing).collect();
    let mut letter = Letter::of_headers(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    letter.from = letter.from.or_else(|| sole(text("sender")?));
    letter.delivered_to = delivered_to;
    letter.text = text("body-plain").map(lines);
    letter.html = text("body-html").map(lines).filter(|html| !html.trim().is_empty());
    letter.files = fields.iter().filter(|field| field.name.starts_with("attachment")).filter_map(attached).collect();
    Ok(with_source(letter))
}

fn attached(field: &Field<'_>) -> Option<MediaBytes> {
    let Value::File { name, mime, bytes } = &field.value else { return None };
    Some(file(Bytes::copy_from_slice(bytes), mime.as_deref(), Some(name)))
}

/// A document of Postmark's.
pub(crate) fn postmark(body: &[u8]) -> Result<Brought, ParseError> {
    let call: Json = json::read(body)?;
    let text = |name: &str| call.get(name).and_then(Json::as_str);
    if !call.is_object() {
        return Err(ParseError::new("not a call of Postmark's"));
    }
    let from = call.get("FromFull").and_then(|from| from.get("Email")).and_then(Json::as_str).or_else(|| text("From"));
    let delivered_to: Vec<String> = text("OriginalRecipient").and_then(canonical).into_iter().collect();
    if let Some(raw) = text("RawEmail").filter(|raw| !raw.is_empty()) {
        let letter = Letter { delivered_to, ..Letter::read(raw.as_bytes())? };
        return Ok(Brought::Mail(Box::new(letter), Bytes::copy_from_slice(raw.as_bytes())));
    }
    let Some(from) = from.filter(|_| text("MessageID").is_some()) else {
        return Ok(Brought::Other(text("RecordType").unwrap_or("a call that is no mail").chars().take(100).collect()));
    };
    let listed = call.get("Headers").and_then(Json::as_array).into_iter().flatten();
    let listed = listed.filter_map(|one| Some((one.get("Name")?.as_str()?, one.get("Value")?.as_str()?)));
    let mut headers: Vec<(String, String)> = listed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let has =
        |headers: &[(String, String)], name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    for name in ["From", "To", "Cc", "Subject", "Date"] {
        if let Some(value) = text(name).filter(|value| !value.is_empty() && !has(&headers, name)) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let listed = |name: &str| {
        let people = call.get(name).and_then(Json::as_array).into_iter().flatten();
        let all = people.filter_map(|one| one.get("Email").and_then(Json::as_str).and_then(canonical));
        all.collect::<Vec<String>>()
    };
    // Postmark's own id: better than none.
    if let Some(id) = text("MessageID").filter(|_| !has(&headers, "Message-ID")) {
        headers.push(("Message-ID".to_owned(), format!("<{id}@inbound.postmarkapp.com>")));
    }
    let mut letter = Letter::of_headers(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let name = call.get("FromFull").and_then(|from| from.get("Name")).and_then(Json::as_str);
    letter.from = letter.from.or_else(|| sole(from)).map(|from| match &from.name {
        Some(_) => from,
        None => {
            super::mime::Correspondent { name: name.map(crate::outbound::one_line).filter(|n| !n.is_empty()), ..from }
        }
    });
    // Read by Postmark itself, so that no name with a comma in it makes two readers.
    for (readers, name) in [(&mut letter.to, "ToFull"), (&mut letter.cc, "CcFull")] {
        let told = listed(name);
        if !told.is_empty() {
            *readers = told;
        }
    }
    letter.delivered_to = delivered_to.into_iter().chain(listed("BccFull")).collect();
    letter.text = text("TextBody").map(lines);
    letter.html = text("HtmlBody").map(lines).filter(|html| !html.trim().is_empty());
    let attachments = call.get("Attachments").and_then(Json::as_array).into_iter().flatten().take(200);
    letter.files = attachments
        .filter_map(|one| {
            let field = |name: &str| one.get(name).and_then(Json::as_str);
            let content: String = field("Content")?.split_whitespace().collect();
            Some(file(STANDARD.decode(content).ok()?.into(), field("ContentType"), field("Name")))
        })
        .collect();
    Ok(with_source(letter))
}

fn sole(address: &str) -> Option<super::mime::Correspondent> {
    let letter = Letter::of_headers([("From", address)]);
    letter.from
}

fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "")
}

fn file(bytes: Bytes, mime: Option<&str>, name: Option<&str>) -> MediaBytes {
    let mime = files::mime_of(&bytes, mime, name);
    MediaBytes { file_name: Some(files::name_of(name, &mime)), bytes, mime }
}

/// A source for a mail that came taken apart: its headers and all of its words.
fn with_source(letter: Letter) -> Brought {
    let told = |name: &str| !name.starts_with("content-") && name != "mime-version";
    let headers = letter.headers.iter().filter(|(name, _)| told(name));
    let mut source: String = headers.flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let (kind, words) = match (&letter.html, &letter.text) {
        (Some(html), _) => ("text/html", html.as_str()),
        (None, text) => ("text/plain", text.as_deref().unwrap_or_default()),
    };
    source.extend(["mime-version: 1.0\r\ncontent-type: ", kind, "; charset=utf-8\r\n"]);
    source.push_str("content-transfer-encoding: 8bit\r\n\r\n");
    source.push_str(&words.replace('\n', "\r\n"));
    Brought::Mail(Box::new(letter), Bytes::from(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_those_that_postmark_read() {
        let call = serde_json::json!({
            "MessageID": "a1", "From": "ann@example.test", "TextBody": "hi",
            "To": "\"Lee, Ann\" <help@shop.test>, bob@example.test", "Cc": "x",
            "ToFull": [{"Email": "Help@shop.test", "Name": "Lee, Ann"}, {"Email": "bob@example.test"}],
            "CcFull": [{"Email": "carl@example.test"}, {"Email": "no address"}],
        });
        let Brought::Mail(letter, _) = postmark(call.to_string().as_bytes()).unwrap() else { panic!("no mail") };
        assert_eq!(letter.to, ["Help@shop.test", "bob@example.test"]);
        assert_eq!(letter.cc, ["carl@example.test"]);
    }
}
