use super::*;
use rstest::rstest;
use serde_json::{Value, json};
use transom_domain::{AttachmentId, Choices, Reaction};

use crate::capabilities::capabilities;
use crate::wire::{Request, Sender};

fn text(words: &str, attachments: Vec<Attachment>) -> Content {
    Content { body: Body::Text { text: words.to_owned(), attachments }, reply_to: None }
}

fn at(url: &str, kind: MediaKind) -> Attachment {
    let source = MediaSource::Url { url: url.to_owned() };
    Attachment { kind, source, mime: None, file_name: None, size: Some(700) }
}

fn plan_of(content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
    plan(content, &capabilities())
}

fn refused(content: &Content) -> String {
    plan_of(content).unwrap_err().to_string()
}

/// The JSON of each request.
fn requests(content: &Content) -> Vec<Value> {
    let json = |part: PlannedPart| {
        let content = match draft(&part.content).unwrap() {
            Draft::Ready(content) => content,
            Draft::File { file, text } => {
                let MediaSource::Url { url } = &file.source else { panic!("{file:?}") };
                outgoing(&file, text, &url.parse().unwrap(), file.size.unwrap_or_default()).unwrap()
            }
        };
        let sender = Sender { name: "Acme Support", avatar: None };
        let request = Request { receiver: Some("uQ7vYdExample0001aA=="), min_api_version: 1, sender, content };
        serde_json::to_value(request).unwrap()
    };
    plan_of(content).unwrap().into_iter().map(json).collect()
}

fn sent(content: Value) -> Value {
    let mut request =
        json!({"receiver": "uQ7vYdExample0001aA==", "min_api_version": 1, "sender": {"name": "Acme Support"}});
    request.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    request
}

/// The shapes of the fact sheet (2.2).
#[test]
fn requests_look_as_documented() {
    assert_eq!(
        requests(&Content::text("Your parcel left the depot.")),
        [sent(json!({"type": "text", "text": "Your parcel left the depot."}))]
    );
    let picture = at("https://cdn.example.com/p/part.jpg", MediaKind::Image);
    assert_eq!(
        requests(&text("Photo of the part", vec![picture.clone()])),
        [sent(json!({"type": "picture", "text": "Photo of the part", "media": "https://cdn.example.com/p/part.jpg"}))]
    );
    assert_eq!(requests(&text("", vec![picture]))[0]["text"], "", "the words of a picture may be empty, not missing");
    assert_eq!(
        requests(&text("", vec![at("https://cdn.example.com/v/howto.mp4", MediaKind::Video)])),
        [sent(json!({"type": "video", "media": "https://cdn.example.com/v/howto.mp4", "size": 700}))]
    );
    assert_eq!(
        requests(&text("", vec![at("https://cdn.example.com/f/invoice-7.pdf", MediaKind::Document)])),
        [sent(json!({"type": "file", "media": "https://cdn.example.com/f/invoice-7.pdf", "size": 700,
            "file_name": "invoice-7.pdf"}))]
    );
    let card = ContactCard { name: "Depot".into(), phones: vec!["+4930000000".into()], emails: Vec::new() };
    let cards = Content { body: Body::Contacts { contacts: vec![card] }, reply_to: None };
    assert_eq!(
        requests(&cards),
        [sent(json!({"type": "contact", "contact": {"name": "Depot", "phone_number": "+4930000000"}}))]
    );
    let place =
        Location { latitude: 52.52, longitude: 13.40, name: Some("Depot".into()), address: Some("1 Way".into()) };
    assert_eq!(
        requests(&Content { body: Body::Location(place), reply_to: None }),
        [
            sent(json!({"type": "location", "location": {"lat": 52.52, "lon": 13.40}})),
            sent(json!({"type": "text", "text": "Depot\n1 Way"}))
        ]
    );
}

