//! A connected bot.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, MediaBytes, MediaError, MediaPort, MediaSourceOf,
    OutboundPart, ParseError, PlannedPart, PlatformReport, Ports, Profiles, RawInbound, Receipt, SendError, Unsendable,
    VerifyError, WebhookCall, signature,
};
use transom_domain::{Attachment, Clock, Content, Identity, MediaSource, Profile};
use url::Url;

use crate::capabilities::{FILE, SENDER_NAME, USER_ID, capabilities};
use crate::client::Api;
use crate::config::Config;
use crate::outbound::{self, Draft};
use crate::wire::{self, Outgoing, Request, Sender, UserDetails};
use crate::{error, inbound};

const SIGNATURE_HEADER: &str = "x-viber-content-signature";

#[derive(Debug)]
pub(crate) struct Viber {
    config: Config,
    capabilities: Capabilities,
    api: Api,
    media: Arc<dyn MediaPort>,
    clock: Arc<dyn Clock>,
}

impl Viber {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        Self {
            capabilities: capabilities(),
            api: Api::new(ports, config.token.clone()),
            media: Arc::clone(&ports.media),
            clock: Arc::clone(&ports.clock),
            config,
        }
    }

    /// The one part that a plan makes of a part.
    fn draft(&self, part: &OutboundPart) -> Result<Draft, SendError> {
        let planned = self.plan(part.content()).map_err(|refused| invalid(refused.code()))?;
        match planned.as_slice() {
            [one] => outbound::draft(&one.content).ok_or_else(|| invalid("not a part of a plan")),
            _ => Err(invalid("more than one request")),
        }
    }

    /// The request for a file: Viber fetches it, and wants to know how large it is.
    async fn file(&self, file: &Attachment, text: String, accepted: OffsetDateTime) -> Result<Outgoing, SendError> {
        let (address, size) = match &file.source {
            MediaSource::Stored { id } => {
                let address = self.media.public_url(*id, accepted).await.map_err(of_media)?;
                let address = address.ok_or_else(|| {
                    content("Viber fetches files by their public address, and this service gives its files none")
                })?;
                let size = match file.size {
                    None if outbound::needs_size(file.kind) => self.measured(file).await?,
                    size => size.unwrap_or_default(),
                };
                (address, size)
            }
            MediaSource::Url { url } => {
                (Url::parse(url).map_err(|_| invalid("no address"))?, file.size.unwrap_or_default())
            }
            MediaSource::Platform { .. } | MediaSource::Enclosed { .. } => return Err(invalid("not a file of ours")),
        };
        outbound::outgoing(file, text, &address, size).map_err(|refused| content(&refused.to_string()))
    }

    async fn measured(&self, file: &Attachment) -> Result<u64, SendError> {
        let MediaSource::Stored { id } = &file.source else { return Err(invalid("not a file of ours")) };
        let size = self.media.read(*id).await.map_err(of_media)?.bytes.len() as u64;
        let rule = self.capabilities.media.iter().find(|rule| rule.kind == file.kind);
        match rule.filter(|rule| size > rule.max_bytes) {
            Some(rule) => Err(content(&MediaError::TooLarge { max: rule.max_bytes }.to_string())),
            None => Ok(size),
        }
    }

    /// The welcome message, where the call is one that may be answered with it (4.3).
    fn welcome(&self, body: &[u8]) -> Option<String> {
        #[derive(Deserialize)]
        struct Event {
            event: String,
        }

        let text = self.config.welcome.clone()?;
        let event: Event = serde_json::from_slice(body).ok()?;
        let sender = self.sender(&self.config.sender_name);
        let message = Request { receiver: None, min_api_version: 1, sender, content: Outgoing::Text { text } };
        (event.event == inbound::CONVERSATION_STARTED).then(|| serde_json::to_string(&message).ok())?
    }

    fn sender<'s>(&'s self, name: &'s str) -> Sender<'s> {
        Sender { name, avatar: self.config.avatar.as_ref().map(Url::as_str) }
    }
}

