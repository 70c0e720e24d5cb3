use rstest::rstest;
use serde_json::{Value, json};
use transom_domain::{AttachmentId, Choice, ChoiceList, CountingIds, Location, TemplateMessage, TemplateParameters};

use super::*;
use crate::capabilities::capabilities;
use crate::config::Voice;

const MB: u64 = 1024 * 1024;

fn bot() -> Capabilities {
    capabilities(&Voice::Bot)
}

fn business() -> Capabilities {
    capabilities(&Voice::Business { connection: "bc-77".into() })
}

fn stored(kind: MediaKind, mime: Option<&str>, size: Option<u64>) -> Attachment {
    let id = AttachmentId::new(&CountingIds::new(1));
    let (mime, file_name) = (mime.map(str::to_owned), Some("a file.bin".to_owned()));
    Attachment { kind, source: MediaSource::Stored { id }, mime, file_name, size }
}

fn at(url: &str, file: Attachment) -> Attachment {
    Attachment { source: MediaSource::Url { url: url.to_owned() }, ..file }
}

fn known(id: &str, file: Attachment) -> Attachment {
    Attachment { source: MediaSource::Platform { id: id.to_owned(), url: None, sha256: None }, ..file }
}

fn with_files(text: &str, attachments: Vec<Attachment>) -> Content {
    content(Body::Text { text: text.to_owned(), attachments })
}

fn content(body: Body) -> Content {
    Content { body, reply_to: None }
}

fn choice(id: &str, title: &str) -> Choice {
    Choice { id: id.to_owned(), title: title.to_owned(), description: None, url: None }
}

fn buttons(buttons: Vec<Choice>) -> Choices {
    Choices { text: "How was it?".to_owned(), header: None, footer: None, buttons, list: None }
}

fn card(phones: &[&str]) -> ContactCard {
    let phones = phones.iter().map(|&phone| phone.to_owned()).collect();
    ContactCard { name: "Lost Property".to_owned(), phones, emails: Vec::new() }
}

fn refused(content: &Content, known: &Capabilities) -> String {
    plan(content, known).unwrap_err().code().to_owned()
}

/// What the parts of a message are sent as: method, fields, field of the upload.
fn requests(content: &Content, to: &Destination) -> Vec<(&'static str, Value, Option<&'static str>)> {
    let known = if to.business_connection.is_some() { business() } else { bot() };
    let parts = plan(content, &known).unwrap();
    let requests = parts.iter().map(|part| request(to, &part.content).unwrap());
    requests.map(|one| (one.method, Value::Object(one.fields), one.upload.map(|upload| upload.field))).collect()
}

fn ann() -> Destination {
    Destination { chat_id: 700_100_200, business_connection: None }
}

#[test]
fn a_text_is_sent_as_it_is() {
    let content = Content { reply_to: Some("700100200:41".into()), ..Content::text("Your <parcel> left *today*.") };
    let fields = json!({"chat_id": 700_100_200, "text": "Your <parcel> left *today*.",
        "reply_parameters": {"message_id": 41, "allow_sending_without_reply": true}});
    assert_eq!(requests(&content, &ann()), [("sendMessage", fields, None)]);
}

#[test]
fn an_owner_is_named_and_quotes_in_the_same_chat_only() {
    let owner = Destination { chat_id: 700_100_200, business_connection: Some("bc-77".into()) };
    let content = Content { reply_to: Some("5:41".into()), ..Content::text("hi") };
    let fields = json!({"chat_id": 700_100_200, "business_connection_id": "bc-77", "text": "hi",
        "reply_parameters": {"message_id": 41, "allow_sending_without_reply": true}});
    assert_eq!(requests(&content, &owner), [("sendMessage", fields, None)]);
    let (_, fields, _) = requests(&content, &ann()).remove(0);
    assert_eq!(fields["reply_parameters"]["chat_id"], 5);
}

