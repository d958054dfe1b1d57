use super::*;

fn card() -> Option<Method> {
    let script = Script::Approve { at_once: false };
    Some(Method { token: "card".to_owned(), script, refund: RefundScript::AtOnce, owner: None })
}

#[test]
fn fees_round_half_up_and_never_exceed_the_capture() {
    for (captured, expected) in
        [(8_000, 257), (9_900, 312), (1_000, 54), (500, 40), (50, 26), (26, 26), (1, 1)]
    {
        assert_eq!(fee(captured), expected, "{captured}");
    }
}

/// The worked example of `docs/ledger.md`.
#[test]
fn the_worked_example() {
    let mut model = Model { clocks: vec![0], customers: vec![Some(0)], ..Model::default() };
    let created = model.create(Payment::new(10_000, "eur", true, false, Some(0)), card(), true);
    assert_eq!((created, model.payments[0].status), (ok(201), "requires_capture"));
    assert_eq!(model.capture(0, Some(10_001)), refuse("amount_too_large"));
    assert_eq!(model.capture(0, Some(8_000)), ok(200));
    assert_eq!(model.balances["eur"], Balance { pending: 7_743, available: 0, fees: 257 });
    model.advance(0, SETTLEMENT - 1);
    assert_eq!(model.balances["eur"].available, 0);
    model.advance(0, SETTLEMENT);
    assert_eq!(model.balances["eur"], Balance { pending: 0, available: 7_743, fees: 257 });
    assert_eq!(model.refund(0, Some(3_000)), ok(201));
    assert_eq!(model.balances["eur"].available, 4_743);
}

#[test]
fn a_refund_may_draw_on_its_own_fee_and_on_nothing_else() {
    let mut model = Model::default();
    for _ in 0..2 {
        assert_eq!(model.create(Payment::new(1_000, "eur", false, false, None), card(), true), ok(201));
    }
    assert_eq!(model.refund(0, None), ok(201));
    assert_eq!(model.balances["eur"], Balance { pending: 946, available: -54, fees: 108 });
    // As if a payout had taken what the second payment had pending.
    model.payments[1].pending = 0;
    model.balances.get_mut("eur").expect("a balance").pending = 0;
    assert_eq!(model.refund(1, Some(55)), refuse("balance_insufficient"));
    assert_eq!(model.refund(1, Some(54)), ok(201));
    assert_eq!(model.refund(1, Some(1)), refuse("balance_insufficient"));
    assert_eq!(model.balances["eur"].available, -108);
}

#[test]
fn authorisations_lapse_after_seven_days() {
    let mut model = Model { clocks: vec![0], customers: vec![Some(0)], ..Model::default() };
    model.create(Payment::new(10_000, "eur", true, false, Some(0)), card(), true);
    model.advance(0, HOLD - 1);
    assert_eq!(model.payments[0].status, "requires_capture");
    model.advance(0, HOLD);
    assert_eq!((model.payments[0].status, model.payments[0].capturable), ("canceled", 0));
    assert_eq!(model.capture(0, None), refuse(STATE));
}

#[test]
fn a_page_ends_with_the_last_try_and_keeps_the_cost() {
    let mut model = Model::default();
    model.purchase("page", 1_000, "eur", None);
    assert_eq!(model.payments[0].amount, 1_054);
    let declined = Method { script: Script::Decline("card_declined"), ..card().expect("a card") };
    let page = |model: &Model| model.payments[0].page.clone().expect("a page");
    assert_eq!(model.payments[0].operations(&page(&model)), [("sale", "init", 1_054)]);
    model.pay_page(0, declined.clone());
    assert_eq!(model.payments[0].transaction(&page(&model)), "processing");
    model.pay_page(0, card().expect("a card"));
    assert_eq!(model.payments[0].transaction(&page(&model)), "success");
    model.balances.get_mut("eur").expect("a balance").available = 10_000;
    assert_eq!((model.gate_refund(0, 1_001), model.gate_refund(0, 1_000)), (422, 200));
    assert_eq!(model.payments[0].transaction(&page(&model)), "refunded");
    model.purchase("other", 500, "usd", None);
    for _ in 0..gate::ATTEMPTS_MAX {
        model.pay_page(1, declined.clone());
    }
    assert_eq!((model.payments[1].amount, model.payments[1].status), (500, "canceled"));
}

