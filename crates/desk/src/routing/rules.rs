//! The rules for automatic assignment, as whoever runs the desk looks after them.

use std::sync::Arc;

use serde_json::json;
use transom_domain::{AgentId, AssignmentRule, AssignmentRuleId, RuleCondition, RuleTarget, TeamId};
use transom_storage::Tx;

use super::duty::person;
use crate::authorise::{Action, Caller, authorise};
use crate::changes::Notice;
use crate::idempotency::{Once, only_once};
use crate::{Desk, DeskError};

/// More would be asked too slowly, and understood by nobody.
const MAX_RULES: usize = 100;
/// Rules change one after the other, and while no team is deleted that they could give to.
pub(crate) const TURN: &str = "assignment rules";

/// A rule to add.
#[derive(Debug, Clone)]
pub struct NewRule {
    /// A name for people.
    pub name: String,
    /// Whether it is asked.
    pub enabled: bool,
    /// For which conversations.
    pub condition: RuleCondition,
    /// To whom they go.
    pub target: RuleTarget,
}

/// What may change about a rule; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct RuleChange {
    /// A name for people.
    pub name: Option<String>,
    /// Whether it is asked.
    pub enabled: Option<bool>,
    /// For which conversations.
    pub condition: Option<RuleCondition>,
    /// To whom they go.
    pub target: Option<RuleTarget>,
}

/// The rules, in the order in which they are asked.
///
/// # Errors
/// When the database fails.
pub async fn rules(desk: &Desk, caller: &Caller) -> Result<Vec<AssignmentRule>, DeskError> {
    authorise(caller, Action::ReadRules)?;
    Ok(desk.reader(&caller.scope).assignment_rules().await?)
}

/// Whether a rule may name these.
///
/// # Errors
/// [`DeskError::NotFound`] for what is not of this workspace.
pub async fn known(
    desk: &Desk,
    caller: &Caller,
    team: Option<TeamId>,
    agent: Option<AgentId>,
) -> Result<(), DeskError> {
    authorise(caller, Action::ManageRules)?;
    let reader = desk.reader(&caller.scope);
    if let Some(team) = team {
        reader.team(team).await?.ok_or(DeskError::NotFound { what: "team" })?;
    }
    if let Some(agent) = agent {
        reader.agent(agent).await?.ok_or(DeskError::NotFound { what: "agent" })?;
    }
    Ok(())
}

/// Adds a rule, which is asked last.
///
/// # Errors
/// [`DeskError::NotFound`] for an agent, team or channel that is not of this workspace; [`DeskError::Invalid`] for a platform
/// that nobody knows, an empty name, or one rule too many.
pub async fn add_rule(
    desk: &Desk,
    caller: &Caller,
    new: NewRule,
    once: Option<Once<AssignmentRule>>,
) -> Result<AssignmentRule, DeskError> {
    authorise(caller, Action::ManageRules)?;
    let NewRule { name, enabled, condition, target } = new;
    let rule = AssignmentRule { id: AssignmentRuleId::new(desk.ids()), name, enabled, condition, target };
    let (desk_in, rule, once, now) = (desk.clone(), Arc::new(rule), once.map(Arc::new), desk.now());
    let notice = Notice::by(desk, &caller.agent);
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, rule, once, notice) = (desk_in.clone(), rule.clone(), once.clone(), notice.clone());
            Box::pin(async move {
                let added = async {
                    tx.take_turn(TURN).await?;
                    if tx.assignment_rules().await?.len() >= MAX_RULES {
                        let detail = format!("a workspace has at most {MAX_RULES} rules: delete one first");
                        return Err(DeskError::conflict("too_many_rules", detail));
                    }
                    let rule = put(&desk, tx, AssignmentRule::clone(&rule)).await?;
                    notice.tell(tx, "assignment_rule.created", json!({ "assignment_rule": rule.id })).await?;
                    Ok(rule)
                };
                only_once(once.as_deref(), tx, now, added).await
            })
        })
        .await
}