#[rstest]
#[case(MediaKind::Image, "image/jpeg", "sendPhoto", "photo")]
#[case(MediaKind::Video, "video/mp4", "sendVideo", "video")]
#[case(MediaKind::Animation, "image/gif", "sendAnimation", "animation")]
#[case(MediaKind::Audio, "audio/mpeg", "sendAudio", "audio")]
#[case(MediaKind::Voice, "audio/ogg; codecs=opus", "sendVoice", "voice")]
#[case(MediaKind::Document, "application/vnd.ms-excel", "sendDocument", "document")]
#[case(MediaKind::Sticker, "image/webp", "sendSticker", "sticker")]
fn each_sort_of_file_has_its_method(
    #[case] kind: MediaKind,
    #[case] mime: &str,
    #[case] method: &str,
    #[case] field: &str,
) {
    let uploaded = requests(&with_files("", vec![stored(kind, Some(mime), Some(100))]), &ann());
    assert_eq!(uploaded, [(method, json!({"chat_id": 700_100_200}), Some(field))]);
    let seen = requests(&with_files("", vec![known("BQAC1", stored(kind, None, Some(900 * MB)))]), &ann());
    assert_eq!(seen, [(method, json!({"chat_id": 700_100_200, field: "BQAC1"}), None)]);
}

#[test]
fn words_go_with_the_first_file_where_they_fit() {
    let image = stored(MediaKind::Image, Some("image/png"), None);
    let pdf = at("https://shop.example/inv.pdf", stored(MediaKind::Document, Some("application/pdf"), None));
    let sent = requests(&with_files("both", vec![image, pdf]), &ann());
    let chat = 700_100_200;
    assert_eq!(
        sent,
        [
            ("sendPhoto", json!({"chat_id": chat, "caption": "both"}), Some("photo")),
            ("sendDocument", json!({"chat_id": chat, "document": "https://shop.example/inv.pdf"}), None),
        ]
    );
}

#[rstest]
#[case::too_long_for_a_caption(MediaKind::Image, "image/png", "x".repeat(1_025), &["sendPhoto", "sendMessage"])]
#[case::as_long_as_a_caption(MediaKind::Image, "image/png", "x".repeat(1_024), &["sendPhoto"])]
#[case::wide_characters_count_twice(MediaKind::Image, "image/png", "😀".repeat(513), &["sendPhoto", "sendMessage"])]
#[case::stickers_take_no_words(MediaKind::Sticker, "image/webp", "hi".to_owned(), &["sendSticker", "sendMessage"])]
#[case::blanks_are_no_words(MediaKind::Sticker, "image/webp", "  ".to_owned(), &["sendSticker"])]
fn words_that_are_no_caption_follow(
    #[case] kind: MediaKind,
    #[case] mime: &str,
    #[case] text: String,
    #[case] methods: &[&str],
) {
    let sent = requests(&with_files(&text, vec![stored(kind, Some(mime), None)]), &ann());
    assert_eq!(sent.iter().map(|(method, ..)| *method).collect::<Vec<_>>(), methods);
}

#[test]
fn the_first_part_quotes() {
    let files = vec![stored(MediaKind::Image, None, None), stored(MediaKind::Image, None, None)];
    let content = Content { reply_to: Some("1:2".into()), ..with_files(&"x".repeat(2_000), files) };
    let quotes: Vec<bool> =
        plan(&content, &bot()).unwrap().iter().map(|part| part.content.reply_to.is_some()).collect();
    assert_eq!(quotes, [true, false, false]);
}

#[rstest]
#[case(4_096, true)]
#[case(4_097, false)]
fn texts_are_counted_in_utf16_units(#[case] units: usize, #[case] fits: bool) {
    let text = "😀".repeat(units / 2) + &"x".repeat(units % 2);
    assert_eq!(plan(&Content::text(text), &bot()).is_ok(), fits);
}

