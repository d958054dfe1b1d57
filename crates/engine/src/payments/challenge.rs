//! The payer's challenge: one answer counts, whether it comes from the page, from a test helper or
//! from the clock.

use super::{lock, refuse};
use crate::Engine;
use crate::call::{Call, Caller, Reply, ReplySpec};
use crate::emit::Cause;
use crate::error::Error;
use crate::payments::confirm::authorise_order;
use crate::provider::{Ask, Order, Origin, Step, Subject};
use connectors::ChallengeAnswer;
use domain::id::PaymentId;
use domain::payment::{Payment, PaymentStatus, Refusal, begin_authenticated};
use domain::payment_method::MethodFacts;
use domain::scope::Scope;
use store::Tx;
use store::challenges::Challenge;
use store::jobs::JobKind;

/// What the challenge page shows.
#[derive(Clone, Debug)]
pub struct ChallengeView {
    pub challenge: Challenge,
    pub merchant_name: String,
    pub amount: i64,
    pub currency: domain::currency::Currency,
    pub card_brand: String,
    pub last4: String,
    /// Where the payer goes back to, with the result in the query.
    pub return_url: Option<String>,
    pub status: PaymentStatus,
    pub client_secret: String,
    /// Code of the payment's page, if it has one: the payer goes back there.
    pub checkout: Option<String>,
}

fn outcome_text(answer: ChallengeAnswer) -> &'static str {
    match answer {
        ChallengeAnswer::Passed => "passed",
        ChallengeAnswer::Failed => "failed",
        ChallengeAnswer::Abandoned => "abandoned",
    }
}

impl Engine {
    /// An open challenge by its code.
    pub async fn challenge(&self, code: String) -> Result<ChallengeView, Error> {
        let now = self.now();
        self.store
            .read(move |tx| {
                let challenge = store::challenges::get(tx, &code)?
                    .filter(|c| c.used_at.is_none() && c.expires_at > now)
                    .ok_or(Error::ChallengeGone)?;
                challenge_view(tx, challenge)
            })
            .await
    }

    /// A challenge that the payer has answered, and how: for a second click or a reload, which must show
    /// the way back to the shop. Not one that was closed because the payment went on without it.
    pub async fn answered_challenge(&self, code: String) -> Result<(ChallengeView, ChallengeAnswer), Error> {
        self.store
            .read(move |tx| {
                let challenge = store::challenges::get(tx, &code)?.ok_or(Error::ChallengeGone)?;
                let answer = match challenge.outcome.as_deref() {
                    Some("passed") => ChallengeAnswer::Passed,
                    Some("failed") => ChallengeAnswer::Failed,
                    Some("abandoned") => ChallengeAnswer::Abandoned,
                    _ => return Err(Error::ChallengeGone),
                };
                Ok((challenge_view(tx, challenge)?, answer))
            })
            .await
    }

    /// Takes the payer's answer from the page, and shows the payment as it is after it.
    pub async fn answer_challenge(
        &self,
        code: String,
        answer: ChallengeAnswer,
    ) -> Result<ChallengeView, Error> {
        let asked = code.clone();
        self.carry_out(move |engine, tx| {
            let now = engine.now();
            let challenge = store::challenges::get(tx, &asked)?
                .filter(|c| c.used_at.is_none() && c.expires_at > now)
                .ok_or(Error::ChallengeGone)?;
            engine.begin_answer(tx, &challenge, answer).map(Some)
        })
        .await?;
        self.store
            .read(move |tx| {
                let challenge = store::challenges::get(tx, &code)?.ok_or(Error::ChallengeGone)?;
                challenge_view(tx, challenge)
            })
            .await
    }

