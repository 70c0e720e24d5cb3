//! Messenger's rules, from its documents and the raw history.
//!
//! The standard window: 24 hours from the person's last opening act. `HUMAN_AGENT`: 7 days from their last message or
//! postback, with the feature. Utility templates: at any time, to somebody who was there once. Three tags ended on 2026-04-27.
//! A comment or visitor post: one private reply within 7 days.

use time::macros::datetime;
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
/// The day on which the three update tags stopped.
const TAGS_ENDED: OffsetDateTime = datetime!(2026-04-27 00:00 UTC);

/// What opens the standard window: both official lists, where they agree or the broader one is certain.
fn opens(kind: &str) -> bool {
    matches!(kind, "message" | "postback" | "optin" | "referral" | "reaction")
}

/// What starts the seven days: a message, and what is as good as one.
fn speaks(kind: &str) -> bool {
    matches!(kind, "message" | "postback")
}

fn latest(world: &World, key: &ChatKey, counts: fn(&str) -> bool) -> Option<OffsetDateTime> {
    world.chats.get(key).and_then(|chat| chat.latest(counts))
}

/// The window at `now`: the standard one, or a person's under the tag.
pub(super) fn window(world: &World, key: &ChatKey, tag: Option<&str>, now: OffsetDateTime) -> Window {
    match tag {
        Some("HUMAN_AGENT") => Window::rolling(latest(world, key, speaks), WEEK, now),
        _ => Window::rolling(latest(world, key, opens), DAY, now),
    }
}

fn closed() -> GraphError {
    GraphError::sub(10, 2_018_278, "This message is sent outside of allowed window.")
}

/// Whether the message may leave by the right that it claims.
pub(super) fn judge(world: &mut World, key: &ChatKey, claim: &Claim, now: OffsetDateTime) -> Result<(), GraphError> {
    if let Some(reference) = &claim.answers {
        return private_reply(world, key, reference, now);
    }
    if let Some(category) = &claim.template {
        return utility(world, key, claim, category);
    }
    let tagged = claim.messaging_type.as_deref() == Some("MESSAGE_TAG");
    match (tagged, claim.tag.as_deref()) {
        (true, None) => Err(GraphError::parameter("tag", "MESSAGE_TAG needs one")),
        (true, Some(tag)) => under_tag(world, key, tag, now),
        // Requests without a type are taken as answers.
        (false, _) => match claim.messaging_type.as_deref() {
            None | Some("RESPONSE" | "UPDATE") if window(world, key, None, now).is_open() => Ok(()),
            None | Some("RESPONSE" | "UPDATE") => Err(closed()),
            Some("UTILITY") => Err(GraphError::parameter("message", "a utility message needs a template")),
            Some(_) => Err(GraphError::parameter("messaging_type", "RESPONSE, UPDATE, MESSAGE_TAG or UTILITY")),
        },
    }
}

fn under_tag(world: &mut World, key: &ChatKey, tag: &str, now: OffsetDateTime) -> Result<(), GraphError> {
    let settings = page::settings(world, &key.account).map_err(|_| GraphError::no_such_object())?;
    match tag {
        "HUMAN_AGENT" if !settings.human_agent => Err(closed()),
        "HUMAN_AGENT" if window(world, key, Some(tag), now).is_open() => Ok(()),
        "HUMAN_AGENT" => Err(closed()),
        "CONFIRMED_EVENT_UPDATE" | "ACCOUNT_UPDATE" | "POST_PURCHASE_UPDATE" if now < TAGS_ENDED => known(world, key),
        "CUSTOMER_FEEDBACK" => Err(GraphError::parameter("tag", "only with the Customer Feedback template")),
        "NON_PROMOTIONAL_SUBSCRIPTION" => Err(GraphError::new(10, "The Page is not in the News Page Index")),
        _ => Err(GraphError::parameter("tag", "this message tag is deprecated or does not exist")),
    }
}

fn utility(world: &World, key: &ChatKey, claim: &Claim, category: &str) -> Result<(), GraphError> {
    if claim.messaging_type.as_deref() != Some("UTILITY") {
        return Err(GraphError::parameter("messaging_type", "a template goes as UTILITY"));
    }
    if category != "utility" {
        return Err(GraphError::parameter("template", "only utility templates"));
    }
    known(world, key)
}

/// The person must have been there once: an id alone gives no right.
fn known(world: &World, key: &ChatKey) -> Result<(), GraphError> {
    if latest(world, key, opens).is_some() { Ok(()) } else { Err(closed()) }
}

fn private_reply(world: &mut World, key: &ChatKey, reference: &str, now: OffsetDateTime) -> Result<(), GraphError> {
    let comments = &world.shelves.of::<Comments>().0;
    let comment = comments.get(&(key.account.clone(), reference.to_owned())).ok_or_else(GraphError::no_such_object)?;
    if comment.answered {
        return Err(GraphError::new(10900, "Activity already replied to"));
    }
    if now >= comment.at + WEEK {
        return Err(closed());
    }
    Ok(())
}

/// What window and templates say to a message now. Free form asks for a person, who may use the tag.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, ask: &Ask, now: OffsetDateTime) -> Verdict {
    let has_tag = page::settings(world, &key.account).is_ok_and(|settings| settings.human_agent);
    let standard = window(world, key, None, now);
    let shown = match ask.kind {
        AskKind::Tagged if ask.tag.as_deref() == Some(PRIVATE_REPLY) => {
            Window::rolling(page::waiting_comment(world, key), WEEK, now)
        }
        AskKind::Tagged => window(world, key, ask.tag.as_deref(), now),
        AskKind::FreeForm if has_tag => widest(standard, window(world, key, Some("HUMAN_AGENT"), now)),
        AskKind::FreeForm | AskKind::Template => standard,
    };
    let refused = match ask.kind {
        AskKind::FreeForm if shown.is_open() => None,
        AskKind::FreeForm => Some(closed()),
        AskKind::Tagged if ask.tag.as_deref() == Some(PRIVATE_REPLY) => (!shown.is_open()).then(closed),
        AskKind::Tagged => under_tag(world, key, ask.tag.as_deref().unwrap_or_default(), now).err(),
        AskKind::Template => match ask.category.as_deref() {
            Some("utility") => known(world, key).err(),
            _ => Some(GraphError::parameter("template", "only utility templates")),
        },
    };
    let because = refused.as_ref().map(|_| match shown.state {
        WindowState::NeverOpened => Because::NeverOpened,
        _ => Because::WindowClosed,
    });
    let blocked = world.chats.get(key).is_some_and(|chat| chat.blocked);
    let code = refused.map(|error| error.number());
    Verdict { allowed: because.is_none(), because, code, window: shown, quota: None, blocked, opted_out: false }
}

fn widest(one: Window, other: Window) -> Window {
    if other.closes_at > one.closes_at { other } else { one }
}
