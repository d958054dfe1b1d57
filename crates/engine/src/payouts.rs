//! Payouts: amount and fee leave the merchant's balance first, then the provider is asked.

use crate::Engine;
use crate::call::{Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::provider::{Ask, Order, Origin, Step, Subject};
use crate::settings::Settings;
use crate::view::{Outcome, Snapshot, View};
use connectors::PayoutOrder;
use domain::Metadata;
use domain::balance::{BalanceKind, BalanceTransaction};
use domain::currency::Currency;
use domain::event::EventType;
use domain::fee::{FeeError, FeeOperation, fee};
use domain::id::{BankAccountId, ClockId, JournalId, PayoutId, StorefrontId, TypedId};
use domain::ledger::{AccountKey, AccountKind, recipes};
use domain::merchant::Provider;
use domain::outcome::PayoutOutcome;
use domain::payout::{self, AccountNumber, Destination, Payout, PayoutCall, PayoutChange, PayoutStatus};
use domain::scope::Scope;
use domain::time::Timestamp;
use store::Tx;
use store::jobs::{Job, JobKind};

/// What is to be paid out.
#[derive(Clone, Debug)]
pub struct CreatePayout {
    /// Its id, made by [`Engine::payout_id`]: a surface writes it down before it asks, and asks again
    /// under the same id without paying twice.
    pub id: PayoutId,
    /// Through which it is made; the merchant's default one if `None`.
    pub storefront: Option<StorefrontId>,
    /// Minor units; the fee comes on top.
    pub amount: i64,
    pub currency: Currency,
    pub account: AccountNumber,
    /// The account's holder and bank. The last four characters come from the account.
    pub destination: Destination,
    pub description: Option<String>,
    pub metadata: Metadata,
    /// The test clock that it lives by, in test mode.
    pub clock: Option<ClockId>,
}

/// A payout to one of the merchant's own bank accounts.
#[derive(Clone, Debug)]
pub struct MerchantPayout {
    /// Minor units; the fee comes on top.
    pub amount: i64,
    pub currency: Currency,
    /// The currency's default account if `None`.
    pub bank_account: Option<BankAccountId>,
    pub description: Option<String>,
    pub metadata: Metadata,
    /// The test clock that it lives by, in test mode.
    pub clock: Option<ClockId>,
}

/// What a merchant's settings say about a payout, read before the transaction.
#[derive(Clone)]
pub(crate) struct PayoutFacts {
    provider: Provider,
    settings: std::sync::Arc<Settings>,
}

impl PayoutFacts {
    fn new(settings: std::sync::Arc<Settings>) -> Result<PayoutFacts, Error> {
        let provider = settings.require_provider()?.clone();
        Ok(PayoutFacts { provider, settings })
    }
}

fn context(scope: Scope, id: PayoutId) -> String {
    format!("payouts.account.{}.{}.{id}", scope.merchant, scope.mode)
}

impl Engine {
    /// An id for a payout that is to be created.
    pub fn payout_id(&self) -> PayoutId {
        self.ids.next()
    }

    /// Pays out, for a request that may carry an idempotency key.
    pub async fn create_payout(&self, call: &Call, new: CreatePayout) -> Result<Reply, Error> {
        self.begin_payout_with(call, move |_, _| Ok(new.clone())).await
    }

    /// Pays out to one of the merchant's bank accounts, for a request that may carry an idempotency key.
    ///
    /// # Errors
    /// [`Error::Payout`]; [`Error::Invalid`] where there is no account to pay to, or it takes another currency.
    pub async fn pay_merchant(&self, call: &Call, new: MerchantPayout) -> Result<Reply, Error> {
        let scope = call.caller.scope;
        self.begin_payout_with(call, move |engine, tx| {
            let (account, destination) = engine.destination(tx, scope, new.currency, new.bank_account)?;
            Ok(CreatePayout {
                id: engine.payout_id(),
                storefront: None,
                amount: new.amount,
                currency: new.currency,
                account,
                destination,
                description: new.description.clone(),
                metadata: new.metadata.clone(),
                clock: new.clock,
            })
        })
        .await
    }

    async fn begin_payout_with(
        &self,
        call: &Call,
        describe: impl Fn(&Engine, &mut Tx<'_>) -> Result<CreatePayout, Error> + Send + 'static,
    ) -> Result<Reply, Error> {
        let settings = self.settings(call.caller.scope).await?;
        self.drive(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let new = describe(engine, tx)?;
            let facts = PayoutFacts::new(settings.clone())?;
            let begun = engine.begin_payout(tx, scope, &Cause::from(call), &facts, &new)?;
            let Some((provider, order)) = begun else {
                let known = locked(tx, scope, new.id)?;
                return Ok(Step::Done(engine.reply_now(tx, call, &Outcome::Done(View::Payout(known)))?));
            };
            let subject = Subject::Payout { payout: new.id };
            engine
                .prepare_ask(tx, &Origin::from(call), &provider, Order::Payout(order), subject)
                .map(Step::Ask)
        })
        .await
    }

    /// Pays out, for a surface without idempotency keys. The payout as it is after the provider's first
    /// answer; one with this id that exists already is left alone. An error after the money was taken
    /// does not end the payout: a job does.
    pub async fn pay_out(
        &self,
        scope: Scope,
        request: Option<String>,
        new: CreatePayout,
    ) -> Result<Payout, Error> {
        let facts = self.payout_facts(scope).await?;
        let id = new.id;
        self.carry_out(move |engine, tx| {
            let cause = Cause { request: request.clone(), idempotency_key: None };
            engine.begin_unattended_payout(tx, scope, cause, &facts, &new)
        })
        .await?;
        self.payout(scope, id).await
    }

    /// Transaction 1 of a payout that no idempotency key waits for. Nothing if it exists.
    pub(crate) fn begin_unattended_payout(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        cause: Cause,
        facts: &PayoutFacts,
        new: &CreatePayout,
    ) -> Result<Option<Ask>, Error> {
        let Some((provider, order)) = self.begin_payout(tx, scope, &cause, facts, new)? else {
            return Ok(None);
        };
        self.ask_about_payout(tx, scope, new.id, provider, Order::Payout(order), cause).map(Some)
    }

    /// Changes what the merchant keeps about a payout.
    pub async fn update_payout<M>(&self, call: &Call, id: PayoutId, metadata: M) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let mut payout = locked(tx, scope, id)?;
            let before = payout.clone();
            metadata(&mut payout.metadata)?;
            store::payouts::update(tx, &payout)?;
            let at = engine.object_time(tx, scope, payout.clock)?;
            let previous = Some(Box::new(Snapshot { payout: Some(before), ..Snapshot::default() }));
            let snapshot = Snapshot { payout: Some(payout.clone()), previous, ..Snapshot::default() };
            let news = [News::new(EventType::PayoutUpdated, id.core())];
            engine.emit(tx, scope, &Cause::from(call), at, snapshot, &news)?;
            Ok(View::Payout(payout))
        })
        .await
    }

    /// Cancels a payout that is still pending, for a request that may carry an idempotency key.
    pub async fn cancel_payout(&self, call: &Call, id: PayoutId) -> Result<Reply, Error> {
        self.drive(call, move |engine, tx, call| {
            let (provider, order) = engine.begin_cancel_payout(tx, call.caller.scope, id)?;
            let subject = Subject::Payout { payout: id };
            engine.prepare_ask(tx, &Origin::from(call), &provider, order, subject).map(Step::Ask)
        })
        .await
    }

    /// Cancels a payout that is still pending, for a surface without idempotency keys. The payout as it is
    /// after the provider's answer: not canceled if it was on its way already.
    pub async fn stop_payout(
        &self,
        scope: Scope,
        request: Option<String>,
        id: PayoutId,
    ) -> Result<Payout, Error> {
        self.carry_out(move |engine, tx| {
            let (provider, order) = engine.begin_cancel_payout(tx, scope, id)?;
            let cause = Cause { request: request.clone(), idempotency_key: None };
            engine.ask_about_payout(tx, scope, id, provider, order, cause).map(Some)
        })
        .await?;
        self.payout(scope, id).await
    }

    async fn payout(&self, scope: Scope, id: PayoutId) -> Result<Payout, Error> {
        self.store
            .read(move |tx| store::payouts::get(tx, scope, id)?.ok_or_else(|| Error::not_found("payout", id)))
            .await
    }

    pub(crate) async fn payout_facts(&self, scope: Scope) -> Result<PayoutFacts, Error> {
        PayoutFacts::new(self.settings(scope).await?)
    }

    /// Transaction 1 of a payout: takes its money, writes it as pending, and says what to send to which
    /// connector. Nothing if a payout with this id exists.
    fn begin_payout(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        cause: &Cause,
        facts: &PayoutFacts,
        new: &CreatePayout,
    ) -> Result<Option<(String, PayoutOrder)>, Error> {
        payout::check_amount(new.amount).map_err(|refusal| Error::Payout { refusal, payout: None })?;
        if let Some(clock) = new.clock
            && store::test_clocks::get(tx, scope, clock)?.is_none()
        {
            return Err(Error::missing("test_clock", "test clock", clock));
        }
        // Until this transaction ends no other payout or refund of this merchant can read the balance, nor
        // can the same request, come twice, write its payout twice.
        let account =
            AccountKey { scope, currency: new.currency, kind: AccountKind::MerchantAvailable, owner: None };
        let available = store::ledger::lock_balance(tx, account)?.saturating_neg();
        if store::payouts::get(tx, scope, new.id)?.is_some() {
            return Ok(None);
        }
        let payout = self.take_payout(tx, scope, facts, new, available)?;
        let snapshot = Snapshot { payout: Some(payout.clone()), ..Snapshot::default() };
        let created = [News::new(EventType::PayoutCreated, payout.id.core())];
        self.emit(tx, scope, cause, payout.created_at, snapshot, &created)?;
        let order = order(&payout, new.account.clone(), payout.created_at);
        Ok(Some((facts.provider.connector.clone(), order)))
    }

    /// Takes a payout's amount and fee from the available balance, whose guard is held, and writes the
    /// payout.
    fn take_payout(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        facts: &PayoutFacts,
        new: &CreatePayout,
        available: i64,
    ) -> Result<Payout, Error> {
        let currency = new.currency;
        let storefront = new.storefront.unwrap_or(facts.settings.mode.storefront);
        let rules = self.fee_rules_of(tx, &facts.settings, storefront)?;
        let kept =
            fee(&rules, FeeOperation::Payout, currency, new.amount, new.amount).map_err(|e| match e {
                FeeError::NoRule { .. } => Error::FeeNotConfigured { currency },
                other => Error::Internal(format!("a fee: {other}")),
            })?;
        payout::begin(new.amount, kept, available)
            .map_err(|refusal| Error::Payout { refusal, payout: None })?;
        let at = self.object_time(tx, scope, new.clock)?;
        let journal: JournalId = self.ids.next();
        let payout = Payout {
            id: new.id,
            scope,
            storefront,
            provider: facts.provider.id,
            amount: new.amount,
            fee: kept,
            currency,
            status: PayoutStatus::Pending,
            call: Some(PayoutCall::Send),
            destination: Destination { last4: new.account.last4().to_owned(), ..new.destination.clone() },
            description: new.description.clone(),
            failure_code: None,
            failure_message: None,
            journal,
            closing_journal: None,
            metadata: new.metadata.clone(),
            clock: new.clock,
            arrival_date: at,
            created_at: at,
        };
        store::ledger::post(tx, &recipes::payout_created(&payout, at), journal, self.now())?;
        balance_line(tx, &payout, BalanceKind::Payout, journal, at)?;
        let sealed = self.vault.seal(&context(scope, payout.id), new.account.expose().as_bytes())?;
        store::payouts::insert(tx, &payout, &sealed)?;
        Ok(payout)
    }

    /// Transaction 1 of a cancellation. Only the provider knows whether the money is on its way already,
    /// so nothing is put back before it has answered.
    fn begin_cancel_payout(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        id: PayoutId,
    ) -> Result<(String, Order), Error> {
        let mut payout = locked(tx, scope, id)?;
        let before = payout.clone();
        if let Err(refusal) = payout::begin_cancel(&mut payout) {
            return Err(Error::Payout { refusal, payout: Some(Box::new(before)) });
        }
        store::payouts::update(tx, &payout)?;
        let now = self.object_time(tx, scope, payout.clock)?;
        let connector = connector_of(tx, &payout)?;
        Ok((connector, Order::CancelPayout { payout: id.to_string(), now }))
    }

    /// Inserts the job of a call that no idempotency key waits for, and describes the call.
    fn ask_about_payout(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        id: PayoutId,
        connector: String,
        order: Order,
        cause: Cause,
    ) -> Result<Ask, Error> {
        let job = self.gateway_job(scope, JobKind::ReconcilePayout, id.to_string());
        store::jobs::insert(tx, &job)?;
        let subject = Subject::Payout { payout: id };
        Ok(Ask { scope, connector, order, subject, job: job.id, tries: 0, cause, key: None, spec: None })
    }

    /// Transaction 2 of a payout and of its cancellation.
    pub(crate) fn apply_to_payout(
        &self,
        tx: &mut Tx<'_>,
        ask: &Ask,
        id: PayoutId,
        outcome: &PayoutOutcome,
    ) -> Result<Outcome, Error> {
        let mut payout = locked(tx, ask.scope, id)?;
        let at = self.object_time(tx, ask.scope, payout.clock)?;
        if payout::contradicts(&payout, outcome) {
            tracing::error!(payout = %id, status = %payout.status, ?outcome, "the provider now tells of another end of a payout");
        }
        let before = payout.clone();
        let change = payout::apply(&mut payout, outcome, at);
        let ended = match change {
            PayoutChange::None => None,
            PayoutChange::Sent => Some(EventType::PayoutUpdated),
            PayoutChange::Paid => {
                payout.closing_journal = Some(self.post_journal(tx, &recipes::payout_paid(&payout, at))?);
                Some(EventType::PayoutPaid)
            }
            PayoutChange::Failed => {
                let journal = self.post_journal(tx, &recipes::payout_failed(&payout, at))?;
                self.put_payout_back(tx, &mut payout, BalanceKind::PayoutFailure, journal, at)?;
                Some(EventType::PayoutFailed)
            }
            PayoutChange::Canceled => {
                let journal = self.post_journal(tx, &recipes::payout_canceled(&payout, at))?;
                self.put_payout_back(tx, &mut payout, BalanceKind::PayoutCancel, journal, at)?;
                Some(EventType::PayoutCanceled)
            }
        };
        if before.status.is_open() {
            store::payouts::update(tx, &payout)?;
        }
        if let Some(ended) = ended {
            self.tell_of_payout(tx, ask, before, payout.clone(), ended, at)?;
        }
        let (ask_again, unknown) = match outcome {
            _ if !payout.status.is_open() => (None, false),
            PayoutOutcome::Accepted { check_at } | PayoutOutcome::InTransit { check_at } => {
                (Some(*check_at), false)
            }
            _ => (Some(at), true),
        };
        self.settle_job(tx, ask, ask_again, unknown, payout.clock)?;
        let too_late = matches!(ask.order, Order::CancelPayout { .. })
            && payout.call.is_none()
            && payout.status != PayoutStatus::Canceled;
        Ok(if too_late {
            Outcome::NotCanceled(Box::new(payout))
        } else {
            Outcome::Done(View::Payout(payout))
        })
    }

    fn put_payout_back(
        &self,
        tx: &mut Tx<'_>,
        payout: &mut Payout,
        kind: BalanceKind,
        journal: JournalId,
        at: Timestamp,
    ) -> Result<(), Error> {
        payout.closing_journal = Some(journal);
        balance_line(tx, payout, kind, journal, at)
    }

    /// `payout.updated`, and beside it what the update was if it ended the payout.
    fn tell_of_payout(
        &self,
        tx: &mut Tx<'_>,
        ask: &Ask,
        before: Payout,
        payout: Payout,
        event: EventType,
        at: Timestamp,
    ) -> Result<(), Error> {
        let object = payout.id.core();
        let previous = Some(Box::new(Snapshot { payout: Some(before), ..Snapshot::default() }));
        let updated = Snapshot { payout: Some(payout.clone()), previous, ..Snapshot::default() };
        self.emit(tx, ask.scope, &ask.cause, at, updated, &[News::new(EventType::PayoutUpdated, object)])?;
        if event == EventType::PayoutUpdated {
            return Ok(());
        }
        let snapshot = Snapshot { payout: Some(payout), ..Snapshot::default() };
        self.emit(tx, ask.scope, &ask.cause, at, snapshot, &[News::new(event, object)])
    }

    /// What a job asks about a payout. One whose sending has no answer is sent again, under the same
    /// reference, if the provider never saw it; a cancellation is repeated.
    pub(crate) fn about_payout(
        &self,
        tx: &mut Tx<'_>,
        job: &Job,
    ) -> Result<Option<(String, Order, Subject)>, Error> {
        let Some(id) = PayoutId::parse(&job.object) else { return Ok(None) };
        let Some(payout) = store::payouts::get(tx, job.scope, id)? else { return Ok(None) };
        if !payout.status.is_open() {
            // Ended already; a request that still waits gets the payout as it is.
            if let Some(key) = &job.idempotency_key {
                let outcome = Outcome::Done(View::Payout(payout));
                self.reply_later(tx, job.scope, Some(key), None, &outcome)?;
            }
            return Ok(None);
        }
        let now = self.object_time(tx, job.scope, payout.clock)?;
        let connector = connector_of(tx, &payout)?;
        let name = job.object.clone();
        let order = match payout.call {
            Some(PayoutCall::Cancel) => Order::CancelPayout { payout: name, now },
            Some(PayoutCall::Send) => {
                let account = self.open_account(tx, &payout)?;
                let again = Some(Box::new(order(&payout, account, now)));
                Order::FindPayout { payout: name, now, again }
            }
            None => Order::FindPayout { payout: name, now, again: None },
        };
        Ok(Some((connector, order, Subject::Payout { payout: id })))
    }

    /// The account number of a payout, for a call to the provider and nothing else.
    fn open_account(&self, tx: &mut Tx<'_>, payout: &Payout) -> Result<AccountNumber, Error> {
        let lost = || Error::Internal(format!("the account of {} is missing or broken", payout.id));
        let sealed = store::payouts::account(tx, payout.scope, payout.id)?.ok_or_else(lost)?;
        let plain = self.vault.open(&context(payout.scope, payout.id), &sealed)?;
        let text = String::from_utf8(plain).map_err(|_| lost())?;
        AccountNumber::parse(&text).map_err(|_| lost())
    }
}

