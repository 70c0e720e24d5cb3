//! Erasing a contact (reliability rules, section 18): words, names, numbers and files go; what counts hang on stays as a shell.
//!
//! Quotas are counted by rows of parts, so parts that were counted stay, and with them their messages and conversations, blank.

mod addresses;
mod sweep;

use sea_orm::ConnectionTrait;
use time::OffsetDateTime;
use transom_domain::{ContactId, Content, ConversationId, JobId, PartId};
use uuid::Uuid;

use super::people::statement::Sql;
use super::{millis, sql, to_json};
use crate::{Blob, Reader, StorageError, Tx};
pub use addresses::ToldOf;
pub use sweep::{Sweep, Traces};

/// The conversations of a contact; `$2` is its id.
const THEIRS: &str = "(SELECT id FROM conversations WHERE workspace_id = $1 AND contact_id = $2)";

impl Reader {
    /// The job that erases, or erased, a contact.
    pub async fn erasure_of(&self, contact: ContactId) -> Result<Option<JobId>, StorageError> {
        const FIND: &str = "SELECT job_id FROM erasures WHERE workspace_id = $1 AND contact_id = $2";
        let row = self.conn.query_one_raw(sql(&self.conn, FIND, self.and(contact))).await?;
        Ok(row.map(|row| row.try_get_by_index::<Uuid>(0)).transpose()?.map(Into::into))
    }

    /// Whether something for a contact is in the hands of a platform.
    pub async fn is_on_the_wire(&self, contact: ContactId) -> Result<bool, StorageError> {
        let find = format!(
            "SELECT 1 FROM outbox WHERE workspace_id = $1 AND conversation_id IN {THEIRS} AND state IN ('claimed', 'sending') \
             LIMIT 1"
        );
        Ok(self.conn.query_one_raw(sql(&self.conn, &find, self.and(contact))).await?.is_some())
    }

    /// Parts for a contact whose outcome nobody knows.
    pub async fn unknown_parts_for(&self, contact: ContactId, limit: u64) -> Result<Vec<PartId>, StorageError> {
        let find = format!(
            "SELECT id FROM outbox WHERE workspace_id = $1 AND conversation_id IN {THEIRS} AND state = 'unknown' LIMIT {limit}"
        );
        let rows = self.conn.query_all_raw(sql(&self.conn, &find, self.and(contact))).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
    }

