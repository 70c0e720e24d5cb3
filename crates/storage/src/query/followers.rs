//! How far those have come who act on events by themselves: each event once, in its order, over crashes and replicas.

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};
use uuid::Uuid;

use super::sql;
use crate::entity::followers;
use crate::{Reader, Storage, StorageError, Tx, WorkspaceScope};

impl Storage {
    /// The workspaces in which something has happened that this follower has not seen.
    pub async fn workspaces_to_follow(&self, name: &str) -> Result<Vec<WorkspaceScope>, StorageError> {
        const FIND: &str = "SELECT n.workspace_id FROM event_numberers AS n LEFT JOIN followers AS f ON \
                            f.workspace_id = n.workspace_id AND f.name = $1 WHERE n.last_seq > coalesce(f.seq, 0) \
                            ORDER BY n.workspace_id";
        let rows = self.db().query_all_raw(sql(self.db(), FIND, [name.into()])).await?;
        let scope = |row: &sea_orm::QueryResult| Ok(WorkspaceScope::of(row.try_get_by_index::<Uuid>(0)?.into()));
        rows.iter().map(scope).collect()
    }
}

impl Reader {
    /// The number of the last event that this follower is done with; 0 before the first.
    pub async fn followed_to(&self, name: &str) -> Result<u64, StorageError> {
        let row = followers::Entity::find_by_id((self.ws(), name.to_owned())).one(&self.conn).await?;
        Ok(row.map_or(0, |row| row.seq.unsigned_abs()))
    }
}

impl Tx {
    /// Moves a follower on from `from` to `to`, and keeps others out until the end of the transaction. `false` if somebody
    /// else has moved it: what `from` was read for is done.
    pub async fn follow(&self, name: &str, from: u64, to: u64) -> Result<bool, StorageError> {
        let [from, to] = [from, to].map(|seq| i64::try_from(seq).unwrap_or(i64::MAX));
        let first = followers::ActiveModel { workspace_id: Set(self.ws()), name: Set(name.to_owned()), seq: Set(0) };
        let known = OnConflict::new().do_nothing().to_owned();
        followers::Entity::insert(first).on_conflict(known).exec_without_returning(&self.conn).await?;
        let row = followers::Entity::find_by_id((self.ws(), name.to_owned())).lock_exclusive().one(&self.conn).await?;
        if row.is_none_or(|row| row.seq != from) {
            return Ok(false);
        }
        let moved = followers::Entity::update_many()
            .col_expr(followers::Column::Seq, Expr::value(to))
            .filter(followers::Column::WorkspaceId.eq(self.ws()))
            .filter(followers::Column::Name.eq(name))
            .exec(&self.conn)
            .await?;
        Ok(moved.rows_affected == 1)
    }
}
