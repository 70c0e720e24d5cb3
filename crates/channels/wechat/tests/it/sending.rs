//! Tokens that are shared, counts that end, files, and what arrives.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use time::Duration as Span;
use transom_channel::conformance::{SampleFiles, Tokens};
use transom_channel::{Item, MediaError, RawInbound, SendError};
use transom_domain::{Attachment, Body, Choice, Choices, Clock, Content, MediaKind, MediaSource};
use transom_sandbox::{AccountPatch, Act, Fault, FaultKind, MediaAct, On};

use crate::world::{ACCOUNT, World};

const PATIENCE: Duration = Duration::from_secs(10);

fn set(world: &World, settings: serde_json::Value) {
    let patch = AccountPatch { settings: Some(settings), ..AccountPatch::default() };
    world.control.patch_account(ACCOUNT, patch).unwrap();
}

fn picture() -> Content {
    let attachments = vec![SampleFiles::attachment(MediaKind::Image, "image/png")];
    Content { body: Body::Text { text: String::new(), attachments }, reply_to: None }
}

#[tokio::test]
async fn one_token_is_asked_for_and_another_when_its_time_is_over() {
    let world = World::new(PATIENCE).await;
    for round in 1..=3 {
        world.mara_writes("hello");
        // A second channel, as another replica has it, finds the same token.
        for channel in [world.channel(), world.channel()] {
            channel.send(&world.part(Content::text("As you wrote."))).await.unwrap();
        }
        assert_eq!(world.calls("stable_token"), round);
        world.clock.advance(Span::hours(2));
    }
}

#[tokio::test]
async fn a_token_that_was_replaced_is_renewed_and_the_message_can_be_tried_again() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    world.mara_writes("hello");
    channel.send(&world.part(Content::text("one"))).await.unwrap();
    set(&world, json!({"access_token": "another-one"}));
    let refused = channel.send(&world.part(Content::text("two"))).await.unwrap_err();
    assert!(matches!(refused, SendError::Temporary { .. }), "{refused:?}");
    channel.send(&world.part(Content::text("two"))).await.unwrap();
    let texts: Vec<String> = world.control.ledger().into_iter().map(|send| send.text).collect();
    assert_eq!(texts, ["one", "two"]);
}

/// Several sends fly with one token: whoever hears of its end after another has renewed it says nothing of the new one (2.1).
#[tokio::test]
async fn a_refusal_of_the_token_before_is_no_refusal_of_its_successor() {
    let mut world = World::new(PATIENCE).await;
    let tokens = Arc::new(Tokens::new(Arc::new(world.clock.clone())));
    world.ports.tokens = tokens.clone();
    let channel = world.channel();
    world.mara_writes("hello");
    channel.send(&world.part(Content::text("one"))).await.unwrap();
    let before = tokens.all().await;
    set(&world, json!({"access_token": "another-one"}));
    let refused = channel.send(&world.part(Content::text("two"))).await.unwrap_err();
    assert!(matches!(refused, SendError::Temporary { .. }), "{refused:?}");
    let renewed = world.calls("stable_token");
    tokens.look_back(before).await;
    let late = channel.send(&world.part(Content::text("three"))).await.unwrap_err();
    assert!(matches!(late, SendError::Temporary { .. }), "{late:?}");
    assert_eq!(world.calls("stable_token"), renewed, "and nothing is renewed once more");
    channel.send(&world.part(Content::text("three"))).await.unwrap();
}

/// "Repeated calls return the same token": one that is refused all the same is replaced by force, once.
#[tokio::test]
async fn a_token_that_is_refused_again_at_once_needs_a_person() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    world.mara_writes("hello");
    let refuse = || {
        world.control.fault(ACCOUNT, Fault::once(FaultKind::Error { code: 40_001, detail: None, asynchronous: false }))
    };
    refuse().unwrap();
    let refused = channel.send(&world.part(Content::text("one"))).await.unwrap_err();
    assert!(matches!(refused, SendError::Temporary { .. }), "{refused:?}");
    // The first token, the same again, and another by force.
    assert_eq!(world.calls("stable_token"), 3);
    refuse().unwrap();
    let refused = channel.send(&world.part(Content::text("one"))).await.unwrap_err();
    assert!(matches!(refused, SendError::AuthFailed { .. }), "{refused:?}");
    assert_eq!(world.calls("stable_token"), 3);
    channel.send(&world.part(Content::text("one"))).await.unwrap();
}

#[tokio::test]
async fn a_lost_token_sends_nothing_and_is_asked_for_again() {
    let world = World::new(PATIENCE).await;
    world.mara_writes("hello");
    world.control.fault(ACCOUNT, Fault { on: On::Any, ..Fault::once(FaultKind::Drop) }).unwrap();
    let channel = world.channel();
    let refused = channel.send(&world.part(Content::text("hello"))).await.unwrap_err();
    assert!(matches!(refused, SendError::Temporary { .. }), "{refused:?}");
    channel.send(&world.part(Content::text("hello"))).await.unwrap();
    assert_eq!(world.control.ledger().len(), 1);
}

