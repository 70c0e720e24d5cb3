//! Several writes in one round trip, and the few words in which the two databases differ.

use std::fmt::Write;

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Value};
use uuid::Uuid;

use crate::StorageError;
use crate::query::sql;
use crate::tx::Conn;

/// Writes that go together: one statement with a `WITH` on PostgreSQL, one after the other on SQLite, which has no round trips.
///
/// PostgreSQL lets each of them see the rows as they were before all, SQLite as the earlier ones left them. So no two may write
/// the same row, and what one reads must mean the same before and after the others.
pub(crate) struct Batch<'a> {
    conn: &'a Conn,
    writes: Vec<(String, Vec<Value>)>,
}

impl<'a> Batch<'a> {
    pub(crate) fn on(conn: &'a Conn) -> Self {
        Self { conn, writes: Vec::new() }
    }

    /// A write; `$1`, `$2`, … are its own values.
    pub(crate) fn add(&mut self, text: impl Into<String>, values: impl IntoIterator<Item = Value>) -> &mut Self {
        self.writes.push((text.into(), values.into_iter().collect()));
        self
    }

    /// Runs all of them with a last one, whose rows it returns.
    pub(crate) async fn and(
        self,
        text: impl Into<String>,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, StorageError> {
        let (text, values) = (text.into(), values.into_iter().collect::<Vec<_>>());
        if self.conn.get_database_backend() != DbBackend::Postgres {
            for (text, values) in self.writes {
                self.conn.execute_raw(sql(self.conn, &text, values)).await?;
            }
            return Ok(self.conn.query_all_raw(sql(self.conn, &text, values)).await?);
        }
        let (text, values) = joined(self.writes, &text, values);
        Ok(self.conn.query_all_raw(sql(self.conn, &text, values)).await?)
    }
}

/// One statement of many, their values counted through.
fn joined(writes: Vec<(String, Vec<Value>)>, last: &str, last_values: Vec<Value>) -> (String, Vec<Value>) {
    let (mut text, mut all) = (String::new(), Vec::new());
    for (place, (write, values)) in writes.into_iter().enumerate() {
        // Writing to a string never fails.
        let _ = write!(text, "{} w{place} AS (", if place == 0 { "WITH" } else { "," });
        renumber(&write, all.len(), &mut text);
        text.push(')');
        all.extend(values);
    }
    text.push(' ');
    renumber(last, all.len(), &mut text);
    all.extend(last_values);
    (text, all)
}

/// Appends a statement whose values stand behind `offset` others.
fn renumber(statement: &str, offset: usize, out: &mut String) {
    let mut pieces = statement.split('$');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let (number, rest) = piece.split_at(digits);
        let _ = write!(out, "${}{rest}", number.parse::<usize>().unwrap_or(0) + offset);
    }
}

/// Ids for an `IN (…)`: `places` names values from number `first` on.
///
/// The list is filled up to a power of two with its last id, so that few different statements have to be prepared.
pub(crate) struct IdList {
    pub(crate) places: String,
    pub(crate) values: Vec<Value>,
}

impl IdList {
    pub(crate) fn new(first: usize, ids: &[Uuid]) -> Self {
        let last = ids.last().copied().unwrap_or_default();
        let filled = ids.iter().copied().chain(std::iter::repeat(last)).take(ids.len().max(1).next_power_of_two());
        let values: Vec<Value> = filled.map(Value::from).collect();
        let places: Vec<String> = (first..).take(values.len()).map(|place| format!("${place}")).collect();
        Self { places: places.join(", "), values }
    }
}

/// The database's clock, in milliseconds.
pub(crate) fn clock(conn: &Conn) -> &'static str {
    match conn.get_database_backend() {
        DbBackend::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
        _ => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    }
}

/// Locks rows until the end of the transaction. SQLite's one writer needs no locks.
pub(crate) fn locking(conn: &Conn, tables: &str) -> String {
    match conn.get_database_backend() {
        DbBackend::Postgres => format!(" FOR UPDATE OF {tables}"),
        _ => String::new(),
    }
}

/// The same, passing over rows that somebody else holds.
pub(crate) fn locking_free(conn: &Conn, tables: &str) -> String {
    match conn.get_database_backend() {
        DbBackend::Postgres => format!(" FOR UPDATE OF {tables} SKIP LOCKED"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_through() {
        let writes = vec![
            ("DELETE FROM a WHERE x = $1 AND y = $2".to_owned(), vec![1.into(), 2.into()]),
            ("UPDATE b SET z = $1 WHERE w = $1".to_owned(), vec![3.into()]),
        ];
        let (text, values) = joined(writes, "UPDATE c SET v = $2 WHERE u = $1 RETURNING v", vec![4.into(), 5.into()]);
        assert_eq!(
            text,
            "WITH w0 AS (DELETE FROM a WHERE x = $1 AND y = $2), w1 AS (UPDATE b SET z = $3 WHERE w = $3) \
             UPDATE c SET v = $5 WHERE u = $4 RETURNING v"
        );
        assert_eq!(values, [1, 2, 3, 4, 5].map(Value::from));
    }

    #[test]
    fn lists_grow_in_powers_of_two() {
        let ids: Vec<Uuid> = (1..=5).map(Uuid::from_u128).collect();
        let list = IdList::new(3, &ids);
        assert_eq!(list.places, "$3, $4, $5, $6, $7, $8, $9, $10");
        assert_eq!(list.values.len(), 8);
        assert_eq!(list.values[7], Value::from(ids[4]));
        assert_eq!(IdList::new(1, &[]).places, "$1", "an empty list matches the nil id, which nobody has");
    }
}
