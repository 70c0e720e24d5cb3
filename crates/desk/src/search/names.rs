//! What the names in a search stand for in a workspace.

use time::OffsetDateTime;
use transom_domain::{AgentId, ChannelAccountId, CustomField, TeamId};

use super::fields::Field;
use super::text::{Clause, SearchText};
use crate::authorise::Caller;
use crate::{Desk, DeskError};

/// What a workspace has, as far as a search names it, and who searches when.
#[derive(Debug, Clone)]
pub struct Names {
    /// The present, from which spans are counted.
    pub now: OffsetDateTime,
    /// Who searches.
    pub me: AgentId,
    /// The teams of whoever searches.
    pub own_teams: Vec<TeamId>,
    /// Every agent with their name.
    pub agents: Vec<(AgentId, String)>,
    /// Every team with its name.
    pub teams: Vec<(TeamId, String)>,
    /// Every channel account with its name.
    pub channels: Vec<(ChannelAccountId, String)>,
    /// The platforms that the service knows.
    pub platforms: Vec<String>,
    /// The tags of the workspace.
    pub tags: Vec<String>,
    /// The custom fields of the workspace, those in the archive too.
    pub custom_fields: Vec<CustomField>,
    /// The country in which numbers without a country code are read (ISO 3166-1 alpha-2).
    pub country: Option<String>,
}

impl Names {
    /// Nothing but who searches when.
    pub fn of(me: AgentId, now: OffsetDateTime) -> Self {
        Self {
            now,
            me,
            own_teams: Vec::new(),
            agents: Vec::new(),
            teams: Vec::new(),
            channels: Vec::new(),
            platforms: Vec::new(),
            tags: Vec::new(),
            custom_fields: Vec::new(),
            country: None,
        }
    }

    /// What a search names; the rest is not read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(
        desk: &Desk,
        caller: &Caller,
        search: &SearchText,
        now: OffsetDateTime,
    ) -> Result<Self, DeskError> {
        let names_field = |wanted: &[Field]| {
            search.clauses.iter().any(|clause| matches!(clause, Clause::Field { field, .. } if wanted.contains(field)))
        };
        let reader = desk.reader(&caller.scope);
        let mut names = Self::of(caller.agent.id, now);
        if names_field(&[Field::Inbox]) {
            names.own_teams = reader.teams_of(names.me).await?;
        }
        if names_field(&[Field::Assignee]) {
            let agents = reader.agents().await?.into_iter();
            names.agents = agents.map(|stored| (stored.agent.id, stored.agent.name)).collect();
        }
        if names_field(&[Field::Team]) {
            names.teams = reader.teams().await?.into_iter().map(|team| (team.id, team.name)).collect();
        }
        if names_field(&[Field::Channel]) {
            let accounts = reader.accounts().await?.into_iter();
            names.channels = accounts.map(|account| (account.id, account.name)).collect();
        }
        if names_field(&[Field::Platform]) {
            names.platforms = desk.registry().iter().map(|platform| platform.name().to_owned()).collect();
        }
        if names_field(&[Field::Tag]) {
            names.tags = reader.known_tags().await?;
        }
        if search.clauses.iter().any(|clause| matches!(clause, Clause::Custom { .. })) {
            names.custom_fields = reader.custom_fields(true).await?.into_iter().map(|stored| stored.field).collect();
        }
        let may_hold_a_number = |word: &super::Word| word.text.chars().filter(char::is_ascii_digit).count() >= 4;
        let finds = search.clauses.iter().any(|clause| match clause {
            Clause::Words(word) => may_hold_a_number(word),
            Clause::Field { field, values, .. } => *field == Field::Phone && values.iter().any(may_hold_a_number),
            Clause::Custom { .. } => false,
        });
        if finds {
            names.country = reader.settings().await?.0.default_country;
        }
        Ok(names)
    }
}
