//! `expand[]`: ids in an answer replaced by the objects that they name.
//!
//! Paths are checked against the table below before anything is done, so that a wrong one changes
//! nothing and costs no look-up.

use crate::error::ApiError;
use crate::render;
use domain::id::{
    AttemptId, BankAccountId, ClockId, CustomerId, JournalId, PaymentId, PaymentMethodId, PayoutId, RefundId,
    TypedId,
};
use domain::limits::{EXPAND_DEPTH, EXPAND_PATHS_GET, EXPAND_PATHS_POST};
use engine::{Error, Views};
use serde_json::Value;
use web::Urls;
use web::params::echo;

/// Objects that have fields to expand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    PaymentIntent,
    Charge,
    Refund,
    Payout,
    PaymentMethod,
    Customer,
    BalanceTransaction,
    /// A charge, a refund or a payout.
    Source,
    Clock,
    BankAccount,
    /// Nothing below it can be expanded.
    Plain,
}

/// The expandable fields of each object and what they hold.
fn field(object: Object, name: &str) -> Option<Object> {
    use Object as O;
    let target = match (object, name) {
        (O::PaymentIntent, "customer") => O::Customer,
        (O::PaymentIntent, "payment_method") => O::PaymentMethod,
        (O::PaymentIntent, "latest_charge") => O::Charge,
        (O::Charge | O::Source, "customer") => O::Customer,
        (O::Charge | O::Refund | O::Source, "payment_intent") => O::PaymentIntent,
        (O::Charge | O::Refund | O::Payout | O::Source, "balance_transaction") => O::BalanceTransaction,
        (O::Refund | O::Source, "charge") => O::Charge,
        (O::Refund | O::Payout | O::Source, "failure_balance_transaction") => O::BalanceTransaction,
        (O::PaymentMethod, "customer") => O::Customer,
        (O::Customer, "test_clock") => O::Clock,
        (O::Customer, "invoice_settings.default_payment_method") => O::PaymentMethod,
        (O::Payout | O::Source, "destination") => O::BankAccount,
        (O::BalanceTransaction, "source") => O::Source,
        _ => return None,
    };
    Some(target)
}

/// Which limit applies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Where {
    Get,
    /// Worked off inside the write transaction, so fewer.
    Post,
    List,
}

/// Checks `paths` for an answer of `object`s.
pub fn check(object: Object, paths: &[String], place: Where) -> Result<(), ApiError> {
    let max = if place == Where::Post { EXPAND_PATHS_POST } else { EXPAND_PATHS_GET };
    if paths.len() > max {
        let message =
            format!("At most {max} paths can be expanded in this request; {} were given.", paths.len());
        return Err(ApiError::invalid("expand_too_many", message).param("expand"));
    }
    for path in paths {
        let shown = echo(path);
        let refuse = |why: String| Err(ApiError::invalid("expand_invalid", why).param("expand"));
        if path.split('.').count() > EXPAND_DEPTH {
            return refuse(format!("You cannot expand more than {EXPAND_DEPTH} levels ({shown})."));
        }
        let rest = match place {
            Where::List => match path.strip_prefix("data.") {
                Some(rest) => rest,
                None => return refuse(format!("Paths into a list begin with data. ({shown}).")),
            },
            Where::Get | Where::Post => path.as_str(),
        };
        if steps(object, rest).is_none() {
            return refuse(format!("This property cannot be expanded ({shown})."));
        }
    }
    Ok(())
}

/// The fields that a path walks, each with the object that it leads to.
fn steps(mut object: Object, path: &str) -> Option<Vec<(String, Object)>> {
    let mut found = Vec::new();
    let mut pending = String::new();
    for part in path.split('.') {
        let name = if pending.is_empty() { part.to_owned() } else { format!("{pending}.{part}") };
        match field(object, &name) {
            Some(target) => {
                found.push((name, target));
                object = target;
                pending.clear();
            }
            None if pending.is_empty() && part == "invoice_settings" => pending = name,
            None => return None,
        }
    }
    pending.is_empty().then_some(found)
}

