//! The two transactions around a provider call.
//!
//! Transaction 1 decides, marks the call in flight and inserts a job that will ask again. Then the
//! call, with a deadline and our own reference, while no transaction is open. Transaction 2 applies
//! the answer. A process that dies in between leaves the job, and the job ends the work the same way:
//! [`Engine::conclude`] is the one way in for answers.

use crate::call::{Call, Reply, ReplySpec};
use crate::emit::Cause;
use crate::error::Error;
use crate::providers::provider_of;
use crate::settings::Settings;
use crate::view::{Outcome, View, payment_view};
use crate::{Engine, ids};
use connectors::{
    AuthoriseOrder, ChallengeAnswer, ChangeOrder, Connector, MethodInput, PayoutOrder, RefundOrder,
    TokeniseRefusal, Tokenised,
};
use domain::id::{
    AttemptId, ClockId, JobId, PaymentId, PaymentMethodId, PayoutId, RefundId, StorefrontId, TypedId,
};
use domain::outcome::{AuthoriseOutcome, ChangeOutcome, PayoutOutcome};
use domain::payment::OperationKind;
use domain::payment_method::PaymentMethod;
use domain::scope::{Mode, Scope};
use domain::time::{MICROS, MINUTE, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::jobs::{Job, JobKind};
use store::{Tx, Wake};

/// When the job of a call asks for the first time: well after the call's deadline.
const FIRST_ASK_US: i64 = MINUTE;
const ASK_AGAIN_MAX_US: i64 = 10 * MINUTE;

/// What to send.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Authorise(AuthoriseOrder),
    Authenticated(AuthoriseOrder, ChallengeAnswer),
    FindAttempt {
        attempt: String,
        now: Timestamp,
    },
    Change(OperationKind, ChangeOrder),
    Reverse(ChangeOrder),
    Refund(RefundOrder),
    FindRefund(RefundOrder),
    Payout(PayoutOrder),
    /// `again`: what to send if the provider never saw it.
    FindPayout {
        payout: String,
        now: Timestamp,
        again: Option<Box<PayoutOrder>>,
    },
    CancelPayout {
        payout: String,
        now: Timestamp,
    },
}

/// Whom the answer is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    Attempt { payment: PaymentId, attempt: AttemptId },
    Change { payment: PaymentId, attempt: AttemptId, kind: OperationKind },
    Refund { payment: PaymentId, refund: RefundId },
    Payout { payout: PayoutId },
    Reversal { payment: PaymentId, attempt: AttemptId },
}

/// Who caused a provider call: a request whose reply waits for the answer, or a payer or the gateway, for
/// whom nobody waits.
pub(crate) struct Origin<'a> {
    pub scope: Scope,
    pub cause: Cause,
    pub call: Option<&'a Call>,
}

impl<'a> From<&'a Call> for Origin<'a> {
    fn from(call: &'a Call) -> Self {
        Origin { scope: call.caller.scope, cause: Cause::from(call), call: Some(call) }
    }
}

impl Origin<'_> {
    /// Caused by `request`, which is answered with what there is afterwards.
    pub fn unattended(scope: Scope, request: &str) -> Origin<'static> {
        Origin { scope, cause: Cause::request(request), call: None }
    }
}

/// A provider call that transaction 1 has prepared.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub scope: Scope,
    pub connector: String,
    pub order: Order,
    pub subject: Subject,
    pub job: JobId,
    /// How often the job has asked before.
    pub tries: i64,
    pub cause: Cause,
    pub key: Option<String>,
    pub spec: Option<ReplySpec>,
}

/// What transaction 1 decided.
pub(crate) enum Step {
    Done(Reply),
    Ask(Box<Ask>),
}

#[derive(Clone, Debug)]
pub(crate) enum ProviderAnswer {
    Authorise(AuthoriseOutcome),
    Change(ChangeOutcome),
    Payout(PayoutOutcome),
}

/// Which payment method a command uses.
#[derive(Clone, Debug)]
pub enum MethodChoice {
    /// The one that the payment already has.
    Keep,
    Saved(PaymentMethodId),
    /// Made from what this request brought; stored with the command.
    New(Box<PaymentMethod>),
}

