//! Settings of the whole instance. They lie beside those of merchants, under a merchant that is nobody's.

use crate::error::StoreError;
use crate::params;
use crate::tx::{Json, Tx, json};
use domain::id::{Core, MerchantId};
use domain::system_settings::SystemGroup;
use domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

const NOBODY: MerchantId = MerchantId(Core([0; 12]));

/// What is set in a group; its defaults if nothing is.
pub fn get<T: DeserializeOwned + Default>(tx: &mut Tx<'_>, group: SystemGroup) -> Result<T, StoreError> {
    let sql = "SELECT value FROM settings_groups WHERE merchant = ?1 AND live = 0 AND name = ?2";
    let found: Option<Json<T>> = tx.opt(sql, params![NOBODY, group.as_str()], |r| r.next())?;
    Ok(found.map(|json| json.0).unwrap_or_default())
}

/// The same, locked until the transaction ends: of two changes at the same time neither may undo the other.
pub fn lock<T: Serialize + DeserializeOwned + Default>(
    tx: &mut Tx<'_>,
    group: SystemGroup,
    now: Timestamp,
) -> Result<T, StoreError> {
    // A row must be there to be locked.
    tx.execute(
        "INSERT INTO settings_groups (merchant, live, name, value, updated_at) VALUES (?1, 0, ?2, ?3, ?4) \
         ON CONFLICT (merchant, live, name) DO NOTHING",
        params![NOBODY, group.as_str(), json(&T::default())?, now],
    )?;
    let sql =
        "SELECT value FROM settings_groups WHERE merchant = ?1 AND live = 0 AND name = ?2 /* for update */";
    tx.one(sql, params![NOBODY, group.as_str()], |r| r.next::<Json<T>>()).map(|json| json.0)
}

/// Writes a group. The caller holds its lock.
pub fn put<T: Serialize>(
    tx: &mut Tx<'_>,
    group: SystemGroup,
    value: &T,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE settings_groups SET value = ?1, updated_at = ?2 WHERE merchant = ?3 AND live = 0 AND name = ?4",
        params![json(value)?, now, NOBODY, group.as_str()],
    )?;
    Ok(())
}
