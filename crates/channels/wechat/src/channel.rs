//! A connected Official Account.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use secrecy::ExposeSecret;
use time::{Duration, OffsetDateTime};
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, MediaBytes, MediaError, MediaPort, MediaSourceOf,
    OutboundPart, ParseError, PlannedPart, Ports, Profiles, RawInbound, Receipt, SendError, TemplateCatalog,
    Unsendable, VerifyError, WebhookCall,
};
use transom_domain::{
    Attachment, AttachmentId, Clock, Content, Identity, MediaKind, MediaSource, Profile, TemplateDefinition,
    TemplateMessage,
};
use transom_windows::{Basis, Permit};

use crate::capabilities::{OPENID, capabilities};
use crate::client::Api;
use crate::config::Config;
use crate::crypto::proves;
use crate::error::{MEDIA_GONE, PASSIVE_REPLIES, invalid, own_report};
use crate::files::Uploads;
use crate::inbound;
use crate::outbound::{self, Draft};
use crate::template;
use crate::wire::{CustomService, Message, Substance, TemplateSend, UserInfo};
use crate::xml::Node;

/// The tag of permits for an answer inside the response to a webhook (policy `wechat`).
const PASSIVE_REPLY: &str = "passive_reply";

#[derive(Debug)]
pub(crate) struct WeChat {
    config: Arc<Config>,
    capabilities: Capabilities,
    api: Api,
    media: Arc<dyn MediaPort>,
    clock: Arc<dyn Clock>,
    uploads: Uploads,
}

impl WeChat {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        let config = Arc::new(config);
        Self {
            capabilities: capabilities(config.video_thumb.is_some()),
            api: Api::new(ports, Arc::clone(&config)),
            media: Arc::clone(&ports.media),
            clock: Arc::clone(&ports.clock),
            uploads: Uploads::default(),
            config,
        }
    }

    async fn deliver(&self, part: &OutboundPart, substance: Substance<'_>) -> Result<(), SendError> {
        let customservice = self.config.kf_account.as_deref().map(|kf_account| CustomService { kf_account });
        let message = Message { touser: openid(part.to())?, substance, customservice };
        self.api.send(&message).await
    }

    /// A template message to a follower (2.3).
    async fn notify(
        &self,
        part: &OutboundPart,
        openid: &str,
        template: &TemplateMessage,
    ) -> Result<Receipt, SendError> {
        if part.permit().reference().is_some() {
            let report = own_report("a subscription notification, which this channel does not send");
            return Err(SendError::TemplateRefused { status: None, report });
        }
        let key = part.id().uuid().simple().to_string();
        let (template_id, data) = (template.name.as_str(), template::data(template));
        let sent = TemplateSend { touser: openid, template_id, client_msg_id: &key, data };
        self.api.send_template(&sent).await.map(|id| Receipt::with_id(id.to_string()))
    }

    /// Under which id WeChat has a file: uploaded now, or not long ago.
    async fn uploaded(&self, file: &Attachment, id: AttachmentId) -> Result<String, SendError> {
        if let Some(media_id) = self.uploads.get(id, self.clock.now()) {
            return Ok(media_id);
        }
        let media_id = self.api.upload(outbound::upload_type(file.kind), &self.file(file, id).await?).await?;
        self.uploads.keep(id, media_id.clone(), self.clock.now());
        Ok(media_id)
    }

    /// The bytes of a file; the plan could not know a size that nobody stated.
    async fn file(&self, file: &Attachment, id: AttachmentId) -> Result<MediaBytes, SendError> {
        let refused = |why: &str| SendError::ContentRefused { report: own_report(why) };
        let bytes = self.media.read(id).await.map_err(|error| match error {
            MediaError::Unavailable(_) => SendError::Temporary { report: own_report("the file can't be read now") },
            other => refused(&other.to_string()),
        })?;
        let mime = file.mime.clone().unwrap_or(bytes.mime);
        let rule = self.capabilities.media.iter().find(|rule| rule.kind == file.kind);
        match rule {
            Some(rule) if bytes.bytes.len() as u64 > rule.max_bytes => {
                Err(refused(&MediaError::TooLarge { max: rule.max_bytes }.to_string()))
            }
            Some(rule) if rule.accepts(&mime) => {
                Ok(MediaBytes { mime, file_name: file.file_name.clone().or(bytes.file_name), bytes: bytes.bytes })
            }
            _ => Err(refused("WeChat takes no file of this type")),
        }
    }

    /// "Out of the time limit, or the subscription is cancelled": the follower's record tells which (3).
    async fn why_closed(&self, refused: SendError, openid: &str) -> SendError {
        let SendError::WindowClosed { report } = refused else { return refused };
        match self.api.user(openid).await {
            Ok(UserInfo { subscribe: Some(0), .. }) => SendError::Unreachable { report },
            Ok(_) | Err(_) => SendError::WindowClosed { report },
        }
    }

    /// The proof of an encrypted call covers what is encrypted, and opening it shows for which app it was made.
    fn open_call(&self, call: &Proof, encrypt: &str) -> Result<Vec<u8>, VerifyError> {
        call.check(&self.config, "msg_signature", Some(encrypt))?;
        let mut opened = self.config.keys.iter().filter_map(|key| key.open(encrypt, &self.config.app_id));
        opened.next().ok_or(VerifyError::Wrong)
    }
}