#[tokio::test]
async fn the_21st_message_is_refused_by_the_count_and_the_sixth_where_it_is_five() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    for (limit, settings) in [(20, json!({})), (5, json!({"message_limit": 5}))] {
        set(&world, settings);
        world.mara_writes("hello");
        for number in 1..=limit {
            channel.send(&world.part(Content::text(number.to_string()))).await.unwrap();
        }
        let refused = channel.send(&world.part(Content::text("one more"))).await.unwrap_err();
        assert!(matches!(refused, SendError::QuotaReached { quota: None, .. }), "{refused:?}");
        world.clock.advance(Span::minutes(1));
    }
}

#[tokio::test]
async fn a_closed_window_is_told_from_a_customer_who_left() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    world.mara_writes("hello");
    world.clock.advance(Span::hours(48));
    let refused = channel.send(&world.part(Content::text("late"))).await.unwrap_err();
    assert!(matches!(refused, SendError::WindowClosed { .. }), "{refused:?}");
    world.does(Act::Block);
    let refused = channel.send(&world.part(Content::text("late"))).await.unwrap_err();
    assert!(matches!(refused, SendError::Unreachable { .. }), "{refused:?}");
    world.does(Act::Unblock);
    channel.send(&world.part(Content::text("welcome back"))).await.unwrap();
    world.does(Act::OptOut);
    let refused = channel.send(&world.part(Content::text("hello?"))).await.unwrap_err();
    assert!(matches!(refused, SendError::Blocked { .. }), "{refused:?}");
}

#[tokio::test]
async fn words_arrive_raw() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    world.mara_writes("hello");
    let text = "您的订单 4711 今天发货 🎉 \"<a href='https://e.com'>查看</a>\"\n\u{2028}谢谢";
    channel.send(&world.part(Content::text(text))).await.unwrap();
    assert_eq!(world.control.ledger()[0].text, text);
}

#[tokio::test]
async fn a_file_is_uploaded_once_and_again_when_it_is_gone() {
    let world = World::new(PATIENCE).await;
    let (channel, picture) = (world.channel(), picture());
    world.mara_writes("hello");
    for _ in 0..2 {
        channel.send(&world.part(picture.clone())).await.unwrap();
    }
    assert_eq!(world.calls("media/upload"), 1);
    let gone = FaultKind::Error { code: 40_007, detail: None, asynchronous: false };
    world.control.fault(ACCOUNT, Fault::once(gone)).unwrap();
    let refused = channel.send(&world.part(picture.clone())).await.unwrap_err();
    assert!(matches!(refused, SendError::Temporary { .. }), "{refused:?}");
    channel.send(&world.part(picture.clone())).await.unwrap();
    assert_eq!(world.calls("media/upload"), 2);
    world.clock.advance(Span::days(3));
    world.mara_writes("again");
    channel.send(&world.part(picture)).await.unwrap();
    assert_eq!((world.calls("media/upload"), world.control.ledger().len()), (3, 4));
}

#[tokio::test]
async fn an_item_of_a_menu_message_comes_back_as_its_answer() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    world.mara_writes("hello");
    let yes = Choice { id: "101".into(), title: "yes".into(), description: None, url: None };
    let choices = Choices { text: "Solved?".into(), header: None, footer: None, buttons: vec![yes], list: None };
    channel.send(&world.part(Content { body: Body::Choices(choices), reply_to: None })).await.unwrap();
    let sent =
        world.control.conversations().into_iter().flat_map(|chat| chat.entries).find(|one| one.kind == "msgmenu");
    world.does(Act::Button { message_id: sent.unwrap().id, data: "101".into(), text: None });
    let told = world.control.deliveries().pop().unwrap();
    let document: String = serde_json::from_str(told.body.get()).unwrap();
    let items = channel.parse(&RawInbound::new(document, world.clock.now())).unwrap();
    let Item::Message(message) = &items[0].item else { panic!("{items:?}") };
    assert_eq!((message.payload.as_deref(), &message.content), (Some("101"), &Content::text("yes")));
    assert_eq!(items[0].openings[0].kind, "menu_click");
}

