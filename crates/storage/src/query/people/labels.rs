//! The labels that a workspace has, and which contacts have them.
//!
//! Many contacts may have one label. So it is renamed or taken away in batches: what is left to do stands in a row, and whoever
//! comes by goes on with it.

use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use time::OffsetDateTime;
use transom_domain::{ContactId, LabelId, field_key};
use uuid::Uuid;

use super::search::after_prefix;
use super::statement::Sql;
use crate::entity::{contact_labels, label_moves, labels};
use crate::{Reader, StorageError, Tx};

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its id, for pages.
    pub id: LabelId,
    /// Its name, unique in the workspace whatever its case and spacing.
    pub name: String,
}

/// A label that is being renamed, or taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMove {
    /// What contacts have so far.
    pub label: String,
    /// What they get instead, if anything.
    pub becomes: Option<String>,
}

fn key(name: &str) -> Vec<u8> {
    field_key(name).into_bytes()
}

impl From<labels::Model> for Label {
    fn from(row: labels::Model) -> Self {
        Self { id: row.id.into(), name: row.name }
    }
}

impl Reader {
    /// The label of that name, whatever its case and spacing.
    pub async fn label(&self, name: &str) -> Result<Option<Label>, StorageError> {
        let found = self.labels_of_key(name).one(&self.conn).await?;
        Ok(found.map(Into::into))
    }

    fn labels_of_key(&self, name: &str) -> sea_orm::Select<labels::Entity> {
        labels::Entity::find()
            .filter(labels::Column::WorkspaceId.eq(self.ws()))
            .filter(labels::Column::NameKey.eq(key(name)))
    }