#[rstest]
#[case(stored(MediaKind::Image, Some("image/jpeg"), Some(50 * MB)), None)]
#[case(stored(MediaKind::Image, Some("image/jpeg"), Some(50 * MB + 1)), Some("media_too_large"))]
#[case(at("https://a.example/1", stored(MediaKind::Image, None, Some(5 * MB))), None)]
#[case(at("https://a.example/1", stored(MediaKind::Image, None, Some(5 * MB + 1))), Some("media_too_large"))]
#[case(stored(MediaKind::Document, Some("x/y"), Some(50 * MB)), None)]
#[case(stored(MediaKind::Document, Some("x/y"), Some(50 * MB + 1)), Some("media_too_large"))]
#[case(at("https://a.example/1", stored(MediaKind::Voice, None, Some(MB + 1))), Some("media_too_large"))]
#[case(stored(MediaKind::Image, Some("image/tiff"), None), Some("media_type_not_accepted"))]
#[case(at("https://a.example/1", stored(MediaKind::Document, Some("text/csv"), None)), Some("media_type_not_accepted"))]
#[case(at("https://a.example/1", stored(MediaKind::Document, Some("application/zip"), None)), None)]
#[case(at("file:///etc/passwd", stored(MediaKind::Document, None, None)), Some("content_malformed"))]
#[case(at("no address", stored(MediaKind::Document, None, None)), Some("content_malformed"))]
fn files_are_checked_before_they_leave(#[case] file: Attachment, #[case] refusal: Option<&str>) {
    let planned = plan(&with_files("", vec![file]), &bot());
    assert_eq!(planned.err().map(|error| error.code()), refusal);
}

#[test]
fn buttons_stand_below_all_the_words() {
    let link = Choice { url: Some("https://shop.example".into()), ..choice("", "Shop") };
    let (header, footer) = (Some("Your order".to_owned()), Some("The shop".to_owned()));
    let choices = Choices { header, footer, ..buttons(vec![choice("csat:5", "Good"), link]) };
    let fields = json!({"chat_id": 700_100_200, "text": "Your order\n\nHow was it?\n\nThe shop", "reply_markup":
        {"inline_keyboard": [[{"text": "Good", "callback_data": "csat:5"}], [{"text": "Shop", "url": "https://shop.example"}]]}});
    assert_eq!(requests(&content(Body::Choices(choices)), &ann()), [("sendMessage", fields, None)]);
}

#[rstest]
#[case(buttons(vec![]), "content_malformed")]
#[case(buttons(vec![choice("", "Good")]), "content_malformed")]
#[case(buttons(vec![choice("a", " ")]), "content_malformed")]
#[case(buttons(vec![choice(&"ä".repeat(33), "Good")]), "text_too_long")]
#[case(buttons(vec![choice("a", &"x".repeat(65))]), "text_too_long")]
#[case(buttons(vec![Choice { description: Some("more".into()), ..choice("a", "b") }]), "content_malformed")]
#[case(buttons(vec![Choice { url: Some("javascript:alert(1)".into()), ..choice("a", "b") }]), "content_malformed")]
#[case(buttons(vec![choice("a", "b"); 101]), "too_many")]
#[case(Choices { text: String::new(), ..buttons(vec![choice("a", "b")]) }, "message_empty")]
#[case(Choices { footer: Some("x".repeat(4_090)), ..buttons(vec![choice("a", "b")]) }, "text_too_long")]
#[case(Choices { list: Some(ChoiceList { label: "x".into(), sections: vec![] }), ..buttons(vec![]) }, "not_supported_by_channel")]
fn buttons_that_would_be_refused_are(#[case] choices: Choices, #[case] code: &str) {
    assert_eq!(refused(&content(Body::Choices(choices)), &bot()), code);
}

#[rstest]
#[case(None, None, "sendLocation", json!({}))]
#[case(Some("Shop"), Some("1 Square"), "sendVenue", json!({"title": "Shop", "address": "1 Square"}))]
#[case(Some("Shop"), None, "sendVenue", json!({"title": "Shop", "address": "Shop"}))]
#[case(None, Some("1 Square"), "sendVenue", json!({"title": "1 Square", "address": "1 Square"}))]
fn places_keep_their_names(
    #[case] name: Option<&str>,
    #[case] address: Option<&str>,
    #[case] method: &str,
    #[case] more: Value,
) {
    let (name, address) = (name.map(str::to_owned), address.map(str::to_owned));
    let place = Location { latitude: 48.25, longitude: -16.5, name, address };
    let mut fields = json!({"chat_id": 700_100_200, "latitude": 48.25, "longitude": -16.5});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(requests(&content(Body::Location(place)), &ann()), [(method, fields, None)]);
}

