//! Me, agents, teams, tokens, tags, settings.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use secrecy::ExposeSecret;
use transom_desk::administration::{self, AgentChange};
use transom_desk::workspaces::{AgentNames, Issued};
use transom_desk::{Action, DeskError, queries, workspaces};
use transom_domain::{Team, TokenId};
use uuid::Uuid;

use super::Tag;
use super::auth::Signed;
use super::body::Body;
use super::idempotency::{Idempotent, answered, shown_once};
use super::version::{Gone, IfMatch, Made, Versioned};
use super::views::people::{
    AgentPatch, AgentView, AgentWithToken, MeView, NewAgent, NewTeam, NewTokenBody, TeamView, TokenOnce, TokenView,
    WorkspaceView,
};
use super::views::settings::{SettingsPatch, SettingsView};
use crate::http::problem::{Changing, Listing, Making, Problem, Reading, Refused};
use crate::state::State;

/// How often a change of settings without `If-Match` is made again when somebody else was faster.
const TRIES: u32 = 5;

pub(crate) struct WorkspaceApi(pub(super) Arc<State>);

/// All agents.
#[derive(Debug, Object)]
struct AgentList {
    /// The agents.
    items: Vec<AgentView>,
}

/// All teams.
#[derive(Debug, Object)]
struct TeamList {
    /// The teams.
    items: Vec<TeamView>,
}

/// All tokens.
#[derive(Debug, Object)]
struct TokenList {
    /// The tokens, oldest first.
    items: Vec<TokenView>,
}

/// All tags.
#[derive(Debug, Object)]
struct TagList {
    /// The tags.
    items: Vec<String>,
}

/// A tag to add.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct NewTag {
    /// Its name.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
}

/// A tag.
#[derive(Debug, Object)]
#[oai(rename = "Tag")]
struct TagView {
    /// Its name.
    name: String,
}

#[OpenApi(tag = "Tag::Workspace")]
impl WorkspaceApi {
    /// Who am I?
    ///
    /// The agent, workspace and token behind the request, and what the role allows.
    #[oai(path = "/me", method = "get", operation_id = "me")]
    async fn me(&self, signed: Signed) -> Result<Json<MeView>, Refused<Listing>> {
        let caller = signed.caller();
        let name = queries::workspace_name(&self.0.desk, caller).await?;
        let role = caller.agent.role;
        let may = Action::ALL.iter().filter(|action| action.roles().contains(&role));
        Ok(Json(MeView {
            workspace: WorkspaceView { id: caller.scope.workspace().uuid(), name },
            agent: (&caller.agent).into(),
            token: signed.0.token.uuid(),
            may: may.map(|action| action.as_str().to_owned()).collect(),
        }))
    }

    /// List agents
    #[oai(path = "/agents", method = "get", operation_id = "listAgents")]
    async fn agents(&self, signed: Signed) -> Result<Json<AgentList>, Refused<Listing>> {
        let agents = queries::agents(&self.0.desk, signed.caller()).await?;
        Ok(Json(AgentList { items: agents.iter().map(Into::into).collect() }))
    }

