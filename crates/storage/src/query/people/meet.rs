//! Who writes to us: a person met by an address, found or made.
//!
//! The unique address decides: of fifty first messages one makes the person and the others find them. Addresses that turn
//! out to belong to one person [join](super::join) what was kept apart.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Value,
};
use time::OffsetDateTime;
use transom_domain::{Address, ChannelAccountId, ContactId, Identity, IdentityId, Profile};
use transom_windows::Person;
use uuid::Uuid;

use super::facts::read_facts;
use super::profile::ToldProfile;
use super::search;
use super::statement::{Sql, on_postgres};
use crate::query::{from_json, millis, to_json};
use crate::entity::{aliases, identities, identity_addresses};
use crate::instant::Millis;
use crate::{Reader, StorageError, Tx};

/// Two rounds settle every race that was seen; more only if others keep joining the same people.
const ROUNDS: usize = 6;
/// How many people one statement looks up.
const CHUNK: usize = 32;

/// What an event tells of the person behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonSeed {
    /// The id of the identity, if it is made.
    pub identity: IdentityId,
    /// The id of the contact, if it is made; one that exists is used as it is.
    pub contact: ContactId,
    /// The account that they are known on.
    pub account: ChannelAccountId,
    /// How the platform names them; at least one. The first is the preferred one.
    pub addresses: Vec<Address>,
    /// What the event tells of them.
    pub profile: Profile,
    /// When it happened, by the platform's clock: of two profiles the newer wins, field by field.
    pub at: OffsetDateTime,
}

/// The person of a [`PersonSeed`], found or made, locked until the end of the transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Met {
    /// Who they are on the account.
    pub identity: Identity,
    /// The customer.
    pub contact: ContactId,
    /// What the rule engine keeps of them.
    pub facts: Person,
    /// Whether the contact was made.
    pub new_contact: bool,
    /// Whether the identity was made.
    pub new_identity: bool,
    /// Identities that turned out to be this one; their ids still find it.
    pub joined: Vec<IdentityId>,
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
            row = row.lock(sea_orm::sea_query::LockType::NoKeyUpdate);
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

    /// Everybody whom the addresses name, oldest first, locked in that order; on PostgreSQL it also notes a profile that is
    /// told again, later.
    pub(super) fn select_known(&self, seed: &PersonSeed, addresses: &[Address]) -> Result<Sql, StorageError> {
        let mut statement = Sql::new("");
        let tells = on_postgres(self) && !seed.profile.is_empty();
        if tells {
            statement.push("WITH met AS (");
        }
        statement
            .push("SELECT i.id, i.contact_id, i.account_id, i.addresses, i.facts, c.profile, c.profile_at, c.profile_until")
            .push(if tells { "" } else { ", FALSE AS told" })
            .push(" FROM identities i JOIN contacts c ON c.workspace_id = i.workspace_id AND c.id = i.contact_id")
            .with(" WHERE i.workspace_id = ", self.ws())
            .push(" AND i.id IN (SELECT identity_id FROM identity_addresses WHERE workspace_id = $1")
            .with(" AND account_id = ", seed.account.uuid())
            .push(" AND (");
        for (at, address) in addresses.iter().enumerate() {
            statement.push(if at == 0 { "kind = " } else { " OR kind = " }).bind(address.kind.as_str());
            statement.with(" AND value = ", address.value.as_str());
        }
        statement.push(")) ORDER BY i.id");
        if on_postgres(self) {
            statement.push(" FOR NO KEY UPDATE OF i, c");
        }
        if tells {
            // The common case in the same round trip: nothing new, told again later.
            let (fields, at) = ToldProfile::fields(&seed.profile, seed.at)?;
            statement
                .with("), told AS (UPDATE contacts c SET profile_at = c.profile_at || ", at)
                .with(", profile_until = ", millis(seed.at))
                .push(" FROM met WHERE c.workspace_id = $1 AND c.id = met.contact_id")
                .with(" AND c.profile @> ", fields)
                .with(" AND c.profile_until <= ", millis(seed.at))
                .push(" RETURNING c.id) SELECT met.*, EXISTS (SELECT 1 FROM told WHERE told.id = met.contact_id) AS told ")
                .push("FROM met ORDER BY met.id");
        }
        Ok(statement)
    }

    /// Everybody whom the seeds' addresses name, locked in the order of their ids.
    pub(super) fn select_known_by_address(&self, seeds: &[PersonSeed]) -> Sql {
        let mut statement = Sql::new(
            "SELECT i.id, i.contact_id, i.account_id, i.addresses, i.facts, c.profile, c.profile_at, c.profile_until, \
             FALSE AS told FROM identities i JOIN contacts c ON c.workspace_id = i.workspace_id AND c.id = i.contact_id",
        );
        statement
            .with(" WHERE i.workspace_id = ", self.ws())
            .push(" AND i.id IN (SELECT identity_id FROM identity_addresses WHERE workspace_id = $1 AND (");
        let addresses = seeds.iter().flat_map(|seed| seed.addresses.iter().map(|address| (seed.account, address)));
        for (at, (account, address)) in addresses.enumerate() {
            statement
                .push(if at == 0 { "account_id = " } else { " OR account_id = " })
                .bind(account.uuid())
                .with(" AND kind = ", address.kind.as_str())
                .with(" AND value = ", address.value.as_str());
        }
        statement.push(")) ORDER BY i.id");
        if on_postgres(self) {
            statement.push(" FOR NO KEY UPDATE OF i, c");
        }
        statement
    }
}

