//! Facts about the database itself.

use crate::error::StoreError;
use crate::params;
use crate::tx::Tx;

/// Records a fact unless it is recorded; the fact as it stands.
pub fn put_once(tx: &mut Tx<'_>, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
    tx.execute(
        "INSERT INTO instance_facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        params![name, value],
    )?;
    tx.one("SELECT value FROM instance_facts WHERE name = ?1", params![name], |r| r.next())
}

/// What SQLite finds wrong with its own file, at most `limit` findings; empty when it is sound.
pub fn quick_check(tx: &mut Tx<'_>, limit: usize) -> Result<Vec<String>, StoreError> {
    tx.allow_long_statements()?;
    let found: Vec<String> = tx.all(&format!("PRAGMA quick_check({limit})"), &[], |r| r.next())?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}
