//! The nouns of support messaging and their laws: who writes to whom, where a conversation stands, how a message fares.
//!
//! No I/O and no async: this crate can be used from anywhere. Time and ids come in through [`Clock`] and [`Ids`].
//!
//! What may not happen does not compile, or returns a typed error:
//!
//! ```
//! use transom_domain::{Cause, DeliveryState};
//!
//! // A receipt that arrives late never moves a message backwards.
//! assert_eq!(DeliveryState::Read.after_receipt(DeliveryState::Delivered), DeliveryState::Read);
//! // What a platform may have accepted is never queued again by itself.
//! assert!(DeliveryState::Unknown.step(DeliveryState::Queued, Cause::Dispatch).is_err());
//! ```

mod account;
mod actor;
mod bot;
mod clock;
mod contact;
mod content;
mod conversation;
mod custom_field;
mod delivery;
mod ids;
mod mail;
mod message;
pub mod placeholder;
mod routing;
pub mod saved_reply;
mod settings;
pub mod template;

pub use account::{ChannelAccount, Connection};
pub use actor::{Actor, Agent, Role, Team};
pub use bot::{BotBinding, BotCondition, HourSpan, Hours};
pub use clock::{Clock, SettableClock, SystemClock, truncate_to_millis};
pub use contact::{Address, Contact, Identity, Profile};
pub use content::{
    Attachment, Body, Choice, ChoiceList, ChoiceSection, Choices, ContactCard, Content, Location, MediaKind,
    MediaSource, Reaction,
};
pub use conversation::{Assignment, Conversation, OnClose, Status, StatusError, Tab, Transition};
pub use custom_field::{CustomField, FieldError, FieldKind, FieldValue, field_key};
pub use delivery::{Cause, DeliveryState, IllegalStep};
pub use ids::*;
pub use mail::{Mail, SenderAddress};
pub use message::{Author, Direction, Message, MessageKind, Part};
pub use routing::{Acquaintance, AssignmentRule, Pick, Routed, RuleCondition, RuleTarget};
pub use saved_reply::{MissingFields, SavedReply, SavedReplyVariant};
pub use settings::{InboundOnClosed, NewConversationStatus, QuietHours, SenderName, Settings, Workspace};
pub use template::{Template, TemplateDefinition, TemplateError, TemplateMessage, TemplateParameters, TemplateStatus};
