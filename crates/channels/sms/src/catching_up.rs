//! What came while nobody could take it: an inbound message is told once or twice and then never again (sms.md 4), so the
//! provider's own list is read at start and from time to time. What a webhook brought as well has the same key and is dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration as Pause;

use async_trait::async_trait;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use transom_channel::{Pull, RawInbound, SendError};
use transom_domain::Clock;

use crate::provider::Provider;

/// Between two looks.
const EVERY: Duration = Duration::minutes(5);
/// Between two glances at the clock.
const GLANCE: Pause = Pause::from_secs(1);
/// So much is read by one look: after a long absence piece by piece, each stored before the next.
const PIECE: Duration = Duration::DAY;
/// What is younger is left to the webhook, which tells more, and to a list that lags behind.
const YOUNG: Duration = Duration::minutes(1);

/// Reads the list of one sender.
#[derive(Debug)]
pub(crate) struct CatchingUp {
    provider: Arc<dyn Provider>,
    clock: Arc<dyn Clock>,
    /// The last look that came up to the present.
    looked: Mutex<Option<OffsetDateTime>>,
}

impl CatchingUp {
    pub(crate) fn new(provider: Arc<dyn Provider>, clock: Arc<dyn Clock>) -> Self {
        Self { provider, clock, looked: Mutex::new(None) }
    }

    fn is_due(&self) -> bool {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.is_none_or(|looked| (self.clock.now() - looked).abs() >= EVERY)
    }
}

#[async_trait]
impl Pull for CatchingUp {
    fn beginning(&self, connected_at: OffsetDateTime) -> Option<String> {
        connected_at.format(&Rfc3339).ok()
    }

    async fn next(&self, cursor: Option<&str>) -> Result<(Vec<RawInbound>, String), SendError> {
        while !self.is_due() {
            tokio::time::sleep(GLANCE).await;
        }
        let now = self.clock.now();
        let present = now.saturating_sub(YOUNG);
        let since = cursor.and_then(|cursor| OffsetDateTime::parse(cursor, &Rfc3339).ok()).unwrap_or(present);
        let until = present.min(since.saturating_add(PIECE));
        let came = if since < until { self.provider.received(since, until).await? } else { Vec::new() };
        if until == present {
            *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        }
        let next = since.max(until).format(&Rfc3339).unwrap_or_default();
        Ok((came, next))
    }

    async fn done(&self, _cursor: &str) -> Result<(), SendError> {
        Ok(())
    }
}
