//! WhatsApp's rules, from its documents and the raw history.
//!
//! The customer service window: 24 hours from the user's last message or call, per number and user; free-form inside,
//! approved templates outside. The messaging limit: unique users written to outside a window in a moving 24 hours,
//! per portfolio.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use super::errors::GraphError;
use super::number;
use crate::chats::ChatKey;
use crate::ledger::{Window, WindowState};
use crate::people::Customer;
use crate::platforms::{Ask, AskKind, Because, QuotaView, Verdict};
use crate::world::World;

const SERVICE_WINDOW: Duration = Duration::hours(24);
const MOVING_DAY: Duration = Duration::hours(24);

/// What opens the window. A reaction, an edit, a deletion, a system message and a changed preference do not.
fn opens(kind: &str) -> bool {
    matches!(
        kind,
        "text"
            | "image"
            | "video"
            | "audio"
            | "document"
            | "sticker"
            | "location"
            | "contacts"
            | "order"
            | "interactive"
            | "button"
            | "unsupported"
            | "call"
    )
}

/// The customer service window at `now`.
pub(super) fn window(world: &World, key: &ChatKey, now: OffsetDateTime) -> Window {
    let last = world.chats.get(key).and_then(|chat| chat.latest(opens));
    Window::rolling(last, SERVICE_WINDOW, now)
}

/// The portfolio's messaging limit at `now`, as this customer meets it; `None` without a limit.
fn quota(world: &mut World, key: &ChatKey, now: OffsetDateTime) -> Option<QuotaView> {
    let settings = number::settings(world, &key.account).ok()?;
    let limit = settings.messaging_limit?;
    let numbers = number::in_portfolio(world, &settings.portfolio);
    let users: BTreeSet<&str> = world
        .ledger
        .sends
        .iter()
        .rev()
        .take_while(|send| send.at > now - MOVING_DAY)
        .filter(|send| send.counted && numbers.contains(&send.account))
        .map(|send| send.customer.as_str())
        .collect();
    let used = u32::try_from(users.len()).unwrap_or(u32::MAX);
    Some(QuotaView { limit, used, counts_me: users.contains(key.customer.as_str()) })
}

/// What window, quota and country say to a message now.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, ask: &Ask, now: OffsetDateTime) -> Verdict {
    let window = window(world, key, now);
    let quota = if window.is_open() { None } else { quota(world, key, now) };
    let promotes_in_vain = ask.category.as_deref() == Some("marketing")
        && world.customers.get(&key.customer).is_some_and(is_in_the_united_states);
    let full = quota.as_ref().is_some_and(|quota| !quota.counts_me && quota.used >= quota.limit);
    let because = match (window.state, ask.kind) {
        (_, AskKind::Template) if full => Some(Because::Quota),
        (_, AskKind::Template) if promotes_in_vain => Some(Because::Country),
        (_, AskKind::Template) | (WindowState::Open | WindowState::None, _) => None,
        // There are no message tags here: one would be free form.
        (WindowState::Closed, AskKind::FreeForm | AskKind::Tagged) => Some(Because::WindowClosed),
        (WindowState::NeverOpened, AskKind::FreeForm | AskKind::Tagged) => Some(Because::NeverOpened),
    };
    let code = because.map(|because| match because {
        Because::WindowClosed | Because::NeverOpened => 131_047,
        Because::Quota => 131_048,
        Because::Country => 131_049,
    });
    let (blocked, opted_out) = world.chats.get(key).map_or((false, false), |chat| (chat.blocked, chat.opted_out));
    Verdict { allowed: because.is_none(), because, code, window, quota, blocked, opted_out }
}

/// Everything that can stand between an account and a customer, in the order in which the platform looks.
pub(super) fn refusal(
    world: &mut World,
    key: &ChatKey,
    category: Option<&str>,
    now: OffsetDateTime,
) -> Option<GraphError> {
    let customer = world.customers.get(&key.customer)?.clone();
    let chat = world.chats.get(key);
    if chat.is_some_and(|chat| chat.shut_out) {
        return Some(GraphError::new(130_403, "The business has blocked this user"));
    }
    if customer.unreachable_on.contains("whatsapp") {
        return Some(undeliverable());
    }
    let (opted_out, marketing) = (chat.is_some_and(|chat| chat.opted_out), category == Some("marketing"));
    if marketing && opted_out {
        return Some(GraphError::new(131_050, "The user has stopped marketing messages from this business"));
    }
    let ask = Ask { kind: category.map_or(AskKind::FreeForm, |_| AskKind::Template), ..Ask::default() };
    let verdict = would_accept(world, key, &ask, now);
    match verdict.because {
        Some(Because::WindowClosed | Because::NeverOpened) => {
            let details = "Message failed to send because more than 24 hours have passed since the customer last \
                           replied to this number";
            return Some(GraphError::new(131_047, details));
        }
        Some(Because::Quota) => {
            let details =
                "The portfolio has reached its limit of unique users outside a customer service window in 24 hours";
            return Some(GraphError::new(131_048, details));
        }
        // Asked without a category, this is not among the answers: it comes last.
        Some(Because::Country) | None => {}
    }
    let capped = customer.marketing_capped && !verdict.window.is_open();
    if marketing && (capped || is_in_the_united_states(&customer)) {
        let details = "This message was not delivered to maintain healthy ecosystem engagement";
        return Some(GraphError::new(131_049, details));
    }
    None
}

pub(super) fn undeliverable() -> GraphError {
    GraphError::new(
        131_026,
        "Message undeliverable: the recipient is not a WhatsApp user, or has not accepted its terms",
    )
}

/// A number of the North American plan whose area is in the United States (marketing is paused there since 2025-04-01).
fn is_in_the_united_states(customer: &Customer) -> bool {
    /// Areas of the plan in Canada, Bermuda and the Caribbean.
    const ELSEWHERE: &str = "204 226 236 242 246 249 250 257 263 264 268 284 289 306 343 345 354 365 367 368 382 387 403 416 418 428 \
        431 437 438 441 450 468 473 474 506 514 519 548 579 581 584 587 600 604 613 639 647 649 658 664 672 683 \
        705 709 721 742 753 758 767 778 780 782 784 807 809 819 825 829 849 867 868 869 873 876 879 902 905 942";
    let digits = customer.phone_digits().unwrap_or_default();
    digits.len() == 11
        && digits.starts_with('1')
        && digits.get(1..4).is_some_and(|area| !ELSEWHERE.split(' ').any(|one| one == area))
}
