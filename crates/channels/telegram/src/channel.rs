//! A connected bot, or a business account that a bot serves.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, MediaBytes, MediaError, MediaPort, MediaSourceOf,
    OutboundPart, ParseError, PlannedPart, PlatformReport, Ports, Profiles, Pull, RawInbound, Receipt, SendError,
    Unsendable, VerifyError, WebhookCall, signature,
};
use transom_domain::{Attachment, Clock, Content, Identity, MediaKind, MediaSource, Profile};

use crate::capabilities::{MAX_DOWNLOAD, USER_ID, capabilities};
use crate::client::Api;
use crate::config::{Config, Voice};
use crate::inbound;
use crate::outbound::{self, Destination, Request, Upload};
use crate::wire::{BusinessConnection, Chat, Names, UpdateId, User};

const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// The method that stops the spinner of a button (2).
const ANSWER_TAP: &str = "answerCallbackQuery";
/// How long a poll waits for news, in seconds, and how much longer its answer may take.
const POLL_SECONDS: u32 = 20;
const POLL_MARGIN_SECONDS: u32 = 10;

#[derive(Debug)]
pub(crate) struct Telegram {
    config: Config,
    capabilities: Capabilities,
    api: Api,
    media: Arc<dyn MediaPort>,
    clock: Arc<dyn Clock>,
}

impl Telegram {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        Self {
            capabilities: capabilities(&config.voice),
            api: Api::new(ports, config.token.clone()),
            media: Arc::clone(&ports.media),
            clock: Arc::clone(&ports.clock),
            config,
        }
    }

    /// The chat to write to: the one that the permit's event names, else the person's own.
    fn destination(&self, part: &OutboundPart) -> Option<Destination> {
        let user = part.to().address(USER_ID)?;
        let chat_id = part.permit().reference().unwrap_or(user).parse().ok()?;
        let business_connection = match &self.config.voice {
            Voice::Bot => None,
            Voice::Business { connection } => Some(connection.clone()),
        };
        Some(Destination { chat_id, business_connection })
    }

    /// The request for a part, if it is one that a plan could hold.
    fn request(&self, part: &OutboundPart) -> Result<Request, SendError> {
        let planned = self.plan(part.content()).map_err(|refused| invalid(refused.code()))?;
        let to = self.destination(part).ok_or_else(|| invalid("no user id is known of this person"))?;
        match planned.as_slice() {
            [one] => outbound::request(&to, &one.content).ok_or_else(|| invalid("not a part of a plan")),
            _ => Err(invalid("more than one request")),
        }
    }

    /// The bytes of a file that goes along; the plan could not know a size that nobody stated.
    async fn file(&self, upload: &Upload) -> Result<MediaBytes, SendError> {
        let file = self.media.read(upload.id).await.map_err(|error| match error {
            // Nothing was sent: it may be there again later.
            MediaError::Unavailable(_) => SendError::Temporary { report: own_report("the file can't be read now") },
            other => SendError::ContentRefused { report: own_report(&other.to_string()) },
        })?;
        let rule = self.capabilities.media.iter().find(|rule| rule.kind == upload.kind);
        if let Some(rule) = rule.filter(|rule| file.bytes.len() as u64 > rule.max_bytes) {
            let report = own_report(&MediaError::TooLarge { max: rule.max_bytes }.to_string());
            return Err(SendError::ContentRefused { report });
        }
        Ok(MediaBytes {
            mime: upload.mime.clone().unwrap_or(file.mime),
            file_name: upload.file_name.clone().or(file.file_name),
            bytes: file.bytes,
        })
    }
}

#[async_trait]
impl Channel for Telegram {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content, &self.capabilities)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let Request { method, fields, upload } = self.request(part)?;
        let result = match &upload {
            None => self.api.call(method, &fields).await?,
            Some(upload) => {
                let file = self.file(upload).await?;
                match outbound::as_document(&file).filter(|_| upload.kind == MediaKind::Image) {
                    Some(document) => self.api.upload("sendDocument", &fields, "document", document).await?,
                    None => self.api.upload(method, &fields, upload.field, file).await?,
                }
            }
        };
        receipt(&result)
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        if call.method != Method::POST {
            return Err(VerifyError::Unexpected("updates come by POST"));
        }
        if call.header("content-type").is_some_and(|kind| !is_json(kind)) {
            return Err(VerifyError::Unexpected("updates are application/json"));
        }
        let mut proofs = call.headers.get_all(SECRET_HEADER).iter();
        // Blanks around a value are HTTP's own.
        let proof = proofs.next().map(|proof| proof.as_bytes().trim_ascii()).unwrap_or_default();
        let proof = std::str::from_utf8(proof).map_err(|_| VerifyError::Wrong)?;
        if proofs.next().is_some() {
            return Err(VerifyError::Wrong);
        }
        signature::shared_token([self.config.webhook_secret.expose_secret()], proof)?;
        Ok(match inbound::tap(call.body) {
            // What an answer to a webhook asks for is done: that saves a request (4).
            Some(tap) => {
                let body = json!({"method": ANSWER_TAP, "callback_query_id": tap}).to_string();
                Answer { content_type: "application/json", body, ..Answer::accepted() }
            }
            None => Answer::accepted(),
        })
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        inbound::parse(&self.config.bot_id, raw)
    }

    fn profiles(&self) -> Option<&dyn Profiles> {
        Some(self)
    }

    fn media(&self) -> Option<&dyn MediaSourceOf> {
        Some(self)
    }

    fn pull(&self) -> Option<&dyn Pull> {
        if self.config.polls { Some(self) } else { None }
    }

    fn external_key(&self) -> Option<String> {
        Some(self.config.account_id().to_owned())
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let me: User = self.api.read("getMe", json!({})).await?;
        let info = |names: &Names| AccountInfo {
            name: names.username.as_ref().map(|name| format!("@{name}")).or_else(|| inbound::full_name(names)),
            external_key: Some(self.config.account_id().to_owned()),
            limits: Vec::new(),
            at: Some(self.clock.now()),
        };
        let Voice::Business { connection } = &self.config.voice else {
            return Ok(AccountInfo { external_key: Some(me.id.to_string()), ..info(&me.names) });
        };
        let query = json!({"business_connection_id": connection});
        let owner: BusinessConnection = self.api.read("getBusinessConnection", query).await?;
        if !owner.may_reply() {
            let report = own_report("the owner has disabled the connection, or does not let the bot reply");
            return Err(SendError::AccountStopped { report });
        }
        Ok(info(&owner.user.names))
    }
}

