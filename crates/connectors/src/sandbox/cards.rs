//! The published test cards and accounts, and what each does. Numbers are kept here only; nothing
//! that is stored holds more than the name in `token` and the last four digits.
//!
//! Source of the first part: the card numbers that the field's test modes share. The second part
//! (slow, failing, unknown) is this gateway's own.

use domain::outcome::{Decline, RiskLevel};
use domain::payment_method::Check;

/// When the payer must authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    Never,
    Always,
    /// Not when the method was saved before and the payer is absent.
    UnlessSaved,
}

/// How a refund goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundBehaviour {
    AtOnce,
    /// Pending first, done later.
    Later,
    /// Pending first, refused later.
    Fails,
}

/// What happens to the answer on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Good,
    /// Comes after two seconds.
    Slow,
    /// The sandbox does its work, but the answer is lost.
    AnswerLost,
    /// The request is lost: the sandbox never sees it.
    RequestLost,
}

#[derive(Clone, Debug)]
pub struct TestCard {
    pub number: &'static str,
    /// Names of the ready-made method; the first is the stored token.
    pub tokens: &'static [&'static str],
    pub funding: &'static str,
    pub country: &'static str,
    /// Code and decline code.
    pub decline: Option<(&'static str, Option<&'static str>)>,
    pub challenge: Challenge,
    pub available_at_once: bool,
    pub risk: RiskLevel,
    pub blocked: bool,
    pub cvc_check: Check,
    pub line1_check: Option<Check>,
    pub postal_check: Option<Check>,
    pub refund: RefundBehaviour,
    pub line: Line,
    /// May be saved for a customer although it declines.
    pub saves: bool,
    /// What it needs that does not exist yet.
    pub not_yet: Option<&'static str>,
}

const fn card(number: &'static str, tokens: &'static [&'static str]) -> TestCard {
    TestCard {
        number,
        tokens,
        funding: "credit",
        country: "US",
        decline: None,
        challenge: Challenge::Never,
        available_at_once: false,
        risk: RiskLevel::Normal,
        blocked: false,
        cvc_check: Check::Pass,
        line1_check: None,
        postal_check: None,
        refund: RefundBehaviour::AtOnce,
        line: Line::Good,
        saves: true,
        not_yet: None,
    }
}

const fn declines(
    number: &'static str,
    tokens: &'static [&'static str],
    code: &'static str,
    reason: Option<&'static str>,
) -> TestCard {
    TestCard { decline: Some((code, reason)), saves: false, ..card(number, tokens) }
}

const DISPUTES: &str = "disputes";
const FRAUD: &str = "early fraud warnings";

