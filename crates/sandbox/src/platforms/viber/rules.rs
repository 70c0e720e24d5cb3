//! Viber's rules, from its documents and the raw history.
//!
//! Only subscribers can be written to: who wrote or subscribed, and did not unsubscribe since. A subscriber's message opens
//! a session of 24 hours in which everything is free. A message outside of it is started by the bot: so many a calendar
//! month (UTC) are free; beyond, a bot with commercial terms pays, and any other is refused. At most 100 messages may go to
//! a person within an hour without a reply.

use time::{Duration, OffsetDateTime};

use super::bot::{self, Session, ViberSettings};
use super::refusals::Refused;
use crate::chats::{Chat, ChatKey};
use crate::ledger::{Window, WindowState};
use crate::platforms::{Ask, AskKind, Because, QuotaView, Verdict};
use crate::world::World;

const SESSION: Duration = Duration::hours(24);
const UNANSWERED: usize = 100;

/// How a message is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Booking {
    InSession,
    Free,
    Paid,
}

impl Booking {
    /// What the answer says of it.
    pub(super) fn billing_status(self, billable: bool) -> u8 {
        match (self, billable) {
            (Booking::InSession, false) => 1,
            (Booking::InSession, true) => 2,
            (Booking::Free, false) => 3,
            (Booking::Free, true) => 4,
            (Booking::Paid, _) => 5,
        }
    }
}

/// Whether the person takes messages: the latest word counts.
fn is_subscribed(chat: &Chat) -> bool {
    let mut last: Option<(OffsetDateTime, bool)> = None;
    for happened in chat.history.iter() {
        let word = match happened.kind.as_str() {
            "message" | "subscribed" => true,
            "unsubscribed" => false,
            _ => continue,
        };
        if last.is_none_or(|(at, _)| happened.at >= at) {
            last = Some((happened.at, word));
        }
    }
    last.is_some_and(|(_, word)| word)
}

/// The session at `now`. A message inside one does not prolong it, unless the bot's sessions slide.
pub(super) fn session(chat: Option<&Chat>, kind: Session, now: OffsetDateTime) -> Window {
    let messages = chat.into_iter().flat_map(|chat| chat.history.iter()).filter(|happened| happened.kind == "message");
    let mut times: Vec<OffsetDateTime> = messages.map(|happened| happened.at).collect();
    times.sort_unstable();
    let mut opened: Option<OffsetDateTime> = None;
    for at in times {
        if kind == Session::Sliding || opened.is_none_or(|opened| at >= opened + SESSION) {
            opened = Some(at);
        }
    }
    Window::rolling(opened, SESSION, now)
}

/// Messages that the bot started in the month of `now`.
fn started(world: &mut World, account: &str, now: OffsetDateTime) -> u32 {
    let month = |at: OffsetDateTime| (at.year(), at.month());
    let before = bot::bot(world, account)
        .ok()
        .filter(|bot| month(bot.since) == month(now))
        .map_or(0, |bot| bot.settings.used_before);
    let counted = |send: &&crate::ledger::Send| send.counted && send.account == account && month(send.at) == month(now);
    let counted = world.ledger.sends.iter().filter(counted).count();
    before.saturating_add(u32::try_from(counted).unwrap_or(u32::MAX))
}

/// Messages to a person within the last hour, since they last wrote.
fn unanswered(world: &World, key: &ChatKey, now: OffsetDateTime) -> usize {
    let wrote = world.chats.get(key).and_then(|chat| chat.latest(|kind| kind == "message"));
    let hour = now - Duration::HOUR;
    let sends = world.ledger.sends.iter().rev().take_while(|send| send.at > hour);
    let mine = sends.filter(|send| send.account == key.account && send.customer == key.customer);
    mine.filter(|send| wrote.is_none_or(|wrote| send.at >= wrote)).count()
}

/// Everything that can stand between a bot and a person, in the order in which the platform looks; else how it is booked.
pub(super) fn booking(world: &mut World, key: &ChatKey, now: OffsetDateTime) -> Result<(Window, Booking), Refused> {
    let settings = bot::bot(world, &key.account).map_err(|_| Refused::of(8))?.settings.clone();
    let chat = world.chats.get(key);
    if !chat.is_some_and(is_subscribed) {
        return Err(Refused::of(6));
    }
    let window = session(chat, settings.session, now);
    if settings.pacing && unanswered(world, key, now) >= UNANSWERED {
        return Err(Refused::of(12));
    }
    if window.is_open() {
        return Ok((window, Booking::InSession));
    }
    let used = started(world, &key.account, now);
    if used < settings.free_messages {
        return Ok((window, Booking::Free));
    }
    match (settings.billable, settings.balance) {
        (true, None) => Ok((window, Booking::Paid)),
        (true, Some(balance)) if paid(used, &settings) < balance => Ok((window, Booking::Paid)),
        (true, Some(_)) => Err(Refused::of(24)),
        (false, _) => Err(Refused::of(23)),
    }
}

/// Those beyond the free ones.
fn paid(used: u32, settings: &ViberSettings) -> u32 {
    used.saturating_sub(settings.free_messages)
}

/// What session and quota say to a message now. There are no templates here.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, ask: &Ask, now: OffsetDateTime) -> Verdict {
    let settings = bot::bot(world, &key.account).ok().map(|bot| bot.settings.clone());
    let kind = settings.as_ref().map_or(Session::Fixed, |settings| settings.session);
    let window = session(world.chats.get(key), kind, now);
    let booked = booking(world, key, now).map(|(_, booking)| booking);
    let because = match (&booked, ask.kind) {
        (_, AskKind::Template | AskKind::Tagged) => Some(Because::NeverOpened),
        (Ok(_), AskKind::FreeForm) => None,
        (Err(refused), _) if refused.status == 6 => match window.state {
            WindowState::NeverOpened => Some(Because::NeverOpened),
            _ => Some(Because::WindowClosed),
        },
        (Err(_), _) => Some(Because::Quota),
    };
    let quota = (!window.is_open()).then(|| QuotaView {
        limit: settings.map_or(0, |settings| settings.free_messages),
        used: started(world, &key.account, now),
        counts_me: false,
    });
    let code = booked.err().map(|refused| refused.status);
    Verdict { allowed: because.is_none(), because, code, window, quota, blocked: false, opted_out: false }
}
