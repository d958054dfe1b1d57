//! Checkouts that shops make over the Admin API: a payment with a page, like every other, with the shop's own
//! words beside it.

use crate::call::{Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::payments::CreatePayment;
use crate::payments::confirm::capture_fee;
use crate::payments::create::new_payment;
use crate::provider::MethodChoice;
use crate::view::{SiteCheckoutView, Snapshot, View, payment_view};
use crate::{Engine, ids, sites};
use domain::Metadata;
use domain::checkout::{Checkout, CheckoutDetails, Item, LeaveUrls};
use domain::currency::Currency;
use domain::customer::Address;
use domain::event::EventType;
use domain::id::{AttemptId, CustomerId, PaymentId, StorefrontId, TypedId};
use domain::payment::{CancellationReason, CaptureMethod, PaymentDetails, PaymentStatus};
use domain::payment_method::MethodKind;
use domain::scope::Scope;
use domain::settings_group::{CheckoutSettings, SettingsGroup};
use domain::site_checkout::{Party, SiteCheckout, SiteItem};
use domain::storefront::StorefrontStatus;
use domain::time::MICROS;
use store::Tx;
use store::numbered_page::{NumberedPage, NumberedQuery};
use store::site_checkouts::CheckoutFilter;

/// Random characters of a checkout's code: 131 bits.
const CODE_CHARS: usize = 22;
/// What a shop writes where the transaction's id is to stand when the payer comes back.
pub const TRANSACTION_PLACE: &str = "{transactionId}";

/// A checkout as a shop asks for it. Addresses are checked by the surface.
#[derive(Clone, Debug)]
pub struct NewSiteCheckout {
    pub site: StorefrontId,
    /// Minor units.
    pub amount: i64,
    pub currency: Currency,
    pub email: Option<String>,
    pub client: Option<CustomerId>,
    pub external_reference: Option<String>,
    pub invoice_number: Option<String>,
    pub items: Vec<SiteItem>,
    pub billing: Option<Party>,
    pub shipping: Option<Party>,
    pub return_url: Option<String>,
    pub cancel_url: Option<String>,
    pub ipn_url: Option<String>,
    /// Two letters.
    pub language: Option<String>,
    /// Seconds until it expires; as the organisation has it if `None`.
    pub expires_in: Option<i64>,
    pub metadata: Metadata,
}

/// Who pays, as far as a shop says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Payer<'a> {
    pub client: Option<CustomerId>,
    pub email: Option<&'a str>,
    pub billing: Option<&'a Party>,
    pub language: Option<&'a str>,
}

impl Engine {
    /// Makes a payment with a page.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a site that is not this organisation's; [`Error::Conflict`] for one that takes no
    /// payments; [`Error::Missing`] for a client; no provider; no fee rule for the currency.
    pub async fn create_site_checkout(&self, call: &Call, new: NewSiteCheckout) -> Result<Reply, Error> {
        let scope = call.caller.scope;
        if let Some(url) = &new.ipn_url {
            outbound::check_url(url, self.egress(scope))
                .map_err(|e| Error::invalid("ipnUrl", "url_invalid", format!("ipnUrl: {e}")))?;
        }
        let settings = self.settings(scope).await?;
        self.command(call, move |engine, tx, call| {
            let site = sites::present(tx, scope, new.site)?;
            if site.storefront.status != StorefrontStatus::Active {
                let message = "This site is disabled and takes no new checkouts.".to_owned();
                return Err(Error::Conflict { code: "site_disabled", message });
            }
            engine.provider_of(tx, &settings, new.site)?;
            // A payment whose fee cannot be computed could never be captured.
            let rules = engine.fee_rules_of(tx, &settings, new.site)?;
            capture_fee(&rules, new.currency, new.amount, new.amount)?;
            let cause = Cause::from(call);
            let payer = Payer {
                client: new.client,
                email: new.email.as_deref(),
                billing: new.billing.as_ref(),
                language: new.language.as_deref(),
            };
            let payer = engine.site_payer(tx, &cause, scope, payer)?;
            let (customer, clock) = payer.map_or((None, None), |(id, clock)| (Some(id), clock));
            let wanted = CreatePayment {
                amount: new.amount,
                currency: new.currency,
                capture_method: CaptureMethod::Automatic,
                customer,
                method: MethodChoice::Keep,
                details: PaymentDetails {
                    payment_method_types: kinds(new.currency),
                    ..PaymentDetails::default()
                },
                metadata: new.metadata.clone(),
                confirm: false,
            };
            let mut payment = new_payment(engine, tx, scope, &wanted, new.site, clock)?;
            payment.checkout = true;
            let usual: CheckoutSettings = store::settings_groups::get(tx, scope, SettingsGroup::Checkout)?;
            let seconds = new.expires_in.unwrap_or(usual.expires_in);
            let mut details = page_details(&new);
            if details.language.is_none() {
                details.language.clone_from(&usual.language);
            }
            let checkout = Checkout {
                payment: payment.id,
                scope,
                storefront: new.site,
                customer,
                code: ids::secret_text(CODE_CHARS),
                details,
                attempts_max: usual.max_attempts,
                open: true,
                submitted_at: None,
                expires_at: payment.created_at.plus(seconds.saturating_mul(MICROS)),
                clock,
                created_at: payment.created_at,
            };
            let facts = SiteCheckout {
                payment: payment.id,
                scope,
                external_reference: new.external_reference.clone(),
                invoice_number: new.invoice_number.clone(),
                items: new.items.clone(),
                billing: new.billing.clone(),
                shipping: new.shipping.clone(),
                ipn_url: new.ipn_url.clone(),
                ipn_version: site.facet.ipn_version,
            };
            store::payments::insert(tx, &payment)?;
            store::checkouts::insert(tx, &checkout)?;
            store::site_checkouts::insert(tx, &facts)?;
            let created = [News::new(EventType::PaymentIntentCreated, payment.id.core())];
            let snapshot =
                Snapshot { payment: Some(payment_view(tx, payment.clone())?), ..Snapshot::default() };
            let at = payment.created_at;
            engine.emit(tx, scope, &cause, at, snapshot, &created)?;
            Ok(View::SiteCheckout(Box::new(SiteCheckoutView {
                payment,
                checkout,
                site: Some(facts),
                attempts: Vec::new(),
            })))
        })
        .await
    }

