//! Who a customer is on each account, and the addresses that say so.

use sea_orm::sea_query::LockType;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value};
use time::OffsetDateTime;
use transom_domain::{Address, ChannelAccountId, ContactId, Identity, IdentityId, Profile};
use uuid::Uuid;

use super::statement::Sql;
use super::{marks, search};
use crate::entity::{aliases, identities, identity_addresses};
use crate::query::{from_json, millis, to_json};
use crate::{Reader, StorageError, Tx};

pub(super) const INSERT_ADDRESSES: &str =
    "INSERT INTO identity_addresses (workspace_id, account_id, kind, value, identity_id) VALUES ";
pub(super) const INSERT_IDENTITY: &str = "INSERT INTO identities (workspace_id, id, contact_id, account_id, addresses, facts, created_at, \
                               updated_at)";

/// In one order for everybody, so that two who bring the same addresses wait for each other instead of for ever.
pub(super) fn sorted(addresses: &[Address]) -> Result<Vec<Address>, StorageError> {
    let mut sorted = addresses.to_vec();
    sorted.sort();
    sorted.dedup();
    match sorted.is_empty() {
        true => Err(StorageError::Database("an identity needs at least one address".to_owned())),
        false => Ok(sorted),
    }
}

impl TryFrom<identities::Model> for Identity {
    type Error = StorageError;

    fn try_from(row: identities::Model) -> Result<Self, StorageError> {
        Ok(Self {
            id: row.id.into(),
            contact: row.contact_id.into(),
            account: row.account_id.into(),
            addresses: from_json(row.addresses, ("identities", "addresses", row.id))?,
        })
    }
}

impl Reader {
    /// One identity. The id of one that was joined to another gives that other.
    pub async fn identity(&self, id: IdentityId) -> Result<Option<Identity>, StorageError> {
        match self.identity_row(id.uuid(), false).await? {
            Some(row) => Ok(Some(row.try_into()?)),
            None => match self.alias(id.uuid()).await? {
                Some(target) => self.identity_row(target, false).await?.map(TryInto::try_into).transpose(),
                None => Ok(None),
            },
        }
    }

    pub(super) async fn identity_row(&self, id: Uuid, lock: bool) -> Result<Option<identities::Model>, StorageError> {
        let mut row = identities::Entity::find_by_id((self.ws(), id));
        if lock {
            row = row.lock(LockType::NoKeyUpdate);
        }
        Ok(row.one(&self.conn).await?)
    }

    /// What an id stands for that was joined to another.
    pub(super) async fn alias(&self, id: Uuid) -> Result<Option<Uuid>, StorageError> {
        let row = aliases::Entity::find_by_id((self.ws(), id)).one(&self.conn).await?;
        Ok(row.map(|row| row.target_id))
    }

    /// Everything that a contact is, oldest first.
    pub async fn identities_of(&self, contact: ContactId) -> Result<Vec<Identity>, StorageError> {
        let rows = identities::Entity::find()
            .filter(identities::Column::WorkspaceId.eq(self.ws()))
            .filter(identities::Column::ContactId.eq(contact.uuid()))
            .order_by_asc(identities::Column::Id)
            .all(&self.conn)
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The person that an account knows by an address.
    pub async fn identity_by_address(
        &self,
        account: ChannelAccountId,
        kind: &str,
        value: &str,
    ) -> Result<Option<Identity>, StorageError> {
        let key = (self.ws(), account.uuid(), kind.to_owned(), value.to_owned());
        let Some(address) = identity_addresses::Entity::find_by_id(key).one(&self.conn).await? else { return Ok(None) };
        self.identity_row(address.identity_id, false).await?.map(TryInto::try_into).transpose()
    }
}

impl Tx {
    /// An identity, locked until the end of the transaction. The id of one that was joined to another gives that other.
    pub async fn lock_identity(&self, id: IdentityId) -> Result<Option<Identity>, StorageError> {
        match self.identity_row(id.uuid(), true).await? {
            Some(row) => Ok(Some(row.try_into()?)),
            None => match self.alias(id.uuid()).await? {
                Some(target) => self.identity_row(target, true).await?.map(TryInto::try_into).transpose(),
                None => Ok(None),
            },
        }
    }

    /// Stores an identity of an existing contact.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if the id or one of the addresses is taken.
    pub async fn insert_identity(&self, identity: &Identity, now: OffsetDateTime) -> Result<(), StorageError> {
        let addresses = sorted(&identity.addresses)?;
        let mut statement = Sql::new(INSERT_IDENTITY);
        statement.push(" VALUES ").list(self.identity_values(identity, String::new(), now)?);
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        let mut statement = Sql::new(INSERT_ADDRESSES);
        self.address_rows(&mut statement, identity.account.uuid(), identity.id.uuid(), &addresses);
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        self.add_terms(identity.contact.uuid(), &search::terms(None, &Profile::default(), &addresses)).await
    }

    /// The values of [`INSERT_IDENTITY`].
    pub(super) fn identity_values(
        &self,
        identity: &Identity,
        facts: String,
        now: OffsetDateTime,
    ) -> Result<[Value; 8], StorageError> {
        Ok([
            self.ws().into(),
            identity.id.uuid().into(),
            identity.contact.uuid().into(),
            identity.account.uuid().into(),
            to_json(&identity.addresses)?.into(),
            facts.into(),
            millis(now),
            millis(now),
        ])
    }

    pub(super) async fn save_addresses(
        &self,
        identity: Uuid,
        addresses: &serde_json::Value,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut statement = Sql::new("UPDATE identities SET addresses = ");
        statement
            .bind(addresses.clone())
            .with(", updated_at = ", millis(now))
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", identity);
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }

    /// The rows of [`INSERT_ADDRESSES`].
    pub(super) fn address_rows<'a>(
        &self,
        statement: &mut Sql,
        account: Uuid,
        identity: Uuid,
        addresses: impl IntoIterator<Item = &'a Address>,
    ) {
        for (at, address) in addresses.into_iter().enumerate() {
            statement.push(if at == 0 { "" } else { ", " }).list([
                Value::from(self.ws()),
                account.into(),
                address.kind.as_str().into(),
                address.value.as_str().into(),
                identity.into(),
            ]);
        }
    }

    /// Rows of `contact_terms`, but for the marks.
    fn term_rows(&self, contact: Uuid, terms: &[Vec<u8>]) -> impl Iterator<Item = [Value; 3]> {
        let workspace = self.ws();
        terms.iter().map(move |term| [workspace.into(), term.clone().into(), contact.into()])
    }

    /// Lets searches find a contact by these terms as well.
    pub(super) async fn add_terms(&self, contact: Uuid, terms: &[Vec<u8>]) -> Result<(), StorageError> {
        if terms.is_empty() {
            return Ok(());
        }
        self.add_marks(contact, marks::of_terms(terms)).await?;
        let mut statement =
            Sql::new("INSERT INTO contact_terms (workspace_id, term, contact_id, marks) SELECT new.*, ");
        statement
            .push(&self.marks_of("new.column1", "new.column3"))
            .push(" FROM (VALUES ")
            .rows(self.term_rows(contact, terms))
            // Without `WHERE` SQLite would take what follows for the condition of a join.
            .push(") AS new WHERE 1 = 1 ON CONFLICT DO NOTHING");
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }
}
