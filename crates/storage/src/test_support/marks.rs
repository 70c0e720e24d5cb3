//! What must always be true of marks: whoever has a term has its bits, wherever they are looked at.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::query::marks_of_terms;
use crate::{Storage, StorageError};

/// The contacts whose marks, or those of their terms or conversations, lack a bit of one of their terms: nobody, or searches
/// would pass them by. The second number is how many rows were looked at.
pub async fn unmarked(storage: &Storage) -> Result<(Vec<Uuid>, usize), StorageError> {
    let db = storage.db();
    let all = |text: &str| Statement::from_string(db.get_database_backend(), text);
    let mut wanted: BTreeMap<Uuid, i64> = BTreeMap::new();
    for row in db.query_all_raw(all("SELECT contact_id, term FROM contact_terms")).await? {
        let (contact, term): (Uuid, Vec<u8>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        *wanted.entry(contact).or_default() |= marks_of_terms(&[term]);
    }
    let rows = "SELECT id, marks FROM contacts UNION ALL SELECT contact_id, marks FROM contact_terms UNION ALL \
                SELECT contact_id, marks FROM conversations";
    let rows = db.query_all_raw(all(rows)).await?;
    let mut unmarked = Vec::new();
    for row in &rows {
        let (contact, marks): (Uuid, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let wanted = wanted.get(&contact).copied().unwrap_or_default();
        if marks & wanted != wanted {
            unmarked.push(contact);
        }
    }
    Ok((unmarked, rows.len()))
}
