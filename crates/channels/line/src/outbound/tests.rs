use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::{Value, json};
use transom_domain::{AttachmentId, Choice, ContactCard, CountingIds, Reaction};

use super::*;
use crate::capabilities::capabilities;

fn known() -> Capabilities {
    capabilities(true)
}

fn at(url: &str, kind: MediaKind) -> Attachment {
    Attachment { kind, source: MediaSource::Url { url: url.to_owned() }, mime: None, file_name: None, size: None }
}

fn platform(id: &str, kind: MediaKind) -> Attachment {
    let source = MediaSource::Platform { id: id.to_owned(), url: None, sha256: None };
    Attachment { source, ..at("", kind) }
}

fn content(body: Body) -> Content {
    Content { body, reply_to: None }
}

fn with_files(text: &str, attachments: Vec<Attachment>) -> Content {
    content(Body::Text { text: text.to_owned(), attachments })
}

fn choice(id: &str, title: &str, url: Option<&str>) -> Choice {
    Choice { id: id.to_owned(), title: title.to_owned(), description: None, url: url.map(str::to_owned) }
}

fn buttons(buttons: Vec<Choice>) -> Choices {
    Choices { text: "Solved?".to_owned(), header: None, footer: None, buttons, list: None }
}

/// What is sent of a message that fits one request.
fn sent(content: &Content) -> Value {
    let planned = plan(content, &known()).unwrap();
    let [part] = planned.as_slice() else { panic!("{planned:?}") };
    let preview = Some("https://cdn.example.com/still.jpg");
    serde_json::to_value(messages(&part.content, &BTreeMap::new(), preview, None).unwrap()).unwrap()
}

fn refused(content: &Content) -> &'static str {
    plan(content, &known()).unwrap_err().code()
}

/// The shapes of line.md 2.1.
#[test]
fn messages_have_the_shapes_of_the_reference() {
    assert_eq!(sent(&Content::text("Hi")), json!([{"type": "text", "text": "Hi"}]));
    let files = vec![
        at("https://cdn.example.com/a.jpg", MediaKind::Image),
        at("https://cdn.example.com/v.mp4", MediaKind::Video),
        at("https://cdn.example.com/s.m4a", MediaKind::Audio),
        platform("446/1988", MediaKind::Sticker),
    ];
    assert_eq!(
        sent(&with_files("", files)),
        json!([
            {"type": "image", "originalContentUrl": "https://cdn.example.com/a.jpg", "previewImageUrl": "https://cdn.example.com/a.jpg"},
            {"type": "video", "originalContentUrl": "https://cdn.example.com/v.mp4", "previewImageUrl": "https://cdn.example.com/still.jpg"},
            {"type": "audio", "originalContentUrl": "https://cdn.example.com/s.m4a", "duration": 60_000},
            {"type": "sticker", "packageId": "446", "stickerId": "1988"},
        ])
    );
    let place = Location {
        latitude: 35.67,
        longitude: 139.73,
        name: Some("Shop".into()),
        address: Some("1-3 Example St".into()),
    };
    assert_eq!(
        sent(&content(Body::Location(place.clone()))),
        json!([{"type": "location", "title": "Shop", "address": "1-3 Example St", "latitude": 35.67, "longitude": 139.73}])
    );
    let bare = sent(&content(Body::Location(Location { name: None, address: None, ..place })));
    assert_eq!(
        (&bare[0]["title"], &bare[0]["address"]),
        (&json!("35.67000, 139.73000"), &json!("35.67000, 139.73000"))
    );
}

#[test]
fn answers_are_quick_replies_and_addresses_a_template() {
    let answers = buttons(vec![choice("s=1", "Yes", None), choice("s=0", "No", None)]);
    let answers = Choices { header: Some("Order 4711".into()), footer: Some("Thanks".into()), ..answers };
    assert_eq!(
        sent(&content(Body::Choices(answers))),
        json!([{"type": "text", "text": "Order 4711\n\nSolved?\n\nThanks", "quickReply": {"items": [
            {"type": "action", "action": {"type": "postback", "label": "Yes", "data": "s=1", "displayText": "Yes"}},
            {"type": "action", "action": {"type": "postback", "label": "No", "data": "s=0", "displayText": "No"}},
        ]}}])
    );
    let links = buttons(vec![choice("", "Track", Some("https://example.com/t")), choice("s=0", "Not yet", None)]);
    assert_eq!(
        sent(&content(Body::Choices(links))),
        json!([{"type": "template", "altText": "Solved?", "template": {"type": "buttons", "text": "Solved?", "actions": [
            {"type": "uri", "label": "Track", "uri": "https://example.com/t"},
            {"type": "postback", "label": "Not yet", "data": "s=0", "displayText": "Not yet"},
        ]}}])
    );
}

