//! Conversations: found, locked, changed; what each message does to them.

use sea_orm::{ConnectionTrait, FromQueryResult, QueryResult, Value};
use time::OffsetDateTime;
use transom_domain::{
    Assignment, ChannelAccountId, ContactId, Conversation, ConversationId, Direction, IdentityId, Status, Tab,
};
use uuid::Uuid;

use super::facts::WindowColumns;
use super::lists::Sort;
use super::statement::{Sql, columns, on_postgres};
use crate::entity::conversations;
use crate::instant::Millis;
use crate::query::{from_json, millis, unreadable};
use crate::{Reader, StorageError, Tx};

/// A conversation with everything that a list shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConversation {
    /// The conversation.
    pub conversation: Conversation,
    /// The customer.
    pub contact: ContactId,
    /// The account it runs over.
    pub account: ChannelAccountId,
    /// The window as it was last computed.
    pub window: WindowColumns,
    /// When its newest message was written.
    pub last_message_at: Option<OffsetDateTime>,
    /// When the customer, or somebody else in the thread, last wrote.
    pub last_inbound_at: Option<OffsetDateTime>,
    /// When somebody or something last wrote to the customer.
    pub last_outbound_at: Option<OffsetDateTime>,
    /// Since when the customer waits for a person's answer.
    pub waiting_since: Option<OffsetDateTime>,
    /// The end of a window before which nobody answered, until the customer writes again.
    pub missed_at: Option<OffsetDateTime>,
    /// The last score that the customer gave.
    pub survey_score: Option<u8>,
    /// The first line of the newest message.
    pub preview: Option<String>,
    /// Its tags, in order.
    pub tags: Vec<String>,
    /// For `If-Match`: changes with status, assignment and tags, not with messages.
    pub version: u64,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When anything of it last changed.
    pub updated_at: OffsetDateTime,
}

impl StoredConversation {
    /// One that begins now and has no message yet.
    pub fn begun(
        conversation: Conversation,
        contact: ContactId,
        account: ChannelAccountId,
        now: OffsetDateTime,
    ) -> Self {
        Self {
            conversation,
            contact,
            account,
            window: WindowColumns::default(),
            last_message_at: None,
            last_inbound_at: None,
            last_outbound_at: None,
            waiting_since: None,
            missed_at: None,
            survey_score: None,
            preview: None,
            tags: Vec::new(),
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// What a page that is sorted so goes on behind.
    pub fn sort_key(&self, sort: Sort) -> i64 {
        let at = match sort {
            Sort::Newest | Sort::Oldest => Some(self.last_message_at.unwrap_or(self.created_at)),
            Sort::LongestWaiting => self.waiting_since,
            Sort::ClosingSoonest => self.window.closing_at(),
        };
        at.map_or(i64::MAX, |at| Millis::from(at).0)
    }
}

/// What a message changes in its conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// When it was written, by the platform's clock for what came in.
    pub at: OffsetDateTime,
    /// Which way it goes.
    pub direction: Direction,
    /// Whether a person wrote it, not a bot.
    pub by_person: bool,
    /// Its first line.
    pub preview: String,
}

impl Touch {
    /// Adds `last_message_at = …, …`: whatever order messages are stored in, the end is the same.
    pub(super) fn assign(&self, statement: &mut Sql, now: OffsetDateTime) {
        let (at, preview) = (statement.named(Millis::from(self.at)), statement.named(self.preview.as_str()));
        let now = statement.named(millis(now));
        statement.push(&Self::assignments(self.direction, self.by_person, &at, &preview, &now));
    }

