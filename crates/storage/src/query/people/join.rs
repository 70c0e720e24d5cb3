//! Two identities that turn out to be one person on one account, say a phone number and a user id that an event names
//! together: the older stays, and everything of the other becomes its own, as if it had always been one (P7).
//!
//! Rows that vanish leave an alias, so that an id that somebody kept still finds what it stood for.

use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, Value};
use time::OffsetDateTime;
use transom_domain::{Actor, Address, Assignment, Conversation, Status};
use transom_windows::Person;
use uuid::Uuid;

use super::conversations::StoredConversation;
use super::facts::{facts_text, read_facts};
use super::meet::KnownRow;
use super::profile::ToldProfile;
use super::statement::{Sql, on_postgres};
use crate::entity::contacts;
use crate::instant::Millis;
use crate::query::{from_json, millis, to_json};
use crate::{StorageError, Tx};

impl Tx {
    /// Makes `gone` a part of `left`. Both are locked.
    pub(super) async fn join(
        &self,
        left: &mut KnownRow,
        gone: &KnownRow,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        self.join_conversations(left, gone, now).await?;
        self.join_ledger(left.id, gone.id).await?;
        let facts = read_facts(left.id, &left.facts)?.joined_with(read_facts(gone.id, &gone.facts)?);
        self.join_identity(left, gone, &facts, now).await?;
        if left.contact_id != gone.contact_id {
            self.join_contact(left, gone, now).await?;
        }
        Ok(())
    }

    pub(super) async fn run(&self, statement: Sql) -> Result<u64, StorageError> {
        Ok(self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected())
    }

    /// Runs a statement whose values are the workspace and these ids.
    pub(super) async fn run_with<const N: usize>(&self, text: &str, ids: [Uuid; N]) -> Result<u64, StorageError> {
        let values = std::iter::once(self.ws()).chain(ids).map(Value::from);
        Ok(self.conn.execute_raw(crate::query::sql(&self.conn, text, values)).await?.rows_affected())
    }

    /// `gone` is known by `left` from now on, and so is whatever was known by `gone`.
    pub(super) async fn leave_alias(&self, gone: Uuid, left: Uuid) -> Result<(), StorageError> {
        self.run_with("UPDATE aliases SET target_id = $3 WHERE workspace_id = $1 AND target_id = $2", [gone, left])
            .await?;
        self.run_with("INSERT INTO aliases (workspace_id, id, target_id) VALUES ($1, $2, $3)", [gone, left]).await?;
        Ok(())
    }

    async fn join_identity(
        &self,
        left: &mut KnownRow,
        gone: &KnownRow,
        facts: &Person,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        const MOVE: &str =
            "UPDATE identity_addresses SET identity_id = $3 WHERE workspace_id = $1 AND identity_id = $2";
        self.run_with(MOVE, [gone.id, left.id]).await?;
        let place = |row: Uuid| ("identities", "addresses", row);
        let mut addresses: Vec<Address> = from_json(left.addresses.clone(), place(left.id))?;
        let others: Vec<Address> = from_json(gone.addresses.clone(), place(gone.id))?;
        addresses.extend(others.into_iter().filter(|address| !addresses.contains(address)).collect::<Vec<_>>());
        left.addresses = to_json(&addresses)?;
        left.facts = facts_text(facts)?;
        let mut statement = Sql::new("");
        self.update_facts(&mut statement, left.id, left.facts.clone(), now);
        self.run(statement).await?;
        self.save_addresses(left.id, &left.addresses, now).await?;
        self.run_with("DELETE FROM identities WHERE workspace_id = $1 AND id = $2", [gone.id]).await?;
        self.leave_alias(gone.id, left.id).await
    }

