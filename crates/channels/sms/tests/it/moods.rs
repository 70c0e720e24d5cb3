//! The platform's moods: opt-outs, receipts, refusals, files, and what a text costs.

use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use transom_channel::conformance::SampleFiles;
use transom_channel::{
    Channel, Evidence, Inbound, Item, MediaError, OptOutScope, ReceiptFor, ReceiptState, SendError, Standing,
};
use transom_domain::{Body, Content, MediaKind, MediaSource};
use transom_sandbox::{Act, Fault, FaultKind, MediaAct, NewAccount, Progress, ReceiptOrder};
use transom_sms::{Segments, Sms};

use crate::world::{HOOK, NUMBER, World};

async fn world() -> World {
    World::new(Duration::from_secs(30)).await
}

fn heard(world: &World, channel: &dyn Channel) -> Vec<Inbound> {
    channel.parse(&world.newest()).unwrap()
}

/// What came while nobody listened is in the provider's list, under the key that its webhook has (sms.md 4).
#[tokio::test]
async fn what_no_webhook_brought_is_listed() {
    let world = world().await;
    let channel = world.channel();
    let pull = channel.pull().unwrap();
    let cursor = pull.beginning(world.now()).unwrap();
    world.clock.advance(time::Duration::SECOND);
    world.writes("hello");
    let mut told = heard(&world, &*channel);
    let act = MediaAct { media: "image".into(), ..MediaAct::default() };
    world.control.act(NUMBER, "ann", Act::Media(act)).unwrap();
    told.extend(heard(&world, &*channel));
    world.clock.advance(time::Duration::minutes(2));
    world.writes("too young to be missed");

    let (raw, next) = pull.next(Some(&cursor)).await.unwrap();
    let listed: Vec<Inbound> = raw.iter().flat_map(|raw| channel.parse(raw).unwrap()).collect();
    let keys = |items: &[Inbound]| items.iter().map(|item| item.event_key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&listed), keys(&told));
    for (listed, told) in listed.iter().zip(&told) {
        assert_eq!((&listed.item, &listed.account, &listed.person), (&told.item, &told.account, &told.person));
        assert!((listed.at - told.at).abs() < time::Duration::SECOND, "{} is not {}", listed.at, told.at);
    }
    // Another look, later and elsewhere: only what is new.
    world.clock.advance(time::Duration::minutes(2));
    let (raw, _) = world.channel().pull().unwrap().next(Some(&next)).await.unwrap();
    let items: Vec<Inbound> = raw.iter().flat_map(|raw| channel.parse(raw).unwrap()).collect();
    assert!(
        matches!(items.as_slice(), [item] if matches!(&item.item, Item::Message(message) if
        matches!(&message.content.body, Body::Text { text, .. } if text == "too young to be missed"))),
        "{items:?}"
    );
}

/// However long the list is and however long nobody looked: it is read to its end, a day at a time.
#[tokio::test]
async fn nothing_on_a_long_list_is_left_out() {
    let world = world().await;
    world.patch(json!({"longest_page": 1}));
    let channel = world.channel();
    let pull = channel.pull().unwrap();
    let mut cursor = pull.beginning(world.now()).unwrap();
    let mut written = Vec::new();
    for day in 0..3 {
        for number in 0..60 {
            world.clock.advance(time::Duration::seconds(2));
            let text = format!("{number} of day {day}");
            world.writes(&text);
            written.push(text);
        }
        world.clock.advance(time::Duration::DAY);
    }
    let mut listed = Vec::new();
    // Each piece is given before the next is asked for; the clock stands still, so none of them waits.
    for _ in 0..4 {
        let (raw, next) = pull.next(Some(&cursor)).await.unwrap();
        assert!(raw.len() <= 60, "{} at once", raw.len());
        for item in raw.iter().flat_map(|raw| channel.parse(raw).unwrap()) {
            let Item::Message(message) = item.item else { panic!() };
            let Body::Text { text, .. } = message.content.body else { panic!() };
            listed.push(text);
        }
        cursor = next;
    }
    assert_eq!(listed, written);
}

