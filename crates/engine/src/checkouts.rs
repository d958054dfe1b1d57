//! Pages on which payers pay: shown by their code, and paid by the forms on them.

use crate::Engine;
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::ids;
use crate::payments;
use crate::payments::confirm::Confirming;
use crate::provider::{MethodChoice, Origin};
use crate::site_checkouts::fill_transaction;
use crate::view::{GateView, Snapshot, payment_view};
use domain::attempt::{Attempt, AttemptStatus};
use domain::checkout::{self, Checkout};
use domain::event::EventType;
use domain::id::{PaymentId, TypedId};
use domain::payment::{Payment, Refusal};
use domain::payment_method::{MethodKind, PaymentMethod};
use domain::scope::Scope;
use domain::site::Branding;
use domain::site_checkout::SiteCheckout;
use domain::time::Timestamp;
use store::Tx;
use store::challenges::Challenge;
use store::payments::Due;

/// What a payment page shows.
#[derive(Clone, Debug)]
pub struct CheckoutView {
    pub scope: Scope,
    pub payment: Payment,
    pub checkout: Checkout,
    /// The merchant leaves: nobody can begin to pay.
    pub offboarding: bool,
    pub merchant_name: String,
    /// What the payer knows the shop by.
    pub shop_name: String,
    /// The merchant's own address; empty for none.
    pub merchant_address: String,
    /// The shop's own address; empty for none.
    pub shop_url: String,
    pub branding: Branding,
    /// What the shop said at the checkout; `None` for one that the Admin API did not make.
    pub site: Option<SiteCheckout>,
    /// Kinds that the provider offers for this payment, in the order in which to show them.
    pub methods: Vec<MethodKind>,
    /// Whether the provider offers wallets.
    pub wallets: bool,
    /// The latest try, and what the payer answered when asked to prove who they are.
    pub attempt: Option<Attempt>,
    pub challenge: Option<Challenge>,
    /// The object's own time.
    pub now: Timestamp,
}

impl CheckoutView {
    /// The try that answers `form` once nothing more can be paid: what was paid, or is at the provider, answers
    /// every form; one that failed answers its own repetition only.
    pub fn answer_to(&self, form: &str) -> Option<&Attempt> {
        self.attempt.as_ref().filter(|attempt| {
            let failed = matches!(
                attempt.status,
                AttemptStatus::Failed | AttemptStatus::Canceled | AttemptStatus::Expired
            );
            !failed || attempt.form.as_deref() == Some(&form_of(&self.checkout.code, form))
        })
    }

    /// Whether a form may be sent.
    pub fn payable(&self) -> bool {
        !self.offboarding && self.checkout.payable(&self.payment, self.now) && !self.payment.busy()
    }
}

/// The name of a form among all checkouts: two that choose one name must not meet.
fn form_of(code: &str, form: &str) -> String {
    format!("{code}.{form}")
}

/// What stands at the address of a page.
#[derive(Clone, Debug)]
pub enum PageView {
    Checkout(Box<CheckoutView>),
    /// A Gate transaction on which nobody pays here: a payout, or one that has failed or waits.
    Transaction(Box<GateView>),
}

/// A form of a payment page, sent.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Names the one form that was shown: however often it is sent, it pays once.
    pub form: String,
    pub method: PaymentMethod,
    pub request_id: String,
}

/// Longest name of a form.
pub const FORM_CHARS: usize = 40;

impl Engine {
    /// A name for one form of a page: 130 random bits.
    pub fn form_name(&self) -> String {
        ids::secret_text(22)
    }

    /// What stands at the page with this code.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a code that does not exist.
    pub async fn page(&self, code: String) -> Result<PageView, Error> {
        let engine = self.clone();
        let found = self
            .store
            .read({
                let code = code.clone();
                move |tx| match store::checkouts::by_code(tx, &code)? {
                    Some(checkout) => engine.checkout_view(tx, checkout).map(Some),
                    None => Ok::<_, Error>(None),
                }
            })
            .await?;
        match found {
            Some(view) => Ok(PageView::Checkout(Box::new(view))),
            None => Ok(PageView::Transaction(Box::new(self.show_gate_transaction(code).await?))),
        }
    }

