//! Transaction 2 of every payment command.

use super::lock;
use crate::emit::News;
use crate::error::Error;
use crate::provider::Ask;
use crate::settings::Settings;
use crate::view::{Outcome, Snapshot, payment_view};
use crate::{Engine, ids};
use domain::attempt::{Attempt, AttemptStatus};
use domain::balance::{BalanceKind, BalanceTransaction};
use domain::event::EventType;
use domain::id::{AttemptId, JournalId, PaymentId, TypedId};
use domain::ledger::{JournalDraft, recipes};
use domain::limits::CHALLENGE_US;
use domain::outcome::{AuthoriseOutcome, ChangeOutcome};
use domain::payment::{self, Applied, NextAction, OperationKind, Payment, Posting};
use domain::payment_method::MethodKind;
use domain::time::Timestamp;
use store::Tx;
use store::challenges::Challenge;
use store::jobs::JobKind;

/// Characters of a challenge code: 142 bits.
const CHALLENGE_CHARS: usize = 24;

impl Engine {
    pub(crate) fn apply_to_attempt(
        &self,
        tx: &mut Tx<'_>,
        settings: &Settings,
        ask: &Ask,
        id: PaymentId,
        attempt: AttemptId,
        outcome: &AuthoriseOutcome,
    ) -> Result<Outcome, Error> {
        let (mut p, mut a) = self.load(tx, ask, id, attempt)?;
        let at = self.object_time(tx, ask.scope, p.clock)?;
        let mut applied = payment::apply_authorise(&mut p, &mut a, outcome, at);
        if applied.changed && p.checkout && self.exhausted(tx, &mut p, at)? {
            applied.events.push(EventType::PaymentIntentCanceled);
        }
        if applied.changed && *outcome == AuthoriseOutcome::Challenge {
            self.open_challenge(tx, &mut p, &a)?;
        }
        self.record(tx, settings, ask, &mut p, &mut a, &applied, at)?;
        if matches!(outcome, AuthoriseOutcome::Approved(_)) && !applied.changed {
            self.reverse_if_given_up(tx, &a)?;
        }
        if a.status == AttemptStatus::Failed {
            store::payment_methods::release(tx, a.id)?;
        }
        let unknown = *outcome == AuthoriseOutcome::Unknown;
        self.settle_job(tx, ask, applied.ask_again, unknown, p.clock)?;
        self.payment_outcome(tx, p, a.status == AttemptStatus::Failed)
    }

    /// An approval for an attempt that was given up (because the provider had said that it knew nothing
    /// of it, or because the payer went on with another method) must not stay: nobody would know of the
    /// money. A job undoes it.
    fn reverse_if_given_up(&self, tx: &mut Tx<'_>, a: &Attempt) -> Result<(), Error> {
        if matches!(a.status, AttemptStatus::Authorised | AttemptStatus::Captured | AttemptStatus::Expired) {
            return Ok(());
        }
        let mut job = self.gateway_job(a.scope, JobKind::ReverseAttempt, a.id.to_string());
        (job.node, job.due_at) = (None, self.now());
        store::jobs::insert(tx, &job)?;
        tracing::error!(attempt = %a.id, "an approval came after the attempt was given up: it will be undone");
        Ok(())
    }

    pub(crate) fn apply_to_reversal(
        &self,
        tx: &mut Tx<'_>,
        ask: &Ask,
        payment: PaymentId,
        attempt: AttemptId,
        outcome: &ChangeOutcome,
    ) -> Result<Outcome, Error> {
        let now = self.now();
        let ask_again = match outcome {
            ChangeOutcome::Done | ChangeOutcome::NotFound => None,
            ChangeOutcome::Pending { .. } | ChangeOutcome::Unknown => Some(now),
            ChangeOutcome::Refused { reason } => {
                tracing::error!(%attempt, reason, "an unwanted charge could not be undone and is tried again");
                Some(now)
            }
        };
        self.settle_job(tx, ask, ask_again, true, None)?;
        let p = lock(tx, ask.scope, payment)?;
        self.payment_outcome(tx, p, false)
    }

    pub(crate) fn apply_to_change(
        &self,
        tx: &mut Tx<'_>,
        settings: &Settings,
        ask: &Ask,
        id: PaymentId,
        attempt: AttemptId,
        kind: OperationKind,
        outcome: &ChangeOutcome,
    ) -> Result<Outcome, Error> {
        let (mut p, mut a) = self.load(tx, ask, id, attempt)?;
        let at = self.object_time(tx, ask.scope, p.clock)?;
        let applied = payment::apply_change(&mut p, &mut a, kind, outcome, at);
        if let ChangeOutcome::Refused { reason } = outcome {
            tracing::warn!(payment = %p.id, operation = %kind, reason, "the provider refused a change");
        }
        self.record(tx, settings, ask, &mut p, &mut a, &applied, at)?;
        self.settle_job(tx, ask, applied.ask_again, *outcome == ChangeOutcome::Unknown, p.clock)?;
        match outcome {
            ChangeOutcome::Refused { reason } if applied.changed => {
                Ok(Outcome::Refused { payment: payment_view(tx, p)?, reason: reason.clone() })
            }
            ChangeOutcome::NotFound if applied.changed => {
                let reason = "the provider does not know the authorisation".to_owned();
                Ok(Outcome::Refused { payment: payment_view(tx, p)?, reason })
            }
            _ => self.payment_outcome(tx, p, false),
        }
    }

