//! Automatic assignment: the first rule that matches and finds somebody decides.

mod duty;
mod rules;

pub(crate) use duty::person;
pub use duty::{away, dedicate, dedicated_agent, set_away};
pub(crate) use rules::TURN as RULES_TURN;
pub use rules::{NewRule, RuleChange, add_rule, change_rule, delete_rule, known, order_rules, rules};
use transom_domain::{
    Actor, AgentId, Assignment, AssignmentRule, Conversation, ConversationId, Routed, RuleTarget, Status,
};
use transom_storage::{StoredConversation, Tx};

use crate::changes::{self, Change};
use crate::{Desk, DeskError};

/// A conversation opened, with this assignment: rules give it to somebody, unless somebody has it who works here. What was
/// given to others since then stays theirs.
///
/// # Errors
/// When the database fails.
pub(crate) async fn opened(
    desk: &Desk,
    tx: &Tx,
    conversation: ConversationId,
    as_given: Assignment,
) -> Result<(), DeskError> {
    let Some(stored) = tx.lock_conversation(conversation).await? else { return Ok(()) };
    let Conversation { status, assignment, .. } = stored.conversation;
    if status != Status::Open || assignment != as_given {
        return Ok(());
    }
    match assignment.agent {
        Some(agent) if works(tx, agent).await? => Ok(()),
        left => relieve(desk, tx, &stored, left).await,
    }
}

/// The customer wrote. Where the setting wants it, a conversation whose agent is away goes to whom the rules say, or back to
/// its team, or to nobody: it must not wait unseen.
///
/// # Errors
/// When the database fails.
pub(crate) async fn received(desk: &Desk, tx: &Tx, conversation: ConversationId) -> Result<(), DeskError> {
    if !tx.settings().await?.0.reassign_when_away {
        return Ok(());
    }
    let Some(stored) = tx.lock_conversation(conversation).await? else { return Ok(()) };
    let Some(agent) = stored.conversation.assignment.agent else { return Ok(()) };
    if stored.conversation.status != Status::Open || present(tx, Some(agent)).await?.is_some() {
        return Ok(());
    }
    relieve(desk, tx, &stored, Some(agent)).await
}

/// Gives to whom the rules say; where they find nobody, an agent who is gone lets go of it.
async fn relieve(desk: &Desk, tx: &Tx, stored: &StoredConversation, gone: Option<AgentId>) -> Result<(), DeskError> {
    let team = stored.conversation.assignment.team;
    match (by_rule(tx, stored).await?, gone) {
        (Some((rule, assignment)), _) => give(desk, tx, stored, assignment, rule.name).await,
        (None, Some(_)) => give(desk, tx, stored, Assignment { agent: None, team }, "away".to_owned()).await,
        (None, None) => Ok(()),
    }
}

/// The first rule that matches and finds somebody. A team that was kept stays: rules for other teams are not for it.
async fn by_rule(tx: &Tx, stored: &StoredConversation) -> Result<Option<(AssignmentRule, Assignment)>, DeskError> {
    let rules = tx.assignment_rules().await?;
    if rules.iter().all(|rule| !rule.enabled) {
        return Ok(None);
    }
    let (Some(contact), Some(account)) = (tx.contact(stored.contact).await?, tx.account(stored.account).await?) else {
        return Ok(None);
    };
    let of = Routed {
        channel: account.id,
        platform: &account.platform,
        labels: &contact.labels,
        returning: tx.has_earlier_episode(stored.contact, stored.conversation.id).await?,
    };
    tx.take_turn("assignment").await?;
    for rule in rules {
        if rule.enabled
            && rule.condition.holds(&of)
            && let Some(assignment) = found(tx, stored, rule.target).await?
        {
            return Ok(Some((rule, assignment)));
        }
    }
    Ok(None)
}

async fn found(tx: &Tx, stored: &StoredConversation, target: RuleTarget) -> Result<Option<Assignment>, DeskError> {
    let kept = stored.conversation.assignment.team;
    let with_kept = |agent: Option<AgentId>| agent.map(|agent| Assignment { agent: Some(agent), team: kept });
    Ok(match target {
        RuleTarget::Team { team, .. } if kept.is_some_and(|kept| kept != team) => None,
        RuleTarget::Team { team, pick } => {
            Some(Assignment { agent: tx.next_of_team(team, pick).await?, team: Some(team) })
        }
        RuleTarget::Agent { agent } => with_kept(present(tx, Some(agent)).await?),
        RuleTarget::Dedicated => with_kept(present(tx, tx.dedicated_agent(stored.contact).await?).await?),
    })
}

/// The agent, if work can be given to them now.
async fn present(tx: &Tx, agent: Option<AgentId>) -> Result<Option<AgentId>, DeskError> {
    let Some(agent) = agent else { return Ok(None) };
    Ok((works(tx, agent).await? && !tx.is_away(agent).await?).then_some(agent))
}

/// Whether it is a person who has not left.
async fn works(tx: &Tx, agent: AgentId) -> Result<bool, DeskError> {
    Ok(tx.agent(agent).await?.is_some_and(|stored| stored.active && stored.agent.role.is_person()))
}

async fn give(
    desk: &Desk,
    tx: &Tx,
    stored: &StoredConversation,
    assignment: Assignment,
    rule: String,
) -> Result<(), DeskError> {
    let (now, mut after) = (desk.now(), stored.conversation.clone());
    let Some(transition) = after.assign(assignment, now) else { return Ok(()) };
    if let Some(agent) = assignment.agent {
        tx.note_given(agent).await?;
    }
    let by = Actor::Automation { name: rule };
    changes::record(tx, desk.ids(), stored, &after, &transition, &Change::new(&by, "rule", now)).await
}
