use crate::error::StoreError;
use crate::params;
use crate::tx::Tx;
use domain::currency::Currency;
use domain::fee::{FeeBase, FeeOperation, FeeRule};
use domain::id::FeeGroupId;
use domain::money::Rounding;
use domain::time::Timestamp;

fn text<T>(parsed: Option<T>, what: &str) -> Result<T, StoreError> {
    parsed.ok_or_else(|| StoreError::Defect(format!("unknown {what} in a fee rule")))
}

pub fn insert_group(tx: &mut Tx<'_>, id: FeeGroupId, name: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("INSERT INTO fee_groups (id, name, created_at) VALUES (?1, ?2, ?3)", params![id, name, now])?;
    Ok(())
}

pub fn group_by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<FeeGroupId>, StoreError> {
    tx.opt("SELECT id FROM fee_groups WHERE name = ?1", params![name], |r| r.next())
}

pub fn name_of(tx: &mut Tx<'_>, group: FeeGroupId) -> Result<Option<String>, StoreError> {
    tx.opt("SELECT name FROM fee_groups WHERE id = ?1", params![group], |r| r.next())
}

/// All groups with their names, by name.
pub fn groups(tx: &mut Tx<'_>) -> Result<Vec<(FeeGroupId, String)>, StoreError> {
    tx.all("SELECT id, name FROM fee_groups ORDER BY name", &[], |r| Ok((r.next()?, r.next()?)))
}

pub fn rules(tx: &mut Tx<'_>, group: FeeGroupId) -> Result<Vec<FeeRule>, StoreError> {
    tx.all(
        "SELECT operation, currency, fixed, basis_points, base, min, max, rounding FROM fee_rules \
         WHERE fee_group = ?1 ORDER BY operation, currency",
        params![group],
        |r| {
            Ok(FeeRule {
                operation: text(FeeOperation::parse(&r.next::<String>()?), "operation")?,
                currency: r.next::<Option<Currency>>()?,
                fixed: r.next()?,
                basis_points: r.next()?,
                base: text(FeeBase::parse(&r.next::<String>()?), "base")?,
                min: r.next()?,
                max: r.next()?,
                rounding: text(Rounding::parse(&r.next::<String>()?), "rounding")?,
            })
        },
    )
}

/// Writes a rule in place of the one for the same operation and currency, if there is one.
pub fn put_rule(tx: &mut Tx<'_>, group: FeeGroupId, rule: &FeeRule) -> Result<(), StoreError> {
    remove_rule(tx, group, rule.operation, rule.currency)?;
    tx.execute(
        "INSERT INTO fee_rules (fee_group, operation, currency, fixed, basis_points, base, min, max, rounding) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            group,
            rule.operation.as_str(),
            rule.currency,
            rule.fixed,
            rule.basis_points,
            rule.base.as_str(),
            rule.min,
            rule.max,
            rule.rounding.as_str(),
        ],
    )?;
    Ok(())
}

/// Removes a rule; false when there was none.
pub fn remove_rule(
    tx: &mut Tx<'_>,
    group: FeeGroupId,
    operation: FeeOperation,
    currency: Option<Currency>,
) -> Result<bool, StoreError> {
    let currency = currency.map_or("", |c| c.code());
    let removed = tx.execute(
        "DELETE FROM fee_rules WHERE fee_group = ?1 AND operation = ?2 AND COALESCE(currency, '') = ?3",
        params![group, operation.as_str(), currency],
    )?;
    Ok(removed > 0)
}