    /// A checkout by its code.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a code that does not exist; it is not repeated there, since it is a secret.
    pub async fn checkout(&self, code: String) -> Result<CheckoutView, Error> {
        let engine = self.clone();
        self.store
            .read(move |tx| {
                let checkout =
                    store::checkouts::by_code(tx, &code)?.ok_or_else(|| Error::not_found("checkout", "…"))?;
                engine.checkout_view(tx, checkout)
            })
            .await
    }

    fn checkout_view(&self, tx: &mut Tx<'_>, mut checkout: Checkout) -> Result<CheckoutView, Error> {
        let scope = checkout.scope;
        let lost = || Error::Internal(format!("{} lost its payment", checkout.payment));
        let payment = store::payments::get(tx, scope, checkout.payment)?.ok_or_else(lost)?;
        let merchant = store::merchants::get(tx, scope.merchant)?.ok_or_else(lost)?;
        let storefront = store::storefronts::get(tx, scope, payment.storefront)?.ok_or_else(lost)?;
        let attempt = match payment.latest_attempt {
            Some(id) => store::attempts::get(tx, scope, id)?,
            None => None,
        };
        let challenge = match &attempt {
            Some(attempt) => store::challenges::of_attempt(tx, attempt.id)?,
            None => None,
        };
        let site = store::site_checkouts::of_payment(tx, scope, payment.id)?;
        if site.is_some() {
            fill_transaction(&mut checkout.details.leave, payment.id, payment.latest_attempt);
        }
        let branding = store::sites::get(tx, scope, payment.storefront)?.map(|facet| facet.branding);
        let provider = crate::providers::provider_of(tx, scope, payment.storefront)?;
        let connector = provider.and_then(|p| self.connectors.get(&p.connector));
        let offers = |kind: &MethodKind| connector.as_ref().is_some_and(|c| c.offers(*kind));
        let methods: Vec<MethodKind> =
            payment.details.payment_method_types.iter().copied().filter(offers).collect();
        Ok(CheckoutView {
            scope,
            now: self.object_time(tx, scope, payment.clock)?,
            wallets: methods.contains(&MethodKind::Card) && connector.as_ref().is_some_and(|c| c.wallets()),
            methods,
            offboarding: merchant.offboarding.is_some(),
            merchant_name: merchant.name,
            shop_name: storefront.name,
            merchant_address: merchant.profile.address,
            branding: branding.unwrap_or_default(),
            shop_url: storefront.url,
            site,
            attempt,
            challenge,
            payment,
            checkout,
        })
    }

    /// Takes a form: asks the provider, and shows what came of it. A form that was sent before, or that comes
    /// when the payment can no longer be paid, changes nothing: the page as it is now is the answer.
    ///
    /// # Errors
    /// [`Error::Payment`] when the method does not fit; [`Error::NotFound`] for an unknown code.
    pub async fn pay_checkout(&self, code: String, sent: Submission) -> Result<CheckoutView, Error> {
        let known = self.checkout(code.clone()).await?;
        let settings = self.settings(known.scope).await?;
        let (scope, payment) = (known.scope, known.payment.id);
        self.carry_out(move |engine, tx| {
            // The payment's lock first: two forms at the same time wait for each other here.
            let mut payment = payments::lock(tx, scope, payment)?;
            let lost = || Error::Internal(format!("{} lost its checkout", payment.id));
            let checkout = store::checkouts::of_payment(tx, scope, payment.id)?.ok_or_else(lost)?;
            let form = form_of(&checkout.code, &sent.form);
            let now = engine.object_time(tx, scope, payment.clock)?;
            if store::attempts::of_form(tx, scope, &form)?.is_some()
                || settings.offboarding.is_some()
                || payment.busy()
                || !checkout.payable(&payment, now)
            {
                return Ok(None);
            }
            // The payer is here, even if an earlier confirm by the merchant said otherwise.
            (payment.details.off_session, payment.details.decline_on_challenge) = (false, false);
            let origin = Origin::unattended(scope, &sent.request_id);
            let method = MethodChoice::New(Box::new(sent.method.clone()));
            let confirming = Confirming { method: &method, settings: &settings, form: Some(form) };
            engine.begin_confirm(tx, &origin, payment, confirming).map(|ask| Some(*ask))
        })
        .await?;
        self.checkout(code).await
    }

