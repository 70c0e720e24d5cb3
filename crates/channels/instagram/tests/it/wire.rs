//! What goes over the wire, and back, against the sandbox.

use serde_json::json;
use time::Duration;
use transom_channel::conformance::SampleFiles;
use transom_channel::{Item, MediaError, ReceiptFor, ReceiptState, SendError};
use transom_domain::{Address, Attachment, Body, Choice, Choices, Content, MediaKind, MediaSource, Reaction};
use transom_sandbox::{Act, Fault, FaultKind, MediaAct, Progress, ReceiptOrder};

use crate::world::{ACCOUNT, IGSID, PAGE, Stage, Why, identity};

fn with_files(text: &str, attachments: Vec<Attachment>) -> Content {
    Content { body: Body::Text { text: text.to_owned(), attachments }, reply_to: None }
}

fn picture() -> Attachment {
    SampleFiles::attachment(MediaKind::Image, "image/png")
}

fn refused(code: i64) -> Fault {
    Fault::once(FaultKind::Error { code, detail: None, asynchronous: false })
}

#[tokio::test]
async fn a_text_quotes_and_carries_our_reference() {
    let stage = Stage::open().await;
    let content = Content { reply_to: Some(stage.quotable.clone()), ..Content::text("Your parcel left Graz.") };
    let part = stage.part(content, &Why::default(), 1);
    let receipt = stage.channel().send(&part).await.unwrap();
    assert_eq!(
        stage.last_body(),
        json!({"recipient": {"id": IGSID}, "messaging_type": "RESPONSE", "reply_to": {"mid": stage.quotable},
            "message": {"text": "Your parcel left Graz.", "metadata": format!("transom:{}", part.id())}})
    );
    assert_eq!(receipt.learned, [Address::new("igsid", IGSID)]);

    // It comes back in the echo, which settles what was lost.
    let told = stage.told();
    let Some(Item::Echo { correlation, .. }) = told.iter().map(|told| &told.item).next() else { panic!("{told:?}") };
    assert_eq!(*correlation, Some(part.correlation()));
}

/// Colleagues in the Instagram app are heard, and open nothing.
#[tokio::test]
async fn what_the_app_wrote_is_an_echo_of_nobody_here() {
    let stage = Stage::open().await;
    let told = stage.acts(Act::Echo { text: "I'll look into it".into() });
    let Item::Echo { message, correlation: None } = &told.item else { panic!("{told:?}") };
    assert_eq!(message.content, Content::text("I'll look into it"));
    assert_eq!((told.person.unwrap().addresses[0].value.as_str(), told.openings.len()), (IGSID, 0));
}

#[tokio::test]
async fn a_file_goes_up_once_and_arrives_whole() {
    let stage = Stage::open().await;
    let (channel, file) = (stage.channel(), picture());
    for _ in 0..2 {
        channel.send(&stage.part(with_files("", vec![file.clone()]), &Why::default(), 1)).await.unwrap();
    }
    assert_eq!(stage.calls_on("/message_attachments"), 1);
    let body = stage.last_body();
    // One picture is an object under `attachments`.
    assert_eq!(body["message"]["attachments"]["type"], "image");
    let id = body["message"]["attachments"]["payload"]["attachment_id"].as_str().unwrap();
    let MediaSource::Stored { id: stored } = file.source else { panic!() };
    let stored = stage.ports.media.read(stored).await.unwrap();
    let uploaded = stage.control.media(id).unwrap();
    assert_eq!((uploaded.bytes, uploaded.mime), (stored.bytes, stored.mime));

    // Refused as an unknown upload: once more, with a new one.
    stage.control.fault(ACCOUNT, refused(2_018_074)).unwrap();
    let part = |attempt| stage.part(with_files("", vec![file.clone()]), &Why::default(), attempt);
    assert!(matches!(channel.send(&part(1)).await, Err(SendError::Temporary { .. })));
    channel.send(&part(2)).await.unwrap();
    assert_eq!(stage.calls_on("/message_attachments"), 2);
}

