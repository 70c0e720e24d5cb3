//! A channel that was removed: its conversations can be read, and nothing goes in or out.

use std::num::NonZeroU32;

use async_trait::async_trait;
use time::Duration;
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, OutboundPart, Pacing, ParseError, PlannedPart, PlatformReport,
    Rate, RawInbound, Receipt, Receipts, SendError, Settling, TextLimit, Unsendable, VerifyError, WebhookCall,
};
use transom_domain::Content;

const WHY: &str = "the channel was removed";

/// Stands in the place of a removed account's channel.
#[derive(Debug)]
pub(crate) struct Removed {
    capabilities: Capabilities,
}

impl Removed {
    pub(crate) fn new() -> Self {
        let rate = Rate { burst: NonZeroU32::MIN, each: Duration::SECOND };
        let capabilities = Capabilities {
            text: TextLimit::Scalars(0),
            caption: None,
            media: Vec::new(),
            files_per_part: 0,
            choices: None,
            location: false,
            contacts: false,
            reactions: false,
            quotes: false,
            threads: false,
            shows_sender: false,
            receipts: Receipts { delivered: false, read: false, failed: false },
            settling: Settling { dedupes_for: None, correlates: false, wait: Duration::ZERO },
            pacing: Pacing { account: rate, sound_and_film: None, recipient: rate, concurrency: NonZeroU32::MIN },
            addresses: Vec::new(),
        };
        Self { capabilities }
    }
}

#[async_trait]
impl Channel for Removed {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, _: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        Err(Unsendable::NotSupported { what: format!("anything: {WHY}") })
    }

    async fn send(&self, _: &OutboundPart) -> Result<Receipt, SendError> {
        Err(stopped())
    }

    fn verify(&self, _: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        Err(VerifyError::NoSecret)
    }

    fn parse(&self, _: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        Err(ParseError::new(WHY))
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        Err(stopped())
    }
}

fn stopped() -> SendError {
    SendError::AccountStopped { report: PlatformReport { status: None, code: None, message: WHY.to_owned() } }
}