impl Engine {
    /// Runs a command that may have to ask a provider.
    ///
    /// All of it runs in a task of its own: a client that hangs up after transaction 1 must not leave the
    /// payment without its call, nor the call without its answer. An orderly stop waits for it, see
    /// [`Engine::idle`].
    pub(crate) async fn drive<F>(&self, call: &Call, mut begin: F) -> Result<Reply, Error>
    where
        F: FnMut(&Engine, &mut Tx<'_>, &Call) -> Result<Step, Error> + Send + 'static,
    {
        let (engine, call) = (self.clone(), call.clone());
        self.finish(async move {
            let inner = engine.clone();
            let step = engine
                .store
                .write(move |tx| match inner.earlier_reply(tx, &call)? {
                    Some(reply) => Ok(Step::Done(reply)),
                    None => begin(&inner, tx, &call),
                })
                .await?;
            let ask = match step {
                Step::Done(reply) => return Ok(reply),
                Step::Ask(ask) => *ask,
            };
            let answer = engine.ask(&ask).await;
            let concluded = engine.conclude(ask, answer).await?;
            concluded.ok_or_else(|| Error::Internal("a request ended without a reply".to_owned()))
        })
        .await
    }

    /// Makes a call that `prepare` writes down first, and applies its answer; nothing if there is none to
    /// make. In a task of its own, like [`Engine::drive`].
    pub(crate) async fn carry_out<F>(&self, mut prepare: F) -> Result<bool, Error>
    where
        F: FnMut(&Engine, &mut Tx<'_>) -> Result<Option<Ask>, Error> + Send + 'static,
    {
        let engine = self.clone();
        self.finish(async move {
            let inner = engine.clone();
            let Some(ask) = engine.store.write(move |tx| prepare(&inner, tx)).await? else {
                return Ok(false);
            };
            let answer = engine.ask(&ask).await;
            engine.conclude(ask, answer).await?;
            Ok(true)
        })
        .await
    }

    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let flight = InFlight::begin(self);
        let task = tokio::spawn(async move {
            let _flight = flight;
            work.await
        });
        task.await.map_err(|e| Error::Internal(format!("a payment task ended early: {e}")))?
    }

    /// Inserts the job that asks again if this process dies, and describes the call.
    pub(crate) fn prepare_ask(
        &self,
        tx: &mut Tx<'_>,
        origin: &Origin<'_>,
        connector: &str,
        order: Order,
        subject: Subject,
    ) -> Result<Box<Ask>, Error> {
        let now = self.now();
        let (kind, object) = match subject {
            Subject::Attempt { attempt, .. } => (JobKind::ReconcileAttempt, attempt.to_string()),
            Subject::Change { attempt, .. } => (JobKind::ReconcileChange, attempt.to_string()),
            Subject::Refund { refund, .. } => (JobKind::ReconcileRefund, refund.to_string()),
            Subject::Payout { payout } => (JobKind::ReconcilePayout, payout.to_string()),
            Subject::Reversal { attempt, .. } => (JobKind::ReverseAttempt, attempt.to_string()),
        };
        let key = origin.cause.idempotency_key.clone();
        let job = Job {
            id: self.ids.next(),
            scope: origin.scope,
            kind,
            object,
            node: Some(self.node),
            clock: None,
            due_at: now.plus(FIRST_ASK_US),
            tries: 0,
            idempotency_key: key.clone(),
            created_at: now,
        };
        store::jobs::insert(tx, &job)?;
        if let Some(call) = origin.call {
            self.claim_key(tx, call)?;
        }
        Ok(Box::new(Ask {
            scope: origin.scope,
            connector: connector.to_owned(),
            order,
            subject,
            job: job.id,
            tries: 0,
            cause: origin.cause.clone(),
            key,
            spec: origin.call.map(|call| call.reply.clone()),
        }))
    }

    /// Makes the call. Whatever goes wrong on the way, the answer is then unknown, not negative.
    pub(crate) async fn ask(&self, ask: &Ask) -> ProviderAnswer {
        let unknown = || match ask.subject {
            Subject::Attempt { .. } => ProviderAnswer::Authorise(AuthoriseOutcome::Unknown),
            Subject::Change { .. } | Subject::Refund { .. } | Subject::Reversal { .. } => {
                ProviderAnswer::Change(ChangeOutcome::Unknown)
            }
            Subject::Payout { .. } => ProviderAnswer::Payout(PayoutOutcome::Unknown),
        };
        let Some(connector) = self.connectors.get(&ask.connector) else {
            tracing::error!(connector = ask.connector, "a payment needs a connector that this build lacks");
            return unknown();
        };
        let answer =
            tokio::time::timeout(self.options.provider_deadline, send(&*connector, ask.order.clone())).await;
        answer.unwrap_or_else(|_| {
            tracing::warn!(connector = ask.connector, job = %ask.job, "the provider did not answer in time");
            unknown()
        })
    }

    /// Transaction 2: applies an answer, whoever brings it, and answers the request that waits for it.
    pub(crate) async fn conclude(&self, ask: Ask, answer: ProviderAnswer) -> Result<Option<Reply>, Error> {
        let settings = self.settings(ask.scope).await?;
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let outcome = engine.apply(tx, &settings, &ask, &answer)?;
                engine.reply_later(tx, ask.scope, ask.key.as_deref(), ask.spec.as_ref(), &outcome)
            })
            .await
    }

    fn apply(
        &self,
        tx: &mut Tx<'_>,
        settings: &Settings,
        ask: &Ask,
        answer: &ProviderAnswer,
    ) -> Result<Outcome, Error> {
        match (ask.subject, answer) {
            (Subject::Attempt { payment, attempt }, ProviderAnswer::Authorise(outcome)) => {
                self.apply_to_attempt(tx, settings, ask, payment, attempt, outcome)
            }
            (Subject::Change { payment, attempt, kind }, ProviderAnswer::Change(outcome)) => {
                self.apply_to_change(tx, settings, ask, payment, attempt, kind, outcome)
            }
            (Subject::Refund { payment, refund }, ProviderAnswer::Change(outcome)) => {
                let refund = self.apply_to_refund(tx, ask, payment, refund, outcome)?;
                Ok(Outcome::Done(View::Refund(refund)))
            }
            (Subject::Reversal { payment, attempt }, ProviderAnswer::Change(outcome)) => {
                self.apply_to_reversal(tx, ask, payment, attempt, outcome)
            }
            (Subject::Payout { payout }, ProviderAnswer::Payout(outcome)) => {
                self.apply_to_payout(tx, ask, payout, outcome)
            }
            (subject, answer) => Err(Error::Internal(format!("{answer:?} is no answer about {subject:?}"))),
        }
    }

    /// Ends or puts off the job of a call. `ask_again`: when, in the object's own time, the provider
    /// wants to be asked again; an unknown result is asked about at growing intervals of wall time.
    pub(crate) fn settle_job(
        &self,
        tx: &mut Tx<'_>,
        ask: &Ask,
        ask_again: Option<Timestamp>,
        unknown: bool,
        clock: Option<ClockId>,
    ) -> Result<(), Error> {
        match ask_again {
            None => store::jobs::delete(tx, ask.job)?,
            Some(_) if unknown => {
                let wait = (2 * MICROS).saturating_mul(1 << ask.tries.clamp(0, 20)).min(ASK_AGAIN_MAX_US);
                store::jobs::put_off(tx, ask.job, self.now().plus(wait), None)?;
            }
            Some(at) => store::jobs::put_off(tx, ask.job, at, clock)?,
        }
        if ask_again.is_some() {
            tx.wake(Wake::Jobs);
        }
        Ok(())
    }

    /// The connector of a scope's default provider.
    pub(crate) async fn default_connector(&self, scope: Scope) -> Result<Arc<dyn Connector>, Error> {
        let settings = self.settings(scope).await?;
        let provider = settings.provider.as_ref().ok_or(Error::ProviderNotConfigured)?;
        self.connectors.get(&provider.connector).ok_or(Error::ProviderNotConfigured)
    }

    /// Turns card or account data, or the name of a ready-made test method, into a method's facts.
    pub async fn tokenise(&self, scope: Scope, input: &MethodInput<'_>) -> Result<Tokenised, Error> {
        let connector = self.default_connector(scope).await?;
        self.tokenise_by(&*connector, scope, input)
    }

    /// The same by the provider of a storefront's payments.
    pub async fn tokenise_at(
        &self,
        scope: Scope,
        storefront: StorefrontId,
        input: &MethodInput<'_>,
    ) -> Result<Tokenised, Error> {
        let settings = self.settings(scope).await?;
        if storefront == settings.mode.storefront {
            return self.tokenise(scope, input).await;
        }
        let provider = self.store.read(move |tx| provider_of(tx, scope, storefront)).await?;
        let connector = provider.and_then(|p| self.connectors.get(&p.connector));
        self.tokenise_by(&*connector.ok_or(Error::ProviderNotConfigured)?, scope, input)
    }

    fn tokenise_by(
        &self,
        connector: &dyn Connector,
        scope: Scope,
        input: &MethodInput<'_>,
    ) -> Result<Tokenised, Error> {
        let merchant = scope.merchant;
        connector.tokenise(input, &|number| self.vault.card_fingerprint(merchant, number)).map_err(
            |refusal| match refusal {
                TokeniseRefusal::Card { decline, param } => Error::Card { decline, param: Some(param) },
                TokeniseRefusal::UnknownToken => {
                    let id = if let MethodInput::ReadyMade(token) = input {
                        (*token).to_owned()
                    } else {
                        String::new()
                    };
                    Error::missing("payment_method", "payment method", id)
                }
                TokeniseRefusal::NotYet(what) => Error::NotYet { param: "payment_method".to_owned(), what },
            },
        )
    }

    /// Reads what a `payment_method` parameter names: a stored method, or in test mode a ready-made
    /// one, of which a fresh copy is made.
    pub async fn choose_method(&self, scope: Scope, param: &str, text: &str) -> Result<MethodChoice, Error> {
        if let Some(id) = PaymentMethodId::parse(text) {
            return Ok(MethodChoice::Saved(id));
        }
        let known = matches!(scope.mode, Mode::Test) && text.starts_with("pm_");
        if !known {
            return Err(Error::missing(param, "payment method", text));
        }
        let tokenised = self.tokenise(scope, &MethodInput::ReadyMade(text)).await.map_err(|e| match e {
            Error::Missing { kind, id, .. } => Error::Missing { param: param.to_owned(), kind, id },
            other => other,
        })?;
        Ok(MethodChoice::New(Box::new(self.new_method(scope, tokenised, Default::default(), Vec::new()))))
    }

    /// A method that is not stored yet.
    pub fn new_method(
        &self,
        scope: Scope,
        tokenised: Tokenised,
        billing: domain::payment_method::BillingDetails,
        metadata: domain::Metadata,
    ) -> PaymentMethod {
        PaymentMethod {
            id: self.ids.next(),
            scope,
            facts: tokenised.facts,
            billing,
            customer: None,
            provider_token: tokenised.token,
            used_up: false,
            metadata,
            created_at: ids::wall_clock(),
        }
    }

    /// The view of a payment for a reply, declined or not.
    pub(crate) fn payment_outcome(
        &self,
        tx: &mut Tx<'_>,
        payment: domain::payment::Payment,
        declined: bool,
    ) -> Result<Outcome, Error> {
        let view = payment_view(tx, payment)?;
        Ok(if declined { Outcome::Declined(view) } else { Outcome::Done(View::Payment(view)) })
    }
}

