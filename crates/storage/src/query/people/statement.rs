//! Statements that grow with their values.

use std::fmt::Write;

use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, IdenStatic, Iterable, Statement, Value};

use crate::Reader;
use crate::query::sql;

/// A statement written by hand, piece by piece: a value can't be added without its place in the text.
#[derive(Debug, Clone)]
pub(crate) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// A statement that begins so.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// A statement whose `$1` is the workspace.
    pub(crate) fn of(reader: &Reader) -> Self {
        Self { text: String::new(), values: vec![reader.ws().into()] }
    }

    /// Text that holds no value of its own.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A value, where it stands.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        // Writing to a string never fails.
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    /// Text and a value behind it.
    pub(crate) fn with(&mut self, text: &str, value: impl Into<Value>) -> &mut Self {
        self.push(text).bind(value)
    }

    /// Values with commas between them, in parentheses; `(NULL)` for none, which nothing is in.
    pub(crate) fn list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        let before = self.values.len();
        self.push("(").each(values);
        self.push(if self.values.len() == before { "NULL)" } else { ")" })
    }

    /// The same, of values that PostgreSQL does not see when it plans: it takes them for average ones, and so need not plan anew for
    /// each of them. Without `LIMIT` it would put the value in the select's place.
    pub(crate) fn hidden<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        let before = self.values.len();
        for (at, value) in values.into_iter().enumerate() {
            self.push(if at == 0 { "((SELECT " } else { ", (SELECT " }).bind(value).push(" LIMIT 1)");
        }
        self.push(if self.values.len() == before { "(NULL)" } else { ")" })
    }

    /// Values with commas between them.
    pub(crate) fn each<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        for (at, value) in values.into_iter().enumerate() {
            self.push(if at == 0 { "" } else { ", " }).bind(value);
        }
        self
    }

    /// Rows with commas between them, each as [`list`](Self::list) has it.
    pub(crate) fn rows<R, V>(&mut self, rows: impl IntoIterator<Item = R>) -> &mut Self
    where
        R: IntoIterator<Item = V>,
        V: Into<Value>,
    {
        for (at, row) in rows.into_iter().enumerate() {
            self.push(if at == 0 { "" } else { ", " }).list(row);
        }
        self
    }

    /// A value that stands in several places: this is how to name it.
    pub(crate) fn named(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// The finished statement.
    pub(crate) fn on(self, db: &impl ConnectionTrait) -> Statement {
        sql(db, &self.text, self.values)
    }
}

/// Whether row locks exist, and statements that write several tables; SQLite's one writer needs neither.
pub(crate) fn on_postgres(reader: &Reader) -> bool {
    reader.conn.get_database_backend() == DbBackend::Postgres
}

/// How many rows one statement writes at most.
const LONGEST: u32 = 6;

/// Rows in runs whose lengths are powers of two, 64 at most: however many there are, the databases see a handful of statements
/// and keep them prepared.
pub(crate) fn runs<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (run, rest) = rows.split_at_checked(run_of(rows.len())?)?;
        rows = rest;
        Some(run)
    })
}

/// How many of so many rows the next statement takes.
pub(crate) fn run_of(rows: usize) -> Option<usize> {
    Some(1 << rows.checked_ilog2()?.min(LONGEST))
}

/// `column IN (select)`, for a select of few rows: PostgreSQL would rather read all of a small table than look each of them up,
/// and stay with that plan while the table grows.
pub(crate) fn is_one_of(reader: &Reader, column: &str, select: &str) -> String {
    if on_postgres(reader) { format!("{column} = ANY (ARRAY({select}))") } else { format!("{column} IN ({select})") }
}

/// The columns of a table by name: a `*` would break prepared statements while old and new replicas run together.
pub(crate) fn columns<E: EntityTrait>(table: &str) -> String {
    let names: Vec<String> = E::Column::iter().map(|column| format!("{table}.{}", column.as_str())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::tags;

    #[test]
    fn values_are_counted_where_they_stand() {
        let mut statement = Sql::new("SELECT 1 WHERE ");
        statement.with("a = ", 1).push(" AND b IN ").list(["x", "y"]);
        assert_eq!(statement.text, "SELECT 1 WHERE a = $1 AND b IN ($2, $3)");
        assert_eq!(statement.values.len(), 3);
        statement.push(" OR c IN ").list(Vec::<i64>::new());
        assert!(statement.text.ends_with(" OR c IN (NULL)"));
    }

    #[test]
    fn runs_are_powers_of_two_and_leave_nothing_out() {
        for count in 0..300 {
            let rows: Vec<usize> = (0..count).collect();
            let runs: Vec<&[usize]> = runs(&rows).collect();
            assert_eq!(runs.concat(), rows);
            assert!(runs.iter().all(|run| run.len().is_power_of_two() && run.len() <= 64), "{count}");
        }
    }

    #[test]
    fn columns_are_named() {
        assert_eq!(columns::<tags::Entity>("t"), "t.workspace_id, t.name, t.created_at");
    }
}
