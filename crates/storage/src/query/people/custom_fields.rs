//! The fields that a workspace has made for its contacts, and what each contact has in them.

use std::collections::BTreeMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use time::OffsetDateTime;
use transom_domain::{ContactId, CustomField, CustomFieldId, FieldKind, FieldValue, field_key};
use uuid::Uuid;

use super::statement::Sql;
use crate::entity::{contact_fields, custom_fields};
use crate::query::{from_json, millis, to_json, unreadable};
use crate::{Reader, StorageError, Tx};

/// A field with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredField {
    /// The field.
    pub field: CustomField,
    /// For `If-Match`.
    pub version: u64,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// What a contact has in a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactField {
    /// The field.
    pub field: CustomFieldId,
    /// Its name.
    pub name: String,
    /// The value.
    pub value: FieldValue,
}

impl TryFrom<custom_fields::Model> for StoredField {
    type Error = StorageError;

    fn try_from(row: custom_fields::Model) -> Result<Self, StorageError> {
        let place = |column| ("custom_fields", column, row.id);
        let kind = FieldKind::parse(&row.kind);
        Ok(Self {
            field: CustomField {
                id: row.id.into(),
                name: row.name,
                kind: kind.ok_or_else(|| unreadable(place("kind"), format!("`{}` is no kind", row.kind)))?,
                options: from_json(row.options, place("options"))?,
                archived: row.archived,
            },
            version: row.version.unsigned_abs(),
            created_at: row.created_at.at(),
        })
    }
}

impl Reader {
    /// The workspace's fields by name; those that are archived too, if asked for.
    pub async fn custom_fields(&self, archived: bool) -> Result<Vec<StoredField>, StorageError> {
        use custom_fields::Column as C;
        let mut rows = custom_fields::Entity::find().filter(C::WorkspaceId.eq(self.ws()));
        if !archived {
            rows = rows.filter(C::Archived.eq(false));
        }
        let rows = rows.order_by_asc(C::NameKey).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// One field.
    pub async fn custom_field(&self, id: CustomFieldId) -> Result<Option<StoredField>, StorageError> {
        let row = custom_fields::Entity::find_by_id((self.ws(), id.uuid())).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// The field of that name, whatever its case and spacing.
    pub async fn custom_field_named(&self, name: &str) -> Result<Option<StoredField>, StorageError> {
        let row = custom_fields::Entity::find()
            .filter(custom_fields::Column::WorkspaceId.eq(self.ws()))
            .filter(custom_fields::Column::NameKey.eq(field_key(name).into_bytes()))
            .one(&self.conn)
            .await?;
        row.map(TryInto::try_into).transpose()
    }

    /// What each of these contacts has, by the names of the fields; a contact without any is left out.
    pub async fn contact_fields(
        &self,
        contacts: &[ContactId],
    ) -> Result<BTreeMap<ContactId, Vec<ContactField>>, StorageError> {
        let mut found: BTreeMap<ContactId, Vec<ContactField>> = BTreeMap::new();
        for ids in contacts.chunks(500) {
            let mut statement = Sql::of(self);
            statement
                .push("SELECT v.contact_id, f.id, f.name, f.kind, v.value FROM contact_fields v JOIN custom_fields f ")
                .push("ON f.workspace_id = v.workspace_id AND f.id = v.field_id WHERE v.workspace_id = $1 ")
                .push("AND v.contact_id IN ")
                .list(ids.iter().map(|id| id.uuid()))
                .push(" ORDER BY f.name_key");
            for row in self.conn.query_all_raw(statement.on(&self.conn)).await? {
                let (contact, field): (Uuid, Uuid) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let (name, kind, text): (String, String, String) =
                    (row.try_get_by_index(2)?, row.try_get_by_index(3)?, row.try_get_by_index(4)?);
                let value = FieldKind::parse(&kind).and_then(|kind| FieldValue::of_text(kind, &text));
                let place = ("contact_fields", "value", contact);
                let value = value.ok_or_else(|| unreadable(place, format!("it is no {kind}")))?;
                found.entry(contact.into()).or_default().push(ContactField { field: field.into(), name, value });
            }
        }
        Ok(found)
    }
}

impl Tx {
    /// Stores a new field; `false` if there is one of that name.
    pub async fn insert_custom_field(&self, field: &CustomField, now: OffsetDateTime) -> Result<bool, StorageError> {
        let row = custom_fields::ActiveModel {
            workspace_id: Set(self.ws()),
            id: Set(field.id.uuid()),
            name: Set(field.name.clone()),
            name_key: Set(field_key(&field.name).into_bytes()),
            kind: Set(field.kind.as_str().to_owned()),
            options: Set(to_json(&field.options)?),
            archived: Set(field.archived),
            version: Set(1),
            created_at: Set(now.into()),
            updated_at: Set(now.into()),
        };
        let known = OnConflict::new().do_nothing().to_owned();
        Ok(custom_fields::Entity::insert(row).on_conflict(known).exec_without_returning(&self.conn).await? == 1)
    }

    /// Stores name, options and archive of a field; `None` if its version is not `expected` (`None`: whatever it is).
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if another field has the name.
    pub async fn update_custom_field(
        &self,
        field: &CustomField,
        expected: Option<u64>,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let mut statement = Sql::new("UPDATE custom_fields SET name = ");
        statement
            .bind(field.name.as_str())
            .with(", name_key = ", field_key(&field.name).into_bytes())
            .with(", options = ", to_json(&field.options)?)
            .with(", archived = ", field.archived)
            .with(", updated_at = ", millis(now))
            .with(", version = version + 1 WHERE workspace_id = ", self.ws())
            .with(" AND id = ", field.id.uuid());
        if let Some(expected) = expected {
            statement.with(" AND version = ", expected.cast_signed());
        }
        Ok(self.run(statement).await? == 1)
    }

    /// Puts a value into a contact's field, in place of the one that is there.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if contact or field are not there.
    pub async fn set_contact_field(
        &self,
        contact: ContactId,
        field: CustomFieldId,
        value: &FieldValue,
    ) -> Result<(), StorageError> {
        use contact_fields::Column as C;
        let row = contact_fields::ActiveModel {
            workspace_id: Set(self.ws()),
            contact_id: Set(contact.uuid()),
            field_id: Set(field.uuid()),
            value: Set(value.to_string()),
            sort_key: Set(value.sort_key()),
        };
        let changed = OnConflict::columns([C::WorkspaceId, C::ContactId, C::FieldId])
            .update_columns([C::Value, C::SortKey])
            .to_owned();
        contact_fields::Entity::insert(row).on_conflict(changed).exec_without_returning(&self.conn).await?;
        Ok(())
    }

    /// Empties a contact's field; `false` if it was.
    pub async fn clear_contact_field(&self, contact: ContactId, field: CustomFieldId) -> Result<bool, StorageError> {
        let key = (self.ws(), contact.uuid(), field.uuid());
        Ok(contact_fields::Entity::delete_by_id(key).exec(&self.conn).await?.rows_affected == 1)
    }
}