/// Every test card.
pub static CARDS: &[TestCard] = &[
    card("4242424242424242", &["pm_card_visa"]),
    card("4111111111111111", &["pm_card_visa_classic"]),
    TestCard { funding: "debit", ..card("4000056655665556", &["pm_card_visa_debit"]) },
    card("5555555555554444", &["pm_card_mastercard"]),
    card("2223003122003222", &["pm_card_mastercard_2series"]),
    TestCard { funding: "debit", ..card("5200828282828210", &["pm_card_mastercard_debit"]) },
    TestCard { funding: "prepaid", ..card("5105105105105100", &["pm_card_mastercard_prepaid"]) },
    card("378282246310005", &["pm_card_amex"]),
    card("371449635398431", &["pm_card_amex_second"]),
    card("6011111111111117", &["pm_card_discover"]),
    card("3056930009020004", &["pm_card_diners"]),
    TestCard { country: "JP", ..card("3566002020360505", &["pm_card_jcb"]) },
    TestCard { country: "CN", ..card("6200000000000005", &["pm_card_unionpay"]) },
    TestCard { available_at_once: true, ..card("4000000000000077", &["pm_card_bypassPending"]) },
    TestCard {
        available_at_once: true,
        country: "GB",
        ..card("4000003720000278", &["pm_card_bypassPendingInternational"])
    },
    declines(
        "4000000000000002",
        &["pm_card_visa_chargeDeclined", "pm_card_chargeDeclined"],
        "card_declined",
        Some("generic_decline"),
    ),
    declines(
        "4000000000009995",
        &["pm_card_visa_chargeDeclinedInsufficientFunds", "pm_card_chargeDeclinedInsufficientFunds"],
        "card_declined",
        Some("insufficient_funds"),
    ),
    declines(
        "4000000000009987",
        &["pm_card_visa_chargeDeclinedLostCard", "pm_card_chargeDeclinedLostCard"],
        "card_declined",
        Some("lost_card"),
    ),
    declines(
        "4000000000009979",
        &["pm_card_visa_chargeDeclinedStolenCard", "pm_card_chargeDeclinedStolenCard"],
        "card_declined",
        Some("stolen_card"),
    ),
    declines(
        "4000000000000069",
        &["pm_card_chargeDeclinedExpiredCard", "pm_card_visa_chargeDeclinedExpiredCard"],
        "expired_card",
        None,
    ),
    TestCard {
        cvc_check: Check::Fail,
        ..declines(
            "4000000000000127",
            &["pm_card_chargeDeclinedIncorrectCvc", "pm_card_visa_chargeDeclinedIncorrectCvc"],
            "incorrect_cvc",
            None,
        )
    },
    declines(
        "4000000000000119",
        &["pm_card_chargeDeclinedProcessingError", "pm_card_visa_chargeDeclinedProcessingError"],
        "processing_error",
        None,
    ),
    TestCard {
        saves: true,
        ..declines(
            "4000000000006975",
            &[
                "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
                "pm_card_chargeDeclinedVelocityLimitExceeded",
            ],
            "card_declined",
            Some("card_velocity_exceeded"),
        )
    },
    TestCard {
        saves: true,
        ..declines(
            "4000000000000341",
            &["pm_card_chargeCustomerFail"],
            "card_declined",
            Some("generic_decline"),
        )
    },
    TestCard {
        blocked: true,
        risk: RiskLevel::Highest,
        saves: true,
        ..declines("4100000000000019", &["pm_card_radarBlock"], "card_declined", Some("fraudulent"))
    },
    TestCard { risk: RiskLevel::Highest, ..card("4000000000004954", &["pm_card_riskLevelHighest"]) },
    TestCard { risk: RiskLevel::Elevated, ..card("4000000000009235", &["pm_card_riskLevelElevated"]) },
    TestCard { cvc_check: Check::Fail, ..card("4000000000000101", &["pm_card_cvcCheckFail"]) },
    TestCard { postal_check: Some(Check::Fail), ..card("4000000000000036", &["pm_card_avsZipFail"]) },
    TestCard { line1_check: Some(Check::Fail), ..card("4000000000000028", &["pm_card_avsLine1Fail"]) },
    TestCard {
        line1_check: Some(Check::Fail),
        postal_check: Some(Check::Fail),
        ..card("4000000000000010", &["pm_card_avsFail"])
    },
    TestCard {
        line1_check: Some(Check::Unavailable),
        postal_check: Some(Check::Unavailable),
        ..card("4000000000000044", &["pm_card_avsUnchecked"])
    },
    TestCard {
        challenge: Challenge::UnlessSaved,
        ..card("4000002500003155", &["pm_card_authenticationRequiredOnSetup"])
    },
    TestCard {
        challenge: Challenge::Always,
        ..card("4000002760003184", &["pm_card_authenticationRequired"])
    },
    TestCard {
        challenge: Challenge::UnlessSaved,
        ..card("4000003800000446", &["pm_card_authenticationRequiredSetupForOffSession"])
    },
    TestCard {
        challenge: Challenge::Always,
        saves: true,
        ..declines(
            "4000008260003178",
            &["pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"],
            "card_declined",
            Some("insufficient_funds"),
        )
    },
    TestCard { challenge: Challenge::Always, ..card("4000000000003220", &["pm_card_threeDSecure2Required"]) },
    TestCard { challenge: Challenge::Always, ..card("4000008400000027", &["pm_card_threeDSecureRequired"]) },
    TestCard {
        challenge: Challenge::Always,
        saves: true,
        ..declines(
            "4000008400001629",
            &["pm_card_threeDSecureRequiredChargeDeclined"],
            "card_declined",
            Some("generic_decline"),
        )
    },
    TestCard {
        saves: true,
        ..declines(
            "4000008400001280",
            &["pm_card_threeDSecureRequiredProcessingError"],
            "processing_error",
            None,
        )
    },
    card("4000000000003055", &["pm_card_threeDSecureOptional"]),
    card("4000000000003097", &["pm_card_threeDSecureOptionalProcessingError"]),
    card("4000000032200000", &["pm_card_threeDSecureFrictionless"]),
    TestCard { not_yet: Some(DISPUTES), ..card("4000000000000259", &["pm_card_createDispute"]) },
    TestCard {
        not_yet: Some(DISPUTES),
        ..card("4000000000002685", &["pm_card_createDisputeProductNotReceived"])
    },
    TestCard { not_yet: Some(DISPUTES), ..card("4000000000001976", &["pm_card_createDisputeInquiry"]) },
    TestCard { not_yet: Some(FRAUD), ..card("4000000000005423", &["pm_card_createIssuerFraudRecord"]) },
    TestCard { not_yet: Some(DISPUTES), ..card("4000000404000079", &["pm_card_createMultipleDisputes"]) },
    TestCard { refund: RefundBehaviour::Later, ..card("4000000000007726", &["pm_card_pendingRefund"]) },
    TestCard { refund: RefundBehaviour::Fails, ..card("4000000000005126", &["pm_card_refundFail"]) },
    // Ours: the network between us and the provider.
    TestCard { line: Line::Slow, ..card("4000009990000013", &["pm_card_slow"]) },
    TestCard { line: Line::AnswerLost, ..card("4000009990000021", &["pm_card_answerLost"]) },
    TestCard {
        line: Line::AnswerLost,
        ..declines(
            "4000009990000039",
            &["pm_card_answerLostDeclined"],
            "card_declined",
            Some("generic_decline"),
        )
    },
    TestCard { line: Line::RequestLost, ..card("4000009990000047", &["pm_card_requestLost"]) },
];

