//! Transactions as Gate shows them.

use super::TRANSACTIONS_COUNTED;
use crate::Engine;
use crate::error::Error;
use crate::view::{GateView, ServiceView, ServiceWebhook};
use domain::gate_operation::{GateOperation, OperationKind};
use domain::gate_transaction::GateTransaction;
use domain::id::{AttemptId, StorefrontId, TypedId};
use domain::scope::Scope;
use domain::storefront::Storefront;
use domain::time::{MINUTE, Timestamp};
use domain::webhook::EndpointStatus;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use store::Tx;

/// A transaction with its operations and service.
pub(crate) fn gate_view(
    engine: &Engine,
    tx: &mut Tx<'_>,
    transaction: GateTransaction,
    operations: Vec<GateOperation>,
) -> Result<GateView, Error> {
    let scope = transaction.scope;
    let storefront = store::storefronts::get(tx, scope, transaction.storefront)?
        .ok_or_else(|| Error::Internal(format!("{} lost its storefront", transaction.uuid)))?;
    let payer = match transaction.customer {
        Some(customer) => store::gate_transactions::payer_number(tx, customer)?,
        None => None,
    };
    // Objects of other kinds of operations are refunds and payouts.
    let tries = |o: &&GateOperation| matches!(o.kind, OperationKind::Sale | OperationKind::Subscription);
    let latest = operations.iter().rev().filter(tries).find_map(|o| o.object).map(AttemptId::from_core);
    let attempt = match latest {
        Some(id) => store::attempts::get(tx, scope, id)?,
        None => None,
    };
    let provider = match &attempt {
        Some(attempt) => Some(attempt.provider),
        None => crate::providers::provider_of(tx, scope, transaction.storefront)?.map(|p| p.id),
    };
    let provider = match provider {
        Some(id) => Some(store::providers::number(tx, id)?),
        None => None,
    };
    Ok(GateView {
        service: service_view(engine, tx, scope, storefront)?,
        method: attempt.map(|a| a.method),
        payer,
        provider,
        transaction,
        operations,
    })
}

fn service_view(
    engine: &Engine,
    tx: &mut Tx<'_>,
    scope: Scope,
    storefront: Storefront,
) -> Result<ServiceView, Error> {
    let merchant = store::merchants::get(tx, scope.merchant)?
        .ok_or_else(|| Error::not_found("merchant", scope.merchant))?;
    let mode =
        store::merchants::mode(tx, scope)?.ok_or_else(|| Error::not_found("merchant", scope.merchant))?;
    let group = storefront.fee_group.unwrap_or(mode.fee_group);
    let webhooks = store::webhooks::of_service(tx, storefront.id)?.into_iter().map(|(number, e)| {
        let active = e.status == EndpointStatus::Enabled;
        ServiceWebhook { number, url: e.url, active, created_at: e.created_at }
    });
    Ok(ServiceView {
        webhooks: webhooks.collect(),
        fee_group: store::fees::name_of(tx, group)?.unwrap_or_default(),
        transactions: engine.transactions_of(tx, storefront.id)?,
        merchant_number: store::merchants::gate_number(tx, scope.merchant)?,
        merchant_name: merchant.name,
        merchant: merchant.profile,
        merchant_created_at: merchant.created_at,
        storefront,
    })
}

impl Engine {
    /// A transaction as it is now. The caller has made sure that it may be seen.
    pub async fn show_gate_transaction(&self, uuid: String) -> Result<GateView, Error> {
        let engine = self.clone();
        self.store
            .read(move |tx| {
                let transaction = store::gate_transactions::by_uuid(tx, &uuid)?
                    .ok_or_else(|| Error::not_found("transaction", &uuid))?;
                let operations = store::gate_operations::of_transaction(tx, transaction.number)?;
                gate_view(&engine, tx, transaction, operations)
            })
            .await
    }

    /// How many transactions a service has, at most a minute old.
    fn transactions_of(&self, tx: &mut Tx<'_>, storefront: StorefrontId) -> Result<i64, Error> {
        let now = self.now();
        if let Some(count) = self.transaction_counts.get(storefront, now) {
            return Ok(count);
        }
        let count = store::gate_transactions::count(tx, storefront, TRANSACTIONS_COUNTED)?;
        self.transaction_counts.put(storefront, count, now);
        Ok(count)
    }
}

/// How many transactions each service has. Counting takes as long as there are many of them, and every
/// callback shows the figure: it must not be counted within each of a busy service's commits.
#[derive(Default)]
pub(crate) struct TransactionCounts(Mutex<HashMap<StorefrontId, (i64, Timestamp)>>);

/// For how long a count is taken for true.
const COUNT_US: i64 = MINUTE;
/// Services whose count is kept at once; bounds memory.
const COUNTS_MAX: usize = 10_000;

impl TransactionCounts {
    fn get(&self, storefront: StorefrontId, now: Timestamp) -> Option<i64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, at) = counts.get(&storefront)?;
        (now.0.saturating_sub(at.0).abs() < COUNT_US).then_some(*count)
    }

    fn put(&self, storefront: StorefrontId, count: i64, now: Timestamp) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= COUNTS_MAX {
            counts.clear();
        }
        counts.insert(storefront, (count, now));
    }

    /// One more was made here.
    pub(super) fn made(&self, storefront: StorefrontId) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = counts.get_mut(&storefront) {
            *count = (*count + 1).min(TRANSACTIONS_COUNTED);
        }
    }
}