    /// The payer gives up: the payment ends. One that is at the provider, or has ended, stays as it is.
    pub async fn abandon_checkout(&self, code: String, request_id: String) -> Result<CheckoutView, Error> {
        let known = self.checkout(code.clone()).await?;
        let cause = Cause::request(&request_id);
        self.close_checkout(known.scope, known.payment.id, cause, |_, payment, now| match checkout::abandon(
            payment, now,
        ) {
            Ok(()) => Ok(true),
            Err(Refusal::Busy | Refusal::UnexpectedState { .. }) => Ok(false),
            Err(other) => Err(Error::Internal(format!("a checkout cannot be abandoned: {other:?}"))),
        })
        .await?;
        self.checkout(code).await
    }

    /// Ends a checkout whose time is over. What is at the provider is left alone: it ends there first.
    pub async fn expire_checkout(&self, due: Due) -> Result<(), Error> {
        self.close_checkout(due.scope, due.payment, Cause::default(), |checkout, payment, now| {
            Ok(checkout::expire(checkout, payment, now))
        })
        .await
    }

    async fn close_checkout(
        &self,
        scope: Scope,
        id: PaymentId,
        cause: Cause,
        close: impl Fn(&Checkout, &mut Payment, Timestamp) -> Result<bool, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let mut payment = payments::lock(tx, scope, id)?;
                let Some(checkout) = store::checkouts::of_payment(tx, scope, id)? else { return Ok(()) };
                let now = engine.object_time(tx, scope, payment.clock)?;
                let waiting = payment.next_action.is_some().then_some(payment.latest_attempt).flatten();
                if !close(&checkout, &mut payment, now)? {
                    return Ok(());
                }
                if let Some(attempt) = waiting {
                    engine.give_up_attempt(tx, scope, attempt)?;
                }
                store::payments::update(tx, &payment)?;
                let snapshot = Snapshot { payment: Some(payment_view(tx, payment)?), ..Snapshot::default() };
                let news = [News::new(EventType::PaymentIntentCanceled, id.core())];
                engine.emit(tx, scope, &cause, now, snapshot, &news)
            })
            .await
    }

    /// Ends a payment with a page after the payer's last try was declined or given up; true if it ended.
    pub(crate) fn exhausted(
        &self,
        tx: &mut Tx<'_>,
        payment: &mut Payment,
        at: Timestamp,
    ) -> Result<bool, Error> {
        let checkout = store::checkouts::of_payment(tx, payment.scope, payment.id)?;
        Ok(checkout.is_some_and(|c| checkout::exhaust(&c, payment, at)))
    }

    /// A try has begun on a payment that has a page: notes the payer's first, and tells who wants to know.
    pub(crate) fn begun_on_page(
        &self,
        tx: &mut Tx<'_>,
        origin: &Origin<'_>,
        payment: &Payment,
        at: Timestamp,
    ) -> Result<(), Error> {
        let checkout = store::checkouts::of_payment(tx, payment.scope, payment.id)?;
        if let Some(mut checkout) = checkout.filter(|c| c.submitted_at.is_none()) {
            checkout.submitted_at = Some(at);
            store::checkouts::update(tx, &checkout)?;
        }
        let view = payment_view(tx, payment.clone())?;
        let snapshot = Snapshot { payment: Some(view), ..Snapshot::default() };
        self.emit(tx, origin.scope, &origin.cause, at, snapshot, &[])
    }
}
