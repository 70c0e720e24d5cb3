//! A connected sender, whatever the provider.

use std::sync::Arc;

use async_trait::async_trait;
use time::OffsetDateTime;
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, LookUp, Lost, MediaBytes, MediaError, MediaPort,
    MediaSourceOf, OutboundPart, ParseError, PlannedPart, PlatformReport, Ports, Pull, RawInbound, Receipt, SendError,
    Taken, Unsendable, VerifyError, WebhookCall,
};
use transom_domain::{Attachment, Body, Content, MediaSource};

use crate::capabilities::{MAX_TOTAL, PHONE, capabilities};
use crate::catching_up::CatchingUp;
use crate::config::Line;
use crate::provider::{Outgoing, Provider};
use crate::{outbound, phone};

#[derive(Debug)]
pub(crate) struct Sms {
    sender: String,
    capabilities: Capabilities,
    provider: Arc<dyn Provider>,
    /// A name can't be written to.
    catching_up: Option<CatchingUp>,
    media: Arc<dyn MediaPort>,
}

impl Sms {
    pub(crate) fn new(line: &Line, provider: Arc<dyn Provider>, ports: &Ports) -> Self {
        Self {
            sender: line.sender.as_str().to_owned(),
            capabilities: capabilities(line.mms, provider.correlates()),
            catching_up: line.sender.is_written_to().then(|| {
                let (provider, clock) = (Arc::clone(&provider), Arc::clone(&ports.clock));
                CatchingUp::new(provider, clock)
            }),
            provider,
            media: Arc::clone(&ports.media),
        }
    }

    /// Where the provider finds a file. A stored one is looked at: the plan could not know a size that nobody stated.
    async fn address(&self, file: &Attachment, accepted: OffsetDateTime, total: &mut u64) -> Result<String, SendError> {
        let id = match &file.source {
            MediaSource::Url { url } => return Ok(url.clone()),
            MediaSource::Stored { id } => *id,
            MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => return Err(invalid("not a file of a plan")),
        };
        let bytes = self.media.read(id).await.map_err(unreadable)?.bytes.len() as u64;
        *total += bytes;
        let rule = self.capabilities.media.iter().find(|rule| rule.kind == file.kind);
        let max = rule.map_or(0, |rule| rule.max_bytes);
        if bytes > max || *total > MAX_TOTAL {
            return Err(refused(&MediaError::TooLarge { max: max.min(MAX_TOTAL) }.to_string()));
        }
        let address = self.media.public_url(id, accepted).await.map_err(unreadable)?;
        let address = address.filter(|address| address.scheme() == "https").ok_or_else(|| {
            refused("files are fetched by public https address, and this service has none: set `public_url`")
        })?;
        Ok(address.to_string())
    }
}

#[async_trait]
impl Channel for Sms {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content, &self.capabilities)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let planned = self.plan(part.content()).map_err(|refused| invalid(refused.code()))?;
        let [one] = planned.as_slice() else { return Err(invalid("more than one message")) };
        let Body::Text { text, attachments } = &one.content.body else { return Err(invalid("not a part of a plan")) };
        let to = part.to().address(PHONE).ok_or_else(|| invalid("no phone number is known of this person"))?;
        if !phone::is_e164(to) {
            return Err(invalid("a phone number is a plus sign and up to 15 digits"));
        }
        let (mut files, mut total) = (Vec::new(), 0);
        for file in attachments {
            files.push(self.address(file, part.accepted(), &mut total).await?);
        }
        self.provider.send(&Outgoing { to, text, files, correlation: part.correlation() }).await
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        self.provider.verify(call)
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        self.provider.parse(raw)
    }

    fn media(&self) -> Option<&dyn MediaSourceOf> {
        Some(self)
    }

    fn pull(&self) -> Option<&dyn Pull> {
        self.catching_up.as_ref().map(|list| list as &dyn Pull)
    }

    fn look_up(&self) -> Option<&dyn LookUp> {
        Some(self)
    }

    fn external_key(&self) -> Option<String> {
        Some(self.sender.clone())
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let info = self.provider.check().await?;
        Ok(AccountInfo { external_key: Some(self.sender.clone()), ..info })
    }
}

#[async_trait]
impl MediaSourceOf for Sms {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError> {
        let MediaSource::Platform { url: Some(url), .. } = &attachment.source else { return Err(MediaError::NotFound) };
        let file = self.provider.download(url, max_bytes).await?;
        Ok(MediaBytes { mime: attachment.mime.clone().unwrap_or(file.mime), ..file })
    }
}

#[async_trait]
impl LookUp for Sms {
    /// Twilio repeats no reference of ours in its list: what says the same is the same (sms.md 2).
    async fn taken(&self, lost: &Lost<'_>) -> Result<Vec<Taken>, SendError> {
        let to = lost.to.address(PHONE).ok_or_else(|| invalid("no phone number is known of this person"))?;
        let Body::Text { text, attachments } = &lost.content.body else { return Err(invalid("not a part of a plan")) };
        let sent = self.provider.sent(to, lost.since).await?;
        let taken = sent.into_iter().map(|sent| Taken {
            is_same: sent.text.trim() == text.trim() && sent.files == attachments.len(),
            provider_id: sent.id,
            at: sent.at,
        });
        Ok(taken.collect())
    }
}

pub(crate) fn invalid(why: &str) -> SendError {
    SendError::Invalid { report: own_report(why) }
}

fn refused(why: &str) -> SendError {
    SendError::ContentRefused { report: own_report(why) }
}

pub(crate) fn own_report(why: &str) -> PlatformReport {
    PlatformReport { status: None, code: None, message: why.to_owned() }
}

fn unreadable(error: MediaError) -> SendError {
    match error {
        // Nothing was sent: it may be there again later.
        MediaError::Unavailable(_) => SendError::Temporary { report: own_report("the file can't be read now") },
        other => refused(&other.to_string()),
    }
}
