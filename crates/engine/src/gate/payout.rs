//! A payout by signed request: amount and fee are held from the balance, and the provider pays the account.

use super::NewTransaction;
use super::follow::blank_operation;
use super::purchase::{FEE_FAILED, check_callback, known_transaction};
use super::refund::BALANCE_SHORT;
use super::service::GateService;
use crate::Engine;
use crate::emit::Cause;
use crate::error::Error;
use crate::payouts::{CreatePayout, PayoutFacts};
use crate::provider::Ask;
use domain::gate_operation::{GateOperation, OperationKind, payout_state};
use domain::gate_transaction::{CODE_BALANCE, CODE_FEE, GateTransaction, TransactionKind, payout_status};
use domain::id::TypedId;
use domain::payout::{AccountNumber, Destination, DestinationKind, Payout, PayoutRefusal};
use domain::storefront::Storefront;
use store::Tx;

/// Where a payout goes, as the merchant's request says.
#[derive(Clone, Debug)]
pub struct PayoutAccount {
    /// The account's holder; the request's person if `None`.
    pub holder: Option<String>,
    /// IBAN or account number.
    pub account: String,
    pub bank_name: Option<String>,
    pub swift: Option<String>,
}

impl Engine {
    /// Makes the payout of a signed request: once, however often the request comes. One that the balance
    /// cannot bear is written down as failed with code 223, one without a fee rule with code 434; nothing
    /// is taken for either.
    ///
    /// # Errors
    /// Those of [`Engine::create_gate_purchase`], and an account number that is none.
    pub async fn create_gate_payout(
        &self,
        service: &GateService,
        new: NewTransaction,
        account: PayoutAccount,
    ) -> Result<GateTransaction, Error> {
        let storefront = service.storefront.clone();
        check_callback(self, storefront.scope, new.callback_url.as_deref())?;
        let number = AccountNumber::parse(&account.account)
            .map_err(|e| Error::invalid("company.bank_account", "account_invalid", format!("{e}.")))?;
        let facts = self.payout_facts(storefront.scope).await?;
        let wanted = CreatePayout {
            id: self.payout_id(),
            storefront: Some(storefront.id),
            amount: new.amount,
            currency: new.currency,
            destination: Destination {
                kind: DestinationKind::BankAccount,
                bank_account: None,
                holder: account.holder.unwrap_or_else(|| new.payer.name.clone()),
                last4: String::new(),
                country: number.country().map(str::to_owned),
                bank_name: account.bank_name,
                swift: account.swift,
            },
            account: number,
            description: None,
            metadata: vec![("payment_id".to_owned(), new.payment_id.clone())],
            clock: None,
        };
        let (payment_id, digest) = (new.payment_id.clone(), new.digest);
        self.carry_out(move |engine, tx| engine.begin_gate_payout(tx, &storefront, &new, &facts, &wanted))
            .await?;
        let known = self.known_gate_transaction(service, TransactionKind::Payout, payment_id, digest).await?;
        known.ok_or_else(|| Error::Internal("a payout left no transaction".to_owned()))
    }

    fn begin_gate_payout(
        &self,
        tx: &mut Tx<'_>,
        storefront: &Storefront,
        new: &NewTransaction,
        facts: &PayoutFacts,
        wanted: &CreatePayout,
    ) -> Result<Option<Ask>, Error> {
        let kind = TransactionKind::Payout;
        if known_transaction(tx, storefront.id, kind, &new.payment_id, &new.digest)?.is_some() {
            return Ok(None);
        }
        let scope = storefront.scope;
        let cause = Cause::request(&new.request_id);
        let customer = self.gate_payer(tx, &cause, scope, &new.payer)?;
        let begun = self.begin_unattended_payout(tx, scope, cause.clone(), facts, wanted);
        let mut transaction = GateTransaction {
            customer: Some(customer),
            cost: 0,
            ..self.blank_transaction(storefront, new, TransactionKind::Payout, self.now())
        };
        let operation = blank_operation(&transaction, OperationKind::Payout, new.amount, 0);
        let failure = match begun {
            Ok(Some(ask)) => {
                let payout = store::payouts::get(tx, scope, wanted.id)?
                    .ok_or_else(|| Error::not_found("payout", wanted.id))?;
                let operation = held(&mut transaction, operation, &payout);
                self.write_down(tx, &cause, &mut transaction, operation, None)?;
                return Ok(Some(ask));
            }
            Ok(None) => return Ok(None),
            Err(Error::Payout { refusal: PayoutRefusal::BalanceInsufficient { .. }, .. }) => {
                (CODE_BALANCE, "balance_insufficient", BALANCE_SHORT)
            }
            Err(Error::FeeNotConfigured { .. }) => (CODE_FEE, "fee_calculator", FEE_FAILED),
            Err(other) => return Err(other),
        };
        self.write_down(tx, &cause, &mut transaction, operation, Some(failure))?;
        Ok(None)
    }
}

/// The transaction and its operation of a payout whose money is held.
fn held(transaction: &mut GateTransaction, operation: GateOperation, payout: &Payout) -> GateOperation {
    (transaction.payout, transaction.status) = (Some(payout.id), payout_status(payout));
    GateOperation {
        object: Some(payout.id.core()),
        amount: payout.amount,
        state: payout_state(payout),
        confirmed_at: Some(payout.created_at),
        ..operation
    }
}
