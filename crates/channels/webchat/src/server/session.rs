//! Who calls: sessions, their tokens, and strangers who turn out to be somebody (webchat.md 3).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use poem::http::StatusCode;
use poem::{Request, Response};
use sha2::{Digest, Sha256};
use time::Duration;
use transom_channel::MailboxKey;

use super::access::{self, Widget};
use super::acts;
use super::hub::Hub;
use super::rates::What;
use super::refusal::Refused;
use crate::error::Code;
use crate::event::Act;
use crate::proof::{self, NotProven, Proven};
use crate::protocol::{
    ClaimedIdentity, ClaimedProfile, ConversationStatus, ConversationView, Hello, Resume, VERSION, Welcome,
    WelcomeSettings,
};
use crate::visitor::Visitor;

/// How long a token is good since it was last shown (webchat.md 3).
const LIFETIME: Duration = Duration::days(365);
/// A token that was shown is good for longer again, at most once in this time.
const SLIDES: Duration = Duration::DAY;
/// How often a visitor's side is to say something, in seconds.
const HEARTBEAT: u32 = 25;
/// How long events can be resumed, in days: the mailboxes keep them for a week.
const RETENTION_DAYS: u32 = 7;

/// A visitor who was let in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) visitor: Visitor,
    /// Their mailbox.
    pub(super) mailbox: String,
    /// What their token is known by.
    pub(super) key: [u8; 32],
    /// What is said of them.
    pub(super) profile: Option<ClaimedProfile>,
    /// A new token, to be told.
    token: Option<String>,
    /// The mailbox is another than the one whose numbers they know.
    moved: bool,
}

impl Session {
    /// Of somebody who was let in before.
    pub(super) fn known(visitor: Visitor, mailbox: String, key: [u8; 32]) -> Self {
        Self { visitor, mailbox, key, profile: None, token: None, moved: false }
    }

    /// Whether the site has proven who they are.
    pub(super) fn verified(&self) -> bool {
        matches!(self.visitor, Visitor::Known(_))
    }
}

/// Lets a visitor in: by their token, by a proof of the site, or as a stranger.
pub(super) async fn enter(hub: &Hub, widget: &Widget, hello: &Hello) -> Result<Session, Refused> {
    if hello.v != VERSION {
        return Err(Refused::bad("`v` is the version of the protocol: 1"));
    }
    hub.take(What::Hellos, &widget.address, 1.0)?;
    let proven = match &hello.identity {
        Some(claim) => prove(widget, claim)?,
        None => None,
    };
    let shown = match hello.token.as_deref() {
        Some(token) => find(widget, token).await?,
        None => None,
    };
    // A token that is over needs no word where the site says who it is.
    if hello.token.is_some() && shown.is_none() && proven.is_none() {
        return Err(Refused::unauthorized());
    }
    let claimed = claimed(hello, proven.as_ref());
    let session = match (shown, proven) {
        (Some(session), None) => session,
        (None, None) => stranger(hub, widget).await?,
        (shown, Some(proven)) => identified(hub, widget, shown, proven, claimed.clone()).await?,
    };
    let session = Session { profile: claimed, ..session };
    acts::unless_blocked(hub, widget, &session.visitor).await?;
    Ok(session)
}

/// The visitor of a token that comes with a request.
pub(super) async fn of_request(widget: &Widget, request: &Request) -> Result<Session, Refused> {
    let token = access::token(request).ok_or_else(Refused::unauthorized)?;
    find(widget, token).await?.ok_or_else(Refused::unauthorized)
}

fn prove(widget: &Widget, claim: &ClaimedIdentity) -> Result<Option<Proven>, Refused> {
    let config = &widget.config;
    let proven = match claim {
        ClaimedIdentity { jwt: Some(jwt), .. } => {
            proof::by_jwt(&config.identity_secrets, &config.widget, jwt, widget.site.ports.clock.now())
        }
        ClaimedIdentity { external_id: Some(id), user_hash: Some(hash), .. } => {
            proof::by_hash(&config.identity_secrets, id, hash)
        }
        ClaimedIdentity { external_id: None, .. } => {
            return Err(Refused::bad("an identity is `jwt`, or `external_id` with `user_hash`"));
        }
        // Not believed, and not refused: such a visitor stays a stranger.
        _ if !config.require_verification => return Ok(None),
        _ => {
            let why = "this widget wants a proof of who the visitor is: `jwt`, or `user_hash`";
            return Err(Refused::new(Code::IdentityRequired, why));
        }
    };
    proven.map(Some).map_err(|error| {
        let code = match error {
            NotProven::Invalid => Code::IdentityInvalid,
            NotProven::Expired => Code::IdentityExpired,
        };
        Refused::new(code, error.to_string())
    })
}

/// What is said of the visitor; what the site signed comes before what the page claims.
fn claimed(hello: &Hello, proven: Option<&Proven>) -> Option<ClaimedProfile> {
    let told = proven.cloned().unwrap_or_default();
    let said = hello.profile.clone();
    let plain = |text: Option<String>| text.map(|text| acts::plain_line(&text)).filter(|text| !text.is_empty());
    let profile = ClaimedProfile {
        name: plain(told.name.or(said.name)),
        email: plain(told.email.or(said.email)),
        phone: plain(told.phone.or(said.phone)),
        language: plain(said.language.or_else(|| hello.locale.clone())),
    };
    (profile != ClaimedProfile::default()).then_some(profile)
}

