//! The contract of a channel.

use std::fmt;

use async_trait::async_trait;
use time::{Duration, OffsetDateTime};
use transom_domain::{Attachment, ChannelAccountId, Content, Identity, Profile, SenderAddress, TemplateDefinition};
use transom_windows::Permit;

use crate::{
    Answer, Capabilities, Inbound, MailboxError, MediaBytes, MediaError, OutboundPart, ParseError, PlannedPart,
    RawInbound, Receipt, SendError, Unsendable, VerifyError, WebhookCall,
};

/// One connected account on one platform: a number, a bot, a page, a mailbox.
///
/// # Contract
/// - [`plan`](Channel::plan) and [`send`](Channel::send) refuse what [`capabilities`](Channel::capabilities) leaves out
///   before a byte goes out.
/// - [`send`](Channel::send) makes at most one request that could reach the customer, and never retries: the dispatcher does.
/// - A lost or unreadable answer is [`SendError::OutcomeUnknown`], never a failure and never a success.
/// - [`verify`](Channel::verify) and [`parse`](Channel::parse) are pure; parse never verifies, so that a replay can use it.
/// - What parse does not know is an [`Item::Unsupported`](crate::Item::Unsupported): it is kept, and the platform hears 200.
/// - `Debug`, logs and errors hold no secret, no address and no text.
///
/// `transom_channel::conformance!` is this contract, executable.
#[async_trait]
pub trait Channel: fmt::Debug + Send + Sync + 'static {
    /// What this account can carry, as data: desk, API and docs read it and never ask for a name.
    fn capabilities(&self) -> &Capabilities;

    /// Splits content into parts: one part is one request, with what it costs.
    ///
    /// # Errors
    /// [`Unsendable`] when the channel can't carry it; nothing is dropped without a word.
    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable>;

    /// Hands over one part. It holds its permit: without one it can't be built.
    ///
    /// # Errors
    /// [`SendError`], which says what to do next. [`SendError::OutcomeUnknown`] whenever the request may have arrived.
    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError>;

    /// For how long the platform drops a second request for a part that left by this permit; `None`: never.
    ///
    /// Asked before a part whose outcome is not known is sent again. Where all requests carry the key, it is what
    /// [`capabilities`](Channel::capabilities) say; a channel that has a way to send without it answers `None` for that way.
    fn dedupes_for(&self, _permit: &Permit) -> Option<Duration> {
        self.capabilities().settling.dedupes_for
    }

    /// Checks the proof over the raw bytes and says what the platform wants to hear.
    ///
    /// # Errors
    /// [`VerifyError`]: the call is answered 401 and nothing of it is kept.
    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError>;

    /// Reads what happened from one journalled call. What it does not know is an `Item::Unsupported`.
    ///
    /// # Errors
    /// [`ParseError`] when nothing at all can be read; the call goes to quarantine.
    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError>;

    /// The platform's message templates, where it keeps any.
    fn templates(&self) -> Option<&dyn TemplateCatalog> {
        None
    }

    /// Profiles on demand, where the platform has such an interface.
    fn profiles(&self) -> Option<&dyn Profiles> {
        None
    }

    /// Files that customers sent, where the platform keeps them.
    fn media(&self) -> Option<&dyn MediaSourceOf> {
        None
    }

    /// Events that must be fetched, where nobody calls us.
    fn pull(&self) -> Option<&dyn Pull> {
        None
    }

    /// What became of a send whose answer was lost, where the platform can be asked with certainty.
    fn look_up(&self) -> Option<&dyn LookUp> {
        None
    }

    /// Where what somebody does not come to read goes instead, if it shall go anywhere.
    fn fallback(&self) -> Option<&dyn Fallback> {
        None
    }

    /// How the customer sees that somebody types, where the platform can show it.
    fn typing(&self) -> Option<&dyn ShowsTyping> {
        None
    }

    /// The addresses from which this account may write, where its messages are [letters](transom_domain::Mail).
    fn senders(&self) -> &[SenderAddress] {
        &[]
    }

    /// The kinds of opening that it is to write first to an address of this kind, where the policy knows one for that.
    fn opens_by_starting(&self, _address_kind: &str) -> &'static [&'static str] {
        &[]
    }

    /// How patiently a part is tried again that the platform did not take for now.
    fn patience(&self) -> Patience {
        Patience::Prompt
    }

    /// How the platform names this account in its webhooks, where the settings tell: also when no setting is it by itself.
    fn external_key(&self) -> Option<String> {
        None
    }

    /// How the platform names the group that this account belongs to, in webhooks about all of its accounts, where it has such
    /// groups: notices under that name reach each of them.
    fn group_key(&self) -> Option<String> {
        None
    }

    /// Asks the platform whether the credentials work and what the account is; used when an account is connected.
    ///
    /// # Errors
    /// [`SendError::AuthFailed`] and its kin, classified as for a send.
    async fn check(&self) -> Result<AccountInfo, SendError>;
}

