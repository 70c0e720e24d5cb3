//! Conversations and their status machine.
//!
//! ```text
//!            close            reopen (message, person, R-111, R-117)
//!   Open ───────────► Closed ─────────► Open      a new episode begins
//!    │ ▲                 ▲
//!    │ └── wake/reopen ──┼── Snoozed ◄── snooze ── Open
//!    └──── snooze ───────┘
//! ```
//! "Assigned" is no status: it is an open conversation with an assignee ([`Tab`]).

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{AgentId, ConversationId, EpisodeId, IdentityId, TeamId};

/// The stored status of a conversation (R-301).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Status {
    /// Being worked on, by somebody or by nobody yet.
    Open,
    /// Out of sight until an instant or until the customer writes.
    Snoozed {
        /// When it wakes by itself.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
    },
    /// Done; the customer or a person's message opens it again.
    Closed,
}

impl Status {
    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Open => "open",
            Status::Snoozed { .. } => "snoozed",
            Status::Closed => "closed",
        }
    }

    /// When a snoozed conversation wakes.
    pub const fn snoozed_until(self) -> Option<OffsetDateTime> {
        match self {
            Status::Snoozed { until } => Some(until),
            Status::Open | Status::Closed => None,
        }
    }
}

/// Who a conversation is assigned to: an agent, a team, both or nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// The agent.
    pub agent: Option<AgentId>,
    /// The team.
    pub team: Option<TeamId>,
}

impl Assignment {
    /// Assigned to nobody.
    pub const NONE: Assignment = Assignment { agent: None, team: None };

    /// Whether somebody has it.
    pub const fn is_some(&self) -> bool {
        self.agent.is_some() || self.team.is_some()
    }
}

/// The four disjoint tabs of the inbox; a view of status and assignment (R-301).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tab {
    /// Open, and nobody has it.
    Open,
    /// Open, and somebody has it.
    Assigned,
    /// Snoozed.
    Snoozed,
    /// Closed.
    Closed,
}

impl Tab {
    /// Every tab, in the order in which inboxes show them.
    pub const ALL: [Tab; 4] = [Tab::Open, Tab::Assigned, Tab::Snoozed, Tab::Closed];
}

/// What closing does to the assignment: the setting `on_close` (R-113).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnClose {
    /// Takes it from the agent; the team is kept.
    #[default]
    Unassign,
    /// Leaves it as it was.
    Keep,
}

/// A thread with one identity: reopened again and again, each opening an [episode](EpisodeId).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// The person on the channel account that it answers to; never changes, not even by a merge (R-522).
    pub identity: IdentityId,
    /// The platform's thread within the identity; empty unless the channel has threads.
    pub thread: String,
    /// Where it stands.
    pub status: Status,
    /// Who has it.
    pub assignment: Assignment,
    /// The present or last episode.
    pub episode: EpisodeId,
    /// How many episodes there have been, this one included.
    pub episodes: u32,
    /// When the present status began.
    pub status_since: OffsetDateTime,
}

/// What changed, for events and activity lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The status before.
    pub from: Status,
    /// The status after.
    pub to: Status,
    /// The assignment before.
    pub assigned_from: Assignment,
    /// The assignment after.
    pub assigned_to: Assignment,
    /// Whether a new episode began.
    pub new_episode: bool,
}

/// A change of status that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// Closed conversations are reopened first.
    #[error("a closed conversation can't be snoozed: reopen it first")]
    SnoozeClosed,
    /// A snooze ends in the future.
    #[error("`until` must lie in the future: it is {until}, and now is {now}")]
    SnoozeIntoPast {
        /// The instant asked for.
        until: OffsetDateTime,
        /// The present.
        now: OffsetDateTime,
    },
    /// It already is what was asked for.
    #[error("the conversation is {0} already")]
    Unchanged(&'static str),
}

impl Conversation {
    /// The tab that shows it.
    pub fn tab(&self) -> Tab {
        match (self.status, self.assignment.is_some()) {
            (Status::Open, false) => Tab::Open,
            (Status::Open, true) => Tab::Assigned,
            (Status::Snoozed { .. }, _) => Tab::Snoozed,
            (Status::Closed, _) => Tab::Closed,
        }
    }

    /// A person's message goes out: whatever is not open opens, for its sender (R-111, R-112).
    ///
    /// An open conversation without an agent becomes the sender's as well; one that has an agent keeps it. On reopening a
    /// kept assignee is replaced. The team is kept throughout. `None` when nothing changes. `episode` is the id of the new
    /// episode, used only when a closed conversation opens.
    pub fn opened_by_sender(&mut self, agent: AgentId, episode: EpisodeId, now: OffsetDateTime) -> Option<Transition> {
        let keeps_agent = matches!(self.status, Status::Open) && self.assignment.agent.is_some();
        let agent = if keeps_agent { self.assignment.agent } else { Some(agent) };
        self.become_open(Assignment { agent, team: self.assignment.team }, episode, now)
    }

