//! Quarantine: what came in with a valid signature and could not be used.

use sea_orm::sea_query::Expr;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, JournalId, QuarantineId};

use super::{millis, unreadable};
use crate::entity::quarantine;
use crate::{Reader, StorageError, Tx};

/// Something to be put into quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct NewQuarantine {
    /// Its id.
    pub id: QuarantineId,
    /// The call it came with.
    pub journal: JournalId,
    /// The account, if one is known.
    pub account: Option<ChannelAccountId>,
    /// The item; `None` for the whole call.
    pub item: Option<serde_json::Value>,
    /// A stable word: `unknown_account`, `unknown_shape`, `fault`, `poison`, …
    pub reason: String,
    /// What exactly is wrong, for people.
    pub detail: String,
    /// When it was found.
    pub at: OffsetDateTime,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuarantineState {
    /// Somebody has to look at it.
    Open,
    /// It was applied after all.
    Replayed,
    /// Somebody decided that it is not needed.
    Dropped,
}

impl QuarantineState {
    /// The name in API and database.
    pub const fn as_str(self) -> &'static str {
        match self {
            QuarantineState::Open => "open",
            QuarantineState::Replayed => "replayed",
            QuarantineState::Dropped => "dropped",
        }
    }
}

/// Something in quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredQuarantine {
    /// What was put there.
    pub entry: NewQuarantine,
    /// What became of it.
    pub state: QuarantineState,
    /// When that was decided.
    pub settled_at: Option<OffsetDateTime>,
}

impl TryFrom<quarantine::Model> for StoredQuarantine {
    type Error = StorageError;

    fn try_from(row: quarantine::Model) -> Result<Self, StorageError> {
        let all = [QuarantineState::Open, QuarantineState::Replayed, QuarantineState::Dropped];
        let state = all.into_iter().find(|state| state.as_str() == row.state);
        let state = state.ok_or_else(|| unreadable(("quarantine", "state", row.id), format!("`{}`", row.state)))?;
        let entry = NewQuarantine {
            id: row.id.into(),
            journal: row.journal_id.into(),
            account: row.account_id.map(Into::into),
            item: row.item,
            reason: row.reason,
            detail: row.detail,
            at: row.at.at(),
        };
        Ok(Self { entry, state, settled_at: row.settled_at.map(Into::into) })
    }
}

impl Reader {
    /// One entry.
    pub async fn quarantined(&self, id: QuarantineId) -> Result<Option<StoredQuarantine>, StorageError> {
        let row = quarantine::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Up to `limit` open entries after `after`, oldest first.
    pub async fn quarantine_page(
        &self,
        after: Option<QuarantineId>,
        limit: u64,
    ) -> Result<Vec<StoredQuarantine>, StorageError> {
        let mut open = quarantine::Entity::find()
            .filter(quarantine::Column::WorkspaceId.eq(self.ws()))
            .filter(quarantine::Column::State.eq(QuarantineState::Open.as_str()));
        if let Some(after) = after {
            open = open.filter(quarantine::Column::Id.gt(after.uuid()));
        }
        let rows = open.order_by_asc(quarantine::Column::Id).limit(limit).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How many entries are open.
    pub async fn quarantine_count(&self) -> Result<u64, StorageError> {
        let open = quarantine::Entity::find()
            .filter(quarantine::Column::WorkspaceId.eq(self.ws()))
            .filter(quarantine::Column::State.eq(QuarantineState::Open.as_str()));
        Ok(open.count(&self.conn).await?)
    }
}

impl Tx {
    /// Puts something into quarantine.
    pub async fn quarantine(&self, new: &NewQuarantine) -> Result<(), StorageError> {
        let row = quarantine::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(new.id.uuid()),
            journal_id: Set(new.journal.uuid()),
            account_id: Set(new.account.map(ChannelAccountId::uuid)),
            item: Set(new.item.clone()),
            reason: Set(new.reason.clone()),
            detail: Set(new.detail.clone()),
            state: Set(QuarantineState::Open.as_str().to_owned()),
            at: Set(new.at.into()),
            settled_at: Set(None),
        };
        quarantine::Entity::insert(row).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Says what became of an open entry; `false` if it is not open.
    pub async fn settle_quarantine(
        &self,
        id: QuarantineId,
        state: QuarantineState,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let settled = quarantine::Entity::update_many()
            .col_expr(quarantine::Column::State, Expr::value(state.as_str()))
            .col_expr(quarantine::Column::SettledAt, Expr::value(millis(now)))
            .filter(quarantine::Column::WorkspaceId.eq(self.ws()))
            .filter(quarantine::Column::Id.eq(id.uuid()))
            .filter(quarantine::Column::State.eq(QuarantineState::Open.as_str()))
            .exec(&self.conn)
            .await?;
        Ok(settled.rows_affected == 1)
    }
}
