//! What happened on a platform, in our words.

use bytes::Bytes;
use time::OffsetDateTime;
use transom_domain::{Address, Content, DeliveryState, Profile, TemplateStatus};

use transom_windows::OptOutScope;

use crate::{MediaBytes, SendError};

/// One received call or fetched document, as it was journalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawInbound {
    /// The headers that were kept, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The query string, without the question mark.
    pub query: Option<String>,
    /// The bytes.
    pub body: Bytes,
    /// When it reached us.
    pub received_at: OffsetDateTime,
}

impl RawInbound {
    /// A body alone, as tests and replays have it.
    pub fn new(body: impl Into<Bytes>, received_at: OffsetDateTime) -> Self {
        Self { headers: Vec::new(), query: None, body: body.into(), received_at }
    }

    /// The first header of that name; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbound {
    /// How the platform names the account it happened on; for a notice also its [group](crate::Channel::group_key).
    pub account: String,
    /// Unique on the account: two deliveries with the same key are the same thing (P7).
    pub event_key: String,
    /// When it happened, by the platform's clock; the time of receipt where the platform states none.
    pub at: OffsetDateTime,
    /// Whom it is about: the customer, also for receipts and echoes; `None` where the account itself is meant. A receipt about
    /// somebody in copy of a letter names that reader: it says nothing about the customer's own.
    pub person: Option<Person>,
    /// Rights that it gives us, by the kinds that policies know.
    pub openings: Vec<Opening>,
    /// What it is.
    pub item: Item,
}

/// A customer as an event names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Every name the event gives, best first: all belong to one identity.
    pub addresses: Vec<Address>,
    /// What else it tells.
    pub profile: Profile,
}

/// A customer's act that opens a window or gives a right to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The kind, as policies know it: `message`, `postback`, `follow`, ...
    pub kind: String,
    /// What the answer must refer to, where each act is a right of its own.
    pub reference: Option<String>,
}

impl Opening {
    /// An opening of a kind that needs no reference.
    pub fn of(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), reference: None }
    }
}

/// What an event is.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The customer wrote, tapped or sent something that belongs into the conversation.
    Message(InboundMessage),
    /// The customer changed an earlier message.
    Edit {
        /// The platform's id of that message.
        of: String,
        /// What it says now.
        content: Content,
    },
    /// The customer took a message back.
    Unsend {
        /// The platform's id of that message.
        of: String,
    },
    /// The customer put an emoji to a message, or took it back.
    Reaction {
        /// The platform's id of that message.
        to: String,
        /// The emoji; `None` takes it back.
        emoji: Option<String>,
    },
    /// The customer did something that gives rights and has no content: followed, scanned, called.
    Opening {
        /// In the platform's word, for the activity line.
        what: String,
    },
    /// How a message of ours fares.
    Receipt {
        /// Which one, or all up to an instant.
        of: ReceiptFor,
        /// How.
        state: ReceiptState,
    },
    /// A message of the business that Transom did not send, or its own coming back: opens no window.
    Echo {
        /// The message.
        message: InboundMessage,
        /// Our own reference, if it came back with it: then the message is ours.
        correlation: Option<String>,
    },
    /// The customer's attitude to us changed.
    Standing(Standing),
    /// The customer ended the conversation, until one of both writes again.
    Ended,
    /// The customer has new addresses: all of them are one person.
    IdentityChange {
        /// How the platform names them from now on.
        new: Vec<Address>,
    },
    /// Something about the account itself.
    AccountNotice(AccountNotice),
    /// Something about a template.
    TemplateNotice(TemplateNotice),
    /// Something we don't know. It is kept, and never makes the platform retry.
    Unsupported {
        /// What it was, in the platform's word.
        what: String,
        /// Whether it stands for something the customer sent, so that agents should see that there was something.
        from_customer: bool,
    },
}

