//! A connected widget.

use std::sync::Arc;

use async_trait::async_trait;
use time::{Duration, OffsetDateTime};
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Fallback, Inbound, MailboxError, MailboxEvent, MailboxPort,
    OutboundPart, ParseError, PlannedPart, Ports, RawInbound, Receipt, SendError, ShowsTyping, Typist, Unsendable,
    VerifyError, WebhookCall,
};
use transom_domain::{ChannelAccountId, Clock, Content, Identity};

use crate::capabilities::capabilities;
use crate::config::{Config, Letters};
use crate::visitor::{EXTERNAL_ID, Visitor};
use crate::{error, inbound, outbound, signing};

#[derive(Debug)]
pub(crate) struct WebChat {
    config: Config,
    capabilities: Capabilities,
    mailbox: Arc<dyn MailboxPort>,
    clock: Arc<dyn Clock>,
    away: Option<Away>,
}

/// Visitors who are away, and the letters that go to them.
#[derive(Debug)]
struct Away {
    widget: String,
    mailbox: Arc<dyn MailboxPort>,
    letters: Letters,
}

impl WebChat {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        let (mailbox, clock) = (Arc::clone(&ports.mailbox), Arc::clone(&ports.clock));
        let away = |letters: &Letters| {
            let (widget, mailbox) = (config.widget.clone(), Arc::clone(&mailbox));
            Away { widget, mailbox, letters: letters.clone() }
        };
        let away = config.fallback.as_ref().map(away);
        Self { config, capabilities: capabilities(), mailbox, clock, away }
    }

    /// A stranger is reached as long as a token opens their mailbox, or a letter may reach them.
    async fn unless_gone(&self, visitor: &Visitor, mailbox: &str) -> Result<(), SendError> {
        if matches!(visitor, Visitor::Known(_)) || self.away.is_some() {
            return Ok(());
        }
        match self.mailbox.opens(mailbox).await.map_err(error::of_mailbox)? {
            true => Ok(()),
            false => Err(error::visitor_gone()),
        }
    }
}

#[async_trait]
impl Channel for WebChat {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content, &self.capabilities)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let planned = self.plan(part.content()).map_err(|refused| error::invalid(refused.code()))?;
        let [_] = planned.as_slice() else { return Err(error::invalid("more than one message")) };
        let visitor = Visitor::of(part.to()).ok_or_else(error::unreachable)?;
        let frame = outbound::event(part, &visitor, self.clock.now());
        let data = frame.and_then(|frame| serde_json::to_value(frame).ok());
        let id = outbound::message_id(part.id());
        let event = MailboxEvent { key: id.clone(), data: data.ok_or_else(|| error::invalid("not a part of a plan"))? };
        let mailbox = visitor.mailbox(&self.config.widget);
        self.unless_gone(&visitor, &mailbox).await?;
        self.mailbox.append(&mailbox, vec![event]).await.map_err(error::of_mailbox)?;
        Ok(Receipt::with_id(id))
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        signing::verify(&self.config.event_secrets, call)?;
        Ok(Answer::accepted())
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        inbound::parse(raw)
    }

    fn typing(&self) -> Option<&dyn ShowsTyping> {
        Some(self)
    }

    fn fallback(&self) -> Option<&dyn Fallback> {
        self.away.as_ref().map(|away| away as &dyn Fallback)
    }

    fn external_key(&self) -> Option<String> {
        Some(self.config.widget.clone())
    }

    /// The business vouches for an id of its own: the site has registered the visitor (policy `webchat`, kind `follow`).
    fn opens_by_starting(&self, address_kind: &str) -> &'static [&'static str] {
        if address_kind == EXTERNAL_ID { &["follow"] } else { &[] }
    }

    /// There are no credentials to check: only a connection that is gone takes nothing.
    async fn check(&self) -> Result<AccountInfo, SendError> {
        match self.mailbox.read_after(&format!("{}/", self.config.widget), 0, 0).await {
            Err(closed @ MailboxError::Closed) => Err(error::of_mailbox(closed)),
            Ok(_) | Err(_) => Ok(AccountInfo {
                name: self.config.title.clone(),
                external_key: Some(self.config.widget.clone()),
                limits: Vec::new(),
                at: Some(self.clock.now()),
            }),
        }
    }
}

#[async_trait]
impl ShowsTyping for WebChat {
    async fn show(&self, to: &Identity, typist: &Typist<'_>) -> Result<(), SendError> {
        let visitor = Visitor::of(to).ok_or_else(error::unreachable)?;
        let frame = outbound::typing(&visitor, typist);
        let data = serde_json::to_value(frame).map_err(|_| error::invalid("it can't be told"))?;
        self.mailbox.whisper(&visitor.mailbox(&self.config.widget), data).await;
        Ok(())
    }
}

#[async_trait]
impl Fallback for Away {
    fn account(&self) -> ChannelAccountId {
        self.letters.account
    }

    fn after(&self) -> Duration {
        self.letters.after
    }

    fn subject(&self) -> &str {
        &self.letters.subject
    }

    async fn last_here(&self, identity: &Identity) -> Result<Option<OffsetDateTime>, MailboxError> {
        let Some(visitor) = Visitor::of(identity) else { return Ok(None) };
        Ok(self.mailbox.read_after(&visitor.mailbox(&self.widget), u64::MAX, 0).await?.seen_at)
    }
}
