//! A connected Official Account.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use secrecy::ExposeSecret;
use time::{Duration, OffsetDateTime};
use transom_channel::{
    AccountInfo, Answer, Capabilities, Channel, Inbound, MediaBytes, MediaError, MediaPort, MediaSourceOf,
    OutboundPart, ParseError, PlannedPart, Ports, Profiles, Pull, RawInbound, Receipt, SendError, Unsendable,
    VerifyError, WebhookCall, checks, signature,
};
use transom_domain::{Attachment, AttachmentId, Clock, Content, Identity, MediaKind, MediaSource, Profile};
use transom_windows::Permit;

use crate::capabilities::{MAX_DOWNLOAD, USER_ID, capabilities};
use crate::client::Api;
use crate::config::{Config, is_user_id};
use crate::error::{self, MONTHLY_MESSAGES, REPLY_TOKEN_USES, invalid, own_report};
use crate::month::Month;
use crate::wire::{BotInfo, Consumption, Message, Push, Quota, Reply, UserProfile};
use crate::{inbound, outbound};

const SIGNATURE_HEADER: &str = "x-line-signature";
/// The tag of permits that go out as a reply (policy `line`).
const REPLY_TOKEN: &str = "reply_token";

#[derive(Debug)]
pub(crate) struct Line {
    config: Config,
    capabilities: Capabilities,
    api: Api,
    media: Arc<dyn MediaPort>,
    clock: Arc<dyn Clock>,
}

impl Line {
    pub(crate) fn new(config: Config, ports: &Ports) -> Self {
        Self {
            capabilities: capabilities(config.video_preview.is_some()),
            api: Api::new(ports, config.access_token.clone()),
            media: Arc::clone(&ports.media),
            clock: Arc::clone(&ports.clock),
            config,
        }
    }

    /// The messages of a part, if it is one that a plan could hold.
    async fn messages(&self, part: &OutboundPart) -> Result<Vec<Message>, SendError> {
        let planned = self.plan(part.content()).map_err(|refused| error::invalid(refused.code()))?;
        let [one] = planned.as_slice() else { return Err(invalid("more than one request")) };
        let mut addresses = BTreeMap::new();
        for (kind, id) in outbound::needed_files(&one.content) {
            addresses.insert(id, self.address(kind, id, part.accepted()).await?);
        }
        let preview = self.config.video_preview.as_deref();
        outbound::messages(&one.content, &addresses, preview, part.sender_name())
            .ok_or_else(|| invalid("not a part of a plan"))
    }

    /// Where LINE finds a stored file. It must be checked here: the plan could not know a size that nobody stated.
    async fn address(&self, kind: MediaKind, id: AttachmentId, accepted: OffsetDateTime) -> Result<String, SendError> {
        let file = self.media.read(id).await.map_err(unreadable)?;
        let rule = self.capabilities.media.iter().find(|rule| rule.kind == kind);
        let rule = rule.ok_or_else(|| invalid("not a file of a plan"))?;
        checks::size(rule, file.bytes.len() as u64)
            .map_err(|refused| SendError::ContentRefused { report: own_report(None, &refused.to_string()) })?;
        let address = self.media.public_url(id, accepted).await.map_err(unreadable)?;
        let address = address.filter(|address| address.scheme() == "https").ok_or_else(|| {
            let why = "LINE fetches files by public https address, and this service has none: set `public_url`";
            SendError::ContentRefused { report: own_report(None, why) }
        })?;
        Ok(address.to_string())
    }

    /// "You have reached your monthly limit" is also said while a large delivery holds messages back (line.md 1.3).
    async fn used_up(&self, refused: SendError) -> SendError {
        let SendError::QuotaReached { quota: Some(quota), report } = refused else { return refused };
        if quota != MONTHLY_MESSAGES || self.month().await.is_ok_and(Month::is_over) {
            return SendError::QuotaReached { quota: Some(quota), report };
        }
        error::held_back(report)
    }

    /// The month as LINE counts it. What was used of no limit is not asked for.
    pub(crate) async fn month(&self) -> Result<Month, SendError> {
        let limit = self.monthly_limit().await?;
        let used = match limit {
            Some(_) => self.api.read::<Consumption>("/v2/bot/message/quota/consumption").await?.total_usage,
            None => 0,
        };
        Ok(Month { limit, used: u32::try_from(used).unwrap_or(u32::MAX) })
    }

