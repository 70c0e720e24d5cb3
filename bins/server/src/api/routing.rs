//! Automatic assignment: rules, who is away, whose contacts, and who is in a team.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use transom_desk::administration::{self, TeamChange};
use transom_desk::routing::{self, NewRule, RuleChange};
use transom_desk::{Action, authorise};
use transom_domain::{Acquaintance, AssignmentRule, Pick, RuleCondition, RuleTarget};
use uuid::Uuid;

use super::Tag;
use super::auth::Signed;
use super::body::Body;
use super::idempotency::{Idempotent, answered};
use super::version::{Gone, Made};
use super::views::people::TeamView;
use crate::http::problem::{Listing, Making, Problem, Reading, Refused};
use crate::state::State;

pub(crate) struct RoutingApi(pub(super) Arc<State>);

/// Whether somebody was here before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Acquaintance")]
enum AcquaintanceWord {
    /// Either.
    #[default]
    Any,
    /// This is their first episode, over all channels.
    New,
    /// There was one before.
    Returning,
}

/// Which member of a team.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "Pick")]
enum PickWord {
    /// Who was given something the longest time ago.
    #[default]
    RoundRobin,
    /// Who has the fewest open conversations.
    FewestOpen,
    /// Nobody: its members take what they like.
    Nobody,
}

words!(AcquaintanceWord = Acquaintance: Any New Returning);
words!(PickWord = Pick: RoundRobin FewestOpen Nobody);

/// For which conversations a rule is: all fields must hold, an empty one says nothing, of several values any will do.
#[derive(Debug, Default, Object)]
#[oai(rename = "RuleCondition", deny_unknown_fields)]
struct ConditionBody {
    /// Over these channels.
    #[oai(default, validator(max_items = 100))]
    channels: Vec<Uuid>,
    /// On these platforms.
    #[oai(default, validator(max_items = 20))]
    platforms: Vec<String>,
    /// With a contact who has one of these labels.
    #[oai(default, validator(max_items = 100))]
    labels: Vec<String>,
    /// With a contact who is new, or comes back.
    #[oai(default)]
    contact: AcquaintanceWord,
}

/// To whom a rule may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "RuleTargetKind")]
enum TargetWord {
    /// To a team, and to one of its members that is not away. Where all are away it is the team's alone.
    Team,
    /// To an agent, unless away: then the next rule is asked.
    Agent,
    /// To the agent that the contact belongs to, unless away: then the next rule is asked.
    Dedicated,
}

/// To whom a rule gives.
#[derive(Debug, Object)]
#[oai(rename = "RuleTarget", deny_unknown_fields, skip_serializing_if_is_none)]
struct TargetBody {
    /// To whom.
    to: TargetWord,
    /// The team, with `team` only.
    team: Option<Uuid>,
    /// Which member of the team; in turn unless said.
    pick: Option<PickWord>,
    /// The agent, with `agent` only.
    agent: Option<Uuid>,
}

/// A rule for automatic assignment.
#[derive(Debug, Object)]
#[oai(rename = "AssignmentRule")]
struct RuleView {
    /// Its id.
    id: Uuid,
    /// A name for people: it stands in the conversation's history.
    name: String,
    /// Whether it is asked.
    enabled: bool,
    /// For which conversations.
    condition: ConditionBody,
    /// To whom they go.
    target: TargetBody,
}

/// A rule to add.
#[derive(Debug, Object)]
#[oai(rename = "NewAssignmentRule", deny_unknown_fields)]
struct NewRuleBody {
    /// A name for people: it stands in the conversation's history.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
    /// Whether it is asked.
    #[oai(default = "yes")]
    enabled: bool,
    /// For which conversations; for all unless said.
    #[oai(default)]
    condition: ConditionBody,
    /// To whom they go.
    target: TargetBody,
}

/// What may change about a rule; what is left out stays.
#[derive(Debug, Object)]
#[oai(rename = "AssignmentRulePatch", deny_unknown_fields)]
struct RulePatch {
    /// A name for people.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: Option<String>,
    /// Whether it is asked.
    enabled: Option<bool>,
    /// For which conversations.
    condition: Option<ConditionBody>,
    /// To whom they go.
    target: Option<TargetBody>,
}

/// The rules, in the order in which they are asked.
#[derive(Debug, Object)]
struct AssignmentRuleList {
    /// The rules.
    items: Vec<RuleView>,
}

/// Every rule once, in the order in which they shall be asked.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct AssignmentRuleOrder {
    /// The rules' ids.
    #[oai(validator(max_items = 100))]
    rules: Vec<Uuid>,
}

/// Whether an agent is away.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct Presence {
    /// Whether they are: rules give nothing to whoever is away.
    away: bool,
}

