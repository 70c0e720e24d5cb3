//! The platform's moods: replies and pushes, retry keys, the month, and what was learnt of customers.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use transom_channel::conformance::SampleFiles;
use transom_channel::{
    AccountEffect, AccountNotice, Channel, Inbound, Item, MediaError, NextStep, RawInbound, SendError, Standing,
};
use transom_domain::{Attachment, Body, Choice, Choices, Clock as _, Content, MediaKind, MediaSource};
use transom_sandbox::{AccountPatch, Act, Action, Fault, FaultKind, MediaAct, On};

use crate::world::{AKI, BOT, World};

async fn world() -> World {
    World::new(Duration::from_secs(30)).await
}

fn heard(world: &World, channel: &dyn Channel) -> Vec<Inbound> {
    channel.parse(&world.newest()).unwrap()
}

/// The token of Aki's newest event.
fn token(world: &World) -> String {
    let items = heard(world, &*world.channel());
    let openings = items.into_iter().flat_map(|item| item.openings);
    openings.filter(|opening| opening.kind == "reply_token").find_map(|opening| opening.reference).unwrap()
}

fn settings(world: &World, settings: serde_json::Value) {
    let patch = AccountPatch { settings: Some(settings), ..AccountPatch::default() };
    world.control.patch_account(BOT, patch).unwrap();
}

#[tokio::test]
async fn a_fresh_token_is_used_and_costs_nothing() {
    let world = world().await;
    world.writes("hello");
    let token = token(&world);
    let openings = [("message", None), ("reply_token", Some(token.as_str()))];
    let channel = world.channel();
    let receipt = channel.send(&world.part(&openings, Content::text("Here we are."), 1)).await.unwrap();
    let send = world.control.ledger().pop().unwrap();
    assert_eq!(
        (send.method.as_str(), send.counted, send.provider_ids.first()),
        ("reply", false, receipt.provider_id.as_ref())
    );

    // The same token again: the platform says no, and that is evidence about the token and nothing else.
    let error = channel.send(&world.part(&openings, Content::text("And more."), 1)).await.unwrap_err();
    assert!(
        matches!(&error, SendError::QuotaReached { quota: Some(quota), .. } if quota == "reply_token_uses"),
        "{error:?}"
    );
    assert_eq!(error.next_step(), NextStep::DecideAgain);
    channel.send(&world.push("And more.")).await.unwrap();
    let send = world.control.ledger().pop().unwrap();
    assert_eq!((send.method.as_str(), send.counted), ("push", true));
}

