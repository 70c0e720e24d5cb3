//! A connected mailbox.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, MediaBytes, MediaError, MediaPort, OutboundPart, ParseError,
    Patience, PlannedPart, Ports, Pull, RawInbound, Receipt, SendError, Unsendable, VerifyError, WebhookCall,
};
use transom_domain::{Attachment, Body, Clock, Content, Mail, MediaSource, SenderAddress};
use transom_windows::Sender;

use crate::address::Mailbox;
use crate::capabilities::{EMAIL, capabilities};
use crate::compose::{Letter, Unsubscribe};
use crate::config::Config;
use crate::error::{DAILY_RECIPIENTS, invalid, own, refused};
use crate::imap::Fetching;
use crate::oauth::Access;
use crate::smtp::{self, Envelope};
use crate::token::Reader;
use crate::{message_id, outbound};

/// What a send may take altogether; a lease is 60 s (reliability.md 6).
const WITHIN_LEASE: Duration = Duration::from_secs(50);

#[derive(Debug)]
pub(crate) struct Email {
    config: Arc<Config>,
    capabilities: Capabilities,
    access: Arc<Access>,
    fetching: Option<Arc<Fetching>>,
    media: Arc<dyn MediaPort>,
    clock: Arc<dyn Clock>,
}

impl Email {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        let config = Arc::new(config);
        let access = Arc::new(Access::new(ports));
        let fetching = || Fetching::new(Arc::clone(&config), Arc::clone(&access), Arc::clone(&ports.clock));
        Self {
            capabilities: capabilities(&config),
            fetching: config.imap.is_some().then(fetching).map(Arc::new),
            access,
            media: Arc::clone(&ports.media),
            clock: Arc::clone(&ports.clock),
            config,
        }
    }

    async fn files(&self, files: &[Attachment]) -> Result<Vec<MediaBytes>, SendError> {
        let mut read = Vec::with_capacity(files.len());
        let mut total = 0;
        for file in files {
            let MediaSource::Stored { id } = &file.source else { return Err(invalid("not a file of a plan")) };
            let bytes = self.media.read(*id).await.map_err(|error| match error {
                // Nothing was sent: it may be there again later.
                MediaError::Unavailable(_) => SendError::Temporary { report: own("a file can't be read now") },
                other => refused(&other.to_string()),
            })?;
            total += bytes.bytes.len() as u64;
            if total > self.config.max_bytes {
                return Err(refused(&MediaError::TooLarge { max: self.config.max_bytes }.to_string()));
            }
            let file_name = file.file_name.clone().or(bytes.file_name);
            read.push(MediaBytes { mime: file.mime.clone().unwrap_or(bytes.mime), file_name, bytes: bytes.bytes });
        }
        Ok(read)
    }

    /// A subject for a mail that has none.
    fn subject(&self, sender: &SenderAddress) -> String {
        let own = || format!("Message from {}", sender.name.as_deref().unwrap_or(&sender.address));
        self.config.default_subject.clone().unwrap_or_else(own)
    }
}

/// What a part says, whichever form it came in.
fn letter_of(content: &Content) -> Option<Mail> {
    match &content.body {
        Body::Mail(mail) => Some(mail.clone()),
        Body::Text { text, attachments } => {
            Some(Mail { text: text.clone(), attachments: attachments.clone(), ..Mail::default() })
        }
        _ => None,
    }
}

