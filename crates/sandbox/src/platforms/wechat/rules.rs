//! Who may be written to, and how often: from the raw history, in plain code.
//!
//! Written from Tencent's table: a message of the customer gives messages for 48 hours, a tap on the menu, a follow or a scan
//! three for a minute, a payment as many as one likes for 48 hours. Each new event of a sort begins that sort anew; what ends
//! first is spent first. Leaving the account ends everything.

use time::{Duration, OffsetDateTime};

use super::account::official;
use super::templates;
use crate::chats::ChatKey;
use crate::ledger::{Window, WindowState};
use crate::platforms::{Ask, AskKind, Because, QuotaView, Verdict};
use crate::world::World;

const LONG: Duration = Duration::hours(48);
const SHORT: Duration = Duration::minutes(1);

/// "Out of response count limit".
pub(super) const COUNT_REACHED: i64 = 45_047;
/// "Response out of time limit or subscription is canceled".
pub(super) const OUT_OF_TIME: i64 = 45_015;

/// What a message is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bucket {
    /// After a tap, a follow or a scan.
    Interaction,
    /// After a message.
    Message,
    /// After a payment: without a count.
    Payment,
}

impl Bucket {
    const ALL: [Self; 3] = [Self::Interaction, Self::Message, Self::Payment];

    fn is_opened_by(self, kind: &str) -> bool {
        match self {
            Self::Interaction => matches!(kind, "menu_click" | "follow" | "scan"),
            Self::Message => kind == "message",
            Self::Payment => kind == "payment",
        }
    }

    fn span(self) -> Duration {
        if self == Self::Interaction { SHORT } else { LONG }
    }
}

/// A bucket that was opened: from when to when, and how much is used of how much.
struct Opened {
    bucket: Bucket,
    from: OffsetDateTime,
    until: OffsetDateTime,
    used: u32,
    limit: Option<u32>,
}

impl Opened {
    fn is_open(&self, now: OffsetDateTime) -> bool {
        now < self.until
    }

    fn has_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.used < limit)
    }
}

fn opened(world: &mut World, key: &ChatKey) -> Vec<Opened> {
    let Some(chat) = world.chats.get(key) else { return Vec::new() };
    let left = chat.latest(|kind| kind == "unsubscribe");
    let newest = |bucket: Bucket| chat.latest(|kind| bucket.is_opened_by(kind));
    let begun: Vec<(Bucket, OffsetDateTime)> = Bucket::ALL
        .into_iter()
        .filter_map(|bucket| Some((bucket, newest(bucket).filter(|at| left.is_none_or(|left| *at >= left))?)))
        .collect();
    let Ok(official) = official(world, &key.account) else { return Vec::new() };
    let limit_of = |bucket| match bucket {
        Bucket::Interaction => Some(official.settings.interaction_limit),
        Bucket::Message => Some(official.settings.message_limit),
        Bucket::Payment => None,
    };
    let used = |of: Bucket, since: OffsetDateTime| {
        let mine = official.spent.iter().filter(|(chat, at, bucket)| chat == key && *bucket == of && *at >= since);
        u32::try_from(mine.count()).unwrap_or(u32::MAX)
    };
    let open = |(bucket, from): (Bucket, OffsetDateTime)| {
        let (until, used, limit) = (from + bucket.span(), used(bucket, from), limit_of(bucket));
        Opened { bucket, from, until, used, limit }
    };
    begun.into_iter().map(open).collect()
}

/// What the next message would be taken from.
pub(super) fn next_bucket(world: &mut World, key: &ChatKey, now: OffsetDateTime) -> Option<Bucket> {
    let buckets = opened(world, key);
    let usable = buckets.iter().filter(|opened| opened.is_open(now) && opened.has_room());
    usable.min_by_key(|opened| opened.until).map(|opened| opened.bucket)
}

/// What window and count say to a message now.
pub(super) fn would_accept(world: &mut World, key: &ChatKey, ask: &Ask, now: OffsetDateTime) -> Verdict {
    let buckets = opened(world, key);
    let chat = world.chats.get(key);
    let (blocked, opted_out) = chat.map_or((false, false), |chat| (chat.blocked, chat.opted_out));
    let open: Vec<&Opened> = buckets.iter().filter(|opened| opened.is_open(now)).collect();
    // The window of the longest that still has room; else of the longest there was.
    let roomy = open.iter().filter(|opened| opened.has_room()).copied();
    let shown = roomy.max_by_key(|opened| opened.until).or_else(|| buckets.iter().max_by_key(|opened| opened.until));
    let window = Window {
        state: match shown {
            None => WindowState::NeverOpened,
            Some(opened) if opened.is_open(now) => WindowState::Open,
            Some(_) => WindowState::Closed,
        },
        opened_at: shown.map(|opened| opened.from),
        closes_at: shown.map(|opened| opened.until),
    };
    let is_follower = !blocked;
    let because = match (ask.kind, window.state) {
        // A follower of a service account gets notices, whatever they did; advertisements nobody does.
        (AskKind::Template, _) if is_follower && templates::is_notice(ask) && templates::may(world, &key.account) => {
            (templates::left(world, &key.account, now) == 0).then_some(Because::Quota)
        }
        // Tags there are none.
        (AskKind::Tagged | AskKind::Template, _) | (_, WindowState::Closed) => Some(Because::WindowClosed),
        (_, WindowState::NeverOpened) => Some(Because::NeverOpened),
        (AskKind::FreeForm, WindowState::Open | WindowState::None) => {
            (!open.iter().any(|opened| opened.has_room())).then_some(Because::Quota)
        }
    };
    let counted = shown.filter(|opened| opened.is_open(now));
    let quota =
        counted.and_then(|opened| Some(QuotaView { limit: opened.limit?, used: opened.used, counts_me: false }));
    let code = because.map(|because| if because == Because::Quota { COUNT_REACHED } else { OUT_OF_TIME });
    Verdict { allowed: because.is_none(), because, code, window, quota, blocked, opted_out }
}