    /// The same, for values that the statement has already under these names.
    pub(super) fn assignments(direction: Direction, by_person: bool, at: &str, preview: &str, now: &str) -> String {
        let latest = |column: &str| format!("{column} = CASE WHEN {column} > {at} THEN {column} ELSE {at} END");
        let mut set = vec![
            format!("updated_at = {now}"),
            format!("preview = CASE WHEN last_message_at > {at} THEN preview ELSE {preview} END"),
            format!("active_at = CASE WHEN last_message_at > {at} THEN active_at ELSE {at} END"),
            latest("last_message_at"),
        ];
        match direction {
            Direction::Inbound => {
                set.push(latest("last_inbound_at"));
                // What was answered before it was stored makes nobody wait.
                set.push(format!(
                    "waiting_since = CASE WHEN last_answer_at >= {at} OR waiting_since <= {at} THEN waiting_since ELSE {at} END"
                ));
            }
            Direction::Outbound => {
                set.push(latest("last_outbound_at"));
                if by_person {
                    set.extend(["waiting_since = NULL".to_owned(), latest("last_answer_at")]);
                }
            }
            Direction::Internal => {}
        }
        set.join(", ")
    }
}

/// The name of a tab in the database.
pub(super) const fn tab_name(tab: Tab) -> &'static str {
    match tab {
        Tab::Open => "open",
        Tab::Assigned => "assigned",
        Tab::Snoozed => "snoozed",
        Tab::Closed => "closed",
    }
}

/// A row with its tags.
pub(super) struct Row {
    pub(super) row: conversations::Model,
    tags: serde_json::Value,
}

impl FromQueryResult for Row {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, sea_orm::DbErr> {
        Ok(Self { row: conversations::Model::from_query_result(row, prefix)?, tags: row.try_get(prefix, "tags")? })
    }
}

impl TryFrom<Row> for StoredConversation {
    type Error = StorageError;

    fn try_from(Row { row, tags }: Row) -> Result<Self, StorageError> {
        let place = |column| ("conversations", column, row.id);
        let status = match (row.status.as_str(), row.snoozed_until) {
            ("open", None) => Status::Open,
            ("snoozed", Some(until)) => Status::Snoozed { until: until.at() },
            ("closed", None) => Status::Closed,
            (other, until) => return Err(unreadable(place("status"), format!("`{other}` until {until:?}"))),
        };
        Ok(Self {
            conversation: Conversation {
                id: row.id.into(),
                identity: row.identity_id.into(),
                thread: row.thread,
                status,
                assignment: Assignment { agent: row.agent_id.map(Into::into), team: row.team_id.map(Into::into) },
                episode: row.episode_id.into(),
                episodes: u32::try_from(row.episodes).unwrap_or(u32::MAX),
                status_since: row.status_since.at(),
            },
            contact: row.contact_id.into(),
            account: row.account_id.into(),
            window: WindowColumns {
                closes_at: row.window_closes_at.map(Millis::at),
                free_form_until: row.free_form_until.map(Millis::at),
                policy_version: row.window_policy_version,
                recompute_at: row.window_recompute_at.map(Millis::at),
                ends_at: row.window_ends_at.map(Millis::at),
            },
            last_message_at: row.last_message_at.map(Millis::at),
            last_inbound_at: row.last_inbound_at.map(Millis::at),
            last_outbound_at: row.last_outbound_at.map(Millis::at),
            waiting_since: row.waiting_since.map(Millis::at),
            missed_at: row.missed_at.map(Millis::at),
            survey_score: row.survey_score.and_then(|score| score.try_into().ok()),
            preview: row.preview,
            tags: from_json(tags, place("tags"))?,
            version: row.version.unsigned_abs(),
            created_at: row.created_at.at(),
            updated_at: row.updated_at.at(),
        })
    }
}

impl Reader {
    /// `SELECT … FROM conversations c WHERE c.workspace_id = $1`.
    pub(super) fn select_conversations(&self) -> Sql {
        let mut statement = Sql::of(self);
        statement
            .push(&format!("SELECT {} FROM conversations c WHERE c.workspace_id = $1", self.conversation_columns()));
        statement
    }

    /// The columns of a [`Row`] from `conversations c`.
    pub(super) fn conversation_columns(&self) -> String {
        self.conversation_columns_of("c")
    }

    pub(super) fn conversation_columns_of(&self, table: &str) -> String {
        let from = format!(
            "conversation_tags t WHERE t.workspace_id = {table}.workspace_id AND t.conversation_id = {table}.id"
        );
        format!("{}, {} AS tags", columns::<conversations::Entity>(table), self.json_list("t.tag", &from))
    }

    async fn one_conversation(
        &self,
        mut statement: Sql,
        lock: bool,
    ) -> Result<Option<StoredConversation>, StorageError> {
        if lock && on_postgres(self) {
            statement.push(" FOR NO KEY UPDATE OF c");
        }
        let row = Row::find_by_statement(statement.on(&self.conn)).one(&self.conn).await?;
        row.map(TryInto::try_into).transpose()
    }

