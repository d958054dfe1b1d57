//! Transactions as Gate shows them.

use super::TRANSACTIONS_COUNTED;
use crate::Engine;
use crate::error::Error;
use crate::view::{GateView, ServiceView, ServiceWebhook};
use domain::gate_operation::{GateOperation, OperationKind};
use domain::gate_transaction::GateTransaction;
use domain::id::{AttemptId, TypedId};
use domain::scope::Scope;
use domain::storefront::Storefront;
use domain::webhook::EndpointStatus;
use store::Tx;

/// A transaction with its operations and service.
pub(crate) fn gate_view(
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
        None => store::merchants::default_provider(tx, scope)?.map(|p| p.id),
    };
    let provider = match provider {
        Some(id) => Some(store::merchants::provider_number(tx, id)?),
        None => None,
    };
    Ok(GateView {
        service: service_view(tx, scope, storefront)?,
        method: attempt.map(|a| a.method),
        payer,
        provider,
        transaction,
        operations,
    })
}

fn service_view(tx: &mut Tx<'_>, scope: Scope, storefront: Storefront) -> Result<ServiceView, Error> {
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
        transactions: store::gate_transactions::count(tx, storefront.id, TRANSACTIONS_COUNTED)?,
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
        self.store
            .read(move |tx| {
                let transaction = store::gate_transactions::by_uuid(tx, &uuid)?
                    .ok_or_else(|| Error::not_found("transaction", &uuid))?;
                let operations = store::gate_operations::of_transaction(tx, transaction.number)?;
                gate_view(tx, transaction, operations)
            })
            .await
    }
}
