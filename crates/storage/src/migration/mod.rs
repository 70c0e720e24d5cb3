//! The schema, one migration a release.
//!
//! The tables are written once, in PostgreSQL's words (`tables/*.sql`); for SQLite the five type names are translated.
//! Changes are additive one release ahead: old and new replicas run together (reliability rules, section 19).

#[cfg(test)]
mod upgrades;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::StorageError;

/// Every migration, in order.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Tables {
                name: "m0001_first_tables",
                ddl: &[
                    include_str!("tables/tenancy.sql"),
                    include_str!("tables/channels.sql"),
                    include_str!("tables/people.sql"),
                    include_str!("tables/conversations.sql"),
                    include_str!("tables/sending.sql"),
                    include_str!("tables/log.sql"),
                ],
            }),
            Box::new(Tables { name: "m0002_attachments", ddl: &[include_str!("tables/attachments.sql")] }),
            Box::new(Tables { name: "m0003_mailboxes", ddl: &[include_str!("tables/mailboxes.sql")] }),
            Box::new(Tables { name: "m0010_lists", ddl: &[include_str!("tables/lists.sql")] }),
            Box::new(Tables { name: "m0011_people", ddl: &[include_str!("tables/customers.sql")] }),
            Box::new(Tables { name: "m0012_jobs", ddl: &[include_str!("tables/jobs.sql")] }),
            Box::new(Tables { name: "m0013_scheduled", ddl: &[include_str!("tables/scheduled.sql")] }),
            Box::new(Tables { name: "m0014_webhooks_out", ddl: &[include_str!("tables/webhooks_out.sql")] }),
            Box::new(Tables { name: "m0015_audit", ddl: &[include_str!("tables/audit.sql")] }),
            Box::new(Tables { name: "m0016_fallbacks", ddl: &[include_str!("tables/fallbacks.sql")] }),
            Box::new(Tables { name: "m0017_aliases", ddl: &[include_str!("tables/aliases.sql")] }),
            Box::new(Tables { name: "m0018_asides", ddl: &[include_str!("tables/asides.sql")] }),
            Box::new(Tables {
                name: "m0019_routing",
                ddl: &[include_str!("tables/routing.sql"), include_str!("tables/bots.sql")],
            }),
            Box::new(Tables { name: "m0020_broadcasts", ddl: &[include_str!("tables/broadcasts.sql")] }),
            Box::new(Tables { name: "m0021_moments", ddl: &[include_str!("tables/moments.sql")] }),
            Box::new(Tables { name: "m0022_replay", ddl: &[include_str!("tables/replay.sql")] }),
            Box::new(Tables { name: "m0023_standings", ddl: &[include_str!("tables/standings.sql")] }),
            Box::new(Tables { name: "m0024_house", ddl: &[include_str!("tables/house.sql")] }),
            Box::new(Tables { name: "m0026_call_proofs", ddl: &[include_str!("tables/call_proofs.sql")] }),
            Box::new(Tables { name: "m0028_look_ups", ddl: &[include_str!("tables/look_ups.sql")] }),
            Box::new(Tables { name: "m0029_queues", ddl: &[include_str!("tables/queues.sql")] }),
            Box::new(Tables { name: "m0030_marks", ddl: &[include_str!("tables/marks.sql")] }),
            Box::new(Tables { name: "m0031_couples", ddl: &[include_str!("tables/couples.sql")] }),
            Box::new(Tables { name: "m0032_members", ddl: &[include_str!("tables/members.sql")] }),
            Box::new(Tables { name: "m0033_members_by_id", ddl: &[include_str!("tables/members_by_id.sql")] }),
            Box::new(OnPostgres { name: "m0034_vacuum", script: include_str!("tables/vacuum.sql") }),
        ]
    }
}

/// Whether every migration of this version was applied.
pub(crate) async fn is_current(db: &impl ConnectionTrait) -> Result<bool, StorageError> {
    let exists = match db.get_database_backend() {
        DbBackend::Sqlite => "SELECT 1 FROM sqlite_master WHERE name = 'seaql_migrations'",
        _ => "SELECT 1 FROM pg_class WHERE oid = to_regclass('seaql_migrations')",
    };
    let statement = |sql: &str| Statement::from_string(db.get_database_backend(), sql);
    if db.query_one_raw(statement(exists)).await?.is_none() {
        return Ok(false);
    }
    let rows = db.query_all_raw(statement("SELECT version FROM seaql_migrations")).await?;
    let applied: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
    Ok(Migrator::migrations().iter().all(|migration| applied.iter().any(|name| name == migration.name())))
}