    async fn conversation_of_id(&self, id: Uuid, lock: bool) -> Result<Option<StoredConversation>, StorageError> {
        let mut statement = self.select_conversations();
        statement.with(" AND c.id = ", id);
        self.one_conversation(statement, lock).await
    }

    async fn conversation_or_alias(&self, id: Uuid, lock: bool) -> Result<Option<StoredConversation>, StorageError> {
        match self.conversation_of_id(id, lock).await? {
            Some(found) => Ok(Some(found)),
            None => match self.alias(id).await? {
                Some(target) => self.conversation_of_id(target, lock).await,
                None => Ok(None),
            },
        }
    }

    /// One conversation. The id of one that was joined to another gives that other.
    pub async fn conversation(&self, id: ConversationId) -> Result<Option<StoredConversation>, StorageError> {
        self.conversation_or_alias(id.uuid(), false).await
    }

    /// The identity's conversation of that thread.
    pub async fn conversation_of(
        &self,
        identity: IdentityId,
        thread: &str,
    ) -> Result<Option<StoredConversation>, StorageError> {
        let mut statement = self.select_conversations();
        statement.with(" AND c.identity_id = ", identity.uuid()).with(" AND c.thread = ", thread);
        self.one_conversation(statement, false).await
    }

    /// A conversation of the contact, over any account, that is open or snoozed: the newest but for the one given.
    pub async fn other_active_conversation(
        &self,
        contact: ContactId,
        except: impl Into<Option<ConversationId>>,
    ) -> Result<Option<ConversationId>, StorageError> {
        let row = self.conn.query_one_raw(self.select_other_active(contact, except.into()).on(&self.conn)).await?;
        Ok(row.map(|row| row.try_get_by_index::<Uuid>(0)).transpose()?.map(Into::into))
    }

    pub(super) fn select_other_active(&self, contact: ContactId, except: Option<ConversationId>) -> Sql {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT id FROM conversations WHERE workspace_id = $1")
            .with(" AND contact_id = ", contact.uuid())
            .push(" AND tab <> 'closed'");
        if let Some(except) = except {
            statement.with(" AND id <> ", except.uuid());
        }
        statement.push(" ORDER BY active_at DESC, id DESC LIMIT 1");
        statement
    }

    /// Snoozed conversations whose time has come, longest due first.
    pub async fn snoozed_due(&self, now: OffsetDateTime, limit: u64) -> Result<Vec<ConversationId>, StorageError> {
        let rows = self.conn.query_all_raw(self.select_snoozed_due(now, limit).on(&self.conn)).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
    }

    pub(super) fn select_snoozed_due(&self, now: OffsetDateTime, limit: u64) -> Sql {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT id FROM conversations WHERE workspace_id = $1")
            .with(" AND snoozed_until <= ", millis(now))
            .with(" ORDER BY snoozed_until LIMIT ", limit.cast_signed());
        statement
    }
}

impl Tx {
    /// A conversation, locked until the end of the transaction. The id of one that was joined to another gives that other.
    ///
    /// Lock its identity first, if both are needed.
    pub async fn lock_conversation(&self, id: ConversationId) -> Result<Option<StoredConversation>, StorageError> {
        self.conversation_or_alias(id.uuid(), true).await
    }

    /// The identity's conversation of that thread, locked until the end of the transaction.
    pub async fn lock_conversation_of(
        &self,
        identity: IdentityId,
        thread: &str,
    ) -> Result<Option<StoredConversation>, StorageError> {
        let mut statement = self.select_conversations();
        statement.with(" AND c.identity_id = ", identity.uuid()).with(" AND c.thread = ", thread);
        self.one_conversation(statement, true).await
    }

    /// Stores a new conversation; `false` if the identity has one of that thread already: lock that.
    pub async fn insert_conversation(
        &self,
        conversation: &Conversation,
        contact: ContactId,
        account: ChannelAccountId,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        let mut statement = self.new_conversation(conversation, contact, account, now);
        statement.push(" ON CONFLICT DO NOTHING");
        Ok(self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() == 1)
    }

