//! Instagram's rules, from its documents and the raw history.
//!
//! 24 hours from the person's last message, tap or link; 7 days from their last message or tap for a person under
//! `HUMAN_AGENT`, the only tag; then nothing. A comment: one private reply within 7 days. A reaction opens nothing.

use time::{Duration, OffsetDateTime};

use crate::chats::ChatKey;
use crate::ledger::{Window, WindowState};
use crate::platforms::pages::Claim;
use crate::platforms::pages::errors::GraphError;
use crate::platforms::pages::page::{self, Comments, PRIVATE_REPLY};
use crate::platforms::{Ask, AskKind, Because, Verdict};
use crate::world::World;

const DAY: Duration = Duration::hours(24);
const WEEK: Duration = Duration::days(7);
const NO_COMMENT: &str = "The comment is invalid for a private reply";

/// Stories and quick replies arrive as messages too.
fn opens(kind: &str) -> bool {
    matches!(kind, "message" | "postback" | "referral")
}

fn speaks(kind: &str) -> bool {
    matches!(kind, "message" | "postback")
}

/// The window at `now`: the standard one, or a person's under the tag.
pub(super) fn window(world: &World, key: &ChatKey, tag: Option<&str>, now: OffsetDateTime) -> Window {
    let latest = |counts: fn(&str) -> bool| world.chats.get(key).and_then(|chat| chat.latest(counts));
    match tag {
        Some("HUMAN_AGENT") => Window::rolling(latest(speaks), WEEK, now),
        _ => Window::rolling(latest(opens), DAY, now),
    }
}

fn closed() -> GraphError {
    GraphError::sub(10, 2_534_022, "This message is sent outside of allowed window.")
}

/// Whether the message may leave by the right that it claims.
pub(super) fn judge(world: &mut World, key: &ChatKey, claim: &Claim, now: OffsetDateTime) -> Result<(), GraphError> {
    if let Some(reference) = &claim.answers {
        return private_reply(world, key, reference, now);
    }
    match (claim.messaging_type.as_deref(), claim.tag.as_deref()) {
        (Some("MESSAGE_TAG"), Some(tag)) => under_tag(world, key, tag, now),
        (Some("MESSAGE_TAG"), None) => Err(GraphError::parameter("tag", "MESSAGE_TAG needs one")),
        // The type may be left out.
        (None | Some("RESPONSE" | "UPDATE"), _) if window(world, key, None, now).is_open() => Ok(()),
        (None | Some("RESPONSE" | "UPDATE"), _) => Err(closed()),
        _ => Err(GraphError::parameter("messaging_type", "RESPONSE, UPDATE or MESSAGE_TAG")),
    }
}

fn under_tag(world: &mut World, key: &ChatKey, tag: &str, now: OffsetDateTime) -> Result<(), GraphError> {
    let granted = page::settings(world, &key.account).is_ok_and(|settings| settings.human_agent);
    match tag {
        "HUMAN_AGENT" if granted && window(world, key, Some(tag), now).is_open() => Ok(()),
        "HUMAN_AGENT" => Err(closed()),
        _ => Err(GraphError::parameter("tag", "HUMAN_AGENT is the only one")),
    }
}

fn private_reply(world: &mut World, key: &ChatKey, reference: &str, now: OffsetDateTime) -> Result<(), GraphError> {
    let comments = &world.shelves.of::<Comments>().0;
    let comment = comments.get(&(key.account.clone(), reference.to_owned()));
    match comment {
        Some(comment) if !comment.answered && now < comment.at + WEEK => Ok(()),
        _ => Err(GraphError::sub(100, 2_534_025, NO_COMMENT)),
    }
}

/// What the window says to a message now. Free form asks for a person, who may use the tag.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, ask: &Ask, now: OffsetDateTime) -> Verdict {
    let granted = page::settings(world, &key.account).is_ok_and(|settings| settings.human_agent);
    let standard = window(world, key, None, now);
    let persons = window(world, key, Some("HUMAN_AGENT"), now);
    let (shown, refused) = match (ask.kind, ask.tag.as_deref()) {
        (AskKind::FreeForm, _) => {
            let shown = if granted && persons.closes_at > standard.closes_at { persons } else { standard };
            let refused = (!shown.is_open()).then(closed);
            (shown, refused)
        }
        (AskKind::Tagged, Some(PRIVATE_REPLY)) => {
            let shown = Window::rolling(page::waiting_comment(world, key), WEEK, now);
            let refused = (!shown.is_open()).then(|| GraphError::sub(100, 2_534_025, NO_COMMENT));
            (shown, refused)
        }
        (AskKind::Tagged, tag) => (persons, under_tag(world, key, tag.unwrap_or_default(), now).err()),
        (AskKind::Template, _) => (standard, Some(GraphError::parameter("template", "there are none"))),
    };
    let because = refused.as_ref().map(|_| match shown.state {
        WindowState::NeverOpened => Because::NeverOpened,
        _ => Because::WindowClosed,
    });
    let blocked = world.chats.get(key).is_some_and(|chat| chat.blocked);
    let code = refused.map(|error| error.number());
    Verdict { allowed: because.is_none(), because, code, window: shown, quota: None, blocked, opted_out: false }
}