#[async_trait]
impl Channel for WeChat {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content, &self.capabilities)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        if part.permit().basis().tag() == Some(PASSIVE_REPLY) {
            let report = own_report("the response to the webhook is over: a passive reply can't be sent any more");
            return Err(SendError::QuotaReached { quota: Some(PASSIVE_REPLIES.to_owned()), report });
        }
        let openid = openid(part.to())?;
        let planned = self.plan(part.content()).map_err(|refused| invalid(refused.code()))?;
        let [one] = planned.as_slice() else { return Err(invalid("more than one request")) };
        if let Some(template) = one.content.as_template() {
            return self.notify(part, openid, template).await;
        }
        let sent = match outbound::draft(&one.content).ok_or_else(|| invalid("not a part of a plan"))? {
            Draft::Ready(substance) => self.deliver(part, substance).await,
            Draft::File(file, id) => {
                let media_id = self.uploaded(file, id).await?;
                let substance = outbound::file(file, &media_id, self.config.video_thumb.as_deref());
                let sent = self.deliver(part, substance.ok_or_else(|| invalid("not a file of a plan"))?).await;
                match sent {
                    // "Re-upload for 40007" (3). A film's still picture may be what is gone: a second time it is for good.
                    Err(SendError::ContentRefused { report })
                        if report.code.as_deref() == Some(MEDIA_GONE) && part.attempt() == 1 =>
                    {
                        self.uploads.forget(id);
                        Err(SendError::Temporary { report })
                    }
                    other => other,
                }
            }
        };
        match sent {
            // There is no id (2.2).
            Ok(()) => Ok(Receipt::default()),
            Err(refused @ SendError::WindowClosed { .. }) => Err(self.why_closed(refused, openid).await),
            Err(error) => Err(error),
        }
    }

    /// Only template messages carry a key, and only those that are sent to followers as such.
    fn dedupes_for(&self, permit: &Permit) -> Option<Duration> {
        let is_template = matches!(permit.basis(), Basis::Template { .. }) && permit.reference().is_none();
        self.capabilities.settling.dedupes_for.filter(|_| is_template)
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        let proof = Proof::of(call)?;
        match *call.method {
            Method::GET => {
                let echo = proof.one("echostr")?.ok_or(VerifyError::Unexpected("a GET without an echostr"))?;
                // Some set-ups encrypt it.
                if proof.one("msg_signature")?.is_some() {
                    let opened = self.open_call(&proof, echo)?;
                    return String::from_utf8(opened).map(Answer::handshake).map_err(|_| VerifyError::Wrong);
                }
                proof.check(&self.config, "signature", None)?;
                Ok(Answer::handshake(echo))
            }
            Method::POST => {
                let is_encrypted = !self.config.keys.is_empty()
                    && (!self.config.takes_plain
                        || proof.one("encrypt_type")?.is_some_and(|kind| kind.eq_ignore_ascii_case("aes")));
                if is_encrypted {
                    let document = Node::read(call.body).map_err(|_| VerifyError::Wrong)?;
                    self.open_call(&proof, document.text("Encrypt").ok_or(VerifyError::Missing)?)?;
                } else {
                    proof.check(&self.config, "signature", None)?;
                }
                // "`success` or an empty body" (4.5).
                Ok(Answer::accepted())
            }
            _ => Err(VerifyError::Unexpected("events come by POST")),
        }
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        let document = Node::read(&raw.body)?;
        // Where there are both, what is encrypted is what is proved (4.3).
        let document = match document.text("Encrypt") {
            Some(encrypt) => {
                let mut opened = self.config.keys.iter().filter_map(|key| key.open(encrypt, &self.config.app_id));
                let opened = opened.next().ok_or_else(|| ParseError::new("no key of this account opens the call"))?;
                Node::read(&opened)?
            }
            None => document,
        };
        inbound::read(&document, raw.received_at)
    }

    fn templates(&self) -> Option<&dyn TemplateCatalog> {
        Some(self)
    }

    fn profiles(&self) -> Option<&dyn Profiles> {
        Some(self)
    }

    fn media(&self) -> Option<&dyn MediaSourceOf> {
        Some(self)
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        self.api.check().await?;
        Ok(AccountInfo { at: Some(self.clock.now()), ..AccountInfo::default() })
    }
}