    /// The identity's conversation of that thread, locked until the end of the transaction: the one that is there, or else the
    /// given one, stored. Its id tells which.
    ///
    /// One round trip where [`lock_conversation_of`](Self::lock_conversation_of) found nothing and
    /// [`insert_conversation`](Self::insert_conversation) needs a second look.
    pub async fn lock_or_insert_conversation(
        &self,
        conversation: &Conversation,
        contact: ContactId,
        account: ChannelAccountId,
        now: OffsetDateTime,
    ) -> Result<StoredConversation, StorageError> {
        let mut statement = self.new_conversation(conversation, contact, account, now);
        statement
            // Changes nothing: it locks the row and gives it back.
            .push(" ON CONFLICT (workspace_id, identity_id, thread) DO UPDATE SET thread = excluded.thread RETURNING ")
            .push(&self.conversation_columns_of("conversations"));
        let row = Row::find_by_statement(statement.on(&self.conn)).one(&self.conn).await?;
        row.ok_or_else(no_conversation)?.try_into()
    }

    fn new_conversation(
        &self,
        conversation: &Conversation,
        contact: ContactId,
        account: ChannelAccountId,
        now: OffsetDateTime,
    ) -> Sql {
        let mut statement = Sql::new(
            "INSERT INTO conversations (workspace_id, id, identity_id, contact_id, account_id, thread, status, tab, \
             snoozed_until, agent_id, team_id, episode_id, episodes, status_since, window_policy_version, active_at, \
             version, created_at, updated_at, marks) SELECT ",
        );
        statement.each([
            Value::from(self.ws()),
            conversation.id.uuid().into(),
            conversation.identity.uuid().into(),
            contact.uuid().into(),
            account.uuid().into(),
            conversation.thread.as_str().into(),
            conversation.status.as_str().into(),
            tab_name(conversation.tab()).into(),
            conversation.status.snoozed_until().map(Millis::from).into(),
            conversation.assignment.agent.map(Uuid::from).into(),
            conversation.assignment.team.map(Uuid::from).into(),
            conversation.episode.uuid().into(),
            i64::from(conversation.episodes).into(),
            millis(conversation.status_since),
            "".into(),
            millis(now),
            1_i64.into(),
            millis(now),
            millis(now),
        ]);
        statement.push(", ").push(&self.marks_of("$1", "$4")).push(" WHERE 1 = 1");
        statement
    }

    /// Stores status, assignment and episode; the new version. Nobody waits any more for an answer once it is closed.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if there is no such conversation, agent or team.
    pub async fn save_conversation(
        &self,
        conversation: &Conversation,
        now: OffsetDateTime,
    ) -> Result<u64, StorageError> {
        let closes = matches!(conversation.status, Status::Closed);
        let mut statement = Sql::new("UPDATE conversations SET status = ");
        statement
            .bind(conversation.status.as_str())
            .with(", tab = ", tab_name(conversation.tab()))
            .with(", snoozed_until = ", conversation.status.snoozed_until().map(Millis::from))
            .with(", agent_id = ", conversation.assignment.agent.map(Uuid::from))
            .with(", team_id = ", conversation.assignment.team.map(Uuid::from))
            .with(", episode_id = ", conversation.episode.uuid())
            .with(", episodes = ", i64::from(conversation.episodes))
            .with(", status_since = ", millis(conversation.status_since))
            .push(if closes { ", waiting_since = CASE WHEN status = 'closed' THEN waiting_since END" } else { "" })
            .with(", version = version + 1, updated_at = ", millis(now))
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", conversation.id.uuid())
            .push(" RETURNING version");
        let row = self.conn.query_one_raw(statement.on(&self.conn)).await?.ok_or_else(no_conversation)?;
        Ok(row.try_get_by_index::<i64>(0)?.unsigned_abs())
    }

    /// Notes a message: times only move forward; a customer's message makes them wait, a person's ends it.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if there is no such conversation.
    pub async fn touch_conversation(
        &self,
        id: ConversationId,
        touch: &Touch,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut statement = Sql::new("UPDATE conversations SET ");
        touch.assign(&mut statement, now);
        statement.with(" WHERE workspace_id = ", self.ws()).with(" AND id = ", id.uuid());
        match self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() {
            0 => Err(no_conversation()),
            _ => Ok(()),
        }
    }
}

pub(super) fn no_conversation() -> StorageError {
    StorageError::MissingReference("there is no such conversation".to_owned())
}
