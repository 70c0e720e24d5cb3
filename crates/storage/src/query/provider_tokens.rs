//! Tokens that platforms gave us for a while, sealed. A rotated token is stored before it is used.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, EntityTrait};
use secrecy::SecretString;
use time::OffsetDateTime;
use transom_domain::ConnectionId;

use crate::entity::provider_tokens;
use crate::{Reader, StorageError, Tx};

/// A platform's token.
#[derive(Debug, Clone)]
pub struct ProviderToken {
    /// The token; its `Debug` shows nothing.
    pub secret: SecretString,
    /// When it ends, where the platform says so.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was stored.
    pub updated_at: OffsetDateTime,
}

impl Reader {
    /// A connection's token of a name, such as `access` or `refresh`.
    pub async fn provider_token(
        &self,
        connection: ConnectionId,
        name: &str,
    ) -> Result<Option<ProviderToken>, StorageError> {
        let key = (self.ws(), connection.uuid(), name.to_owned());
        let Some(row) = provider_tokens::Entity::find_by_id(key).one(&self.conn).await? else { return Ok(None) };
        let secret = self.unseal("provider_tokens", &column(name), connection.uuid(), &row.sealed).await?;
        Ok(Some(ProviderToken { secret, expires_at: row.expires_at.map(Into::into), updated_at: row.updated_at.at() }))
    }
}

impl Tx {
    /// Stores a token in place of the one of the same name.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if the connection is not of this workspace.
    pub async fn put_provider_token(
        &self,
        connection: ConnectionId,
        name: &str,
        secret: &SecretString,
        expires_at: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        use provider_tokens::Column as C;
        let row = provider_tokens::ActiveModel {
            workspace_id: Set(self.ws()),
            connection_id: Set(connection.uuid()),
            name: Set(name.to_owned()),
            sealed: Set(self.seal("provider_tokens", &column(name), connection.uuid(), secret).await?),
            expires_at: Set(expires_at.map(Into::into)),
            updated_at: Set(now.into()),
        };
        let newer = OnConflict::columns([C::WorkspaceId, C::ConnectionId, C::Name])
            .update_columns([C::Sealed, C::ExpiresAt, C::UpdatedAt])
            .to_owned();
        provider_tokens::Entity::insert(row).on_conflict(newer).exec_without_returning(&self.conn).await?;
        Ok(())
    }
}

/// The row has no id of its own: its name is part of the place it is sealed for.
fn column(name: &str) -> String {
    format!("sealed:{name}")
}
