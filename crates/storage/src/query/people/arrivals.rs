//! Many customers' messages at once: the rows that they would make one by one, in one statement a table.
//!
//! A statement that fails leaves it to the caller to take the messages one by one.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use time::OffsetDateTime;
use transom_domain::{Address, ChannelAccountId, ContactId, Conversation, ConversationId, Direction, IdentityId};
use transom_windows::Person;
use uuid::Uuid;

use super::conversations::{Row, StoredConversation, Touch, tab_name};
use super::facts::{WindowColumns, facts_text, no_identity};
use super::filing::INSERT_MESSAGE;
use super::identities::{INSERT_ADDRESSES, INSERT_IDENTITY};
use super::meet::{INSERT_CONTACT, INSERT_TERMS, PersonSeed};
use super::messages::NewMessage;
use super::statement::{Sql, on_postgres, runs};
use crate::instant::Millis;
use crate::query::millis;
use crate::{Reader, StorageError, Tx};

/// A conversation as it stands after its first message, which the customer wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct NewConversation {
    /// The conversation.
    pub conversation: Conversation,
    /// The customer.
    pub contact: ContactId,
    /// The account it runs over.
    pub account: ChannelAccountId,
    /// The message.
    pub touch: Touch,
    /// What lists need of the window.
    pub window: WindowColumns,
}

/// A conversation in which the customer wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The conversation.
    pub conversation: ConversationId,
    /// The person: their other threads share the window.
    pub identity: IdentityId,
    /// The message.
    pub touch: Touch,
    /// What lists need of the window.
    pub window: WindowColumns,
}

impl Reader {
    /// Conversations by person and thread, locked in the given order.
    pub(super) fn select_threads(&self, threads: &[(IdentityId, &str)]) -> Sql {
        let wanted =
            threads.iter().map(|(identity, thread)| -> [Value; 2] { [identity.uuid().into(), (*thread).into()] });
        let mut statement = Sql::of(self);
        let found = format!(
            "SELECT {} FROM conversations c WHERE c.workspace_id = $1 AND c.identity_id = wanted.column1 AND c.thread = \
             wanted.column2",
            self.conversation_columns()
        );
        if on_postgres(self) {
            // Looked up one by one, however few rows the planner has seen; see `select_people`.
            statement
                .push("SELECT c.* FROM (VALUES ")
                .rows(wanted)
                .push(&format!(") AS wanted CROSS JOIN LATERAL ({found} OFFSET 0 FOR NO KEY UPDATE OF c) AS c"));
        } else {
            statement
                .push(&format!("SELECT {} FROM (VALUES ", self.conversation_columns()))
                .rows(wanted)
                // A CROSS JOIN keeps its order: looked up one by one here too.
                .push(
                    ") AS wanted CROSS JOIN conversations c ON c.workspace_id = $1 AND c.identity_id = wanted.column1 ",
                )
                .push("AND c.thread = wanted.column2");
        }
        statement
    }
}

impl Reader {
    /// One statement for the conversations themselves, and one for other threads of the same people, which share the window.
    pub(super) fn touch(&self, touched: &[Touched], now: OffsetDateTime) -> [Sql; 2] {
        let rows = touched.iter().map(|touched| -> [Value; 10] {
            let [closes_at, free_form_until, closing_at, policy_version, recompute_at, ends_at] =
                touched.window.values();
            [
                touched.conversation.uuid().into(),
                touched.identity.uuid().into(),
                Millis::from(touched.touch.at).into(),
                touched.touch.preview.as_str().into(),
                closes_at,
                free_form_until,
                closing_at,
                policy_version,
                recompute_at,
                ends_at,
            ]
        });
        let (mut themselves, mut others) = (Sql::of(self), Sql::of(self));
        // `$2` in both.
        let (now, _) = (themselves.named(millis(now)), others.named(millis(now)));
        let window = WindowColumns::COLUMNS.iter().zip(5..);
        let window: Vec<String> = window
            .map(|(column, place)| WindowColumns::assignment(column, &format!("new.column{place}"), &now))
            .collect();
        let window = window.join(", ");
        let touch = Touch::assignments(Direction::Inbound, false, "new.column3", "new.column4", &now);
        themselves
            .push(&format!("UPDATE conversations SET {touch}, {window} FROM (VALUES "))
            .rows(rows.clone())
            .push(") AS new WHERE workspace_id = $1 AND id = new.column1");
        others
            .push(&format!("UPDATE conversations SET {window} FROM (VALUES "))
            .rows(rows)
            .push(") AS new WHERE workspace_id = $1 AND identity_id = new.column2 AND id <> new.column1");
        if !on_postgres(self) {
            // Named once more, so that each is looked up: SQLite would rather read all of a small table.
            let ids = touched.iter().map(|touched| touched.conversation.uuid());
            themselves.push(" AND id IN ").list(ids);
            let people = touched.iter().map(|touched| touched.identity.uuid());
            others.push(" AND identity_id IN ").list(people);
        }
        [themselves, others]
    }

