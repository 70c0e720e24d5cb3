//! Contacts: read, edited by agents, labelled, listed.

use std::collections::BTreeMap;

use futures_util::future::try_join;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter,
    QueryOrder, QueryResult,
};
use time::OffsetDateTime;
use transom_domain::{Address, Contact, ContactId, Identity};
use uuid::Uuid;

use super::custom_fields::ContactField;
use super::profile::{self, Source, ToldProfile};
use super::statement::{Sql, columns, is_one_of, on_postgres};
use super::{marks, search};
use crate::entity::{contacts, identities};
use crate::query::{from_json, millis};
use crate::{Reader, StorageError, Tx};

/// A contact with everything that a list shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContact {
    /// The contact.
    pub contact: Contact,
    /// Who it is on each account, oldest first.
    pub identities: Vec<Identity>,
    /// Its labels, in order.
    pub labels: Vec<String>,
    /// What it has in the workspace's own fields, by their names.
    pub fields: Vec<ContactField>,
    /// By field of the profile, who wrote it.
    pub sources: BTreeMap<String, Source>,
    /// For `If-Match`: changes with name, profile, fields and block.
    pub version: u64,
    /// When one of those last changed.
    pub updated_at: OffsetDateTime,
}

impl StoredContact {
    /// Whether the contact has this very address: the terms of a search are shortened, and of one kind for all.
    fn is_named(&self, name: &Address) -> bool {
        let profile = &self.contact.profile;
        let told = match name.kind.as_str() {
            "phone" => profile.phone.as_deref(),
            "email" => profile.email.as_deref(),
            "external_id" => profile.external_id.as_deref(),
            _ => None,
        };
        let of_channels = self.identities.iter().flat_map(|identity| &identity.addresses);
        let of_channels = of_channels.filter(|address| address.kind == name.kind).map(|address| address.value.as_str());
        of_channels.chain(told).any(|value| search::is_same(&name.kind, value, &name.value))
    }
}

/// A row with its labels.
struct Row {
    contact: contacts::Model,
    labels: serde_json::Value,
}

impl FromQueryResult for Row {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        Ok(Self { contact: contacts::Model::from_query_result(row, prefix)?, labels: row.try_get(prefix, "labels")? })
    }
}

impl Row {
    fn stored(self, identities: Vec<Identity>, fields: Vec<ContactField>) -> Result<StoredContact, StorageError> {
        let Self { contact: row, labels } = self;
        let sources = profile::sources(&row.profile, &row.profile_by);
        Ok(StoredContact {
            fields,
            sources,
            contact: Contact {
                id: row.id.into(),
                display_name: row.display_name,
                profile: from_json(row.profile, ("contacts", "profile", row.id))?,
                blocked: row.blocked,
                created_at: row.created_at.at(),
            },
            identities,
            labels: from_json(labels, ("contact_labels", "label", row.id))?,
            version: row.version.unsigned_abs(),
            updated_at: row.updated_at.at(),
        })
    }
}

impl Reader {
    pub(super) async fn contact_row(&self, id: Uuid) -> Result<Option<contacts::Model>, StorageError> {
        Ok(contacts::Entity::find_by_id((self.ws(), id)).one(&self.conn).await?)
    }

    /// One contact. The id of one that was joined to another gives that other.
    pub async fn contact(&self, id: ContactId) -> Result<Option<StoredContact>, StorageError> {
        let found = self.contact_of_id(id.uuid()).await?;
        match found {
            Some(found) => Ok(Some(found)),
            None => match self.alias(id.uuid()).await? {
                Some(target) => self.contact_of_id(target).await,
                None => Ok(None),
            },
        }
    }

    async fn contact_of_id(&self, id: Uuid) -> Result<Option<StoredContact>, StorageError> {
        let mut statement = Sql::of(self);
        self.select_contacts(&mut statement);
        statement.with(" AND c.id = ", id);
        Ok(self.stored_contacts(statement).await?.pop())
    }

    /// `SELECT … FROM contacts c WHERE c.workspace_id = $1`.
    fn select_contacts(&self, statement: &mut Sql) {
        let labels =
            self.json_list("l.label", "contact_labels l WHERE l.workspace_id = c.workspace_id AND l.contact_id = c.id");
        let columns = columns::<contacts::Entity>("c");
        statement.push(&format!("SELECT {columns}, {labels} AS labels FROM contacts c WHERE c.workspace_id = $1"));
    }

    /// The same for the contacts whose ids `page` selects; ` ORDER BY` is left to the caller.
    pub(super) fn select_contacts_of(&self, statement: &mut Sql, page: impl FnOnce(&mut Sql)) {
        let labels =
            self.json_list("l.label", "contact_labels l WHERE l.workspace_id = c.workspace_id AND l.contact_id = c.id");
        statement.push(&format!("SELECT {}, {labels} AS labels FROM (", columns::<contacts::Entity>("c")));
        page(statement);
        statement.push(") AS k CROSS JOIN contacts c WHERE c.workspace_id = $1 AND c.id = k.id");
    }

    /// A sub-select of many values as one JSON list, in order.
    pub(super) fn json_list(&self, value: &str, from: &str) -> String {
        if on_postgres(self) {
            format!("(SELECT coalesce(jsonb_agg({value} ORDER BY {value}), '[]') FROM {from})")
        } else {
            format!("(SELECT json_group_array({value} ORDER BY {value}) FROM {from})")
        }
    }

