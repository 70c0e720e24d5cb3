//! Rules for automatic assignment: who gets a conversation that opens with nobody on it (R-115).

use serde::{Deserialize, Serialize};

use crate::{AgentId, AssignmentRuleId, ChannelAccountId, TeamId};

/// One rule. Rules are asked in their order; the first that matches and finds somebody decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentRule {
    /// Its id.
    pub id: AssignmentRuleId,
    /// A name for people: it stands in the conversation's history.
    pub name: String,
    /// Whether it is asked.
    pub enabled: bool,
    /// For which conversations.
    pub condition: RuleCondition,
    /// To whom they go.
    pub target: RuleTarget,
}

/// For which conversations a rule is. An empty list says nothing; of several values any will do; all fields must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleCondition {
    /// Over these accounts.
    pub channels: Vec<ChannelAccountId>,
    /// On these platforms.
    pub platforms: Vec<String>,
    /// With a contact who has one of these labels.
    pub labels: Vec<String>,
    /// With a contact who is new, or comes back.
    pub contact: Acquaintance,
}

/// Whether somebody was here before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acquaintance {
    /// Either.
    #[default]
    Any,
    /// This is their first episode, over all channels.
    New,
    /// There was one before.
    Returning,
}

/// To whom a rule gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "to", deny_unknown_fields)]
pub enum RuleTarget {
    /// To a team, and to one of its members that is not away. Where all are away it is the team's alone.
    Team {
        /// The team.
        team: TeamId,
        /// Which member.
        pick: Pick,
    },
    /// To this agent, unless away.
    Agent {
        /// The agent.
        agent: AgentId,
    },
    /// To the agent that the contact belongs to, unless away.
    Dedicated,
}

/// Which member of a team.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// Who was given something the longest time ago.
    #[default]
    RoundRobin,
    /// Who has the fewest open conversations; of several the one who was given something the longest time ago.
    FewestOpen,
    /// Nobody: its members take what they like.
    Nobody,
}

/// What rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed<'r> {
    /// Over which account.
    pub channel: ChannelAccountId,
    /// On which platform.
    pub platform: &'r str,
    /// The contact's labels.
    pub labels: &'r [String],
    /// Whether the contact had an episode before.
    pub returning: bool,
}

impl RuleCondition {
    /// Whether the rule is for this conversation.
    pub fn holds(&self, of: &Routed<'_>) -> bool {
        let among = |listed: bool, empty: bool| empty || listed;
        among(self.channels.contains(&of.channel), self.channels.is_empty())
            && among(self.platforms.iter().any(|platform| platform == of.platform), self.platforms.is_empty())
            && among(self.labels.iter().any(|label| of.labels.contains(label)), self.labels.is_empty())
            && match self.contact {
                Acquaintance::Any => true,
                Acquaintance::New => !of.returning,
                Acquaintance::Returning => of.returning,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CountingIds, Ids};

    #[test]
    fn every_field_must_hold_and_an_empty_one_says_nothing() {
        let ids = CountingIds::new(1);
        let (here, there) = (ChannelAccountId::from(ids.next()), ChannelAccountId::from(ids.next()));
        let labels = ["vip".to_owned()];
        let vip = Routed { channel: here, platform: "sms", labels: &labels, returning: true };
        let anybody = RuleCondition::default();
        assert!(anybody.holds(&vip));
        for (condition, holds) in [
            (RuleCondition { channels: vec![there, here], ..anybody.clone() }, true),
            (RuleCondition { channels: vec![there], ..anybody.clone() }, false),
            (RuleCondition { platforms: vec!["sms".into()], ..anybody.clone() }, true),
            (RuleCondition { platforms: vec!["line".into()], ..anybody.clone() }, false),
            (RuleCondition { labels: vec!["vip".into(), "press".into()], ..anybody.clone() }, true),
            (RuleCondition { labels: vec!["press".into()], ..anybody.clone() }, false),
            (RuleCondition { contact: Acquaintance::Returning, ..anybody.clone() }, true),
            (RuleCondition { contact: Acquaintance::New, ..anybody.clone() }, false),
            (RuleCondition { labels: vec!["vip".into()], contact: Acquaintance::New, ..anybody.clone() }, false),
        ] {
            assert_eq!(condition.holds(&vip), holds, "{condition:?}");
        }
    }

    #[test]
    fn targets_are_written_by_name() {
        let text = r#"{"to":"team","team":"00000000-0000-0000-0000-000000000001","pick":"fewest_open"}"#;
        let target: RuleTarget = serde_json::from_str(text).unwrap();
        assert!(matches!(target, RuleTarget::Team { pick: Pick::FewestOpen, .. }));
        assert_eq!(serde_json::to_string(&target).unwrap(), text);
        assert!(serde_json::from_str::<RuleTarget>(r#"{"to":"moon"}"#).is_err());
    }
}
