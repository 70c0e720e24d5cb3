//! The month's messages: their limit goes with the account's plan, which may change in the middle of one, and others use them
//! too (line.md 1.3). LINE tells nobody of either, so both are asked; what is news comes as an event of our own making, like
//! those of LINE's.

use std::fmt;
use std::time::Duration as Pause;

use async_trait::async_trait;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transom_channel::{Pull, RawInbound, SendError};

use crate::channel::Line;

/// The type of the event of another limit.
pub(crate) const MONTHLY_LIMIT: &str = "monthly_limit";
/// The type of the event of what is used.
pub(crate) const MONTHLY_USAGE: &str = "monthly_usage";
/// Between two questions.
const EVERY: Duration = Duration::HOUR;
/// Before the next one, when LINE did not answer.
const AFTER_FAILURE: Duration = Duration::minutes(5);
/// Between two glances at the clock.
const GLANCE: Pause = Pause::from_secs(1);
/// Stands in a cursor after which nothing of the month was left.
const OVER: &str = "over";

/// A month as LINE counts it: recipients of whatever was pushed, by whomever (line.md 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Month {
    /// `None` for no limit.
    pub(crate) limit: Option<u32>,
    /// LINE calls this number approximate.
    pub(crate) used: u32,
}

impl Month {
    pub(crate) fn is_over(self) -> bool {
        self.limit.is_some_and(|limit| self.used >= limit)
    }

    /// The limit, as a cursor holds it.
    fn word(self) -> String {
        self.limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
    }
}

/// For people: a notice's text.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Some(limit) if self.is_over() => write!(f, "the month's {limit} messages are used up by LINE's count"),
            Some(limit) => write!(f, "LINE counts {} of the month's {limit} messages as used", self.used),
            None => write!(f, "the month's messages have no limit"),
        }
    }
}

#[async_trait]
impl Pull for Line {
    /// The cursor is LINE's last answer, the limit or `none`, the second in which it came, and `over` if nothing was left.
    ///
    /// Never fails: messages come by webhook, and are sent, whether this is answered or not.
    async fn next(&self, cursor: Option<&str>) -> Result<(Vec<RawInbound>, String), SendError> {
        let told = cursor.and_then(Told::read);
        if let Some(told) = &told {
            self.wait(told.at, EVERY).await;
        }
        match self.asked(told.as_ref()).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                tracing::warn!(%error, "LINE did not tell how the month stands");
                self.wait(self.now(), AFTER_FAILURE).await;
                Ok((Vec::new(), cursor.unwrap_or_default().to_owned()))
            }
        }
    }

    async fn done(&self, _cursor: &str) -> Result<(), SendError> {
        Ok(())
    }
}

impl Line {
    /// Until so long after an instant; no longer where the clock was set back.
    async fn wait(&self, since: OffsetDateTime, long: Duration) {
        while (self.now() - since).abs() < long {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// LINE's answer, and what is new in it.
    async fn asked(&self, told: Option<&Told<'_>>) -> Result<(Vec<RawInbound>, String), SendError> {
        let (month, now) = (self.month().await?, self.now());
        let mut news = Vec::new();
        // The first limit is no news: the account was connected with it.
        if told.is_some_and(|told| told.limit != month.word()) {
            news.push(event(MONTHLY_LIMIT, month, now));
        }
        // What was used before the account was connected is in no ledger of ours, and neither is what others send later.
        if told.map_or(month.used > 0, |told| !told.over && month.is_over()) {
            news.push(event(MONTHLY_USAGE, month, now));
        }
        let raw = match news.as_slice() {
            [] => Vec::new(),
            news => {
                let call = json!({ "destination": self.bot_user_id().await?, "events": news });
                vec![RawInbound::new(call.to_string(), now)]
            }
        };
        let over = if month.is_over() { format!(" {OVER}") } else { String::new() };
        Ok((raw, format!("{} {}{over}", month.word(), now.unix_timestamp())))
    }
}

fn event(kind: &str, month: Month, now: OffsetDateTime) -> Value {
    let at = i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    let id = format!("{kind}:{at}");
    json!({ "type": kind, "timestamp": at, "webhookEventId": id, "limit": month.limit, "used": month.used })
}

/// What a cursor says of LINE's last answer.
struct Told<'c> {
    limit: &'c str,
    at: OffsetDateTime,
    over: bool,
}

impl<'c> Told<'c> {
    fn read(cursor: &'c str) -> Option<Self> {
        let mut words = cursor.split(' ');
        let (limit, at) = (words.next()?, words.next()?.parse().ok()?);
        let at = OffsetDateTime::from_unix_timestamp(at).ok()?;
        Some(Self { limit, at, over: words.next() == Some(OVER) })
    }
}