/// A payout that a command is about, locked until the transaction ends.
fn locked(tx: &mut Tx<'_>, scope: Scope, id: PayoutId) -> Result<Payout, Error> {
    store::payouts::lock(tx, scope, id)?.ok_or_else(|| Error::not_found("payout", id))
}

fn connector_of(tx: &mut Tx<'_>, payout: &Payout) -> Result<String, Error> {
    let provider = store::providers::get(tx, payout.scope, payout.provider)?;
    let lost = || Error::Internal(format!("the provider of {} is missing", payout.id));
    Ok(provider.ok_or_else(lost)?.connector)
}

fn order(payout: &Payout, account: AccountNumber, now: Timestamp) -> PayoutOrder {
    PayoutOrder {
        payout: payout.id.to_string(),
        amount: payout.amount,
        currency: payout.currency,
        account,
        destination: payout.destination.clone(),
        description: payout.description.clone(),
        now,
    }
}

/// The merchant's side of a payout's journal: out when it is made, and the same back, fee and all, when it
/// fails or is canceled.
fn balance_line(
    tx: &mut Tx<'_>,
    payout: &Payout,
    kind: BalanceKind,
    journal: JournalId,
    at: Timestamp,
) -> Result<(), Error> {
    let sign = if kind == BalanceKind::Payout { -1 } else { 1 };
    let line = BalanceTransaction {
        journal,
        scope: payout.scope,
        kind,
        currency: payout.currency,
        amount: sign * payout.amount,
        fee: -sign * payout.fee,
        source: payout.id.to_string(),
        available_on: at,
        available: true,
        created_at: at,
    };
    Ok(store::balance::insert(tx, &line)?)
}
