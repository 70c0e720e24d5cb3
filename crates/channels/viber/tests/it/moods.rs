//! The platform's moods: what the channel makes of them.

use std::time::Duration;

use serde_json::json;
use transom_channel::conformance::SampleFiles;
use transom_channel::{
    Answer, Evidence, Item, MediaError, NextStep, Platform, Ports, ReceiptFor, ReceiptState, SendError, SettingValues,
    Standing, WebhookCall,
};
use transom_domain::{Attachment, Body, Content, MediaKind, MediaSource};
use transom_sandbox::{Act, Fault, FaultKind, MediaAct, Progress, ReceiptOrder};
use transom_viber::Viber;

use crate::conformance::signature;
use crate::world::{ANN, BOT, World};

async fn world() -> World {
    World::new(Duration::from_secs(10)).await
}

#[tokio::test]
async fn a_message_says_how_it_was_counted() {
    let world = world().await;
    world.writes("hello");
    let bot = world.channel();
    let billing = async |text: &str| bot.send(&world.text(text)).await.unwrap().billing.unwrap();
    assert_eq!(billing("in the session").await, "in session");
    world.control.advance(time::Duration::hours(24));
    assert_eq!(billing("after it").await, "out of session, free");
    world.patch(json!({"billable": true}));
    assert_eq!(billing("after it").await, "out of session, free, commercial");
    world.patch(json!({"free_messages": 2}));
    assert_eq!(billing("after it").await, "out of session, paid");
    world.writes("me again");
    assert_eq!(billing("in the next session").await, "in session, commercial");
}

#[tokio::test]
async fn the_10001st_message_of_a_month_waits_for_the_next() {
    let world = world().await;
    world.writes("hello");
    world.control.advance(time::Duration::hours(25));
    world.patch(json!({"used_before": 9_999}));
    let bot = world.channel();
    assert!(bot.send(&world.text("the 10,000th")).await.is_ok());
    let error = bot.send(&world.text("the 10,001st")).await.unwrap_err();
    assert_eq!(error.evidence(), Some(Evidence::QuotaReached { quota: Some("monthly_free".to_owned()) }));
    assert_eq!(error.next_step(), NextStep::DecideAgain);
    // A session is not touched by it, and the month turns.
    world.writes("are you there?");
    assert!(bot.send(&world.text("in session")).await.is_ok());
    world.control.advance(time::Duration::days(32));
    assert!(bot.send(&world.text("next month")).await.is_ok());
}

#[tokio::test]
async fn an_empty_balance_is_a_quota() {
    let world = world().await;
    world.writes("hello");
    world.control.advance(time::Duration::hours(25));
    world.patch(json!({"billable": true, "balance": 1, "free_messages": 0}));
    let bot = world.channel();
    assert!(bot.send(&world.text("paid")).await.is_ok());
    let error = bot.send(&world.text("not paid")).await.unwrap_err();
    assert_eq!(error.evidence(), Some(Evidence::QuotaReached { quota: None }));
}

#[tokio::test]
async fn whoever_unsubscribed_can_not_be_reached_until_they_are_back() {
    let world = world().await;
    let bot = world.channel();
    let unknown = bot.send(&world.text("hello?")).await.unwrap_err();
    assert_eq!(unknown.code(), "unreachable");
    world.writes("hello");
    assert!(bot.send(&world.text("hello")).await.is_ok());
    world.control.act(BOT, "ann", Act::OptOut).unwrap();
    assert_eq!(bot.send(&world.text("bye")).await.unwrap_err().code(), "unreachable");
    world.control.act(BOT, "ann", Act::OptIn).unwrap();
    assert!(bot.send(&world.text("welcome back")).await.is_ok());
    let standings: Vec<_> = world
        .heard()
        .into_iter()
        .filter_map(|item| if let Item::Standing(standing) = item.item { Some(standing) } else { None })
        .collect();
    assert_eq!(standings, [Standing::Unsubscribed, Standing::Subscribed]);
}

#[tokio::test]
async fn a_hundred_unanswered_messages_an_hour_are_enough() {
    let world = world().await;
    world.patch(json!({"pacing": true}));
    world.writes("hello");
    let bot = world.channel();
    for n in 0..100 {
        assert!(bot.send(&world.text(&format!("{n}"))).await.is_ok());
    }
    let error = bot.send(&world.text("one more")).await.unwrap_err();
    assert!(matches!(error, SendError::RateLimited { retry_after_ms: None, .. }), "{error:?}");
    world.writes("stop!");
    assert!(bot.send(&world.text("sorry")).await.is_ok());
}

