//! What a provider of text messages must do; the rest is the network's and shared.

use std::fmt;

use async_trait::async_trait;
use time::OffsetDateTime;
use transom_channel::{
    AccountInfo, Answer, Inbound, MediaBytes, MediaError, ParseError, RawInbound, Receipt, SendError, VerifyError,
    WebhookCall,
};

/// A message, checked and ready: the number is E.164, files have public addresses.
#[derive(Debug)]
pub(crate) struct Outgoing<'m> {
    pub(crate) to: &'m str,
    pub(crate) text: &'m str,
    pub(crate) files: Vec<String>,
    /// Our reference, to come back with receipts where the provider can do that.
    pub(crate) correlation: String,
}

/// A message that the provider took from us.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) at: OffsetDateTime,
    pub(crate) text: String,
    pub(crate) files: usize,
}

/// A provider of text messages.
#[async_trait]
pub(crate) trait Provider: fmt::Debug + Send + Sync + 'static {
    /// Hands a message over; one request, never a second.
    async fn send(&self, message: &Outgoing<'_>) -> Result<Receipt, SendError>;

    /// Checks the proof of a webhook call.
    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError>;

    /// Reads a webhook call.
    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError>;

    /// Whether receipts bring our reference back.
    fn correlates(&self) -> bool;

    /// Asks whether the credentials work.
    async fn check(&self) -> Result<AccountInfo, SendError>;

    /// What customers wrote from `since` on and before `until`, as it would have come by webhook.
    async fn received(&self, since: OffsetDateTime, until: OffsetDateTime) -> Result<Vec<RawInbound>, SendError>;

    /// What was taken from this sender for a number from `since` on.
    async fn sent(&self, to: &str, since: OffsetDateTime) -> Result<Vec<Sent>, SendError>;

    /// The bytes behind an address that a webhook named, at most `max` of them.
    async fn download(&self, address: &str, max: u64) -> Result<MediaBytes, MediaError>;
}