#[tokio::test]
async fn stop_closes_and_start_opens() {
    let world = world().await;
    let channel = world.channel();
    world.writes("hello");
    channel.send(&world.text("Hi Ann.")).await.unwrap();
    world.writes(" Stop ");
    let items = heard(&world, &*channel);
    assert_eq!(items[1].item, Item::Standing(Standing::OptedOut(OptOutScope::All)));
    // What was under way meanwhile hears it from the platform.
    let error = channel.send(&world.text("And another thing.")).await.unwrap_err();
    assert_eq!(error.evidence(), Some(Evidence::OptedOut(OptOutScope::All)));
    assert_eq!(error.report().unwrap().code.as_deref(), Some("21610"));
    // A text that is no keyword changes nothing.
    world.writes("stop please");
    assert!(matches!(heard(&world, &*channel).as_slice(), [item] if matches!(item.item, Item::Message(_))));
    assert_eq!(channel.send(&world.text("Hm?")).await.unwrap_err().code(), "opted_out");
    world.writes("unstop");
    assert_eq!(heard(&world, &*channel)[1].item, Item::Standing(Standing::OptedIn(OptOutScope::All)));
    channel.send(&world.text("Welcome back.")).await.unwrap();
}

#[tokio::test]
async fn the_platforms_own_word_for_a_keyword_is_believed() {
    let world = world().await;
    world.patch(json!({"advanced_opt_out": true}));
    world.writes("quit");
    let items = heard(&world, &*world.channel());
    assert_eq!(items[1].item, Item::Standing(Standing::OptedOut(OptOutScope::All)));
}

#[tokio::test]
async fn a_receipt_brings_our_reference_back() {
    let world = world().await;
    let (channel, part) = (world.channel(), world.text("Where are you?"));
    assert!(channel.capabilities().settling.correlates);
    world.control.fault(NUMBER, Fault::once(FaultKind::LoseAnswer)).unwrap();
    assert_eq!(channel.send(&part).await.unwrap_err().code(), "outcome_unknown");
    let sent = world.control.ledger().pop().unwrap();
    assert_eq!(sent.body["StatusCallback"], format!("{HOOK}?part={}", part.correlation()));
    let sid = sent.provider_ids[0].clone();
    world.control.receipt(NUMBER, &ReceiptOrder::new(&sid, Progress::Delivered)).unwrap();
    let [item] = <[Inbound; 1]>::try_from(heard(&world, &*channel)).unwrap();
    let of = ReceiptFor::Message { provider_id: sid, correlation: Some(part.correlation()) };
    assert_eq!(item.item, Item::Receipt { of, state: ReceiptState::Delivered });
}

#[tokio::test]
async fn a_failure_comes_later_with_its_code() {
    let world = world().await;
    let channel = world.channel();
    let sid = channel.send(&world.text("Hello?")).await.unwrap().provider_id.unwrap();
    world.control.receipt(NUMBER, &ReceiptOrder::failed(&sid, 30_003)).unwrap();
    let Item::Receipt { state: ReceiptState::Failed(error), .. } = heard(&world, &*channel).remove(0).item else {
        panic!()
    };
    assert_eq!((error.code(), error.evidence()), ("temporary", None));
}

#[rstest]
#[case(json!({"landlines": ["+12025550123"]}), "unreachable")]
#[case(json!({"regions": ["+43"]}), "invalid_request")]
#[case(json!({"verified_only": []}), "invalid_request")]
#[case(json!({"daily_limit": 0}), "quota_reached")]
#[case(json!({"status": "suspended"}), "account_stopped")]
#[tokio::test]
async fn refusals_over_the_wire(#[case] settings: serde_json::Value, #[case] code: &str) {
    let world = world().await;
    world.patch(settings);
    let error = world.channel().send(&world.text("private words")).await.unwrap_err();
    assert_eq!(error.code(), code);
    assert!(!format!("{error} {error:?}").contains("private words") && world.control.ledger().is_empty());
}

