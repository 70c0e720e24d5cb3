//! The limit of a month: it goes with the account's plan, which may change in the middle of one (line.md 1.3). LINE tells
//! nobody, so it is asked; another one than before comes as an event of our own making, like those of LINE's.

use std::time::Duration as Pause;

use async_trait::async_trait;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_channel::{Pull, RawInbound, SendError};

use crate::channel::Line;

/// The type of that event.
pub(crate) const MONTHLY_LIMIT: &str = "monthly_limit";
/// Between two questions.
const EVERY: Duration = Duration::HOUR;
/// Before the next one, when LINE did not answer.
const AFTER_FAILURE: Duration = Duration::minutes(5);
/// Between two glances at the clock.
const GLANCE: Pause = Pause::from_secs(1);

#[async_trait]
impl Pull for Line {
    /// The cursor is LINE's last answer, the limit or `none`, and the second in which it came.
    ///
    /// Never fails: messages come by webhook, and are sent, whether this is answered or not.
    async fn next(&self, cursor: Option<&str>) -> Result<(Vec<RawInbound>, String), SendError> {
        let told = cursor.and_then(read);
        if let Some((_, at)) = told {
            self.wait(at, EVERY).await;
        }
        match self.asked(told.map(|(limit, _)| limit)).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                tracing::warn!(%error, "LINE did not tell the month's limit");
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

    /// LINE's answer, and what is new in it. The first is no news: the account was connected with it.
    async fn asked(&self, told: Option<&str>) -> Result<(Vec<RawInbound>, String), SendError> {
        let limit = self.monthly_limit().await?;
        let (said, now) = (limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string()), self.now());
        let news = match told {
            Some(told) if told != said => vec![self.event(limit, now).await?],
            _ => Vec::new(),
        };
        Ok((news, format!("{said} {}", now.unix_timestamp())))
    }

    async fn event(&self, limit: Option<u32>, now: OffsetDateTime) -> Result<RawInbound, SendError> {
        let bot = self.bot_user_id().await?;
        let at = i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        let id = format!("{MONTHLY_LIMIT}:{at}");
        let event = json!({ "type": MONTHLY_LIMIT, "timestamp": at, "webhookEventId": id, "limit": limit });
        Ok(RawInbound::new(json!({ "destination": bot, "events": [event] }).to_string(), now))
    }
}

fn read(cursor: &str) -> Option<(&str, OffsetDateTime)> {
    let (limit, at) = cursor.split_once(' ')?;
    Some((limit, OffsetDateTime::from_unix_timestamp(at.parse().ok()?).ok()?))
}
