//! TikTok's rules as its sources tell them, from the raw history.
//!
//! Most say: after each direct message of the customer 48 hours and ten messages, then nothing. One says that the ten hold only
//! until the customer has answered the business: then 48 hours without a count, and three messages after them. A comment: one
//! private reply, where they are switched on.

use time::{Duration, OffsetDateTime};

use super::account::{self, Reading, TikTokSettings};
use super::events::COMMENT;
use crate::chats::ChatKey;
use crate::ledger::{Send, Window};
use crate::platforms::{Ask, AskKind, Because, QuotaView, Verdict};
use crate::world::World;

const WINDOW: Duration = Duration::hours(48);
/// What may still be sent when a dialogue has fallen silent.
const INACTIVE: u32 = 3;
/// The tag of an answer to a comment, as it is asked for here; TikTok has no word for it.
const PRIVATE_REPLY: &str = "private_reply";
/// A closed window, a used-up count and a customer's own settings have one code.
const DIRECT_MESSAGE_RULES: i64 = 40_064;

/// What window and count say to a message now.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, ask: &Ask, now: OffsetDateTime) -> Verdict {
    let settings = account::settings(world, &key.account).ok();
    let chat = world.chats.get(key);
    let (blocked, opted_out) = chat.map_or((false, false), |chat| (chat.blocked, chat.opted_out));
    let (window, because, quota) = match (&settings, ask.kind) {
        (Some(settings), AskKind::FreeForm) => in_the_chat(world, key, settings, now),
        (Some(settings), AskKind::Tagged) if ask.tag.as_deref() == Some(PRIVATE_REPLY) => {
            let waits = settings.direct_reply.then(|| waiting_comment(world, key)).flatten();
            (Window::unlimited(waits), waits.is_none().then_some(Because::NeverOpened), None)
        }
        // Neither tags nor templates lead past the window here.
        _ => (window(world, key, now), Some(Because::WindowClosed), None),
    };
    let code = because.map(|_| DIRECT_MESSAGE_RULES);
    Verdict { allowed: because.is_none(), because, code, window, quota, blocked, opted_out }
}

fn window(world: &World, key: &ChatKey, now: OffsetDateTime) -> Window {
    let last = world.chats.get(key).and_then(|chat| chat.latest(|kind| kind == "message"));
    Window::rolling(last, WINDOW, now)
}

fn in_the_chat(
    world: &World,
    key: &ChatKey,
    settings: &TikTokSettings,
    now: OffsetDateTime,
) -> (Window, Option<Because>, Option<QuotaView>) {
    let window = window(world, key, now);
    let (Some(last), Some(closes_at)) = (window.opened_at, window.closes_at) else {
        return (window, Some(Because::NeverOpened), None);
    };
    // Both have written, the customer last.
    let is_dialogue = settings.reading == Reading::B && sent(world, key).any(|send| send.at < last);
    let (limit, used) = match (is_dialogue, window.is_open()) {
        (true, true) => return (window, None, None),
        (true, false) => (INACTIVE, sent_since(world, key, closes_at)),
        (false, true) => (settings.reply_limit, sent_since(world, key, last)),
        (false, false) => return (window, Some(Because::WindowClosed), None),
    };
    let because = (used >= limit).then_some(Because::Quota);
    (window, because, Some(QuotaView { limit, used, counts_me: false }))
}

/// What the customer got.
fn sent<'w>(world: &'w World, key: &'w ChatKey) -> impl Iterator<Item = &'w Send> {
    world.ledger.sends.iter().filter(|send| send.account == key.account && send.customer == key.customer)
}

/// How many messages they got since an instant. A private reply goes by its comment and not by a message: it does not count.
fn sent_since(world: &World, key: &ChatKey, since: OffsetDateTime) -> u32 {
    let counts = |send: &&Send| send.at >= since && send.body.get("direct_reply").is_none();
    u32::try_from(sent(world, key).filter(counts).count()).unwrap_or(u32::MAX)
}

/// Whether a comment has had its private reply.
pub(super) fn is_answered(world: &World, account: &str, comment: &str) -> bool {
    world.ledger.sends.iter().any(|send| send.account == account && send.recipient == comment)
}

/// When the newest comment was written that has had none.
fn waiting_comment(world: &World, key: &ChatKey) -> Option<OffsetDateTime> {
    let entries = world.chats.get(key)?.entries.iter();
    let waiting = entries.filter(|entry| entry.kind == COMMENT && !is_answered(world, &key.account, &entry.id));
    waiting.map(|entry| entry.at).max()
}