#[tokio::test]
async fn a_suspended_account_does_not_check() {
    let world = world().await;
    let info = world.channel().check().await.unwrap();
    assert_eq!((info.name.as_deref(), info.external_key.as_deref()), (Some("The Shop (+12025550199)"), Some(NUMBER)));
    world.patch(json!({"status": "suspended"}));
    assert!(matches!(world.channel().check().await, Err(SendError::AccountStopped { .. })));
}

/// The platform's own count, made apart from ours, agrees with what was shown before.
#[rstest]
#[case("a".repeat(160))]
#[case("a".repeat(161))]
#[case("€".repeat(81))]
#[case("[x]".repeat(60))]
#[case("я".repeat(71))]
#[case("😀".repeat(67))]
#[case(format!("{}`", "a".repeat(120)))]
#[tokio::test]
async fn the_platform_counts_the_same_segments(#[case] text: String) {
    let world = world().await;
    let channel = world.channel();
    let planned = channel.plan(&Content::text(&text)).unwrap();
    assert_eq!(planned[0].cost, Segments::of(&text).count);
    let receipt = channel.send(&world.text(&text)).await.unwrap();
    assert_eq!(receipt.billing, Some(format!("{} segments", planned[0].cost)));
}

#[tokio::test]
async fn pictures_go_by_address() {
    let world = world().await;
    let attachments = vec![SampleFiles::attachment(MediaKind::Image, "image/png")];
    let content = Content { body: Body::Text { text: "Look:".into(), attachments }, reply_to: None };
    let receipt = world.channel().send(&world.part(content)).await.unwrap();
    assert!(receipt.provider_id.unwrap().starts_with("MM"));
    let sent = world.control.ledger().pop().unwrap();
    assert!(sent.body["MediaUrl"][0].as_str().unwrap().starts_with("https://files.example/"), "{:?}", sent.body);
}

#[tokio::test]
async fn a_customers_picture_can_be_fetched() {
    let world = world().await;
    world.act(Act::Media(MediaAct { media: "image".into(), caption: Some("broken".into()), ..MediaAct::default() }));
    let channel = world.channel();
    let Item::Message(message) = heard(&world, &*channel).remove(0).item else { panic!() };
    let Body::Text { text, attachments } = message.content.body else { panic!() };
    assert_eq!((text.as_str(), attachments.len()), ("broken", 1));
    let media = channel.media().unwrap();
    let file = media.download(&attachments[0], 100_000).await.unwrap();
    assert_eq!((file.mime.as_str(), &file.bytes[..3]), ("image/jpeg", &b"\xff\xd8\xff"[..]));
    assert_eq!(media.download(&attachments[0], 10).await, Err(MediaError::TooLarge { max: 10 }));
    let elsewhere = MediaSource::Platform { id: "x".into(), url: Some("http://127.0.0.1:1/x".into()), sha256: None };
    let elsewhere = transom_domain::Attachment { source: elsewhere, ..attachments[0].clone() };
    assert_eq!(media.download(&elsewhere, 100_000).await, Err(MediaError::NotFound));
}

#[tokio::test]
async fn a_service_chooses_the_number_and_is_the_account() {
    let world = world().await;
    let service = "MG00000000000000000000000000000001";
    let account = "AC00000000000000000000000000000002";
    let settings = json!({"sender": service, "number": "+12025550177", "account_sid": account, "auth_token": "t2",
        "api_key_sid": "SK00000000000000000000000000000001", "api_key_secret": "s2", "pacing": false});
    world.control.create_account(NewAccount::on("sms").settings(settings)).unwrap();
    let settings = world
        .settings
        .clone()
        .with("account_sid", account)
        .with("sender", service)
        .with("api_key_sid", "SK00000000000000000000000000000001")
        .with("api_key_secret", "s2");
    let channel = transom_channel::Platform::connect(&Sms, &settings, &world.ports).unwrap();
    channel.send(&world.text("Hi")).await.unwrap();
    let sent = world.control.ledger().pop().unwrap();
    assert_eq!((sent.account.as_str(), &sent.body["MessagingServiceSid"]), (service, &json!(service)));
    world.control.act(service, "ann", Act::Text { text: "hello".into() }).unwrap();
    let items = heard(&world, &*channel);
    assert_eq!(items[0].account, service);
}
