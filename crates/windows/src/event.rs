//! What happens to a person's facts.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::snapshot::Account;
use crate::vocabulary::{Blocker, Category, Country, OptOutScope};

/// Something that happened, at the platform's own time.
///
/// Events may come in any order and more than once: [`Facts::apply`](crate::Facts::apply) ends at the same facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened, by the platform's clock; never when it was stored.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

impl Event {
    /// Something that happened at an instant.
    pub const fn new(at: OffsetDateTime, what: What) -> Self {
        Self { at, what }
    }

    /// An event of the customer, of a kind that the policy knows.
    pub fn opening(at: OffsetDateTime, kind: &str) -> Self {
        Self::new(at, What::Opening { kind: kind.to_owned(), reference: None })
    }

    /// An event of the customer that is a right of its own: a comment, a reply token.
    pub fn opening_of(at: OffsetDateTime, kind: &str, reference: &str) -> Self {
        Self::new(at, What::Opening { kind: kind.to_owned(), reference: Some(reference.to_owned()) })
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The customer did something of a kind that the policy names, whether it opens anything or not.
    Opening {
        /// The kind of event.
        kind: String,
        /// The comment, token or request, where each event is a right of its own.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// The platform accepted a message of ours.
    Sent {
        /// What tells this message from any other, such as the bits of its part's UUID: a repeat counts once.
        id: u128,
        /// The grant of the permit it left with.
        grant: String,
        /// The reference of the permit, where it had one.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// What it cost.
        cost: u32,
    },
    /// The platform refused a message because of its own count of time or messages: evidence.
    Refused {
        /// The grant of the permit it left with.
        grant: String,
        /// The reference of the permit, where it had one: then only that right is over.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// When the refused request was sent.
        #[serde(with = "time::serde::rfc3339")]
        sent_at: OffsetDateTime,
        /// What the platform said.
        cause: PlatformRefusal,
    },
    /// The customer asked for fewer messages.
    OptOut {
        /// How much it covers.
        scope: OptOutScope,
    },
    /// The customer asked for messages again. `all` lifts every opt-out.
    OptIn {
        /// How much it restores.
        scope: OptOutScope,
    },
    /// One side blocked the other.
    Blocked {
        /// Who did.
        by: Blocker,
    },
    /// A block was lifted.
    Unblocked {
        /// By whom.
        by: Blocker,
    },
    /// The person subscribed, follows or became a friend. No opening.
    Subscribed,
    /// The person unsubscribed or stopped following.
    Unsubscribed,
    /// The platform says that this person cannot be reached: no such user, a bounce, a landline.
    Unreachable {
        /// Why, in a word for people.
        reason: String,
    },
    /// A person says that they can be reached after all.
    Reachable,
    /// Consent to messages that the business starts was recorded, or withdrawn.
    Consent {
        /// Whether it was given.
        given: bool,
    },
    /// The platform takes no more messages of a category to this person for some time.
    Cooling {
        /// The category.
        category: Category,
        /// Until when.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
    },
    /// The person's country became known, or unknown.
    Country {
        /// The country.
        country: Option<Country>,
    },
    /// It is known that the person wrote at some time, for example from an import.
    WroteBefore,
    /// The account's settings and the usage of its quotas, as of this instant: the newest replaces.
    Account {
        /// All of it.
        account: Box<Account>,
    },
}

/// What a platform said when it refused a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlatformRefusal {
    /// The window is over: whatever had been opened before the refused message was sent.
    WindowClosed,
    /// A quota is used up: that of the present opening or period.
    QuotaReached {
        /// The quota.
        quota: String,
    },
}

/// A name that the policy does not declare.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy `{policy}` has no {what} `{name}`")]
pub struct UnknownName {
    /// The policy.
    pub policy: String,
    /// What kind of thing was looked for.
    pub what: &'static str,
    /// The name.
    pub name: String,
}