    /// If nothing else is left of the other contact, it was this one.
    async fn join_contact(
        &self,
        left: &mut KnownRow,
        gone: &KnownRow,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        if !self.identities_of(gone.contact_id.into()).await?.is_empty() {
            // It has other identities: whether they are the same customer is for a person to say.
            return self.rewrite_both_terms(left.contact_id, gone.contact_id).await;
        }
        let (Some(kept), Some(other)) =
            (self.contact_row(left.contact_id).await?, self.contact_row(gone.contact_id).await?)
        else {
            return Ok(());
        };
        let mut profile = ToldProfile::of(&kept)?;
        profile.join(&ToldProfile::of(&other)?);
        let mut statement = Sql::new("UPDATE contacts SET ");
        profile.assign(&mut statement);
        statement
            .with(", display_name = ", kept.display_name.or(other.display_name))
            .with(", blocked = ", kept.blocked || other.blocked)
            .with(", created_at = ", kept.created_at.min(other.created_at))
            .with(", updated_at = ", millis(now))
            .push(", version = version + 1")
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", kept.id);
        self.run(statement).await?;
        let ids = [other.id, kept.id];
        const LABELS: &str = "INSERT INTO contact_labels (workspace_id, contact_id, label) SELECT workspace_id, $3, label \
                              FROM contact_labels WHERE workspace_id = $1 AND contact_id = $2 ON CONFLICT DO NOTHING";
        self.run_with(LABELS, ids).await?;
        const FIELDS: &str = "INSERT INTO contact_fields (workspace_id, contact_id, field_id, value, sort_key) \
                              SELECT workspace_id, $3, field_id, value, sort_key FROM contact_fields \
                              WHERE workspace_id = $1 AND contact_id = $2 ON CONFLICT DO NOTHING";
        self.run_with(FIELDS, ids).await?;
        const AGENT: &str = "INSERT INTO dedicated_agents (workspace_id, contact_id, agent_id) SELECT workspace_id, $3, agent_id \
                             FROM dedicated_agents WHERE workspace_id = $1 AND contact_id = $2 ON CONFLICT DO NOTHING";
        self.run_with(AGENT, ids).await?;
        for table in ["conversations", "messages"] {
            let text = format!("UPDATE {table} SET contact_id = $3 WHERE workspace_id = $1 AND contact_id = $2");
            self.run_with(&text, ids).await?;
        }
        self.carry_recipients(other.id, kept.id).await?;
        contacts::Entity::delete_by_id((self.ws(), other.id)).exec(&self.conn).await?;
        self.leave_alias(other.id, kept.id).await?;
        self.rewrite_terms_and_marks(kept.id).await
    }

    async fn rewrite_both_terms(&self, one: Uuid, other: Uuid) -> Result<(), StorageError> {
        self.rewrite_terms_and_marks(one).await?;
        self.rewrite_terms_and_marks(other).await
    }

    async fn join_conversations(
        &self,
        left: &KnownRow,
        gone: &KnownRow,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        for moved in self.conversations_for_update(gone.id).await? {
            let kept = self.lock_conversation_of(left.id.into(), &moved.conversation.thread).await?;
            let target = kept.as_ref().map_or(moved.conversation.id, |kept| kept.conversation.id).uuid();
            let from = moved.conversation.id.uuid();
            let mut statement = Sql::new("UPDATE messages SET conversation_id = ");
            statement
                .bind(target)
                .with(", identity_id = ", left.id)
                .with(", contact_id = ", left.contact_id)
                .with(" WHERE workspace_id = ", self.ws())
                .with(" AND conversation_id = ", from);
            self.run(statement).await?;
            let mut statement = Sql::new("UPDATE outbox SET conversation_id = ");
            statement
                .bind(target)
                .with(", identity_id = ", left.id)
                .with(" WHERE workspace_id = ", self.ws())
                .with(" AND conversation_id = ", from);
            self.run(statement).await?;
            match kept {
                Some(kept) => self.join_conversation(&kept, &moved, now).await?,
                None => {
                    const MOVE: &str = "UPDATE conversations SET identity_id = $3, contact_id = $4 WHERE workspace_id = $1 AND id = $2";
                    self.run_with(MOVE, [from, left.id, left.contact_id]).await?;
                }
            }
        }
        Ok(())
    }