    /// Opens without a sender: the customer wrote, a snooze ended, an agent chose "open" (R-117).
    ///
    /// `None` when it is open already.
    pub fn reopen(&mut self, episode: EpisodeId, now: OffsetDateTime) -> Option<Transition> {
        self.become_open(self.assignment, episode, now)
    }

    /// Opens it for people: a bot, or a colleague, hands it over (R-303). To nobody, a closed one is whose it was, and the team
    /// keeps it in any case.
    ///
    /// `None` when nothing changes.
    pub fn hand_over(&mut self, to: Assignment, episode: EpisodeId, now: OffsetDateTime) -> Option<Transition> {
        let kept = if self.status == Status::Closed && !to.is_some() { self.assignment.agent } else { None };
        let to = Assignment { agent: to.agent.or(kept), team: to.team.or(self.assignment.team) };
        self.become_open(to, episode, now)
    }

    /// Closes it, from open or snoozed (R-113).
    ///
    /// # Errors
    /// [`StatusError::Unchanged`] when it is closed already.
    pub fn close(&mut self, on_close: OnClose, now: OffsetDateTime) -> Result<Transition, StatusError> {
        if self.status == Status::Closed {
            return Err(StatusError::Unchanged("closed"));
        }
        let assignment = match on_close {
            OnClose::Unassign => Assignment { agent: None, team: self.assignment.team },
            OnClose::Keep => self.assignment,
        };
        Ok(self.change(Status::Closed, assignment, now))
    }

    /// Puts it out of sight until `until`. A snoozed one can be given another instant.
    ///
    /// # Errors
    /// [`StatusError::SnoozeClosed`], or [`StatusError::SnoozeIntoPast`] unless `until` lies after `now`.
    pub fn snooze(&mut self, until: OffsetDateTime, now: OffsetDateTime) -> Result<Transition, StatusError> {
        match self.status {
            Status::Closed => Err(StatusError::SnoozeClosed),
            _ if until <= now => Err(StatusError::SnoozeIntoPast { until, now }),
            Status::Open | Status::Snoozed { .. } => Ok(self.change(Status::Snoozed { until }, self.assignment, now)),
        }
    }

    /// Opens a snoozed conversation whose time has come; `None` if it is not due or not snoozed.
    pub fn wake(&mut self, now: OffsetDateTime) -> Option<Transition> {
        match self.status {
            Status::Snoozed { until } if until <= now => Some(self.change(Status::Open, self.assignment, now)),
            Status::Open | Status::Snoozed { .. } | Status::Closed => None,
        }
    }

    /// Gives it to somebody, or to nobody, in whatever status it is; `None` when nothing changes (R-115).
    pub fn assign(&mut self, assignment: Assignment, now: OffsetDateTime) -> Option<Transition> {
        (assignment != self.assignment).then(|| self.change(self.status, assignment, now))
    }

    /// Puts status and assignment back to what they were: an undo. A snooze that is over by now becomes open.
    ///
    /// `None` when nothing changes. What is not closed any more begins a new episode: the old one has ended.
    pub fn restore(
        &mut self,
        status: Status,
        assignment: Assignment,
        episode: EpisodeId,
        now: OffsetDateTime,
    ) -> Option<Transition> {
        let status = match status {
            Status::Snoozed { until } if until <= now => Status::Open,
            other => other,
        };
        if self.status == status && self.assignment == assignment {
            return None;
        }
        let new_episode = self.status == Status::Closed && status != Status::Closed;
        if new_episode {
            self.episode = episode;
            self.episodes += 1;
        }
        Some(Transition { new_episode, ..self.change(status, assignment, now) })
    }

    fn become_open(&mut self, assignment: Assignment, episode: EpisodeId, now: OffsetDateTime) -> Option<Transition> {
        if self.status == Status::Open && self.assignment == assignment {
            return None;
        }
        let new_episode = self.status == Status::Closed;
        if new_episode {
            self.episode = episode;
            self.episodes += 1;
        }
        Some(Transition { new_episode, ..self.change(Status::Open, assignment, now) })
    }