    /// The messages of a month; `None` for no limit.
    async fn monthly_limit(&self) -> Result<Option<u32>, SendError> {
        let quota: Quota = self.api.read("/v2/bot/message/quota").await?;
        let limit = quota.value.filter(|_| quota.kind == "limited");
        Ok(limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)))
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// How LINE names the account in its calls, asked for where no setting says it.
    pub(crate) async fn bot_user_id(&self) -> Result<String, SendError> {
        match &self.config.bot_user_id {
            Some(id) => Ok(id.clone()),
            None => Ok(self.api.read::<BotInfo>("/v2/bot/info").await?.user_id),
        }
    }
}

#[async_trait]
impl Channel for Line {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        outbound::plan(content, &self.capabilities)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let to = part.to().address(USER_ID).ok_or_else(|| invalid("no user id is known of this person"))?;
        if !is_user_id(to) {
            return Err(invalid("a user id is U and 32 hexadecimal digits"));
        }
        let messages = self.messages(part).await?;
        let answer = match reply_token(part.permit()) {
            // An earlier try may have gone out as a push, and a reply carries no key to tell LINE so.
            Some(_) if part.attempt() > 1 => {
                let report = own_report(None, "a reply token is used at a first try only");
                return Err(SendError::QuotaReached { quota: Some(REPLY_TOKEN_USES.to_owned()), report });
            }
            Some(reply_token) => {
                let body = Reply { reply_token, messages: &messages };
                self.api.send("/v2/bot/message/reply", &body, None).await
            }
            None => {
                let body = Push { to, messages: &messages };
                self.api.send("/v2/bot/message/push", &body, Some(&part.correlation())).await
            }
        };
        match answer {
            Err(refused @ SendError::QuotaReached { .. }) => Err(self.used_up(refused).await),
            other => other,
        }
    }

    fn dedupes_for(&self, permit: &Permit) -> Option<Duration> {
        self.capabilities.settling.dedupes_for.filter(|_| reply_token(permit).is_none())
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
        let secrets = self.config.channel_secrets.iter().map(ExposeSecret::expose_secret);
        signature::hmac_sha256_base64(secrets, call.body, proof)?;
        Ok(Answer::accepted())
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        inbound::parse(self.config.bot_user_id.as_deref(), raw)
    }

    fn profiles(&self) -> Option<&dyn Profiles> {
        Some(self)
    }

    fn media(&self) -> Option<&dyn MediaSourceOf> {
        Some(self)
    }

    fn pull(&self) -> Option<&dyn Pull> {
        Some(self)
    }

    fn external_key(&self) -> Option<String> {
        self.config.bot_user_id.clone()
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        let bot: BotInfo = self.api.read("/v2/bot/info").await?;
        let limit = self.monthly_limit().await?;
        Ok(AccountInfo {
            name: match (bot.display_name, bot.basic_id) {
                (Some(name), Some(id)) => Some(format!("{name} ({id})")),
                (name, id) => name.or(id),
            },
            external_key: Some(bot.user_id),
            limits: vec![(MONTHLY_MESSAGES.to_owned(), limit)],
            at: Some(self.clock.now()),
        })
    }
}

#[async_trait]
impl Profiles for Line {
    async fn fetch(&self, identity: &Identity) -> Result<Profile, SendError> {
        let user = identity.address(USER_ID).filter(|id| is_user_id(id));
        let user = user.ok_or_else(|| invalid("no user id is known of this person"))?;
        let profile: UserProfile = self.api.read(&format!("/v2/bot/profile/{user}")).await?;
        Ok(Profile {
            name: profile.display_name,
            picture_url: profile.picture_url,
            language: profile.language,
            ..Profile::default()
        })
    }
}

#[async_trait]
impl MediaSourceOf for Line {
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError> {
        let MediaSource::Platform { id, url, .. } = &attachment.source else { return Err(MediaError::NotFound) };
        // A sticker is no file: LINE names it by package and id. Anything else here is a message's number.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MediaError::NotFound);
        }
        let most = max_bytes.min(MAX_DOWNLOAD);
        let file = match url {
            Some(url) => self.api.download_elsewhere(url, most).await?,
            None => self.api.download(id, most).await?,
        };
        Ok(MediaBytes { file_name: attachment.file_name.clone(), ..file })
    }
}

/// The token to reply with, if that is what the permit is for.
fn reply_token(permit: &Permit) -> Option<&str> {
    permit.reference().filter(|_| permit.basis().tag() == Some(REPLY_TOKEN))
}

fn unreadable(error: MediaError) -> SendError {
    match error {
        // Nothing was sent: it may be there again later.
        MediaError::Unavailable(_) => SendError::Temporary { report: own_report(None, "the file can't be read now") },
        other => SendError::ContentRefused { report: own_report(None, &other.to_string()) },
    }
}
