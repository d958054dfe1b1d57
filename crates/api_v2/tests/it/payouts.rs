//! Payouts through the engine, and what REST v2 shows of them.

use crate::support::{assert_same_rows, data, id, join_all, rows};
use domain::currency::Currency;
use domain::fee::{FeeBase, FeeOperation, FeeRule};
use domain::id::{ApiKeyId, ClockId, Core, PayoutId, TypedId};
use domain::money::Rounding;
use domain::payout::{
    AccountNumber, Destination, DestinationKind, Payout, PayoutCall, PayoutRefusal, PayoutStatus,
};
use domain::time::HOUR;
use engine::payouts::CreatePayout;
use engine::{Actor, Call, Caller, Error, IdempotentRequest, ReplySpec};
use serde_json::{Value, json};
use std::time::Duration;
use store::sandbox_payouts::SandboxPayout;
use testkit::{AppOptions, TestApp};

const PAYS: &str = "DE89 3704 0044 0532 0130 00";
const ACCOUNT_CLOSED: &str = "DE35370400440532013002";
const PAYS_LATER: &str = "DE24370400440532013006";
const FAILS_LATER: &str = "DE94370400440532013007";
pub const WAITS: &str = "DE67370400440532013008";
const SLOW: &str = "DE40370400440532013009";
const ANSWER_LOST: &str = "DE13370400440532013010";
const REQUEST_LOST: &str = "DE83370400440532013011";

/// What is available after a payment of 100.00 less its fee of 3.15.
const FUNDS: i64 = 9_685;

pub fn new(app: &TestApp, amount: i64, account: &str) -> CreatePayout {
    let account = AccountNumber::parse(account).expect("an account");
    CreatePayout {
        storefront: None,
        id: app.engine.payout_id(),
        amount,
        currency: Currency::EUR,
        destination: Destination {
            kind: DestinationKind::BankAccount,
            bank_account: None,
            holder: "Test GmbH".to_owned(),
            last4: String::new(),
            country: account.country().map(str::to_owned),
            bank_name: Some("Testbank".to_owned()),
            swift: None,
        },
        account,
        description: Some("May".to_owned()),
        metadata: vec![("order".to_owned(), "7".to_owned())],
        clock: None,
    }
}

async fn pay_out(app: &TestApp, amount: i64, account: &str) -> Result<Payout, Error> {
    app.engine.pay_out(app.scope(), Some("req_test".to_owned()), new(app, amount, account)).await
}

async fn fund(app: &TestApp) {
    app.pay(10_000, "pm_card_bypassPending", &[]).await.expect(201);
}

async fn funded(db: &testkit::Db) -> TestApp {
    let app = TestApp::start(db).await;
    fund(&app).await;
    app
}

/// The same with payouts that settle so long after they were made.
async fn funded_settling(db: &testkit::Db, settle_us: i64) -> TestApp {
    let app = TestApp::with(db, AppOptions { settle_us, ..Default::default() }).await;
    fund(&app).await;
    app
}

async fn available(app: &TestApp) -> i64 {
    app.get("/v2/balance").await.expect(200)["available"][0]["amount"].as_i64().expect("an amount")
}

async fn show(app: &TestApp, id: PayoutId) -> Value {
    app.get(&format!("/v2/payouts/{id}")).await.expect(200)
}

/// The provider's own books.
async fn witness(app: &TestApp) -> Vec<SandboxPayout> {
    app.store.read(store::sandbox_payouts::all).await.expect("the sandbox's books")
}

/// Balances of the accounts that payouts touch, on their normal side: transit, bank, fee.
async fn books(app: &TestApp) -> (i64, i64, i64) {
    let sum = "SELECT CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM entries e \
               JOIN ledger_accounts a ON a.id = e.account WHERE a.kind = ?1";
    let read = app.store.read(move |tx| {
        let mut of = |kind: &str| tx.one(sum, store::params![kind.to_owned()], |r| r.next::<i64>());
        Ok::<_, store::StoreError>((-of("payout_transit")?, of("bank")?, -of("fee_payout")?))
    });
    read.await.expect("the books")
}