    pub(super) fn update_facts_of(
        &self,
        people: &[(IdentityId, Person)],
        now: OffsetDateTime,
    ) -> Result<Sql, StorageError> {
        let mut statement = Sql::of(self);
        statement.with("UPDATE identities SET updated_at = ", millis(now)).push(", facts = new.column2 FROM (VALUES ");
        for (at, (identity, facts)) in people.iter().enumerate() {
            let row: [Value; 2] = [identity.uuid().into(), facts_text(facts)?.into()];
            statement.push(if at == 0 { "" } else { ", " }).list(row);
        }
        statement.push(") AS new WHERE workspace_id = $1 AND id = new.column1");
        Ok(statement)
    }
}

impl Tx {
    /// The conversations of these people and threads, locked until the end of the transaction; who has none is left out. Lock
    /// the people first.
    pub async fn lock_conversations_of(
        &self,
        threads: &[(IdentityId, &str)],
    ) -> Result<BTreeMap<(IdentityId, String), StoredConversation>, StorageError> {
        let mut sorted = threads.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut found = BTreeMap::new();
        for threads in runs(&sorted) {
            for row in Row::find_by_statement(self.select_threads(threads).on(&self.conn)).all(&self.conn).await? {
                let stored = StoredConversation::try_from(row)?;
                found.insert((stored.conversation.identity, stored.conversation.thread.clone()), stored);
            }
        }
        Ok(found)
    }

    /// Stores people whom [`meet_many`](Self::meet_many) found nothing of, with what the rule engine keeps of them.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if somebody else has stored one of them meanwhile.
    pub async fn insert_people(
        &self,
        people: &[(PersonSeed, Person)],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let (mut contacts, mut identities) = (Vec::with_capacity(people.len()), Vec::with_capacity(people.len()));
        let (mut addresses, mut terms) = (Vec::new(), Vec::new());
        for (seed, facts) in people {
            let identity = seed.as_identity();
            let (contact, of_contact) = self.contact_values(seed, now)?;
            contacts.push(contact);
            terms.extend(of_contact);
            identities.push(self.identity_values(&identity, facts_text(facts)?, now)?);
            addresses
                .extend(identity.addresses.into_iter().map(|address| (seed.account.uuid(), address, seed.identity)));
        }
        // In one order for everybody, so that two who bring the same addresses wait for each other instead of for ever.
        addresses.sort();
        let address = |(account, Address { kind, value }, identity): &(Uuid, Address, IdentityId)| -> [Value; 5] {
            [self.ws().into(), (*account).into(), kind.as_str().into(), value.as_str().into(), identity.uuid().into()]
        };
        self.insert_rows(&format!("{INSERT_CONTACT} VALUES "), &contacts).await?;
        self.insert_rows(&format!("{INSERT_IDENTITY} VALUES "), &identities).await?;
        self.insert_rows(INSERT_ADDRESSES, &addresses.iter().map(address).collect::<Vec<_>>()).await?;
        self.insert_rows(&format!("{INSERT_TERMS} VALUES "), &terms).await
    }

