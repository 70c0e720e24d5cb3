//! Who is reached, and what it costs: from the raw history, in plain code.
//!
//! Written from LINE's documents: a friend is reached at any time; somebody else only within seven days of writing; a reply
//! token answers its event once and soon, and costs nothing; everything else is counted by the month, in Japan's time.

use time::{Date, Duration, OffsetDateTime, UtcOffset};

use super::account::official;
use crate::chats::{Chat, ChatKey};
use crate::ledger::Window;
use crate::platforms::{Because, QuotaView, Verdict};
use crate::world::World;

/// After this long somebody who is no friend is no longer reached.
const WRITER_IS_REACHED_FOR: Duration = Duration::days(7);

/// Whether a push would arrive.
pub(super) fn is_reached(world: &World, key: &ChatKey, now: OffsetDateTime) -> bool {
    let gone = world.customers.get(&key.customer).is_none_or(|customer| customer.unreachable_on.contains("line"));
    let Some(chat) = world.chats.get(key).filter(|chat| !chat.blocked && !gone) else { return false };
    let wrote = chat.latest(|kind| kind == "message");
    is_friend(chat) || wrote.is_some_and(|at| now < at + WRITER_IS_REACHED_FOR)
}

/// Added the account, and has not left it since.
pub(super) fn is_friend(chat: &Chat) -> bool {
    let came = chat.latest(|kind| kind == "follow");
    let left = chat.latest(|kind| kind == "unfollow");
    came.is_some() && left.is_none_or(|left| came >= Some(left))
}

/// The month of an instant, in the time zone of LINE's own statistics (UTC+9).
fn month(at: OffsetDateTime) -> (i32, u8) {
    let japan = UtcOffset::from_hms(9, 0, 0).unwrap_or(UtcOffset::UTC);
    let date: Date = at.to_offset(japan).date();
    (date.year(), date.month().into())
}

/// How many messages of this month are used.
pub(super) fn used(world: &mut World, account: &str, now: OffsetDateTime) -> u32 {
    let elsewhere = official(world, account).map_or(0, |official| official.settings.used_elsewhere);
    let counted = world
        .ledger
        .sends
        .iter()
        .filter(|send| send.account == account && send.counted && month(send.at) == month(now));
    elsewhere.saturating_add(u32::try_from(counted.count()).unwrap_or(u32::MAX))
}

/// Whether one more message fits into the month.
pub(super) fn has_room(world: &mut World, account: &str, now: OffsetDateTime) -> bool {
    let used = used(world, account, now);
    let Ok(official) = official(world, account) else { return false };
    let held = used.saturating_add(official.settings.reserved);
    official.settings.monthly_limit.is_none_or(|limit| held < limit)
}

/// The end of the newest reply token of a customer that is still good.
fn token_until(world: &mut World, key: &ChatKey, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let official = official(world, &key.account).ok()?;
    let life = official.token_life();
    let mine = official.tokens.values().filter(|token| token.customer == key.customer && !token.used);
    mine.map(|token| token.at + life).filter(|end| now < *end).max()
}

/// What LINE would answer, by friendship, token and month.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, now: OffsetDateTime) -> Verdict {
    let (reached, room) = (is_reached(world, key, now), has_room(world, &key.account, now));
    let token = token_until(world, key, now);
    let limit = official(world, &key.account).ok().and_then(|official| official.settings.monthly_limit);
    let used = used(world, &key.account, now);
    let chat = world.chats.get(key);
    let blocked = chat.is_some_and(|chat| chat.blocked);
    let since = chat.and_then(|chat| chat.latest(|kind| kind != "unfollow"));
    // What a token answers does not reach somebody who blocked the account meanwhile.
    let answers = token.filter(|_| !blocked);
    let because = match (answers.is_some() || (reached && room), reached) {
        (true, _) => None,
        (false, true) => Some(Because::Quota),
        (false, false) => Some(Because::NeverOpened),
    };
    let window = match answers {
        // Only the token is left: that is a window.
        Some(until) if !(reached && room) => {
            Window { state: crate::ledger::WindowState::Open, opened_at: since, closes_at: Some(until) }
        }
        _ => Window::unlimited(since.filter(|_| reached)),
    };
    Verdict {
        allowed: because.is_none(),
        because,
        code: because.map(|because| if because == Because::Quota { 429 } else { 200 }),
        window,
        quota: limit.map(|limit| QuotaView { limit, used, counts_me: false }),
        blocked,
        opted_out: false,
    }
}
