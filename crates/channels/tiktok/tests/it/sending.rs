//! Tokens that rotate, and what arrives.

use std::time::Duration;

use time::Duration as Span;
use transom_channel::SendError;
use transom_domain::Content;
use transom_sandbox::{AccountPatch, Fault, FaultKind};

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
