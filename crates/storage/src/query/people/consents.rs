//! What customers once allowed or forbade us, kept as a record: the facts of the rule engine say what counts now.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use time::OffsetDateTime;
use transom_domain::{Actor, ChannelAccountId, ConsentId, IdentityId};
use transom_windows::OptOutScope;
use uuid::Uuid;

use crate::entity::consents;
use crate::query::{from_json, to_json, unreadable};
use crate::{Reader, StorageError, Tx};

/// What a customer allowed or forbade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Its id.
    pub id: ConsentId,
    /// Who, on which account.
    pub identity: IdentityId,
    /// The account.
    pub account: ChannelAccountId,
    /// What it covers.
    pub scope: OptOutScope,
    /// Whether they allowed it.
    pub allowed: bool,
    /// How we know: `platform` where it came over the channel, else in a person's words.
    pub source: String,
    /// What was said or shown.
    pub detail: Option<String>,
    /// Who recorded it.
    pub by: Actor,
    /// When they said so.
    pub at: OffsetDateTime,
    /// When it was recorded.
    pub recorded_at: OffsetDateTime,
}

impl TryFrom<consents::Model> for Consent {
    type Error = StorageError;

    fn try_from(row: consents::Model) -> Result<Self, StorageError> {
        let scope = row.scope.parse();
        Ok(Self {
            id: row.id.into(),
            identity: row.identity_id.into(),
            account: row.account_id.into(),
            scope: scope.map_err(|_| unreadable(("consents", "scope", row.id), format!("`{}` is none", row.scope)))?,
            allowed: row.allowed,
            source: row.source,
            detail: row.detail,
            by: from_json(row.recorded_by, ("consents", "recorded_by", row.id))?,
            at: row.at.at(),
            recorded_at: row.recorded_at.at(),
        })
    }
}

impl Reader {
    /// What was recorded of these people, the newest record first.
    pub async fn consents(&self, identities: &[IdentityId], limit: u32) -> Result<Vec<Consent>, StorageError> {
        use consents::Column as C;
        let ids: Vec<Uuid> = identities.iter().map(|id| id.uuid()).collect();
        let rows = consents::Entity::find()
            .filter(C::WorkspaceId.eq(self.ws()))
            .filter(C::IdentityId.is_in(ids))
            .order_by_desc(C::RecordedAt)
            .order_by_desc(C::Id)
            .limit(u64::from(limit))
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

impl Tx {
    /// Keeps a record.
    pub async fn record_consent(&self, consent: &Consent) -> Result<(), StorageError> {
        let row = consents::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(consent.id.uuid()),
            identity_id: Set(consent.identity.uuid()),
            account_id: Set(consent.account.uuid()),
            scope: Set(consent.scope.as_str().to_owned()),
            allowed: Set(consent.allowed),
            source: Set(consent.source.clone()),
            detail: Set(consent.detail.clone()),
            recorded_by: Set(to_json(&consent.by)?),
            at: Set(consent.at.into()),
            recorded_at: Set(consent.recorded_at.into()),
        };
        consents::Entity::insert(row).exec_without_returning(&self.conn).await?;
        Ok(())
    }
}
