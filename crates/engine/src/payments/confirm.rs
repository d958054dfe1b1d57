use super::{lock, refuse};
use crate::Engine;
use crate::call::{Call, Reply};
use crate::error::Error;
use crate::provider::{Ask, MethodChoice, Order, Origin, Step, Subject};
use crate::settings::Settings;
use connectors::AuthoriseOrder;
use domain::attempt::{Attempt, AttemptStatus};
use domain::currency::Currency;
use domain::fee::{FeeOperation, FeeRule, fee};
use domain::id::PaymentId;
use domain::merchant::Provider;
use domain::outcome::RiskLevel;
use domain::payment::{self, CaptureMethod, Payment, PaymentStatus, Refusal};
use domain::payment_method::PaymentMethod;
use domain::scope::Scope;
use store::Tx;

/// A confirm, and what it changes on the way.
#[derive(Clone, Debug)]
pub struct Confirm {
    pub payment: PaymentId,
    pub method: MethodChoice,
    pub return_url: Option<String>,
    /// The payer is not there.
    pub off_session: bool,
    /// A challenge counts as a decline.
    pub decline_on_challenge: bool,
    pub setup_future_usage: Option<domain::payment::SetupFutureUsage>,
    pub receipt_email: Option<String>,
    pub shipping: Option<domain::customer::Shipping>,
}

/// What a confirm needs beside the payment.
pub(crate) struct Confirming<'a> {
    pub method: &'a MethodChoice,
    /// Read before the transaction.
    pub settings: &'a Settings,
    /// The one form of a payment page that was sent.
    pub form: Option<String>,
}

/// The fee on a capture of `total`, of which `amount` is the payment's own.
pub(crate) fn capture_fee(
    rules: &[FeeRule],
    currency: Currency,
    amount: i64,
    total: i64,
) -> Result<i64, Error> {
    use domain::fee::FeeError;
    fee(rules, FeeOperation::Capture, currency, amount, total).map_err(|e| match e {
        FeeError::NoRule { .. } => Error::FeeNotConfigured { currency },
        other => Error::Internal(format!("a fee: {other}")),
    })
}

impl Engine {
    /// Confirms a payment: asks its provider to take or reserve the money.
    pub async fn confirm_payment(&self, call: &Call, cmd: Confirm) -> Result<Reply, Error> {
        let settings = self.settings(call.caller.scope).await?;
        self.drive(call, move |engine, tx, call| {
            let mut payment = lock(tx, call.caller.scope, cmd.payment)?;
            apply_changes(&mut payment, &cmd);
            let confirming = Confirming { method: &cmd.method, settings: &settings, form: None };
            engine.begin_confirm(tx, &Origin::from(call), payment, confirming).map(Step::Ask)
        })
        .await
    }

    /// Transaction 1 of a confirm, on a payment whose row is locked or new.
    pub(crate) fn begin_confirm(
        &self,
        tx: &mut Tx<'_>,
        origin: &Origin<'_>,
        mut payment: Payment,
        confirming: Confirming<'_>,
    ) -> Result<Box<Ask>, Error> {
        let (scope, id) = (origin.scope, payment.id);
        let (choice, settings) = (confirming.method, confirming.settings);
        if let (MethodChoice::Keep, None) = (choice, payment.payment_method) {
            let refusal = if payment.busy() {
                Refusal::Busy
            } else if payment::CONFIRMABLE.contains(&payment.status) {
                Refusal::MethodMissing
            } else {
                Refusal::UnexpectedState {
                    command: "confirm",
                    status: payment.status,
                    allowed: payment::CONFIRMABLE,
                }
            };
            return Err(refuse(tx, scope, id, refusal));
        }
        let provider = self.provider_of(tx, settings, payment.storefront)?;
        let total = payment.total();
        let rules = self.fee_rules_of(tx, settings, payment.storefront)?;
        let fee = capture_fee(&rules, payment.currency, payment.amount, total)?;
        let given_up =
            (payment.status == PaymentStatus::RequiresAction).then_some(payment.latest_attempt).flatten();
        if let Some(old) = given_up {
            store::payment_methods::release(tx, old)?;
        }
        let method = self.method_for(tx, scope, choice, &payment)?;
        let attempt_id = self.ids.next();
        if let Err(refusal) = payment::begin_confirm(&mut payment, &method, attempt_id, fee) {
            return Err(refuse(tx, scope, id, refusal));
        }
        if let Some(old) = given_up {
            self.give_up_attempt(tx, scope, old)?;
        }
        payment.provider = Some(provider.id);
        let now = self.object_time(tx, scope, payment.clock)?;
        let attempt = Attempt {
            form: confirming.form,
            ..new_attempt(&payment, &method, &provider, attempt_id, fee, now)
        };
        store::attempts::insert(tx, &attempt)?;
        store::payment_methods::use_up(tx, method.id, attempt_id)?;
        store::payments::update(tx, &payment)?;
        let order = authorise_order(&payment, &attempt, &method, now);
        let subject = Subject::Attempt { payment: id, attempt: attempt_id };
        if payment.checkout {
            self.begun_on_page(tx, origin, &payment, now)?;
        }
        self.prepare_ask(tx, origin, &provider.connector, Order::Authorise(order), subject)
    }