#[tokio::test]
async fn receipts_come_back_under_the_tokens_of_the_answers() {
    let world = world().await;
    world.writes("hello");
    let sent = world.channel().send(&world.text("hi")).await.unwrap().provider_id.unwrap();
    assert!(sent.parse::<u64>().unwrap() > 1 << 53);
    let order = |status| ReceiptOrder::new(&sent, status);
    world.control.receipt(BOT, &order(Progress::Delivered)).unwrap();
    world.control.receipt(BOT, &order(Progress::Read)).unwrap();
    let refused = world.control.fault(
        BOT,
        Fault::once(FaultKind::Error { code: 3, detail: Some("message validation failed".into()), asynchronous: true }),
    );
    refused.unwrap();
    let failing = world.channel().send(&world.text("odd")).await.unwrap().provider_id.unwrap();
    world.control.idle(Duration::from_millis(300)).await;
    let states: Vec<_> = world
        .heard()
        .into_iter()
        .filter_map(|item| match item.item {
            Item::Receipt { of: ReceiptFor::Message { provider_id, .. }, state } => {
                Some((provider_id, state.delivery_state()))
            }
            _ => None,
        })
        .collect();
    let has = |id: &str, state: &ReceiptState| states.contains(&(id.to_owned(), state.delivery_state()));
    assert!(has(&sent, &ReceiptState::Delivered) && has(&sent, &ReceiptState::Read), "{states:?}");
    let failed = SendError::OutcomeUnknown { detail: String::new() };
    assert!(has(&failing, &ReceiptState::Failed(failed)), "{states:?}");
}

/// Calls the channel as Viber does.
fn called(world: &World, body: &str) -> Answer {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-viber-content-signature", signature(body.as_bytes()).parse().unwrap());
    let (method, url) = (http::Method::POST, "https://transom.example/webhooks/1".parse().unwrap());
    let (body, received_at) = (body.to_owned().into(), world.ports.clock.now());
    let settings = world.settings.clone().with("welcome_text", "Welcome to the shop!");
    let call = WebhookCall { method: &method, url: &url, headers: &headers, body: &body, received_at };
    Viber.connect(&settings, &world.ports).unwrap().verify(&call).unwrap()
}

/// A signature that was made elsewhere (viber.md 4.2): the token signs as it is, with its dashes.
#[test]
fn the_vector_is_ours() {
    const BODY: &str = r#"{"event":"message","timestamp":1767225600123,"message_token":5098034272017990001,"sender":{"id":"uQ7vYdExample0001aA=="},"message":{"type":"text","text":"Hello"}}"#;
    let settings = SettingValues::default()
        .with("auth_token", "4453b6ac12345678-e02c5f12174805f9-daec9cbb5448c51f")
        .with("bot_id", "pa:1")
        .with("sender_name", "Shop");
    let channel = Viber.connect(&settings, &Ports::system().unwrap()).unwrap();
    let judged = |proof: &str| {
        let headers =
            http::HeaderMap::from_iter([("x-viber-content-signature".parse().unwrap(), proof.parse().unwrap())]);
        let (method, url) = (http::Method::POST, "https://transom.example/webhooks/1".parse().unwrap());
        let (body, received_at) = (BODY.into(), time::OffsetDateTime::UNIX_EPOCH);
        let call = WebhookCall { method: &method, url: &url, headers: &headers, body: &body, received_at };
        channel.verify(&call).map(|answer| answer.status)
    };
    assert_eq!(judged("8dd5bc0bdd3372ba8f89cb815c1960bdb1baaf9e102ed20d109cc4bd94109863"), Ok(200));
    assert!(judged("9dd5bc0bdd3372ba8f89cb815c1960bdb1baaf9e102ed20d109cc4bd94109863").is_err());
}

#[tokio::test]
async fn an_opened_chat_is_answered_with_the_welcome() {
    let world = world().await;
    world.control.act(BOT, "ann", Act::Start { payload: Some("promo-7".into()) }).unwrap();
    let event = world.control.deliveries().pop().unwrap();
    let answer = called(&world, event.body.get());
    assert!(answer.journal && answer.status == 200 && answer.content_type == "application/json", "{answer:?}");
    let welcome: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let expected = json!({"type": "text", "text": "Welcome to the shop!", "min_api_version": 1,
        "sender": {"name": "Acme Support"}});
    assert_eq!(welcome, expected, "no receiver");
    // Any other event hears nothing.
    world.writes("hello");
    let event = world.control.deliveries().pop().unwrap();
    assert_eq!(called(&world, event.body.get()), Answer::accepted());
}