    /// Bytes that no other file of the workspace has: those of a contact's next messages to be erased.
    pub async fn blobs_of_next(&self, contact: ContactId, limit: u64) -> Result<Vec<Blob>, StorageError> {
        let ids = self.next_to_erase(contact, limit).await?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut statement = Sql::of(self);
        statement
            .push("SELECT DISTINCT a.sha256, a.size FROM attachments a WHERE a.workspace_id = $1 AND a.sha256 IS NOT NULL")
            .push(" AND a.message_id IN ")
            .list(ids.clone())
            .push(" AND NOT EXISTS (SELECT 1 FROM attachments o WHERE o.workspace_id = $1 AND o.sha256 = a.sha256")
            .push(" AND (o.message_id IS NULL OR o.message_id NOT IN ")
            .list(ids)
            .push("))");
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        let blob = |row: &sea_orm::QueryResult| {
            let (sha256, size): (Vec<u8>, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let sha256 =
                sha256.try_into().map_err(|_| StorageError::Database("a digest of another length".to_owned()))?;
            Ok(Blob { sha256, size: size.unsigned_abs() })
        };
        rows.iter().map(blob).collect()
    }

    async fn next_to_erase(&self, contact: ContactId, limit: u64) -> Result<Vec<Uuid>, StorageError> {
        let find = format!(
            "SELECT id FROM messages WHERE workspace_id = $1 AND conversation_id IN {THEIRS} AND (extra ->> 'erased') IS NULL \
             LIMIT {limit}"
        );
        let rows = self.conn.query_all_raw(sql(&self.conn, &find, self.and(contact))).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    fn and(&self, contact: ContactId) -> [sea_orm::Value; 2] {
        [self.ws().into(), contact.uuid().into()]
    }
}

impl Tx {
    /// Notes that a contact is to be erased; `false` if that was noted before.
    pub async fn insert_erasure(
        &self,
        contact: ContactId,
        job: JobId,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        const NOTE: &str = "INSERT INTO erasures (workspace_id, contact_id, job_id, asked_at) VALUES ($1, $2, $3, $4) \
                            ON CONFLICT DO NOTHING";
        let values = [self.ws().into(), contact.uuid().into(), job.uuid().into(), millis(now)];
        Ok(self.conn.execute_raw(sql(&self.conn, NOTE, values)).await?.rows_affected() == 1)
    }

    /// Notes that a contact was erased.
    pub async fn finish_erasure(&self, contact: ContactId, now: OffsetDateTime) -> Result<(), StorageError> {
        const NOTE: &str = "UPDATE erasures SET done_at = $3 WHERE workspace_id = $1 AND contact_id = $2";
        let values = self.and(contact).into_iter().chain([millis(now)]);
        self.conn.execute_raw(sql(&self.conn, NOTE, values)).await?;
        Ok(())
    }

    /// Erases up to `limit` messages of a contact, with everything that belongs to them; how many.
    pub async fn erase_messages(&self, contact: ContactId, limit: u64) -> Result<u64, StorageError> {
        let ids = self.next_to_erase(contact, limit).await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let mut find = Sql::of(self);
        find.push("SELECT id FROM parts WHERE workspace_id = $1 AND message_id IN ").list(ids.clone());
        let rows = self.conn.query_all_raw(find.on(&self.conn)).await?;
        let parts: Vec<Uuid> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
        self.of_each("DELETE FROM message_reactions", "message_id", &ids, "").await?;
        self.of_each("DELETE FROM attachments", "message_id", &ids, "").await?;
        self.of_each("DELETE FROM attempt_evidence", "part_id", &parts, "").await?;
        self.of_each("DELETE FROM attempts", "part_id", &parts, "").await?;
        self.of_each("DELETE FROM outbox", "id", &parts, "").await?;
        let uncounted =
            " AND NOT EXISTS (SELECT 1 FROM quota_reservations r WHERE r.workspace_id = $1 AND r.part_id = parts.id)";
        self.of_each("DELETE FROM parts", "id", &parts, uncounted).await?;
        let blank = to_json(&Content::text(""))?.to_string().replace('\'', "");
        let blank_parts = format!("UPDATE parts SET content = '{blank}', reason = NULL, provider_id = NULL");
        self.of_each(&blank_parts, "id", &parts, "").await?;
        let empty = " AND NOT EXISTS (SELECT 1 FROM parts p WHERE p.workspace_id = $1 AND p.message_id = messages.id)";
        self.of_each("DELETE FROM messages", "id", &ids, empty).await?;
        let blank_messages = format!(
            "UPDATE messages SET content = '{blank}', reason = NULL, permit = NULL, payload = NULL, provider_id = NULL, reply_to \
             = NULL, extra = '{{\"erased\":true}}'"
        );
        self.of_each(&blank_messages, "id", &ids, "").await?;
        Ok(ids.len() as u64)
    }

    /// `statement WHERE workspace and column is one of these`.
    async fn of_each(&self, statement: &str, column: &str, ids: &[Uuid], more: &str) -> Result<(), StorageError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut all = Sql::of(self);
        all.push(&format!("{statement} WHERE workspace_id = $1 AND {column} IN ")).list(ids.to_vec()).push(more);
        self.conn.execute_raw(all.on(&self.conn)).await?;
        Ok(())
    }

    /// Makes shells of a contact, its identities and conversations: nothing in them says who it was or what was said.
    pub async fn erase_person(&self, contact: ContactId, now: OffsetDateTime) -> Result<(), StorageError> {
        let identities = "(SELECT id FROM identities WHERE workspace_id = $1 AND contact_id = $2)";
        for statement in [
            format!("DELETE FROM identity_addresses WHERE workspace_id = $1 AND identity_id IN {identities}"),
            "UPDATE identities SET addresses = '[]' WHERE workspace_id = $1 AND contact_id = $2".to_owned(),
            format!("UPDATE episodes SET note = NULL WHERE workspace_id = $1 AND conversation_id IN {THEIRS}"),
            "DELETE FROM contact_terms WHERE workspace_id = $1 AND contact_id = $2".to_owned(),
            "DELETE FROM contact_labels WHERE workspace_id = $1 AND contact_id = $2".to_owned(),
            "DELETE FROM contact_fields WHERE workspace_id = $1 AND contact_id = $2".to_owned(),
            "DELETE FROM dedicated_agents WHERE workspace_id = $1 AND contact_id = $2".to_owned(),
            "DELETE FROM contact_merges WHERE workspace_id = $1 AND kept_id = $2".to_owned(),
            "DELETE FROM contact_merges WHERE workspace_id = $1 AND gone_id = $2".to_owned(),
            format!("UPDATE consents SET detail = NULL WHERE workspace_id = $1 AND identity_id IN {identities}"),
        ] {
            self.conn.execute_raw(sql(&self.conn, &statement, self.and(contact))).await?;
        }
        let at = || self.and(contact).into_iter().chain([millis(now)]);
        for statement in [
            format!(
                "UPDATE episodes SET closed_at = $3 WHERE workspace_id = $1 AND conversation_id IN {THEIRS} AND closed_at IS NULL"
            ),
            "UPDATE conversations SET preview = NULL, status = 'closed', tab = 'closed', snoozed_until = NULL, agent_id = NULL, \
             waiting_since = NULL, marks = 0, version = version + 1, updated_at = $3 WHERE workspace_id = $1 AND contact_id = $2"
                .to_owned(),
            "UPDATE contacts SET display_name = NULL, profile = '{}', profile_at = '{}', profile_by = '{}', blocked = true, marks = 0, version = version + 1, \
             updated_at = $3 WHERE workspace_id = $1 AND id = $2"
                .to_owned(),
        ] {
            self.conn.execute_raw(sql(&self.conn, &statement, at())).await?;
        }
        const THREADS: &str =
            "SELECT id FROM conversations WHERE workspace_id = $1 AND contact_id = $2 AND thread <> ''";
        for row in self.conn.query_all_raw(sql(&self.conn, THREADS, self.and(contact))).await? {
            let id = ConversationId::from(row.try_get_by_index::<Uuid>(0)?);
            let mut rename = Sql::of(self);
            rename
                .with("UPDATE conversations SET thread = ", format!("erased:{id}"))
                .with(" WHERE workspace_id = $1 AND id = ", id.uuid());
            self.conn.execute_raw(rename.on(&self.conn)).await?;
        }
        Ok(())
    }
}