/// Counts a provider call while it is under way, however it ends.
struct InFlight(Engine);

impl InFlight {
    fn begin(engine: &Engine) -> InFlight {
        engine.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(engine.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.0.landed.notify_waiters();
    }
}

async fn send(connector: &dyn Connector, order: Order) -> ProviderAnswer {
    match order {
        Order::Authorise(order) => ProviderAnswer::Authorise(connector.authorise(order).await),
        Order::Authenticated(order, answer) => {
            ProviderAnswer::Authorise(connector.authenticated(order, answer).await)
        }
        Order::FindAttempt { attempt, now } => {
            ProviderAnswer::Authorise(connector.find_attempt(attempt, now).await)
        }
        Order::Change(OperationKind::Capture, order) => {
            ProviderAnswer::Change(connector.capture(order).await)
        }
        Order::Change(OperationKind::Increment, order) => {
            ProviderAnswer::Change(connector.increment(order).await)
        }
        Order::Change(OperationKind::Void | OperationKind::Authorise, order) => {
            ProviderAnswer::Change(connector.void(order).await)
        }
        Order::Reverse(order) => ProviderAnswer::Change(connector.reverse(order).await),
        Order::Refund(order) => ProviderAnswer::Change(connector.refund(order).await),
        Order::FindRefund(order) => {
            let found = connector.find_refund(order.refund.clone(), order.now).await;
            // A refund that never arrived is sent again under the same reference: the merchant asked
            // for it, and the provider takes one reference once.
            if found == ChangeOutcome::NotFound {
                return ProviderAnswer::Change(connector.refund(order).await);
            }
            ProviderAnswer::Change(found)
        }
        Order::Payout(order) => ProviderAnswer::Payout(connector.payout(order).await),
        Order::FindPayout { payout, now, again } => {
            let found = connector.find_payout(payout, now).await;
            match again {
                // As with refunds: one that never arrived is sent again under the same reference.
                Some(order) if found == PayoutOutcome::NotFound => {
                    ProviderAnswer::Payout(connector.payout(*order).await)
                }
                _ => ProviderAnswer::Payout(found),
            }
        }
        Order::CancelPayout { payout, now } => {
            ProviderAnswer::Payout(connector.cancel_payout(payout, now).await)
        }
    }
}
