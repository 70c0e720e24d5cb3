use rstest::rstest;
use serde_json::{Value, json};
use transom_domain::{AttachmentId, ChannelAccountId, ChoiceSection, ContactId, IdentityId, Reaction as Emoji};
use uuid::Uuid;

use super::*;

fn attachment(kind: MediaKind, mime: &str) -> Attachment {
    Attachment {
        kind,
        source: MediaSource::Stored { id: AttachmentId::from(Uuid::from_u128(7)) },
        mime: Some(mime.to_owned()),
        file_name: Some("March.pdf".to_owned()),
        size: Some(1_000),
    }
}

fn image() -> Attachment {
    attachment(MediaKind::Image, "image/jpeg")
}

fn pdf() -> Attachment {
    attachment(MediaKind::Document, "application/pdf")
}

fn voice() -> Attachment {
    attachment(MediaKind::Voice, "audio/ogg; codecs=opus")
}

fn content(text: &str, attachments: Vec<Attachment>) -> Content {
    Content { body: Body::Text { text: text.to_owned(), attachments }, reply_to: Some("wamid.QUOTED".to_owned()) }
}

/// Each part as its words and the kinds of its files, with `>` before one that quotes.
fn shown(content: &Content) -> Vec<String> {
    let part = |part: &PlannedPart| {
        let Body::Text { text, attachments } = &part.content.body else { panic!("not text") };
        let files: Vec<_> = attachments.iter().map(|file| file.kind.as_str()).collect();
        let quote = if part.content.reply_to.is_some() { ">" } else { "" };
        format!("{quote}{text}[{}]", files.join(","))
    };
    plan(content).unwrap().iter().map(part).collect()
}

fn choice(id: &str, title: &str) -> Choice {
    Choice { id: id.to_owned(), title: title.to_owned(), description: None, url: None }
}

fn choices(buttons: Vec<Choice>, list: Option<ChoiceList>) -> Content {
    let choices = Choices { text: "Is this right?".to_owned(), header: None, footer: None, buttons, list };
    Content { body: Body::Choices(choices), reply_to: None }
}

fn topics(rows: usize) -> ChoiceList {
    let rows = (0..rows).map(|n| choice(&format!("t{n}"), &format!("Topic {n}"))).collect();
    ChoiceList { label: "Topics".to_owned(), sections: vec![ChoiceSection { title: "Orders".to_owned(), rows }] }
}

fn written(content: &Content, file: Option<FileRef>) -> Value {
    serde_json::to_value(message(content, file).unwrap()).unwrap()
}

#[rstest]
#[case(content("hello", vec![]), &[">hello[]"])]
#[case(content("hello", vec![image()]), &[">hello[image]"])]
#[case(content("", vec![image()]), &[">[image]"])]
#[case(content("hello", vec![image(), pdf()]), &[">hello[image]", "[document]"])]
#[case(content("hello", vec![voice()]), &[">hello[]", "[voice]"])]
#[case(content("hello", vec![voice(), image()]), &[">hello[]", "[voice]", "[image]"])]
#[case(content("", vec![pdf(), voice(), image()]), &[">[document]", "[voice]", "[image]"])]
fn words_and_files_keep_their_order(#[case] content: Content, #[case] expected: &[&str]) {
    assert_eq!(shown(&content), expected);
}

#[test]
fn words_too_long_for_a_caption_go_before_the_file() {
    let (fits, long) = ("é".repeat(1_024), "é".repeat(1_025));
    assert_eq!(shown(&content(&fits, vec![image()])), [format!(">{fits}[image]")]);
    assert_eq!(shown(&content(&long, vec![image()])), [format!(">{long}[]"), "[image]".to_owned()]);
}

#[test]
fn every_part_of_a_plan_is_a_plan_of_itself() {
    for content in [content("hello", vec![voice(), image(), pdf()]), choices(vec![choice("a", "A")], None)] {
        for part in plan(&content).unwrap() {
            assert_eq!(plan(&part.content), Ok(vec![part]));
        }
    }
}

