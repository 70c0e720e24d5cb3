//! Who writes to us: a person met by an address, found or made.
//!
//! The unique address decides: of fifty first messages one makes the person and the others find them. Addresses that turn
//! out to belong to one person [join](super::join) what was kept apart.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use time::OffsetDateTime;
use transom_domain::{Address, ChannelAccountId, ContactId, Identity, IdentityId, Profile};
use transom_windows::Person;
use uuid::Uuid;

use super::facts::read_facts;
use super::identities::{INSERT_ADDRESSES, INSERT_IDENTITY, sorted};
use super::profile::ToldProfile;
use super::statement::{Sql, on_postgres, runs};
use super::{marks, search};
use crate::instant::Millis;
use crate::query::{from_json, millis, to_json};
use crate::{Reader, StorageError, Tx};

/// Two rounds settle every race that was seen; more only if others keep joining the same people.
const ROUNDS: usize = 6;

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

/// Whether the person of a [`PersonSeed`] is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Meeting {
    /// By each of the addresses.
    Known(Box<Met>),
    /// By none of them: [`Tx::insert_people`] makes them.
    Nobody,
    /// By some of them, or the addresses are of several people: that is for [`Tx::meet`].
    Unclear,
}

impl Reader {
    /// Everybody whom the addresses name, oldest first, locked in that order; on PostgreSQL it also notes a profile that is
    /// told again, later.
    pub(super) fn select_known(&self, seed: &PersonSeed, addresses: &[Address]) -> Result<Sql, StorageError> {
        let mut statement = Sql::of(self);
        let tells = on_postgres(self) && !seed.profile.is_empty();
        if tells {
            statement.push("WITH met AS (");
        }
        self.select_people(&mut statement, addresses.iter().map(|address| (seed.account, address)));
        if tells {
            // The common case in the same round trip: nothing new, told again later.
            let (fields, at) = ToldProfile::fields(&seed.profile, seed.at)?;
            statement
                .with("), told AS (UPDATE contacts c SET profile_at = c.profile_at || ", at)
                .with(", profile_until = ", millis(seed.at))
                .push(" WHERE c.workspace_id = $1 AND c.id = (SELECT contact_id FROM met LIMIT 1)")
                .with(" AND c.profile @> ", fields)
                .with(" AND c.profile_until <= ", millis(seed.at))
                .push(" RETURNING c.id) SELECT met.*, EXISTS (SELECT 1 FROM told WHERE told.id = met.contact_id) AS told ")
                .push("FROM met ORDER BY met.id");
        }
        Ok(statement)
    }

    /// Everybody whom the seeds' addresses name, locked in the order of their ids.
    pub(super) fn select_known_by_address(&self, seeds: &[PersonSeed]) -> Sql {
        let mut statement = Sql::of(self);
        let addresses = seeds.iter().flat_map(|seed| seed.addresses.iter().map(|address| (seed.account, address)));
        self.select_people(&mut statement, addresses);
        statement
    }

    /// The identities that the addresses name, each with its contact, both locked in the order of the identities' ids.
    fn select_people<'a>(&self, statement: &mut Sql, addresses: impl Iterator<Item = (ChannelAccountId, &'a Address)>) {
        const IDENTITY: &str = "i.id, i.contact_id, i.account_id, i.addresses, i.facts";
        const CONTACT: &str = "c.profile, c.profile_at, c.profile_by, c.profile_until";
        statement.push(&format!(
            "SELECT {IDENTITY}, {CONTACT} FROM (SELECT DISTINCT a.identity_id FROM identity_addresses a \
             WHERE a.workspace_id = $1 AND ("
        ));
        for (at, (account, address)) in addresses.enumerate() {
            statement
                .push(if at == 0 { "a.account_id = " } else { " OR a.account_id = " })
                .bind(account.uuid())
                .with(" AND a.kind = ", address.kind.as_str())
                .with(" AND a.value = ", address.value.as_str());
        }
        statement.push(") ORDER BY a.identity_id) AS named ");
        if on_postgres(self) {
            // `OFFSET 0` keeps each look-up by key what it is. A planner that has seen a handful of rows would rather read the
            // whole workspace, and a prepared statement would do so until the tables are analysed.
            statement.push(&format!(
                "CROSS JOIN LATERAL (SELECT {IDENTITY} FROM identities i WHERE i.workspace_id = $1 \
                 AND i.id = named.identity_id OFFSET 0 FOR NO KEY UPDATE) AS i CROSS JOIN LATERAL (SELECT {CONTACT} \
                 FROM contacts c WHERE c.workspace_id = $1 AND c.id = i.contact_id OFFSET 0 FOR NO KEY UPDATE) AS c"
            ));
        } else {
            statement
                .push("JOIN identities i ON i.workspace_id = $1 AND i.id = named.identity_id ")
                .push("JOIN contacts c ON c.workspace_id = $1 AND c.id = i.contact_id");
        }
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
    pub(super) profile_by: serde_json::Value,
    pub(super) profile_until: Millis,
    /// Whether the same statement has already noted that the profile was told again.
    told: Option<bool>,
}