/// A known person with what their contact was told.
#[derive(Debug, Clone, FromQueryResult)]
pub(super) struct KnownRow {
    pub(super) id: Uuid,
    pub(super) contact_id: Uuid,
    pub(super) account_id: Uuid,
    pub(super) addresses: serde_json::Value,
    pub(super) facts: String,
    pub(super) profile: serde_json::Value,
    pub(super) profile_at: serde_json::Value,
    pub(super) profile_until: Millis,
    /// Whether the same statement has already noted that the profile was told again.
    told: bool,
}

impl KnownRow {
    fn addresses(&self) -> Result<Vec<Address>, StorageError> {
        from_json(self.addresses.clone(), ("identities", "addresses", self.id))
    }

    pub(super) fn profile(&self) -> Result<ToldProfile, StorageError> {
        ToldProfile::read(self.contact_id, &self.profile, &self.profile_at, self.profile_until)
    }

    fn met(&self) -> Result<Met, StorageError> {
        let identity = Identity {
            id: self.id.into(),
            contact: self.contact_id.into(),
            account: self.account_id.into(),
            addresses: self.addresses()?,
        };
        let facts = read_facts(self.id, &self.facts)?;
        Ok(Met {
            contact: identity.contact,
            identity,
            facts,
            new_contact: false,
            new_identity: false,
            joined: Vec::new(),
        })
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

    /// Finds or makes the person that an event came from; identity and contact are locked until the end of the transaction.
    ///
    /// Unknown addresses are added. Identities that the addresses show to be one are joined: the oldest stays, and the others'
    /// conversations, facts and addresses become its own. The contact's `display_name` is never touched.
    ///
    /// # Errors
    /// [`StorageError::Database`] for a seed without address.
    pub async fn meet(&self, seed: &PersonSeed, now: OffsetDateTime) -> Result<Met, StorageError> {
        let addresses = seed.sorted_addresses()?;
        let mut made = Made { contact: false, addresses: 0 };
        let mut joined: Vec<IdentityId> = Vec::new();
        for _ in 0..ROUNDS {
            let mut known = self.known(seed, &addresses).await?;
            let Some(mut person) = (!known.is_empty()).then(|| known.remove(0)) else {
                made = self.make_person(seed, &addresses, now).await?;
                if made.contact && made.addresses == addresses.len() {
                    return seed.met();
                }
                // Others were faster, or the contact was there: what is stored counts.
                continue;
            };
            if !known.is_empty() {
                for gone in known {
                    self.join(&mut person, &gone, now).await?;
                    joined.push(gone.id.into());
                }
                continue;
            }
            if self.add_addresses(&mut person, seed, now).await? {
                self.tell_profile(&person, seed, now).await?;
                let met = person.met()?;
                joined.retain(|id| *id != seed.identity);
                return Ok(Met {
                    new_contact: made.contact && met.contact == seed.contact,
                    new_identity: made.addresses > 0 && met.identity.id == seed.identity,
                    joined,
                    ..met
                });
            }
        }
        Err(StorageError::Conflict)
    }

    /// [`meet`](Self::meet) for many people at once, in the order of the seeds: `None` for whoever has an address that is not
    /// known yet, or belongs to somebody else as well; nothing was changed for them.
    pub async fn meet_known(&self, seeds: &[PersonSeed], now: OffsetDateTime) -> Result<Vec<Option<Met>>, StorageError> {
        let mut met = Vec::with_capacity(seeds.len());
        for seeds in seeds.chunks(CHUNK) {
            let known = self.known_by_address(seeds).await?;
            let mut told: BTreeMap<Uuid, ToldProfile> = BTreeMap::new();
            for seed in seeds {
                let found = seed.addresses.iter().map(|address| known.get(&(seed.account.uuid(), address.clone())));
                let mut found = found.collect::<Option<Vec<&KnownRow>>>().unwrap_or_default();
                found.dedup_by_key(|row| row.id);
                let [person] = found.as_slice() else {
                    met.push(None);
                    continue;
                };
                if let std::collections::btree_map::Entry::Vacant(profile) = told.entry(person.contact_id) {
                    profile.insert(person.profile()?);
                }
                if let Some(profile) = told.get_mut(&person.contact_id) {
                    profile.tell(&seed.profile, seed.at)?;
                }
                met.push(Some(person.met()?));
            }
            for (contact, profile) in &told {
                self.save_profile(*contact, profile, now).await?;
            }
        }
        Ok(met)
    }

    /// Everybody whom the addresses name, oldest first, locked in that order.
    async fn known(&self, seed: &PersonSeed, addresses: &[Address]) -> Result<Vec<KnownRow>, StorageError> {
        let statement = self.select_known(seed, addresses)?;
        Ok(KnownRow::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?)
    }

    /// Everybody whom the seeds' addresses name, by account and address, locked in the order of their ids.
    async fn known_by_address(
        &self,
        seeds: &[PersonSeed],
    ) -> Result<BTreeMap<(Uuid, Address), KnownRow>, StorageError> {
        let statement = self.select_known_by_address(seeds);
        let mut known = BTreeMap::new();
        for row in KnownRow::find_by_statement(statement.on(&self.conn)).all(&self.conn).await? {
            for address in row.addresses()? {
                known.insert((row.account_id, address), row.clone());
            }
        }
        Ok(known)
    }

    /// Adds the addresses that the person was not known by; `false` if one of them is somebody else's meanwhile.
    async fn add_addresses(
        &self,
        person: &mut KnownRow,
        seed: &PersonSeed,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let mut addresses = person.addresses()?;
        let mut unknown: Vec<&Address> = seed.addresses.iter().filter(|address| !addresses.contains(address)).collect();
        if unknown.is_empty() {
            return Ok(true);
        }
        addresses.extend(unknown.iter().map(|address| (*address).clone()));
        unknown.sort();
        unknown.dedup();
        let mut statement = Sql::new(INSERT_ADDRESSES);
        self.address_rows(&mut statement, seed.account.uuid(), person.id, unknown.iter().copied());
        // Those that are this person's already are counted as well.
        statement.push(
            " ON CONFLICT (workspace_id, account_id, kind, value) DO UPDATE SET identity_id = excluded.identity_id \
             WHERE identity_addresses.identity_id = excluded.identity_id",
        );
        let added = self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected();
        if added != unknown.len() as u64 {
            return Ok(false);
        }
        person.addresses = to_json(&addresses)?;
        self.save_addresses(person.id, &person.addresses, now).await?;
        self.add_terms(person.contact_id, &search::terms(None, &Profile::default(), unknown)).await?;
        Ok(true)
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

    fn address_rows<'a>(
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

    /// Notes what an event tells of the person.
    async fn tell_profile(&self, person: &KnownRow, seed: &PersonSeed, now: OffsetDateTime) -> Result<(), StorageError> {
        if person.told || seed.profile.is_empty() {
            return Ok(());
        }
        let mut profile = person.profile()?;
        profile.tell(&seed.profile, seed.at)?;
        self.save_profile(person.contact_id, &profile, now).await
    }

    /// Makes contact and identity, unless all addresses are somebody's already.
    async fn make_person(
        &self,
        seed: &PersonSeed,
        addresses: &[Address],
        now: OffsetDateTime,
    ) -> Result<Made, StorageError> {
        if on_postgres(self) {
            return self.make_person_at_once(seed, addresses, now).await;
        }
        // The writer is alone: nobody can be faster.
        let contact = self.insert_person_contact(seed, now).await?;
        let identity = Identity {
            id: seed.identity,
            contact: seed.contact,
            account: seed.account,
            addresses: seed.addresses.clone(),
        };
        self.insert_identity(&identity, now).await?;
        if contact {
            self.add_terms(seed.contact.uuid(), &search::terms(None, &seed.profile, &seed.addresses)).await?;
        }
        Ok(Made { contact, addresses: addresses.len() })
    }

    async fn insert_person_contact(&self, seed: &PersonSeed, now: OffsetDateTime) -> Result<bool, StorageError> {
        let mut statement = Sql::new(INSERT_CONTACT);
        statement.push(" VALUES ").list(self.contact_values(seed, now)?).push(" ON CONFLICT DO NOTHING");
        Ok(self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() == 1)
    }

    fn contact_values(&self, seed: &PersonSeed, now: OffsetDateTime) -> Result<[Value; 9], StorageError> {
        let (profile, profile_at) = ToldProfile::fields(&seed.profile, seed.at)?;
        Ok([
            self.ws().into(),
            seed.contact.uuid().into(),
            profile.into(),
            profile_at.into(),
            millis(seed.at),
            false.into(),
            millis(now),
            millis(now),
            1_i64.into(),
        ])
    }

    /// One round trip: whoever wins an address makes the rest.
    async fn make_person_at_once(
        &self,
        seed: &PersonSeed,
        addresses: &[Address],
        now: OffsetDateTime,
    ) -> Result<Made, StorageError> {
        let mut statement = Sql::new("WITH won AS (");
        statement.push(INSERT_ADDRESSES);
        self.address_rows(&mut statement, seed.account.uuid(), seed.identity.uuid(), addresses);
        statement.push(" ON CONFLICT DO NOTHING RETURNING 1), made AS (").push(INSERT_CONTACT).push(" SELECT ");
        for (at, value) in self.contact_values(seed, now)?.into_iter().enumerate() {
            statement.push(if at == 0 { "" } else { ", " }).bind(value);
        }
        statement.push(" WHERE EXISTS (SELECT 1 FROM won) ON CONFLICT DO NOTHING RETURNING 1), known AS (");
        statement.push(INSERT_IDENTITY).push(" SELECT ");
        for (at, value) in self.identity_values(seed, now)?.into_iter().enumerate() {
            statement.push(if at == 0 { "" } else { ", " }).bind(value);
        }
        statement.push(" WHERE EXISTS (SELECT 1 FROM won))");
        let terms = search::terms(None, &seed.profile, &seed.addresses);
        if !terms.is_empty() {
            statement.push(", found AS (INSERT INTO contact_terms (workspace_id, term, contact_id) SELECT * FROM (VALUES ");
            self.term_rows(&mut statement, seed.contact.uuid(), &terms);
            statement.push(") AS terms WHERE EXISTS (SELECT 1 FROM made))");
        }
        statement.push(" SELECT (SELECT count(*) FROM won) AS won, EXISTS (SELECT 1 FROM made) AS made");
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
        let Some(row) = row else { return Ok(Made { contact: false, addresses: 0 }) };
        let won: i64 = row.try_get("", "won")?;
        Ok(Made { contact: row.try_get("", "made")?, addresses: usize::try_from(won).unwrap_or_default() })
    }

    fn identity_values(&self, seed: &PersonSeed, now: OffsetDateTime) -> Result<[Value; 8], StorageError> {
        Ok([
            self.ws().into(),
            seed.identity.uuid().into(),
            seed.contact.uuid().into(),
            seed.account.uuid().into(),
            to_json(&seed.addresses)?.into(),
            "".into(),
            millis(now),
            millis(now),
        ])
    }

    /// Stores an identity of an existing contact.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if the id or one of the addresses is taken.
    pub async fn insert_identity(&self, identity: &Identity, now: OffsetDateTime) -> Result<(), StorageError> {
        let seed = PersonSeed {
            identity: identity.id,
            contact: identity.contact,
            account: identity.account,
            addresses: identity.addresses.clone(),
            profile: Profile::default(),
            at: now,
        };
        let addresses = seed.sorted_addresses()?;
        let mut statement = Sql::new(INSERT_IDENTITY);
        statement.push(" VALUES ").list(self.identity_values(&seed, now)?);
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        let mut statement = Sql::new(INSERT_ADDRESSES);
        self.address_rows(&mut statement, seed.account.uuid(), seed.identity.uuid(), &addresses);
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        self.add_terms(seed.contact.uuid(), &search::terms(None, &seed.profile, &addresses)).await
    }

    fn term_rows(&self, statement: &mut Sql, contact: Uuid, terms: &[Vec<u8>]) {
        for (at, term) in terms.iter().enumerate() {
            let row = [Value::from(self.ws()), term.clone().into(), contact.into()];
            statement.push(if at == 0 { "" } else { ", " }).list(row);
        }
    }

    /// Lets searches find a contact by these terms as well.
    pub(super) async fn add_terms(&self, contact: Uuid, terms: &[Vec<u8>]) -> Result<(), StorageError> {
        if terms.is_empty() {
            return Ok(());
        }
        let mut statement = Sql::new("INSERT INTO contact_terms (workspace_id, term, contact_id) VALUES ");
        self.term_rows(&mut statement, contact, terms);
        statement.push(" ON CONFLICT DO NOTHING");
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }
}

const INSERT_ADDRESSES: &str = "INSERT INTO identity_addresses (workspace_id, account_id, kind, value, identity_id) VALUES ";
const INSERT_CONTACT: &str = "INSERT INTO contacts (workspace_id, id, profile, profile_at, profile_until, blocked, created_at, \
                              updated_at, version)";
const INSERT_IDENTITY: &str = "INSERT INTO identities (workspace_id, id, contact_id, account_id, addresses, facts, created_at, \
                               updated_at)";

/// What [`Tx::make_person`] did.
struct Made {
    contact: bool,
    /// How many addresses were free.
    addresses: usize,
}

impl PersonSeed {
    /// In one order for everybody, so that two who bring the same addresses wait for each other instead of for ever.
    fn sorted_addresses(&self) -> Result<Vec<Address>, StorageError> {
        let mut addresses = self.addresses.clone();
        addresses.sort();
        addresses.dedup();
        match addresses.is_empty() {
            true => Err(StorageError::Database("an identity needs at least one address".to_owned())),
            false => Ok(addresses),
        }
    }

    /// The person as just made.
    fn met(&self) -> Result<Met, StorageError> {
        let mut addresses: Vec<Address> = Vec::with_capacity(self.addresses.len());
        for address in &self.addresses {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        let identity = Identity { id: self.identity, contact: self.contact, account: self.account, addresses };
        Ok(Met {
            identity,
            contact: self.contact,
            facts: Person::default(),
            new_contact: true,
            new_identity: true,
            joined: Vec::new(),
        })
    }
}