#[rstest]
#[case(Content::text(""), "message_empty")]
#[case(Content::text(" \n"), "message_empty")]
#[case(Content::text("é".repeat(4_097)), "text_too_long")]
#[case(content(&"é".repeat(4_097), vec![image()]), "text_too_long")]
#[case(content("", vec![attachment(MediaKind::Image, "image/gif")]), "media_type_not_accepted")]
#[case(content("", vec![attachment(MediaKind::Voice, "audio/mpeg")]), "media_type_not_accepted")]
#[case(content("", vec![Attachment { size: Some(5 * 1_048_576 + 1), ..image() }]), "media_too_large")]
#[case(content("", vec![Attachment { size: Some(0), ..image() }]), "content_malformed")]
#[case(content("", vec![Attachment { source: MediaSource::Url { url: "http://cdn.example.com/a.jpg".into() }, ..image() }]), "content_malformed")]
#[case(content("", vec![Attachment { source: MediaSource::Platform { id: String::new(), url: None, sha256: None }, ..image() }]), "content_malformed")]
#[case(Content { body: Body::Unsupported { what: "poll".into() }, reply_to: None }, "not_supported_by_channel")]
#[case(Content { body: Body::Contacts { contacts: vec![] }, reply_to: None }, "message_empty")]
#[case(Content { body: Body::Reaction(Emoji { to: String::new(), emoji: None }), reply_to: None }, "content_malformed")]
#[case(Content { body: Body::Location(Location { latitude: 90.5, longitude: 0.0, name: None, address: None }), reply_to: None }, "content_malformed")]
#[case(Content { body: Body::Location(Location { latitude: f64::NAN, longitude: 0.0, name: None, address: None }), reply_to: None }, "content_malformed")]
#[case(choices(vec![], None), "content_malformed")]
#[case(choices(vec![choice("a", "A")], Some(topics(1))), "content_malformed")]
#[case(choices((0..4).map(|n| choice(&n.to_string(), "A")).collect(), None), "too_many")]
#[case(choices(vec![choice("a", "A"), choice("a", "B")], None), "content_malformed")]
#[case(choices(vec![choice("a", &"x".repeat(21))], None), "text_too_long")]
#[case(choices(vec![choice(&"x".repeat(257), "A")], None), "text_too_long")]
#[case(choices(vec![choice("", "A")], None), "content_malformed")]
#[case(choices(vec![Choice { url: Some("https://a.example".into()), ..choice("a", "A") }, choice("b", "B")], None), "not_supported_by_channel")]
#[case(choices(vec![Choice { url: Some("tel:1".into()), ..choice("a", "A") }], None), "content_malformed")]
#[case(choices(vec![], Some(topics(11))), "too_many")]
#[case(choices(vec![], Some(topics(0))), "content_malformed")]
#[case(choices(vec![], Some(ChoiceList { label: String::new(), ..topics(1) })), "content_malformed")]
fn what_can_not_be_carried_is_refused(#[case] content: Content, #[case] code: &str) {
    assert_eq!(plan(&content).unwrap_err().code(), code);
}

#[test]
fn text_is_written_as_the_sheet_shows() {
    let text = json!({"type": "text", "text": {"preview_url": false, "body": "Your parcel left Graz today."}});
    assert_eq!(written(&Content::text("Your parcel left Graz today."), None), text);
}

#[rstest]
#[case(image(), "Label", FileRef::Link("https://cdn.example.com/a.jpg".into()),
    json!({"type": "image", "image": {"link": "https://cdn.example.com/a.jpg", "caption": "Label"}}))]
#[case(pdf(), "March", FileRef::Id("900000000000001".into()),
    json!({"type": "document", "document": {"id": "900000000000001", "filename": "March.pdf", "caption": "March"}}))]
#[case(voice(), "", FileRef::Id("900000000000002".into()), json!({"type": "audio", "audio": {"id": "900000000000002", "voice": true}}))]
#[case(attachment(MediaKind::Audio, "audio/mpeg"), "", FileRef::Id("9".into()), json!({"type": "audio", "audio": {"id": "9"}}))]
#[case(attachment(MediaKind::Video, "video/mp4"), "Demo", FileRef::Id("9".into()), json!({"type": "video", "video": {"id": "9", "caption": "Demo"}}))]
#[case(attachment(MediaKind::Animation, "video/mp4"), "", FileRef::Id("9".into()), json!({"type": "video", "video": {"id": "9"}}))]
#[case(attachment(MediaKind::Sticker, "image/webp"), "", FileRef::Id("9".into()), json!({"type": "sticker", "sticker": {"id": "9"}}))]
fn files_are_written_by_their_kind(
    #[case] file: Attachment,
    #[case] text: &str,
    #[case] source: FileRef,
    #[case] expected: Value,
) {
    assert_eq!(written(&content(text, vec![file]), Some(source)), expected);
}

