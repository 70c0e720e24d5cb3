//! Who may be written to: from the raw history, in plain code.
//!
//! Written from the providers' documents and the RFCs: there is no window. Who unsubscribed or complained gets answers to
//! their own mail and nothing else. A provider takes so many recipients in any 24 hours, and breaks loops: of more than five
//! automatic mails to one reader in an hour it takes none (RFC 3834 section 2).

use time::{Duration, OffsetDateTime};

use super::account::mailbox;
use crate::chats::{Chat, ChatKey};
use crate::ledger::Window;
use crate::platforms::{Ask, AskKind, Because, QuotaView, Verdict};
use crate::world::World;

const DAY: Duration = Duration::hours(24);

/// Whether the latest word on the matter was that they want no mail they did not ask for.
pub(super) fn has_left(chat: &Chat) -> bool {
    let left = chat.latest(|kind| kind == "unsubscribe" || kind == "complaint");
    let back = chat.latest(|kind| kind == "opt_in");
    left.is_some_and(|left| back.is_none_or(|back| back <= left))
}

/// Automatic mails to one reader in an hour that are taken.
const AUTOMATIC: usize = 5;

/// Whether one more automatic mail to them would make a loop.
pub(super) fn is_loop(world: &World, account: &str, customer: &str, now: OffsetDateTime) -> bool {
    let sends = world.ledger.sends.iter();
    let lately = sends.filter(|send| {
        send.account == account && send.customer == customer && now - send.at < Duration::HOUR && {
            let fields = send.body.get("headers").cloned().unwrap_or_default();
            is_automatic(&serde_json::from_value::<Vec<(String, String)>>(fields).unwrap_or_default())
        }
    });
    lately.count() >= AUTOMATIC
}

/// Whether a machine says that it wrote this to one reader; a list's mail answers nobody.
pub(super) fn is_automatic(fields: &[(String, String)]) -> bool {
    let field = |name: &str| fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    field("Auto-Submitted").is_some_and(|how| how.trim() != "no") && field("List-Unsubscribe").is_none()
}

/// Recipients of the last 24 hours.
pub(super) fn used(world: &World, account: &str, now: OffsetDateTime) -> u32 {
    let sends = world.ledger.sends.iter().filter(|send| send.account == account && now - send.at < DAY);
    let recipients = sends.map(|send| send.recipient.split(", ").count()).sum::<usize>();
    u32::try_from(recipients).unwrap_or(u32::MAX)
}

/// What the provider would answer: an answer to who wrote, else a mail that nobody asked for.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, ask: &Ask, now: OffsetDateTime) -> Verdict {
    let limit = mailbox(world, &key.account).ok().and_then(|found| found.settings.daily_limit);
    let used = used(world, &key.account, now);
    let chat = world.chats.get(key);
    let since = chat.and_then(|chat| chat.latest(|kind| kind == "message"));
    let wrote = chat.and_then(|chat| chat.latest(|kind| kind == "message" || kind == "automatic")).is_some();
    let is_answer = wrote && ask.kind == AskKind::FreeForm && ask.category.is_none();
    let left = chat.is_some_and(has_left);
    let (because, code) = match (left && !is_answer, limit.is_some_and(|limit| used >= limit)) {
        (true, _) => (Some(Because::WindowClosed), Some(550)),
        (false, true) => (Some(Because::Quota), Some(550)),
        (false, false) => (None, None),
    };
    Verdict {
        allowed: because.is_none(),
        because,
        code,
        window: Window::unlimited(since),
        quota: limit.map(|limit| QuotaView { limit, used, counts_me: false }),
        blocked: false,
        opted_out: left,
    }
}