    fn change(&mut self, to: Status, assignment: Assignment, now: OffsetDateTime) -> Transition {
        let change = Transition {
            from: self.status,
            to,
            assigned_from: self.assignment,
            assigned_to: assignment,
            new_episode: false,
        };
        if self.status != to {
            self.status_since = now;
        }
        self.status = to;
        self.assignment = assignment;
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CountingIds, Ids};
    use proptest::prelude::*;
    use time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-20 10:00 UTC);

    fn conversation(status: Status, assignment: Assignment) -> Conversation {
        let ids = CountingIds::new(7);
        Conversation {
            id: ConversationId::new(&ids),
            identity: IdentityId::new(&ids),
            thread: String::new(),
            status,
            assignment,
            episode: EpisodeId::new(&ids),
            episodes: 1,
            status_since: NOW,
        }
    }

    fn agent(seed: u64) -> AgentId {
        CountingIds::new(seed).next().into()
    }

    #[test]
    fn a_persons_message_reopens_and_assigns_and_keeps_the_team() {
        let team = TeamId::from(CountingIds::new(3).next());
        let mut it = conversation(Status::Closed, Assignment { agent: Some(agent(1)), team: Some(team) });
        let before = it.episode;
        let change = it.opened_by_sender(agent(2), EpisodeId::from(CountingIds::new(9).next()), NOW).unwrap();
        assert!(change.new_episode && it.episode != before && it.episodes == 2);
        assert_eq!(it.assignment, Assignment { agent: Some(agent(2)), team: Some(team) });
        assert_eq!(it.tab(), Tab::Assigned);
    }

    #[test]
    fn an_open_conversation_keeps_its_agent() {
        let mut it = conversation(Status::Open, Assignment { agent: Some(agent(1)), team: None });
        assert_eq!(it.opened_by_sender(agent(2), it.episode, NOW), None);
        assert_eq!(it.assignment.agent, Some(agent(1)));
    }

    #[test]
    fn snoozed_wakes_into_the_same_episode_and_only_when_due() {
        let until = NOW + Duration::HOUR;
        let mut it = conversation(Status::Open, Assignment::NONE);
        it.snooze(until, NOW).unwrap();
        assert_eq!(it.wake(until - Duration::NANOSECOND), None);
        let change = it.wake(until).unwrap();
        assert!(!change.new_episode && it.episodes == 1 && it.status == Status::Open);
    }

    #[test]
    fn what_was_closed_comes_back_as_it_was() {
        let mine = Assignment { agent: Some(agent(1)), team: None };
        let mut it = conversation(Status::Open, mine);
        it.close(OnClose::Unassign, NOW).unwrap();
        let change = it.restore(Status::Open, mine, EpisodeId::from(CountingIds::new(9).next()), NOW).unwrap();
        assert!(change.new_episode && it.episodes == 2);
        assert_eq!((it.status, it.assignment), (Status::Open, mine));
        let over = Status::Snoozed { until: NOW };
        assert_eq!(it.restore(over, mine, it.episode, NOW), None, "a snooze that is over is open");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        let mut closed = conversation(Status::Closed, Assignment::NONE);
        assert_eq!(closed.snooze(NOW + Duration::HOUR, NOW), Err(StatusError::SnoozeClosed));
        assert_eq!(closed.close(OnClose::Unassign, NOW), Err(StatusError::Unchanged("closed")));
        let mut open = conversation(Status::Open, Assignment::NONE);
        assert!(matches!(open.snooze(NOW, NOW), Err(StatusError::SnoozeIntoPast { .. })));
    }

    #[derive(Debug, Clone)]
    enum Act {
        Send(u64),
        Reopen,
        Close(OnClose),
        Snooze(i64),
        Wake(i64),
        Assign(Option<u64>),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        proptest::collection::vec(
            prop_oneof![
                (1..4_u64).prop_map(Act::Send),
                Just(Act::Reopen),
                prop_oneof![Just(OnClose::Unassign), Just(OnClose::Keep)].prop_map(Act::Close),
                (-5..50_i64).prop_map(Act::Snooze),
                (0..60_i64).prop_map(Act::Wake),
                proptest::option::of(1..4_u64).prop_map(Act::Assign),
            ],
            1..40,
        )
    }

    proptest! {
        /// Whatever happens: a new episode begins exactly when a closed conversation opens, a refused act changes nothing,
        /// and what a transition says is what happened.
        #[test]
        fn the_status_machine_keeps_its_laws(acts in acts()) {
            let mut it = conversation(Status::Open, Assignment::NONE);
            let ids = CountingIds::new(11);
            for act in acts {
                let before = it.clone();
                let episode = EpisodeId::new(&ids);
                let change = match act {
                    Act::Send(who) => it.opened_by_sender(agent(who), episode, NOW),
                    Act::Reopen => it.reopen(episode, NOW),
                    Act::Close(on_close) => it.close(on_close, NOW).ok(),
                    Act::Snooze(minutes) => it.snooze(NOW + Duration::minutes(minutes), NOW).ok(),
                    Act::Wake(minutes) => it.wake(NOW + Duration::minutes(minutes)),
                    Act::Assign(who) => it.assign(Assignment { agent: who.map(agent), team: None }, NOW),
                };
                match change {
                    None => prop_assert_eq!(&it, &before),
                    Some(change) => {
                        prop_assert_eq!((change.from, change.to), (before.status, it.status));
                        prop_assert_eq!((change.assigned_from, change.assigned_to), (before.assignment, it.assignment));
                        let opened = before.status == Status::Closed && it.status == Status::Open;
                        prop_assert_eq!(change.new_episode, opened);
                        prop_assert_eq!(it.episodes, before.episodes + u32::from(opened));
                        prop_assert_eq!(it.episode != before.episode, opened);
                    }
                }
            }
        }
    }
}
