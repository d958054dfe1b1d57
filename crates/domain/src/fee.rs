//! Fees as data: rules of a fee group, and the one function that applies them.

use serde::{Deserialize, Serialize};

use crate::currency::Currency;
use crate::money::{MAX_AMOUNT, MoneyError, Rounding, mul_ratio};
use crate::text_enum;

/// Basis points in a whole.
const WHOLE: i64 = 10_000;

text_enum! {
    /// What a fee is taken for.
    pub enum FeeOperation { Capture = "capture", Refund = "refund", Payout = "payout", Dispute = "dispute" }
}

text_enum! {
    /// What the rate is applied to.
    pub enum FeeBase {
        /// The amount that the merchant asked for.
        Amount = "amount",
        /// What moved in all: the amount and a cost that the payer bears on top.
        Total = "total",
    }
}

/// One rule of a fee group: `fixed + base x basis_points / 10000`, within `min` and `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeRule {
    pub operation: FeeOperation,
    /// None: any currency that has no rule of its own. Fixed parts are then in whichever minor unit.
    pub currency: Option<Currency>,
    /// In minor units.
    pub fixed: i64,
    /// Hundredths of a per cent: 250 is 2.5 %.
    pub basis_points: i64,
    pub base: FeeBase,
    /// In minor units.
    pub min: Option<i64>,
    /// In minor units.
    pub max: Option<i64>,
    /// Of the rate's part only; the other parts are whole.
    pub rounding: Rounding,
}

/// Why a fee cannot be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    #[error("the fee group has no rule for a {operation} in {currency}; add one for it or for any currency")]
    NoRule { operation: FeeOperation, currency: Currency },
    /// The rule breaks a bound; names its field and the bound.
    #[error("the fee rule is invalid: {0}")]
    InvalidRule(&'static str),
    #[error("a fee needs an amount and a total that are not negative")]
    InvalidAmount,
    #[error("the fee is too large to compute: it {0}")]
    Money(#[from] MoneyError),
}

impl FeeRule {
    /// Checks the rule's bounds; call it before storing one.
    ///
    /// # Errors
    /// [`FeeError::InvalidRule`].
    pub fn validate(&self) -> Result<(), FeeError> {
        let amount = 0..=MAX_AMOUNT;
        let checks = [
            (amount.contains(&self.fixed), "fixed must be from 0 to 999999999999"),
            ((0..=WHOLE).contains(&self.basis_points), "basis_points must be from 0 to 10000"),
            (self.min.is_none_or(|min| amount.contains(&min)), "min must be from 0 to 999999999999"),
            (self.max.is_none_or(|max| amount.contains(&max)), "max must be from 0 to 999999999999"),
            (self.min.zip(self.max).is_none_or(|(min, max)| min <= max), "min must not exceed max"),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, problem)) => Err(FeeError::InvalidRule(problem)),
            None => Ok(()),
        }
    }

    /// The fee by this rule, in minor units, before it is capped by what it is taken from.
    fn apply(&self, amount: i64, total: i64) -> Result<i64, FeeError> {
        let base = match self.base {
            FeeBase::Amount => amount,
            FeeBase::Total => total,
        };
        let rate = mul_ratio(base, i128::from(self.basis_points), i128::from(WHOLE), self.rounding)?;
        let fee = rate.checked_add(self.fixed).ok_or(MoneyError::Overflow)?;
        // Not `clamp`, which panics when min > max.
        Ok(fee.max(self.min.unwrap_or(0)).min(self.max.unwrap_or(i64::MAX)))
    }
}

/// The rule for an operation: one for this very currency before one for any. Among equals the first
/// wins.
pub fn rule_for(rules: &[FeeRule], operation: FeeOperation, currency: Currency) -> Option<&FeeRule> {
    let find = |wanted| rules.iter().find(|rule| rule.operation == operation && rule.currency == wanted);
    find(Some(currency)).or_else(|| find(None))
}