#[test]
fn pages_expire_unless_the_provider_is_asked() {
    let mut model = Model { clocks: vec![0], customers: vec![Some(0)], ..Model::default() };
    let lost = Method { script: Script::Lost(Truth::Declined("card_declined")), ..card().expect("a card") };
    for _ in 0..2 {
        model.purchase("page", 1_000, "eur", Some(0));
    }
    model.pay_page(1, lost);
    model.advance(0, gate::OPEN_FOR - 1);
    assert_eq!(model.payments[0].status, "requires_payment_method");
    model.advance(0, gate::OPEN_FOR);
    assert_eq!([0, 1].map(|i| model.payments[i].status), ["canceled", "processing"]);
    model.ask_provider();
    assert!(!model.payable(1));
    model.advance(0, gate::OPEN_FOR + 1);
    let page = model.payments[1].page.clone().expect("a page");
    assert_eq!(model.payments[1].transaction(&page), "expired");
}

#[test]
fn payouts_take_their_fee_and_give_it_back_when_they_fail() {
    use gate::PayoutScript;
    let mut model = Model::default();
    model.balances.entry("eur").or_default().available = 1_020;
    let later = PayoutScript::Later { first: "processing", fails: true };
    assert_eq!(model.payout(1_001, "eur", later), 223);
    assert_eq!(model.payout(1_000, "eur", later), 200);
    assert_eq!(
        (model.balances["eur"], model.in_transit("eur")),
        (Balance { fees: 20, ..Balance::default() }, 1_020)
    );
    model.ask_provider();
    assert_eq!((model.balances["eur"].available, model.in_transit("eur")), (1_020, 0));
}

#[test]
fn shops_are_told_each_status_once() {
    use site::{SiteSide, Told};
    let mut model = Model::default();
    let told = |last: &'static str, times| Told { last: Some(last), times };
    let side = || SiteSide { notices: true, ..SiteSide::default() };
    let i = model.open_checkout("code", 1_000, "eur", None, side());
    model.pay_page(i, Method { script: Script::Decline("card_declined"), ..card().expect("a card") });
    model.payments[i].tell_shop();
    model.pay_page(i, Method { refund: RefundScript::Fails, ..card().expect("a card") });
    model.payments[i].tell_shop();
    model.balances.get_mut("eur").expect("a balance").available = 10_000;
    assert_eq!(model.refund_transaction(i, 0, None).code, Some("transaction_not_paid"));
    assert_eq!(model.refund_transaction(i, 1, Some(400)).status, 200);
    model.payments[i].tell_shop();
    let seen = |model: &Model| model.payments[i].site.clone().expect("a side").told;
    assert_eq!(seen(&model), [told("failed", 1), told("succeeded", 1)]);
    assert_eq!(model.refund_transaction(i, 1, None).status, 200);
    model.payments[i].tell_shop();
    assert_eq!(seen(&model)[1], told("succeeded", 1), "both refunds may still fail");
    model.ask_provider();
    assert_eq!(seen(&model)[1], told("succeeded", 1), "neither refund came through");
    let left = model.open_checkout("other", 1_000, "eur", None, side());
    assert_eq!((model.expire_checkout(left).status, model.expire_checkout(left).status), (200, 409));
    model.payments[left].tell_shop();
    assert_eq!(model.payments[left].checkout_status(), "expired");
    assert_eq!(model.payments[left].site.clone().expect("a side").told_itself, told("cancelled", 1));
}