#[tokio::test]
async fn a_link_is_handed_on_and_words_go_first() {
    let stage = Stage::open().await;
    let url = "https://cdn.example.com/a.png";
    stage.control.publish(url, "image/png", SAMPLE_PNG);
    let file = Attachment { source: MediaSource::Url { url: url.into() }, size: None, ..picture() };
    let parts = stage.channel().plan(&with_files("Here it is", vec![file])).unwrap();
    assert_eq!(parts.len(), 2);
    for planned in parts {
        stage.send(planned.content).await.unwrap();
    }
    let sends = stage.control.ledger();
    assert_eq!(sends[0].text, "Here it is");
    assert_eq!(sends[1].body["message"]["attachments"], json!({"type": "image", "payload": {"url": url}}));
}

const SAMPLE_PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\0IEND\xaeB`\x82";

#[tokio::test]
async fn the_permit_ends_while_the_file_goes_up() {
    let stage = Stage::open().await;
    let part = stage.part(with_files("", vec![picture()]), &Why::default(), 1);
    stage.control.advance(Duration::hours(24));
    assert!(matches!(stage.channel().send(&part).await, Err(SendError::Temporary { .. })));
    assert_eq!((stage.calls_on("/message_attachments"), stage.calls_on("/messages")), (1, 0));
}

fn button(id: &str, title: &str, url: Option<&str>) -> Choice {
    Choice { id: id.into(), title: title.into(), description: None, url: url.map(str::to_owned) }
}

fn choices(text: &str, buttons: Vec<Choice>) -> Content {
    let choices = Choices { text: text.into(), header: None, footer: None, buttons, list: None };
    Content { body: Body::Choices(choices), reply_to: None }
}

#[tokio::test]
async fn a_few_buttons_stay_and_come_back_as_postbacks() {
    let stage = Stage::open().await;
    let two = vec![button("AGENT", "Agent", None), button("", "Track", Some("https://example.com/t"))];
    let receipt = stage.send(choices("How can we help?", two)).await.unwrap();
    assert_eq!(
        stage.last_body()["message"]["attachment"],
        json!({"type": "template", "payload": {"template_type": "button", "text": "How can we help?", "buttons": [
            {"type": "postback", "title": "Agent", "payload": "AGENT"},
            {"type": "web_url", "title": "Track", "url": "https://example.com/t"}]}})
    );
    let tap = Act::Button { message_id: receipt.provider_id.unwrap(), data: "AGENT".into(), text: None };
    let told = stage.acts(tap);
    let Item::Message(message) = &told.item else { panic!("{told:?}") };
    assert_eq!((message.content.clone(), message.payload.as_deref()), (Content::text("Agent"), Some("AGENT")));
    assert_eq!(told.openings[0].kind, "postback");
}

#[tokio::test]
async fn many_buttons_are_quick_replies_and_come_back_as_messages() {
    let stage = Stage::open().await;
    let four = (1..=4).map(|n| button(&format!("T{n}"), &format!("Topic {n}"), None)).collect();
    let receipt = stage.send(choices("Topic?", four)).await.unwrap();
    let message = &stage.last_body()["message"];
    assert_eq!((message["text"].as_str(), message["quick_replies"].as_array().unwrap().len()), (Some("Topic?"), 4));
    assert_eq!(message["quick_replies"][0], json!({"content_type": "text", "title": "Topic 1", "payload": "T1"}));
    let tap = Act::Button { message_id: receipt.provider_id.unwrap(), data: "T2".into(), text: None };
    let told = stage.acts(tap);
    let Item::Message(message) = &told.item else { panic!("{told:?}") };
    assert_eq!((message.payload.as_deref(), told.openings[0].kind.as_str()), (Some("T2"), "message"));
}

#[tokio::test]
async fn a_reaction_is_an_action_and_has_no_id() {
    let stage = Stage::open().await;
    let reaction = Reaction { to: stage.quotable.clone(), emoji: Some("❤".into()) };
    let receipt = stage.send(Content { body: Body::Reaction(reaction), reply_to: None }).await.unwrap();
    assert_eq!(receipt.provider_id, None);
    assert_eq!(
        stage.last_body(),
        json!({"recipient": {"id": IGSID}, "sender_action": "react",
            "payload": {"message_id": stage.quotable, "reaction": "❤"}})
    );
}

/// Quotes are off unless the setting says otherwise: the documents leave it open.
#[tokio::test]
async fn quotes_are_off_unless_they_are_switched_on() {
    let stage = Stage::open().await;
    let settings = stage.settings.clone().with("quotes", "");
    let channel = transom_channel::Platform::connect(&transom_instagram::Instagram, &settings, &stage.ports).unwrap();
    let quoting = Content { reply_to: Some("aWdf1".into()), ..Content::text("this one") };
    assert!(!channel.capabilities().quotes && channel.plan(&quoting).is_err());
}

/// Up to ten neighbouring pictures are one message; anything else is one of its own.
#[tokio::test]
async fn pictures_go_together() {
    let stage = Stage::open().await;
    let film = || SampleFiles::attachment(MediaKind::Video, "video/mp4");
    let files: Vec<_> = (0..11).map(|_| picture()).chain([film(), picture()]).collect();
    let parts = stage.channel().plan(&with_files("", files)).unwrap();
    let counts: Vec<_> = parts
        .iter()
        .map(|part| match &part.content.body {
            Body::Text { attachments, .. } => attachments.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [10, 1, 1, 1]);
    stage.send(parts[0].content.clone()).await.unwrap();
    assert_eq!(stage.last_body()["message"]["attachments"].as_array().unwrap().len(), 10);
}

/// A thousand bytes, however many letters they are.
#[tokio::test]
async fn bytes_are_counted() {
    let stage = Stage::open().await;
    stage.send(Content::text("é".repeat(500))).await.unwrap();
    assert!(stage.channel().plan(&Content::text("é".repeat(501))).is_err());
    assert!(stage.channel().plan(&Content::text("😀".repeat(250) + "x")).is_err());
}

#[tokio::test]
async fn what_is_taken_back_and_seen_is_told() {
    let stage = Stage::open().await;
    let told = stage.acts(Act::Delete { message_id: stage.quotable.clone() });
    assert_eq!((told.item, told.openings.len()), (Item::Unsend { of: stage.quotable.clone() }, 0));

    let sent = stage.send(Content::text("hello")).await.unwrap().provider_id.unwrap();
    let before = stage.told().len();
    stage.control.receipt(ACCOUNT, &ReceiptOrder::new(sent.clone(), Progress::Read)).unwrap();
    let told = stage.told().split_off(before);
    let of = ReceiptFor::Through { provider_id: sent };
    assert_eq!(told[0].item, Item::Receipt { of, state: ReceiptState::Read });
}

/// The token of Instagram Login is renewed before its end, and the renewed one is used.
#[tokio::test]
async fn the_accounts_token_is_renewed() {
    let mut stage = Stage::open().await;
    stage.settings = stage.settings.clone().with("login", "instagram");
    let channel = stage.channel();
    for days in [0, 1, 60] {
        stage.control.advance(Duration::days(days));
        channel.check().await.unwrap();
    }
    assert_eq!(stage.calls_on("/refresh_access_token"), 2);
    stage.control.writes(ACCOUNT, "mara", "hello again").unwrap();
    // Messages go to the account itself, and without our reference unless the setting says so.
    channel.send(&stage.part(Content::text("hi"), &Why::default(), 1)).await.unwrap();
    assert_eq!(stage.calls_on(&format!("/{ACCOUNT}/messages")), 1);
    assert_eq!(stage.last_body()["message"], json!({"text": "hi"}));
}

#[tokio::test]
async fn what_customers_sent_is_fetched_without_a_token() {
    let stage = Stage::open().await;
    let sent = MediaAct { media: "image".into(), mime: Some("image/png".into()), ..MediaAct::default() };
    let told = stage.acts(Act::Media(sent));
    let Item::Message(message) = &told.item else { panic!("{told:?}") };
    let Body::Text { attachments, .. } = &message.content.body else { panic!("{message:?}") };
    let channel = stage.channel();
    let media = channel.media().unwrap();
    let fetched = media.download(&attachments[0], 1_000).await.unwrap();
    assert_eq!((fetched.mime.as_str(), fetched.bytes.is_empty()), ("image/png", false));
    assert!(media.download(&attachments[0], 3).await.is_err());

    // An address that has run out, and one that is not public https.
    for url in [format!("{}/instagram/media-content/1", stage.sandbox.base_url()), "http://10.0.0.1/x".to_owned()] {
        let gone = Attachment {
            source: MediaSource::Platform { id: "m/0".into(), url: Some(url), sha256: None },
            ..attachments[0].clone()
        };
        assert_eq!(media.download(&gone, 1_000).await, Err(MediaError::NotFound));
    }
}

#[tokio::test]
async fn profiles_and_the_account_are_read() {
    let stage = Stage::open().await;
    let channel = stage.channel();
    let profile = channel.profiles().unwrap().fetch(&stage.identity).await.unwrap();
    assert_eq!((profile.name.as_deref(), profile.username.as_deref()), (Some("Mara Klein"), Some("mara_k")));
    assert!(profile.picture_url.is_some());
    let nobody = channel.profiles().unwrap().fetch(&identity(&[("pigeon", "7")])).await;
    assert!(matches!(nobody, Err(SendError::Unreachable { .. })));

    let info = channel.check().await.unwrap();
    assert_eq!((info.name.as_deref(), info.external_key.as_deref()), (Some("acme"), Some(ACCOUNT)));
}

/// The Page's own token is asked for once, and again when it has ended.
#[tokio::test]
async fn the_pages_token_is_asked_for_once() {
    let stage = Stage::open().await;
    let channel = stage.channel();
    for _ in 0..2 {
        channel.send(&stage.part(Content::text("hi"), &Why::default(), 1)).await.unwrap();
    }
    let asked = || stage.control.calls().iter().filter(|call| call.path.ends_with(PAGE)).count();
    assert_eq!(asked(), 1);
    stage.control.fault(ACCOUNT, refused(190)).unwrap();
    let error = channel.send(&stage.part(Content::text("hi"), &Why::default(), 1)).await.unwrap_err();
    assert!(matches!(error, SendError::Temporary { .. }), "{error:?}");
    channel.send(&stage.part(Content::text("hi"), &Why::default(), 1)).await.unwrap();
    assert_eq!(asked(), 2);
    // The one that was asked for anew is refused, too: that is for a person to mend.
    for is_last in [false, true] {
        stage.control.fault(ACCOUNT, refused(190)).unwrap();
        let error = channel.send(&stage.part(Content::text("hi"), &Why::default(), 1)).await.unwrap_err();
        assert_eq!(matches!(error, SendError::AuthFailed { .. }), is_last, "{error:?}");
    }
}

/// Another app has the thread: a person's message takes it over, and its next attempt goes out.
#[tokio::test]
async fn a_person_takes_the_thread_over() {
    let stage = Stage::open().await;
    let settings = Some(json!({"thread_owner": false}));
    let patch = transom_sandbox::AccountPatch { settings, ..transom_sandbox::AccountPatch::default() };
    stage.control.patch_account(ACCOUNT, patch).unwrap();

    // A bot does not.
    let bot = Why { sender: transom_windows::Sender::Bot, ..Why::default() };
    assert!(matches!(stage.send_by(Content::text("beep"), &bot).await, Err(SendError::Temporary { .. })));
    assert_eq!(stage.calls_on("/take_thread_control"), 0);
    // Meanwhile what customers write is heard on standby.
    let told = stage.acts(Act::Text { text: "anybody?".into() });
    assert_eq!(told.openings[0].kind, "message");

    assert!(matches!(stage.send(Content::text("hello")).await, Err(SendError::Temporary { .. })));
    assert_eq!(stage.calls_on("/take_thread_control"), 1);
    stage.send(Content::text("hello")).await.unwrap();
}

#[tokio::test]
async fn who_blocked_the_account_is_unreachable() {
    let stage = Stage::open().await;
    stage.control.act(ACCOUNT, "mara", Act::Block).unwrap();
    assert!(matches!(stage.send(Content::text("hello")).await, Err(SendError::Unreachable { .. })));
}
