//! The other side's moods: what the channel makes of them.

use std::time::Duration;

use serde_json::json;
use transom_channel::conformance::SampleFiles;
use transom_channel::{
    AccountInfo, Evidence, Item, MediaError, NextStep, OptOutScope, Platform as _, ReceiptFor, ReceiptState, SendError,
    Standing,
};
use transom_domain::template::TemplateHeader;
use transom_domain::{Attachment, Body, Content, MediaKind, MediaSource, TemplateStatus};
use transom_sandbox::{Act, Action, Fault, FaultKind, MediaAct};

use crate::world::{ACCOUNT, PHONE, World, template};

async fn world(rules: &str) -> World {
    World::new(Duration::from_secs(10), rules).await
}

#[tokio::test]
async fn a_message_looks_as_documented() {
    let world = world("in_house").await;
    let hers = world.writes("hello");
    let quoting = Content { reply_to: Some(hers.clone()), ..Content::text("hi") };
    let part = world.part("http", quoting).signed(Some("Jo".into()));
    world.channel().send(&part).await.unwrap();
    let expected = json!({"type": "message.send", "account": ACCOUNT, "id": part.correlation(), "to": {"phone": PHONE},
        "permit": {"grant": "window", "basis": "free_form"}, "sender_name": "Jo", "reply_to": hers,
        "content": {"type": "text", "text": "hi"}});
    assert_eq!(world.control.ledger().pop().unwrap().body, expected);
}

#[tokio::test]
async fn a_message_sent_twice_arrives_once() {
    let world = world("in_house").await;
    world.writes("hello");
    let (channel, part) = (world.channel(), world.text("once"));
    world.control.fault(ACCOUNT, Fault::once(FaultKind::LoseAnswer)).unwrap();
    let lost = channel.send(&part).await.unwrap_err();
    assert_eq!(lost.next_step(), NextStep::Settle);
    assert!(channel.capabilities().settling.dedupes_for.is_some());
    let receipt = channel.send(&part).await.unwrap();
    let sends = world.control.ledger();
    assert_eq!((sends.len(), receipt.provider_id.as_ref()), (1, sends[0].provider_ids.first()));
}

#[tokio::test]
async fn a_template_has_header_body_and_footer() {
    let world = world("viber_business").await;
    // Never wrote: only a template may go, and only the number is known.
    let receipt = world.channel().send(&world.part("viber_business", template())).await;
    assert!(receipt.is_ok(), "{receipt:?}");
    let send = world.control.ledger().pop().unwrap();
    assert_eq!(send.text, "Order A-1\nHi Ann, it left today.\nAcme");
    let content = &send.body["content"];
    assert_eq!((&content["header"], &content["body"]), (&json!({"text": ["A-1"]}), &json!(["Ann"])));
    let error = world.channel().send(&world.part("viber_business", Content::text("hi"))).await.unwrap_err();
    assert_eq!(error.evidence(), Some(Evidence::WindowClosed));
}

#[tokio::test]
async fn the_catalogue_is_listed() {
    let world = world("in_house").await;
    let channel = world.channel();
    let list = channel.templates().unwrap().list().await.unwrap();
    let [parcel] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!((parcel.name.as_str(), parcel.status), ("parcel", TemplateStatus::Approved));
    assert_eq!(parcel.header, Some(TemplateHeader::Text { text: "Order {{1}}".into() }));
    assert_eq!(parcel.footer.as_deref(), Some("Acme"));
    let paused = json!({"name": "parcel", "language": "en", "category": "utility", "status": "paused", "body": "x"});
    world.control.platform(ACCOUNT, "template", paused).await.unwrap();
    let error = channel.send(&world.part("http", template())).await.unwrap_err();
    assert_eq!(error.evidence(), Some(Evidence::Template(TemplateStatus::Paused)));
}

#[tokio::test]
async fn five_in_a_row_wait_for_the_reply() {
    let world = world("viber_business").await;
    world.writes("hello");
    let (channel, text) = (world.channel(), || world.part("viber_business", Content::text("again")));
    for _ in 0..5 {
        assert!(channel.send(&text()).await.is_ok());
    }
    let error = channel.send(&text()).await.unwrap_err();
    assert_eq!(error.evidence(), Some(Evidence::QuotaReached { quota: Some("unanswered".into()) }));
    world.writes("yes?");
    assert!(channel.send(&text()).await.is_ok());
}

