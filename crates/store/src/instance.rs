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