#[rstest]
#[case(90.1, 0.0)]
#[case(0.0, -180.1)]
#[case(f64::NAN, 0.0)]
#[case(0.0, f64::INFINITY)]
fn a_place_is_on_earth(#[case] latitude: f64, #[case] longitude: f64) {
    let place = Location { latitude, longitude, name: None, address: None };
    assert_eq!(refused(&content(Body::Location(place)), &bot()), "content_malformed");
}

#[test]
fn each_card_is_a_message() {
    let contacts = vec![card(&["+15005550006"]), card(&["+15005550006", "+15005550001"])];
    let sent = requests(&content(Body::Contacts { contacts }), &ann());
    assert_eq!(sent.len(), 2);
    let first = json!({"chat_id": 700_100_200, "phone_number": "+15005550006", "first_name": "Lost Property"});
    assert_eq!(sent[0], ("sendContact", first, None));
    assert!(sent[1].1["vcard"].as_str().unwrap().contains("TEL:+15005550001"));
}

#[rstest]
#[case(vec![], "message_empty")]
#[case(vec![card(&[])], "content_malformed")]
#[case(vec![ContactCard { name: " ".into(), ..card(&["+1"]) }], "content_malformed")]
#[case(vec![card(&["+15005550006"; 200])], "text_too_long")]
fn cards_that_would_be_refused_are(#[case] contacts: Vec<ContactCard>, #[case] code: &str) {
    assert_eq!(refused(&content(Body::Contacts { contacts }), &bot()), code);
}

#[test]
fn reactions_are_put_and_taken_back() {
    let reaction = |emoji: Option<&str>| {
        content(Body::Reaction(Reaction { to: "700100200:42".into(), emoji: emoji.map(str::to_owned) }))
    };
    let put = json!({"chat_id": 700_100_200, "message_id": 42, "reaction": [{"type": "emoji", "emoji": "👍"}]});
    assert_eq!(requests(&reaction(Some("👍")), &ann()), [("setMessageReaction", put, None)]);
    assert_eq!(requests(&reaction(None), &ann())[0].1["reaction"], json!([]));
    assert_eq!(refused(&reaction(Some(" ")), &bot()), "content_malformed");
    assert_eq!(refused(&reaction(Some("👍")), &business()), "not_supported_by_channel");
    let quoting = Content { reply_to: Some("1:2".into()), ..reaction(Some("👍")) };
    assert_eq!(refused(&quoting, &bot()), "content_malformed");
}

#[rstest]
#[case("")]
#[case("42")]
#[case("chat:42")]
#[case("1:2:3")]
fn what_is_no_message_can_not_be_referred_to(#[case] id: &str) {
    let quoting = Content { reply_to: Some(id.into()), ..Content::text("hi") };
    assert_eq!(refused(&quoting, &bot()), "content_malformed");
    let reaction = content(Body::Reaction(Reaction { to: id.into(), emoji: None }));
    assert_eq!(refused(&reaction, &bot()), "content_malformed");
}

#[test]
fn templates_and_the_unreadable_are_refused() {
    let template = Content::template(TemplateMessage {
        name: "x".into(),
        language: "en".into(),
        category: "utility".into(),
        parameters: TemplateParameters::default(),
        rendered: Some("words".into()),
        buttons: Vec::new(),
    });
    assert_eq!(refused(&template, &bot()), "not_supported_by_channel");
    assert_eq!(refused(&content(Body::Unsupported { what: "dice".into() }), &bot()), "not_supported_by_channel");
    assert_eq!(refused(&Content::text(" \n"), &bot()), "message_empty");
}