/// Changes a rule.
///
/// # Errors
/// As [`add_rule`].
pub async fn change_rule(
    desk: &Desk,
    caller: &Caller,
    id: AssignmentRuleId,
    change: RuleChange,
) -> Result<AssignmentRule, DeskError> {
    authorise(caller, Action::ManageRules)?;
    let (desk_in, change, notice) = (desk.clone(), Arc::new(change), Notice::by(desk, &caller.agent));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (desk, change, notice) = (desk_in.clone(), change.clone(), notice.clone());
            Box::pin(async move {
                tx.take_turn(TURN).await?;
                let rule = tx.assignment_rule(id).await?.ok_or(DeskError::NotFound { what: "assignment rule" })?;
                let RuleChange { name, enabled, condition, target } = RuleChange::clone(&change);
                let changed = AssignmentRule {
                    id,
                    name: name.unwrap_or(rule.name),
                    enabled: enabled.unwrap_or(rule.enabled),
                    condition: condition.unwrap_or(rule.condition),
                    target: target.unwrap_or(rule.target),
                };
                let changed = put(&desk, tx, changed).await?;
                notice.tell(tx, "assignment_rule.changed", json!({ "assignment_rule": id })).await?;
                Ok(changed)
            })
        })
        .await
}

/// Deletes a rule. What it gave stays given.
///
/// # Errors
/// [`DeskError::NotFound`].
pub async fn delete_rule(desk: &Desk, caller: &Caller, id: AssignmentRuleId) -> Result<(), DeskError> {
    authorise(caller, Action::ManageRules)?;
    let notice = Notice::by(desk, &caller.agent);
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let notice = notice.clone();
            Box::pin(async move {
                let gone = tx.delete_assignment_rule(id).await?;
                gone.then_some(()).ok_or(DeskError::NotFound { what: "assignment rule" })?;
                notice.tell(tx, "assignment_rule.deleted", json!({ "assignment_rule": id })).await
            })
        })
        .await
}

/// Puts the rules into another order: all of them, each once.
///
/// # Errors
/// [`DeskError::NotFound`] for an unknown one; [`DeskError::Invalid`] if some are missing or named twice.
pub async fn order_rules(
    desk: &Desk,
    caller: &Caller,
    ids: Vec<AssignmentRuleId>,
) -> Result<Vec<AssignmentRule>, DeskError> {
    authorise(caller, Action::ManageRules)?;
    let (ids, notice) = (Arc::new(ids), Notice::by(desk, &caller.agent));
    desk.storage()
        .transact(&caller.scope, move |tx| {
            let (ids, notice) = (ids.clone(), notice.clone());
            Box::pin(async move {
                tx.take_turn(TURN).await?;
                let mut known: Vec<_> = tx.assignment_rules().await?.into_iter().map(|rule| rule.id).collect();
                let mut given = ids.to_vec();
                if given.iter().any(|id| !known.contains(id)) {
                    return Err(DeskError::NotFound { what: "assignment rule" });
                }
                known.sort_unstable();
                given.sort_unstable();
                if known != given {
                    let detail = "name every rule of the workspace once: list them with GET /v1/assignment-rules";
                    return Err(DeskError::invalid("rules_incomplete", "rules", detail));
                }
                tx.order_assignment_rules(&ids).await?;
                notice.tell(tx, "assignment_rules.ordered", json!({ "assignment_rules": *ids })).await?;
                Ok(tx.assignment_rules().await?)
            })
        })
        .await
}

async fn put(desk: &Desk, tx: &Tx, rule: AssignmentRule) -> Result<AssignmentRule, DeskError> {
    let rule = AssignmentRule { name: rule.name.trim().to_owned(), ..rule };
    if rule.name.is_empty() {
        return Err(DeskError::invalid("name_missing", "name", "a rule needs a name: it stands in the history"));
    }
    for channel in &rule.condition.channels {
        tx.account(*channel).await?.ok_or(DeskError::NotFound { what: "channel" })?;
    }
    for platform in &rule.condition.platforms {
        desk.registry().require(platform)?;
    }
    match rule.target {
        RuleTarget::Team { team, .. } => {
            tx.team(team).await?.ok_or(DeskError::NotFound { what: "team" })?;
        }
        RuleTarget::Agent { agent } => person(tx, agent).await?,
        RuleTarget::Dedicated => {}
    }
    tx.put_assignment_rule(&rule, desk.now()).await?;
    Ok(rule)
}
