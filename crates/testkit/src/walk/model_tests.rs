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