#[test]
fn the_agents_name_stands_in_the_place_of_the_accounts() {
    let content = Content::text("Hi");
    let sent = messages(&content, &BTreeMap::new(), None, Some("Maria-Magdalena of the Shop")).unwrap();
    assert_eq!(serde_json::to_value(sent).unwrap()[0]["sender"], json!({"name": "Maria-Magdalena of t"}));
}

#[rstest]
#[case(0, "", 0)]
#[case(1, "words", 0)]
#[case(1, "words", 4)]
#[case(2, "words", 5)]
#[case(1, "", 5)]
#[case(2, " \n", 6)]
#[case(3, "words", 10)]
fn five_messages_go_into_a_request(#[case] parts: usize, #[case] text: &str, #[case] files: usize) {
    let files = (0..files).map(|n| at(&format!("https://cdn.example.com/{n}.jpg"), MediaKind::Image)).collect();
    let planned = plan(&with_files(text, files), &known());
    assert_eq!(planned.map(|planned| planned.len()).unwrap_or_default(), parts);
}

#[test]
fn a_stored_file_goes_by_its_address() {
    let id = AttachmentId::new(&CountingIds::new(1));
    let file = Attachment { source: MediaSource::Stored { id }, ..at("", MediaKind::Image) };
    let content = with_files("", vec![file]);
    assert_eq!(needed_files(&content), [(MediaKind::Image, id)]);
    assert_eq!(messages(&content, &BTreeMap::new(), None, None), None);
    let addresses = [(id, "https://files.example/1".to_owned())].into();
    let sent = serde_json::to_value(messages(&content, &addresses, None, None).unwrap()).unwrap();
    assert_eq!(sent[0]["originalContentUrl"], "https://files.example/1");
}

#[rstest]
#[case(Content { reply_to: Some("1".into()), ..Content::text("quoting") }, "not_supported_by_channel")]
#[case(Content::text("x".repeat(5_001)), "text_too_long")]
#[case(Content::text("😀".repeat(2_501)), "text_too_long")]
#[case(Content::text("\n "), "message_empty")]
#[case(with_files("", vec![at("http://cdn.example.com/a.jpg", MediaKind::Image)]), "content_malformed")]
#[case(with_files("", vec![at("https://cdn.example.com/a.pdf", MediaKind::Document)]), "not_supported_by_channel")]
#[case(with_files("", vec![platform("500000000000000001", MediaKind::Image)]), "not_supported_by_channel")]
#[case(with_files("", vec![platform("446", MediaKind::Sticker)]), "content_malformed")]
#[case(with_files("", vec![at("https://cdn.example.com/s.webp", MediaKind::Sticker)]), "not_supported_by_channel")]
#[case(content(Body::Contacts { contacts: vec![ContactCard { name: "A".into(), phones: vec![], emails: vec![] }] }), "not_supported_by_channel")]
#[case(content(Body::Reaction(Reaction { to: "1".into(), emoji: None })), "not_supported_by_channel")]
#[case(content(Body::Choices(buttons(vec![]))), "content_malformed")]
#[case(content(Body::Choices(buttons(vec![choice("", "Yes", None)]))), "content_malformed")]
#[case(content(Body::Choices(buttons(vec![choice("a", "A", Some("javascript:alert(1)"))]))), "content_malformed")]
#[case(content(Body::Choices(buttons(vec![choice("a", "a label that is too long", None)]))), "text_too_long")]
#[case(content(Body::Choices(buttons((0..5).map(|_| choice("", "A", Some("https://example.com"))).collect()))), "too_many")]
#[case(content(Body::Location(Location { latitude: 91.0, longitude: 0.0, name: None, address: None })), "content_malformed")]
#[case(content(Body::Location(Location { latitude: 0.0, longitude: 0.0, name: Some("n".repeat(101)), address: None })), "text_too_long")]
fn what_does_not_fit_is_refused(#[case] content: Content, #[case] code: &str) {
    assert_eq!(refused(&content), code);
}

#[test]
fn films_need_a_still_picture() {
    let film = with_files("", vec![at("https://cdn.example.com/v.mp4", MediaKind::Video)]);
    assert!(plan(&film, &capabilities(true)).is_ok());
    let refused = plan(&film, &capabilities(false)).unwrap_err();
    assert!(refused.to_string().contains("video_preview_url"), "{refused}");
}
