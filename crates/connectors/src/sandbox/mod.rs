//! The sandbox: a provider inside the gateway, deterministic by card number or token.
//!
//! It keeps books of its own, in commits of its own, that the engine never reads. A double charge
//! therefore has a witness: the sandbox's tables count what it was really asked to do.

pub mod cards;
pub mod payouts;

use crate::{
    Answer, AuthoriseOrder, ChallengeAnswer, ChangeOrder, Connector, ConnectorProfile, CredentialField,
    MethodInput, PayoutOrder, RefundOrder, TokeniseRefusal, Tokenised,
};
use cards::{Challenge, Line, RefundBehaviour, TestCard};
use domain::outcome::{Approval, AuthoriseOutcome, ChangeOutcome, Decline, PayoutOutcome, RiskLevel};
use domain::payment_method::{CardFacts, MethodFacts, MethodKind, PaypalFacts, SepaFacts, Wallet};
use domain::time::{MICROS, Timestamp};
use std::time::Duration;
use store::sandbox::{ChargeState, SandboxCharge};
use store::{Store, StoreError};

/// How long a bank debit and a pending refund take to settle when nothing else is set.
pub const DEFAULT_SETTLE_US: i64 = 5 * MICROS;
const SLOW: Duration = Duration::from_secs(2);

/// The sandbox provider.
pub struct Sandbox {
    store: Store,
    settle_us: i64,
}

impl Sandbox {
    /// `settle_us`: how long debits and pending refunds take, in microseconds of the payment's time.
    pub fn new(store: Store, settle_us: i64) -> Sandbox {
        Sandbox { store, settle_us }
    }

    async fn submit(&self, order: AuthoriseOrder) -> AuthoriseOutcome {
        let card = cards::card_by_token(&order.token);
        let line = card.map_or(Line::Good, |c| c.line);
        if line == Line::RequestLost {
            return AuthoriseOutcome::Unknown;
        }
        let now = order.now;
        let charge = first_state(&order, card, self.settle_us);
        let recorded = self
            .store
            .write(move |tx| {
                store::sandbox::submit(tx, &charge)?;
                let known = store::sandbox::get(tx, &charge.attempt)?;
                known.ok_or_else(|| StoreError::Defect("the sandbox lost a charge".to_owned()))
            })
            .await;
        match (recorded, line) {
            (Err(e), _) => unreachable_books(&e),
            (Ok(_), Line::AnswerLost) => AuthoriseOutcome::Unknown,
            (Ok(charge), Line::Slow) => {
                tokio::time::sleep(SLOW).await;
                outcome(&charge, now)
            }
            (Ok(charge), _) => outcome(&charge, now),
        }
    }

    async fn answer_challenge(&self, order: AuthoriseOrder, answer: ChallengeAnswer) -> AuthoriseOutcome {
        let now = order.now;
        let result = self
            .store
            .write(move |tx| {
                let Some(mut charge) = store::sandbox::lock(tx, &order.attempt)? else { return Ok(None) };
                if charge.state == ChargeState::Challenged {
                    after_challenge(&mut charge, &order, answer);
                    store::sandbox::update(tx, &charge)?;
                }
                Ok::<_, StoreError>(Some(charge))
            })
            .await;
        match result {
            Err(e) => unreachable_books(&e),
            Ok(None) => AuthoriseOutcome::NotFound,
            Ok(Some(charge)) => outcome(&charge, now),
        }
    }

    async fn query(&self, attempt: String, now: Timestamp) -> AuthoriseOutcome {
        let result = self
            .store
            .write(move |tx| {
                let Some(mut charge) = store::sandbox::lock(tx, &attempt)? else { return Ok(None) };
                settle_debit(&mut charge, now);
                store::sandbox::update(tx, &charge)?;
                Ok::<_, StoreError>(Some(charge))
            })
            .await;
        match result {
            Err(e) => unreachable_books(&e),
            Ok(None) => AuthoriseOutcome::NotFound,
            Ok(Some(charge)) => outcome(&charge, now),
        }
    }

    /// Changes a charge if `change` agrees; `change` answers whether what was asked is now the case.
    async fn change(
        &self,
        attempt: String,
        change: impl Fn(&mut SandboxCharge) -> Result<(), &'static str> + Send + 'static,
    ) -> ChangeOutcome {
        let result = self
            .store
            .write(move |tx| {
                let Some(mut charge) = store::sandbox::lock(tx, &attempt)? else {
                    return Ok(ChangeOutcome::NotFound);
                };
                match change(&mut charge) {
                    Ok(()) => {
                        store::sandbox::update(tx, &charge)?;
                        Ok(ChangeOutcome::Done)
                    }
                    Err(reason) => Ok(ChangeOutcome::Refused { reason: reason.to_owned() }),
                }
            })
            .await;
        result.unwrap_or_else(|e: StoreError| {
            tracing::warn!(error = %e, "the sandbox's books could not be written");
            ChangeOutcome::Unknown
        })
    }