/// A test bank account.
pub struct TestAccount {
    pub iban: &'static str,
    pub token: &'static str,
    pub fails: bool,
}

pub static ACCOUNTS: &[TestAccount] = &[
    TestAccount { iban: "DE89370400440532013000", token: "pm_sepa_debit_success", fails: false },
    TestAccount { iban: "DE62370400440532013001", token: "pm_sepa_debit_failure", fails: true },
    TestAccount { iban: "AT321904300235473204", token: "pm_sepa_debit_success_at", fails: false },
    TestAccount { iban: "AT861904300235473202", token: "pm_sepa_debit_failure_at", fails: true },
];

pub fn card_by_number(number: &str) -> Option<&'static TestCard> {
    CARDS.iter().find(|c| c.number == number)
}

pub fn card_by_token(token: &str) -> Option<&'static TestCard> {
    CARDS.iter().find(|c| c.tokens.contains(&token))
}

pub fn account_by_iban(iban: &str) -> Option<&'static TestAccount> {
    ACCOUNTS.iter().find(|a| a.iban == iban)
}

pub fn account_by_token(token: &str) -> Option<&'static TestAccount> {
    ACCOUNTS.iter().find(|a| a.token == token)
}

/// The decline that a code stands for. Texts for buyers never say "lost" or "stolen".
pub fn decline(code: &str, reason: Option<&str>, blocked: bool) -> Decline {
    let message = match (code, reason) {
        ("expired_card", _) => "Your card has expired. Use another card.",
        ("incorrect_cvc", _) => "Your card's security code is incorrect. Check it and try again.",
        ("processing_error", _) => {
            "An error occurred while processing your card. Nothing was charged. Try again in a little while."
        }
        (_, Some("insufficient_funds")) => "Your card has insufficient funds. Use another card.",
        (_, Some("card_velocity_exceeded")) => {
            "Your card was declined for making repeated attempts too frequently or exceeding its limit."
        }
        _ => "Your card was declined. Use another card or contact your bank.",
    };
    Decline {
        code: code.to_owned(),
        decline_code: reason.map(str::to_owned),
        message: message.to_owned(),
        reached_issuer: true,
        blocked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_valid_and_every_name_unique() {
        let mut names = std::collections::HashSet::new();
        let mut numbers = std::collections::HashSet::new();
        for card in CARDS {
            assert!(domain::card::luhn(card.number), "{}", card.number);
            assert!(numbers.insert(card.number), "{}", card.number);
            assert!(!card.tokens.is_empty());
            for token in card.tokens {
                assert!(names.insert(*token), "{token}");
                assert_eq!(card_by_token(token).map(|c| c.number), Some(card.number));
            }
        }
        for account in ACCOUNTS {
            assert!(domain::bank::Iban::parse(account.iban).is_ok(), "{}", account.iban);
            assert!(names.insert(account.token));
        }
    }

    #[test]
    fn buyers_are_not_told_that_a_card_was_stolen() {
        for card in CARDS {
            if let Some((code, reason)) = card.decline {
                let text = decline(code, reason, card.blocked).message.to_lowercase();
                assert!(!text.contains("lost") && !text.contains("stolen"), "{text}");
            }
        }
    }
}