    /// The client that a request names, or the one with its e-mail address, made if new.
    pub(crate) fn site_payer(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        scope: Scope,
        payer: Payer<'_>,
    ) -> Result<Option<(CustomerId, Option<domain::id::ClockId>)>, Error> {
        if let Some(id) = payer.client {
            let client = store::customers::get(tx, scope, id)?;
            let client = client.ok_or_else(|| Error::missing("clientId", "client", id.0.hex()))?;
            return Ok(Some((id, client.clock)));
        }
        let Some(email) = payer.email else { return Ok(None) };
        let billing = payer.billing.cloned().unwrap_or_default();
        let payer = crate::gate::Payer {
            email: email.to_owned(),
            name: billing.name().unwrap_or_default(),
            phone: billing.phone.clone(),
            address: address(&billing),
            language: payer.language.map(str::to_owned),
        };
        let known = self.payer(tx, cause, scope, &payer)?;
        Ok(Some((known.customer, known.clock)))
    }

    /// A checkout of any surface.
    pub async fn site_checkout(&self, scope: Scope, id: PaymentId) -> Result<SiteCheckoutView, Error> {
        self.store
            .read(move |tx| {
                let checkout = store::checkouts::of_payment(tx, scope, id)?;
                let checkout = checkout.ok_or_else(|| Error::not_found("checkout", id.0.hex()))?;
                site_checkout_view(tx, checkout)
            })
            .await
    }

    pub async fn site_checkouts(
        &self,
        scope: Scope,
        filter: CheckoutFilter,
        query: NumberedQuery,
    ) -> Result<NumberedPage<SiteCheckoutView>, Error> {
        self.store
            .read(move |tx| {
                let page = store::site_checkouts::list(tx, scope, &filter, query)?;
                let mut data = Vec::with_capacity(page.data.len());
                for checkout in page.data {
                    data.push(site_checkout_view(tx, checkout)?);
                }
                Ok::<_, Error>(NumberedPage { data, total: page.total })
            })
            .await
    }