/// Who is away.
#[derive(Debug, Object)]
struct AwayList {
    /// The agents.
    agents: Vec<Uuid>,
}

/// The agent that a contact belongs to.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct DedicatedAgent {
    /// The agent; none if left out.
    agent: Option<Uuid>,
}

/// What may change about a team; what is left out stays.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct TeamPatch {
    /// Its name.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: Option<String>,
    /// Everybody who shall be in it.
    #[oai(validator(max_items = 1_000))]
    members: Option<Vec<Uuid>>,
}

#[OpenApi(tag = "Tag::Workspace")]
impl RoutingApi {
    /// List the assignment rules
    #[oai(path = "/assignment-rules", method = "get", operation_id = "listAssignmentRules")]
    async fn rules(&self, signed: Signed) -> Result<Json<AssignmentRuleList>, Refused<Listing>> {
        let rules = routing::rules(&self.0.desk, signed.caller()).await?;
        Ok(Json(AssignmentRuleList { items: rules.iter().map(Into::into).collect() }))
    }

    /// Add an assignment rule
    ///
    /// It is asked last. Rules are asked when a conversation opens with nobody on it; the first that matches and finds somebody
    /// decides. A team that a conversation has kept stays: rules for other teams are passed over.
    #[oai(
        path = "/assignment-rules",
        method = "post",
        operation_id = "addAssignmentRule",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn add_rule(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewRuleBody>,
    ) -> Result<Made<RuleView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let NewRuleBody { name, enabled, condition, target } = body.0;
        let rule = NewRule { name, enabled, condition: condition.into(), target: self.target(&signed, target).await? };
        let view = |rule: &AssignmentRule| RuleView::from(rule);
        let once = key.once(caller, 201, view);
        let (view, replayed) = answered(routing::add_rule(desk, caller, rule, once).await, view)?;
        Ok(Made::Made(view, replayed))
    }

    /// Change an assignment rule
    #[oai(path = "/assignment-rules/:id", method = "patch", operation_id = "changeAssignmentRule")]
    async fn change_rule(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<RulePatch>,
    ) -> Result<Json<RuleView>, Refused<Making>> {
        let RulePatch { name, enabled, condition, target } = body.0;
        authorise(signed.caller(), Action::ManageRules)?;
        let target = match target {
            Some(target) => Some(self.target(&signed, target).await?),
            None => None,
        };
        let change = RuleChange { name, enabled, condition: condition.map(Into::into), target };
        let rule = routing::change_rule(&self.0.desk, signed.caller(), id.0.into(), change).await?;
        Ok(Json((&rule).into()))
    }

    /// Delete an assignment rule
    ///
    /// What it gave stays given.
    #[oai(path = "/assignment-rules/:id", method = "delete", operation_id = "deleteAssignmentRule")]
    async fn delete_rule(&self, signed: Signed, id: Path<Uuid>) -> Result<Gone, Refused<Reading>> {
        routing::delete_rule(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Gone::Gone)
    }

    /// Put the assignment rules into another order
    #[oai(path = "/assignment-rules/order", method = "put", operation_id = "orderAssignmentRules")]
    async fn order(
        &self,
        signed: Signed,
        body: Body<AssignmentRuleOrder>,
    ) -> Result<Json<AssignmentRuleList>, Refused<Making>> {
        let ids = body.0.rules.into_iter().map(Into::into).collect();
        let rules = routing::order_rules(&self.0.desk, signed.caller(), ids).await?;
        Ok(Json(AssignmentRuleList { items: rules.iter().map(Into::into).collect() }))
    }

    /// Say whether an agent is away
    ///
    /// Agents say it of themselves, whoever runs the desk of everybody. Rules give nothing to who is away; with
    /// `reassign_when_away`, what customers write to them is given to somebody else.
    #[oai(path = "/agents/:id/presence", method = "put", operation_id = "setPresence")]
    async fn set_presence(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<Presence>,
    ) -> Result<Json<Presence>, Refused<Making>> {
        routing::set_away(&self.0.desk, signed.caller(), id.0.into(), body.0.away).await?;
        Ok(Json(body.0))
    }

    /// Who is away?
    #[oai(path = "/agents/away", method = "get", operation_id = "listAway")]
    async fn away(&self, signed: Signed) -> Result<Json<AwayList>, Refused<Listing>> {
        let agents = routing::away(&self.0.desk, signed.caller()).await?;
        Ok(Json(AwayList { agents: agents.into_iter().map(Into::into).collect() }))
    }

    /// Whose contact is it?
    #[oai(path = "/contacts/:id/agent", method = "get", operation_id = "getDedicatedAgent")]
    async fn dedicated(&self, signed: Signed, id: Path<Uuid>) -> Result<Json<DedicatedAgent>, Refused<Reading>> {
        let agent = routing::dedicated_agent(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Json(DedicatedAgent { agent: agent.map(Into::into) }))
    }

    /// Make a contact somebody's
    ///
    /// A rule with target `dedicated` gives their conversations to this agent.
    #[oai(path = "/contacts/:id/agent", method = "put", operation_id = "setDedicatedAgent")]
    async fn dedicate(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<DedicatedAgent>,
    ) -> Result<Json<DedicatedAgent>, Refused<Making>> {
        routing::dedicate(&self.0.desk, signed.caller(), id.0.into(), body.0.agent.map(Into::into)).await?;
        Ok(Json(body.0))
    }

    /// Change a team
    #[oai(path = "/teams/:id", method = "patch", operation_id = "changeTeam")]
    async fn change_team(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<TeamPatch>,
    ) -> Result<Json<TeamView>, Refused<Making>> {
        let TeamPatch { name, members } = body.0;
        let change = TeamChange { name, members: members.map(|ids| ids.into_iter().map(Into::into).collect()) };
        let (team, members) = administration::change_team(&self.0.desk, signed.caller(), id.0.into(), change).await?;
        Ok(Json(TeamView::new(&team, members.into_iter().map(Into::into))))
    }

    /// Delete a team
    ///
    /// Only one that no conversation is assigned to, and no rule gives to.
    #[oai(path = "/teams/:id", method = "delete", operation_id = "deleteTeam")]
    async fn delete_team(&self, signed: Signed, id: Path<Uuid>) -> Result<Gone, Refused<Making>> {
        administration::delete_team(&self.0.desk, signed.caller(), id.0.into()).await?;
        Ok(Gone::Gone)
    }
}