#[test]
fn buttons_lists_and_links_are_written() {
    let Body::Choices(mut both) = choices(vec![choice("yes_77", "Yes"), choice("no_77", "No")], None).body else {
        panic!()
    };
    (both.header, both.footer) = (Some("Order 77".to_owned()), Some("Support".to_owned()));
    assert_eq!(
        written(&Content { body: Body::Choices(both), reply_to: None }, None),
        json!({"type": "interactive", "interactive": {"type": "button",
            "header": {"type": "text", "text": "Order 77"}, "body": {"text": "Is this right?"}, "footer": {"text": "Support"},
            "action": {"buttons": [{"type": "reply", "reply": {"id": "yes_77", "title": "Yes"}}, {"type": "reply", "reply": {"id": "no_77", "title": "No"}}]}}})
    );

    let rows = vec![Choice { description: Some("older than 5 days".into()), ..choice("t1", "Late parcel") }];
    let list = ChoiceList { label: "Topics".into(), sections: vec![ChoiceSection { title: "Orders".into(), rows }] };
    assert_eq!(
        written(&choices(vec![], Some(list)), None),
        json!({"type": "interactive", "interactive": {"type": "list", "body": {"text": "Is this right?"}, "action": {"button": "Topics",
            "sections": [{"title": "Orders", "rows": [{"id": "t1", "title": "Late parcel", "description": "older than 5 days"}]}]}}})
    );

    let link = Choice { url: Some("https://acme.example/t/1".into()), ..choice("", "Track") };
    assert_eq!(
        written(&choices(vec![link], None), None),
        json!({"type": "interactive", "interactive": {"type": "cta_url", "body": {"text": "Is this right?"},
            "action": {"name": "cta_url", "parameters": {"display_text": "Track", "url": "https://acme.example/t/1"}}}})
    );
}

#[test]
fn places_cards_and_emoji_are_written() {
    let place =
        Location { latitude: 47.07, longitude: 15.43, name: Some("Shop".into()), address: Some("Main St 1".into()) };
    assert_eq!(
        written(&Content { body: Body::Location(place), reply_to: None }, None),
        json!({"type": "location", "location": {"latitude": 47.07, "longitude": 15.43, "name": "Shop", "address": "Main St 1"}})
    );
    let card = ContactCard {
        name: "Mara K.".into(),
        phones: vec!["+4915550100001".into()],
        emails: vec!["mara@example.com".into()],
    };
    assert_eq!(
        written(&Content { body: Body::Contacts { contacts: vec![card] }, reply_to: None }, None),
        json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Mara K.", "first_name": "Mara K."},
            "phones": [{"phone": "+4915550100001"}], "emails": [{"email": "mara@example.com"}]}]})
    );
    for (emoji, written_as) in [(Some("👍"), "👍"), (None, "")] {
        let reaction = Emoji { to: "wamid.X".into(), emoji: emoji.map(str::to_owned) };
        assert_eq!(
            written(&Content { body: Body::Reaction(reaction), reply_to: None }, None),
            json!({"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": written_as}})
        );
    }
}

fn identity(addresses: &[(&str, &str)]) -> Identity {
    Identity {
        id: IdentityId::from(Uuid::from_u128(1)),
        contact: ContactId::from(Uuid::from_u128(2)),
        account: ChannelAccountId::from(Uuid::from_u128(3)),
        addresses: addresses.iter().map(|(kind, value)| transom_domain::Address::new(*kind, *value)).collect(),
    }
}

#[rstest]
#[case(&[("bsuid", "DE.88"), ("phone", "+4915550100001")], Some(Addressee::To("+4915550100001".into())))]
#[case(&[("phone", "4915550100001")], Some(Addressee::To("+4915550100001".into())))]
#[case(&[("phone", "+49 155-50 (100) 001")], Some(Addressee::To("+4915550100001".into())))]
#[case(&[("bsuid", "DE.88")], Some(Addressee::Recipient("DE.88".into())))]
#[case(&[("phone", "mara")], None)]
#[case(&[("phone", "+123")], None)]
#[case(&[("bsuid", " ")], None)]
#[case(&[("user_id", "1")], None)]
fn a_phone_is_written_to_with_its_plus_sign(#[case] addresses: &[(&str, &str)], #[case] expected: Option<Addressee>) {
    assert_eq!(addressee(&identity(addresses), &Content::text("hi")).ok(), expected);
}

#[test]
fn a_one_time_code_goes_to_phones_only() {
    let code = Content::template(transom_domain::TemplateMessage {
        name: "login".into(),
        language: "en".into(),
        category: "authentication".into(),
        parameters: transom_domain::TemplateParameters::default(),
        rendered: None,
        buttons: vec![],
    });
    assert!(addressee(&identity(&[("bsuid", "DE.88")]), &code).is_err());
    assert!(addressee(&identity(&[("bsuid", "DE.88"), ("phone", "+4915550100001")]), &code).is_ok());
}
