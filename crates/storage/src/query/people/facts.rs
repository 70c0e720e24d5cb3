//! What the rule engine keeps of a person, and what lists need of it.

use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect, Value};
use time::OffsetDateTime;
use transom_domain::IdentityId;
use transom_windows::Person;
use uuid::Uuid;

use super::statement::{Sql, on_postgres};
use crate::entity::identities;
use crate::query::{millis, unreadable};
use crate::{Reader, StorageError, Tx};

/// What lists sort and filter by, as of the facts when it was stored; decided anew for each row that is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WindowColumns {
    /// When the window closes, or closed.
    pub closes_at: Option<OffsetDateTime>,
    /// Until when free text may be sent.
    pub free_form_until: Option<OffsetDateTime>,
    /// The policy that said so, with its version.
    pub policy_version: String,
    /// When the answer may change by itself.
    pub recompute_at: Option<OffsetDateTime>,
    /// The next end to come, of free text or of the window. An end that is over stays in its place until it was told.
    pub ends_at: Option<OffsetDateTime>,
}

impl WindowColumns {
    /// Stands for "no end" in columns that are sorted: 2262, the last instant that nanoseconds since 1970 can count.
    pub const NEVER: OffsetDateTime = time::macros::datetime!(2262-01-01 00:00 UTC);

    /// True of every window that is open, and of those whose end was not told yet: what `lists_by_open` holds, in its own words, so that
    /// both databases see that it has them all.
    pub(super) const MAYBE_OPEN: &str = " AND (c.window_ends_at IS NOT NULL OR c.window_closes_at >= 9214646400000 OR \
                                         c.free_form_until >= 9214646400000)";

    /// When the next of the two ends: what "closing soonest" sorts by.
    pub(super) fn closing_at(&self) -> Option<OffsetDateTime> {
        [self.closes_at, self.free_form_until].into_iter().flatten().min()
    }

    /// Adds `window_closes_at = …, …`.
    pub(super) fn assign(&self, statement: &mut Sql, now: OffsetDateTime) {
        let now = statement.named(millis(now));
        let set: Vec<String> = Self::COLUMNS
            .into_iter()
            .zip(self.values())
            .map(|(column, value)| Self::assignment(column, &statement.named(value), &now))
            .collect();
        statement.push(&set.join(", "));
    }

    /// `column = …`, for a value that the statement has already under this name.
    pub(super) fn assignment(column: &str, value: &str, now: &str) -> String {
        match column {
            "window_ends_at" => format!("{column} = CASE WHEN {column} <= {now} THEN {column} ELSE {value} END"),
            _ => format!("{column} = {value}"),
        }
    }

    /// The columns of a conversation that hold it.
    pub(super) const COLUMNS: [&str; 6] = [
        "window_closes_at",
        "free_form_until",
        "closing_at",
        "window_policy_version",
        "window_recompute_at",
        "window_ends_at",
    ];

    /// The values of [`COLUMNS`](Self::COLUMNS).
    pub(super) fn values(&self) -> [Value; 6] {
        [
            self.closes_at.map(millis_of).into(),
            self.free_form_until.map(millis_of).into(),
            self.closing_at().map(millis_of).into(),
            self.policy_version.as_str().into(),
            self.recompute_at.map(millis_of).into(),
            self.ends_at.map(millis_of).into(),
        ]
    }
}

fn millis_of(at: OffsetDateTime) -> crate::instant::Millis {
    at.into()
}

/// Empty text stands for nothing known.
pub(super) fn read_facts(identity: Uuid, text: &str) -> Result<Person, StorageError> {
    if text.is_empty() {
        return Ok(Person::default());
    }
    serde_json::from_str(text).map_err(|error| unreadable(("identities", "facts", identity), error.to_string()))
}

/// As text, not as a JSON column: the numbers of sends are wider than those of databases.
pub(super) fn facts_text(facts: &Person) -> Result<String, StorageError> {
    serde_json::to_string(facts).map_err(|error| StorageError::Database(format!("not storable as JSON: {error}")))
}

