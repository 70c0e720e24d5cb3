//! TikTok's rules as most sources tell them, from the raw history: after each direct message of the customer 48 hours and ten
//! messages, then nothing.

use time::{Duration, OffsetDateTime};

use super::account;
use crate::chats::ChatKey;
use crate::ledger::{Window, WindowState};
use crate::platforms::{Ask, AskKind, Because, QuotaView, Verdict};
use crate::world::World;

const WINDOW: Duration = Duration::hours(48);
/// A closed window, a used-up count and a customer's own settings have one code.
const DIRECT_MESSAGE_RULES: i64 = 40_064;

/// What window and count say to a message now.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, ask: &Ask, now: OffsetDateTime) -> Verdict {
    let limit = account::settings(world, &key.account).map_or(0, |settings| settings.reply_limit);
    let chat = world.chats.get(key);
    let last = chat.and_then(|chat| chat.latest(|kind| kind == "message"));
    let (blocked, opted_out) = chat.map_or((false, false), |chat| (chat.blocked, chat.opted_out));
    let window = Window::rolling(last, WINDOW, now);
    let used = last.map_or(0, |last| sent_since(world, key, last));
    let because = match (window.state, ask.kind) {
        // Neither tags nor templates lead past the window here.
        (_, AskKind::Tagged | AskKind::Template) | (WindowState::Closed, _) => Some(Because::WindowClosed),
        (WindowState::NeverOpened, _) => Some(Because::NeverOpened),
        (WindowState::Open | WindowState::None, AskKind::FreeForm) => (used >= limit).then_some(Because::Quota),
    };
    let quota = window.is_open().then_some(QuotaView { limit, used, counts_me: false });
    let code = because.map(|_| DIRECT_MESSAGE_RULES);
    Verdict { allowed: because.is_none(), because, code, window, quota, blocked, opted_out }
}

/// The messages that the customer got since an instant.
fn sent_since(world: &World, key: &ChatKey, since: OffsetDateTime) -> u32 {
    let sends = world.ledger.sends.iter().rev();
    let mine = sends.filter(|send| send.account == key.account && send.customer == key.customer && send.at >= since);
    u32::try_from(mine.count()).unwrap_or(u32::MAX)
}