#[async_trait]
impl Channel for Viber {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content, &self.capabilities)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let receiver = part.to().address(USER_ID).ok_or_else(|| invalid("no user id is known of this person"))?;
        // It may only be the body of the answer to an event: there is no request for it.
        if part.permit().reference().is_some() {
            return Err(invalid("the welcome message goes by the setting `welcome_text`"));
        }
        let content = match self.draft(part)? {
            Draft::Ready(content) => content,
            Draft::File { file, text } => self.file(&file, text, part.accepted()).await?,
        };
        let name = part.sender_name().map_or_else(|| self.config.sender_name.clone(), cut);
        let request = Request { receiver: Some(receiver), min_api_version: 1, sender: self.sender(&name), content };
        let sent = self.api.send(&request).await;
        receipt(sent.map_err(|refused| error::of_attempt(refused, part.attempt()))?)
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        if call.method != Method::POST {
            return Err(VerifyError::Unexpected("events come by POST"));
        }
        let mut proofs = call.headers.get_all(SIGNATURE_HEADER).iter();
        // Blanks around a value are HTTP's own.
        let proof = proofs.next().map(|proof| proof.as_bytes().trim_ascii()).unwrap_or_default();
        let proof = std::str::from_utf8(proof).map_err(|_| VerifyError::Wrong)?;
        if proofs.next().is_some() {
            return Err(VerifyError::Wrong);
        }
        signature::hmac_sha256_hex([self.config.token.expose_secret()], call.body, proof)?;
        Ok(match self.welcome(call.body) {
            Some(body) => Answer { content_type: "application/json", body, ..Answer::accepted() },
            None => Answer::accepted(),
        })
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        inbound::parse(&self.config, raw)
    }

    fn profiles(&self) -> Option<&dyn Profiles> {
        Some(self)
    }

    fn media(&self) -> Option<&dyn MediaSourceOf> {
        Some(self)
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let account: wire::AccountInfo = self.api.read("get_account_info", &json!({})).await?;
        Ok(AccountInfo {
            name: account.name,
            external_key: Some(account.id),
            limits: Vec::new(),
            at: Some(self.clock.now()),
        })
    }
}

/// At most two calls a person in 12 hours (5): whoever asks keeps the answer.
#[async_trait]
impl Profiles for Viber {
    async fn fetch(&self, identity: &Identity) -> Result<Profile, SendError> {
        let id = identity.address(USER_ID).ok_or_else(|| invalid("no user id is known of this person"))?;
        let details: UserDetails = self.api.read("get_user_details", &json!({"id": id})).await?;
        Ok(inbound::profile(&details.user))
    }
}

#[async_trait]
impl MediaSourceOf for Viber {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError> {
        let MediaSource::Platform { url: Some(url), .. } = &attachment.source else {
            return Err(MediaError::NotFound);
        };
        let answer = self.api.download(url, max_bytes.min(FILE)).await?;
        let stated = answer.header("content-type").map(|mime| mime.split(';').next().unwrap_or_default().trim());
        let stated = stated.filter(|mime| mime.contains('/')).map(str::to_ascii_lowercase);
        let mime = attachment.mime.clone().or(stated).unwrap_or_else(|| "application/octet-stream".to_owned());
        Ok(MediaBytes { bytes: answer.body, mime, file_name: attachment.file_name.clone() })
    }
}

/// What an accepted message says of itself, and how it was counted (1.3).
fn receipt(answer: wire::Answer) -> Result<Receipt, SendError> {
    let Some(token) = answer.message_token else {
        return Err(SendError::OutcomeUnknown { detail: "an answer without a message".to_owned() });
    };
    let billing = answer.billing_status.map(|status| match status {
        0 => "free".to_owned(),
        1 => "in session".to_owned(),
        2 => "in session, commercial".to_owned(),
        3 => "out of session, free".to_owned(),
        4 => "out of session, free, commercial".to_owned(),
        5 => "out of session, paid".to_owned(),
        other => format!("billing_status {other}"),
    });
    Ok(Receipt { billing, ..Receipt::with_id(token.0) })
}

/// A name of at most the platform's length.
fn cut(name: &str) -> String {
    let mut kept = String::new();
    for character in name.trim().chars() {
        kept.push(character);
        if !SENDER_NAME.fits(&kept) {
            kept.pop();
            break;
        }
    }
    kept
}

fn of_media(error: MediaError) -> SendError {
    match error {
        // Nothing was sent: it may be there again later.
        MediaError::Unavailable(_) => SendError::Temporary { report: own_report("the file can't be read now") },
        other => content(&other.to_string()),
    }
}

fn content(why: &str) -> SendError {
    SendError::ContentRefused { report: own_report(why) }
}

fn invalid(why: &str) -> SendError {
    SendError::Invalid { report: own_report(why) }
}

fn own_report(why: &str) -> PlatformReport {
    PlatformReport { status: None, code: None, message: why.to_owned() }
}