impl Reader {
    /// What the rule engine keeps of a person; nothing for one it has never heard of.
    pub async fn person_facts(&self, identity: IdentityId) -> Result<Person, StorageError> {
        let text: Option<String> = identities::Entity::find_by_id((self.ws(), identity.uuid()))
            .select_only()
            .column(identities::Column::Facts)
            .into_tuple()
            .one(&self.conn)
            .await?;
        text.map_or_else(|| Ok(Person::default()), |text| read_facts(identity.uuid(), &text))
    }

    /// People whose window columns may have changed by `now`, longest due first.
    pub async fn windows_to_recompute(&self, now: OffsetDateTime, limit: u64) -> Result<Vec<IdentityId>, StorageError> {
        let rows = self.conn.query_all_raw(self.select_windows_due(now, limit).on(&self.conn)).await?;
        let mut identities = Vec::with_capacity(rows.len());
        for row in rows {
            let id = IdentityId::from(row.try_get_by_index::<Uuid>(0)?);
            // One person may have many threads.
            if !identities.contains(&id) {
                identities.push(id);
            }
        }
        Ok(identities)
    }

    pub(super) fn select_windows_due(&self, now: OffsetDateTime, limit: u64) -> Sql {
        let mut statement = Sql::of(self);
        statement
            .push("SELECT identity_id FROM conversations WHERE workspace_id = $1")
            .with(" AND window_recompute_at <= ", millis(now))
            .with(" ORDER BY window_recompute_at LIMIT ", limit.cast_signed());
        statement
    }
}

impl Tx {
    /// Stores what the rule engine keeps of a person.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if there is no such identity.
    pub async fn save_person_facts(
        &self,
        identity: IdentityId,
        facts: &Person,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut statement = Sql::new("");
        self.update_facts(&mut statement, identity.uuid(), facts_text(facts)?, now);
        match self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() {
            0 => Err(no_identity()),
            _ => Ok(()),
        }
    }

    pub(super) fn update_facts(&self, statement: &mut Sql, identity: Uuid, facts: String, now: OffsetDateTime) {
        statement
            .with("UPDATE identities SET facts = ", facts)
            .with(", updated_at = ", millis(now))
            .with(" WHERE workspace_id = ", self.ws())
            .with(" AND id = ", identity);
    }

    /// Stores the window columns on every conversation of the person.
    pub async fn save_window(
        &self,
        identity: IdentityId,
        window: &WindowColumns,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        let mut statement = Sql::new("");
        self.update_window(&mut statement, identity.uuid(), window, now);
        self.conn.execute_raw(statement.on(&self.conn)).await?;
        Ok(())
    }

    fn update_window(&self, statement: &mut Sql, identity: Uuid, window: &WindowColumns, now: OffsetDateTime) {
        statement.push("UPDATE conversations SET ");
        window.assign(statement, now);
        statement.with(" WHERE workspace_id = ", self.ws()).with(" AND identity_id = ", identity);
    }

    /// [`save_person_facts`](Self::save_person_facts) and [`save_window`](Self::save_window), in one round trip on
    /// PostgreSQL.
    ///
    /// # Errors
    /// [`StorageError::MissingReference`] if there is no such identity.
    pub async fn save_person(
        &self,
        identity: IdentityId,
        facts: &Person,
        window: &WindowColumns,
        now: OffsetDateTime,
    ) -> Result<(), StorageError> {
        if !on_postgres(self) {
            self.save_person_facts(identity, facts, now).await?;
            return self.save_window(identity, window, now).await;
        }
        let mut statement = Sql::new("WITH windows AS (");
        self.update_window(&mut statement, identity.uuid(), window, now);
        statement.push(") ");
        self.update_facts(&mut statement, identity.uuid(), facts_text(facts)?, now);
        match self.conn.execute_raw(statement.on(&self.conn)).await?.rows_affected() {
            0 => Err(no_identity()),
            _ => Ok(()),
        }
    }
}

pub(super) fn no_identity() -> StorageError {
    StorageError::MissingReference("there is no such identity".to_owned())
}