    /// Add an agent
    ///
    /// It gets a token of its own, which is shown this once.
    #[oai(
        path = "/agents",
        method = "post",
        operation_id = "addAgent",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn add_agent(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewAgent>,
    ) -> Result<Made<AgentWithToken>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let NewAgent { name, alias, role, token_expires_at } = body.0;
        let names = AgentNames { name: &name, alias: alias.as_deref() };
        let once = key.once(caller, 201, |(_, issued): &(_, Issued)| issued.id.uuid());
        let added = workspaces::add_agent(desk, caller, names, role.into(), token_expires_at, once).await;
        let (agent, issued) = shown_once(added)?;
        let made = AgentWithToken {
            agent: (&agent).into(),
            token_id: issued.id.uuid(),
            token: issued.token.expose_secret().to_owned(),
        };
        Ok(Made::Made(Json(made), None))
    }

    /// Change an agent
    #[oai(path = "/agents/:id", method = "patch", operation_id = "changeAgent")]
    async fn change_agent(
        &self,
        signed: Signed,
        id: Path<Uuid>,
        body: Body<AgentPatch>,
    ) -> Result<Json<AgentView>, Refused<Making>> {
        let AgentPatch { name, alias, role, active } = body.0;
        let change = AgentChange { name, alias, role: role.map(Into::into), active };
        let agent = administration::change_agent(&self.0.desk, signed.caller(), id.0.into(), change).await?;
        Ok(Json((&agent).into()))
    }

    /// List teams
    #[oai(path = "/teams", method = "get", operation_id = "listTeams")]
    async fn teams(&self, signed: Signed) -> Result<Json<TeamList>, Refused<Listing>> {
        let teams = queries::teams(&self.0.desk, signed.caller()).await?;
        let view = |(team, members): (_, Vec<transom_domain::AgentId>)| {
            TeamView::new(&team, members.into_iter().map(Into::into))
        };
        Ok(Json(TeamList { items: teams.into_iter().map(view).collect() }))
    }

    /// Add a team
    #[oai(
        path = "/teams",
        method = "post",
        operation_id = "addTeam",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn add_team(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewTeam>,
    ) -> Result<Made<TeamView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let NewTeam { name, members } = body.0;
        let ids = members.iter().copied().map(Into::into).collect();
        let view = move |team: &Team| TeamView::new(team, members.iter().copied());
        let once = key.once(caller, 201, view.clone());
        let (view, replayed) = answered(workspaces::add_team(desk, caller, &name, ids, once).await, view)?;
        Ok(Made::Made(view, replayed))
    }

    /// List tokens
    ///
    /// Without the tokens themselves, which nobody can show again.
    #[oai(path = "/tokens", method = "get", operation_id = "listTokens")]
    async fn tokens(&self, signed: Signed) -> Result<Json<TokenList>, Refused<Listing>> {
        let tokens = queries::tokens(&self.0.desk, signed.caller()).await?;
        Ok(Json(TokenList { items: tokens.iter().map(Into::into).collect() }))
    }

    /// Make a token
    ///
    /// It is shown this once.
    #[oai(
        path = "/tokens",
        method = "post",
        operation_id = "createToken",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn create_token(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewTokenBody>,
    ) -> Result<Made<TokenOnce>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let NewTokenBody { agent, name, expires_at } = body.0;
        let once = key.once(caller, 201, |issued: &Issued| issued.id.uuid());
        let made = administration::create_token(desk, caller, agent.into(), &name, expires_at, once).await;
        let Issued { id, token } = shown_once(made)?;
        let made = TokenOnce { id: id.uuid(), token: token.expose_secret().to_owned() };
        Ok(Made::Made(Json(made), None))
    }

    /// Revoke a token
    ///
    /// Whoever uses it is signed out within 5 seconds.
    #[oai(path = "/tokens/:id", method = "delete", operation_id = "revokeToken")]
    async fn revoke_token(&self, signed: Signed, id: Path<Uuid>) -> Result<Gone, Refused<Reading>> {
        administration::revoke_token(&self.0.desk, signed.caller(), TokenId::from(id.0)).await?;
        Ok(Gone::Gone)
    }

    /// List tags
    #[oai(path = "/tags", method = "get", operation_id = "listTags")]
    async fn tags(&self, signed: Signed) -> Result<Json<TagList>, Refused<Listing>> {
        Ok(Json(TagList { items: queries::tags(&self.0.desk, signed.caller()).await? }))
    }

    /// Add a tag
    #[oai(
        path = "/tags",
        method = "post",
        operation_id = "createTag",
        request_header(
            name = "Idempotency-Key",
            ty = "Option<String>",
            description = "1 to 255 visible ASCII characters: the same request twice has one effect and one answer, for 72 hours."
        )
    )]
    async fn create_tag(
        &self,
        signed: Signed,
        key: Idempotent,
        body: Body<NewTag>,
    ) -> Result<Made<TagView>, Refused<Making>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        let view = |name: &String| TagView { name: name.clone() };
        let once = key.once(caller, 201, view);
        let (view, replayed) = answered(administration::create_tag(desk, caller, &body.0.name, once).await, view)?;
        Ok(Made::Made(view, replayed))
    }

    /// Read the settings of the workspace
    #[oai(path = "/settings", method = "get", operation_id = "getSettings")]
    async fn settings(&self, signed: Signed) -> Result<Versioned<SettingsView>, Refused<Listing>> {
        let (settings, version) = queries::settings(&self.0.desk, signed.caller()).await?;
        Ok(Versioned::new((&settings).into(), version))
    }

    /// Change the settings of the workspace
    ///
    /// What is left out stays. With `If-Match`, only if nobody changed them meanwhile.
    #[oai(
        path = "/settings",
        method = "patch",
        operation_id = "changeSettings",
        request_header(name = "If-Match", ty = "Option<String>", description = "The `ETag` of the last answer.")
    )]
    async fn change_settings(
        &self,
        signed: Signed,
        seen: IfMatch,
        body: Body<SettingsPatch>,
    ) -> Result<Versioned<SettingsView>, Refused<Changing>> {
        let (desk, caller) = (&self.0.desk, signed.caller());
        for _ in 0..TRIES {
            let (settings, version) = queries::settings(desk, caller).await?;
            let changed = body.0.over(settings)?;
            let expected = seen.0.unwrap_or(version);
            match workspaces::change_settings(desk, caller, changed.clone(), Some(expected)).await {
                // Somebody else changed another key: theirs and ours both hold.
                Err(DeskError::VersionMismatch) if seen.0.is_none() => {}
                result => return Ok(Versioned::new((&changed).into(), result?)),
            }
        }
        Err(Problem::from(DeskError::VersionMismatch).into())
    }
}
