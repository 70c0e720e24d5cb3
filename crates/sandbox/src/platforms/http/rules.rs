//! The rules of the other side, from the documents and the raw history.
//!
//! In house: anything for 24 hours after the customer's last message or tap, templates at any time, so many messages a day.
//! Viber Business (partners' pages): the customer's message opens a session of 24 hours, with at most 60 messages, and at most
//! five in a row without a reply; templates to a number at any time, and only they reach who never wrote.

use time::{Duration, OffsetDateTime};

use super::account::{self, HttpSettings, Rules};
use crate::chats::{Chat, ChatKey};
use crate::ledger::Window;
use crate::platforms::{Ask, AskKind, Because, QuotaView, Verdict};
use crate::world::World;

const DAY: Duration = Duration::hours(24);

fn is_opening(kind: &str) -> bool {
    matches!(kind, "message" | "postback")
}

fn window(chat: Option<&Chat>, rules: Rules, now: OffsetDateTime) -> Window {
    let Some(chat) = chat else { return Window::rolling(None, DAY, now) };
    if rules == Rules::InHouse {
        return Window::rolling(chat.latest(is_opening), DAY, now);
    }
    let mut times: Vec<OffsetDateTime> =
        chat.history.iter().filter(|happened| happened.kind == "message").map(|happened| happened.at).collect();
    times.sort_unstable();
    let opened = times.into_iter().fold(None, |opened: Option<OffsetDateTime>, at| match opened {
        Some(opened) if at < opened + DAY => Some(opened),
        _ => Some(at),
    });
    Window::rolling(opened, DAY, now)
}

/// Session messages to this person from an instant on.
fn sent_since(world: &World, key: &ChatKey, since: OffsetDateTime) -> u32 {
    let sends = world.ledger.sends.iter().rev().take_while(|send| send.at >= since);
    let mine = sends.filter(|send| send.account == key.account && send.customer == key.customer);
    u32::try_from(mine.filter(|send| send.kind != "template").count()).unwrap_or(u32::MAX)
}

/// Messages of the account on the day of `now`.
fn sent_today(world: &World, account: &str, now: OffsetDateTime) -> u32 {
    let today = world.ledger.sends.iter().filter(|send| send.account == account && send.at.date() == now.date());
    u32::try_from(today.count()).unwrap_or(u32::MAX)
}

/// The quota that stands in a message's way, with its name.
fn full(
    world: &World,
    key: &ChatKey,
    settings: &HttpSettings,
    free_form: bool,
    window: &Window,
    now: OffsetDateTime,
) -> Option<(&'static str, QuotaView)> {
    let view = |limit: u32, used: u32| (used >= limit).then_some(QuotaView { limit, used, counts_me: false });
    if settings.rules == Rules::InHouse {
        let limit = settings.daily_messages?;
        return view(limit, sent_today(world, &key.account, now)).map(|view| ("daily_messages", view));
    }
    let opened = window.opened_at.filter(|_| free_form)?;
    let wrote = world.chats.get(key)?.latest(|kind| kind == "message").unwrap_or(opened);
    let unanswered = view(settings.unanswered, sent_since(world, key, wrote)).map(|view| ("unanswered", view));
    let session =
        || view(settings.session_messages, sent_since(world, key, opened)).map(|view| ("session_messages", view));
    unanswered.or_else(session)
}

/// What window and quota say to a message now; with the quota's name, if one is full.
pub(super) fn judged(
    world: &mut World,
    key: &ChatKey,
    free_form: bool,
    now: OffsetDateTime,
) -> (Window, Option<Because>, Option<(&'static str, QuotaView)>) {
    let Ok(settings) = account::settings(world, &key.account) else {
        return (Window::rolling(None, DAY, now), Some(Because::NeverOpened), None);
    };
    let window = window(world.chats.get(key), settings.rules, now);
    if free_form && !window.is_open() {
        let because = if window.opened_at.is_some() { Because::WindowClosed } else { Because::NeverOpened };
        return (window, Some(because), None);
    }
    let full = full(world, key, &settings, free_form, &window, now);
    let because = full.as_ref().map(|_| Because::Quota);
    (window, because, full)
}

pub(super) fn would_accept(world: &mut World, key: &ChatKey, ask: &Ask, now: OffsetDateTime) -> Verdict {
    let (window, because, full) = judged(world, key, ask.kind != AskKind::Template, now);
    let (blocked, opted_out) = world.chats.get(key).map_or((false, false), |chat| (chat.blocked, chat.opted_out));
    let (code, quota) = (because.map(|_| 409), full.map(|(_, view)| view));
    Verdict { allowed: because.is_none(), because, code, window, quota, blocked, opted_out }
}
