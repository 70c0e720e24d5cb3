//! Tokens that platforms gave us for a while, sealed. A rotated token is stored before it is used.

use std::borrow::Cow;

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use transom_domain::ConnectionId;
use zeroize::Zeroizing;

use super::{millis, unreadable};
use crate::entity::provider_tokens;
use crate::instant::Millis;
use crate::{Reader, StorageError, Tx};

/// A platform's token.
#[derive(Debug, Clone)]
pub struct ProviderToken {
    /// The token; its `Debug` shows nothing.
    pub secret: SecretString,
    /// What the next one is made from, where tokens rotate.
    pub refresh: Option<SecretString>,
    /// When it ends, where the platform says so.
    pub expires_at: Option<OffsetDateTime>,
}

/// A platform's token as it was stored.
#[derive(Debug, Clone)]
pub struct StoredProviderToken {
    /// The token.
    pub token: ProviderToken,
    /// When it was stored.
    pub updated_at: OffsetDateTime,
    /// The sealed bytes: no two stored tokens have the same.
    sealed: Vec<u8>,
}

impl StoredProviderToken {
    /// Whether both are the same stored row at the same time.
    pub fn is(&self, other: &Self) -> bool {
        self.sealed == other.sealed
    }
}

/// Both secrets in one sealed field: they change together or not at all.
#[derive(Serialize, Deserialize)]
struct Plain<'t> {
    #[serde(borrow)]
    token: Cow<'t, str>,
    #[serde(borrow)]
    refresh: Option<Cow<'t, str>>,
}

impl Reader {
    /// A connection's token of a name, such as `access`; also one that has ended.
    pub async fn provider_token(
        &self,
        connection: ConnectionId,
        name: &str,
    ) -> Result<Option<StoredProviderToken>, StorageError> {
        let key = (self.ws(), connection.uuid(), name.to_owned());
        let Some(row) = provider_tokens::Entity::find_by_id(key).one(&self.conn).await? else { return Ok(None) };
        let text = self.unseal("provider_tokens", &column(name), connection.uuid(), &row.sealed).await?;
        let plain: Plain = serde_json::from_str(text.expose_secret())
            .map_err(|_| unreadable(("provider_tokens", "sealed", row.connection_id), "no token"))?;
        let token = ProviderToken {
            secret: SecretString::from(&*plain.token),
            refresh: plain.refresh.as_deref().map(SecretString::from),
            expires_at: row.expires_at.map(Into::into),
        };
        Ok(Some(StoredProviderToken { token, updated_at: row.updated_at.at(), sealed: row.sealed }))
    }
}

impl Tx {
    /// Stores a token in place of the one that was seen (`None`: of none); false if another is there by now.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if the connection is not of this workspace.
    pub async fn replace_provider_token(
        &self,
        connection: ConnectionId,
        name: &str,
        seen: Option<&StoredProviderToken>,
        new: &ProviderToken,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        use provider_tokens::Column as C;
        let sealed = self.seal("provider_tokens", &column(name), connection.uuid(), &sealed_form(new)?).await?;
        let Some(seen) = seen else {
            let row = provider_tokens::ActiveModel {
                workspace_id: Set(self.ws()),
                connection_id: Set(connection.uuid()),
                name: Set(name.to_owned()),
                sealed: Set(sealed),
                expires_at: Set(new.expires_at.map(Into::into)),
                updated_at: Set(now.into()),
            };
            let first = OnConflict::columns([C::WorkspaceId, C::ConnectionId, C::Name]).do_nothing().to_owned();
            let made = provider_tokens::Entity::insert(row).on_conflict(first).exec_without_returning(&self.conn);
            return Ok(made.await? == 1);
        };
        let replaced = provider_tokens::Entity::update_many()
            .col_expr(C::Sealed, Expr::value(sealed))
            .col_expr(C::ExpiresAt, Expr::value(new.expires_at.map(Millis::from)))
            .col_expr(C::UpdatedAt, Expr::value(millis(now)))
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::ConnectionId.eq(connection.uuid()))
            .filter(C::Name.eq(name))
            .filter(C::Sealed.eq(seen.sealed.clone()))
            .exec(&self.conn)
            .await?;
        Ok(replaced.rows_affected == 1)
    }
}

fn sealed_form(token: &ProviderToken) -> Result<SecretString, StorageError> {
    let plain = Plain {
        token: token.secret.expose_secret().into(),
        refresh: token.refresh.as_ref().map(|refresh| refresh.expose_secret().into()),
    };
    let text = serde_json::to_string(&plain).map(Zeroizing::new);
    let text = text.map_err(|_| StorageError::Database("a token must be text".to_owned()))?;
    Ok(SecretString::from(text.as_str()))
}

/// The row has no id of its own: its name is part of the place it is sealed for.
fn column(name: &str) -> String {
    format!("sealed:{name}")
}
