use super::confirm::{Confirming, capture_fee};
use crate::call::{Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::provider::{MethodChoice, Origin, Step};
use crate::view::{Outcome, Snapshot, View, payment_view};
use crate::{Engine, ids};
use domain::Metadata;
use domain::currency::Currency;
use domain::event::EventType;
use domain::id::{ClockId, CustomerId, StorefrontId, TypedId};
use domain::payment::{CaptureMethod, Payment, PaymentDetails, PaymentStatus, method_fits};
use domain::scope::Scope;
use store::Tx;

/// What a new payment is.
#[derive(Clone, Debug)]
pub struct CreatePayment {
    /// Minor units, 1 to 999,999,999,999.
    pub amount: i64,
    pub currency: Currency,
    pub capture_method: CaptureMethod,
    pub customer: Option<CustomerId>,
    pub method: MethodChoice,
    pub details: PaymentDetails,
    pub metadata: Metadata,
    /// Confirm it in the same request.
    pub confirm: bool,
}

/// Characters of the random part of a client secret: 142 bits.
const CLIENT_SECRET_CHARS: usize = 24;

impl Engine {
    /// Creates a payment, and confirms it if asked to.
    pub async fn create_payment(&self, call: &Call, new: CreatePayment) -> Result<Reply, Error> {
        let settings = self.settings(call.caller.scope).await?;
        if new.confirm {
            settings.require_provider()?;
            capture_fee(&settings.fee_rules, new.currency, new.amount, new.amount)?;
        }
        let storefront = settings.mode.storefront;
        self.drive(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let clock = match new.customer {
                None => None,
                Some(id) => {
                    let customer = store::customers::get(tx, scope, id)?;
                    customer.ok_or_else(|| Error::missing("customer", "customer", id))?.clock
                }
            };
            let mut payment = new_payment(engine, tx, scope, &new, storefront, clock)?;
            if let MethodChoice::Saved(_) | MethodChoice::New(_) = &new.method {
                let method = engine.method_for(tx, scope, &new.method, &payment)?;
                payment.payment_method = Some(method.id);
                if !new.confirm
                    && let Err(refusal) = method_fits(&payment, &method)
                {
                    return Err(Error::Payment { refusal, payment: None });
                }
                payment.status = PaymentStatus::RequiresConfirmation;
            }
            store::payments::insert(tx, &payment)?;
            let view = payment_view(tx, payment.clone())?;
            let created = [News::new(EventType::PaymentIntentCreated, payment.id.core())];
            let snapshot = Snapshot { payment: Some(view.clone()), ..Snapshot::default() };
            engine.emit(tx, scope, &Cause::from(call), payment.created_at, snapshot, &created)?;
            if new.confirm {
                let confirming = Confirming { method: &MethodChoice::Keep, settings: &settings, form: None };
                let begun = engine.begin_confirm(tx, &Origin::from(call), payment, confirming);
                // The payment is rolled back with the refusal, so it must not be shown.
                return begun.map(Step::Ask).map_err(|e| match e {
                    Error::Payment { refusal, .. } => Error::Payment { refusal, payment: None },
                    other => other,
                });
            }
            Ok(Step::Done(engine.reply_now(tx, call, &Outcome::Done(View::Payment(view)))?))
        })
        .await
    }
}

/// A payment as it begins; not stored yet. `clock`: its customer's.
pub(crate) fn new_payment(
    engine: &Engine,
    tx: &mut Tx<'_>,
    scope: Scope,
    new: &CreatePayment,
    storefront: StorefrontId,
    clock: Option<ClockId>,
) -> Result<Payment, Error> {
    let id: domain::id::PaymentId = engine.ids.next();
    Ok(Payment {
        id,
        scope,
        storefront,
        provider: None,
        amount: new.amount,
        surcharge: 0,
        currency: new.currency,
        status: PaymentStatus::RequiresPaymentMethod,
        operation: None,
        capture_method: new.capture_method,
        payment_method: None,
        customer: new.customer,
        client_secret: format!("{id}_secret_{}", ids::secret_text(CLIENT_SECRET_CHARS)),
        amount_capturable: 0,
        amount_received: 0,
        amount_refunded: 0,
        pending_balance: 0,
        fee: 0,
        refund_shortfall: 0,
        available_on: None,
        capture_before: None,
        last_error: None,
        latest_attempt: None,
        latest_charge: None,
        attempts: 0,
        next_action: None,
        details: new.details.clone(),
        checkout: false,
        metadata: new.metadata.clone(),
        canceled_at: None,
        cancellation_reason: None,
        clock,
        created_at: engine.object_time(tx, scope, clock)?,
    })
}