    /// Changes the merchant's own notes on a checkout.
    pub async fn change_site_checkout<M>(
        &self,
        call: &Call,
        id: PaymentId,
        metadata: M,
    ) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |_, tx, call| {
            let scope = call.caller.scope;
            let payment = store::payments::lock(tx, scope, id)?;
            let missing = || Error::not_found("checkout", id.0.hex());
            let mut payment = payment.filter(|p| p.checkout).ok_or_else(missing)?;
            let checkout = store::checkouts::of_payment(tx, scope, id)?.ok_or_else(missing)?;
            metadata(&mut payment.metadata)?;
            store::payments::update(tx, &payment)?;
            Ok(View::SiteCheckout(Box::new(site_checkout_view(tx, checkout)?)))
        })
        .await
    }

    /// Closes a checkout early: nobody can begin to pay it any more.
    ///
    /// # Errors
    /// [`Error::Conflict`] for one that is being paid, or has ended.
    pub async fn expire_site_checkout(&self, call: &Call, id: PaymentId) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let payment = store::payments::lock(tx, scope, id)?;
            let missing = || Error::not_found("checkout", id.0.hex());
            let mut payment = payment.filter(|p| p.checkout).ok_or_else(missing)?;
            let checkout = store::checkouts::of_payment(tx, scope, id)?.ok_or_else(missing)?;
            let now = engine.object_time(tx, scope, payment.clock)?;
            let waiting = payment.next_action.is_some().then_some(payment.latest_attempt).flatten();
            if domain::payment::close(&mut payment, CancellationReason::Expired, now).is_err() {
                let message = match payment.status {
                    PaymentStatus::Canceled => "This checkout has ended already.",
                    PaymentStatus::Succeeded => "This checkout is paid. Refund its transaction instead.",
                    _ => "This checkout is being paid at this moment. Cancel its transaction, or wait for its end.",
                };
                return Err(Error::Conflict { code: "checkout_not_open", message: message.to_owned() });
            }
            if let Some(attempt) = waiting {
                engine.give_up_attempt(tx, scope, attempt)?;
            }
            store::payments::update(tx, &payment)?;
            engine.audit_money(tx, call, id.0.hex(), "the checkout was closed")?;
            let snapshot = Snapshot { payment: Some(payment_view(tx, payment)?), ..Snapshot::default() };
            let news = [News::new(EventType::PaymentIntentCanceled, id.core())];
            engine.emit(tx, scope, &Cause::from(call), now, snapshot, &news)?;
            Ok(View::SiteCheckout(Box::new(site_checkout_view(tx, checkout)?)))
        })
        .await
    }
}

/// A checkout with its payment and tries, as they are stored.
pub(crate) fn site_checkout_view(tx: &mut Tx<'_>, checkout: Checkout) -> Result<SiteCheckoutView, Error> {
    let (scope, id) = (checkout.scope, checkout.payment);
    let payment = store::payments::get(tx, scope, id)?;
    let payment = payment.ok_or_else(|| Error::Internal(format!("{id} is missing")))?;
    let site = store::site_checkouts::of_payment(tx, scope, id)?;
    let attempts = store::site_transactions::of_payment(tx, scope, id)?;
    Ok(SiteCheckoutView { payment, checkout, site, attempts })
}

/// Puts the transaction's id into the addresses that payers leave to: that of the latest try, or the checkout's own
/// when there was none.
pub(crate) fn fill_transaction(leave: &mut LeaveUrls, payment: PaymentId, attempt: Option<AttemptId>) {
    let id = attempt.map_or_else(|| payment.0.hex(), |attempt| attempt.0.hex());
    for url in
        [&mut leave.success, &mut leave.fail, &mut leave.back, &mut leave.pending].into_iter().flatten()
    {
        *url = url.replace(TRANSACTION_PLACE, &id);
    }
}

fn kinds(currency: Currency) -> Vec<MethodKind> {
    if currency == Currency::EUR {
        vec![MethodKind::Card, MethodKind::SepaDebit, MethodKind::Paypal]
    } else {
        vec![MethodKind::Card, MethodKind::Paypal]
    }
}

fn page_details(new: &NewSiteCheckout) -> CheckoutDetails {
    let line = |item: &SiteItem| {
        let text = if item.quantity == 1 {
            item.name.clone()
        } else {
            format!("{} × {}", item.quantity, item.name)
        };
        Item { text: plain(&text), amount: item.quantity.checked_mul(item.unit_price) }
    };
    let billing = new.billing.clone().unwrap_or_default();
    CheckoutDetails {
        reference: new.external_reference.clone().or_else(|| new.invoice_number.clone()),
        items: new.items.iter().map(line).collect(),
        leave: LeaveUrls {
            success: new.return_url.clone(),
            fail: new.cancel_url.clone().or_else(|| new.return_url.clone()),
            back: new.cancel_url.clone().or_else(|| new.return_url.clone()),
            pending: new.return_url.clone(),
        },
        language: new.language.clone(),
        payer_name: billing.name(),
        payer_email: new.email.clone(),
        payer_country: billing.country,
        surcharge_hidden: false,
    }
}

/// Pages read items as text that may hold markup; a shop's name of a thing is plain text.
fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A party's address as customers have it.
pub fn address(party: &Party) -> Address {
    Address {
        line1: party.address1.clone(),
        line2: party.address2.clone(),
        city: party.city.clone(),
        state: party.state.clone(),
        postal_code: party.postcode.clone(),
        country: party.country.clone(),
    }
}