#[tokio::test]
async fn customers_files_are_fetched_films_by_their_address() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    for (kind, mime) in [("image", "image/jpeg"), ("video", "video/mp4")] {
        world.does(Act::Media(MediaAct { media: kind.into(), ..MediaAct::default() }));
        let told = world.control.deliveries().pop().unwrap();
        let document: String = serde_json::from_str(told.body.get()).unwrap();
        let items = channel.parse(&RawInbound::new(document, world.clock.now())).unwrap();
        let Item::Message(message) = &items[0].item else { panic!("{items:?}") };
        let Body::Text { attachments, .. } = &message.content.body else { panic!("no file") };
        let file = channel.media().unwrap().download(&attachments[0], 1 << 20).await.unwrap();
        assert_eq!(file.mime, mime);
        assert!(!file.bytes.is_empty());
        let small = channel.media().unwrap().download(&attachments[0], 4).await;
        assert!(matches!(small, Err(MediaError::TooLarge { max: 4 })), "{small:?}");
        world.clock.advance(Span::days(3));
        assert_eq!(channel.media().unwrap().download(&attachments[0], 1 << 20).await, Err(MediaError::NotFound));
    }
    let stranger = Attachment {
        kind: MediaKind::Image,
        source: MediaSource::Platform { id: "nobody's".into(), url: None, sha256: None },
        mime: None,
        file_name: None,
        size: None,
    };
    assert_eq!(channel.media().unwrap().download(&stranger, 1 << 20).await, Err(MediaError::NotFound));
}

#[tokio::test]
async fn a_profile_has_what_the_account_noted() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    world.mara_writes("hello");
    let profile = channel.profiles().unwrap().fetch(&world.mara).await.unwrap();
    assert_eq!((profile.name, profile.picture_url), (None, None));
}

#[tokio::test]
async fn a_service_account_sends_notices_to_its_followers() {
    let world = World::new(PATIENCE).await;
    let refused = world.channel().templates().unwrap().list().await.unwrap_err();
    assert!(matches!(refused, SendError::AccountStopped { .. }), "no other account has templates: {refused:?}");
    let template = world.template().await;
    world.mara_writes("hello");
    world.clock.advance(Span::days(30));

    let (channel, part) = (world.channel(), world.notice(template.clone()));
    let before = world.control.deliveries().len();
    let id = channel.send(&part).await.unwrap().provider_id.unwrap();
    let taken = world.control.ledger();
    assert_eq!((taken[0].kind.as_str(), taken[0].text.as_str()), ("template", "订单通知\n订单:4711"));
    assert_eq!(taken[0].body["data"], json!({"thing1": {"value": "4711"}}));
    assert_eq!(taken[0].body["client_msg_id"].as_str().map(str::len), Some(32));
    // The receipt names it.
    let call = world.control.deliveries()[before].body.get().to_owned();
    let call: String = serde_json::from_str(&call).unwrap_or(call);
    let told = channel.parse(&RawInbound::new(call, world.clock.now())).unwrap();
    assert!(
        matches!(&told[0].item, Item::Receipt { of: transom_channel::ReceiptFor::Message { provider_id, .. }, .. }
        if *provider_id == id),
        "{told:?}"
    );

    // The same part again is dropped there, and not forgotten here: both say for how long.
    assert_eq!(channel.send(&part).await.unwrap().provider_id, Some(id));
    assert_eq!(world.control.ledger().len(), 1);
    assert_eq!(channel.dedupes_for(part.permit()), Some(Span::minutes(10)));
    assert_eq!(channel.dedupes_for(world.part(Content::text("x")).permit()), None);

    // Who left gets nothing, and a template that is gone is said to be.
    world.does(Act::Block);
    let refused = channel.send(&world.notice(template)).await.unwrap_err();
    assert!(matches!(refused, SendError::Unreachable { .. }), "{refused:?}");
}

/// "Unsubscribe: close all" (4.4): both sides give whoever follows again no older window.
#[tokio::test]
async fn who_follows_again_has_no_older_window() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    world.mara_writes("hello");
    for act in [Act::Block, Act::Unblock] {
        world.clock.advance(Span::hours(1));
        world.does(act);
    }
    let calls = world.control.deliveries().into_iter().map(|delivery| delivery.body.get().to_owned());
    let calls = calls.map(|call| serde_json::from_str::<String>(&call).unwrap_or(call));
    let told: Vec<_> =
        calls.flat_map(|call| channel.parse(&RawInbound::new(call, world.clock.now())).unwrap()).collect();
    assert_eq!(world.grants_after(&told), ["interaction"]);
    let ask = transom_sandbox::Ask::free_form();
    let verdict = serde_json::to_value(world.control.would_accept(ACCOUNT, "mara", &ask).unwrap()).unwrap();
    assert_eq!((&verdict["allowed"], &verdict["quota"]["limit"]), (&json!(true), &json!(3)), "{verdict}");
    world.clock.advance(Span::minutes(2));
    assert_eq!(world.grants_after(&told), Vec::<String>::new());
    let refused = channel.send(&world.part(Content::text("still there?"))).await.unwrap_err();
    assert!(matches!(refused, SendError::WindowClosed { .. }), "{refused:?}");
}