    /// Labels whose name begins so, by name; goes on behind `after`.
    pub async fn labels(&self, prefix: &str, after: Option<LabelId>, limit: u32) -> Result<Vec<Label>, StorageError> {
        use labels::Column as C;
        let mut rows = labels::Entity::find().filter(C::WorkspaceId.eq(self.ws()));
        let prefix = key(prefix);
        if !prefix.is_empty() {
            let end = after_prefix(&prefix);
            rows = rows.filter(C::NameKey.gte(prefix)).filter(C::NameKey.lt(end));
        }
        if let Some(after) = after {
            let last = labels::Entity::find_by_id((self.ws(), after.uuid())).one(&self.conn).await?;
            // One that is gone ends the list: the reader begins anew.
            let last = last.map_or_else(|| vec![u8::MAX], |row| row.name_key);
            rows = rows.filter(Expr::col(C::NameKey).gt(last));
        }
        let rows = rows.order_by_asc(C::NameKey).limit(u64::from(limit)).all(&self.conn).await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// How many contacts have a label; counted no further than `most`.
    pub async fn count_labelled(&self, label: &str, most: u32) -> Result<u32, StorageError> {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT count(*) FROM (SELECT 1 FROM contact_labels WHERE workspace_id = $1")
            .with(" AND label = ", label)
            .with(" LIMIT ", i64::from(most))
            .push(") AS labelled");
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
        let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Labels that are being renamed or taken away.
    pub async fn label_moves(&self) -> Result<Vec<LabelMove>, StorageError> {
        let rows = label_moves::Entity::find().filter(label_moves::Column::WorkspaceId.eq(self.ws()));
        let rows = rows.order_by_asc(label_moves::Column::Label).all(&self.conn).await?;
        Ok(rows.into_iter().map(|row| LabelMove { label: row.label, becomes: row.becomes }).collect())
    }
}

impl Tx {
    /// The label of that name, made if it is missing; it can't be renamed or deleted until the end of the transaction.
    pub async fn ensure_label(&self, id: LabelId, name: &str, now: OffsetDateTime) -> Result<Label, StorageError> {
        let row = labels::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(id.uuid()),
            name: Set(name.to_owned()),
            name_key: Set(key(name)),
            created_at: Set(now.into()),
        };
        let known = OnConflict::new().do_nothing().to_owned();
        labels::Entity::insert(row).on_conflict(known).exec_without_returning(&self.conn).await?;
        self.lock_label(name, LockType::KeyShare).await?.ok_or(StorageError::Conflict)
    }

    async fn lock_label(&self, name: &str, lock: LockType) -> Result<Option<Label>, StorageError> {
        let found = self.labels_of_key(name).lock(lock).one(&self.conn).await?;
        Ok(found.map(Into::into))
    }

    /// Puts a label on a contact; `false` if it has it.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if there is no such contact.
    pub async fn label_contact(&self, contact: ContactId, label: &str) -> Result<bool, StorageError> {
        let mut statement = Sql::new("INSERT INTO contact_labels (workspace_id, contact_id, label) VALUES ");
        statement
            .list([sea_orm::Value::from(self.ws()), contact.uuid().into(), label.into()])
            .push(" ON CONFLICT DO NOTHING");
        Ok(self.run(statement).await? == 1)
    }

    /// Takes a label from a contact; `false` if it has none of that name.
    pub async fn unlabel_contact(&self, contact: ContactId, label: &str) -> Result<bool, StorageError> {
        let key = (self.ws(), contact.uuid(), label.to_owned());
        Ok(contact_labels::Entity::delete_by_id(key).exec(&self.conn).await?.rows_affected == 1)
    }

    /// Gives a label another name, or, without one, takes it away; which one it was, `None` if there is none. The contacts
    /// follow with [`go_on_moving_label`](Self::go_on_moving_label).
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if another label has the name.
    pub async fn begin_moving_label(
        &self,
        name: &str,
        becomes: Option<&str>,
    ) -> Result<Option<LabelMove>, StorageError> {
        let Some(label) = self.lock_label(name, LockType::Update).await? else { return Ok(None) };
        let id = label.id.uuid();
        match becomes {
            Some(new) => {
                let mut statement = Sql::new("UPDATE labels SET name = ");
                statement
                    .bind(new)
                    .with(", name_key = ", key(new))
                    .with(" WHERE workspace_id = ", self.ws())
                    .with(" AND id = ", id);
                self.run(statement).await?;
            }
            None => {
                labels::Entity::delete_by_id((self.ws(), id)).exec(&self.conn).await?;
            }
        }
        let moved = LabelMove { label: label.name, becomes: becomes.map(str::to_owned) };
        if moved.becomes.as_ref() != Some(&moved.label) {
            let row = label_moves::ActiveModel {
                workspace_id: Set(self.ws()),
                label: Set(moved.label.clone()),
                becomes: Set(moved.becomes.clone()),
            };
            label_moves::Entity::insert(row).exec_without_returning(&self.conn).await?;
        }
        Ok(Some(moved))
    }

    /// Moves up to `limit` contacts; how many there were. Fewer than `limit` means that it is done.
    pub async fn go_on_moving_label(&self, moved: &LabelMove, limit: u32) -> Result<u64, StorageError> {
        let rows: Vec<Uuid> = contact_labels::Entity::find()
            .select_only()
            .column(contact_labels::Column::ContactId)
            .filter(contact_labels::Column::WorkspaceId.eq(self.ws()))
            .filter(contact_labels::Column::Label.eq(moved.label.as_str()))
            .order_by_asc(contact_labels::Column::ContactId)
            .limit(u64::from(limit))
            .into_tuple()
            .all(&self.conn)
            .await?;
        let count = rows.len() as u64;
        if let (Some(new), false) = (&moved.becomes, rows.is_empty()) {
            let mut statement = Sql::new(
                "INSERT INTO contact_labels (workspace_id, contact_id, label) SELECT workspace_id, contact_id, ",
            );
            statement
                // An untyped value in a list of results would be a text of an unknown sort.
                .push("CAST(")
                .bind(new.as_str())
                .push(" AS text) FROM contact_labels")
                .with(" WHERE workspace_id = ", self.ws())
                .with(" AND label = ", moved.label.as_str())
                .push(" AND contact_id IN ")
                .list(rows.iter().copied())
                .push(" ON CONFLICT DO NOTHING");
            self.run(statement).await?;
        }
        contact_labels::Entity::delete_many()
            .filter(contact_labels::Column::WorkspaceId.eq(self.ws()))
            .filter(contact_labels::Column::Label.eq(moved.label.as_str()))
            .filter(contact_labels::Column::ContactId.is_in(rows))
            .exec(&self.conn)
            .await?;
        if count < u64::from(limit) {
            label_moves::Entity::delete_by_id((self.ws(), moved.label.clone())).exec(&self.conn).await?;
        }
        Ok(count)
    }
}