#[async_trait]
impl TemplateCatalog for WeChat {
    async fn list(&self) -> Result<Vec<TemplateDefinition>, SendError> {
        Ok(self.api.templates().await?.iter().filter_map(template::definition).collect())
    }
}

#[async_trait]
impl Profiles for WeChat {
    /// Names and pictures are no longer told since 2021-12-27 (5): only what the account itself noted.
    async fn fetch(&self, identity: &Identity) -> Result<Profile, SendError> {
        let user = self.api.user(openid(identity)?).await?;
        let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(Profile { name: said(user.remark), language: said(user.language), ..Profile::default() })
    }
}

#[async_trait]
impl MediaSourceOf for WeChat {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError> {
        let MediaSource::Platform { id, .. } = &attachment.source else { return Err(MediaError::NotFound) };
        if attachment.kind == MediaKind::Sticker || id.is_empty() {
            return Err(MediaError::NotFound);
        }
        self.api.download(id, max_bytes).await
    }
}

fn openid(identity: &Identity) -> Result<&str, SendError> {
    let openid = identity.address(OPENID).filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()));
    openid.ok_or_else(|| invalid("no openid is known of this person"))
}

/// The query of a call: each parameter once, and what is signed.
struct Proof {
    pairs: Vec<(String, String)>,
    received_at: OffsetDateTime,
}

impl Proof {
    fn of(call: &WebhookCall<'_>) -> Result<Self, VerifyError> {
        let pairs = call.url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let proof = Self { pairs, received_at: call.received_at };
        // What is signed must be unmistakable.
        ["timestamp", "nonce", "signature", "msg_signature"]
            .into_iter()
            .try_for_each(|name| proof.one(name).map(drop))?;
        Ok(proof)
    }

    fn one(&self, name: &str) -> Result<Option<&str>, VerifyError> {
        let mut found = self.pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = found.next();
        if found.next().is_some() { Err(VerifyError::Wrong) } else { Ok(first) }
    }

    /// Checks one of the two proofs, and that it is no old one (4.2).
    fn check(&self, config: &Config, name: &str, encrypt: Option<&str>) -> Result<(), VerifyError> {
        let proof = self.one(name)?.filter(|proof| !proof.is_empty()).ok_or(VerifyError::Missing)?;
        let timestamp = self.one("timestamp")?.ok_or(VerifyError::Missing)?;
        let nonce = self.one("nonce")?.ok_or(VerifyError::Missing)?;
        let with = |token: &str| {
            let words: Vec<&str> = [token, timestamp, nonce].into_iter().chain(encrypt).collect();
            proves(proof, &words)
        };
        // All are tried, so that the time taken does not tell which one was right.
        let proved = config.tokens.iter().fold(false, |found, token| with(token.expose_secret()) | found);
        if !proved {
            return Err(VerifyError::Wrong);
        }
        let signed_at = timestamp.parse().ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        let age = self.received_at - signed_at.ok_or(VerifyError::Wrong)?;
        if age.abs() > config.signature_age.max(Duration::SECOND) { Err(VerifyError::Stale) } else { Ok(()) }
    }
}