async fn find(widget: &Widget, token: &str) -> Result<Option<Session>, Refused> {
    let (mailboxes, now) = (&widget.site.ports.mailbox, widget.site.ports.clock.now());
    let key = hash(token);
    let Some(MailboxKey { name, until }) = mailboxes.key(key).await? else { return Ok(None) };
    // Keys of other widgets and for other things are none of ours.
    let Some(visitor) = Visitor::of_mailbox(&widget.config.widget, &name) else { return Ok(None) };
    if until < now.saturating_add(LIFETIME - SLIDES) {
        mailboxes.put_key(key, &MailboxKey { name: name.clone(), until: now.saturating_add(LIFETIME) }).await?;
    }
    Ok(Some(Session::known(visitor, name, key)))
}

async fn stranger(hub: &Hub, widget: &Widget) -> Result<Session, Refused> {
    hub.take(What::Sessions, &widget.address, 1.0)?;
    let visitor = Visitor::Anonymous(format!("v_{}", hex::encode(rand::random::<[u8; 16]>())));
    admit(widget, visitor, None).await
}

/// Somebody whom the site has named. What they wrote as a stranger comes along, unless it is somebody else's already.
async fn identified(
    hub: &Hub,
    widget: &Widget,
    shown: Option<Session>,
    proven: Proven,
    profile: Option<ClaimedProfile>,
) -> Result<Session, Refused> {
    let visitor = Visitor::Known(proven.external_id);
    if let Some(session) = shown.as_ref().filter(|session| session.visitor == visitor) {
        return Ok(session.clone());
    }
    let mailbox = visitor.mailbox(&widget.config.widget);
    let was = match &shown {
        Some(Session { visitor: was @ Visitor::Anonymous(_), mailbox: old, .. }) => {
            let leads_to = widget.site.ports.mailbox.lead(old, &mailbox).await?;
            (leads_to == mailbox).then(|| was.id())
        }
        _ => None,
    };
    let event = acts::event(widget, &visitor, format!("i:{}:{}", visitor.id(), was.as_deref().unwrap_or("-")), profile);
    acts::report(hub, widget, event.with(&Act::Identify { was })).await?;
    admit(widget, visitor, shown).await
}

/// Makes the token of a visitor, or gives the one that was shown to them.
async fn admit(widget: &Widget, visitor: Visitor, shown: Option<Session>) -> Result<Session, Refused> {
    let (ports, mailbox) = (&widget.site.ports, visitor.mailbox(&widget.config.widget));
    let token = shown.is_none().then(|| random("vt_"));
    let key = match (&token, &shown) {
        (Some(token), _) => hash(token),
        (None, Some(session)) => session.key,
        (None, None) => return Err(Refused::unauthorized()),
    };
    let opens = MailboxKey { name: mailbox.clone(), until: ports.clock.now().saturating_add(LIFETIME) };
    ports.mailbox.put_key(key, &opens).await?;
    Ok(Session { visitor, mailbox, key, profile: None, token, moved: true })
}

/// 256 random bits behind a word that says what they are.
pub(super) fn random(word: &str) -> String {
    format!("{word}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// What a secret is known by.
pub(super) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The answer to a `hello`, and the number from which events follow.
pub(super) async fn welcome(
    hub: &Hub,
    widget: &Widget,
    session: &Session,
    last_seq: Option<u64>,
) -> Result<(Welcome, u64), Refused> {
    let Widget { site, config, .. } = widget;
    let page = site.ports.mailbox.read_after(&session.mailbox, u64::MAX, 0).await?;
    if page.leads_to.is_some() {
        // This visitor turned out to be somebody, and the token did not follow.
        return Err(Refused::unauthorized());
    }
    let known = last_seq.filter(|seq| !session.moved && *seq <= page.last_seq && *seq >= page.purged_to);
    let stands = hub.host.acquaintance(site, &[session.visitor.address()]).await?;
    let status = stands.and_then(|known| known.conversation).map(acts::status);
    let is_known = status.is_some() || page.last_seq > 0;
    let conversation =
        ConversationView { id: session.visitor.conversation(), status: status.unwrap_or(ConversationStatus::Open) };
    let welcome = Welcome {
        visitor_id: session.visitor.id(),
        token: session.token.clone(),
        verified: session.verified(),
        server_time: site.ports.clock.now(),
        resume: if known.is_some() { Resume::Ok } else { Resume::Reset },
        last_seq: page.last_seq,
        conversations: is_known.then_some(conversation).into_iter().collect(),
        settings: WelcomeSettings {
            offline: !config.online,
            retention_days: RETENTION_DAYS,
            max_upload: crate::capabilities::MAX_FILE,
            heartbeat_s: HEARTBEAT,
        },
    };
    Ok((welcome, known.unwrap_or(page.last_seq)))
}

/// `POST session`: a session without a socket.
pub(super) async fn begin(hub: Arc<Hub>, widget: Arc<Widget>, mut request: Request) -> Result<Response, Refused> {
    let mut hello: Hello = super::body(&mut request).await?;
    if hello.token.is_none() {
        hello.token = access::token(&request).map(str::to_owned);
    }
    let session = enter(&hub, &widget, &hello).await?;
    let (welcome, _) = welcome(&hub, &widget, &session, hello.last_seq).await?;
    acts::present(&hub, &widget, &session).await;
    Ok(super::json(StatusCode::CREATED, &welcome))
}

/// `POST logout`: the token ends, and a stranger begins.
pub(super) async fn end(hub: Arc<Hub>, widget: Arc<Widget>, request: Request) -> Result<Response, Refused> {
    let session = of_request(&widget, &request).await?;
    let fresh = stranger(&hub, &widget).await?;
    widget.site.ports.mailbox.take_key(session.key).await?;
    let (welcome, _) = welcome(&hub, &widget, &fresh, None).await?;
    Ok(super::json(StatusCode::CREATED, &welcome))
}
