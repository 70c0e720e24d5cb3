//! All that a database holds, for tests that look for what must not be there.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::{Storage, StorageError};

/// Every value of every row of every table, as text: the table's name and the row.
pub async fn every_row(storage: &Storage) -> Result<Vec<(String, String)>, StorageError> {
    let db = storage.db();
    let backend = db.get_database_backend();
    let columns = match backend {
        DbBackend::Postgres => {
            "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns WHERE table_schema = \
             current_schema() ORDER BY 1, 2"
        }
        _ => {
            "SELECT m.name, c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' \
             ORDER BY 1, 2"
        }
    };
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for row in db.query_all_raw(Statement::from_string(backend, columns)).await? {
        let (table, column, kind): (String, String, String) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let hex = match backend {
            DbBackend::Postgres if kind == "bytea" => format!("coalesce(encode(\"{column}\", 'hex'), '')"),
            DbBackend::Postgres => format!("coalesce(encode(convert_to(\"{column}\"::text, 'UTF8'), 'hex'), '')"),
            _ => format!("coalesce(hex(\"{column}\"), '')"),
        };
        match tables.last_mut().filter(|(name, _)| *name == table) {
            Some((_, columns)) => columns.push(hex),
            None => tables.push((table, vec![hex])),
        }
    }
    let mut found = Vec::new();
    for (table, columns) in tables {
        let select = format!("SELECT {} FROM \"{table}\"", columns.join(" || '20' || "));
        for row in db.query_all_raw(Statement::from_string(backend, select)).await? {
            let text: String = row.try_get_by_index(0)?;
            let bytes = hex::decode(text).map_err(|error| StorageError::Database(error.to_string()))?;
            found.push((table.clone(), String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(found)
}
