//! Messages being stored: what comes in, what goes out, and what each does to conversation and person.

use sea_orm::{ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Value};
use time::OffsetDateTime;
use transom_domain::{Author, DeliveryState, Direction, MessageId, Part};
use transom_windows::Person;
use uuid::Uuid;

use super::conversations::{Touch, no_conversation};
use super::facts::{WindowColumns, facts_text, no_identity};
use super::messages::NewMessage;
use super::statement::{Sql, on_postgres};
use crate::entity::{messages, parts};
use crate::query::{millis, to_json};
use crate::{StorageError, Tx};

pub(super) const INSERT_MESSAGE: &str = "INSERT INTO messages (workspace_id, id, conversation_id, identity_id, account_id, kind, \
                                         direction, author, agent_id, content, state, permit, provider_id, reply_to, payload, \
                                         extra, at, stored_at, contact_id)";

impl Tx {
    /// Stores a message; its parts come by [`insert_parts`](Self::insert_parts).
    ///
    /// # Errors
    /// [`StorageError::Duplicate`] for an id, or the platform's id, that is stored already;
    /// [`StorageError::MissingReference`] if there is no such conversation.
    pub async fn insert_message(&self, new: &NewMessage, now: OffsetDateTime) -> Result<(), StorageError> {
        let mut statement = Sql::new("");
        self.insert(&mut statement, new, now)?;
        match self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() {
            0 => Err(no_conversation()),
            _ => Ok(()),
        }
    }

    /// `INSERT INTO messages …`, with the contact of the conversation.
    fn insert(&self, statement: &mut Sql, new: &NewMessage, now: OffsetDateTime) -> Result<(), StorageError> {
        statement.push(INSERT_MESSAGE).push(" SELECT ");
        for value in self.message_values(new, now)? {
            statement.bind(value).push(", ");
        }
        statement
            .with("contact_id FROM conversations WHERE workspace_id = ", self.ws())
            .with(" AND id = ", new.message.conversation.uuid());
        Ok(())
    }

    /// The values of [`INSERT_MESSAGE`] but for the last.
    pub(super) fn message_values(&self, new: &NewMessage, now: OffsetDateTime) -> Result<[Value; 18], StorageError> {
        let NewMessage { message, .. } = new;
        let by_person = match &message.author {
            Author::Actor(actor) if message.direction == Direction::Outbound && actor.is_person() => actor.agent(),
            _ => None,
        };
        Ok([
            self.ws().into(),
            message.id.uuid().into(),
            message.conversation.uuid().into(),
            new.identity.uuid().into(),
            new.account.uuid().into(),
            message.kind.as_str().into(),
            message.direction.as_str().into(),
            to_json(&message.author)?.into(),
            by_person.map(Uuid::from).into(),
            to_json(&message.content)?.into(),
            message.state.map(DeliveryState::as_str).into(),
            new.permit.as_ref().map(to_json).transpose()?.into(),
            new.provider_id.clone().into(),
            new.reply_to.map(Uuid::from).into(),
            new.payload.clone().into(),
            new.extra.clone().into(),
            millis(message.at),
            millis(now),
        ])
    }

    /// [`insert_message`](Self::insert_message) and [`touch_conversation`](Self::touch_conversation), in one round trip on
    /// PostgreSQL.
    ///
    /// # Errors
    /// As those two.
    pub async fn file_message(&self, new: &NewMessage, touch: &Touch, now: OffsetDateTime) -> Result<(), StorageError> {
        if !on_postgres(self) {
            self.insert_message(new, now).await?;
            return self.touch_conversation(new.message.conversation, touch, now).await;
        }
        let mut statement = Sql::new("WITH filed AS (");
        self.insert(&mut statement, new, now)?;
        statement.push(") UPDATE conversations SET ");
        touch.assign(&mut statement, now);
        statement.with(" WHERE workspace_id = ", self.ws()).with(" AND id = ", new.message.conversation.uuid());
        match self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() {
            0 => Err(no_conversation()),
            _ => Ok(()),
        }
    }

    /// Everything that a customer's message changes besides the standing of its conversation:
    /// [`file_message`](Self::file_message) and [`save_person`](Self::save_person), in one round trip on PostgreSQL.
    ///
    /// # Errors
    /// As those two.
    pub async fn file_inbound(
        &self,
        new: &NewMessage,
        touch: &Touch,
        facts: &Person,
        window: &WindowColumns,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let (conversation, identity) = (new.message.conversation.uuid(), new.identity.uuid());
        let touches = |statement: &mut Sql| {
            statement.push("UPDATE conversations SET ");
            touch.assign(statement, now);
            statement.push(", ");
            window.assign(statement, now);
            statement.with(" WHERE workspace_id = ", self.ws()).with(" AND id = ", conversation);
        };
        // Other threads of the same person share the window.
        let others = |statement: &mut Sql| {
            statement.push("UPDATE conversations SET ");
            window.assign(statement, now);
            statement
                .with(" WHERE workspace_id = ", self.ws())
                .with(" AND identity_id = ", identity)
                .with(" AND id <> ", conversation);
        };
        if !on_postgres(self) {
            self.insert_message(new, now).await?;
            for update in [&touches as &(dyn Fn(&mut Sql) + Sync), &others] {
                let mut statement = Sql::new("");
                update(&mut statement);
                self.conn.execute_raw(statement.on(&self.conn)).await?;
            }
            return self.save_person_facts(new.identity, facts, now).await;
        }
        let mut statement = Sql::new("WITH filed AS (");
        self.insert(&mut statement, new, now)?;
        statement.push(" RETURNING 1), others AS (");
        others(&mut statement);
        statement.push("), touched AS (");
        touches(&mut statement);
        statement.push("), known AS (");
        self.update_facts(&mut statement, identity, facts_text(facts)?, now);
        statement.push(" RETURNING 1) SELECT EXISTS (SELECT 1 FROM filed), EXISTS (SELECT 1 FROM known)");
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?.ok_or_else(no_conversation)?;
        match (row.try_get_by_index(0)?, row.try_get_by_index(1)?) {
            (false, _) => Err(no_conversation()),
            (true, false) => Err(no_identity()),
            (true, true) => Ok(()),
        }
    }

    /// Stores the parts of a message that is stored.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if it is not.
    pub async fn insert_parts(&self, message: MessageId, parts: &[Part]) -> Result<(), StorageError> {
        let Some(row) = messages::Entity::find_by_id((self.ws(), message.uuid())).one(&self.conn).await? else {
            return Err(StorageError::MissingReference("there is no such message".to_owned()));
        };
        let part = |part: &Part| {
            Ok(parts::Model {
                workspace_id: self.ws(),
                id: part.id.uuid(),
                message_id: row.id,
                conversation_id: row.conversation_id,
                account_id: row.account_id,
                position: part.index.into(),
                content: to_json(&part.content)?,
                cost: part.cost.into(),
                state: part.state.as_str().to_owned(),
                reason: None,
                provider_id: part.provider_id.clone(),
                attempts: 0,
                sent_at: None,
                delivered_at: None,
                read_at: None,
                updated_at: row.stored_at,
            })
        };
        for chunk in parts.chunks(500) {
            let rows = chunk.iter().map(part).collect::<Result<Vec<_>, StorageError>>()?;
            let rows = rows.into_iter().map(|row| row.into_active_model().reset_all());
            parts::Entity::insert_many(rows).exec_without_returning(&self.conn).await?;
        }
        Ok(())
    }
}