/// A message as the platform reports it.
#[derive(Debug, Clone, PartialEq)]
pub struct InboundMessage {
    /// The platform's id.
    pub provider_id: String,
    /// The platform's thread; empty unless the channel has threads.
    pub thread: String,
    /// What it says; [`Content::reply_to`] is the platform's id of the quoted message.
    pub content: Content,
    /// What a tapped button carries.
    pub payload: Option<String>,
    /// What groups several messages that were sent as one, such as an album.
    pub group: Option<String>,
    /// Earlier messages that it may answer, the surest first: the first one that we know says in which conversation it belongs,
    /// and `thread` only where we know none.
    pub answers: Vec<Answered>,
    /// A machine wrote it: it wakes and reopens nothing, and is nobody's answer (RFC 3834).
    pub automatic: bool,
    /// Files that the call itself brought: [`MediaSource::Enclosed`](transom_domain::MediaSource::Enclosed) counts them from 0.
    pub enclosed: Vec<MediaBytes>,
}

impl InboundMessage {
    /// A message that is only what it says.
    pub fn new(provider_id: impl Into<String>, content: Content) -> Self {
        Self {
            provider_id: provider_id.into(),
            thread: String::new(),
            content,
            payload: None,
            group: None,
            answers: Vec::new(),
            automatic: false,
            enclosed: Vec::new(),
        }
    }
}

/// An earlier message, as an answer to it names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// By the [correlation](crate::OutboundPart::correlation) of one of its parts, or its own id, which came back with a proof.
    Part(String),
    /// By the platform's id.
    Message(String),
}

/// Which of our messages a receipt is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptFor {
    /// One, by the platform's id and, where the platform gives it back, by our own reference.
    Message {
        /// The platform's id.
        provider_id: String,
        /// Our own reference.
        correlation: Option<String>,
    },
    /// One, and all to this person that were sent before it.
    Through {
        /// The platform's id of that one.
        provider_id: String,
    },
    /// All to this person that were sent up to an instant.
    UpTo(OffsetDateTime),
}

/// How a message fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptState {
    /// Accepted.
    Sent,
    /// On the device.
    Delivered,
    /// Seen.
    Read,
    /// Refused after all.
    Failed(SendError),
}

impl ReceiptState {
    /// The delivery state that it stands for.
    pub fn delivery_state(&self) -> DeliveryState {
        match self {
            ReceiptState::Sent => DeliveryState::Sent,
            ReceiptState::Delivered => DeliveryState::Delivered,
            ReceiptState::Read => DeliveryState::Read,
            ReceiptState::Failed(_) => DeliveryState::Failed,
        }
    }
}

/// A customer's attitude to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// They blocked us.
    Blocked,
    /// They no longer block us.
    Unblocked,
    /// They follow or subscribed.
    Subscribed,
    /// They no longer do.
    Unsubscribed,
    /// They want no more of this.
    OptedOut(OptOutScope),
    /// They want it again.
    OptedIn(OptOutScope),
    /// They can't be reached at all.
    Unreachable {
        /// Why, in the platform's word.
        reason: String,
    },
}

/// Something about the account itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountNotice {
    /// In the platform's word.
    pub what: String,
    /// For people.
    pub text: String,
    /// What it changes; `None` where people only need to know.
    pub effect: Option<AccountEffect>,
}

/// What a notice changes about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountEffect {
    /// Nothing can be sent.
    Suspended,
    /// Things can be sent again.
    Restored,
    /// A quota has another limit; `None`: none at all.
    Limit {
        /// The quota's name in the policy.
        quota: String,
        /// The new limit.
        limit: Option<u32>,
    },
    /// By the platform's own count so much of a quota is used, by whomever. Of a quota that is counted by the calendar, in the month or
    /// on the day of the notice; what we counted ourselves is never made less by it.
    Used {
        /// The quota's name in the policy.
        quota: String,
        /// How much is used.
        used: u32,
    },
    /// A permission that the platform's user gave or took: names one of the policy's features.
    Feature {
        /// The feature.
        name: String,
        /// Whether the account has it now.
        granted: bool,
    },
}

/// Something about a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateNotice {
    /// The platform's id, where it gives one.
    pub provider_id: Option<String>,
    /// The template's name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Its new status, if that changed.
    pub status: Option<TemplateStatus>,
    /// The platform's own word.
    pub provider_status: String,
    /// Its new category, if that changed.
    pub category: Option<String>,
    /// Why, in the platform's word.
    pub reason: Option<String>,
}