/// The fee of one operation, in minor units: from 0 to `total`, because a fee never exceeds the money it
/// is taken from, whatever `fixed` and `min` say.
///
/// `amount` is what the merchant asked for, `total` what moved in all (the two are equal when no cost is
/// put on top), both in minor units of `currency`.
///
/// # Errors
/// [`FeeError`]. A missing rule is an error and not a zero fee, so that an oversight in the
/// configuration does not process payments for free.
pub fn fee(
    rules: &[FeeRule],
    operation: FeeOperation,
    currency: Currency,
    amount: i64,
    total: i64,
) -> Result<i64, FeeError> {
    if amount < 0 || total < 0 {
        return Err(FeeError::InvalidAmount);
    }
    let rule = rule_for(rules, operation, currency).ok_or(FeeError::NoRule { operation, currency })?;
    rule.validate()?;
    Ok(rule.apply(amount, total)?.min(total))
}

/// Whether the rules ask more than `total` for one operation, which [`fee`] then takes instead. For those who
/// would rather do nothing than leave the merchant nothing.
///
/// # Errors
/// Those of [`fee`].
pub fn exceeds(
    rules: &[FeeRule],
    operation: FeeOperation,
    currency: Currency,
    amount: i64,
    total: i64,
) -> Result<bool, FeeError> {
    fee(rules, operation, currency, amount, total)?;
    let rule = rule_for(rules, operation, currency).ok_or(FeeError::NoRule { operation, currency })?;
    Ok(rule.apply(amount, total)? > total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EUR: Currency = Currency::EUR;

    fn rule(fixed: i64, basis_points: i64) -> FeeRule {
        FeeRule {
            operation: FeeOperation::Capture,
            currency: None,
            fixed,
            basis_points,
            base: FeeBase::Amount,
            min: None,
            max: None,
            rounding: Rounding::HalfUp,
        }
    }

    fn capture_fee(rule: FeeRule, amount: i64) -> i64 {
        fee(&[rule], FeeOperation::Capture, EUR, amount, amount).unwrap()
    }

    #[test]
    fn fees_by_rule() {
        let bounded = FeeRule { min: Some(50), max: Some(1_000), ..rule(0, 100) };
        let cases = [
            (rule(25, 290), 8_000, 257),  // 2.32 + 0.25
            (rule(54, 230), 10_000, 284), // the published sample: 2.84 of 100.00
            (rule(0, 0), 10_000, 0),
            (rule(0, 50), 100, 1), // 0.5 rounds up
            (rule(0, 49), 100, 0),
            (rule(0, 10_000), 777, 777),
            (rule(30, 290), 10, 10), // capped by the payment
            (rule(30, 290), 0, 0),
            (bounded, 100, 50),
            (bounded, 20, 20), // min is capped as well
            (bounded, 20_000, 200),
            (bounded, 1_000_000, 1_000),
            (rule(0, 10_000), MAX_AMOUNT, MAX_AMOUNT),
            (FeeRule { rounding: Rounding::Floor, ..rule(0, 1) }, 19_999, 1),
            (FeeRule { rounding: Rounding::Ceiling, ..rule(0, 1) }, 10_001, 2),
        ];
        for (rule, amount, expected) in cases {
            assert_eq!(capture_fee(rule, amount), expected, "{rule:?} of {amount}");
        }
    }

    #[test]
    fn base_is_amount_or_total() {
        let on_total = FeeRule { base: FeeBase::Total, ..rule(33, 250) };
        let of = |rule| fee(&[rule], FeeOperation::Capture, EUR, 10_000, 10_054);
        assert_eq!(of(on_total), Ok(284));
        assert_eq!(of(rule(33, 250)), Ok(283));
        assert_eq!(of(rule(20_000, 0)), Ok(10_054), "capped by what moved");
    }

    #[test]
    fn the_most_specific_rule_wins() {
        let any = rule(1, 0);
        let euro = FeeRule { currency: Some(EUR), ..rule(2, 0) };
        let payout = FeeRule { operation: FeeOperation::Payout, ..rule(3, 0) };
        for rules in [[any, euro, payout], [payout, euro, any], [euro, any, payout]] {
            let of = |operation, currency| fee(&rules, operation, currency, 100, 100);
            assert_eq!(of(FeeOperation::Capture, EUR), Ok(2));
            assert_eq!(of(FeeOperation::Capture, Currency::USD), Ok(1));
            assert_eq!(of(FeeOperation::Payout, EUR), Ok(3));
            let none = FeeError::NoRule { operation: FeeOperation::Refund, currency: EUR };
            assert_eq!(of(FeeOperation::Refund, EUR), Err(none));
        }
        let none = FeeError::NoRule { operation: FeeOperation::Capture, currency: Currency::USD };
        assert_eq!(fee(&[euro], FeeOperation::Capture, Currency::USD, 1, 1), Err(none));
        assert!(fee(&[], FeeOperation::Capture, EUR, 1, 1).is_err());
    }

    #[test]
    fn bad_rules_and_amounts_are_errors() {
        let bad = [
            rule(-1, 0),
            rule(MAX_AMOUNT + 1, 0),
            rule(0, -1),
            rule(0, 10_001),
            FeeRule { min: Some(-1), ..rule(0, 0) },
            FeeRule { max: Some(-1), ..rule(0, 0) },
            FeeRule { min: Some(2), max: Some(1), ..rule(0, 0) },
        ];
        for rule in bad {
            let result = fee(&[rule], FeeOperation::Capture, EUR, 100, 100);
            assert!(matches!(result, Err(FeeError::InvalidRule(_))), "{rule:?}");
        }
        for (amount, total) in [(-1, 1), (1, -1), (i64::MIN, 0)] {
            let result = fee(&[rule(0, 0)], FeeOperation::Capture, EUR, amount, total);
            assert_eq!(result, Err(FeeError::InvalidAmount));
        }
        let most = fee(&[rule(MAX_AMOUNT, WHOLE)], FeeOperation::Capture, EUR, i64::MAX, i64::MAX);
        assert_eq!(most, Err(FeeError::Money(MoneyError::Overflow)));
    }

    fn any_rule() -> impl Strategy<Value = FeeRule> {
        let bound = || proptest::option::of(0..=10_000_i64);
        (0..=500_i64, 0..=WHOLE, bound(), bound(), 0..Rounding::ALL.len()).prop_map(
            |(fixed, basis_points, one, other, rounding)| {
                let (min, max) = match (one, other) {
                    (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
                    bounds => bounds,
                };
                FeeRule { min, max, rounding: Rounding::ALL[rounding], ..rule(fixed, basis_points) }
            },
        )
    }

    proptest! {
        #[test]
        fn within_bounds(rule in any_rule(), amount in 0..=MAX_AMOUNT, cost in 0..=10_000_i64) {
            let total = amount + cost;
            let fee = fee(&[rule], FeeOperation::Capture, EUR, amount, total).unwrap();
            prop_assert!((0..=total).contains(&fee));
            prop_assert!(fee <= rule.max.unwrap_or(i64::MAX));
            prop_assert!(fee >= rule.min.unwrap_or(0).min(total));
        }

        #[test]
        fn monotone_in_the_amount(rule in any_rule(), one in 0..=MAX_AMOUNT, other in 0..=MAX_AMOUNT) {
            let (less, more) = (one.min(other), one.max(other));
            prop_assert!(capture_fee(rule, less) <= capture_fee(rule, more));
        }

        /// A fee depends on its own payment alone: nothing is carried from one payment to the next, and
        /// splitting a payment into units of one costs what the rule takes of a unit, each time.
        #[test]
        fn units_add_up(rule in any_rule(), count in 1..200_i64) {
            let rate = match (rule.basis_points, rule.rounding) {
                (0, _) | (_, Rounding::Floor) => i64::from(rule.basis_points == WHOLE),
                (_, Rounding::Ceiling) => 1,
                (points, _) => i64::from(points * 2 >= WHOLE),
            };
            let wanted = (rule.fixed + rate).max(rule.min.unwrap_or(0)).min(rule.max.unwrap_or(i64::MAX)).min(1);
            let sum: i64 = (0..count).map(|_| capture_fee(rule, 1)).sum();
            prop_assert_eq!(sum, count * wanted);
        }
    }
}
