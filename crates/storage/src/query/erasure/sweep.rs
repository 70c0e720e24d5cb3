//! Rows that hang on nobody and may still tell of somebody: raw calls, events, stored answers, keys. They are found by what they
//! say, window by window where there are many.

use sea_orm::ConnectionTrait;
use transom_domain::ContactId;
use uuid::Uuid;

use super::THEIRS;
use crate::query::people::Sql;
use crate::query::people::statement::on_postgres;
use crate::{Reader, StorageError, Tx};

/// How many rows one window has.
const WINDOW: u32 = 1_000;
const ERASED: &str = "'{\"erased\":true}'";

/// What tells of somebody wherever it stands: addresses and ids, never so short that it would be found in others' rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces(Vec<String>);

impl Traces {
    /// The shortest that is looked for.
    const SHORTEST: usize = 5;

    /// From addresses and ids as they are stored; of phone numbers the digits are looked for.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut traces = Vec::new();
        for value in values {
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            let is_number =
                value.starts_with('+') && value.chars().all(|c| c.is_ascii_digit() || "+ -()./".contains(c));
            let value = if is_number { digits } else { value };
            let lower = value.to_lowercase();
            // As forms write it, too.
            traces.extend([value.replace('@', "%40"), lower.replace('@', "%40"), lower, value]);
        }
        traces.retain(|trace| trace.chars().count() >= Self::SHORTEST);
        traces.sort_unstable();
        traces.dedup();
        Self(traces)
    }
}

/// Which rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// Calls of platforms as they came.
    Journal,
    /// What was told.
    Events,
    /// All the others, which are few or short-lived.
    Others,
}

impl Sweep {
    /// All, in order.
    pub const ALL: [Sweep; 3] = [Sweep::Journal, Sweep::Events, Sweep::Others];
}

impl Reader {
    /// The end of the window behind `after`, and whether there may be more rows behind it; `None` if there are none in it.
    async fn window(&self, table: &str, after: Uuid) -> Result<Option<(Uuid, bool)>, StorageError> {
        let mut find = Sql::of(self);
        find.push(&format!("SELECT id FROM {table} WHERE workspace_id = $1"))
            .with(" AND id > ", after)
            .push(&format!(" ORDER BY id LIMIT {WINDOW}"));
        let rows = self.conn.query_all_raw(find.on(&self.conn)).await?;
        let end = rows.last().map(|row| row.try_get_by_index(0)).transpose()?;
        // A window that is not full is the last one: what comes meanwhile tells nothing of who is a shell by now.
        Ok(end.map(|end| (end, rows.len() as u64 == u64::from(WINDOW))))
    }

    /// ` (column holds a trace or …)`.
    fn holds(&self, statement: &mut Sql, columns: &[(&str, bool)], traces: &Traces) {
        statement.push(" (1 = 0");
        for trace in &traces.0 {
            for (column, is_bytes) in columns {
                let text = match (on_postgres(self), is_bytes) {
                    (_, true) => (*column).to_owned(),
                    (true, false) => format!("CAST({column} AS text)"),
                    (false, false) => format!("CAST({column} AS TEXT)"),
                };
                let value: sea_orm::Value =
                    if *is_bytes { trace.as_bytes().to_vec().into() } else { trace.as_str().into() };
                if on_postgres(self) {
                    statement.with(" OR position(", value).push(&format!(" IN {text}) > 0"));
                } else {
                    statement.push(&format!(" OR instr({text}, ")).bind(value).push(") > 0");
                }
            }
        }
        statement.push(")");
    }
}

impl Tx {
    /// Wipes what tells of a contact from the next rows behind `after`; where to go on, `None` if that was all.
    pub async fn sweep(
        &self,
        sweep: Sweep,
        contact: ContactId,
        traces: &Traces,
        after: Option<Uuid>,
    ) -> Result<Option<Uuid>, StorageError> {
        let after = after.unwrap_or_else(Uuid::nil);
        match sweep {
            Sweep::Journal => {
                let Some((end, more)) = self.window("journal", after).await? else { return Ok(None) };
                let mut wipe = Sql::of(self);
                wipe.with("UPDATE journal SET headers = '[]', summary = NULL, body = ", Vec::<u8>::new())
                    .with(", body_hash = ", Vec::<u8>::new())
                    .with(" WHERE workspace_id = $1 AND state <> 'new' AND id > ", after)
                    .with(" AND id <= ", end)
                    .push(" AND");
                self.holds(&mut wipe, &[("body", true), ("headers", false)], traces);
                self.conn.execute_raw(wipe.on(&self.conn)).await?;
                Ok(more.then_some(end))
            }
            Sweep::Events => {
                let Some((end, more)) = self.window("events", after).await? else { return Ok(None) };
                let mut wipe = Sql::of(self);
                // `$2` is what the conversations are found by.
                let them = wipe.named(contact.uuid());
                wipe.with(&format!("UPDATE events SET data = {ERASED} WHERE workspace_id = $1 AND id > "), after)
                    .with(" AND id <= ", end)
                    .push(&format!(" AND (contact_id = {them} OR conversation_id IN {THEIRS} OR"));
                self.holds(&mut wipe, &[("data", false)], traces);
                wipe.push(")");
                self.conn.execute_raw(wipe.on(&self.conn)).await?;
                Ok(more.then_some(end))
            }
            Sweep::Others => {
                for (statement, only, columns) in [
                    (
                        "UPDATE quarantine SET item = NULL, detail = 'erased'",
                        "",
                        &[("item", false), ("detail", false)][..],
                    ),
                    ("DELETE FROM dedupe_keys", "", &[("event_key", false)]),
                    ("DELETE FROM receipts_parked", "", &[("reference", false), ("data", false)]),
                    (
                        "DELETE FROM changes_parked",
                        "",
                        &[("reference", false), ("event_key", false), ("change", false)],
                    ),
                    ("DELETE FROM idempotency_keys", "", &[("body", true), ("route", false)]),
                    ("DELETE FROM mailbox_keys", "", &[("name", false)]),
                    ("DELETE FROM mailbox_events", "", &[("name", false), ("data", false)]),
                    ("DELETE FROM mailboxes", "", &[("name", false)]),
                    ("UPDATE job_items SET input = NULL", "", &[("input", false)]),
                    // Why a line failed may quote it. What a change was before tells of nobody, and is needed to take it back.
                    ("UPDATE job_items SET outcome = NULL", " AND state = 'failed'", &[("outcome", false)]),
                    ("UPDATE jobs SET request = '{}'", " AND finished_at IS NOT NULL", &[("request", false)]),
                ] {
                    let mut wipe = Sql::of(self);
                    wipe.push(&format!("{statement} WHERE workspace_id = $1{only} AND"));
                    self.holds(&mut wipe, columns, traces);
                    self.conn.execute_raw(wipe.on(&self.conn)).await?;
                }
                Ok(None)
            }
        }
    }
}
