use crate::error::StoreError;
use crate::page::select;
use crate::params;
use crate::tx::{Row, Tx};
use domain::gate_operation::{GateOperation, OperationState};

const COLUMNS: &str = "number, uuid, transaction_number, kind, object, digest, amount, status, fee, error_code, \
    error_name, message, comment, confirmed_at, created_at, updated_at";

fn operation(row: &mut Row<'_>) -> Result<GateOperation, StoreError> {
    Ok(GateOperation {
        number: row.next()?,
        uuid: row.next()?,
        transaction_number: row.next()?,
        kind: row.next()?,
        object: row.next()?,
        digest: row.next()?,
        amount: row.next()?,
        state: OperationState {
            status: row.next()?,
            fee: row.next()?,
            error_code: row.next()?,
            error_name: row.next()?,
            message: row.next()?,
        },
        comment: row.next()?,
        confirmed_at: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// Stores an operation; its number.
pub fn insert(tx: &mut Tx<'_>, o: &GateOperation) -> Result<i64, StoreError> {
    tx.one(
        "INSERT INTO gate_operations (uuid, transaction_number, kind, object, digest, amount, status, fee, error_code, \
         error_name, message, comment, confirmed_at, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, \
         ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) RETURNING number",
        params![
            o.uuid,
            o.transaction_number,
            o.kind,
            o.object,
            o.digest,
            o.amount,
            o.state.status,
            o.state.fee,
            o.state.error_code,
            o.state.error_name,
            o.state.message,
            o.comment,
            o.confirmed_at,
            o.created_at,
            o.updated_at,
        ],
        |r| r.next(),
    )
}

/// Writes what of an operation changes.
pub fn update(tx: &mut Tx<'_>, o: &GateOperation) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE gate_operations SET object = ?1, amount = ?2, status = ?3, fee = ?4, error_code = ?5, error_name = ?6, \
         message = ?7, confirmed_at = ?8, updated_at = ?9 WHERE number = ?10",
        params![
            o.object,
            o.amount,
            o.state.status,
            o.state.fee,
            o.state.error_code,
            o.state.error_name,
            o.state.message,
            o.confirmed_at,
            o.updated_at,
            o.number,
        ],
    )?;
    Ok(())
}

/// Every operation of a transaction, oldest first.
pub fn of_transaction(tx: &mut Tx<'_>, number: i64) -> Result<Vec<GateOperation>, StoreError> {
    let sql = select(COLUMNS, "gate_operations WHERE transaction_number = ?1 ORDER BY number");
    tx.all(&sql, params![number], operation)
}
