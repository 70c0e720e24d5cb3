//! The platform's refusals, files, profiles and updates, against the sandbox.

use std::time::Duration;

use base64::Engine as _;
use serde_json::json;
use transom_channel::conformance::SampleFiles;
use transom_channel::{Channel, Evidence, Item, MediaError, NextStep, RawInbound, SendError, Standing};
use transom_domain::{Attachment, Body, Choice, Choices, Content, MediaKind, MediaSource, Reaction};
use transom_sandbox::{Act, Action, Fault, FaultKind, MediaAct};

use crate::world::{ANN, BOT, CONNECTION, World};

async fn world() -> World {
    World::new(Duration::from_secs(10)).await
}

/// What the bot was told, read by the channel.
fn heard(world: &World, channel: &dyn Channel) -> Vec<transom_channel::Inbound> {
    let deliveries = world.control.deliveries();
    let raw = deliveries.iter().map(|one| RawInbound::new(one.body.get().to_owned(), world.control.now()));
    raw.flat_map(|raw| channel.parse(&raw).unwrap()).collect()
}

#[tokio::test]
async fn who_never_started_the_bot_is_unreachable_until_they_write() {
    let world = world().await;
    let error = world.channel().send(&world.text("hello")).await.unwrap_err();
    assert!(matches!(error.evidence(), Some(Evidence::Unreachable { .. })), "{error:?}");
    world.ann_writes("/start", None);
    assert!(world.channel().send(&world.text("hello")).await.is_ok());
}

#[tokio::test]
async fn a_block_is_told_both_ways() {
    let world = world().await;
    world.ann_writes("hello", None);
    world.control.act(BOT, "ann", Act::Block).unwrap();
    let error = world.channel().send(&world.text("hello")).await.unwrap_err();
    assert_eq!((error.evidence(), error.next_step()), (Some(Evidence::Blocked), NextStep::GiveUp));
    world.control.act(BOT, "ann", Act::Unblock).unwrap();
    let standings = heard(&world, &*world.channel()).into_iter().filter_map(|item| match item.item {
        Item::Standing(standing) => Some(standing),
        _ => None,
    });
    assert_eq!(standings.collect::<Vec<_>>(), [Standing::Blocked, Standing::Unblocked]);
    assert!(world.channel().send(&world.text("welcome back")).await.is_ok());
}

