//! Quotas of distinct recipients: how many people were written to in the last while, each counted once.
//!
//! Two counters stand in the ledger row: people for whom messages are held, and people who only got one. All who change them
//! lock that row first. Somebody for whom a message is held counts however long ago their last one was, so that nothing that
//! was reserved is ever without room; who got none for the whole window is dropped by the next who asks.

use sea_orm::{ConnectionTrait, FromQueryResult, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::quota::{KEY, Key};
use crate::instant::Millis;
use crate::query::{millis, sql};
use crate::{StorageError, Tx};

#[derive(FromQueryResult)]
struct Person {
    held: i64,
    last_at: Option<Millis>,
}

#[derive(FromQueryResult)]
struct Row {
    used: i64,
    held: i64,
    used_up_at: Option<Millis>,
}

impl Tx {
    /// Holds a person's place, if they have one already or there is one; `from` is the first instant that still counts.
    pub(super) async fn hold_person(
        &self,
        key: &Key,
        limit: Option<i64>,
        person: Uuid,
        from: Millis,
        now: OffsetDateTime,
    ) -> Result<bool, StorageError> {
        const HOLD: &str = "INSERT INTO quota_recipients (workspace_id, scope, scope_id, name, period, identity_id, held) VALUES \
                            ($1, $2, $3, $4, $5, $6, 1) ON CONFLICT (workspace_id, scope, scope_id, name, period, identity_id) \
                            DO UPDATE SET held = quota_recipients.held + 1 RETURNING held, last_at";
        self.lock_row(key, limit, now).await?;
        let forget = format!("DELETE FROM quota_recipients WHERE {KEY} AND held = 0 AND last_at < $6");
        let values = key.values(self.ws()).into_iter().chain([from.into()]);
        let gone = self.conn.execute_raw(sql(&self.conn, &forget, values)).await?.rows_affected().cast_signed();

        let counters = format!("SELECT used, held, used_up_at FROM quotas WHERE {KEY}");
        let counters = Row::find_by_statement(sql(&self.conn, &counters, key.values(self.ws())));
        let Some(row) = counters.one(&self.conn).await? else { return Ok(false) };
        let hold = Person::find_by_statement(sql(&self.conn, HOLD, self.person(key, person)));
        let Some(now_held) = hold.one(&self.conn).await? else { return Ok(false) };

        // What this hold has changed already: a new person, or one who only got a message before.
        let (more_used, more_held) = match now_held {
            Person { held: 1, last_at: None } => (0, 1),
            Person { held: 1, last_at: Some(_) } => (-1, 1),
            Person { .. } => (0, 0),
        };
        let (mut used, mut held) = (row.used - gone + more_used, row.held + more_held);
        let is_new = now_held.held == 1 && now_held.last_at.is_none();
        let is_over = |used, held| is_new && limit.is_some_and(|limit| used + held > limit);
        if is_over(used, held) {
            // Nobody is refused by a counter alone: two people may have turned out to be one.
            (used, held) = self.count_people(key).await?;
        }
        let refused = is_over(used, held) || row.used_up_at.is_some_and(|at| at >= from);
        if refused {
            self.unhold(key, person).await?;
            (used, held) = (used - more_used, held - more_held);
        }
        self.set_counters(key, used, held, now).await?;
        Ok(!refused)
    }

    async fn count_people(&self, key: &Key) -> Result<(i64, i64), StorageError> {
        let count = format!(
            "SELECT count(CASE WHEN held = 0 THEN 1 END) AS used, count(CASE WHEN held > 0 THEN 1 END) AS held, CAST(NULL AS \
             bigint) AS used_up_at FROM quota_recipients WHERE {KEY}"
        );
        let counted = Row::find_by_statement(sql(&self.conn, &count, key.values(self.ws()))).one(&self.conn).await?;
        Ok(counted.map_or((0, 0), |row| (row.used, row.held)))
    }

    /// The person got their message.
    pub(super) async fn use_person(
        &self,
        key: &Key,
        person: Uuid,
        at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let write = format!(
            "UPDATE quota_recipients SET held = held - 1, last_at = CASE WHEN last_at > $7 THEN last_at ELSE $7 END WHERE {KEY} \
             AND identity_id = $6 RETURNING held, last_at"
        );
        let values = self.person(key, person).into_iter().chain([millis(at)]);
        let left = Person::find_by_statement(sql(&self.conn, &write, values)).one(&self.conn).await?;
        if left.is_some_and(|left| left.held == 0) {
            self.move_counters(key, 1, -1, now).await?;
        }
        Ok(())
    }

    /// The person does not get it; they keep their place if they got one before.
    pub(super) async fn release_person(
        &self,
        key: &Key,
        person: Uuid,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        match self.unhold(key, person).await? {
            Some(Person { held: 0, last_at: None }) => self.move_counters(key, 0, -1, now).await,
            Some(Person { held: 0, last_at: Some(_) }) => self.move_counters(key, 1, -1, now).await,
            Some(Person { .. }) | None => Ok(()),
        }
    }

    /// One message fewer is held for a person, who goes if nothing is left of them.
    async fn unhold(&self, key: &Key, person: Uuid) -> Result<Option<Person>, StorageError> {
        let unhold = format!(
            "UPDATE quota_recipients SET held = held - 1 WHERE {KEY} AND identity_id = $6 RETURNING held, last_at"
        );
        let unhold = Person::find_by_statement(sql(&self.conn, &unhold, self.person(key, person)));
        let left = unhold.one(&self.conn).await?;
        if let Some(Person { held: 0, last_at: None }) = left {
            let forget = format!("DELETE FROM quota_recipients WHERE {KEY} AND identity_id = $6");
            self.conn.execute_raw(sql(&self.conn, &forget, self.person(key, person))).await?;
        }
        Ok(left)
    }

    async fn set_counters(&self, key: &Key, used: i64, held: i64, now: OffsetDateTime) -> Result<(), StorageError> {
        let set = format!("UPDATE quotas SET used = $6, held = $7, updated_at = $8 WHERE {KEY}");
        let values = key.values(self.ws()).into_iter().chain([used.into(), held.into(), millis(now)]);
        self.conn.execute_raw(sql(&self.conn, &set, values)).await?;
        Ok(())
    }

    async fn move_counters(&self, key: &Key, used: i64, held: i64, now: OffsetDateTime) -> Result<(), StorageError> {
        let change = format!("UPDATE quotas SET used = used + $6, held = held + $7, updated_at = $8 WHERE {KEY}");
        let values = key.values(self.ws()).into_iter().chain([used.into(), held.into(), millis(now)]);
        self.conn.execute_raw(sql(&self.conn, &change, values)).await?;
        Ok(())
    }

    fn person(&self, key: &Key, person: Uuid) -> Vec<Value> {
        key.values(self.ws()).into_iter().chain([person.into()]).collect()
    }
}
