//! In whose hand a message is written: who stands on it, how the rules ask, what it does to the conversation.

use time::Duration;
use transom_channel::Patience;
use transom_domain::{Actor, Agent, AgentId, BroadcastId};
use transom_storage::Priority;
use transom_windows::Sender;

use crate::may_send::sender_of;

/// Who is behind a message.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    /// Under whose name it is stored.
    pub(crate) actor: Actor,
    /// What the rules take the sender for: one text to many is a broadcast, whoever wrote it.
    pub(crate) sender: Sender,
    /// For whom it opens the conversation; `None` for what changes neither status nor assignee.
    pub(crate) opens_for: Option<AgentId>,
    /// What goes first.
    pub(crate) priority: Priority,
    /// Of which broadcast it is.
    pub(crate) broadcast: Option<BroadcastId>,
    /// Whether it promotes something: then only a right that allows it will do.
    pub(crate) promotional: bool,
}

impl Hand {
    /// Of somebody who writes to one customer.
    pub(crate) fn of(agent: &Agent) -> Self {
        Self {
            actor: Actor::from(agent),
            sender: sender_of(agent.role),
            opens_for: agent.role.is_person().then_some(agent.id),
            priority: Priority::Reply,
            broadcast: None,
            promotional: false,
        }
    }

    /// Of somebody who writes one text to many: it changes neither status nor assignee.
    pub(crate) fn broadcasting(agent: &Agent, broadcast: BroadcastId, promotional: bool) -> Self {
        Self {
            sender: Sender::Broadcast,
            opens_for: None,
            priority: Priority::Broadcast,
            broadcast: Some(broadcast),
            promotional,
            ..Self::of(agent)
        }
    }

    /// Whether a person wrote it to this one customer.
    pub(super) fn is_a_persons_answer(&self) -> bool {
        self.sender == Sender::Human
    }

    /// After this long it is no longer worth sending (reliability.md 7).
    pub(super) fn worth_sending_for(&self, patience: Patience) -> Duration {
        match self.priority {
            Priority::Reply => worth_sending_for(patience),
            Priority::Automation | Priority::Broadcast => Duration::hours(24).max(worth_sending_for(patience)),
        }
    }
}

/// After this long a person's reply is no longer worth sending (reliability.md 7).
pub(crate) const fn worth_sending_for(patience: Patience) -> Duration {
    match patience {
        Patience::Prompt => Duration::hours(4),
        Patience::Postal => Duration::hours(72),
    }
}