/// How patiently a part is tried again (reliability.md 7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Patience {
    /// Somebody waits at the other end: seconds to minutes, and after four hours it is no longer worth sending.
    #[default]
    Prompt,
    /// Mail: 1, 5, 15, 60 minutes, then every four hours, for three days.
    Postal,
}

/// The platform's message templates.
#[async_trait]
pub trait TemplateCatalog: Send + Sync {
    /// All of them, in whatever status.
    ///
    /// # Errors
    /// Classified as for a send.
    async fn list(&self) -> Result<Vec<TemplateDefinition>, SendError>;
}

/// Profiles on demand.
#[async_trait]
pub trait Profiles: Send + Sync {
    /// What the platform tells about a person now.
    ///
    /// # Errors
    /// Classified as for a send.
    async fn fetch(&self, identity: &Identity) -> Result<Profile, SendError>;
}

/// Files that customers sent.
#[async_trait]
pub trait MediaSourceOf: Send + Sync {
    /// The bytes of a file, at most `max_bytes` of them, checked against the platform's checksum where it states one.
    ///
    /// # Errors
    /// [`MediaError`].
    async fn download(&self, attachment: &Attachment, max_bytes: u64) -> Result<MediaBytes, MediaError>;
}

/// Events that must be fetched. One lease an account; raw and cursor are journalled in one transaction, then `done`.
#[async_trait]
pub trait Pull: Send + Sync {
    /// Whether what is fetched belongs to all accounts of the connection: then one of them fetches for all.
    fn covers_connection(&self) -> bool {
        false
    }

    /// The cursor of an account that was connected then and never fetched: what came since is new. `None` where the platform's
    /// own beginning will do.
    fn beginning(&self, _connected_at: OffsetDateTime) -> Option<String> {
        None
    }

    /// What is new since `cursor`, and the next cursor; waits for news as long as the platform allows. May be given up at any
    /// moment: what was not stored is given again.
    ///
    /// # Errors
    /// Classified as for a send.
    async fn next(&self, cursor: Option<&str>) -> Result<(Vec<RawInbound>, String), SendError>;

    /// All up to `cursor` is stored: the platform may forget it. Said again after a restart.
    ///
    /// # Errors
    /// Classified as for a send.
    async fn done(&self, cursor: &str) -> Result<(), SendError>;
}

/// What the platform took from us, asked for after an answer was lost (reliability.md 5).
#[async_trait]
pub trait LookUp: Send + Sync {
    /// All that the platform took from this account for that person since then, whatever it is and whoever sent it: what is not
    /// among it was not taken.
    ///
    /// # Errors
    /// Classified as for a send; also when the list can't be read to its end.
    async fn taken(&self, lost: &Lost<'_>) -> Result<Vec<Taken>, SendError>;
}

/// A part whose answer was lost.
#[derive(Debug, Clone, Copy)]
pub struct Lost<'p> {
    /// Whom it was for.
    pub to: &'p Identity,
    /// What it said.
    pub content: &'p Content,
    /// Nothing of it can have left before.
    pub since: OffsetDateTime,
}

/// A message that the platform took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The platform's id.
    pub provider_id: String,
    /// When, by the platform's clock.
    pub at: OffsetDateTime,
    /// Whether it says the same as the lost one.
    pub is_same: bool,
}

/// Where what somebody does not come to read goes instead: into a letter over another account.
#[async_trait]
pub trait Fallback: Send + Sync {
    /// The account that writes the letter; its [`Capabilities`] have threads.
    fn account(&self) -> ChannelAccountId;

    /// For how long a message waits to be read, and its reader has to be away.
    fn after(&self) -> Duration;

    /// The subject of the first letter of a conversation.
    fn subject(&self) -> &str;

    /// When the person was last here; `None` where that is not known.
    ///
    /// # Errors
    /// When it can't be read now.
    async fn last_here(&self, identity: &Identity) -> Result<Option<OffsetDateTime>, MailboxError>;
}

/// How the customer sees that somebody of the business types. A hint: it may be lost, and is never tried again.
#[async_trait]
pub trait ShowsTyping: Send + Sync {
    /// Shows it, or that it is over. What a platform takes back by itself has no end to show.
    ///
    /// # Errors
    /// Classified as for a send.
    async fn show(&self, to: &Identity, typist: &Typist<'_>) -> Result<(), SendError>;
}

/// Somebody of the business who types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typist<'t> {
    /// Under which name messages of theirs go out; `None` where the account's own shows.
    pub name: Option<&'t str>,
    /// Whether it is a person, not a program.
    pub is_person: bool,
    /// Whether they do, or did until now.
    pub on: bool,
}

/// What a platform says about an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountInfo {
    /// Its name, for people.
    pub name: Option<String>,
    /// How the platform names it in webhooks, where that can be asked.
    pub external_key: Option<String>,
    /// Limits that the platform states: quota of the policy to limit, `None` for unlimited.
    pub limits: Vec<(String, Option<u32>)>,
    /// When this was asked.
    pub at: Option<OffsetDateTime>,
}