    /// Ends a challenge whose time is over.
    pub async fn lapse_challenge(&self, challenge: Challenge) -> Result<(), Error> {
        let ended = self
            .carry_out(move |engine, tx| {
                engine.begin_answer(tx, &challenge, ChallengeAnswer::Abandoned).map(Some)
            })
            .await;
        match ended {
            Ok(_) | Err(Error::ChallengeGone) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn begin_answer(
        &self,
        tx: &mut Tx<'_>,
        challenge: &Challenge,
        answer: ChallengeAnswer,
    ) -> Result<Ask, Error> {
        // The payment's lock first, like every other command that ends a challenge.
        let mut payment = lock(tx, challenge.scope, challenge.payment)?;
        if !store::challenges::use_up(tx, &challenge.code, outcome_text(answer), self.now())? {
            return Err(Error::ChallengeGone);
        }
        let (connector, order, subject) =
            self.begin_authenticated(tx, &mut payment, answer)?.map_err(|_| Error::ChallengeGone)?;
        let job = self.gateway_job(challenge.scope, JobKind::ReconcileAttempt, challenge.attempt.to_string());
        store::jobs::insert(tx, &job)?;
        Ok(Ask {
            scope: challenge.scope,
            connector,
            order,
            subject,
            job: job.id,
            tries: 0,
            cause: Cause::default(),
            key: None,
            spec: None::<ReplySpec>,
        })
    }

    /// Finishes a payment's challenge through the test helper.
    pub async fn authenticate_payment(
        &self,
        call: &Call,
        id: PaymentId,
        answer: ChallengeAnswer,
    ) -> Result<Reply, Error> {
        self.drive(call, move |engine, tx, call| {
            let Caller { scope, .. } = call.caller;
            let mut payment = lock(tx, scope, id)?;
            let code = payment.next_action.as_ref().map(|n| n.code.clone());
            if let Some(code) = code {
                store::challenges::use_up(tx, &code, outcome_text(answer), engine.now())?;
            }
            match engine.begin_authenticated(tx, &mut payment, answer)? {
                Ok((connector, order, subject)) => {
                    engine.prepare_ask(tx, &Origin::from(call), &connector, order, subject).map(Step::Ask)
                }
                Err(refusal) => Err(refuse(tx, scope, id, refusal)),
            }
        })
        .await
    }

    /// Marks the authorisation as going on after the challenge. The inner error is a refusal.
    #[allow(clippy::type_complexity, reason = "three facts of one call, used twice right here")]
    fn begin_authenticated(
        &self,
        tx: &mut Tx<'_>,
        payment: &mut Payment,
        answer: ChallengeAnswer,
    ) -> Result<Result<(String, Order, Subject), Refusal>, Error> {
        let scope: Scope = payment.scope;
        let refused = Refusal::UnexpectedState {
            command: "authenticate",
            status: payment.status,
            allowed: &[PaymentStatus::RequiresAction],
        };
        if payment.busy() {
            return Ok(Err(Refusal::Busy));
        }
        let attempt = match payment.latest_attempt {
            Some(id) => store::attempts::get(tx, scope, id)?,
            None => None,
        };
        let Some(attempt) = attempt else { return Ok(Err(refused)) };
        if let Err(refusal) = begin_authenticated(payment, &attempt) {
            return Ok(Err(refusal));
        }
        store::payments::update(tx, payment)?;
        let lost = || Error::Internal(format!("{} lost its provider or method", payment.id));
        let provider = store::providers::get(tx, scope, attempt.provider)?.ok_or_else(lost)?;
        let method = store::payment_methods::get(tx, scope, attempt.payment_method)?.ok_or_else(lost)?;
        let now = self.object_time(tx, scope, payment.clock)?;
        let order = authorise_order(payment, &attempt, &method, now);
        let subject = Subject::Attempt { payment: payment.id, attempt: attempt.id };
        Ok(Ok((provider.connector, Order::Authenticated(order, answer), subject)))
    }
}

fn challenge_view(tx: &mut Tx<'_>, challenge: Challenge) -> Result<ChallengeView, Error> {
    let attempt =
        store::attempts::get(tx, challenge.scope, challenge.attempt)?.ok_or(Error::ChallengeGone)?;
    let payment =
        store::payments::get(tx, challenge.scope, challenge.payment)?.ok_or(Error::ChallengeGone)?;
    let merchant = store::merchants::get(tx, challenge.scope.merchant)?.ok_or(Error::ChallengeGone)?;
    let (card_brand, last4) = match &attempt.method {
        MethodFacts::Card(card) => (card.brand.clone(), card.last4.clone()),
        MethodFacts::SepaDebit(sepa) => ("sepa_debit".to_owned(), sepa.last4.clone()),
        MethodFacts::Paypal(_) => ("paypal".to_owned(), String::new()),
        MethodFacts::OffPlatform(_) => return Err(Error::ChallengeGone),
    };
    let checkout = if payment.checkout {
        store::checkouts::of_payment(tx, challenge.scope, challenge.payment)?.map(|c| c.code)
    } else {
        None
    };
    Ok(ChallengeView {
        merchant_name: merchant.name,
        amount: attempt.amount,
        currency: attempt.currency,
        card_brand,
        last4,
        return_url: challenge.return_url.clone(),
        status: payment.status,
        client_secret: payment.client_secret,
        checkout,
        challenge,
    })
}
