//! Reports.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object};
use time::OffsetDateTime;
use transom_desk::reports::MissedGroup;
use transom_storage::{MissedOutcome, StoredMissed};
use uuid::Uuid;

use super::conversation::StatusWord;

/// What reopening a missed window took, or why it was not reopened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "MissedOutcome")]
enum OutcomeWord {
    /// Something may be sent, and nothing was yet.
    NotReopened,
    /// Nothing may be sent until the customer writes.
    NothingPossible,
    /// The customer wrote by themselves.
    CustomerWrote,
    /// A template was sent.
    TemplateSent,
    /// Something was sent by another right: under a tag, or as a message that the business begins.
    OtherSent,
}

impl From<MissedOutcome> for OutcomeWord {
    fn from(outcome: MissedOutcome) -> Self {
        match outcome {
            MissedOutcome::NotReopened => OutcomeWord::NotReopened,
            MissedOutcome::NothingPossible => OutcomeWord::NothingPossible,
            MissedOutcome::CustomerWrote => OutcomeWord::CustomerWrote,
            MissedOutcome::TemplateSent => OutcomeWord::TemplateSent,
            MissedOutcome::OtherSent => OutcomeWord::OtherSent,
        }
    }
}

/// How many missed windows have each outcome.
#[derive(Debug, Object)]
#[oai(rename = "MissedOutcomes")]
struct OutcomesView {
    not_reopened: u64,
    nothing_possible: u64,
    customer_wrote: u64,
    template_sent: u64,
    other_sent: u64,
}

impl From<&BTreeMap<MissedOutcome, u64>> for OutcomesView {
    fn from(outcomes: &BTreeMap<MissedOutcome, u64>) -> Self {
        let of = |outcome| outcomes.get(&outcome).copied().unwrap_or_default();
        Self {
            not_reopened: of(MissedOutcome::NotReopened),
            nothing_possible: of(MissedOutcome::NothingPossible),
            customer_wrote: of(MissedOutcome::CustomerWrote),
            template_sent: of(MissedOutcome::TemplateSent),
            other_sent: of(MissedOutcome::OtherSent),
        }
    }
}

/// How many windows were missed by one team over one channel, or by one of the two.
#[derive(Debug, Object)]
#[oai(rename = "MissedGroup", skip_serializing_if_is_none)]
struct GroupView {
    /// The team that had the conversations when their windows ended; left out where none had, or teams are not told apart.
    team: Option<Uuid>,
    /// Its name.
    team_name: Option<String>,
    /// The channel; left out where channels are not told apart.
    channel: Option<Uuid>,
    /// Its name.
    channel_name: Option<String>,
    /// How many.
    total: u64,
    /// How many of them with each outcome.
    outcomes: OutcomesView,
}

impl From<&MissedGroup> for GroupView {
    fn from(group: &MissedGroup) -> Self {
        Self {
            team: group.team.as_ref().map(|(id, _)| id.uuid()),
            team_name: group.team.as_ref().and_then(|(_, name)| name.clone()),
            channel: group.account.as_ref().map(|(id, _)| id.uuid()),
            channel_name: group.account.as_ref().and_then(|(_, name)| name.clone()),
            total: group.total(),
            outcomes: (&group.outcomes).into(),
        }
    }
}

/// A window that ended while the customer waited.
#[derive(Debug, Object)]
#[oai(rename = "MissedWindow", skip_serializing_if_is_none)]
struct MissedView {
    /// The conversation.
    conversation: Uuid,
    /// The customer.
    contact: Uuid,
    /// The channel.
    channel: Uuid,
    /// The team that had the conversation when the window ended.
    team: Option<Uuid>,
    /// The agent who had it.
    agent: Option<Uuid>,
    /// Its status at that moment.
    status: StatusWord,
    /// The message that was left without an answer.
    message: Uuid,
    /// When the customer wrote it.
    wrote_at: OffsetDateTime,
    /// When the window ended.
    ended_at: OffsetDateTime,
    /// What reopening it took.
    outcome: OutcomeWord,
    /// When something was first sent after that.
    acted_at: Option<OffsetDateTime>,
    /// What was sent.
    act_message: Option<Uuid>,
    /// When the customer wrote again.
    reopened_at: Option<OffsetDateTime>,
}

impl From<&StoredMissed> for MissedView {
    fn from(StoredMissed { missed, contact }: &StoredMissed) -> Self {
        Self {
            conversation: missed.conversation.uuid(),
            contact: contact.uuid(),
            channel: missed.account.uuid(),
            team: missed.team.map(Into::into),
            agent: missed.agent.map(Into::into),
            status: match missed.status.as_str() {
                "closed" => StatusWord::Closed,
                "snoozed" => StatusWord::Snoozed,
                _ => StatusWord::Open,
            },
            message: missed.message.uuid(),
            wrote_at: missed.wrote_at,
            ended_at: missed.ended_at,
            outcome: missed.outcome.into(),
            acted_at: missed.act.map(|(_, at)| at),
            act_message: missed.act.and_then(|(message, _)| message).map(Into::into),
            reopened_at: missed.reopened_at,
        }
    }
}

/// Windows that ended while the customer waited.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct MissedReport {
    /// It looks at windows that ended from then on,
    from: OffsetDateTime,
    /// and before this.
    to: OffsetDateTime,
    /// How many there are.
    total: u64,
    /// How many by whom, those with the most first.
    groups: Vec<GroupView>,
    /// A page of the cases, the newest first.
    items: Vec<MissedView>,
    /// Where the next page begins; left out on the last one.
    next_cursor: Option<String>,
}

impl MissedReport {
    pub(crate) fn new(
        (from, to): (OffsetDateTime, OffsetDateTime),
        groups: &[MissedGroup],
        cases: &[StoredMissed],
        next_cursor: Option<String>,
    ) -> Self {
        Self {
            from,
            to,
            total: groups.iter().map(MissedGroup::total).sum(),
            groups: groups.iter().map(Into::into).collect(),
            items: cases.iter().map(Into::into).collect(),
            next_cursor,
        }
    }
}