    async fn give_back(&self, order: RefundOrder) -> ChangeOutcome {
        let check_at = order.now.plus(self.settle_us);
        let result = self
            .store
            .write(move |tx| {
                if let Some(state) = store::sandbox::refund_state(tx, &order.refund)? {
                    return Ok(refund_outcome(&state, check_at));
                }
                let Some(mut charge) = store::sandbox::lock(tx, &order.attempt)? else {
                    return Ok(ChangeOutcome::Refused { reason: "unknown".to_owned() });
                };
                if charge.state != ChargeState::Captured || charge.refunded + order.amount > charge.captured {
                    return Ok(ChangeOutcome::Refused { reason: "declined".to_owned() });
                }
                let behaviour =
                    cards::card_by_token(&charge.token).map_or(RefundBehaviour::AtOnce, |c| c.refund);
                let state = match behaviour {
                    RefundBehaviour::AtOnce => "done",
                    RefundBehaviour::Later => "pending",
                    RefundBehaviour::Fails => "failing",
                };
                if behaviour != RefundBehaviour::Fails {
                    charge.refunded += order.amount;
                    store::sandbox::update(tx, &charge)?;
                }
                store::sandbox::insert_refund(tx, &order.refund, &order.attempt, order.amount, state)?;
                Ok::<_, StoreError>(refund_outcome(state, check_at))
            })
            .await;
        result.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "the sandbox's books could not be written");
            ChangeOutcome::Unknown
        })
    }

    async fn query_refund(&self, refund: String) -> ChangeOutcome {
        let state = self.store.read(move |tx| store::sandbox::refund_state(tx, &refund)).await;
        match state {
            Err(e) => {
                let e: StoreError = e;
                tracing::warn!(error = %e, "the sandbox's books could not be read");
                ChangeOutcome::Unknown
            }
            Ok(None) => ChangeOutcome::NotFound,
            Ok(Some(state)) if state == "failing" => {
                ChangeOutcome::Refused { reason: "expired_or_canceled_card".to_owned() }
            }
            Ok(Some(_)) => ChangeOutcome::Done,
        }
    }
}

/// A sandbox that cannot reach its own books is a provider that did not answer.
fn unreachable_books(e: &StoreError) -> AuthoriseOutcome {
    tracing::warn!(error = %e, "the sandbox's books could not be used");
    AuthoriseOutcome::Unknown
}

fn refund_outcome(state: &str, check_at: Timestamp) -> ChangeOutcome {
    match state {
        "done" => ChangeOutcome::Done,
        _ => ChangeOutcome::Pending { check_at },
    }
}

/// What a new charge starts as.
fn first_state(order: &AuthoriseOrder, card: Option<&TestCard>, settle_us: i64) -> SandboxCharge {
    let mut charge = SandboxCharge {
        attempt: order.attempt.clone(),
        token: order.token.clone(),
        amount: order.amount,
        currency: order.currency.code().to_owned(),
        state: ChargeState::Declined,
        captured: 0,
        refunded: 0,
        decline: None,
        settles_at: None,
        challenged: false,
        calls: 0,
    };
    match card {
        Some(card) if needs_challenge(card, order) => {
            if order.off_session || order.decline_on_challenge {
                charge.decline = Some("authentication_required".to_owned());
            } else {
                charge.state = ChargeState::Challenged;
                charge.challenged = true;
            }
        }
        Some(card) if card.decline.is_some() => charge.decline = Some("card".to_owned()),
        Some(_) => approve(&mut charge, order),
        None if order.token == PAYPAL => {
            if order.off_session || order.decline_on_challenge {
                charge.decline = Some("authentication_required".to_owned());
            } else {
                charge.state = ChargeState::Challenged;
                charge.challenged = true;
            }
        }
        None if cards::account_by_token(&order.token).is_some() => {
            charge.state = ChargeState::Pending;
            charge.settles_at = Some(order.now.plus(settle_us));
        }
        None => charge.decline = Some("unknown_token".to_owned()),
    }
    charge
}

fn needs_challenge(card: &TestCard, order: &AuthoriseOrder) -> bool {
    match card.challenge {
        Challenge::Never => false,
        Challenge::Always => true,
        Challenge::UnlessSaved => !(order.saved && order.off_session),
    }
}