#[tokio::test]
async fn sixty_are_a_session() {
    let world = world("viber_business").await;
    world.patch(json!({"unanswered": 100}));
    world.writes("hello");
    let (channel, text) = (world.channel(), || world.part("viber_business", Content::text("again")));
    for _ in 0..60 {
        assert!(channel.send(&text()).await.is_ok());
    }
    world.writes("yes?");
    let error = channel.send(&text()).await.unwrap_err();
    assert_eq!(error.evidence(), Some(Evidence::QuotaReached { quota: Some("session_messages".into()) }));
    world.control.advance(time::Duration::hours(24));
    let error = channel.send(&text()).await.unwrap_err();
    assert_eq!(error.evidence(), Some(Evidence::WindowClosed));
}

#[tokio::test]
async fn a_block_and_an_opt_out_are_told_from_each_other() {
    let world = world("in_house").await;
    world.writes("hello");
    let channel = world.channel();
    world.control.act(ACCOUNT, "ann", Act::Block).unwrap();
    assert_eq!(channel.send(&world.text("x")).await.unwrap_err().evidence(), Some(Evidence::Blocked));
    world.control.act(ACCOUNT, "ann", Act::Unblock).unwrap();
    world.control.act(ACCOUNT, "ann", Act::OptOut).unwrap();
    let out = channel.send(&world.text("x")).await.unwrap_err();
    assert_eq!(out.evidence(), Some(Evidence::OptedOut(OptOutScope::All)));
    let standings: Vec<_> = world
        .heard()
        .into_iter()
        .filter_map(|item| if let Item::Standing(standing) = item.item { Some(standing) } else { None })
        .collect();
    assert_eq!(standings, [Standing::Blocked, Standing::Unblocked, Standing::OptedOut(OptOutScope::All)]);
}

#[tokio::test]
async fn receipts_carry_our_own_id() {
    let world = world("in_house").await;
    world.writes("hello");
    let part = world.text("hi");
    world.channel().send(&part).await.unwrap();
    let asynchronous = FaultKind::Error { code: 422, detail: Some("unreachable".into()), asynchronous: true };
    world.control.fault(ACCOUNT, Fault::once(asynchronous)).unwrap();
    let failing = world.text("lost");
    world.channel().send(&failing).await.unwrap();
    assert!(world.control.idle(Duration::from_mins(1)).await);
    let states: Vec<_> = world
        .heard()
        .into_iter()
        .filter_map(|item| match item.item {
            Item::Receipt { of: ReceiptFor::Message { correlation, .. }, state } => Some((correlation?, state)),
            _ => None,
        })
        .collect();
    let has = |id: String, wanted: &dyn Fn(&ReceiptState) -> bool| {
        states.iter().any(|(correlation, state)| *correlation == id && wanted(state))
    };
    assert!(has(part.correlation(), &|state| *state == ReceiptState::Delivered), "{states:?}");
    let unreachable = |state: &ReceiptState| matches!(state, ReceiptState::Failed(SendError::Unreachable { .. }));
    assert!(has(failing.correlation(), &unreachable), "{states:?}");
}