    /// Locked against new messages too, which would keep a row from being deleted.
    async fn conversations_for_update(&self, identity: Uuid) -> Result<Vec<StoredConversation>, StorageError> {
        let mut statement = self.select_conversations();
        statement.with(" AND c.identity_id = ", identity).push(" ORDER BY c.id");
        if on_postgres(self) {
            statement.push(" FOR UPDATE OF c");
        }
        let rows = super::conversations::Row::find_by_statement(statement.on(&self.conn)).all(&self.conn).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// One thread that was kept as two.
    async fn join_conversation(
        &self,
        kept: &StoredConversation,
        gone: &StoredConversation,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let (to, from) = (kept.conversation.id.uuid(), gone.conversation.id.uuid());
        const PARTS: &str = "UPDATE parts SET conversation_id = $2 WHERE workspace_id = $1 AND conversation_id <> $2 AND \
                             message_id IN (SELECT id FROM messages WHERE workspace_id = $1 AND conversation_id = $2)";
        self.run_with(PARTS, [to]).await?;
        // What still waits to be sent goes in the order in which it was accepted (P9).
        const QUEUE: &str = "UPDATE outbox SET seq = queue.place FROM (SELECT id, row_number() OVER (ORDER BY created_at, seq, id) \
                             AS place FROM outbox WHERE workspace_id = $1 AND conversation_id = $2) AS queue \
                             WHERE outbox.workspace_id = $1 AND outbox.id = queue.id";
        self.run_with(QUEUE, [to]).await?;
        const TAGS: &str = "INSERT INTO conversation_tags (workspace_id, conversation_id, tag, added_at) SELECT workspace_id, \
                            $3, tag, added_at FROM conversation_tags WHERE workspace_id = $1 AND conversation_id = $2 \
                            ON CONFLICT DO NOTHING";
        self.run_with(TAGS, [from, to]).await?;
        self.run_with("DELETE FROM conversation_tags WHERE workspace_id = $1 AND conversation_id = $2", [from]).await?;
        for table in ["missed_windows", "surveys"] {
            let text =
                format!("UPDATE {table} SET conversation_id = $3 WHERE workspace_id = $1 AND conversation_id = $2");
            self.run_with(&text, [from, to]).await?;
        }
        let episodes = self.join_episodes(kept, gone, now).await?;
        self.run_with(JOIN_ACTIVITY, [from, to]).await?;
        self.save_conversation(&Conversation { episodes, ..standing(kept, gone) }, now).await?;
        self.run_with("DELETE FROM conversations WHERE workspace_id = $1 AND id = $2", [from]).await?;
        self.leave_alias(from, to).await
    }

    /// Numbers the episodes of both by their time; how many there are. Of two that are under way one ends.
    async fn join_episodes(
        &self,
        kept: &StoredConversation,
        gone: &StoredConversation,
        now: OffsetDateTime,
    ) -> Result<u32, StorageError> {
        let goes_on = standing(kept, gone).episode;
        let mut all = self.episodes(kept.conversation.id).await?;
        all.extend(self.episodes(gone.conversation.id).await?);
        all.sort_by_key(|episode| (episode.opened_at, episode.id));
        // Out of the way of the numbers that are given next.
        const ASIDE: &str = "UPDATE episodes SET conversation_id = $3, number = -number - (CASE WHEN conversation_id = $2 \
                             THEN 1000000 ELSE 0 END) WHERE workspace_id = $1 AND conversation_id IN ($2, $3)";
        self.run_with(ASIDE, [gone.conversation.id.uuid(), kept.conversation.id.uuid()]).await?;
        for (number, episode) in (1_i64..).zip(&all) {
            let mut statement = Sql::new("UPDATE episodes SET number = ");
            statement.bind(number);
            if episode.closed_at.is_none() && episode.id != goes_on {
                statement.with(", closed_at = ", millis(now)).with(", closed_by = ", to_json(&Actor::Platform)?);
            }
            statement.with(" WHERE workspace_id = ", self.ws()).with(" AND id = ", episode.id.uuid());
            self.run(statement).await?;
        }
        Ok(u32::try_from(all.len()).unwrap_or(u32::MAX))
    }
}

/// Of two standings the one that asks more of us: open before snoozed before closed; the sooner of two snoozes.
fn standing(kept: &StoredConversation, gone: &StoredConversation) -> Conversation {
    let urgency = |stored: &StoredConversation| match stored.conversation.status {
        Status::Open => (0, None),
        Status::Snoozed { until } => (1, Some(Millis::from(until))),
        Status::Closed => (2, None),
    };
    let (first, second) = if urgency(gone) < urgency(kept) { (gone, kept) } else { (kept, gone) };
    let (one, other) = (first.conversation.assignment, second.conversation.assignment);
    Conversation {
        id: kept.conversation.id,
        identity: kept.conversation.identity,
        assignment: Assignment { agent: one.agent.or(other.agent), team: one.team.or(other.team) },
        ..first.conversation.clone()
    }
}

/// The newer of each time, the older of since when somebody waits, the later preview. `$2` goes, `$3` stays.
const JOIN_ACTIVITY: &str = "UPDATE conversations SET \
    preview = CASE WHEN coalesce(g.last_message_at, -1) > coalesce(conversations.last_message_at, -1) THEN g.preview \
        ELSE conversations.preview END, \
    active_at = CASE WHEN conversations.last_message_at IS NULL AND g.last_message_at IS NOT NULL \
        OR g.last_message_at > conversations.last_message_at THEN g.active_at ELSE conversations.active_at END, \
    last_message_at = CASE WHEN coalesce(g.last_message_at, -1) > coalesce(conversations.last_message_at, -1) \
        THEN g.last_message_at ELSE conversations.last_message_at END, \
    last_inbound_at = CASE WHEN coalesce(g.last_inbound_at, -1) > coalesce(conversations.last_inbound_at, -1) \
        THEN g.last_inbound_at ELSE conversations.last_inbound_at END, \
    last_outbound_at = CASE WHEN coalesce(g.last_outbound_at, -1) > coalesce(conversations.last_outbound_at, -1) \
        THEN g.last_outbound_at ELSE conversations.last_outbound_at END, \
    last_answer_at = CASE WHEN coalesce(g.last_answer_at, -1) > coalesce(conversations.last_answer_at, -1) \
        THEN g.last_answer_at ELSE conversations.last_answer_at END, \
    waiting_since = CASE WHEN g.waiting_since < conversations.waiting_since OR conversations.waiting_since IS NULL \
        THEN g.waiting_since ELSE conversations.waiting_since END, \
    created_at = CASE WHEN g.created_at < conversations.created_at THEN g.created_at ELSE conversations.created_at END \
    FROM (SELECT * FROM conversations WHERE workspace_id = $1 AND id = $2) AS g \
    WHERE conversations.workspace_id = $1 AND conversations.id = $3";