#[async_trait]
impl Channel for Email {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content, &self.capabilities, &self.config)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let config = &*self.config;
        outbound::check_part(part.content(), &self.capabilities, config).map_err(|wrong| invalid(wrong.code()))?;
        let mail = letter_of(part.content()).ok_or_else(|| invalid("not a part of a plan"))?;
        let sender = config.sender(mail.from.as_deref()).ok_or_else(|| invalid("no sender of this account"))?;
        let from = Mailbox::parse(&sender.address).map_err(invalid)?;
        let to = part.to().address(EMAIL).ok_or_else(|| invalid("no email address is known of this person"))?;
        let to = Mailbox::parse(to).map_err(|reason| refused(&format!("the person's address: {reason}")))?;
        if config.is_ours(to.as_str()) {
            return Err(refused("the person's address is one of this mailbox: it would answer itself"));
        }
        let cc: Vec<Mailbox> = mail.cc.iter().filter_map(|text| Mailbox::parse(text).ok()).collect();
        let cc: Vec<Mailbox> = cc.into_iter().filter(|reader| reader.key() != to.key()).collect();
        let blind = mail.bcc.first().map(|text| Mailbox::parse(text)).transpose().map_err(invalid)?;

        let message_id = message_id::of_part(part, from.domain());
        let in_reply_to = part.content().reply_to.as_deref().or(mail.references.last().map(String::as_str));
        let mut references: Vec<&str> = mail.references.iter().map(String::as_str).collect();
        if let Some(id) = in_reply_to.filter(|id| !references.contains(id)) {
            references.push(id);
        }
        let reader = blind.as_ref().unwrap_or(&to);
        let answer_to = sender.reply_to.as_ref().unwrap_or(&sender.address);
        let answer_to = Mailbox::parse(answer_to).map_err(invalid)?;
        // All copies of a letter have the same headers: who got one of their own can't be told from another's.
        let tagged = config.tokens.reply(message_id::letter_of(part).into()).map(|tag| answer_to.tagged(&tag));
        let by_machine = part.permit().sender() != Sender::Human;
        let unsubscribe = (part.permit().sender() == Sender::Broadcast)
            .then(|| config.tokens.unsubscribe(part.id(), reader.as_str()))
            .flatten();
        let letter = Letter {
            message_id: &message_id,
            date: part.accepted(),
            from: (&from, part.sender_name().or(sender.name.as_deref())),
            reply_to: tagged.or_else(|| sender.reply_to.clone()),
            to: &to,
            cc: cc.clone(),
            subject: mail.subject.clone().unwrap_or_else(|| self.subject(sender)),
            in_reply_to,
            references,
            text: &mail.text,
            html: mail.html.as_deref(),
            files: self.files(&mail.attachments).await?,
            loop_mark: config.mailbox.as_str(),
            automatic: by_machine.then_some(if in_reply_to.is_some() { "auto-replied" } else { "auto-generated" }),
            unsubscribe: Unsubscribe {
                by_mail: unsubscribe.map(|tag| config.mailbox.tagged(&tag)),
                // The link stands for the person; somebody in Bcc can't end it for them.
                by_click: part.unsubscribe_link().filter(|_| blind.is_none()),
            },
        };
        let bytes = letter.write().map_err(|error| invalid(&error.to_string()))?;
        if bytes.len() as u64 > config.max_bytes {
            let (size, max) = (bytes.len(), config.max_bytes);
            return Err(refused(&format!("the mail has {size} bytes, and at most {max} are sent")));
        }

        let role = if blind.is_some() { Reader::Blind(reader.as_str()) } else { Reader::Person(reader.as_str()) };
        let tag = config.tokens.bounce(part.id(), role);
        let reports_to = match (&config.bounce, &tag) {
            (Some(bounce), Some(tag)) => bounce.tagged(tag),
            (Some(bounce), None) => bounce.as_str().to_owned(),
            (None, _) => from.as_str().to_owned(),
        };
        let correlation = part.correlation();
        let envelope = Envelope {
            from: reports_to,
            first: reader,
            others: if blind.is_some() { &[] } else { &cc },
            id: tag.as_deref().unwrap_or(&correlation),
            receipts: config.delivery_receipts,
        };
        let began = Instant::now();
        let sign_in = self.access.sign_in(&config.smtp.user, &config.smtp.auth).await?;
        // A token that took its time leaves less for the mail: all of it ends within the dispatcher's lease.
        let limit = config.timeout.min(WITHIN_LEASE.saturating_sub(began.elapsed()));
        match smtp::submit(&config.smtp, &config.tls, &sign_in, &envelope, &bytes, limit).await {
            Ok(taken) => {
                // Nobody waits for it; of the copies for blind readers none is kept.
                if let Some(fetching) = self.fetching.clone().filter(|_| blind.is_none()) {
                    tokio::spawn(async move { fetching.keep_copy(&bytes).await });
                }
                Ok(Receipt { refused: taken.refused, ..Receipt::with_id(message_id) })
            }
            // That somebody in Bcc can't be reached says nothing about the person.
            Err(SendError::Unreachable { report }) if blind.is_some() => Err(SendError::ContentRefused { report }),
            Err(error) => Err(self.access.refused(&config.smtp.user, &config.smtp.auth, &sign_in, error).await),
        }
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        crate::inbound::verify(self.config.parse.as_ref(), call)
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        crate::inbound::parse(&self.config, raw)
    }

    fn pull(&self) -> Option<&dyn Pull> {
        self.fetching.as_ref().map(|fetching| fetching.as_ref() as &dyn Pull)
    }

    fn senders(&self) -> &[SenderAddress] {
        &self.config.senders
    }

    fn patience(&self) -> Patience {
        Patience::Postal
    }

    fn external_key(&self) -> Option<String> {
        Some(self.config.account.clone())
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let config = &*self.config;
        let sign_in = self.access.sign_in(&config.smtp.user, &config.smtp.auth).await?;
        let checked = smtp::check(&config.smtp, &config.tls, &sign_in, config.timeout).await;
        if let Err(error) = checked {
            return Err(self.access.refused(&config.smtp.user, &config.smtp.auth, &sign_in, error).await);
        }
        if let Some(fetching) = &self.fetching {
            fetching.check().await?;
        }
        let name = config.sender(None).and_then(|sender| sender.name.clone());
        Ok(AccountInfo {
            name: name.or_else(|| Some(config.mailbox.as_str().to_owned())),
            external_key: Some(config.account.clone()),
            limits: config.per_day.map(|limit| (DAILY_RECIPIENTS.to_owned(), Some(limit))).into_iter().collect(),
            at: Some(self.clock.now()),
        })
    }
}
