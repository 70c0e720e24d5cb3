//! What a visitor may be sent (webchat.md 1), from the raw history.

use time::{Duration, OffsetDateTime};

use crate::chats::{Chat, ChatKey};
use crate::ledger::Window;
use crate::platforms::{Ask, AskKind, Because, QuotaView, Verdict};
use crate::world::World;

/// The tag of a message to somebody who has not asked.
pub(super) const INVITATION: &str = "invitation";
/// The protocol has words for refusals, and no numbers: this is HTTP's.
const REFUSED: i64 = 403;
/// A visitor's token lives as long after their last visit.
const TOKEN: Duration = Duration::days(365);
/// A page that says nothing for so long is gone.
const PRESENT: Duration = Duration::MINUTE;
/// No invitation for so long after one was refused.
const REFUSAL: Duration = Duration::days(7);

/// Who the visitor is to the business.
enum Standing {
    /// The site says who they are, or they wrote and can be found again.
    Known(OffsetDateTime),
    /// They look at the site, and nothing more.
    Passing,
    /// Their browser has forgotten them.
    Gone,
}

/// Whether they wrote since their browser forgot them last, or the site knows them.
fn standing(chat: Option<&Chat>, now: OffsetDateTime) -> Standing {
    let Some(chat) = chat else { return Standing::Gone };
    if let Some(since) = chat.latest(|kind| kind == "identify") {
        return Standing::Known(since);
    }
    // What happened after the last `forget`, in the order in which it was played.
    let mut since_then = Vec::new();
    for happened in chat.history.iter() {
        match happened.kind.as_str() {
            "forget" => since_then.clear(),
            _ => since_then.push(happened),
        }
    }
    let wrote = since_then.iter().rfind(|happened| matches!(happened.kind.as_str(), "message" | "button"));
    let seen = since_then.iter().filter(|happened| happened.kind != "leave").map(|happened| happened.at).max();
    match (wrote, seen) {
        (_, None) => Standing::Gone,
        (_, Some(seen)) if now - seen >= TOKEN => Standing::Gone,
        (Some(wrote), _) => Standing::Known(wrote.at),
        (None, _) => Standing::Passing,
    }
}

/// The last sign of life, and whether the page was still open with it.
fn last_sign(chat: &Chat) -> Option<(OffsetDateTime, bool)> {
    let mut signs =
        chat.history.iter().rev().filter(|happened| !matches!(happened.kind.as_str(), "identify" | "end" | "email"));
    let last = signs.next()?;
    let is_open = !matches!(last.kind.as_str(), "leave" | "forget");
    let sign = if last.kind == "leave" { signs.find(|happened| happened.kind != "leave")? } else { last };
    Some((sign.at, is_open))
}

/// What the visitor's side would take, by the rules of the fact sheet.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, ask: &Ask, now: OffsetDateTime) -> Verdict {
    let chat = world.chats.get(key);
    let known = match standing(chat, now) {
        Standing::Known(since) => Some(since),
        Standing::Passing | Standing::Gone => None,
    };
    let invites = ask.kind == AskKind::Tagged && ask.tag.as_deref() == Some(INVITATION);
    let (blocked, opted_out) = (chat.is_some_and(|chat| chat.shut_out), chat.is_some_and(|chat| chat.opted_out));
    let ended = chat.and_then(|chat| chat.latest(|kind| kind == "end"));
    // Their page is open: the last sign of life is younger than a minute, and they did not leave since.
    let sign = chat.and_then(last_sign);
    let present = sign.is_some_and(|(at, is_open)| is_open && now - at < PRESENT);
    let invited = world.ledger.sends.iter().filter(|send| {
        send.account == key.account
            && send.customer == key.customer
            && send.method == INVITATION
            && now - send.at < Duration::DAY
    });
    let used = u32::try_from(invited.count()).unwrap_or(u32::MAX);
    let because = match (invites, known) {
        (false, Some(_)) => None,
        (false, None) => Some(Because::NeverOpened),
        (true, _) if !present => Some(Because::WindowClosed),
        (true, _) if opted_out || ended.is_some_and(|ended| now - ended < REFUSAL) => Some(Because::WindowClosed),
        (true, _) if used >= 1 => Some(Because::Quota),
        (true, _) => None,
    };
    Verdict {
        allowed: because.is_none(),
        because,
        code: because.map(|_| REFUSED),
        window: match invites {
            true => Window::rolling(sign.map(|(at, _)| at), PRESENT, now),
            false => Window::unlimited(known),
        },
        quota: invites.then_some(QuotaView { limit: 1, used, counts_me: false }),
        blocked,
        opted_out,
    }
}