impl RoutingApi {
    /// Whom a rule names must be there; what is missing is said after that.
    async fn target(&self, signed: &Signed, body: TargetBody) -> Result<RuleTarget, Problem> {
        let TargetBody { team, agent, .. } = body;
        routing::known(&self.0.desk, signed.caller(), team.map(Into::into), agent.map(Into::into)).await?;
        body.try_into()
    }
}

fn yes() -> bool {
    true
}

impl From<ConditionBody> for RuleCondition {
    fn from(body: ConditionBody) -> Self {
        Self {
            channels: body.channels.into_iter().map(Into::into).collect(),
            platforms: body.platforms,
            labels: body.labels,
            contact: body.contact.into(),
        }
    }
}

impl From<&RuleCondition> for ConditionBody {
    fn from(condition: &RuleCondition) -> Self {
        Self {
            channels: condition.channels.iter().map(|id| id.uuid()).collect(),
            platforms: condition.platforms.clone(),
            labels: condition.labels.clone(),
            contact: condition.contact.into(),
        }
    }
}

impl TryFrom<TargetBody> for RuleTarget {
    type Error = Problem;

    fn try_from(body: TargetBody) -> Result<Self, Problem> {
        match body {
            TargetBody { to: TargetWord::Team, team: Some(team), pick, agent: None } => {
                Ok(RuleTarget::Team { team: team.into(), pick: pick.unwrap_or_default().into() })
            }
            TargetBody { to: TargetWord::Agent, agent: Some(agent), team: None, pick: None } => {
                Ok(RuleTarget::Agent { agent: agent.into() })
            }
            TargetBody { to: TargetWord::Dedicated, team: None, pick: None, agent: None } => Ok(RuleTarget::Dedicated),
            _ => {
                let detail =
                    "`team` goes with the team's id and perhaps `pick`, `agent` with the agent's id, `dedicated` alone";
                Err(Problem::new("target_incomplete", detail).at("target"))
            }
        }
    }
}

impl From<RuleTarget> for TargetBody {
    fn from(target: RuleTarget) -> Self {
        let alone = |to| Self { to, team: None, pick: None, agent: None };
        match target {
            RuleTarget::Team { team, pick } => {
                Self { team: Some(team.uuid()), pick: Some(pick.into()), ..alone(TargetWord::Team) }
            }
            RuleTarget::Agent { agent } => Self { agent: Some(agent.uuid()), ..alone(TargetWord::Agent) },
            RuleTarget::Dedicated => alone(TargetWord::Dedicated),
        }
    }
}

impl From<&AssignmentRule> for RuleView {
    fn from(rule: &AssignmentRule) -> Self {
        Self {
            id: rule.id.uuid(),
            name: rule.name.clone(),
            enabled: rule.enabled,
            condition: (&rule.condition).into(),
            target: rule.target.into(),
        }
    }
}