/// A migration that runs scripts.
struct Tables {
    name: &'static str,
    ddl: &'static [&'static str],
}

impl MigrationName for Tables {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Tables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for script in self.ddl {
            let script = match manager.get_database_backend() {
                DbBackend::Sqlite => for_sqlite(script),
                _ => (*script).to_owned(),
            };
            manager.get_connection().execute_unprepared(&script).await?;
        }
        Ok(())
    }
}

/// A script about what only PostgreSQL has.
struct OnPostgres {
    name: &'static str,
    script: &'static str,
}

impl MigrationName for OnPostgres {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for OnPostgres {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DbBackend::Sqlite {
            manager.get_connection().execute_unprepared(self.script).await?;
        }
        Ok(())
    }
}

/// SQLite's words for the same tables. `STRICT` makes it refuse values of another type, as PostgreSQL does.
fn for_sqlite(script: &str) -> String {
    let translate = |word: &str| match word {
        "uuid" | "bytea" => "BLOB".to_owned(),
        "jsonb" => "TEXT".to_owned(),
        "bigint" | "boolean" => "INTEGER".to_owned(),
        other => other.to_owned(),
    };
    let mut out = String::with_capacity(script.len());
    for line in script.lines().filter(|line| !line.trim_start().starts_with("--")) {
        let line = if line == ");" { ") STRICT;" } else { line };
        let mut rest = line;
        while let Some(at) = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            let (word, tail) = rest.split_at(at);
            let mut tail = tail.chars();
            out.push_str(&translate(word));
            out.extend(tail.next());
            rest = tail.as_str();
        }
        out.push_str(&translate(rest));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_translated_and_nothing_else() {
        let script = "-- a uuid\nCREATE TABLE t (\n    uuid_of uuid NOT NULL,\n    b boolean,\n    j jsonb\n);\n";
        let expected = "CREATE TABLE t (\n    uuid_of BLOB NOT NULL,\n    b INTEGER,\n    j TEXT\n) STRICT;\n";
        assert_eq!(for_sqlite(script), expected);
    }

    /// The rule of section 12: `workspace_id` leads every key, unique, foreign key and index.
    #[test]
    fn the_workspace_leads_every_key() {
        // Rows found by something else: the tenant itself, the check of the master key, and the clock's own order.
        let exceptions = ["id uuid NOT NULL PRIMARY KEY", "id bigint NOT NULL PRIMARY KEY", "workspaces_due (due_at)"];
        let mut keys = 0;
        for table in [
            include_str!("tables/tenancy.sql"),
            include_str!("tables/channels.sql"),
            include_str!("tables/people.sql"),
            include_str!("tables/conversations.sql"),
            include_str!("tables/sending.sql"),
            include_str!("tables/log.sql"),
            include_str!("tables/attachments.sql"),
            include_str!("tables/mailboxes.sql"),
            include_str!("tables/routing.sql"),
            include_str!("tables/bots.sql"),
            include_str!("tables/jobs.sql"),
            include_str!("tables/fallbacks.sql"),
            include_str!("tables/lists.sql"),
            include_str!("tables/customers.sql"),
            include_str!("tables/webhooks_out.sql"),
            include_str!("tables/scheduled.sql"),
            include_str!("tables/audit.sql"),
            include_str!("tables/replay.sql"),
            include_str!("tables/broadcasts.sql"),
            include_str!("tables/moments.sql"),
            include_str!("tables/standings.sql"),
            include_str!("tables/aliases.sql"),
            include_str!("tables/asides.sql"),
            include_str!("tables/call_proofs.sql"),
            include_str!("tables/members_by_id.sql"),
            include_str!("tables/couples.sql"),
            include_str!("tables/house.sql"),
            include_str!("tables/look_ups.sql"),
            include_str!("tables/marks.sql"),
            include_str!("tables/members.sql"),
            include_str!("tables/queues.sql"),
        ] {
            for line in table.lines().map(str::trim).filter(|line| !line.starts_with("--")) {
                let is_key = ["PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "INDEX"].iter().any(|word| line.contains(word));
                if !is_key || line.starts_with("DROP") || exceptions.iter().any(|exception| line.contains(exception)) {
                    continue;
                }
                keys += 1;
                let leads =
                    line.contains("(workspace_id") || line.starts_with("workspace_id uuid NOT NULL PRIMARY KEY");
                assert!(leads, "`{line}`");
            }
        }
        assert!(keys > 100, "only {keys} keys were looked at");
    }
}
