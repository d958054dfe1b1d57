//! Numbered migrations, one SQL text for both engines, applied in order at start.
//!
//! Each is recorded with its checksum. A database that knows a migration which this program does not,
//! or whose recorded checksum differs, is refused: it was written by another version.

use crate::Schema;
use crate::error::StoreError;
use sha2::{Digest, Sha256};

/// Number, name and text of every migration, oldest first.
pub const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "init", include_str!("../migrations/0001_init.sql")),
    (2, "audit", include_str!("../migrations/0002_audit.sql")),
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations
    (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)";

fn checksum(sql: &str) -> String {
    Sha256::digest(sql.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// Rewrites a migration for SQLite: its type names, strict tables, and row ids only where rows are
/// large (a table marked `/* clustered */` is stored in its primary key's order).
fn to_sqlite(sql: &str) -> String {
    strip_blocks(sql, "postgres")
        .replace("BIGINT", "INTEGER")
        .replace("BYTEA", "BLOB")
        .replace(") /* clustered */;", ") STRICT, WITHOUT ROWID;")
        .replace("\n);", "\n) STRICT;")
}

fn to_postgres(sql: &str) -> String {
    strip_blocks(sql, "sqlite")
}

/// Removes what stands between `-- only NAME` and `-- end`: triggers have no common spelling.
fn strip_blocks(sql: &str, engine: &str) -> String {
    let mut kept = String::with_capacity(sql.len());
    let mut skipping = false;
    for line in sql.lines() {
        match line.trim() {
            l if l == format!("-- only {engine}") => skipping = true,
            "-- end" => skipping = false,
            _ if !skipping => {
                kept.push_str(line);
                kept.push('\n');
            }
            _ => {}
        }
    }
    kept
}

/// Which migrations are still to run, given those recorded.
fn pending(
    applied: &[(i64, String)],
    schema: Schema,
) -> Result<Vec<&'static (i64, &'static str, &'static str)>, StoreError> {
    for (version, recorded) in applied {
        let Some((_, name, sql)) = MIGRATIONS.iter().find(|(v, _, _)| v == version) else {
            return Err(StoreError::Unavailable(format!(
                "the database has migration {version}, which this version of paymentgate does not know; \
                 start the version that wrote it, or a newer one"
            )));
        };
        if *recorded != checksum(sql) {
            return Err(StoreError::Unavailable(format!(
                "migration {version} ({name}) of the database differs from the one in this program; \
                 it was written by another build"
            )));
        }
    }
    let pending: Vec<_> =
        MIGRATIONS.iter().filter(|(v, _, _)| !applied.iter().any(|(a, _)| a == v)).collect();
    if schema == Schema::AsIs && !pending.is_empty() {
        return Err(StoreError::Unavailable(format!(
            "the database lacks {} migration(s) of this version; run `paymentgate migrate` first",
            pending.len()
        )));
    }
    Ok(pending)
}

pub(crate) fn sqlite(conn: &mut rusqlite::Connection, schema: Schema) -> Result<(), StoreError> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute_batch(TABLE)?;
    let applied = {
        let mut statement = tx.prepare("SELECT version, checksum FROM schema_migrations")?;
        let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
        rows.collect::<Result<Vec<(i64, String)>, _>>()?
    };
    for (version, name, sql) in pending(&applied, schema)? {
        tx.execute_batch(&to_sqlite(sql))?;
        tx.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES (?1, ?2, ?3)",
            rusqlite::params![version, name, checksum(sql)],
        )?;
    }
    tx.commit()?;
    Ok(())
}

pub(crate) fn postgres(client: &mut postgres::Client, schema: Schema) -> Result<(), StoreError> {
    let mut tx = client.transaction()?;
    // Several nodes may start at once; the first migrates, the others wait here.
    tx.batch_execute("SELECT pg_advisory_xact_lock(727077)")?;
    tx.batch_execute(TABLE)?;
    let applied: Vec<(i64, String)> = tx
        .query("SELECT version, checksum FROM schema_migrations", &[])?
        .iter()
        .map(|r| (r.get(0), r.get(1)))
        .collect();
    for (version, name, sql) in pending(&applied, schema)? {
        tx.batch_execute(&to_postgres(sql))?;
        tx.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
            &[version, name, &checksum(sql)],
        )?;
    }
    tx.commit()?;
    Ok(())
}
