//! A connected business account.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, MediaBytes, MediaError, MediaPort, MediaSourceOf,
    OutboundPart, ParseError, PlannedPart, Ports, RawInbound, Receipt, SendError, Unsendable, VerifyError, WebhookCall,
    signature,
};
use transom_domain::{Attachment, AttachmentId, Clock, Content, MediaSource};

use crate::capabilities::{CONVERSATION_ID, capabilities};
use crate::client::Api;
use crate::config::Config;
use crate::error::{invalid, own_report};
use crate::inbound;
use crate::outbound::{self, Message};

const SIGNATURE_HEADER: &str = "tiktok-signature";
/// The tag of a permit that answers a comment (2.2).
const PRIVATE_REPLY: &str = "private_reply";

#[derive(Debug)]
pub(crate) struct TikTok {
    config: Arc<Config>,
    capabilities: Capabilities,
    api: Api,
    media: Arc<dyn MediaPort>,
    clock: Arc<dyn Clock>,
}

impl TikTok {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        let config = Arc::new(config);
        Self {
            capabilities: capabilities(),
            api: Api::new(ports, Arc::clone(&config)),
            media: Arc::clone(&ports.media),
            clock: Arc::clone(&ports.clock),
            config,
        }
    }

    /// To whom: the conversation, or whoever wrote the comment that the permit names.
    fn destination(&self, part: &OutboundPart) -> Result<Value, SendError> {
        let business_id = &self.config.business_id;
        if part.permit().basis().tag() == Some(PRIVATE_REPLY) {
            let comment = part.permit().reference().ok_or_else(|| invalid("the permit names no comment"))?;
            let reply = json!({ "reply_type": "COMMENT_TO_MESSAGE", "comment_reply": { "comment_id": comment } });
            return Ok(json!({ "business_id": business_id, "direct_reply": reply }));
        }
        let conversation =
            part.to().address(CONVERSATION_ID).ok_or_else(|| invalid("no conversation is known with this person"))?;
        Ok(json!({ "business_id": business_id, "recipient_type": "CONVERSATION", "recipient": conversation }))
    }

    /// The bytes of a picture; the plan could not know a size that nobody stated.
    async fn file(&self, picture: &Attachment, id: AttachmentId) -> Result<MediaBytes, SendError> {
        let refused = |why: &str| SendError::ContentRefused { report: own_report(why) };
        let file = self.media.read(id).await.map_err(|error| match error {
            MediaError::Unavailable(_) => SendError::Temporary { report: own_report("the file can't be read now") },
            other => refused(&other.to_string()),
        })?;
        let mime = picture.mime.clone().unwrap_or(file.mime);
        let rule = self.capabilities.media.iter().find(|rule| rule.kind == picture.kind);
        match rule {
            Some(rule) if file.bytes.len() as u64 > rule.max_bytes => {
                Err(refused(&MediaError::TooLarge { max: rule.max_bytes }.to_string()))
            }
            Some(rule) if !rule.accepts(&mime) => Err(refused("only JPEG and PNG pictures are taken")),
            _ => Ok(MediaBytes { mime, file_name: picture.file_name.clone().or(file.file_name), bytes: file.bytes }),
        }
    }
}

#[async_trait]
impl Channel for TikTok {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content, &self.capabilities)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let planned = self.plan(part.content()).map_err(|refused| invalid(refused.code()))?;
        let [one] = planned.as_slice() else { return Err(invalid("more than one request")) };
        let mut request = self.destination(part)?;
        let is_private_reply = request.get("direct_reply").is_some();
        let fields = match outbound::message(&one.content).ok_or_else(|| invalid("not a part of a plan"))? {
            Message::Ready(fields) => fields,
            Message::Picture(..) if is_private_reply => return Err(invalid("a private reply is a text")),
            Message::Picture(picture, id) => outbound::picture(&self.api.upload(&self.file(picture, id).await?).await?),
        };
        if is_private_reply && fields.get("text").is_none() {
            return Err(invalid("a private reply is a text"));
        }
        let quoted = one.content.reply_to.as_deref();
        let reference = quoted.map(|id| json!({ "referenced_message_info": { "referenced_message_id": id } }));
        for more in [Some(fields), reference].into_iter().flatten() {
            if let (Value::Object(request), Value::Object(more)) = (&mut request, more) {
                request.extend(more);
            }
        }
        let provider_id = self.api.send(&request, quoted.is_some()).await?;
        Ok(Receipt { provider_id, ..Receipt::default() })
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        if call.method == Method::GET && self.config.echoes_challenge {
            let challenge = call.query("challenge").ok_or(VerifyError::Unexpected("a GET without a challenge"))?;
            return Ok(Answer::handshake(challenge));
        }
        if call.method != Method::POST {
            return Err(VerifyError::Unexpected("events come by POST"));
        }
        let mut proofs = call.headers.get_all(SIGNATURE_HEADER).iter();
        let proof = proofs.next().map(|proof| proof.as_bytes().trim_ascii()).unwrap_or_default();
        let proof = std::str::from_utf8(proof).map_err(|_| VerifyError::Wrong)?;
        if proofs.next().is_some() {
            return Err(VerifyError::Wrong);
        }
        let (signed_at, signature) = signature_parts(proof)?;
        let message = [signed_at.as_bytes(), b".", call.body].concat();
        signature::hmac_sha256_hex([self.config.app_secret.expose_secret()], &message, signature)?;
        let signed_at = signed_at.parse().ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        let age = call.received_at - signed_at.ok_or(VerifyError::Wrong)?;
        if age.abs() > self.config.signature_age.max(Duration::SECOND) {
            return Err(VerifyError::Stale);
        }
        Ok(Answer::accepted())
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        inbound::parse(raw)
    }

    fn media(&self) -> Option<&dyn MediaSourceOf> {
        Some(self)
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let account = self.api.account().await?;
        if self.config.enables_direct_reply {
            self.api.enable_direct_reply().await?;
        }
        let text = |name: &str| account.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(AccountInfo {
            name: text("username").map(|name| format!("@{name}")).or_else(|| text("display_name")),
            external_key: Some(self.config.business_id.clone()),
            limits: Vec::new(),
            at: Some(self.clock.now()),
        })
    }
}

#[async_trait]
impl MediaSourceOf for TikTok {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError> {
        let MediaSource::Platform { id, .. } = &attachment.source else { return Err(MediaError::NotFound) };
        let [conversation, message, media, kind] = inbound::file_of(id).ok_or(MediaError::NotFound)?;
        let file = json!({
            "business_id": self.config.business_id,
            "conversation_id": conversation,
            "message_id": message,
            "media_id": media,
            "media_type": kind,
        });
        let answer = self.api.download(&file, max_bytes).await?;
        let mime = answer.header("content-type").map_or("application/octet-stream", |mime| mime).to_owned();
        Ok(MediaBytes { bytes: answer.body, mime, file_name: None })
    }
}

/// `t=<seconds>,s=<hex>`, in any order (4.2).
fn signature_parts(proof: &str) -> Result<(&str, &str), VerifyError> {
    if proof.is_empty() {
        return Err(VerifyError::Missing);
    }
    let part = |name: &str| {
        let mut found = proof.split(',').filter_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.next().filter(|value| !value.is_empty() && found.next().is_none())
    };
    Ok((part("t").ok_or(VerifyError::Wrong)?, part("s").ok_or(VerifyError::Wrong)?))
}