#[tokio::test]
async fn an_old_token_is_not_taken() {
    let world = world().await;
    world.writes("hello");
    let token = token(&world);
    let part = world.part(&[("reply_token", Some(&token))], Content::text("Too late."), 1);
    settings(&world, json!({"reply_token_seconds": 0}));
    let error = world.channel().send(&part).await.unwrap_err();
    assert!(
        matches!(&error, SendError::QuotaReached { quota: Some(quota), .. } if quota == "reply_token_uses"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_second_try_never_uses_a_token() {
    let world = world().await;
    world.writes("hello");
    let token = token(&world);
    let part = world.part(&[("reply_token", Some(&token))], Content::text("Again?"), 2);
    let error = world.channel().send(&part).await.unwrap_err();
    assert_eq!((error.code(), world.control.calls().len()), ("quota_reached", 0));
}

#[tokio::test]
async fn only_a_push_may_be_sent_again_after_a_lost_answer() {
    let world = world().await;
    world.writes("hello");
    let (token, channel) = (token(&world), world.channel());
    let push = world.push("once");
    let reply = world.part(&[("reply_token", Some(&token))], Content::text("once"), 1);
    assert_eq!(channel.dedupes_for(push.permit()), Some(time::Duration::hours(24)));
    assert_eq!(channel.dedupes_for(reply.permit()), None);
}

#[tokio::test]
async fn a_push_whose_answer_was_lost_is_one_message() {
    let world = world().await;
    world.writes("hello");
    let (channel, push) = (world.channel(), world.push("Only once."));
    world.control.fault(BOT, Fault::once(FaultKind::LoseAnswer)).unwrap();
    assert_eq!(channel.send(&push).await.unwrap_err().code(), "outcome_unknown");
    // 409: accepted before. Its id comes with it.
    let receipt = channel.send(&push).await.unwrap();
    let ledger = world.control.ledger();
    assert_eq!(ledger.len(), 1);
    assert_eq!(receipt.provider_id.as_ref(), ledger[0].provider_ids.first());
    assert_eq!(world.control.calls().last().unwrap().status, Some(409));
}

#[tokio::test]
async fn a_used_up_month_is_told_from_one_that_is_held_back() {
    let world = world().await;
    world.writes("hello");
    settings(&world, json!({"monthly_limit": 1}));
    let channel = world.channel();
    channel.send(&world.push("the last one")).await.unwrap();
    let error = channel.send(&world.push("one too many")).await.unwrap_err();
    assert!(
        matches!(&error, SendError::QuotaReached { quota: Some(quota), .. } if quota == "monthly_messages"),
        "{error:?}"
    );
    // A reply still works.
    world.writes("are you there?");
    let token = token(&world);
    channel.send(&world.part(&[("reply_token", Some(&token))], Content::text("Yes."), 1)).await.unwrap();

    settings(&world, json!({"monthly_limit": 10, "reserved": 9}));
    let error = channel.send(&world.push("held back")).await.unwrap_err();
    assert_eq!(error.next_step(), NextStep::Retry { after: Some(time::Duration::minutes(5)) }, "{error:?}");
}

#[tokio::test]
async fn a_blocked_friend_is_accepted_and_not_reached() {
    let world = world().await;
    world.writes("hello");
    world.act(Act::Block);
    let items = heard(&world, &*world.channel());
    let standings: Vec<_> = items.iter().map(|item| &item.item).collect();
    assert_eq!(standings, [&Item::Standing(Standing::Blocked), &Item::Standing(Standing::Unsubscribed)]);
    // 200, and nothing on the phone: only the event above tells.
    world.channel().send(&world.push("hello?")).await.unwrap();
    let seen = world.control.conversations().into_iter().flat_map(|conversation| conversation.entries);
    assert!(seen.map(|entry| entry.text).all(|text| text != "hello?"));
    assert!(!world.control.ledger().last().unwrap().counted);

    world.act(Act::Unblock);
    let items = heard(&world, &*world.channel());
    assert_eq!(items[0].item, Item::Standing(Standing::Unblocked));
    let kinds: Vec<&str> = items[0].openings.iter().map(|opening| opening.kind.as_str()).collect();
    assert_eq!(kinds, ["follow", "reply_token"]);
}

#[rstest]
#[case(400, Some("Failed to send messages"), "unreachable")]
#[case(400, Some("The property, 'to', in the request body is invalid (line: -, column: -)"), "invalid_request")]
#[case(401, None, "auth_failed")]
#[case(403, None, "account_stopped")]
#[case(413, None, "content_refused")]
#[case(500, None, "outcome_unknown")]
#[tokio::test]
async fn refusals_over_the_wire(#[case] status: i64, #[case] detail: Option<&str>, #[case] code: &str) {
    let world = world().await;
    world.writes("hello");
    let kind = FaultKind::Error { code: status, detail: detail.map(str::to_owned), asynchronous: false };
    world.control.fault(BOT, Fault::once(kind)).unwrap();
    let error = world.channel().send(&world.push("private words")).await.unwrap_err();
    assert_eq!(error.code(), code);
    assert!(!format!("{error} {error:?}").contains("private words"));
}

#[tokio::test]
async fn one_request_carries_words_and_files() {
    let world = world().await;
    world.writes("hello");
    let picture = || SampleFiles::attachment(MediaKind::Image, "image/jpeg");
    let sticker = Attachment {
        kind: MediaKind::Sticker,
        source: MediaSource::Platform { id: "446/1988".into(), url: None, sha256: None },
        mime: None,
        file_name: None,
        size: None,
    };
    let attachments = vec![picture(), SampleFiles::attachment(MediaKind::Video, "video/mp4"), sticker];
    let content = Content { body: Body::Text { text: "Look:".into(), attachments }, reply_to: None };
    let channel = world.channel();
    assert_eq!(channel.plan(&content).unwrap().len(), 1);
    channel.send(&world.part(&[("message", None)], content, 1)).await.unwrap();
    let send = world.control.ledger().pop().unwrap();
    let types: Vec<&str> =
        send.body["messages"].as_array().unwrap().iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!((types, send.provider_ids.len()), (vec!["text", "image", "video", "sticker"], 4));
    assert_eq!(send.body["messages"][2]["previewImageUrl"], "https://files.example/still.jpg");
}

#[tokio::test]
async fn a_tap_comes_back_with_its_answer() {
    let world = world().await;
    world.writes("hello");
    let choice = Choice { id: "csat:5".into(), title: "Good".into(), description: None, url: None };
    let choices = Choices { text: "How was it?".into(), header: None, footer: None, buttons: vec![choice], list: None };
    let content = Content { body: Body::Choices(choices), reply_to: None };
    let channel = world.channel();
    let ours = channel.send(&world.part(&[("message", None)], content, 1)).await.unwrap().provider_id.unwrap();
    world.act(Act::Button { message_id: ours, data: "csat:5".into(), text: None });
    let items = heard(&world, &*channel);
    let Item::Message(tap) = &items[0].item else { panic!("{items:?}") };
    assert_eq!(tap.payload.as_deref(), Some("csat:5"));
    assert_eq!(items[0].openings[0].kind, "postback");
}

/// What the next answer brings: what is news, and the cursor to it; an hour goes by, if it must.
async fn pulled(world: &World, cursor: Option<&str>) -> (Vec<AccountNotice>, String) {
    let channel = world.channel();
    let hours = async {
        loop {
            world.clock.advance(time::Duration::minutes(1));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (raw, next) = tokio::select! {
        news = channel.pull().unwrap().next(cursor) => news.unwrap(),
        () = hours => unreachable!(),
    };
    let notice = |item: Inbound| {
        assert_eq!(item.account, BOT);
        let Item::AccountNotice(notice) = item.item else { panic!("{:?}", item.item) };
        notice
    };
    (raw.iter().flat_map(|raw| channel.parse(raw).unwrap()).map(notice).collect(), next)
}

/// The same, where nothing but limits may be news.
async fn looked(world: &World, cursor: Option<&str>) -> (Vec<Option<u32>>, String) {
    let (news, next) = pulled(world, cursor).await;
    let limit = |notice: AccountNotice| {
        let Some(AccountEffect::Limit { quota, limit }) = notice.effect else { panic!("{:?}", notice.effect) };
        assert_eq!(quota, "monthly_messages");
        limit
    };
    (news.into_iter().map(limit).collect(), next)
}

/// When the answer came to which a cursor leads.
fn at(cursor: &str) -> i64 {
    cursor.split(' ').nth(1).unwrap().parse().unwrap()
}

/// line.md 1.3: what LINE counts is told once at the beginning, and once when nothing is left, whoever used it up.
#[tokio::test]
async fn what_others_used_of_the_month_is_told() {
    let world = world().await;
    let mut cursor = None;
    let others = [
        (150, Some("LINE counts 150 of the month's 200 messages as used")),
        (160, None),
        (200, Some("the month's 200 messages are used up by LINE's count")),
        (201, None),
        (0, None),
        (200, Some("the month's 200 messages are used up by LINE's count")),
    ];
    for (used, expected) in others {
        settings(&world, json!({"monthly_limit": 200, "used_elsewhere": used}));
        let (news, next) = pulled(&world, cursor.as_deref()).await;
        let told: Vec<_> = news.iter().map(|notice| (notice.what.as_str(), notice.text.as_str())).collect();
        assert_eq!(told, expected.map(|text| ("monthly_usage", text)).into_iter().collect::<Vec<_>>(), "{used}");
        let effect = AccountEffect::Used { quota: "monthly_messages".to_owned(), used };
        assert!(news.iter().all(|notice| notice.effect.as_ref() == Some(&effect)), "{news:?}");
        cursor = Some(next);
    }
    // Where there is no limit nothing is used up; a smaller plan than what was used is news, and so is that nothing is left.
    settings(&world, json!({"monthly_limit": null, "used_elsewhere": 7}));
    let (news, next) = pulled(&world, None).await;
    assert_eq!(news, []);
    settings(&world, json!({"monthly_limit": 5}));
    let (news, _) = pulled(&world, Some(&next)).await;
    let kinds: Vec<&str> = news.iter().map(|notice| notice.what.as_str()).collect();
    assert_eq!(kinds, ["monthly_limit", "monthly_usage"]);
}

/// A cursor of a version that did not ask what is used is no beginning.
#[tokio::test]
async fn a_cursor_of_an_earlier_version_is_read() {
    let world = world().await;
    settings(&world, json!({"monthly_limit": 200, "used_elsewhere": 150}));
    let earlier = format!("200 {}", world.clock.now().unix_timestamp());
    assert_eq!(looked(&world, Some(&earlier)).await.0, []);
    settings(&world, json!({"monthly_limit": 150}));
    let (news, _) = pulled(&world, Some(&earlier)).await;
    assert_eq!(news.len(), 2, "{news:?}");
}

/// line.md 1.3: a plan that changes in mid-month counts within the hour; one that stays is no news.
#[tokio::test]
async fn another_plan_is_noticed_within_the_hour() {
    let world = world().await;
    settings(&world, json!({"monthly_limit": 200}));
    let (news, mut cursor) = looked(&world, None).await;
    assert_eq!(news, [], "the account was connected with it");
    for (limit, is_news) in [(Some(200), false), (Some(5_000), true), (None, true), (None, false)] {
        settings(&world, json!({"monthly_limit": limit}));
        let (news, next) = looked(&world, Some(&cursor)).await;
        assert_eq!(news, if is_news { vec![limit] } else { vec![] });
        assert!(at(&next) - at(&cursor) >= 3_600, "it is asked for once an hour");
        cursor = next;
    }
}

/// The account is none the worse for it: it is asked again soon, and nobody is told.
#[tokio::test]
async fn a_limit_that_can_not_be_asked_for_is_asked_for_again() {
    let world = world().await;
    settings(&world, json!({"monthly_limit": 5_000}));
    let (_, told) = looked(&world, None).await;
    let fault = Fault { on: On::Any, ..Fault::once(FaultKind::Status { status: 503 }) };
    world.control.fault(BOT, fault).unwrap();
    let (news, next) = looked(&world, Some(&told)).await;
    assert_eq!((news, &next), (vec![], &told), "as if nobody had asked");
    assert!(world.clock.now().unix_timestamp() - at(&told) >= 3_900, "patience: an hour, and five minutes more");
    settings(&world, json!({"monthly_limit": 30_000}));
    assert_eq!(looked(&world, Some(&told)).await.0, [Some(30_000)]);
}

/// line.md 6: what is kept elsewhere is fetched there, as any address from outside is, and without LINE's token.
#[tokio::test]
async fn a_file_that_is_kept_elsewhere_is_fetched_there() {
    let world = world().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v.mp4", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(stream.read_u8().await.unwrap());
        }
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: 6\r\nconnection: close\r\n\r\na film";
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap().to_lowercase()
    });
    let message = json!({"type": "video", "id": "500000000000000009",
        "contentProvider": {"type": "external", "originalContentUrl": address}});
    let event = json!({"type": "message", "mode": "active", "timestamp": 1_767_225_600_123_i64, "webhookEventId": "01E",
        "source": {"type": "user", "userId": AKI}, "message": message});
    let call = json!({"destination": BOT, "events": [event]}).to_string();
    let channel = world.channel();
    let Item::Message(message) = channel.parse(&RawInbound::new(call, world.now())).unwrap().remove(0).item else {
        panic!()
    };
    let Body::Text { attachments, .. } = message.content.body else { panic!() };
    let file = channel.media().unwrap().download(&attachments[0], 100_000).await.unwrap();
    assert_eq!((file.mime.as_str(), &file.bytes[..]), ("video/mp4", &b"a film"[..]));
    assert!(!asked.await.unwrap().contains("authorization"));
}

#[tokio::test]
async fn a_customers_file_can_be_fetched_until_it_is_unsent() {
    let world = world().await;
    world.writes("hello");
    let id = world.act(Act::Media(MediaAct { media: "image".into(), ..MediaAct::default() })).unwrap();
    let channel = world.channel();
    let Item::Message(message) = heard(&world, &*channel).remove(0).item else { panic!() };
    let Body::Text { attachments, .. } = message.content.body else { panic!() };
    let media = channel.media().unwrap();
    let file = media.download(&attachments[0], 100_000).await.unwrap();
    assert_eq!((file.mime.as_str(), &file.bytes[..3]), ("image/jpeg", &b"\xff\xd8\xff"[..]));
    assert_eq!(media.download(&attachments[0], 10).await, Err(MediaError::TooLarge { max: 10 }));
    world.act(Act::Delete { message_id: id.clone() });
    assert_eq!(heard(&world, &*channel)[0].item, Item::Unsend { of: id });
    assert_eq!(media.download(&attachments[0], 100_000).await, Err(MediaError::NotFound));
    // A sticker's name is no message's number, and never becomes part of a path.
    let sticker = MediaSource::Platform { id: "446/1988".into(), url: None, sha256: None };
    let sticker = Attachment { source: sticker, ..attachments[0].clone() };
    assert_eq!(media.download(&sticker, 100_000).await, Err(MediaError::NotFound));
}

#[tokio::test]
async fn profiles_are_those_of_friends() {
    let world = world().await;
    let channel = world.channel();
    let profiles = channel.profiles().unwrap();
    assert_eq!(profiles.fetch(&world.identity).await.unwrap_err().code(), "unreachable");
    world.writes("hello");
    let profile = profiles.fetch(&world.identity).await.unwrap();
    assert_eq!((profile.name.as_deref(), profile.language.as_deref()), (Some("Aki"), Some("ja")));
    assert!(profile.picture_url.unwrap().ends_with(AKI));
}

#[tokio::test]
async fn the_account_says_who_it_is_and_what_it_may_send() {
    let world = world().await;
    let check = || async { world.channel().check().await.unwrap() };
    let info = check().await;
    assert_eq!((info.name.as_deref(), info.external_key.as_deref()), (Some("The Shop (@shop)"), Some(BOT)));
    assert_eq!(info.limits, [("monthly_messages".to_owned(), None)]);
    settings(&world, json!({"monthly_limit": 5_000}));
    assert_eq!(check().await.limits, [("monthly_messages".to_owned(), Some(5_000))]);
}

#[tokio::test]
async fn a_suspension_stops_the_account() {
    let world = world().await;
    for (kind, effect) in [("botSuspended", AccountEffect::Suspended), ("botResumed", AccountEffect::Restored)] {
        world.act(Act::Other { kind: kind.into(), data: json!({}) });
        let Item::AccountNotice(notice) = heard(&world, &*world.channel()).remove(0).item else { panic!() };
        assert_eq!((notice.what.as_str(), notice.effect), (kind, Some(effect)));
    }
}

#[tokio::test]
async fn an_event_of_a_group_is_kept_and_opens_nothing() {
    let world = world().await;
    let group = "C0000000000000000000000000000b001";
    world.act(Action::from(Act::Text { text: "hi all".into() }).via(group));
    let items = heard(&world, &*world.channel());
    assert!(matches!(&items[0].item, Item::Unsupported { from_customer: false, .. }), "{items:?}");
    assert_eq!((&items[0].person, items[0].openings.len()), (&None, 0));
}

#[tokio::test]
async fn what_is_delivered_again_is_the_same_event() {
    let world = world().await;
    world.writes("hello");
    let (first, mut again) = (world.newest(), world.newest());
    let marked =
        String::from_utf8(first.body.to_vec()).unwrap().replace("\"isRedelivery\":false", "\"isRedelivery\":true");
    again.body = marked.into();
    let channel = world.channel();
    let (first, again) = (channel.parse(&first).unwrap(), channel.parse(&again).unwrap());
    assert_eq!((first.len(), again.len()), (1, 2));
    assert_eq!((&first[0].event_key, first[0].at), (&again[0].event_key, again[0].at));
    // The token counts from the redelivery.
    assert_eq!(again[1].openings[0].kind, "reply_token");
    assert!(again[1].at >= again[0].at);
}