fn approve(charge: &mut SandboxCharge, order: &AuthoriseOrder) {
    if order.capture {
        charge.state = ChargeState::Captured;
        charge.captured = order.amount;
    } else {
        charge.state = ChargeState::Authorised;
    }
}

fn after_challenge(charge: &mut SandboxCharge, order: &AuthoriseOrder, answer: ChallengeAnswer) {
    let card = cards::card_by_token(&charge.token);
    match answer {
        ChallengeAnswer::Passed if card.is_some_and(|c| c.decline.is_some()) => {
            charge.state = ChargeState::Declined;
            charge.decline = Some("card".to_owned());
        }
        ChallengeAnswer::Passed => approve(charge, order),
        ChallengeAnswer::Failed | ChallengeAnswer::Abandoned => {
            charge.state = ChargeState::Declined;
            charge.decline = Some("authentication_failed".to_owned());
        }
    }
}

fn settle_debit(charge: &mut SandboxCharge, now: Timestamp) {
    if charge.state != ChargeState::Pending || charge.settles_at.is_none_or(|t| now < t) {
        return;
    }
    if cards::account_by_token(&charge.token).is_some_and(|a| a.fails) {
        charge.state = ChargeState::Declined;
        charge.decline = Some("debit_failed".to_owned());
    } else {
        charge.state = ChargeState::Captured;
        charge.captured = charge.amount;
    }
}

fn outcome(charge: &SandboxCharge, now: Timestamp) -> AuthoriseOutcome {
    let card = cards::card_by_token(&charge.token);
    match charge.state {
        ChargeState::Challenged => AuthoriseOutcome::Challenge,
        ChargeState::Pending => AuthoriseOutcome::Pending { check_at: charge.settles_at.unwrap_or(now) },
        ChargeState::Authorised | ChargeState::Captured => AuthoriseOutcome::Approved(Approval {
            captured: charge.state == ChargeState::Captured,
            available_at_once: card.is_some_and(|c| c.available_at_once),
            risk: card.map_or(RiskLevel::NotAssessed, |c| c.risk),
            authenticated: authenticated(charge, card),
        }),
        ChargeState::Voided => {
            AuthoriseOutcome::Declined(cards::decline("card_declined", Some("generic_decline"), false))
        }
        ChargeState::Declined => AuthoriseOutcome::Declined(decline_of(charge, card)),
    }
}

fn authenticated(charge: &SandboxCharge, card: Option<&TestCard>) -> Option<String> {
    if charge.challenged {
        return Some("challenge".to_owned());
    }
    let frictionless = card.is_some_and(|c| c.tokens.contains(&"pm_card_threeDSecureFrictionless"));
    frictionless.then(|| "frictionless".to_owned())
}

fn decline_of(charge: &SandboxCharge, card: Option<&TestCard>) -> Decline {
    match charge.decline.as_deref() {
        Some("authentication_required") => Decline {
            code: "authentication_required".to_owned(),
            decline_code: Some("authentication_required".to_owned()),
            message: "Your card was declined. This payment requires authentication: bring the payer back to confirm it."
                .to_owned(),
            reached_issuer: true,
            blocked: false,
        },
        Some("authentication_failed") => Decline {
            code: "payment_intent_authentication_failure".to_owned(),
            decline_code: None,
            message: "The payer's bank could not confirm who they are. Nothing was charged. Use another payment method."
                .to_owned(),
            reached_issuer: false,
            blocked: false,
        },
        Some("debit_failed") => Decline {
            code: "payment_method_provider_decline".to_owned(),
            decline_code: Some("insufficient_funds".to_owned()),
            message: "The bank refused the debit. Ask the payer for another payment method.".to_owned(),
            reached_issuer: true,
            blocked: false,
        },
        _ => match card.and_then(|c| c.decline.map(|d| (d, c.blocked))) {
            Some(((code, reason), blocked)) => cards::decline(code, reason, blocked),
            None => cards::decline("card_declined", Some("generic_decline"), false),
        },
    }
}

fn card_facts(
    card: &TestCard,
    exp: (u8, u16),
    has_cvc: bool,
    fingerprint: &dyn Fn(&str) -> String,
) -> MethodFacts {
    let last4 = card.number.get(card.number.len() - 4..).unwrap_or_default().to_owned();
    MethodFacts::Card(CardFacts {
        brand: domain::card::Brand::of(card.number).as_str().to_owned(),
        last4,
        exp_month: exp.0,
        exp_year: exp.1,
        funding: card.funding.to_owned(),
        country: card.country.to_owned(),
        fingerprint: fingerprint(card.number),
        three_d_secure: true,
        wallet: None,
        cvc_check: has_cvc.then_some(card.cvc_check),
        address_line1_check: card.line1_check,
        postal_code_check: card.postal_check,
    })
}