    fn load(
        &self,
        tx: &mut Tx<'_>,
        ask: &Ask,
        id: PaymentId,
        attempt: AttemptId,
    ) -> Result<(Payment, Attempt), Error> {
        let payment = lock(tx, ask.scope, id)?;
        let attempt = store::attempts::get(tx, ask.scope, attempt)?
            .ok_or_else(|| Error::Internal(format!("{attempt} of {id} is missing")))?;
        Ok((payment, attempt))
    }

    fn open_challenge(&self, tx: &mut Tx<'_>, p: &mut Payment, a: &Attempt) -> Result<(), Error> {
        let code = ids::secret_text(CHALLENGE_CHARS);
        let return_url = p.details.return_url.clone();
        store::challenges::insert(
            tx,
            &Challenge {
                code: code.clone(),
                scope: p.scope,
                payment: p.id,
                attempt: a.id,
                return_url: return_url.clone(),
                expires_at: self.now().plus(CHALLENGE_US),
                used_at: None,
                outcome: None,
            },
        )?;
        p.next_action = Some(NextAction { code, return_url });
        Ok(())
    }

    /// Writes what an answer changed: journal, rows, events.
    fn record(
        &self,
        tx: &mut Tx<'_>,
        settings: &Settings,
        ask: &Ask,
        p: &mut Payment,
        a: &mut Attempt,
        applied: &Applied,
        at: Timestamp,
    ) -> Result<(), Error> {
        if !applied.changed {
            return Ok(());
        }
        if let Some(posting) = applied.posting {
            self.post(tx, settings, p, a, posting, at)?;
        }
        store::attempts::update(tx, a)?;
        store::payments::update(tx, p)?;
        let mut news: Vec<News> = applied.events.iter().map(|t| News::new(*t, object_of(*t, p, a))).collect();
        let method = if applied.method_spent { self.spend_method(tx, p, a)? } else { None };
        if let Some(method) = &method {
            news.push(News::new(EventType::PaymentMethodAttached, method.id.core()));
        }
        let view = payment_view(tx, p.clone())?;
        let snapshot =
            Snapshot { payment: Some(view), attempt: Some(a.clone()), method, ..Snapshot::default() };
        self.emit(tx, ask.scope, &ask.cause, at, snapshot, &news)
    }

    /// A method without a customer was used up by the attempt. One that is to be kept is attached instead.
    fn spend_method(
        &self,
        tx: &mut Tx<'_>,
        p: &Payment,
        a: &Attempt,
    ) -> Result<Option<domain::payment_method::PaymentMethod>, Error> {
        let keep_for = p.customer.filter(|_| p.details.setup_future_usage.is_some());
        let Some(customer) = keep_for else { return Ok(None) };
        store::payment_methods::release(tx, a.id)?;
        let Some(mut method) = store::payment_methods::lock(tx, p.scope, a.payment_method)? else {
            return Ok(None);
        };
        if method.customer.is_some() || method.used_up {
            return Ok(None);
        }
        method.customer = Some(customer);
        store::payment_methods::update(tx, &method)?;
        Ok(Some(method))
    }

    fn post(
        &self,
        tx: &mut Tx<'_>,
        settings: &Settings,
        p: &mut Payment,
        a: &mut Attempt,
        posting: Posting,
        at: Timestamp,
    ) -> Result<(), Error> {
        match posting {
            Posting::Authorise { amount } => {
                // The total authorised so far only grows, so it numbers the increments.
                self.post_journal(tx, &recipes::authorise(p, amount, p.amount_capturable, at))?;
            }
            Posting::Release { amount } => {
                self.post_journal(tx, &recipes::release(p, amount, at))?;
            }
            Posting::Sale { captured, fee, at_once } => {
                let draft = recipes::sale(p, a.provider, captured, fee, at_once, at);
                self.post_captured(tx, settings, p, a, &draft, at_once, at)?;
            }
            Posting::Capture { held, captured, fee } => {
                let draft = recipes::capture(p, a.provider, held, captured, fee, at);
                self.post_captured(tx, settings, p, a, &draft, false, at)?;
            }
        }
        Ok(())
    }

    fn post_captured(
        &self,
        tx: &mut Tx<'_>,
        settings: &Settings,
        p: &mut Payment,
        a: &mut Attempt,
        draft: &JournalDraft,
        at_once: bool,
        at: Timestamp,
    ) -> Result<(), Error> {
        let journal = self.post_journal(tx, draft)?;
        let available_on = if at_once { at } else { at.plus(settings.mode.settlement_delay) };
        a.journal = Some(journal);
        p.pending_balance = if at_once { 0 } else { a.amount_captured - p.fee };
        p.available_on = Some(available_on);
        let kind = match a.method.kind() {
            MethodKind::Card => BalanceKind::Charge,
            MethodKind::SepaDebit | MethodKind::Paypal => BalanceKind::Payment,
            MethodKind::OffPlatform => {
                return Err(Error::Internal(format!("{} went past us and has no balance", a.id)));
            }
        };
        store::balance::insert(
            tx,
            &BalanceTransaction {
                journal,
                scope: p.scope,
                kind,
                currency: p.currency,
                amount: a.amount_captured,
                fee: p.fee,
                source: a.id.to_string(),
                available_on,
                available: p.pending_balance == 0,
                created_at: at,
            },
        )?;
        Ok(())
    }

    pub(crate) fn post_journal(&self, tx: &mut Tx<'_>, draft: &JournalDraft) -> Result<JournalId, Error> {
        let id: JournalId = self.ids.next();
        store::ledger::post(tx, draft, id, self.now())?;
        Ok(id)
    }
}

pub(crate) fn object_of(event: EventType, p: &Payment, a: &Attempt) -> domain::id::Core {
    if event.as_str().starts_with("charge.") { a.id.core() } else { p.id.core() }
}
