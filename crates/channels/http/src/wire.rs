//! The protocol's JSON (docs/channels/http.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use transom_domain::template::TextParameters;
use transom_domain::{Choices, ContactCard, Location, MediaKind, Reaction, TemplateDefinition};

/// A request of ours.
#[derive(Debug, Serialize)]
#[serde(tag = "type")]
pub(crate) enum Request<'r> {
    /// Send a message.
    #[serde(rename = "message.send")]
    Send(Box<Send<'r>>),
    /// Say which templates there are.
    #[serde(rename = "templates.list")]
    Templates { account: &'r str },
    /// Say what the account is.
    #[serde(rename = "account.check")]
    Check { account: &'r str },
}

/// One message. Without attempt and time: sent again, it is the same.
#[derive(Debug, Serialize)]
pub(crate) struct Send<'r> {
    pub(crate) account: &'r str,
    /// Known from receipts as `correlation`.
    pub(crate) id: String,
    /// Every address known, by its kind.
    pub(crate) to: BTreeMap<&'r str, &'r str>,
    pub(crate) permit: Permit<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sender_name: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<&'r str>,
    pub(crate) content: Content,
}

/// By what right it leaves, in the words of the account's policy.
#[derive(Debug, Serialize)]
pub(crate) struct Permit<'r> {
    pub(crate) grant: String,
    pub(crate) basis: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<&'r str>,
}

/// What a message says, in both directions; templates only go out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Content {
    Text { text: String },
    Media(Media),
    Template(Box<Template>),
    Choices(Choices),
    Location(Location),
    Contacts { contacts: Vec<ContactCard> },
    Reaction(Reaction),
}

/// A file by its address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Media {
    pub(crate) kind: MediaKind,
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mime: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) caption: Option<String>,
}

/// A template with its values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Template {
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) category: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<Header>,
    #[serde(default, skip_serializing_if = "TextParameters::is_empty")]
    pub(crate) body: TextParameters,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) buttons: BTreeMap<u32, String>,
    /// The whole text as the customer reads it: header, body, footer, line by line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rendered: Option<String>,
}

/// The value for a template's header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Header {
    Text(TextParameters),
    Media(Media),
    Location(Location),
}

/// What a request is answered with: an id, or why not.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    #[serde(default)]
    pub(crate) id: Option<String>,
    /// The other side's word on how it counted the message.
    #[serde(default)]
    pub(crate) billing: Option<String>,
    /// Kept back for now, and perhaps refused later.
    #[serde(default)]
    pub(crate) held: bool,
    #[serde(default)]
    pub(crate) error: Option<Error>,
}

/// Why not.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Error {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) message: String,
    /// Seconds.
    #[serde(default)]
    pub(crate) retry_after: Option<u64>,
    /// The policy's quota that is used up.
    #[serde(default)]
    pub(crate) quota: Option<String>,
    /// The template category that has to pause.
    #[serde(default)]
    pub(crate) category: Option<String>,
    /// `all` or `marketing`.
    #[serde(default)]
    pub(crate) scope: Option<String>,
    /// The template's true status.
    #[serde(default)]
    pub(crate) template_status: Option<String>,
}

/// `templates.list`.
#[derive(Debug, Deserialize)]
pub(crate) struct Templates {
    pub(crate) templates: Vec<TemplateDefinition>,
}

/// `account.check`.
#[derive(Debug, Deserialize)]
pub(crate) struct Account {
    pub(crate) account: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Quota to limit; null: none.
    #[serde(default)]
    pub(crate) limits: BTreeMap<String, Option<u32>>,
}

/// What every call to us has.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) account: Option<String>,
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub(crate) timestamp: Option<OffsetDateTime>,
    #[serde(default)]
    pub(crate) person: Option<Value>,
    #[serde(default)]
    pub(crate) opening: Option<OpeningOf>,
}

/// A person, by every address that is known, and what else is.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Person {
    #[serde(default)]
    pub(crate) user_id: Option<String>,
    #[serde(default)]
    pub(crate) phone: Option<String>,
    #[serde(default)]
    pub(crate) email: Option<String>,
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) language: Option<String>,
}

/// The right that an event gives, where it is not the usual one.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OpeningOf {
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) reference: Option<String>,
}

/// `message.received`, `message.echoed`, `message.edited`.
#[derive(Debug, Deserialize)]
pub(crate) struct MessageEvent {
    pub(crate) message: Message,
}

/// A message of a call.
#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) content: Content,
    #[serde(default)]
    pub(crate) reply_to: Option<String>,
    /// What a tapped button carries.
    #[serde(default)]
    pub(crate) payload: Option<String>,
    #[serde(default)]
    pub(crate) correlation: Option<String>,
}

/// `message.deleted`.
#[derive(Debug, Deserialize)]
pub(crate) struct MessageId {
    pub(crate) message: Id,
}

/// Which message.
#[derive(Debug, Deserialize)]
pub(crate) struct Id {
    pub(crate) id: String,
}

/// `message.status`.
#[derive(Debug, Deserialize)]
pub(crate) struct StatusEvent {
    pub(crate) message: Sent,
    pub(crate) status: Status,
    #[serde(default)]
    pub(crate) error: Option<Error>,
}

/// One of ours, by their id, ours, or both.
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    #[serde(default)]
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) correlation: Option<String>,
}

/// How a message fares.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Sent,
    Delivered,
    Read,
    Failed,
}

/// `person.standing`.
#[derive(Debug, Deserialize)]
pub(crate) struct StandingEvent {
    pub(crate) standing: StandingOf,
    #[serde(default)]
    pub(crate) scope: Option<String>,
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// What changed about a person.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StandingOf {
    Blocked,
    Unblocked,
    Subscribed,
    Unsubscribed,
    OptedOut,
    OptedIn,
    Unreachable,
}

/// `account.notice`.
#[derive(Debug, Deserialize)]
pub(crate) struct NoticeEvent {
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) state: Option<AccountState>,
    #[serde(default)]
    pub(crate) quota: Option<String>,
    #[serde(default)]
    pub(crate) limit: Option<u32>,
}

/// What changed about the account.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AccountState {
    Suspended,
    Restored,
}

/// `template.updated`.
#[derive(Debug, Deserialize)]
pub(crate) struct TemplateEvent {
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) reason: Option<String>,
}