#[tokio::test]
async fn a_deleted_account_is_unreachable() {
    let world = world().await;
    world.ann_writes("hello", None);
    world.control.act(BOT, "ann", Act::Deactivate).unwrap();
    let error = world.channel().send(&world.text("hello")).await.unwrap_err();
    assert!(matches!(error, SendError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn an_owners_window_closes_after_a_day_and_opens_with_the_next_message() {
    let world = world().await;
    let part = || world.part("telegram_business", ("message", None), Content::text("on it"));
    world.ann_writes("hello", Some(CONNECTION));
    assert!(world.business().send(&part()).await.is_ok());
    world.control.advance(time::Duration::hours(25));
    // Our own clock says open: the platform knows better.
    let error = world.business().send(&part()).await.unwrap_err();
    assert_eq!((error.evidence(), error.next_step()), (Some(Evidence::WindowClosed), NextStep::DecideAgain));
    world.ann_writes("still there?", Some(CONNECTION));
    assert!(world.business().send(&part()).await.is_ok());
    let sends = world.control.ledger();
    assert!(sends.iter().all(|send| send.via.as_deref() == Some(CONNECTION)), "{sends:?}");
}

#[tokio::test]
async fn an_owner_who_takes_the_right_back_stops_the_account() {
    let world = world().await;
    assert_eq!(world.business().check().await.unwrap().external_key.as_deref(), Some(CONNECTION));
    let changed = json!({"id": CONNECTION, "owner": "owner", "can_reply": false});
    world.control.platform(BOT, "business_connection", changed).await.unwrap();
    let error = world.business().check().await.unwrap_err();
    assert_eq!(error.next_step(), NextStep::Reconnect, "{error:?}");
    let last = heard(&world, &*world.channel()).pop().unwrap();
    assert_eq!(last.account, CONNECTION);
    let Item::AccountNotice(notice) = last.item else { panic!("{last:?}") };
    let revoked = transom_channel::AccountEffect::Feature { name: "revoked".into(), granted: true };
    assert_eq!(notice.effect, Some(revoked));
}

#[tokio::test]
async fn a_join_request_is_answered_in_the_chat_that_it_names() {
    let world = world().await;
    let group = world.control.platform(BOT, "group", json!({"title": "Buyers", "type": "supergroup"})).await.unwrap();
    let act = Act::Other { kind: "chat_join_request".into(), data: json!({"chat": group["id"]}) };
    world.control.act(BOT, "ann", act).unwrap();
    let opening = heard(&world, &*world.channel()).into_iter().flat_map(|item| item.openings).next().unwrap();
    let reference = opening.reference.as_deref();
    assert_eq!((opening.kind.as_str(), reference), ("join_request", Some(ANN)));
    let part = world.part("telegram", ("join_request", reference), Content::text("Why do you want to join?"));
    assert_eq!(world.channel().send(&part).await.unwrap().provider_id.unwrap().split(':').next(), reference);
}

#[tokio::test]
async fn an_unknown_refusal_gives_up_and_says_nothing_about_the_person() {
    let world = world().await;
    world.ann_writes("hello", None);
    let detail = Some("Bad Request: chat 700100200 says \"private words\"".to_owned());
    let kind = FaultKind::Error { code: 400, detail, asynchronous: false };
    world.control.fault(BOT, Fault::once(kind)).unwrap();
    let error = world.channel().send(&world.text("private words")).await.unwrap_err();
    assert_eq!((error.evidence(), error.next_step()), (None, NextStep::GiveUp));
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("private words") && !shown.contains(ANN), "{shown}");
}

#[tokio::test]
async fn a_files_bytes_arrive_as_they_are() {
    let world = world().await;
    world.ann_writes("hello", None);
    let file = SampleFiles::attachment(MediaKind::Document, "application/pdf");
    let content = Content { body: Body::Text { text: "Your invoice".into(), attachments: vec![file] }, reply_to: None };
    world.channel().send(&world.part("telegram", ("message", None), content)).await.unwrap();
    let send = world.control.ledger().pop().unwrap();
    assert_eq!((send.kind.as_str(), send.text.as_str()), ("document", "Your invoice"));
    assert_eq!(
        (&send.body["document"]["file_name"], &send.body["document"]["mime_type"]),
        (&json!("sample.pdf"), &json!("application/pdf"))
    );
}

#[tokio::test]
async fn a_file_that_is_gone_never_leaves() {
    let world = world().await;
    world.ann_writes("hello", None);
    let gone = Attachment {
        source: MediaSource::Stored { id: "00000000-0000-0000-ffff-000000000000".parse().unwrap() },
        ..SampleFiles::attachment(MediaKind::Image, "image/png")
    };
    let content = Content { body: Body::Text { text: String::new(), attachments: vec![gone] }, reply_to: None };
    let error = world.channel().send(&world.part("telegram", ("message", None), content)).await.unwrap_err();
    assert!(matches!(error, SendError::ContentRefused { .. }), "{error:?}");
    assert!(world.control.calls().is_empty());
}

/// Ann sends a photo; how the channel reads it.
fn photo(world: &World, bytes: &[u8]) -> Attachment {
    let base64 = Some(base64::engine::general_purpose::STANDARD.encode(bytes));
    let act = Act::Media(MediaAct {
        media: "document".into(),
        mime: Some("image/x-raw".into()),
        file_name: Some("box.raw".into()),
        base64,
        ..MediaAct::default()
    });
    world.control.act(BOT, "ann", act).unwrap();
    let items = heard(world, &*world.channel());
    let Some(Item::Message(message)) = items.into_iter().map(|item| item.item).next_back() else {
        panic!("no message")
    };
    let Body::Text { mut attachments, .. } = message.content.body else { panic!("no file") };
    attachments.remove(0)
}

#[tokio::test]
async fn a_customers_file_can_be_fetched_within_the_limit() {
    let world = world().await;
    let file = photo(&world, b"a picture of a broken box");
    let channel = world.channel();
    let media = channel.media().unwrap();
    let bytes = media.download(&file, 1_000).await.unwrap();
    assert_eq!((&bytes.bytes[..], bytes.mime.as_str()), (&b"a picture of a broken box"[..], "image/x-raw"));
    assert_eq!(bytes.file_name.as_deref(), Some("box.raw"));
    assert_eq!(media.download(&file, 10).await, Err(MediaError::TooLarge { max: 10 }));
    let unknown = MediaSource::Platform { id: "BQACnothing".into(), url: None, sha256: None };
    assert_eq!(media.download(&Attachment { source: unknown, ..file }, 1_000).await, Err(MediaError::NotFound));
}

#[tokio::test]
async fn a_profile_can_be_asked_for() {
    let world = world().await;
    world.ann_writes("hello", None);
    let profile = world.channel().profiles().unwrap().fetch(&world.identity).await.unwrap();
    assert_eq!(profile.name.as_deref(), Some("Ann Lee"));
    assert_eq!(profile.picture_url, None, "its address would hold the token");
}

#[tokio::test]
async fn the_bot_says_who_it_is() {
    let world = world().await;
    let info = world.channel().check().await.unwrap();
    assert_eq!((info.name.as_deref(), info.external_key.as_deref()), (Some("@shop_bot"), Some(BOT)));
}

#[tokio::test]
async fn updates_are_pulled_once_each() {
    let world = World::new(Duration::from_secs(30)).await;
    let settings = world.settings.clone().with("updates", "poll");
    let channel = transom_channel::Platform::connect(&transom_telegram::Telegram, &settings, &world.ports).unwrap();
    let pull = channel.pull().unwrap();
    assert!(world.channel().pull().is_none(), "a webhook is the default");
    let texts = |raw: &[RawInbound]| -> Vec<String> {
        let items = raw.iter().flat_map(|raw| channel.parse(raw).unwrap());
        items
            .filter_map(|item| if let Item::Message(m) = item.item { Some(m.content.preview()) } else { None })
            .collect()
    };

    world.ann_writes("one", None);
    world.ann_writes("two", None);
    let (raw, cursor) = pull.next(None).await.unwrap();
    assert_eq!(texts(&raw), ["one", "two"]);
    // Not stored: it comes again.
    let (raw, again) = pull.next(None).await.unwrap();
    assert_eq!((texts(&raw), &again), (vec!["one".to_owned(), "two".to_owned()], &cursor));
    pull.done(&cursor).await.unwrap();
    world.ann_writes("three", None);
    let (raw, _) = pull.next(Some(&cursor)).await.unwrap();
    assert_eq!(texts(&raw), ["three"]);
}

#[tokio::test]
async fn a_tap_that_is_pulled_is_answered() {
    let world = World::new(Duration::from_secs(30)).await;
    let settings = world.settings.clone().with("updates", "poll");
    let channel = transom_channel::Platform::connect(&transom_telegram::Telegram, &settings, &world.ports).unwrap();
    world.ann_writes("hello", None);
    let buttons = vec![Choice { id: "yes".into(), title: "Yes".into(), description: None, url: None }];
    let question = Choices { text: "Was it good?".into(), header: None, footer: None, buttons, list: None };
    let content = Content { body: Body::Choices(question), reply_to: None };
    let ours = channel.send(&world.part("telegram", ("message", None), content)).await.unwrap().provider_id.unwrap();
    world.control.act(BOT, "ann", Act::Button { message_id: ours, data: "yes".into(), text: None }).unwrap();
    let pull = channel.pull().unwrap();
    let pulled = pull.next(None).await.unwrap();
    // What was not stored comes again, and is answered again: that is refused, and hurts nobody.
    assert_eq!(pull.next(None).await.unwrap().0.len(), pulled.0.len());
    let calls = world.control.calls();
    let answers = calls.iter().filter(|call| call.path.to_ascii_lowercase().ends_with("/answercallbackquery"));
    assert_eq!(answers.map(|call| call.status).collect::<Vec<_>>(), [Some(200), Some(400)]);
}

#[tokio::test]
async fn a_bot_with_a_webhook_can_not_be_polled() {
    let world = world().await;
    let patch = serde_json::from_value(json!({"webhook_url": "http://127.0.0.1:9/hook"})).unwrap();
    world.control.patch_account(BOT, patch).unwrap();
    let settings = world.settings.clone().with("updates", "poll");
    let channel = transom_channel::Platform::connect(&transom_telegram::Telegram, &settings, &world.ports).unwrap();
    let error = channel.pull().unwrap().next(None).await.unwrap_err();
    assert!(matches!(error, SendError::AccountStopped { .. }), "{error:?}");
}

#[tokio::test]
async fn all_that_the_platform_reports_is_understood() {
    let world = world().await;
    let channel = world.channel();
    let question = Choices {
        text: "How was it?".into(),
        header: None,
        footer: None,
        buttons: vec![Choice { id: "csat:5".into(), title: "Good".into(), description: None, url: None }],
        list: None,
    };
    let hers = world.ann_writes("hello", None);
    let content = Content { body: Body::Choices(question), reply_to: Some(hers.clone()) };
    let ours = channel.send(&world.part("telegram", ("message", None), content)).await.unwrap().provider_id.unwrap();
    let act = |act: Act| world.control.act(BOT, "ann", act).unwrap();
    act(Act::Button { message_id: ours.clone(), data: "csat:5".into(), text: None });
    act(Act::Reaction { message_id: ours.clone(), emoji: Some("👍".into()) });
    act(Act::Edit { message_id: hers.clone(), text: "hello again".into() });
    act(Act::Location { latitude: 48.2, longitude: 16.4, name: Some("Shop".into()), address: Some("1 Square".into()) });
    act(Act::Contact { name: "Ann".into(), phone: "+15005550006".into(), own: true });
    world.control.act(BOT, "ann", Action::from(Act::Text { text: "this one".into() }).reply_to(&ours)).unwrap();
    for media in ["image", "video", "audio", "voice", "document", "sticker", "animation", "video_note"] {
        act(Act::Media(MediaAct { media: media.into(), ..MediaAct::default() }));
    }
    world.ann_writes("to the owner", Some(CONNECTION));
    world.control.act(BOT, "ann", Action::from(Act::Echo { text: "the owner".into() }).via(CONNECTION)).unwrap();

    let items = heard(&world, &*channel);
    let unread: Vec<_> = items.iter().filter(|item| matches!(item.item, Item::Unsupported { .. })).collect();
    assert!(unread.is_empty(), "{unread:?}");
    let said = |wanted: &str| {
        items.iter().find(|item| matches!(&item.item, Item::Message(m) if m.content.preview() == wanted))
    };
    let tap = said("Good").unwrap();
    let Item::Message(tap) = &tap.item else { panic!() };
    assert_eq!((tap.payload.as_deref(), tap.content.reply_to.as_deref()), (Some("csat:5"), Some(ours.as_str())));
    let Item::Message(quote) = &said("this one").unwrap().item else { panic!() };
    assert_eq!(quote.content.reply_to.as_deref(), Some(ours.as_str()));
    assert!(items.iter().any(|item| item.item == Item::Reaction { to: ours.clone(), emoji: Some("👍".into()) }));
    assert!(
        items.iter().any(|item| item.item == Item::Edit { of: hers.clone(), content: Content::text("hello again") })
    );
    assert_eq!(said("to the owner").unwrap().account, CONNECTION);
    assert!(items.iter().any(|item| matches!(item.item, Item::Echo { .. }) && item.openings.is_empty()));
}

#[tokio::test]
async fn a_reaction_stands_at_the_message() {
    let world = world().await;
    let hers = world.ann_writes("hello", None);
    let reaction = Body::Reaction(Reaction { to: hers.clone(), emoji: Some("👍".into()) });
    let content = Content { body: reaction, reply_to: None };
    let receipt = world.channel().send(&world.part("telegram", ("message", None), content)).await.unwrap();
    assert_eq!(receipt.provider_id, None, "a reaction is no message");
    let entries = world.control.conversations().into_iter().flat_map(|conversation| conversation.entries);
    let reactions: Vec<_> = entries.flat_map(|entry| entry.reactions.into_values()).collect();
    assert_eq!(reactions, ["👍"]);
}
