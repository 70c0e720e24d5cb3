//! `messaging_type`, tag and recipient come from the permit, and from nothing else (messenger.md 1.2 to 1.5).

use rstest::rstest;
use serde_json::json;
use time::Duration;
use transom_channel::SendError;
use transom_domain::template::TextParameters;
use transom_domain::{Content, TemplateParameters};
use transom_sandbox::Act;
use transom_windows::{Policies, Sender};

use crate::world::{PSID, Stage, Why, identity, permit};

#[rstest]
#[case(Sender::Human, "RESPONSE")]
#[case(Sender::Bot, "RESPONSE")]
#[case(Sender::Automation, "UPDATE")]
#[case(Sender::Broadcast, "UPDATE")]
#[tokio::test]
async fn within_a_day_it_is_an_answer_or_news(#[case] sender: Sender, #[case] expected: &str) {
    let stage = Stage::open().await;
    stage.send_by(Content::text("hello"), &Why { sender, ..Why::default() }).await.unwrap();
    let body = stage.last_body();
    assert_eq!((body["messaging_type"].as_str(), body.get("tag")), (Some(expected), None));
    assert_eq!(body["recipient"], json!({"id": PSID}));
}

#[tokio::test]
async fn a_person_answers_for_a_week_under_the_tag() {
    let stage = Stage::open().await;
    stage.control.advance(Duration::days(6));
    let late = Why { ago: Duration::days(6), grant: Some("human_agent"), ..Why::default() };
    stage.send_by(Content::text("We found your parcel."), &late).await.unwrap();
    let body = stage.last_body();
    assert_eq!((body["messaging_type"].as_str(), body["tag"].as_str()), (Some("MESSAGE_TAG"), Some("HUMAN_AGENT")));

    // A quote needs a message of the last day: it is refused before anything leaves.
    let quoting = Content { reply_to: Some(stage.quotable.clone()), ..Content::text("this one") };
    let calls = stage.calls_on("/messages");
    assert!(matches!(stage.send_by(quoting, &late).await, Err(SendError::ContentRefused { .. })));
    assert_eq!(stage.calls_on("/messages"), calls);
}

/// There is no permit that would let a bot write under the tag, in any policy that comes with the house.
#[test]
fn a_bot_can_never_carry_the_tag() {
    let somebody = identity(&[("psid", PSID)]);
    let now = time::macros::datetime!(2026-11-21 10:00 UTC);
    for sender in [Sender::Bot, Sender::Automation, Sender::Broadcast] {
        for hours in [0, 1, 23, 24, 100, 167] {
            let why = Why { sender, ago: Duration::hours(hours), grant: Some("human_agent"), ..Why::default() };
            assert!(permit(&somebody, &Content::text("beep"), &why, now).is_none(), "{sender} after {hours} h");
        }
    }
}

/// And a policy of a deployer that gives one gets no further than this crate.
#[tokio::test]
async fn a_policy_that_lets_a_bot_use_the_tag_is_not_followed() {
    let stage = Stage::open().await;
    let builtin = Policies::builtin().unwrap();
    let text = builtin.get("messenger").unwrap().text().replace(r#"["human"]"#, r#"["human", "bot"]"#);
    let policy = transom_windows::Policy::parse("messenger.toml", &text).unwrap();
    let mut facts = transom_windows::Facts::new(transom_channel::subject_of(&stage.identity), &policy);
    let features = ["human_agent".to_owned()].into();
    facts.set_account(&policy, &transom_windows::Account { features, ..transom_windows::Account::default() });
    facts.apply(&policy, &transom_windows::Event::opening(stage.now(), "message")).unwrap();
    let ask = transom_windows::Ask::by(Sender::Bot);
    let permit = policy.decide(&facts, ask, stage.now()).permit("human_agent").cloned().unwrap();
    let id = transom_domain::PartId::new(stage.ports.ids.as_ref());
    let part = transom_channel::OutboundPart::new(permit, &stage.identity, (id, 1), Content::text("beep"), stage.now())
        .unwrap();
    assert!(matches!(stage.channel().send(&part).await, Err(SendError::ContentRefused { .. })));
    assert_eq!(stage.calls_on("/messages"), 0);
}

#[tokio::test]
async fn after_the_week_a_utility_template_goes_out() {
    let stage = Stage::open().await;
    stage.control.advance(Duration::days(30));
    let parameters = TemplateParameters {
        body: TextParameters::Positional(vec!["Mara".into(), "A-1001".into()]),
        ..TemplateParameters::default()
    };
    let content = stage.template("order_shipped", parameters).await;
    let bot = Why { sender: Sender::Bot, ago: Duration::days(30), grant: Some("utility_template"), ..Why::default() };
    stage.send_by(content, &bot).await.unwrap();
    let body = stage.last_body();
    assert_eq!((body["messaging_type"].as_str(), body.get("tag")), (Some("UTILITY"), None));
    assert_eq!(
        body["message"]["template"],
        json!({"name": "order_shipped", "language": {"code": "en"}, "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "Mara"}, {"type": "text", "text": "A-1001"}]}]})
    );
    assert_eq!(stage.control.ledger()[0].text, "Order\nHi Mara, A-1001 is on its way");
}

#[rstest]
#[case("comment", "comment_id")]
#[case("visitor_post", "post_id")]
#[tokio::test]
async fn whoever_commented_gets_one_private_reply(#[case] kind: &'static str, #[case] field: &str) {
    let stage = Stage::open().await;
    let told = stage.acts(Act::Other { kind: kind.to_owned(), data: json!({"text": "price?"}) });
    let [opening] = told.openings.as_slice() else { panic!("{told:?}") };
    assert_eq!(opening.kind, kind);
    let reference = opening.reference.clone().unwrap();
    let why = Why {
        openings: vec![(kind, Some(reference.clone()))],
        grant: Some("private_reply"),
        ago: Duration::ZERO,
        ..Why::default()
    };
    let receipt = stage.send_by(Content::text("We wrote you here."), &why).await.unwrap();
    assert_eq!(stage.last_body()["recipient"], json!({field: reference.trim_start_matches("post:")}));
    // The answer says who it was.
    assert_eq!(receipt.learned[0].value, PSID);
    // The second is one too many.
    assert!(stage.send_by(Content::text("Once more."), &why).await.is_err());
}

/// The id under a comment may be another one than the one that the answer told.
#[tokio::test]
async fn the_newest_id_of_a_person_is_written_to() {
    let mut stage = Stage::open().await;
    stage.identity.addresses.insert(0, transom_domain::Address::new("psid", "1111111111"));
    stage.send(Content::text("Hello again.")).await.unwrap();
    assert_eq!(stage.last_body()["recipient"], json!({"id": PSID}));
    let quote = Content { reply_to: Some("comment:1_2".into()), ..Content::text("this one") };
    assert_eq!(stage.channel().plan(&quote).unwrap_err().code(), "not_supported_by_channel");
}

/// What both sides say of a moment: the right that is used is the right that the platform honours.
#[rstest]
#[case(Duration::hours(24), "standard")]
#[case(Duration::days(7), "human_agent")]
#[tokio::test]
async fn outside_of_its_window_the_platform_refuses(#[case] passed: Duration, #[case] grant: &'static str) {
    let stage = Stage::open().await;
    stage.control.advance(passed);
    // As if the customer had written just now, which they did not.
    let error =
        stage.send_by(Content::text("too late"), &Why { grant: Some(grant), ..Why::default() }).await.unwrap_err();
    assert!(matches!(error, SendError::WindowClosed { .. }), "{error:?}");
}