    /// The method that a command names, stored if it is new.
    pub(crate) fn method_for(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        choice: &MethodChoice,
        payment: &Payment,
    ) -> Result<PaymentMethod, Error> {
        let id = match choice {
            MethodChoice::New(method) => {
                store::payment_methods::insert(tx, method)?;
                return Ok((**method).clone());
            }
            MethodChoice::Saved(id) => *id,
            MethodChoice::Keep => payment
                .payment_method
                .ok_or_else(|| Error::Internal("a payment lost its method".to_owned()))?,
        };
        store::payment_methods::lock(tx, scope, id)?
            .ok_or_else(|| Error::missing("payment_method", "payment method", id))
    }

    /// Ends an attempt that waits for the payer, because another one begins or the payment ends.
    pub(crate) fn give_up_attempt(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        id: domain::id::AttemptId,
    ) -> Result<(), Error> {
        if let Some(mut attempt) = store::attempts::get(tx, scope, id)?.filter(|a| a.status.is_open()) {
            attempt.status = AttemptStatus::Canceled;
            store::attempts::update(tx, &attempt)?;
            store::payment_methods::release(tx, id)?;
            store::challenges::close_of_attempt(tx, id, self.now())?;
        }
        Ok(())
    }
}

fn apply_changes(payment: &mut Payment, cmd: &Confirm) {
    if cmd.return_url.is_some() {
        payment.details.return_url.clone_from(&cmd.return_url);
    }
    // Of this confirm only: a payer who was away at the last try may be back at this one.
    payment.details.off_session = cmd.off_session;
    payment.details.decline_on_challenge = cmd.decline_on_challenge;
    if cmd.setup_future_usage.is_some() {
        payment.details.setup_future_usage = cmd.setup_future_usage;
    }
    if cmd.receipt_email.is_some() {
        payment.details.receipt_email.clone_from(&cmd.receipt_email);
    }
    if cmd.shipping.is_some() {
        payment.details.shipping.clone_from(&cmd.shipping);
    }
}

pub(crate) fn new_attempt(
    payment: &Payment,
    method: &PaymentMethod,
    provider: &Provider,
    id: domain::id::AttemptId,
    fee: i64,
    now: domain::time::Timestamp,
) -> Attempt {
    Attempt {
        id,
        scope: payment.scope,
        payment: payment.id,
        provider: provider.id,
        status: AttemptStatus::Submitted,
        amount: payment.total(),
        currency: payment.currency,
        amount_captured: 0,
        amount_refunded: 0,
        fee,
        payment_method: method.id,
        method: method.facts.clone(),
        billing: method.billing.clone(),
        decline: None,
        risk: RiskLevel::NotAssessed,
        authenticated: None,
        listed: false,
        form: None,
        redirected: false,
        journal: None,
        clock: payment.clock,
        created_at: now,
    }
}

pub(crate) fn authorise_order(
    payment: &Payment,
    attempt: &Attempt,
    method: &PaymentMethod,
    now: domain::time::Timestamp,
) -> AuthoriseOrder {
    AuthoriseOrder {
        attempt: attempt.id.to_string(),
        token: method.provider_token.clone(),
        amount: attempt.amount,
        currency: attempt.currency,
        capture: payment.capture_method != CaptureMethod::Manual,
        off_session: payment.details.off_session,
        decline_on_challenge: payment.details.decline_on_challenge,
        saved: method.customer.is_some(),
        now,
    }
}