/// The card in every sandbox wallet.
const WALLET_CARD: &str = "pm_card_visa";
/// The one PayPal account of the sandbox, whose payer approves each payment on a page.
const PAYPAL: &str = "pm_paypal";
/// Ready-made cards expire at the end of this year.
const READY_MADE_EXPIRY: (u8, u16) = (12, 2034);

/// What keys of the sandbox begin with.
const GOOD_KEY: &str = "sandbox_";

const FIELDS: &[CredentialField] = &[CredentialField {
    name: "apiKey",
    secret: true,
    required: false,
    help: "Any text that begins with sandbox_; other texts are refused, so that a wrong key can be tried out.",
}];

impl Connector for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn profile(&self) -> ConnectorProfile {
        ConnectorProfile { title: "Sandbox", live: false, fields: FIELDS }
    }

    fn check(&self, credentials: Vec<(String, String)>) -> Answer<'_, Result<(), String>> {
        let refused =
            credentials.iter().any(|(name, value)| name == "apiKey" && !value.starts_with(GOOD_KEY));
        Box::pin(async move {
            if refused {
                return Err(format!("the sandbox takes keys that begin with {GOOD_KEY}, and no key at all"));
            }
            Ok(())
        })
    }

    fn offers(&self, kind: MethodKind) -> bool {
        match kind {
            MethodKind::Card | MethodKind::SepaDebit | MethodKind::Paypal => true,
            MethodKind::OffPlatform => false,
        }
    }

    fn wallets(&self) -> bool {
        true
    }

    fn tokenise(
        &self,
        input: &MethodInput<'_>,
        fingerprint: &dyn Fn(&str) -> String,
    ) -> Result<Tokenised, TokeniseRefusal> {
        let (card, expiry, has_cvc) = match input {
            MethodInput::ReadyMade(token) => {
                match (cards::card_by_token(token), cards::account_by_token(token)) {
                    (Some(card), _) => (card, READY_MADE_EXPIRY, true),
                    (None, Some(account)) => return Ok(account_facts(account, fingerprint)),
                    (None, None) => return Err(TokeniseRefusal::UnknownToken),
                }
            }
            MethodInput::Card { number, exp_month, exp_year, has_cvc } => {
                let card = cards::card_by_number(number.expose())
                    .ok_or_else(|| not_a_test_number("card[number]"))?;
                (card, (*exp_month, *exp_year), *has_cvc)
            }
            MethodInput::Iban(iban) => {
                let account = cards::account_by_iban(iban.expose())
                    .ok_or_else(|| not_a_test_number("sepa_debit[iban]"))?;
                return Ok(account_facts(account, fingerprint));
            }
            MethodInput::Wallet(wallet) => return wallet_facts(*wallet, fingerprint),
            MethodInput::Paypal => return Ok(paypal_facts(fingerprint)),
        };
        if let Some(missing) = card.not_yet {
            return Err(TokeniseRefusal::NotYet(missing));
        }
        let token = card.tokens.first().copied().unwrap_or_default().to_owned();
        Ok(Tokenised { facts: card_facts(card, expiry, has_cvc, fingerprint), token })
    }

    fn may_save(&self, token: &str) -> Result<(), Decline> {
        match cards::card_by_token(token) {
            Some(TestCard { saves: false, decline: Some((code, reason)), blocked, .. }) => {
                Err(cards::decline(code, *reason, *blocked))
            }
            _ => Ok(()),
        }
    }

    fn authorise(&self, order: AuthoriseOrder) -> Answer<'_, AuthoriseOutcome> {
        Box::pin(self.submit(order))
    }

    fn authenticated(&self, order: AuthoriseOrder, answer: ChallengeAnswer) -> Answer<'_, AuthoriseOutcome> {
        Box::pin(self.answer_challenge(order, answer))
    }

    fn find_attempt(&self, attempt: String, now: Timestamp) -> Answer<'_, AuthoriseOutcome> {
        Box::pin(self.query(attempt, now))
    }

    fn capture(&self, order: ChangeOrder) -> Answer<'_, ChangeOutcome> {
        Box::pin(self.change(order.attempt, move |charge| match charge.state {
            ChargeState::Authorised if order.amount <= charge.amount => {
                charge.state = ChargeState::Captured;
                charge.captured = order.amount;
                Ok(())
            }
            ChargeState::Captured if charge.captured == order.amount => Ok(()),
            _ => Err("the authorisation cannot be captured"),
        }))
    }

    fn void(&self, order: ChangeOrder) -> Answer<'_, ChangeOutcome> {
        Box::pin(self.change(order.attempt, |charge| match charge.state {
            ChargeState::Authorised => {
                charge.state = ChargeState::Voided;
                Ok(())
            }
            ChargeState::Voided => Ok(()),
            _ => Err("the authorisation cannot be voided"),
        }))
    }

    fn increment(&self, order: ChangeOrder) -> Answer<'_, ChangeOutcome> {
        Box::pin(self.change(order.attempt, move |charge| match charge.state {
            ChargeState::Authorised if order.amount >= charge.amount => {
                charge.amount = order.amount;
                Ok(())
            }
            _ => Err("the authorisation cannot be raised"),
        }))
    }

    fn reverse(&self, order: ChangeOrder) -> Answer<'_, ChangeOutcome> {
        Box::pin(self.change(order.attempt, |charge| match charge.state {
            ChargeState::Authorised => {
                charge.state = ChargeState::Voided;
                Ok(())
            }
            ChargeState::Captured => {
                charge.state = ChargeState::Voided;
                charge.refunded = charge.captured;
                Ok(())
            }
            ChargeState::Voided | ChargeState::Declined => Ok(()),
            ChargeState::Challenged | ChargeState::Pending => Err("the charge is still open"),
        }))
    }

    fn refund(&self, order: RefundOrder) -> Answer<'_, ChangeOutcome> {
        Box::pin(self.give_back(order))
    }

    fn find_refund(&self, refund: String, _now: Timestamp) -> Answer<'_, ChangeOutcome> {
        Box::pin(self.query_refund(refund))
    }

    fn payout(&self, order: PayoutOrder) -> Answer<'_, PayoutOutcome> {
        Box::pin(payouts::send(&self.store, self.settle_us, order))
    }

    fn find_payout(&self, payout: String, now: Timestamp) -> Answer<'_, PayoutOutcome> {
        Box::pin(payouts::find(&self.store, payout, now))
    }

    fn cancel_payout(&self, payout: String, now: Timestamp) -> Answer<'_, PayoutOutcome> {
        Box::pin(payouts::cancel(&self.store, payout, now))
    }
}

