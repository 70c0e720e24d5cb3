//! Who may be written to: from the raw history, in plain code.
//!
//! Written from Twilio's documents: anybody, until they say STOP and again after START; as long as the account's day lasts.

use time::OffsetDateTime;

use super::account::sender;
use crate::chats::{Chat, ChatKey};
use crate::ledger::Window;
use crate::platforms::{Because, QuotaView, Verdict};
use crate::world::World;

/// Whether the latest of the customer's keywords was an opt-out; of two at one instant the opt-out counts.
pub(super) fn is_opted_out(chat: &Chat) -> bool {
    let stopped = chat.latest(|kind| kind == "stop");
    let started = chat.latest(|kind| kind == "start");
    stopped.is_some_and(|stopped| started.is_none_or(|started| started <= stopped))
}

/// Segments that the account sent on the day of this instant (UTC).
pub(super) fn used(world: &mut World, account: &str, now: OffsetDateTime) -> u32 {
    let sends = world.ledger.sends.iter().filter(|send| send.account == account && send.at.date() == now.date());
    sends.map(|send| if send.kind == "mms" { 1 } else { super::segments::count(&send.text) }).sum()
}

/// What Twilio would answer, by opt-out and by day.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, now: OffsetDateTime) -> Verdict {
    let limit = sender(world, &key.account).ok().and_then(|found| found.settings.daily_limit);
    let used = used(world, &key.account, now);
    let chat = world.chats.get(key);
    let (blocked, opted_out) = (chat.is_some_and(|chat| chat.blocked), chat.is_some_and(is_opted_out));
    let since = chat.and_then(|chat| chat.latest(|kind| kind == "message"));
    let (because, code) = match (opted_out, limit.is_some_and(|limit| used >= limit)) {
        // The permission is over until they say START; `opted_out` says why.
        (true, _) => (Some(Because::WindowClosed), Some(21_610)),
        (false, true) => (Some(Because::Quota), Some(63_038)),
        (false, false) => (None, None),
    };
    Verdict {
        allowed: because.is_none(),
        because,
        code,
        window: Window::unlimited(since),
        quota: limit.map(|limit| QuotaView { limit, used, counts_me: false }),
        blocked,
        opted_out,
    }
}