#[tokio::test]
async fn all_that_is_reported_is_understood() {
    let world = world("in_house").await;
    let hers = world.writes("hello");
    let act = |act: Act| world.control.act(ACCOUNT, "ann", act).unwrap();
    act(Act::Location { latitude: 48.2, longitude: 16.4, name: Some("Shop".into()), address: None });
    act(Act::Contact { name: "Ann".into(), phone: PHONE.into(), own: true });
    act(Act::Reaction { message_id: hers.clone(), emoji: Some("👍".into()) });
    act(Act::Edit { message_id: hers.clone(), text: "hello again".into() });
    act(Act::Delete { message_id: hers.clone() });
    act(Act::Button { message_id: hers.clone(), data: "csat:5".into(), text: Some("Good".into()) });
    act(Act::Echo { text: "from the app".into() });
    for media in ["image", "video", "audio", "voice", "document"] {
        act(Act::Media(MediaAct { media: media.into(), ..MediaAct::default() }));
    }
    world.control.act(ACCOUNT, "ann", Action::from(Act::Text { text: "this".into() }).reply_to(&hers)).unwrap();
    let items = world.heard();
    let unread: Vec<_> = items.iter().filter(|item| matches!(item.item, Item::Unsupported { .. })).collect();
    assert!(unread.is_empty(), "{unread:?}");
    let tap = items.iter().find(|item| item.openings.iter().any(|opening| opening.kind == "postback")).unwrap();
    assert!(matches!(&tap.item, Item::Message(message) if message.payload.as_deref() == Some("csat:5")));
    let addresses = &tap.person.as_ref().unwrap().addresses;
    assert_eq!(addresses.len(), 2, "her id and her number: {addresses:?}");
}

#[tokio::test]
async fn a_customers_file_can_be_fetched_within_the_limit() {
    let world = world("in_house").await;
    let act = MediaAct { media: "document".into(), base64: Some("YSBwaWN0dXJl".into()), ..MediaAct::default() };
    world.control.act(ACCOUNT, "ann", Act::Media(act)).unwrap();
    let Some(Item::Message(message)) = world.heard().pop().map(|item| item.item) else { panic!("no message") };
    let Body::Text { mut attachments, .. } = message.content.body else { panic!("no file") };
    let (file, channel) = (attachments.remove(0), world.channel());
    let media = channel.media().unwrap();
    assert_eq!(&media.download(&file, 1_000).await.unwrap().bytes[..], b"a picture");
    assert_eq!(media.download(&file, 5).await, Err(MediaError::TooLarge { max: 5 }));
}

/// The stage allows this machine alone: what else is inside of a network is not fetched, whoever signs the event.
#[tokio::test]
async fn a_file_inside_of_our_network_is_not_fetched() {
    let world = world("in_house").await;
    let channel = world.channel();
    for url in ["https://10.0.0.7/", "https://169.254.169.254/latest", "https://[fd00::1]/", "http://192.0.2.1/"] {
        let source = MediaSource::Platform { id: "f".into(), url: Some(url.into()), sha256: None };
        let file = Attachment { kind: MediaKind::Image, source, mime: None, file_name: None, size: None };
        let refused = channel.media().unwrap().download(&file, 1_000).await;
        assert!(matches!(refused, Err(MediaError::Unavailable(_))), "{url}: {refused:?}");
    }
    let inside = world.settings.clone().with("endpoint", "https://10.0.0.7/");
    let error = transom_http::Http.connect(&inside, &world.ports).unwrap_err();
    assert!(error.to_string().contains("outside.allow"), "{error}");
}

#[tokio::test]
async fn a_file_without_a_public_address_never_leaves() {
    let mut world = world("in_house").await;
    world.writes("hello");
    world.0.ports.media = std::sync::Arc::new(SampleFiles);
    let file: Attachment = SampleFiles::attachment(MediaKind::Image, "image/png");
    let content = Content { body: Body::Text { text: String::new(), attachments: vec![file] }, reply_to: None };
    let error = world.channel().send(&world.part("http", content)).await.unwrap_err();
    assert!(error.next_step() == NextStep::GiveUp && error.to_string().contains("public address"), "{error}");
    assert!(world.control.calls().is_empty());
}

#[tokio::test]
async fn the_account_says_what_it_may() {
    let world = world("in_house").await;
    world.patch(json!({"daily_messages": 1}));
    let AccountInfo { external_key, limits, .. } = world.channel().check().await.unwrap();
    assert_eq!((external_key.as_deref(), limits), (Some(ACCOUNT), vec![("daily_messages".to_owned(), Some(1))]));
    world.writes("hello");
    assert!(world.channel().send(&world.text("one")).await.is_ok());
    let error = world.channel().send(&world.text("two")).await.unwrap_err();
    assert_eq!(error.evidence(), Some(Evidence::QuotaReached { quota: Some("daily_messages".into()) }));
}
