//! The contract of a messaging channel: what a platform adapter must do, and the suite that checks it.
//!
//! A platform is one crate that implements [`Platform`] and [`Channel`]. It turns [`Content`](transom_domain::Content) into
//! requests, errors into [`SendError`]s that say what to do next, and webhook calls into [`Inbound`] items. It knows nothing
//! of windows beyond the permit in its hand, nothing of storage, and nothing of other platforms.
//!
//! See `docs/adding-a-channel.md` for the path from an empty folder to a green `conformance!` suite.

mod capabilities;
mod channel;
pub mod checks;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod host;
pub mod http;
mod inbound;
pub mod json;
mod mailbox;
mod outbound;
pub mod outside;
mod platform;
mod ports;
mod public_name;
mod settings;
pub mod signature;
mod webhook;

pub use capabilities::{
    AddressRule, Capabilities, ChoiceRule, ContactField, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit,
};
pub use channel::{
    AccountInfo, Channel, Fallback, LookUp, Lost, MediaSourceOf, Patience, Profiles, Pull, ShowsTyping, Taken,
    TemplateCatalog, Typist,
};
pub use error::{Evidence, NextStep, NotPermitted, ParseError, PlatformReport, SendError, Unsendable, VerifyError};
pub use host::{Acquaintance, Exchanged, Exchanger, Host, HostError, KeptFile, NewFile, Site};
pub use inbound::{
    AccountEffect, AccountNotice, Answered, Inbound, InboundMessage, Item, Opening, Person, RawInbound, ReceiptFor,
    ReceiptState, Standing, TemplateNotice,
};
pub use mailbox::{MailboxEntry, MailboxError, MailboxEvent, MailboxKey, MailboxPage, MailboxPort, NoMailbox};
pub use outbound::{OutboundPart, PlannedPart, Receipt, subject_of};
pub use platform::Platform;
pub use ports::{
    MediaBytes, MediaError, MediaPort, NoMedia, NoTokens, Ports, Renew, StoredToken, TokenError, TokenPort,
};
pub use public_name::public_name;
pub use settings::{SettingField, SettingScope, SettingValues, SettingsError};
pub use transom_windows::OptOutScope;
pub use webhook::{Answer, Once, WebhookCall};