    pub(super) async fn stored_contacts(&self, statement: Sql) -> Result<Vec<StoredContact>, StorageError> {
        let rows = Row::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        let ids: Vec<ContactId> = rows.iter().map(|row| row.contact.id.into()).collect();
        let identities = identities::Entity::find()
            .filter(identities::Column::WorkspaceId.eq(self.ws()))
            .filter(identities::Column::ContactId.is_in(ids.iter().map(|id| id.uuid())))
            .order_by_asc(identities::Column::Id)
            .all(&self.conn);
        let identities = async { Ok(identities.await?) };
        let (identities, mut fields) = try_join(identities, self.contact_fields(&ids)).await?;
        let mut by_contact: BTreeMap<Uuid, Vec<Identity>> = BTreeMap::new();
        for row in identities {
            by_contact.entry(row.contact_id).or_default().push(row.try_into()?);
        }
        let stored = |row: Row| {
            let identities = by_contact.remove(&row.contact.id).unwrap_or_default();
            let fields = fields.remove(&row.contact.id.into()).unwrap_or_default();
            row.stored(identities, fields)
        };
        rows.into_iter().map(stored).collect()
    }

    /// The contact that an address names, on whichever channel or in its profile: a phone number with `+` (kind `phone`), an
    /// email address (kind `email`), any other kind as channels know it.
    ///
    /// Nothing forbids two contacts of one number: of several it is one that is blocked, else the oldest.
    pub async fn contact_named(&self, name: &Address) -> Result<Option<ContactId>, StorageError> {
        let found = self.stored_contacts(self.select_named(name)).await?;
        Ok(found.iter().find(|stored| stored.is_named(name)).map(|stored| stored.contact.id))
    }

    /// Every contact that an address names, the oldest first.
    pub async fn contacts_named(&self, name: &Address, limit: u32) -> Result<Vec<StoredContact>, StorageError> {
        let mut statement = self.select_named(name);
        statement.with(" LIMIT ", i64::from(limit));
        let mut found = self.stored_contacts(statement).await?;
        found.retain(|stored| stored.is_named(name));
        Ok(found)
    }

    pub(super) fn select_named(&self, name: &Address) -> Sql {
        let mut statement = Sql::of(self);
        search::with_named(&mut statement, name);
        self.select_contacts(&mut statement);
        statement
            .push(" AND ")
            .push(&is_one_of(self, "c.id", "SELECT contact_id FROM named"))
            .push(" ORDER BY c.blocked DESC, c.created_at, c.id");
        statement
    }
}

impl Tx {
    /// Stores a new contact.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if the id is taken.
    pub async fn insert_contact(&self, contact: &Contact, now: OffsetDateTime) -> Result<(), StorageError> {
        let (profile, profile_at) = ToldProfile::fields(&contact.profile, now)?;
        let profile_by = profile::by_hand(&profile);
        let terms = search::terms(contact.display_name.as_deref(), &contact.profile, []);
        let row = contacts::Model {
            workspace_id: self.ws(),
            id: contact.id.uuid(),
            display_name: contact.display_name.clone(),
            profile,
            profile_at,
            profile_until: now.into(),
            profile_by,
            blocked: contact.blocked,
            marks: marks::of_terms(&terms),
            version: 1,
            created_at: contact.created_at.into(),
            updated_at: now.into(),
        };
        let row = row.into_active_model().reset_all();
        contacts::Entity::insert(row).exec_without_returning(&self.conn).await?;
        self.add_terms(contact.id.uuid(), &terms).await
    }

    /// Stores name, profile and block of a contact as a person has edited them; the new version, or `None` if there is no
    /// such contact or its version is not `expected` (`None`: whatever it is).
    ///
    /// Fields of the profile that differ count as told now: an older event that comes later changes them no more.
    pub async fn update_contact(
        &self,
        contact: &Contact,
        expected: Option<u64>,
        now: OffsetDateTime,
    ) -> Result<Option<u64>, StorageError> {
        let id = contact.id.uuid();
        let mut select = Sql::new("SELECT ");
        select
            .push(&columns::<contacts::Entity>("c"))
            .with(" FROM contacts c WHERE c.workspace_id = ", self.ws())
            .with(" AND c.id = ", id)
            .push(if on_postgres(self) { " FOR NO KEY UPDATE" } else { "" });
        let row = contacts::Model::find_by_statement(select.on(&self.conn)).one(&self.conn).await?;
        let Some(row) = row.filter(|row| expected.is_none_or(|expected| row.version.unsigned_abs() == expected)) else {
            return Ok(None);
        };
        let mut profile = ToldProfile::of(&row)?;
        profile.edit(&contact.profile, now)?;
        let mut update = Sql::new("UPDATE contacts SET ");
        profile.assign(&mut update);
        update
            .with(", display_name = ", contact.display_name.clone())
            .with(", blocked = ", contact.blocked)
            .with(", updated_at = ", millis(now))
            .push(", version = version + 1")
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", id);
        self.conn.execute_raw(update.on(&self.conn)).await?;
        self.rewrite_terms(id).await?;
        Ok(Some(row.version.unsigned_abs() + 1))
    }

    /// Notes that what is known of a new contact was written by a person, not told by a platform.
    pub async fn note_written_by_hand(&self, contact: ContactId) -> Result<(), StorageError> {
        let Some(row) = self.contact_row(contact.uuid()).await? else { return Ok(()) };
        let mut statement = Sql::new("UPDATE contacts SET profile_by = ");
        statement
            .bind(profile::by_hand(&row.profile))
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", row.id);
        self.run(statement).await?;
        Ok(())
    }
}