/// Replaces what `paths` name in `value`. Paths were checked before.
pub fn apply(
    views: &mut Views<'_, '_>,
    urls: &Urls,
    object: Object,
    value: &mut Value,
    paths: &[String],
) -> Result<(), Error> {
    for path in paths {
        let Some(steps) = steps(object, path) else { continue };
        let mut at = &mut *value;
        for (name, target) in steps {
            let mut slot = Some(at);
            for part in name.split('.') {
                slot = slot.and_then(|v| v.get_mut(part));
            }
            let Some(slot) = slot else { break };
            if let Some(id) = slot.as_str().map(str::to_owned)
                && let Some(object) = load(views, urls, target, &id)?
            {
                *slot = object;
            }
            at = slot;
        }
    }
    Ok(())
}

fn load(views: &mut Views<'_, '_>, urls: &Urls, target: Object, id: &str) -> Result<Option<Value>, Error> {
    let object = match target {
        Object::PaymentIntent => match PaymentId::parse(id) {
            Some(id) => views.payment(id)?.map(|v| render::payment_intent(urls, &v)),
            None => None,
        },
        Object::Charge => match AttemptId::parse(id) {
            Some(id) => views.charge(id)?.map(|v| render::charge(&v)),
            None => None,
        },
        Object::Refund => match RefundId::parse(id) {
            Some(id) => views.refund(id)?.map(|v| render::refund(&v)),
            None => None,
        },
        Object::Payout => match PayoutId::parse(id) {
            Some(id) => views.payout(id)?.map(|v| render::payout(&v)),
            None => None,
        },
        Object::Source => {
            let kind = match id.split('_').next() {
                Some(RefundId::PREFIX) => Object::Refund,
                Some(PayoutId::PREFIX) => Object::Payout,
                _ => Object::Charge,
            };
            return load(views, urls, kind, id);
        }
        Object::PaymentMethod => match PaymentMethodId::parse(id) {
            Some(id) => views.payment_method(id)?.map(|v| render::payment_method(&v)),
            None => None,
        },
        Object::Customer => match CustomerId::parse(id) {
            Some(id) => views.customer_or_erased(id)?.map(|v| render::customer_or_erased(&v)),
            None => None,
        },
        Object::BalanceTransaction => match JournalId::parse(id) {
            Some(id) => views.balance_transaction(id)?.map(|v| render::balance_transaction(&v)),
            None => None,
        },
        Object::Clock => match ClockId::parse(id) {
            Some(id) => views.clock(id)?.map(|v| render::clock(&v)),
            None => None,
        },
        Object::BankAccount => match BankAccountId::parse(id) {
            Some(id) => views.bank_account(id)?.map(|v| render::bank_account(&v)),
            None => None,
        },
        Object::Plain => None,
    };
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_checked_before_anything_is_done() {
        for (object, path, place, ok) in [
            (Object::PaymentIntent, "latest_charge", Where::Get, true),
            (Object::PaymentIntent, "latest_charge.balance_transaction", Where::Post, true),
            (
                Object::PaymentIntent,
                "latest_charge.balance_transaction.source.payment_intent",
                Where::Get,
                true,
            ),
            (
                Object::PaymentIntent,
                "latest_charge.balance_transaction.source.payment_intent.customer",
                Where::Get,
                false,
            ),
            (Object::PaymentIntent, "amount", Where::Get, false),
            (Object::PaymentIntent, "", Where::Get, false),
            (Object::PaymentIntent, "latest_charge.", Where::Get, false),
            (Object::PaymentIntent, "data.customer", Where::List, true),
            (Object::PaymentIntent, "customer", Where::List, false),
            (Object::Customer, "invoice_settings.default_payment_method", Where::Get, true),
            (Object::Customer, "invoice_settings", Where::Get, false),
            (Object::Plain, "customer", Where::Get, false),
        ] {
            assert_eq!(check(object, &[path.to_owned()], place).is_ok(), ok, "{path}");
        }
        let many = vec!["customer".to_owned(); 9];
        assert!(check(Object::PaymentIntent, &many, Where::Get).is_ok());
        assert!(check(Object::PaymentIntent, &many, Where::Post).is_err());
    }
}