impl KnownRow {
    fn addresses(&self) -> Result<Vec<Address>, StorageError> {
        from_json(self.addresses.clone(), ("identities", "addresses", self.id))
    }

    pub(super) fn profile(&self) -> Result<ToldProfile, StorageError> {
        ToldProfile::read(self.contact_id, [&self.profile, &self.profile_at, &self.profile_by], self.profile_until)
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
    /// Finds or makes the person that an event came from; identity and contact are locked until the end of the transaction.
    ///
    /// Unknown addresses are added. Identities that the addresses show to be one are joined: the oldest stays, and the others'
    /// conversations, facts and addresses become its own. The contact's `display_name` is never touched.
    ///
    /// # Errors
    /// [`StorageError::Database`] for a seed without address.
    pub async fn meet(&self, seed: &PersonSeed, now: OffsetDateTime) -> Result<Met, StorageError> {
        let addresses = sorted(&seed.addresses)?;
        let mut made = Made { contact: false, addresses: 0 };
        let mut joined: Vec<IdentityId> = Vec::new();
        for _ in 0..ROUNDS {
            let mut known = self.known(seed, &addresses).await?;
            let Some(mut person) = (!known.is_empty()).then(|| known.remove(0)) else {
                made = self.make_person(seed, &addresses, now).await?;
                if made.contact && made.addresses == addresses.len() {
                    return Ok(seed.met());
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
    pub async fn meet_known(
        &self,
        seeds: &[PersonSeed],
        now: OffsetDateTime,
    ) -> Result<Vec<Option<Met>>, StorageError> {
        let known = |meeting| match meeting {
            Meeting::Known(met) => Some(*met),
            Meeting::Nobody | Meeting::Unclear => None,
        };
        Ok(self.meet_many(seeds, now).await?.into_iter().map(known).collect())
    }

    /// Who of many people is known, in the order of the seeds; they are locked, and what is told of them is noted. Nothing is
    /// made or changed for the others.
    pub async fn meet_many(&self, seeds: &[PersonSeed], now: OffsetDateTime) -> Result<Vec<Meeting>, StorageError> {
        let mut known = BTreeMap::new();
        for seeds in runs(seeds) {
            self.known_by_address(seeds, &mut known).await?;
        }
        let mut meetings = Vec::with_capacity(seeds.len());
        let mut told: BTreeMap<Uuid, ToldProfile> = BTreeMap::new();
        for seed in seeds {
            let rows = seed.addresses.iter().map(|address| known.get(&(seed.account.uuid(), address.clone())));
            let rows: Vec<Option<&KnownRow>> = rows.collect();
            let person = match rows.first() {
                Some(Some(first)) if rows.iter().flatten().filter(|row| row.id == first.id).count() == rows.len() => {
                    first
                }
                _ if rows.iter().all(Option::is_none) => {
                    meetings.push(Meeting::Nobody);
                    continue;
                }
                _ => {
                    meetings.push(Meeting::Unclear);
                    continue;
                }
            };
            if let Entry::Vacant(profile) = told.entry(person.contact_id) {
                profile.insert(person.profile()?);
            }
            if let Some(profile) = told.get_mut(&person.contact_id) {
                profile.tell(&seed.profile, seed.at)?;
            }
            meetings.push(Meeting::Known(Box::new(person.met()?)));
        }
        self.save_profiles(&told, now).await?;
        Ok(meetings)
    }

    /// Everybody whom the addresses name, oldest first, locked in that order.
    async fn known(&self, seed: &PersonSeed, addresses: &[Address]) -> Result<Vec<KnownRow>, StorageError> {
        let statement = self.select_known(seed, addresses)?;
        let mut known = KnownRow::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        known.sort_by_key(|row| row.id);
        Ok(known)
    }

    /// Everybody whom the seeds' addresses name, by account and address, locked in the order of their ids.
    async fn known_by_address(
        &self,
        seeds: &[PersonSeed],
        known: &mut BTreeMap<(Uuid, Address), KnownRow>,
    ) -> Result<(), StorageError> {
        let statement = self.select_known_by_address(seeds);
        for row in KnownRow::find_by_statement(statement.on(&self.conn)).all(&self.conn).await? {
            for address in row.addresses()? {
                known.insert((row.account_id, address), row.clone());
            }
        }
        Ok(())
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

    /// Notes what an event tells of the person.
    async fn tell_profile(
        &self,
        person: &KnownRow,
        seed: &PersonSeed,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        if person.told == Some(true) || seed.profile.is_empty() {
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
        let (contact, terms) = self.contact_values(seed, now)?;
        let mut statement = Sql::new(INSERT_CONTACT);
        statement.push(" VALUES ").list(contact).push(" ON CONFLICT DO NOTHING");
        let contact = self.run(statement).await? == 1;
        self.insert_identity(&seed.as_identity(), now).await?;
        if contact && !terms.is_empty() {
            let mut statement = Sql::new(INSERT_TERMS);
            // Those of the addresses came with the identity.
            statement.push(" VALUES ").rows(terms).push(" ON CONFLICT DO NOTHING");
            self.run(statement).await?;
        }
        Ok(Made { contact, addresses: addresses.len() })
    }

    /// The values of [`INSERT_CONTACT`], and of each row of [`INSERT_TERMS`].
    pub(super) fn contact_values(
        &self,
        seed: &PersonSeed,
        now: OffsetDateTime,
    ) -> Result<([Value; 10], Vec<[Value; 4]>), StorageError> {
        let terms = seed.terms();
        let marks = marks::of_terms(&terms);
        let row = |term: Vec<u8>| [self.ws().into(), term.into(), seed.contact.uuid().into(), marks.into()];
        let (profile, profile_at) = ToldProfile::fields(&seed.profile, seed.at)?;
        let contact = [
            self.ws().into(),
            seed.contact.uuid().into(),
            marks.into(),
            profile.into(),
            profile_at.into(),
            millis(seed.at),
            false.into(),
            millis(now),
            millis(now),
            1_i64.into(),
        ];
        Ok((contact, terms.into_iter().map(row).collect()))
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
        let (contact, terms) = self.contact_values(seed, now)?;
        statement.push(" ON CONFLICT DO NOTHING RETURNING 1), made AS (").push(INSERT_CONTACT).push(" SELECT ");
        statement.each(contact);
        statement.push(" WHERE EXISTS (SELECT 1 FROM won) ON CONFLICT DO NOTHING RETURNING 1), known AS (");
        statement.push(INSERT_IDENTITY).push(" SELECT ");
        statement.each(self.identity_values(&seed.as_identity(), String::new(), now)?);
        statement.push(" WHERE EXISTS (SELECT 1 FROM won))");
        if !terms.is_empty() {
            statement.push(", found AS (").push(INSERT_TERMS).push(" SELECT * FROM (VALUES ");
            statement.rows(terms).push(") AS terms WHERE EXISTS (SELECT 1 FROM made))");
        }
        statement.push(" SELECT (SELECT count(*) FROM won) AS won, EXISTS (SELECT 1 FROM made) AS made");
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
        let Some(row) = row else { return Ok(Made { contact: false, addresses: 0 }) };
        let won: i64 = row.try_get("", "won")?;
        Ok(Made { contact: row.try_get("", "made")?, addresses: usize::try_from(won).unwrap_or_default() })
    }
}

pub(super) const INSERT_CONTACT: &str = "INSERT INTO contacts (workspace_id, id, marks, profile, profile_at, profile_until, blocked, created_at, \
                              updated_at, version)";
pub(super) const INSERT_TERMS: &str = "INSERT INTO contact_terms (workspace_id, term, contact_id, marks)";

/// What [`Tx::make_person`] did.
struct Made {
    contact: bool,
    /// How many addresses were free.
    addresses: usize,
}

impl PersonSeed {
    /// What searches find the contact by.
    fn terms(&self) -> Vec<Vec<u8>> {
        search::terms(None, &self.profile, &self.addresses)
    }

    /// The identity that is made of it.
    pub(super) fn as_identity(&self) -> Identity {
        let mut addresses: Vec<Address> = Vec::with_capacity(self.addresses.len());
        for address in &self.addresses {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        Identity { id: self.identity, contact: self.contact, account: self.account, addresses }
    }

    /// The person as they are when just made.
    pub fn met(&self) -> Met {
        Met {
            identity: self.as_identity(),
            contact: self.contact,
            facts: Person::default(),
            new_contact: true,
            new_identity: true,
            joined: Vec::new(),
        }
    }
}
