//! What a transaction wrote, read off its statements: so that no query has to say so.

use sea_orm::{Statement, Value};

use super::objects;

/// What a transaction wrote so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Whether it wrote anything that is worth a row.
    pub(crate) any: bool,
    /// The first object that it made: a collection and an id.
    pub(crate) made: Option<(String, String)>,
}

/// Tables that hold no work of people: who has what in hand, and the log itself.
const BOOKKEEPING: [&str; 3] = ["leases", "idempotency_keys", "audit_log"];

impl Written {
    /// Takes a statement in.
    pub(crate) fn see(&mut self, statement: &Statement) {
        let text = statement.sql.trim_start();
        let Some((verb, table)) = target(text).filter(|(_, table)| !BOOKKEEPING.contains(table)) else { return };
        self.any = true;
        if verb == "INSERT INTO"
            && self.made.is_none()
            && let Some(collection) = objects::collection_of(table)
        {
            // Every table begins with the workspace and the key beside it (a test of the migrations).
            let values = statement.values.as_ref().map(|values| values.0.as_slice());
            self.made = values.and_then(|values| values.get(1)).and_then(id_of).map(|id| (collection.to_owned(), id));
        }
    }
}

/// The verb and the table of a statement that writes.
fn target(text: &str) -> Option<(&'static str, &str)> {
    let verbs = ["INSERT INTO", "UPDATE", "DELETE FROM"];
    let (verb, rest) = verbs.into_iter().find_map(|verb| Some((verb, text.strip_prefix(verb)?.strip_prefix(' ')?)))?;
    let table = rest.trim_start_matches('"').split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
    Some((verb, table))
}

fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::Uuid(Some(id)) => Some(id.to_string()),
        Value::String(Some(name)) => Some(name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;
    use uuid::Uuid;

    use super::*;

    fn seen(text: &str, values: Vec<Value>) -> Written {
        let mut written = Written::default();
        written.see(&Statement::from_sql_and_values(DbBackend::Sqlite, text, values));
        written
    }

    #[test]
    fn reads_and_bookkeeping_are_nothing() {
        for nothing in ["SELECT 1", "UPDATE leases SET until = 0", "INSERT INTO \"idempotency_keys\" (a) VALUES (1)"] {
            assert_eq!(seen(nothing, Vec::new()), Written::default(), "{nothing}");
        }
        for something in ["UPDATE \"agents\" SET name = 1", "DELETE FROM tags", " INSERT INTO tags VALUES (1)"] {
            assert!(seen(something, Vec::new()).any, "{something}");
        }
    }

    #[test]
    fn what_was_made_is_known_by_its_second_value() {
        let id = Uuid::from_u128(7);
        let made = seen(
            "INSERT INTO \"agents\" (\"workspace_id\", \"id\") VALUES ($1, $2)",
            vec![Uuid::nil().into(), id.into()],
        );
        assert_eq!(made.made, Some(("agents".to_owned(), id.to_string())));
    }
}
