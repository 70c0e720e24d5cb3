//! Tokens that rotate, and what arrives.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use time::Duration as Span;
use transom_channel::SendError;
use transom_channel::conformance::Tokens;
use transom_domain::Content;
use transom_sandbox::{AccountPatch, Act, Fault, FaultKind};
use transom_stage::Why;

use crate::world::{BUSINESS, World};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn tokens_are_exchanged_once_and_again_when_their_day_is_over() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    for day in 0..3 {
        world.writes("hello");
        for _ in 0..2 {
            let receipt = channel.send(&world.part(Content::text("As you wrote."))).await.unwrap();
            assert!(receipt.provider_id.is_some());
        }
        let exchanges = world.control.calls().iter().filter(|call| call.path.contains("refresh_token")).count();
        assert_eq!(exchanges, day + 1);
        world.clock.advance(Span::hours(24));
    }
}

#[tokio::test]
async fn a_token_that_was_revoked_early_is_renewed_and_the_message_can_be_tried_again() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    world.writes("hello");
    channel.send(&world.part(Content::text("one"))).await.unwrap();
    let revoked = serde_json::json!({"access_token": "act.other"});
    let patch = AccountPatch { settings: Some(revoked), ..AccountPatch::default() };
    world.control.patch_account(BUSINESS, patch).unwrap();
    let refused = channel.send(&world.part(Content::text("two"))).await.unwrap_err();
    assert!(matches!(refused, SendError::Temporary { .. }), "{refused:?}");
    channel.send(&world.part(Content::text("two"))).await.unwrap();
    let texts: Vec<String> = world.control.ledger().into_iter().map(|send| send.text).collect();
    assert_eq!(texts, ["one", "two"]);
}

fn exchanges(world: &World) -> usize {
    world.control.calls().iter().filter(|call| call.path.contains("refresh_token")).count()
}

/// Several sends fly with one token: whoever hears of its end after another has renewed it says nothing of the new one.
#[tokio::test]
async fn a_refusal_of_the_token_before_rotates_nothing_once_more() {
    let mut world = World::new(PATIENCE).await;
    let tokens = Arc::new(Tokens::new(Arc::new(world.clock.clone())));
    world.0.ports.tokens = tokens.clone();
    let channel = world.channel();
    world.writes("hello");
    channel.send(&world.part(Content::text("one"))).await.unwrap();
    let before = tokens.all().await;
    world.patch(json!({"access_token": "act.other"}));
    let refused = channel.send(&world.part(Content::text("two"))).await.unwrap_err();
    assert!(matches!(refused, SendError::Temporary { .. }), "{refused:?}");
    tokens.look_back(before).await;
    let late = channel.send(&world.part(Content::text("three"))).await.unwrap_err();
    assert!(matches!(late, SendError::Temporary { .. }), "{late:?}");
    assert_eq!(exchanges(&world), 2, "one to begin with, one for the revoked token");
    channel.send(&world.part(Content::text("three"))).await.unwrap();
}

/// A token that was renewed and is refused all the same: another rotation would not mend it.
#[tokio::test]
async fn a_token_that_is_refused_again_at_once_needs_a_person() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    world.writes("hello");
    let refuse = || {
        let kind = FaultKind::Error { code: 40_105, detail: None, asynchronous: false };
        world.control.fault(BUSINESS, Fault::once(kind)).unwrap();
    };
    refuse();
    let refused = channel.send(&world.part(Content::text("one"))).await.unwrap_err();
    assert!(matches!(refused, SendError::Temporary { .. }), "{refused:?}");
    refuse();
    let refused = channel.send(&world.part(Content::text("one"))).await.unwrap_err();
    assert!(matches!(refused, SendError::AuthFailed { .. }), "{refused:?}");
    assert_eq!(exchanges(&world), 2);
    channel.send(&world.part(Content::text("one"))).await.unwrap();
}

/// The owner authorised the app again: what was kept of the earlier authorisation is of no use any more.
#[tokio::test]
async fn a_refresh_token_that_was_entered_anew_is_the_one_that_counts() {
    let mut world = World::new(PATIENCE).await;
    world.writes("hello");
    world.channel().send(&world.part(Content::text("one"))).await.unwrap();
    world.patch(json!({"access_token": "act.other", "refresh_token": "rft.of-today"}));
    let refused = world.channel().send(&world.part(Content::text("two"))).await.unwrap_err();
    assert!(matches!(refused, SendError::AuthFailed { .. }), "{refused:?}");
    world.0.settings = world.settings.clone().with("refresh_token", "rft.of-today");
    world.channel().send(&world.part(Content::text("two"))).await.unwrap();
}

#[tokio::test]
async fn the_eleventh_message_is_refused_as_a_closed_window() {
    let world = World::new(PATIENCE).await;
    let channel = world.channel();
    world.writes("hello");
    for number in 1..=10 {
        channel.send(&world.part(Content::text(number.to_string()))).await.unwrap();
    }
    let refused = channel.send(&world.part(Content::text("11"))).await.unwrap_err();
    assert!(matches!(refused, SendError::WindowClosed { .. }), "{refused:?}");
    world.writes("go on");
    channel.send(&world.part(Content::text("11"))).await.unwrap();
}

#[tokio::test]
async fn a_comment_gets_one_private_reply_once_they_are_switched_on() {
    let mut world = World::new(PATIENCE).await;
    let comment = world.act(Act::Other { kind: "comment".to_owned(), data: json!({ "text": "How much?" }) });
    let reply =
        Why { openings: vec![("comment", comment)], grant: Some("private_reply"), ago: Span::ZERO, ..Why::default() };
    let part = |world: &World| world.0.part(Content::text("Twelve francs."), &reply, 1);
    let refused = world.channel().send(&part(&world)).await.unwrap_err();
    assert!(matches!(refused, SendError::WindowClosed { .. }), "{refused:?}");
    // Whoever does not ask for it keeps what TikTok has.
    world.channel().check().await.unwrap();
    assert!(world.channel().send(&part(&world)).await.is_err());

    world.0.settings = world.settings.clone().with("direct_reply", "enable");
    for _ in 0..2 {
        world.channel().check().await.unwrap();
    }
    world.channel().send(&part(&world)).await.unwrap();
    let send = world.control.ledger().pop().unwrap();
    assert_eq!(send.body["direct_reply"]["reply_type"], "COMMENT_TO_MESSAGE");
    let second = world.channel().send(&part(&world)).await.unwrap_err();
    assert!(matches!(second, SendError::WindowClosed { .. }), "{second:?}");
}

#[tokio::test]
async fn a_lost_exchange_sends_nothing_and_is_tried_again() {
    let world = World::new(PATIENCE).await;
    world.writes("hello");
    let lost = Fault { on: transom_sandbox::On::Any, ..Fault::once(FaultKind::Drop) };
    world.control.fault(BUSINESS, lost).unwrap();
    let channel = world.channel();
    let refused = channel.send(&world.part(Content::text("hello"))).await.unwrap_err();
    assert!(matches!(refused, SendError::Temporary { .. }), "{refused:?}");
    channel.send(&world.part(Content::text("hello"))).await.unwrap();
    assert_eq!(world.control.ledger().len(), 1);
}
