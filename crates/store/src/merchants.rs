use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Json, Row, Tx, json};
use domain::id::{FeeGroupId, MerchantId};
use domain::merchant::{Merchant, MerchantMode};
use domain::offboarding::Offboarding;
use domain::rate::TierName;
use domain::scope::{Mode, Scope};
use domain::time::Timestamp;

const COLUMNS: &str = "id, name, profile, offboarding_at, offboards_at, offboarding_reason, offboarding_accepts, closed_at, \
    created_at";

fn merchant(row: &mut Row<'_>) -> Result<Merchant, StoreError> {
    Ok(Merchant {
        id: row.next()?,
        name: row.next()?,
        profile: row.next::<Json<_>>()?.0,
        offboarding: {
            let (started_at, ends_at): (Option<Timestamp>, Option<Timestamp>) = (row.next()?, row.next()?);
            let (reason, accepts_balances, closed_at) = (row.next()?, row.next()?, row.next()?);
            started_at.zip(ends_at).map(|(started_at, ends_at)| Offboarding {
                started_at,
                ends_at,
                reason,
                accepts_balances,
                closed_at,
            })
        },
        created_at: row.next()?,
    })
}

pub fn insert(tx: &mut Tx<'_>, m: &Merchant) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO merchants (id, name, profile, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![m.id, m.name, json(&m.profile)?, m.created_at],
    )?;
    tx.execute("INSERT INTO gate_merchants (merchant) VALUES (?1)", params![m.id])?;
    Ok(())
}

pub fn get(tx: &mut Tx<'_>, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
    tx.opt(&select(COLUMNS, "merchants WHERE id = ?1"), params![id], merchant)
}

/// The same, its row locked until the transaction ends. Whoever takes [`lock_mode`] too takes that first.
pub fn lock(tx: &mut Tx<'_>, id: MerchantId) -> Result<Option<Merchant>, StoreError> {
    tx.opt(&select(COLUMNS, "merchants WHERE id = ?1 /* for update */"), params![id], merchant)
}

/// Writes a merchant's name and profile.
pub fn update(tx: &mut Tx<'_>, m: &Merchant) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE merchants SET name = ?1, profile = ?2 WHERE id = ?3",
        params![m.name, json(&m.profile)?, m.id],
    )?;
    Ok(())
}

/// A merchant's integer on Gate.
pub fn gate_number(tx: &mut Tx<'_>, id: MerchantId) -> Result<i64, StoreError> {
    tx.one("SELECT number FROM gate_merchants WHERE merchant = ?1", params![id], |r| r.next())
}

/// Every merchant, oldest first. For the operator's commands.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Merchant>, StoreError> {
    tx.all(&select(COLUMNS, "merchants ORDER BY id"), &[], merchant)
}

const MODE_COLUMNS: &str =
    "merchant, live, storefront, tier, fee_group, settlement_delay, refunds_below_zero";

fn merchant_mode(row: &mut Row<'_>) -> Result<MerchantMode, StoreError> {
    let scope = Scope { merchant: row.next()?, mode: row.next()? };
    let storefront = row.next()?;
    let tier: String = row.next()?;
    let tier = TierName::parse(&tier).map_err(|e| StoreError::Defect(format!("tier {tier:?} {e}")))?;
    Ok(MerchantMode {
        scope,
        storefront,
        tier,
        fee_group: row.next()?,
        settlement_delay: row.next()?,
        refunds_below_zero: row.next()?,
    })
}

/// Writes what is set for a merchant in one mode, new or changed.
pub fn put_mode(tx: &mut Tx<'_>, m: &MerchantMode) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO merchant_modes (merchant, live, storefront, tier, fee_group, settlement_delay, \
         refunds_below_zero) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (merchant, live) DO UPDATE SET \
         storefront = excluded.storefront, tier = excluded.tier, fee_group = excluded.fee_group, \
         settlement_delay = excluded.settlement_delay, refunds_below_zero = excluded.refunds_below_zero",
        params![
            m.scope.merchant,
            m.scope.mode,
            m.storefront,
            m.tier.to_string(),
            m.fee_group,
            m.settlement_delay,
            m.refunds_below_zero,
        ],
    )?;
    Ok(())
}

pub fn mode(tx: &mut Tx<'_>, scope: Scope) -> Result<Option<MerchantMode>, StoreError> {
    let sql = select(MODE_COLUMNS, "merchant_modes WHERE merchant = ?1 AND live = ?2");
    tx.opt(&sql, params![scope.merchant, scope.mode], merchant_mode)
}

/// Locks what is set for a scope until the transaction ends: whoever counts objects against a limit
/// holds it, so that two cannot both find room for the last one.
pub fn lock_mode(tx: &mut Tx<'_>, scope: Scope) -> Result<(), StoreError> {
    let sql = select("1", "merchant_modes WHERE merchant = ?1 AND live = ?2 /* for update */");
    tx.each(&sql, params![scope.merchant, scope.mode], |_| Ok(()))
}

/// How many merchants use a fee group, in either mode.
pub fn count_with_fee_group(tx: &mut Tx<'_>, group: FeeGroupId) -> Result<i64, StoreError> {
    tx.one("SELECT COUNT(*) FROM merchant_modes WHERE fee_group = ?1", params![group], |r| r.next())
}

/// Scopes of all merchants in one mode.
pub fn scopes(tx: &mut Tx<'_>, mode: Mode) -> Result<Vec<Scope>, StoreError> {
    tx.all(
        "SELECT merchant, live FROM merchant_modes WHERE live = ?1 ORDER BY merchant",
        params![mode],
        |r| Ok(Scope { merchant: r.next()?, mode: r.next()? }),
    )
}