#[async_trait]
impl Profiles for Telegram {
    async fn fetch(&self, identity: &Identity) -> Result<Profile, SendError> {
        let user = identity.address(USER_ID).ok_or_else(|| invalid("no user id is known of this person"))?;
        let chat: Chat = self.api.read("getChat", json!({"chat_id": user})).await?;
        // A picture's address would hold the token: there is none to give.
        Ok(inbound::profile(&chat.names))
    }
}

#[async_trait]
impl MediaSourceOf for Telegram {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError> {
        let MediaSource::Platform { id, .. } = &attachment.source else { return Err(MediaError::NotFound) };
        let answer = self.api.download(id, max_bytes.min(MAX_DOWNLOAD)).await?;
        // Type and name are the message's: the download has lost them (6).
        let mime = attachment.mime.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
        Ok(MediaBytes { bytes: answer.body, mime, file_name: attachment.file_name.clone() })
    }
}

/// Asking with an offset confirms all updates below it, so what was stored is forgotten with the next question.
#[async_trait]
impl Pull for Telegram {
    /// A bot has one queue, whoever it writes for.
    fn covers_connection(&self) -> bool {
        true
    }

    async fn next(&self, cursor: Option<&str>) -> Result<(Vec<RawInbound>, String), SendError> {
        let offset = cursor.and_then(|cursor| cursor.parse::<i64>().ok());
        let query = json!({"offset": offset, "limit": 100, "timeout": POLL_SECONDS, "allowed_updates": inbound::KINDS});
        let patience = Duration::from_secs(u64::from(POLL_SECONDS + POLL_MARGIN_SECONDS));
        let updates: Updates = self.api.wait_for("getUpdates", query, patience).await?;
        let received_at = self.clock.now();
        let ids = updates.0.iter().filter_map(|update| serde_json::from_str::<UpdateId>(update.get()).ok());
        let next = ids.map(|update| update.update_id.saturating_add(1)).max().or(offset);
        for tap in updates.0.iter().filter_map(|update| inbound::tap(update.get().as_bytes())) {
            let answered = self.api.read::<bool>(ANSWER_TAP, json!({"callback_query_id": tap})).await;
            // One that is too old is refused, and no loss. Who does not answer now must not hold up what was received.
            if matches!(answered, Err(SendError::Temporary { .. })) {
                break;
            }
        }
        let raw = updates.0.iter().map(|update| RawInbound::new(update.get().to_owned(), received_at)).collect();
        Ok((raw, next.map(|next| next.to_string()).unwrap_or_default()))
    }

    async fn done(&self, _: &str) -> Result<(), SendError> {
        Ok(())
    }
}

/// Updates as they came.
#[derive(Deserialize)]
#[serde(transparent)]
struct Updates(Vec<Box<RawValue>>);

/// What an accepted request says: a message, or `true` for a reaction.
fn receipt(result: &Value) -> Result<Receipt, SendError> {
    if result == &Value::Bool(true) {
        return Ok(Receipt::default());
    }
    let chat = result.pointer("/chat/id").and_then(Value::as_i64);
    let message = result.get("message_id").and_then(Value::as_i64);
    match (chat, message) {
        // A video that is still converted has no id yet (2).
        (Some(_), Some(0)) => Ok(Receipt { held: true, ..Receipt::default() }),
        (Some(chat), Some(message)) => Ok(Receipt::with_id(inbound::provider_id(chat, message))),
        _ => Err(SendError::OutcomeUnknown { detail: "an answer without a message".to_owned() }),
    }
}

fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn invalid(why: &str) -> SendError {
    SendError::Invalid { report: own_report(why) }
}

fn own_report(why: &str) -> PlatformReport {
    PlatformReport { status: None, code: None, message: why.to_owned() }
}
