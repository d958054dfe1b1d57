//! What several files of these tests need.

use domain::fee::{FeeBase, FeeOperation, FeeRule};
use domain::money::Rounding;
use engine::merchants::ModeChanges;
use serde_json::Value;
use store::{StoreError, Tx};
use testkit::gate::Shop;
use testkit::{Answer, TestApp};

/// Pays, and the money is available at once.
pub const AT_ONCE: &str = "pm_card_bypassPending";
pub const DECLINED: &str = "pm_card_chargeDeclinedInsufficientFunds";

/// Checks a refusal: its code in `meta` and as status, no data, and the field that it names.
#[track_caller]
pub fn refused(answer: Answer, status: u16, code: u16, field: Option<&str>) -> Value {
    let shown = answer.text.clone();
    let json = answer.expect(status);
    assert_eq!(json["meta"]["code"], code, "{shown}");
    assert_eq!(json["meta"]["success"], false, "{shown}");
    assert!(json["meta"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{shown}");
    assert!(json["meta"]["response_time"].as_str().is_some_and(|t| t.ends_with(" s")), "{shown}");
    assert!(json.get("data").is_none(), "{shown}");
    let errors = json["errors"].as_object().expect("errors");
    match field {
        Some(field) => assert!(errors.contains_key(field), "{field} in {shown}"),
        None => assert!(errors.is_empty(), "{shown}"),
    }
    json
}

/// The status of a transaction, and type, status, code and message of each of its operations.
pub fn states(transaction: &Value) -> (String, Vec<(String, String, i64, String)>) {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned();
    let operations = transaction["operations"].as_array().expect("operations").iter();
    let operations = operations.map(|o| {
        let code = o["error_code"].as_i64().expect("a code");
        (text(&o["type"]), text(&o["status"]), code, text(&o["message"]))
    });
    (text(&transaction["status"]), operations.collect())
}

/// The same for comparison with literals.
#[track_caller]
pub fn assert_states(transaction: &Value, status: &str, operations: &[(&str, &str, i64, &str)]) {
    let (got, got_operations) = states(transaction);
    let got_operations: Vec<_> =
        got_operations.iter().map(|(t, s, c, m)| (t.as_str(), s.as_str(), *c, m.as_str())).collect();
    assert_eq!((got.as_str(), got_operations.as_slice()), (status, operations));
}

/// Runs all at the same time on the runtime's threads.
pub async fn join_all<T: Send + 'static>(
    work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = work.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("the task ends"));
    }
    results
}

/// A figure of the database.
pub async fn figure(app: &TestApp, query: &'static str) -> i64 {
    let read = move |tx: &mut Tx<'_>| tx.one(query, &[], |row| row.next::<i64>());
    app.store.read::<_, StoreError, _>(read).await.expect("the query runs")
}

pub fn rule(operation: FeeOperation, fixed: i64, basis_points: i64) -> FeeRule {
    FeeRule {
        operation,
        currency: None,
        fixed,
        basis_points,
        base: FeeBase::Amount,
        min: None,
        max: None,
        rounding: Rounding::HalfUp,
    }
}

/// A shop whose service has a fee group of its own with these rules.
pub async fn shop_with_fees(app: &TestApp, rules: &[FeeRule]) -> Shop {
    for rule in rules {
        app.engine.put_fee_rule("gate".to_owned(), *rule).await.expect("a rule");
    }
    let shop = Shop::open(app).await;
    app.engine.change_storefront(shop.service, Some("gate".to_owned()), |_| {}).await.expect("a group");
    shop
}

/// Nothing is charged for anything.
pub async fn shop_without_fees(app: &TestApp) -> Shop {
    let free = [FeeOperation::Capture, FeeOperation::Payout].map(|operation| rule(operation, 0, 0));
    shop_with_fees(app, &free).await
}

/// Available and pending in euro cents, as REST v2 shows them.
pub async fn balance(app: &TestApp) -> (i64, i64) {
    let balance = app.get("/v2/balance").await.expect(200);
    let of = |name: &str| {
        let entries = balance[name].as_array().expect("a list").iter();
        entries.filter(|e| e["currency"] == "eur").filter_map(|e| e["amount"].as_i64()).sum()
    };
    (of("available"), of("pending"))
}

/// Refunds may take the balance below zero. To be set before the first request, which caches it.
pub async fn allow_debts(app: &TestApp) {
    let changes = ModeChanges { refunds_below_zero: Some(true), ..ModeChanges::default() };
    app.engine.set_mode(app.scope(), changes).await.expect("set");
}