#[test]
fn words_go_with_a_picture_and_before_anything_else() {
    let kinds = |content: &Content| {
        requests(content).iter().map(|request| request["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let picture = || at("https://x.example/a.jpg", MediaKind::Image);
    let film = || at("https://x.example/a.mp4", MediaKind::Video);
    assert_eq!(kinds(&text("words", vec![picture(), film()])), ["picture", "video"]);
    assert_eq!(kinds(&text("words", vec![film(), picture()])), ["text", "video", "picture"]);
    assert_eq!(kinds(&text(&"x".repeat(769), vec![picture()])), ["text", "picture"]);
}

#[test]
fn each_number_is_a_card() {
    let card = ContactCard { name: "Depot".into(), phones: vec!["+1".into(), "+2".into()], emails: Vec::new() };
    let content = Content { body: Body::Contacts { contacts: vec![card.clone()] }, reply_to: None };
    assert_eq!(requests(&content).len(), 2);
    let with_mail = ContactCard { emails: vec!["a@b.example".into()], ..card };
    let content = Content { body: Body::Contacts { contacts: vec![with_mail] }, reply_to: None };
    assert!(refused(&content).contains("email"));
}

#[rstest]
#[case("http://x.example/a.jpg", MediaKind::Image, "https")]
#[case("https://x.example/a.webp", MediaKind::Image, ".jpeg")]
#[case("https://x.example/a", MediaKind::Image, ".jpeg")]
#[case("https://x.example/a.mov", MediaKind::Video, ".mp4")]
#[case("https://x.example/a", MediaKind::Document, "ending")]
#[case("https://x.example/setup.EXE", MediaKind::Document, "programs")]
#[case("https://x.example/go.ps1", MediaKind::Document, "programs")]
#[case("https://x.example/", MediaKind::Document, "name")]
#[case("https://x.example/a.jpg", MediaKind::Sticker, "sticker")]
fn addresses_that_viber_refuses_are_refused_before(#[case] url: &str, #[case] kind: MediaKind, #[case] why: &str) {
    let shown = refused(&text("", vec![at(url, kind)]));
    assert!(shown.contains(why), "{shown}");
}

#[test]
fn films_and_files_must_tell_their_size() {
    for (url, kind) in [("https://x.example/a.mp4", MediaKind::Video), ("https://x.example/a.pdf", MediaKind::Document)]
    {
        let unmeasured = Attachment { size: None, ..at(url, kind) };
        assert!(refused(&text("", vec![unmeasured])).contains("size"));
    }
    let picture = Attachment { size: None, ..at("https://x.example/a.jpg", MediaKind::Image) };
    assert!(plan_of(&text("", vec![picture])).is_ok());
}

#[rstest]
#[case(MediaKind::Image, 1_048_576)]
#[case(MediaKind::Video, 27_262_976)]
#[case(MediaKind::Document, 52_428_800)]
fn the_largest_file_is_documented(#[case] kind: MediaKind, #[case] max: u64) {
    let source = MediaSource::Stored { id: "00000000-0000-0000-0000-000000000001".parse::<AttachmentId>().unwrap() };
    let file = |size| Attachment { kind, source: source.clone(), mime: None, file_name: None, size: Some(size) };
    assert!(plan_of(&text("", vec![file(max)])).is_ok());
    let error = plan_of(&text("", vec![file(max + 1)])).unwrap_err();
    assert_eq!(error, Unsendable::MediaSize { kind: kind.as_str(), size: max + 1, max });
}

#[test]
fn a_request_stays_under_30_kilobytes_whatever_it_says() {
    assert!(plan_of(&Content::text("漢".repeat(7_000))).is_ok());
    // Control characters take six bytes each in JSON.
    assert!(refused(&Content::text("\u{1}".repeat(7_000))).contains("bytes of JSON"));
}

#[rstest]
#[case(Body::Choices(Choices { text: "?".into(), header: None, footer: None, buttons: Vec::new(), list: None }))]
#[case(Body::Reaction(Reaction { to: "1".into(), emoji: None }))]
#[case(Body::Unsupported { what: "a game".into() })]
#[case(Body::Contacts { contacts: Vec::new() })]
#[case(Body::Location(Location { latitude: 91.0, longitude: 0.0, name: None, address: None }))]
fn what_viber_has_not_is_refused(#[case] body: Body) {
    assert!(plan_of(&Content { body, reply_to: None }).is_err());
    assert!(plan_of(&Content { reply_to: Some("1".into()), ..Content::text("hi") }).is_err());
}