/// A wallet gives a card that always pays: its sheet has authenticated the payer.
fn wallet_facts(wallet: Wallet, fingerprint: &dyn Fn(&str) -> String) -> Result<Tokenised, TokeniseRefusal> {
    let card = cards::card_by_token(WALLET_CARD).ok_or(TokeniseRefusal::UnknownToken)?;
    let mut facts = card_facts(card, READY_MADE_EXPIRY, false, fingerprint);
    if let MethodFacts::Card(card) = &mut facts {
        card.wallet = Some(wallet);
    }
    Ok(Tokenised { facts, token: WALLET_CARD.to_owned() })
}

fn paypal_facts(fingerprint: &dyn Fn(&str) -> String) -> Tokenised {
    let facts = PaypalFacts {
        payer_email: "payer@paypal.test".to_owned(),
        payer_id: "SANDBOXPAYER1".to_owned(),
        fingerprint: fingerprint("paypal SANDBOXPAYER1"),
    };
    Tokenised { facts: MethodFacts::Paypal(facts), token: PAYPAL.to_owned() }
}

fn account_facts(account: &cards::TestAccount, fingerprint: &dyn Fn(&str) -> String) -> Tokenised {
    let iban = account.iban;
    let (country, bank_code) = domain::bank::Iban::parse(iban)
        .map(|i| (i.country().to_owned(), i.bank_code().to_owned()))
        .unwrap_or_default();
    let facts = MethodFacts::SepaDebit(SepaFacts {
        last4: iban.get(iban.len() - 4..).unwrap_or_default().to_owned(),
        country,
        bank_code,
        fingerprint: fingerprint(iban),
    });
    Tokenised { facts, token: account.token.to_owned() }
}

/// The sandbox takes published test numbers only, so that no real card ever enters it.
fn not_a_test_number(param: &'static str) -> TokeniseRefusal {
    let decline = Decline {
        code: "card_declined".to_owned(),
        decline_code: Some("test_mode_live_card".to_owned()),
        message: if param == "card[number]" {
            "Test mode takes only the published test numbers, such as 4242 4242 4242 4242. The number was not stored."
        } else {
            "Test mode takes only the published test accounts, such as DE89 3704 0044 0532 0130 00. The IBAN was not \
             stored."
        }
        .to_owned(),
        reached_issuer: false,
        blocked: false,
    };
    TokeniseRefusal::Card { decline, param }
}
