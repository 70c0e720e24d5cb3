//! What may be sent: in a conversation now and from now on, and to a contact on each channel.

use poem_openapi::Object;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::api::contract::{As, DecisionBody, IntervalBody, WayBody};
use crate::http::problem::HouseBody;

/// What may be sent in a conversation, for people and for automation.
#[derive(Debug, Object)]
#[oai(rename = "WindowView")]
pub(crate) struct WindowViewBody {
    /// The instant it holds for.
    now: OffsetDateTime,
    /// For a person.
    human: SenderViewBody,
    /// For automation.
    automation: SenderViewBody,
    /// What the channel can carry.
    capabilities: serde_json::Value,
}

/// What one kind of sender may do.
#[derive(Debug, Object)]
#[oai(rename = "SenderView")]
struct SenderViewBody {
    /// Grant by grant.
    #[oai(flatten)]
    decision: DecisionBody,
    /// What may still be sent once the window has run out, if the customer stays silent: when it closes, or now where it is closed or
    /// never was open; left out where no time ends it.
    afterwards: Option<Vec<WayBody>>,
    /// What the workspace's own rules say against it.
    house: Vec<HouseBody>,
}

/// What may be sent from now on, if the customer stays silent.
#[derive(Debug, Object)]
#[oai(rename = "Timeline")]
pub(crate) struct TimelineView {
    /// Interval by interval.
    pub(crate) intervals: Vec<As<IntervalBody>>,
}

/// One channel on which a contact might be reached.
#[derive(Debug, Object)]
#[oai(rename = "Reach")]
pub(crate) struct ReachBody {
    /// The channel.
    account: Uuid,
    /// Its platform.
    platform: String,
    /// Its name.
    account_name: String,
    /// Who the contact is there; absent until they are written to.
    identity: Option<Uuid>,
    /// What may be sent now; absent where nobody can begin with them.
    decision: Option<DecisionBody>,
    /// What may still be sent once the window has run out, if the customer stays silent: when it closes, or now where it is closed or
    /// never was open; left out where no time ends it.
    afterwards: Option<Vec<WayBody>>,
    /// What the workspace's own rules say against it.
    house: Vec<HouseBody>,
    /// Why a first message can't begin here at all.
    obstacle: Option<ObstacleBody>,
}

/// What keeps a first message from the contact on a channel, whatever it says.
#[derive(Debug, Object)]
#[oai(rename = "Obstacle")]
struct ObstacleBody {
    /// Stable: `cannot_start`, `no_address`, `no_email_address`, or why the channel itself does not work.
    code: String,
    /// What is missing and what to do.
    detail: String,
}

/// On which channels a contact can be reached now, those with the most freedom first.
#[derive(Debug, Object)]
#[oai(rename = "Reachability")]
pub(crate) struct ReachabilityView {
    /// The channels.
    pub(crate) channels: Vec<As<ReachBody>>,
}