/// Events about payouts, oldest first.
async fn news(app: &TestApp) -> Vec<String> {
    let events = app.get("/v2/events?type=payout.*&limit=100").await.expect(200);
    data(&events).iter().rev().map(|e| e["type"].as_str().expect("a type").to_owned()).collect()
}

/// Type, amount and fee of the balance's lines about payouts, oldest first; they sum to the balance.
async fn lines(app: &TestApp) -> Vec<(String, i64, i64)> {
    let list = app.get("/v2/balance/history?limit=100").await.expect(200);
    let number = |line: &Value, name: &str| line[name].as_i64().expect("a number");
    let net: i64 = data(&list).iter().map(|line| number(line, "net")).sum();
    assert_eq!(net, available(app).await, "the history sums to the balance");
    let payouts =
        data(&list).iter().rev().filter(|l| l["type"].as_str().is_some_and(|t| t.starts_with("payout")));
    payouts
        .map(|l| (l["type"].as_str().expect("a type").to_owned(), number(l, "amount"), number(l, "fee")))
        .collect()
}

fn line(kind: &str, amount: i64, fee: i64) -> (String, i64, i64) {
    (kind.to_owned(), amount, fee)
}

async fn set_fee(app: &TestApp, fixed: i64, basis_points: i64) {
    let rule = FeeRule {
        operation: FeeOperation::Payout,
        currency: None,
        fixed,
        basis_points,
        base: FeeBase::Total,
        min: None,
        max: None,
        rounding: Rounding::HalfUp,
    };
    app.engine.put_fee_rule("standard".to_owned(), rule).await.expect("a rule");
}

fn call(app: &TestApp, key: &str, created: bool) -> Call {
    let request = "req_test".to_owned();
    Call {
        caller: Caller {
            scope: app.scope(),
            actor: Actor::ApiKey(ApiKeyId(Core([1; 12]))),
            kind: domain::merchant::KeyKind::Secret,
        },
        request: request.clone(),
        idempotency: Some(IdempotentRequest { key: key.to_owned(), fingerprint: [7; 32] }),
        reply: ReplySpec {
            surface: api_v2::SURFACE,
            kind: if created { "created".to_owned() } else { String::new() },
            expand: Vec::new(),
            request,
        },
    }
}