#[tokio::test]
async fn the_agents_name_stands_above_the_message() {
    let world = world().await;
    world.writes("hello");
    let bot = world.channel();
    let name = |body: &serde_json::Value| body["sender"]["name"].as_str().unwrap().to_owned();
    bot.send(&world.text("hi")).await.unwrap();
    bot.send(&world.text("hi").signed(Some("Jo of the very long named department".into()))).await.unwrap();
    let names: Vec<String> = world.control.ledger().iter().map(|send| name(&send.body)).collect();
    assert_eq!(names, ["Acme Support", "Jo of the very long named de"]);
}

#[tokio::test]
async fn a_file_without_a_public_address_never_leaves() {
    let mut world = world().await;
    world.writes("hello");
    let file = SampleFiles::attachment(MediaKind::Document, "application/pdf");
    let content = Content { body: Body::Text { text: String::new(), attachments: vec![file] }, reply_to: None };
    let receipt = world.channel().send(&world.part(content.clone())).await;
    assert!(receipt.is_ok(), "{receipt:?}");
    let sent = world.control.ledger().pop().unwrap().body;
    assert_eq!((&sent["type"], &sent["file_name"], &sent["size"]), (&json!("file"), &json!("sample.pdf"), &json!(15)));

    world.0.ports.media = std::sync::Arc::new(SampleFiles);
    let error = world.channel().send(&world.part(content)).await.unwrap_err();
    assert!(error.next_step() == NextStep::GiveUp && error.to_string().contains("public address"), "{error}");
    assert_eq!(world.control.ledger().len(), 1);
}

#[tokio::test]
async fn a_size_that_nobody_stated_is_measured() {
    let world = world().await;
    world.writes("hello");
    let film = Attachment { size: None, ..SampleFiles::attachment(MediaKind::Video, "video/mp4") };
    let content = Content { body: Body::Text { text: String::new(), attachments: vec![film] }, reply_to: None };
    world.channel().send(&world.part(content)).await.unwrap();
    assert_eq!(world.control.ledger().pop().unwrap().body["size"], 24);
}

#[tokio::test]
async fn a_customers_file_can_be_fetched_within_the_limit() {
    let world = world().await;
    let act = MediaAct {
        media: "document".into(),
        file_name: Some("box.raw".into()),
        base64: Some("YSBwaWN0dXJl".into()),
        ..MediaAct::default()
    };
    world.control.act(BOT, "ann", Act::Media(act)).unwrap();
    let Some(Item::Message(message)) = world.heard().pop().map(|item| item.item) else { panic!("no message") };
    let Body::Text { mut attachments, .. } = message.content.body else { panic!("no file") };
    let (file, channel) = (attachments.remove(0), world.channel());
    let media = channel.media().unwrap();
    let bytes = media.download(&file, 1_000).await.unwrap();
    assert_eq!((&bytes.bytes[..], bytes.file_name.as_deref()), (&b"a picture"[..], Some("box.raw")));
    assert_eq!(media.download(&file, 5).await, Err(MediaError::TooLarge { max: 5 }));
    let elsewhere = |url: &str| Attachment {
        source: MediaSource::Platform { id: "1".into(), url: Some(url.to_owned()), sha256: None },
        ..file.clone()
    };
    let plain = media.download(&elsewhere("http://127.0.0.1:9/private"), 5).await;
    assert!(matches!(plain, Err(MediaError::Unavailable(_))), "only https leaves the platform's own address");
}

#[tokio::test]
async fn a_profile_can_be_asked_for_twice_in_half_a_day() {
    let world = world().await;
    world.writes("hello");
    let bot = world.channel();
    let profiles = bot.profiles().unwrap();
    for _ in 0..2 {
        assert_eq!(profiles.fetch(&world.identity).await.unwrap().name.as_deref(), Some("Ann Lee"));
    }
    assert_eq!(profiles.fetch(&world.identity).await.unwrap_err().code(), "rate_limited");
}

#[tokio::test]
async fn the_bot_says_who_it_is() {
    let info = world().await.channel().check().await.unwrap();
    assert_eq!((info.name.as_deref(), info.external_key.as_deref()), (Some("Shop"), Some(BOT)));
}

#[tokio::test]
async fn an_unknown_refusal_is_tried_again_and_says_nothing_about_the_person() {
    let world = world().await;
    world.writes("hello");
    let detail = Some(format!("\"private words\" for {ANN}"));
    world.control.fault(BOT, Fault::once(FaultKind::Error { code: 77, detail, asynchronous: false })).unwrap();
    let error = world.channel().send(&world.text("private words")).await.unwrap_err();
    assert_eq!((error.evidence(), error.next_step()), (None, NextStep::Retry { after: None }));
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("private words") && !shown.contains(ANN), "{shown}");
}