    async fn insert_rows<const N: usize>(&self, insert: &str, rows: &[[Value; N]]) -> Result<(), StorageError> {
        for rows in runs(rows) {
            let mut statement = Sql::new(insert);
            statement.rows(rows.iter().cloned());
            self.conn.execute_raw(statement.on(&self.conn)).await?;
        }
        Ok(())
    }

    /// Stores conversations that the customers have just begun.
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] if a person has one of that thread already.
    pub async fn insert_conversations(&self, new: &[NewConversation], now: OffsetDateTime) -> Result<(), StorageError> {
        let row = |new: &NewConversation| -> [Value; 27] {
            let NewConversation { conversation, touch, .. } = new;
            let at = || Value::from(Millis::from(touch.at));
            let [closes_at, free_form_until, closing_at, policy_version, recompute_at, ends_at] = new.window.values();
            [
                self.ws().into(),
                conversation.id.uuid().into(),
                conversation.identity.uuid().into(),
                new.contact.uuid().into(),
                new.account.uuid().into(),
                conversation.thread.as_str().into(),
                conversation.status.as_str().into(),
                tab_name(conversation.tab()).into(),
                conversation.status.snoozed_until().map(Millis::from).into(),
                conversation.assignment.agent.map(Uuid::from).into(),
                conversation.assignment.team.map(Uuid::from).into(),
                conversation.episode.uuid().into(),
                i64::from(conversation.episodes).into(),
                millis(conversation.status_since),
                closes_at,
                free_form_until,
                closing_at,
                policy_version,
                recompute_at,
                ends_at,
                at(),
                at(),
                at(),
                at(),
                touch.preview.as_str().into(),
                millis(now),
                millis(now),
            ]
        };
        // The version is 1 as that of any new row.
        const INSERT: &str = "INSERT INTO conversations (version, workspace_id, id, identity_id, contact_id, account_id, thread, \
                              status, tab, snoozed_until, agent_id, team_id, episode_id, episodes, status_since, \
                              window_closes_at, free_form_until, closing_at, window_policy_version, window_recompute_at, \
                              window_ends_at, active_at, last_message_at, last_inbound_at, waiting_since, preview, created_at, \
                              updated_at, marks) SELECT 1, new.*, ";
        for new in runs(new) {
            let mut statement = Sql::new(INSERT);
            statement.push(&self.marks_of("new.column1", "new.column4")).push(" FROM (VALUES ");
            statement.rows(new.iter().map(row)).push(") AS new");
            self.conn.execute_raw(statement.on(&self.conn)).await?;
        }
        Ok(())
    }

    /// Notes what customers wrote: [`file_inbound`](Self::file_inbound) without message and facts, for many people. Each
    /// conversation is named once.
    pub async fn touch_conversations(&self, touched: &[Touched], now: OffsetDateTime) -> Result<(), StorageError> {
        for touched in runs(touched) {
            for statement in self.touch(touched, now) {
                self.conn.execute_raw(statement.on(&self.conn)).await?;
            }
        }
        Ok(())
    }

    /// Stores messages of conversations whose contact is known.
    ///
    /// # Errors
    /// As [`insert_message`](Self::insert_message).
    pub async fn insert_messages(
        &self,
        messages: &[(NewMessage, ContactId)],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        for messages in runs(messages) {
            let mut statement = Sql::new(INSERT_MESSAGE);
            statement.push(" VALUES ");
            for (at, (new, contact)) in messages.iter().enumerate() {
                let values = self.message_values(new, now)?.into_iter().chain([contact.uuid().into()]);
                statement.push(if at == 0 { "" } else { ", " }).list(values);
            }
            self.conn.execute_raw(statement.on(&self.conn)).await?;
        }
        Ok(())
    }

    /// [`save_person_facts`](Self::save_person_facts) for many people, each named once.
    ///
    /// # Errors
    /// As that.
    pub async fn save_facts_of(
        &self,
        people: &[(IdentityId, Person)],
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        for people in runs(people) {
            let statement = self.update_facts_of(people, now)?;
            if self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() != people.len() as u64 {
                return Err(no_identity());
            }
        }
        Ok(())
    }
}
