//! Where the database is and how it is opened.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::StorageError;
use crate::vault::MasterKeys;

/// How to open the storage. Its `Debug` shows neither the keys nor the URL, which may hold a password.
pub struct StorageConfig {
    /// `sqlite:<path>`, whose folder is made if it is missing, or `postgres://user@host/database`.
    pub url: String,
    /// The keys that seal the secrets.
    pub keys: MasterKeys,
    /// Connections for reads (SQLite) and for everything (PostgreSQL, where it is added to `write_connections`).
    pub read_connections: u32,
    /// Connections that write, on PostgreSQL; SQLite has one writer whatever this says.
    pub write_connections: u32,
    /// Only to look: nothing is written, whatever is asked, and a database that is not there is not made.
    pub read_only: bool,
}

impl StorageConfig {
    /// The defaults: 4 connections for reads, 12 more on PostgreSQL.
    pub fn new(url: impl Into<String>, keys: impl Into<MasterKeys>) -> Self {
        Self { url: url.into(), keys: keys.into(), read_connections: 4, write_connections: 12, read_only: false }
    }

    /// The same, only to look.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    pub(crate) fn location(&self) -> Result<Location<'_>, StorageError> {
        if self.url.starts_with("postgres://") || self.url.starts_with("postgresql://") {
            return Ok(Location::Postgres(&self.url));
        }
        let Some(rest) = self.url.strip_prefix("sqlite:") else {
            return Err(StorageError::Config("the database URL must start with `sqlite:` or `postgres://`".to_owned()));
        };
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() || path.contains(":memory:") || path.contains('?') {
            return Err(StorageError::Config(format!(
                "`sqlite:{rest}` must name a file, without parameters: a database in memory would lose what was promised"
            )));
        }
        Ok(Location::Sqlite(Path::new(path).to_path_buf()))
    }
}

impl fmt::Debug for StorageConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageConfig")
            .field("read_connections", &self.read_connections)
            .field("write_connections", &self.write_connections)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

/// Which database, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location<'a> {
    Sqlite(PathBuf),
    Postgres(&'a str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::MasterKey;

    fn config(url: &str) -> StorageConfig {
        StorageConfig::new(url, MasterKey::from_bytes([7; 32]).unwrap())
    }

    #[test]
    fn the_url_names_a_file_or_a_server() {
        assert_eq!(config("sqlite:data/t.db").location().unwrap(), Location::Sqlite("data/t.db".into()));
        assert_eq!(config("sqlite:///var/t.db").location().unwrap(), Location::Sqlite("/var/t.db".into()));
        for wrong in ["mysql://x", "sqlite::memory:", "sqlite:", "sqlite:a.db?mode=memory"] {
            assert!(matches!(config(wrong).location(), Err(StorageError::Config(_))), "{wrong}");
        }
    }
}
