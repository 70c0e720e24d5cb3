//! API tokens: `trn_` + the workspace + 256 random bits. Shown once, stored as SHA-256.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use transom_domain::{Agent, AgentId, TokenId, WorkspaceId};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{from_json, millis, sql, to_json};
use crate::entity::{agents, tokens};
use crate::vault::random;
use crate::{Reader, Storage, StorageError, StoredAgent, Tx, WorkspaceScope};

const PREFIX: &str = "trn_";
/// 16 bytes in base64.
const WORKSPACE_CHARS: usize = 22;
/// 32 bytes in base64.
const RANDOM_CHARS: usize = 43;
/// The last use is recorded at most this often.
const USE_RECORDED_EVERY: Duration = Duration::MINUTE;

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// Whom it signs in.
    pub agent: AgentId,
    /// A name for people.
    pub name: String,
    /// What it may be used for; empty for everything that its agent may do.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires_at: Option<OffsetDateTime>,
}

/// A token as stored, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// What it was made with.
    pub token: NewToken,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was revoked.
    pub revoked_at: Option<OffsetDateTime>,
    /// About when it was last used, to the minute.
    pub last_used_at: Option<OffsetDateTime>,
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// The key to the workspace.
    pub scope: WorkspaceScope,
    /// The agent.
    pub agent: Agent,
    /// By which token.
    pub token: TokenId,
    /// What the token may be used for; empty for everything that its agent may do.
    pub scopes: Vec<String>,
}

impl Storage {
    /// Whose token this is; `None` if it is unknown, expired or revoked, or if its agent is not active.
    pub async fn authenticate(&self, token: &str, now: OffsetDateTime) -> Result<Option<Authenticated>, StorageError> {
        let Some(workspace) = workspace_of(token) else { return Ok(None) };
        let whose = tokens::Entity::belongs_to(agents::Entity)
            .from((tokens::Column::WorkspaceId, tokens::Column::AgentId))
            .to((agents::Column::WorkspaceId, agents::Column::Id));
        let found = tokens::Entity::find()
            .select_also(agents::Entity)
            .join(JoinType::InnerJoin, whose.into())
            .filter(tokens::Column::WorkspaceId.eq(workspace.uuid()))
            .filter(tokens::Column::Hash.eq(hash(token)))
            .one(self.db())
            .await?;
        let Some((row, Some(agent))) = found else { return Ok(None) };
        let expired = row.expires_at.is_some_and(|at| at.at() <= now);
        if expired || row.revoked_at.is_some() {
            return Ok(None);
        }
        let agent = StoredAgent::try_from(agent)?;
        if !agent.active {
            return Ok(None);
        }
        if row.last_used_at.is_none_or(|at| at.at() + USE_RECORDED_EVERY <= now) {
            self.record_use(&row, now).await;
        }
        Ok(Some(Authenticated {
            scope: WorkspaceScope::of(workspace),
            agent: agent.agent,
            token: row.id.into(),
            scopes: from_json(row.scopes, ("tokens", "scopes", row.id))?,
        }))
    }

    /// Signing in works while nothing can be written.
    async fn record_use(&self, row: &tokens::Model, now: OffsetDateTime) {
        let update = "UPDATE tokens SET last_used_at = $1 WHERE workspace_id = $2 AND id = $3";
        let statement = sql(self.db(), update, [millis(now), row.workspace_id.into(), row.id.into()]);
        if let Err(error) = self.execute(statement).await {
            tracing::warn!(token = %row.id, %error, "the use of a token could not be recorded");
        }
    }
}

impl Reader {
    /// Every token, oldest first.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, StorageError> {
        let rows = tokens::Entity::find()
            .filter(tokens::Column::WorkspaceId.eq(self.ws()))
            .order_by_asc(tokens::Column::Id)
            .all(&self.conn)
            .await?;
        let stored = |row: tokens::Model| {
            Ok(StoredToken {
                token: NewToken {
                    id: row.id.into(),
                    agent: row.agent_id.into(),
                    name: row.name,
                    scopes: from_json(row.scopes, ("tokens", "scopes", row.id))?,
                    expires_at: row.expires_at.map(Into::into),
                },
                created_at: row.created_at.at(),
                revoked_at: row.revoked_at.map(Into::into),
                last_used_at: row.last_used_at.map(Into::into),
            })
        };
        rows.into_iter().map(stored).collect()
    }
}

impl Tx {
    /// Makes a token and returns it, once.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if the agent is not of this workspace.
    pub async fn create_token(&self, new: &NewToken, now: OffsetDateTime) -> Result<SecretString, StorageError> {
        let secret = Zeroizing::new(random::<32>()?);
        let token = format!(
            "{PREFIX}{}{}",
            URL_SAFE_NO_PAD.encode(self.ws().as_bytes()),
            URL_SAFE_NO_PAD.encode(secret.as_slice())
        );
        let row = tokens::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(new.id.uuid()),
            agent_id: Set(new.agent.uuid()),
            name: Set(new.name.clone()),
            hash: Set(hash(&token)),
            scopes: Set(to_json(&new.scopes)?),
            created_at: Set(now.into()),
            expires_at: Set(new.expires_at.map(Into::into)),
            revoked_at: Set(None),
            last_used_at: Set(None),
        };
        tokens::Entity::insert(row).exec_without_returning(&self.conn).await?;
        Ok(SecretString::from(token))
    }

    /// Ends a token; whether it still worked.
    pub async fn revoke_token(&self, id: TokenId, now: OffsetDateTime) -> Result<bool, StorageError> {
        let revoked = tokens::Entity::update_many()
            .col_expr(tokens::Column::RevokedAt, Expr::value(millis(now)))
            .filter(tokens::Column::WorkspaceId.eq(self.ws()))
            .filter(tokens::Column::Id.eq(id.uuid()))
            .filter(Expr::col(tokens::Column::RevokedAt).is_null())
            .exec(&self.conn)
            .await?;
        Ok(revoked.rows_affected == 1)
    }
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// The workspace that a text of the right shape names.
fn workspace_of(token: &str) -> Option<WorkspaceId> {
    let rest = token.strip_prefix(PREFIX).filter(|rest| rest.len() == WORKSPACE_CHARS + RANDOM_CHARS)?;
    let (workspace, _) = rest.split_at_checked(WORKSPACE_CHARS)?;
    let bytes = URL_SAFE_NO_PAD.decode(workspace).ok()?;
    Uuid::from_slice(&bytes).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn foreign_tokens_are_nobodys_and_never_a_panic(token in "\\PC*") {
            let _ = workspace_of(&token);
            let _ = workspace_of(&format!("trn_{token}"));
        }
    }
}