#[track_caller]
fn refusal(result: Result<Payout, Error>) -> PayoutRefusal {
    match result {
        Err(Error::Payout { refusal, .. }) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

testkit::on_both_engines! {
    async fn a_payout_is_paid_and_the_fee_is_income_only_then(db) {
        let app = TestApp::start(&db).await;
        set_fee(&app, 20, 100).await;
        fund(&app).await;
        let later = pay_out(&app, 1_000, PAYS_LATER).await.expect("a payout");
        assert_eq!((later.status, later.fee, later.call), (PayoutStatus::InTransit, 30, None));
        assert_eq!(books(&app).await, (1_030, 0, 0));
        let paid = pay_out(&app, 3_000, PAYS).await.expect("a payout");
        assert_eq!((paid.status, paid.fee), (PayoutStatus::Paid, 50));
        assert_eq!(books(&app).await, (1_030, -3_000, 50));
        assert_eq!(available(&app).await, FUNDS - 1_030 - 3_050);
        assert_eq!(lines(&app).await, [line("payout", -1_000, 30), line("payout", -3_000, 50)]);
        let shown = show(&app, paid.id).await;
        let destination = json!({"object": "bank_account", "account_holder_name": "Test GmbH", "bank_name": "Testbank", "country": "DE", "currency": "eur", "last4": "3000", "swift": null});
        for (field, value) in [("object", json!("payout")), ("amount", json!(3_000)), ("currency", json!("eur")), ("status", json!("paid")), ("destination", destination), ("description", json!("May")), ("metadata", json!({"order": "7"})), ("failure_code", json!(null)), ("failure_balance_transaction", json!(null)), ("livemode", json!(false)), ("type", json!("bank_account"))] {
            assert_eq!(shown[field], value, "{field}");
        }
        let line = app.get(&format!("/v2/balance/history/{}?expand[]=source", shown["balance_transaction"].as_str().expect("an id"))).await.expect(200);
        assert_eq!((&line["type"], &line["net"], &line["source"]), (&json!("payout"), &json!(-3_050), &shown));
        assert_eq!(line["fee_details"][0]["type"], "payout_fee");
        let witness = witness(&app).await;
        assert_eq!(witness.iter().map(|p| (p.paid, p.calls)).collect::<Vec<_>>(), [(0, 1), (3_000, 1)]);
        app.assert_books().await;
    }

    async fn a_payout_that_fails_is_put_back_fee_and_all(db) {
        let app = TestApp::start(&db).await;
        set_fee(&app, 25, 0).await;
        fund(&app).await;
        for (account, code) in [(ACCOUNT_CLOSED, "account_closed"), ("DE62370400440532013001", "no_account"), ("000111111116", "no_account"), ("000444444440", "invalid_currency")] {
            let failed = pay_out(&app, 2_000, account).await.expect("a payout");
            assert_eq!((failed.status, failed.failure_code.as_deref()), (PayoutStatus::Failed, Some(code)));
            let shown = show(&app, failed.id).await;
            assert_eq!((&shown["status"], &shown["failure_code"]), (&json!("failed"), &json!(code)));
            assert!(shown["failure_message"].as_str().is_some_and(|m| m.len() > 20), "{shown}");
            let back = app.get(&format!("/v2/balance/history/{}", shown["failure_balance_transaction"].as_str().expect("an id"))).await.expect(200);
            assert_eq!((&back["type"], &back["net"], &back["reporting_category"]), (&json!("payout_failure"), &json!(2_025), &json!("payout_reversal")));
            assert_eq!((available(&app).await, books(&app).await), (FUNDS, (0, 0, 0)));
        }
        assert_eq!(lines(&app).await[..2], [line("payout", -2_000, 25), line("payout_failure", 2_000, -25)]);
        assert_eq!(news(&app).await[..3], ["payout.created", "payout.updated", "payout.failed"]);
        assert!(witness(&app).await.iter().all(|p| p.paid == 0));
        app.assert_books().await;
    }

    async fn a_payout_in_transit_ends_when_the_job_asks(db) {
        let app = funded_settling(&db, 0).await;
        let pays = pay_out(&app, 1_000, PAYS_LATER).await.expect("a payout");
        let fails = pay_out(&app, 2_000, FAILS_LATER).await.expect("a payout");
        for payout in [&pays, &fails] {
            assert_eq!(payout.status, PayoutStatus::InTransit);
        }
        assert_eq!(available(&app).await, FUNDS - 3_000);
        app.assert_books().await;
        app.run_due().await;
        assert_eq!(show(&app, pays.id).await["status"], "paid");
        let failed = show(&app, fails.id).await;
        assert_eq!((&failed["status"], &failed["failure_code"]), (&json!("failed"), &json!("account_closed")));
        assert_eq!((available(&app).await, books(&app).await), (FUNDS - 1_000, (0, -1_000, 0)));
        let mut told = news(&app).await;
        told.sort();
        assert_eq!(told, ["payout.created", "payout.created", "payout.failed", "payout.paid", "payout.updated", "payout.updated", "payout.updated", "payout.updated"]);
        assert_eq!(app.run_waiting().await, 0, "no job is left");
        app.assert_books().await;
    }

    async fn a_payout_lives_by_its_test_clock(db) {
        let app = funded(&db).await;
        let clock = id(&app.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201));
        let clock_id = ClockId::parse(&clock);
        let on_clock = |amount, account| CreatePayout { clock: clock_id, ..new(&app, amount, account) };
        let payout = app.engine.pay_out(app.scope(), None, on_clock(1_000, PAYS_LATER)).await.expect("a payout");
        let waits = app.engine.pay_out(app.scope(), None, on_clock(500, WAITS)).await.expect("a payout");
        assert_eq!((payout.created_at.secs(), payout.arrival_date.secs()), (1_790_000_000, 1_790_000_005));
        app.run_waiting().await;
        assert_eq!(show(&app, payout.id).await["status"], "in_transit", "the wall clock does not move it");
        app.post(&format!("/v2/test_helpers/test_clocks/{clock}/advance"), &[("frozen_time", "1790000060")]).await.expect(200);
        app.run_due().await;
        for payout in [payout, waits] {
            let shown = show(&app, payout.id).await;
            assert_eq!((&shown["status"], &shown["arrival_date"]), (&json!("paid"), &json!(1_790_000_005)));
        }
        let foreign = CreatePayout { clock: Some(ClockId(Core([9; 12]))), ..new(&app, 100, PAYS) };
        let refused = app.engine.pay_out(app.scope(), None, foreign).await;
        assert!(matches!(refused, Err(Error::Missing { .. })), "{refused:?}");
        app.assert_books().await;
    }

    async fn a_lost_answer_is_found(db) {
        let app = funded(&db).await;
        let payout = pay_out(&app, 4_000, ANSWER_LOST).await.expect("a payout");
        assert_eq!((payout.status, payout.call), (PayoutStatus::Pending, Some(PayoutCall::Send)));
        assert_eq!((available(&app).await, books(&app).await), (FUNDS - 4_000, (4_000, 0, 0)));
        // It may be paid, as it is here: so it cannot be canceled.
        let cancel = format!("/v2/payouts/{}/cancel", payout.id);
        app.post(&cancel, &[]).await.expect_error(409, "invalid_request_error", Some("lock_timeout"));
        assert_eq!(refusal(app.engine.stop_payout(app.scope(), None, payout.id).await), PayoutRefusal::Busy);
        app.assert_books().await;
        assert_eq!(app.run_waiting().await, 1);
        assert_eq!(show(&app, payout.id).await["status"], "paid");
        assert_eq!(books(&app).await, (0, -4_000, 0));
        let witness = witness(&app).await;
        assert_eq!((witness[0].paid, witness[0].calls), (4_000, 1));
        app.post(&cancel, &[]).await.expect_error(400, "invalid_request_error", Some("payout_unexpected_state"));
        app.assert_books().await;
    }

    async fn a_payout_that_the_provider_never_saw_is_sent_again_once(db) {
        let app = funded(&db).await;
        let payout = pay_out(&app, 4_000, REQUEST_LOST).await.expect("a payout");
        assert_eq!(payout.status, PayoutStatus::Pending);
        assert_eq!(witness(&app).await[0].paid, 0);
        app.run_waiting().await;
        assert_eq!(show(&app, payout.id).await["status"], "paid");
        assert_eq!(app.run_waiting().await, 0, "no job is left");
        let witness = witness(&app).await;
        assert_eq!(witness.iter().map(|p| (p.paid, p.calls)).collect::<Vec<_>>(), [(4_000, 2)]);
        assert_eq!((available(&app).await, books(&app).await), (FUNDS - 4_000, (0, -4_000, 0)));
        app.assert_books().await;
    }

    async fn an_answer_after_the_deadline_counts_as_unknown(db) {
        let mut options = AppOptions::default();
        options.options.provider_deadline = Duration::from_secs(1);
        let app = TestApp::with(&db, options).await;
        fund(&app).await;
        // On a busy machine any answer may miss this deadline, and is asked for again.
        let asked = async |what: &str, path: &str| {
            for _ in 0..100 {
                let shown = app.get(path).await.expect(200);
                if shown.pointer(what).is_some_and(|v| *v == json!(FUNDS) || *v == json!("paid")) {
                    return;
                }
                app.run_waiting().await;
            }
            panic!("{path} does not become known");
        };
        asked("/available/0/amount", "/v2/balance").await;
        let payout = pay_out(&app, 4_000, SLOW).await.expect("a payout");
        assert_eq!((payout.status, payout.call), (PayoutStatus::Pending, Some(PayoutCall::Send)));
        asked("/status", &format!("/v2/payouts/{}", payout.id)).await;
        let witness = witness(&app).await;
        assert_eq!((witness.len(), witness[0].paid), (1, 4_000));
        app.assert_books().await;
    }

    async fn twenty_payouts_of_the_whole_balance_pay_once(db) {
        let app = funded(&db).await;
        let results = join_all((0..20).map(|n| {
            let app = app.clone();
            async move { pay_out(&app, FUNDS, if n % 2 == 0 { PAYS } else { PAYS_LATER }).await }
        }))
        .await;
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
        for refused in results.into_iter().filter(|r| r.is_err()) {
            assert_eq!(refusal(refused), PayoutRefusal::BalanceInsufficient { short: FUNDS });
        }
        assert_eq!(available(&app).await, 0);
        assert_eq!(witness(&app).await.len(), 1);
        assert_eq!(data(&app.get("/v2/payouts").await.expect(200)).len(), 1);
        app.assert_books().await;
    }

    async fn payouts_and_refunds_share_one_balance(db) {
        let app = funded(&db).await;
        let payment = id(&app.pay(5_000, "pm_card_visa", &[]).await.expect(201));
        let done = join_all((0..20).map(|n| {
            let (app, payment) = (app.clone(), payment.clone());
            async move {
                if n % 2 == 0 {
                    pay_out(&app, 3_000, PAYS).await.is_ok()
                } else {
                    app.post("/v2/refunds", &[("payment_intent", &payment), ("amount", "500")]).await.status.is_success()
                }
            }
        }))
        .await;
        assert_eq!(done.iter().step_by(2).filter(|ok| **ok).count(), 3, "three payouts of 30.00 from 96.85");
        assert!(done.iter().skip(1).step_by(2).any(|ok| *ok), "some refunds, from what the payment has pending");
        assert!(available(&app).await >= 0);
        app.assert_books().await;
    }

    async fn a_refused_payout_leaves_nothing_behind(db) {
        let app = funded(&db).await;
        app.pay(10_000, "pm_card_visa", &[]).await.expect(201);
        let before = rows(&app).await;
        for (amount, expected) in [
            (FUNDS + 1, PayoutRefusal::BalanceInsufficient { short: 1 }),
            (999_999_999_999, PayoutRefusal::BalanceInsufficient { short: 999_999_999_999 - FUNDS }),
            (0, PayoutRefusal::AmountOutOfRange { asked: 0 }),
            (-1, PayoutRefusal::AmountOutOfRange { asked: -1 }),
            (i64::MAX, PayoutRefusal::AmountOutOfRange { asked: i64::MAX }),
        ] {
            assert_eq!(refusal(pay_out(&app, amount, PAYS).await), expected);
            assert_same_rows(&before, &rows(&app).await, "a refused payout");
        }
        let other_currency = CreatePayout { currency: Currency::USD, ..new(&app, 1, PAYS) };
        let refused = app.engine.pay_out(app.scope(), None, other_currency).await;
        assert_eq!(refusal(refused), PayoutRefusal::BalanceInsufficient { short: 1 });
        let unknown = PayoutId(Core([5; 12]));
        assert!(matches!(app.engine.stop_payout(app.scope(), None, unknown).await, Err(Error::NotFound { .. })));
        assert_same_rows(&before, &rows(&app).await, "a refused payout");
        assert!(witness(&app).await.is_empty(), "the provider was not asked");
        let live = domain::scope::Scope { mode: domain::scope::Mode::Live, ..app.scope() };
        let refused = app.engine.pay_out(live, None, new(&app, 1, PAYS)).await;
        assert!(matches!(refused, Err(Error::ProviderNotConfigured)), "{refused:?}");
        app.assert_books().await;
    }

    async fn the_fee_must_be_covered_too_and_must_be_configured(db) {
        let app = TestApp::start(&db).await;
        set_fee(&app, 25, 0).await;
        fund(&app).await;
        assert_eq!(refusal(pay_out(&app, FUNDS - 24, PAYS).await), PayoutRefusal::BalanceInsufficient { short: 1 });
        pay_out(&app, FUNDS - 25, PAYS).await.expect("a payout");
        assert_eq!((available(&app).await, books(&app).await), (0, (0, -(FUNDS - 25), 25)));
        app.assert_books().await;
        // Settings are read anew for a merchant that nobody has asked about yet.
        app.engine.remove_fee_rule("standard".to_owned(), FeeOperation::Payout, None).await.expect("removed");
        let other = app.another_merchant().await;
        let refused = pay_out(&other, 1, PAYS).await;
        assert!(matches!(refused, Err(Error::FeeNotConfigured { .. })), "{refused:?}");
    }

    async fn a_waiting_payout_can_be_canceled_once(db) {
        let app = TestApp::with(&db, AppOptions { settle_us: HOUR, ..Default::default() }).await;
        set_fee(&app, 25, 0).await;
        fund(&app).await;
        let payout = pay_out(&app, 4_000, WAITS).await.expect("a payout");
        assert_eq!((payout.status, payout.call), (PayoutStatus::Pending, None));
        let path = format!("/v2/payouts/{}/cancel", payout.id);
        let first = app.post_once("cancel", &path, &[]).await;
        assert_eq!(first.clone().expect(200)["status"], "canceled");
        assert_eq!(app.post_once("cancel", &path, &[]).await.text, first.text);
        app.post(&path, &[]).await.expect_error(400, "invalid_request_error", Some("payout_unexpected_state"));
        assert_eq!((available(&app).await, books(&app).await), (FUNDS, (0, 0, 0)));
        assert_eq!(lines(&app).await, [line("payout", -4_000, 25), line("payout_cancel", 4_000, -25)]);
        assert_eq!(news(&app).await, ["payout.created", "payout.updated", "payout.canceled"]);
        app.run_waiting().await;
        assert_eq!(show(&app, payout.id).await["status"], "canceled");
        assert_eq!(witness(&app).await[0].paid, 0);
        app.assert_books().await;
    }

    async fn many_cancellations_put_the_money_back_once(db) {
        let app = funded_settling(&db, HOUR).await;
        let payout = pay_out(&app, 4_000, WAITS).await.expect("a payout");
        let results = join_all((0..20).map(|_| {
            let (app, id) = (app.clone(), payout.id);
            async move { app.engine.stop_payout(app.scope(), None, id).await }
        }))
        .await;
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
        assert_eq!(available(&app).await, FUNDS);
        app.assert_books().await;
    }

    async fn a_cancellation_that_comes_too_late_says_so(db) {
        let app = funded_settling(&db, 0).await;
        let payout = pay_out(&app, 4_000, WAITS).await.expect("a payout");
        assert_eq!(payout.status, PayoutStatus::Pending);
        // By now the provider has paid it, which it says when it is asked to cancel.
        let path = format!("/v2/payouts/{}/cancel", payout.id);
        let late = app.post_once("late", &path, &[]).await;
        late.clone().expect_error(400, "invalid_request_error", Some("payout_unexpected_state"));
        assert_eq!(app.post_once("late", &path, &[]).await.text, late.text);
        assert_eq!(show(&app, payout.id).await["status"], "paid");
        app.run_due().await;
        assert_eq!((available(&app).await, books(&app).await), (FUNDS - 4_000, (0, -4_000, 0)));
        app.assert_books().await;
    }

    async fn one_key_or_one_id_is_one_payout(db) {
        let app = funded(&db).await;
        let (one, two) = (new(&app, 1_000, PAYS), new(&app, 1_000, PAYS));
        let first = app.engine.create_payout(&call(&app, "k", true), one).await.expect("a reply");
        let again = app.engine.create_payout(&call(&app, "k", true), two).await.expect("a reply");
        assert_eq!((first.status, &first.body), (201, &again.body));
        assert!(!first.replayed && again.replayed);
        // A surface that chose the id before may ask again, at the same time too.
        let chosen = new(&app, 2_000, PAYS);
        let results = join_all((0..10).map(|_| {
            let (app, chosen) = (app.clone(), chosen.clone());
            async move { app.engine.pay_out(app.scope(), None, chosen).await.map(|p| p.id) }
        }))
        .await;
        assert!(results.into_iter().all(|r| r.expect("a payout") == chosen.id));
        assert_eq!(witness(&app).await.iter().map(|p| (p.paid, p.calls)).collect::<Vec<_>>(), [(1_000, 1), (2_000, 1)]);
        assert_eq!(available(&app).await, FUNDS - 3_000);
        app.assert_books().await;
    }

    async fn a_waiting_key_gets_its_reply_from_the_job(db) {
        let app = funded(&db).await;
        let unknown = app.engine.create_payout(&call(&app, "k", true), new(&app, 1_000, ANSWER_LOST)).await.expect("a reply");
        let shown: Value = serde_json::from_str(&unknown.body).expect("JSON");
        assert_eq!((unknown.status, &shown["status"]), (201, &json!("pending")));
        app.run_waiting().await;
        let replayed = app.engine.create_payout(&call(&app, "k", true), new(&app, 1_000, ANSWER_LOST)).await.expect("a reply");
        assert_eq!((replayed.body, replayed.replayed), (unknown.body, true));
        app.assert_books().await;
    }

    async fn an_answer_that_the_job_brings_first_counts_once(db) {
        let app = funded(&db).await;
        let request = tokio::spawn({
            let (app, new) = (app.clone(), new(&app, 1_000, SLOW));
            async move { app.engine.create_payout(&call(&app, "k", true), new).await.expect("a reply") }
        });
        // The provider has paid and its answer is on the way; as if that process were dead, the job asks.
        for _ in 0..1_000 {
            if !witness(&app).await.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        app.run_waiting().await;
        let by_job = data(&app.get("/v2/payouts").await.expect(200))[0].clone();
        let reply = request.await.expect("the request ends");
        let shown: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert_eq!((reply.status, &shown, &shown["status"]), (201, &by_job, &json!("paid")));
        let again = app.engine.create_payout(&call(&app, "k", true), new(&app, 1_000, SLOW)).await.expect("a reply");
        assert_eq!((again.body, again.replayed), (reply.body, true));
        assert_eq!(news(&app).await, ["payout.created", "payout.updated", "payout.paid"]);
        assert_eq!(witness(&app).await.iter().map(|p| p.paid).collect::<Vec<_>>(), [1_000]);
        assert_eq!(app.run_waiting().await, 0, "no job is left");
        app.assert_books().await;
    }

    async fn the_account_number_is_stored_sealed_only(db) {
        let app = funded(&db).await;
        let endpoint = [("url", "https://example.com/hook"), ("enabled_events[]", "*")];
        app.post("/v2/webhook_endpoints", &endpoint).await.expect(201);
        pay_out(&app, 1_000, PAYS).await.expect("a payout");
        pay_out(&app, 1_000, REQUEST_LOST).await.expect("a payout");
        app.run_waiting().await;
        for (table, rows) in rows(&app).await {
            for row in rows {
                let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
                for secret in ["37040044053201", &hex("37040044053201")] {
                    assert!(!row.to_lowercase().contains(secret), "{table}: {row}");
                }
            }
        }
    }

    async fn payouts_are_listed_by_status(db) {
        let app = funded(&db).await;
        for account in [PAYS, ACCOUNT_CLOSED, WAITS, PAYS] {
            pay_out(&app, 100, account).await.expect("a payout");
        }
        let all = app.get("/v2/payouts").await.expect(200);
        assert_eq!((data(&all).len(), &all["url"]), (4, &json!("/v2/payouts")));
        for (status, count) in [("paid", 2), ("failed", 1), ("pending", 1), ("in_transit", 0), ("canceled", 0)] {
            assert_eq!(data(&app.get(&format!("/v2/payouts?status={status}")).await.expect(200)).len(), count, "{status}");
        }
        app.get("/v2/payouts?status=gone").await.expect_error(400, "invalid_request_error", Some("parameter_invalid_enum"));
        let page = app.get("/v2/payouts?limit=3").await.expect(200);
        let last = id(&data(&page)[2]);
        assert_eq!(data(&app.get(&format!("/v2/payouts?starting_after={last}")).await.expect(200)).len(), 1);
        assert!(data(&app.another_merchant().await.get("/v2/payouts").await.expect(200)).is_empty());
    }

    async fn an_older_database_gets_a_free_payout(db) {
        let app = TestApp::start(&db).await;
        app.engine.remove_fee_rule("standard".to_owned(), FeeOperation::Payout, None).await.expect("removed");
        let (_, _, migration) = store::migrate::MIGRATIONS.iter().find(|(_, name, _)| *name == "payouts").expect("a migration");
        let insert = migration.find("INSERT INTO fee_rules").and_then(|at| migration.get(at..)).expect("a statement");
        let insert = insert.trim().trim_end_matches(';');
        for added in [1, 0] {
            let run = app.store.write(move |tx| tx.execute(insert, &[]));
            assert_eq!(run.await.expect("run"), added, "added where it is missing, and only there");
        }
        let groups = app.engine.fee_groups().await.expect("groups");
        let rule = groups[0].1.iter().find(|r| r.operation == FeeOperation::Payout).expect("a rule");
        assert_eq!((rule.fixed, rule.basis_points, rule.currency), (0, 0, None));
        fund(&app).await;
        assert_eq!(pay_out(&app, FUNDS, PAYS).await.expect("a payout").fee, 0);
        app.assert_books().await;
    }

    async fn the_proof_finds_what_was_spoilt(db) {
        let app = funded(&db).await;
        let paid = pay_out(&app, 1_000, PAYS).await.expect("a payout");
        pay_out(&app, 500, WAITS).await.expect("a payout");
        for (spoil, rule) in [
            ("UPDATE payouts SET amount = amount + 1 WHERE status = 'pending'", "open payouts, with their fees, are what is in payout transit"),
            ("UPDATE payouts SET amount = amount + 1 WHERE status = 'paid'", "what left a bank is what its paid payouts say"),
            ("UPDATE payouts SET status = 'failed' WHERE status = 'paid'", "every payout has the journal that took amount and fee, and, once it ended, the one of its end"),
            ("UPDATE payouts SET status = 'canceled' WHERE status = 'paid'", "every payout has its created event, and exactly one that says how it ended, as long as events are kept"),
        ] {
            let spoilt = app.store.write(move |tx| {
                assert_eq!(tx.execute(spoil, &[])?, 1);
                let checks = store::ledger_verify::verify(tx)?;
                let broken = checks.iter().any(|c| c.rule == rule && c.broken > 0);
                // The change is rolled back, with the finding as its reason.
                Err::<(), _>(store::StoreError::Unavailable(format!("{broken}")))
            });
            let found = spoilt.await.expect_err("rolled back").to_string();
            assert!(found.ends_with("true"), "{spoil}: {found}");
        }
        assert_eq!(show(&app, paid.id).await["status"], "paid");
        app.assert_books().await;
    }
}
