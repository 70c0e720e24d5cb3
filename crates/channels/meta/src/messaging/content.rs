//! What a message says.

use serde_json::{Map, Value, json};
use transom_domain::{Attachment, Body, Location, MediaKind, MediaSource};

use super::happening::{short, word};

/// Words and files, and what else it carries: a tapped answer as it is, or as JSON the link, story or share behind it.
///
/// What can't be shown is named, so that nobody thinks there was nothing.
pub(super) fn said(id: &str, message: &Value) -> (Body, Option<String>) {
    let text = word(message, "text").unwrap_or_default().to_owned();
    let attached = message.get("attachments").map(listed).unwrap_or_default();
    let mut files = Vec::new();
    let mut others = Vec::new();
    for (place, attachment) in attached.iter().enumerate() {
        match file(id, place, attachment) {
            Some(file) => files.push(file),
            None => others.push(*attachment),
        }
    }
    let payload = payload(message, &others);
    let body = match (text.is_empty() && files.is_empty(), others.first()) {
        (true, Some(only)) => alone(only),
        (true, None) => Body::Unsupported { what: "a message without words and files".to_owned() },
        (false, _) => Body::Text { text, attachments: files },
    };
    (body, payload)
}

/// A list, or what stands in the place of one.
fn listed(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

fn kind_of(attachment: &Value) -> &str {
    word(attachment, "type").unwrap_or("an attachment without a type")
}

/// A file that can be fetched; the webhook says neither size nor type (messenger.md 6).
fn file(id: &str, place: usize, attachment: &Value) -> Option<Attachment> {
    let payload = attachment.get("payload")?;
    let url = word(payload, "url")?;
    let kind = match kind_of(attachment) {
        // Until 2026-08-30 stickers came as pictures.
        "image" if payload.get("sticker_id").is_some_and(|id| !id.is_null()) => MediaKind::Sticker,
        "sticker" => MediaKind::Sticker,
        "image" => MediaKind::Image,
        "video" | "reel" | "ig_reel" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        // A post or a story is a picture or a film: which, its bytes will say.
        "file" | "share" | "media" | "post" | "ig_post" | "story" | "ig_story" | "story_mention" => MediaKind::Document,
        _ => return None,
    };
    let source = MediaSource::Platform { id: format!("{id}/{place}"), url: Some(url.to_owned()), sha256: None };
    Some(Attachment { kind, source, mime: None, file_name: None, size: None })
}

/// What stands in the place of words and files.
fn alone(attachment: &Value) -> Body {
    let payload = attachment.get("payload").unwrap_or(&Value::Null);
    let number = |name: &str| payload.get("coordinates")?.get(name)?.as_f64();
    if let (Some(latitude), Some(longitude)) = (number("lat"), number("long")) {
        let name = word(attachment, "title").map(str::to_owned);
        return Body::Location(Location { latitude, longitude, name, address: None });
    }
    let said = |name: &str| word(payload, name).or_else(|| word(attachment, name));
    match kind_of(attachment) {
        // A shared link, or a template of the business in an echo.
        "fallback" | "template" => {
            let words: Vec<&str> = [said("title"), said("text"), said("url")].into_iter().flatten().collect();
            if words.is_empty() {
                return Body::Unsupported { what: kind_of(attachment).to_owned() };
            }
            Body::Text { text: words.join("\n"), attachments: Vec::new() }
        }
        other => Body::Unsupported { what: short(other) },
    }
}

/// What a tap carries; else what led to the message and what was shared with it.
fn payload(message: &Value, others: &[&Value]) -> Option<String> {
    if let Some(tapped) = message.get("quick_reply").and_then(|reply| word(reply, "payload")) {
        return Some(tapped.to_owned());
    }
    let object = |value: Option<&Value>| value.filter(|value| value.is_object()).cloned();
    let mut behind = Map::new();
    if let Some(referral) = object(message.get("referral")) {
        behind.insert("referral".to_owned(), referral);
    }
    if let Some(story) = object(message.get("reply_to").and_then(|quoted| quoted.get("story"))) {
        behind.insert("story".to_owned(), story);
    }
    if !others.is_empty() {
        behind.insert("shared".to_owned(), json!(others));
    }
    (!behind.is_empty()).then(|| Value::Object(behind).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(json!({"text": "hi"}), Body::Text { text: "hi".into(), attachments: vec![] })]
    #[case(json!({"attachments": [{"type": "fallback", "payload": {"url": "https://a.example", "title": "A"}}]}),
        Body::Text { text: "A\nhttps://a.example".into(), attachments: vec![] })]
    #[case(json!({"attachments": [{"type": "fallback"}]}), Body::Unsupported { what: "fallback".into() })]
    #[case(json!({"attachments": [{"type": "location", "title": "Home", "payload": {"coordinates": {"lat": 1.25, "long": -2.5}}}]}),
        Body::Location(Location { latitude: 1.25, longitude: -2.5, name: Some("Home".into()), address: None }))]
    #[case(json!({"attachments": [{"type": "like_heart"}]}), Body::Unsupported { what: "like_heart".into() })]
    #[case(json!({}), Body::Unsupported { what: "a message without words and files".into() })]
    fn every_message_says_something(#[case] message: Value, #[case] expected: Body) {
        assert_eq!(said("m_1", &message).0, expected);
    }

    #[rstest]
    #[case(json!({"type": "image", "payload": {"url": "https://a.example"}}), MediaKind::Image)]
    #[case(json!({"type": "image", "payload": {"url": "https://a.example", "sticker_id": 369}}), MediaKind::Sticker)]
    #[case(json!({"type": "sticker", "payload": {"url": "https://a.example", "sticker_id": 369}}), MediaKind::Sticker)]
    #[case(json!({"type": "ig_reel", "payload": {"url": "https://a.example"}}), MediaKind::Video)]
    #[case(json!({"type": "story_mention", "payload": {"url": "https://a.example"}}), MediaKind::Document)]
    fn files_keep_their_address(#[case] attachment: Value, #[case] kind: MediaKind) {
        let (body, payload) = said("m_1", &json!({"attachments": [attachment]}));
        let Body::Text { attachments, .. } = body else { panic!("{body:?}") };
        assert_eq!((attachments[0].kind, payload), (kind, None));
        let MediaSource::Platform { id, url, .. } = &attachments[0].source else { panic!() };
        assert_eq!((id.as_str(), url.as_deref()), ("m_1/0", Some("https://a.example")));
    }

    #[test]
    fn what_led_here_is_kept() {
        let message = json!({"text": "nice!", "reply_to": {"story": {"url": "https://a.example", "id": "18"}}});
        assert_eq!(said("m_1", &message).1.unwrap(), r#"{"story":{"id":"18","url":"https://a.example"}}"#);
        let tapped = json!({"text": "Late parcel", "quick_reply": {"payload": "LATE"}, "referral": {"ref": "x"}});
        assert_eq!(said("m_1", &tapped).1.as_deref(), Some("LATE"));
    }
}
