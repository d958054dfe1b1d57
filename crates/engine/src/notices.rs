//! Notices to shops (IPN): which change of a payment is told to the address that its checkout names.

use crate::Engine;
use crate::emit::News;
use crate::error::Error;
use crate::gate::{Callbacks, Target, Telling};
use domain::attempt::Attempt;
use domain::checkout::Checkout;
use domain::event::EventType;
use domain::id::{Core, TypedId};
use domain::payment::{Payment, PaymentStatus};
use domain::refund::{Refund, RefundStatus};
use domain::site_transaction::{SiteNotice, SiteStatus, status};
use store::Tx;

impl Engine {
    /// What a shop is to be told of a payment as it is now; `None` for nothing, or for nobody. What it is told is
    /// written down under the payment's lock, so that each status of a transaction is told once.
    pub(crate) fn follow_site_checkout(
        &self,
        tx: &mut Tx<'_>,
        payment: &Payment,
        checkout: &Checkout,
    ) -> Result<Option<Callbacks>, Error> {
        let Some(facts) = store::site_checkouts::of_payment(tx, payment.scope, payment.id)? else {
            return Ok(None);
        };
        let Some(url) = facts.ipn_url else { return Ok(None) };
        let told = store::site_transactions::told(tx, payment.id)?;
        let attempts = store::attempts::of_payment(tx, payment.scope, payment.id)?;
        let mut notices = Vec::new();
        let refunds = store::refunds::of_payment(tx, payment.scope, payment.id)?;
        for (object, now) in standing(payment, &attempts, &refunds) {
            let before = told.iter().find(|(known, ..)| *known == object);
            if !now.is_told() || before.is_some_and(|(_, status, _)| *status == now) {
                continue;
            }
            let version = before.map_or(0, |(.., version)| *version) + 1;
            store::site_transactions::tell(tx, payment.id, object, now, version)?;
            let external_reference = facts.external_reference.clone();
            notices.push(SiteNotice { object, status: now, version, external_reference });
        }
        if notices.is_empty() {
            return Ok(None);
        }
        let endpoint = self.direct_endpoint(tx, payment.scope, checkout.storefront, &url)?;
        let news = notices.iter().map(|n| News::new(EventType::SiteTransactionUpdated, n.object)).collect();
        let targets = vec![Target { endpoint, url: Some(url), token: None }];
        Ok(Some(Callbacks { telling: Telling::Site(notices), news, targets }))
    }
}

/// Every transaction of a payment with its status. A payment that ended before anybody tried to pay stands for
/// itself: the shop must learn that nothing will come. A refund that the provider may still refuse is not told yet.
fn standing(payment: &Payment, attempts: &[Attempt], refunds: &[Refund]) -> Vec<(Core, SiteStatus)> {
    if attempts.is_empty() && payment.status == PaymentStatus::Canceled {
        return vec![(payment.id.core(), SiteStatus::Cancelled)];
    }
    let open = |attempt: &Attempt| {
        refunds.iter().any(|r| r.attempt == attempt.id && r.status == RefundStatus::Pending)
    };
    let told = |attempt: &Attempt| match status(attempt) {
        SiteStatus::Refunded if open(attempt) => SiteStatus::Succeeded,
        other => other,
    };
    attempts.iter().map(|attempt| (attempt.id.core(), told(attempt))).collect()
}
