//! Lists: the envelope, pages in both directions, filters.

use crate::support::{data, id};
use serde_json::Value;
use testkit::TestApp;

const PAY: &str = "/v2/payment_intents";
const DAY: i64 = 86_400;
const T0: i64 = 1_700_000_000;

/// 25 payments: ten on two days of a test clock, fifteen now. In the order in which they were made.
async fn payments(app: &TestApp) -> Vec<Value> {
    let clock =
        id(&app.post("/v2/test_helpers/test_clocks", &[("frozen_time", &T0.to_string())]).await.expect(201));
    let customer = id(&app.post("/v2/customers", &[("test_clock", &clock)]).await.expect(201));
    let mut made = Vec::new();
    for n in 0..25 {
        if n == 5 {
            let advance = format!("/v2/test_helpers/test_clocks/{clock}/advance");
            app.post(&advance, &[("frozen_time", &(T0 + DAY).to_string())]).await.expect(200);
            app.run_due().await;
        }
        let amount = (100 + n).to_string();
        let mut form = vec![("amount", amount.as_str()), ("currency", "eur")];
        if n < 10 {
            form.push(("customer", &customer));
        }
        made.push(app.post(PAY, &form).await.expect(201));
    }
    made
}

fn ids(list: &Value) -> Vec<String> {
    data(list).iter().map(id).collect()
}

async fn list(app: &TestApp, query: &str) -> Value {
    let list = app.get(&format!("{PAY}?{query}")).await.expect(200);
    assert_eq!((&list["object"], &list["url"]), (&"list".into(), &PAY.into()));
    assert_eq!(list.as_object().expect("an object").len(), 4, "object, url, has_more, data: {list}");
    list
}

testkit::on_both_engines! {
    async fn pages_meet_without_gap_or_overlap(db) {
        let app = TestApp::start(&db).await;
        let mut newest_first: Vec<String> = payments(&app).await.iter().map(id).collect();
        newest_first.reverse();
        assert_eq!(ids(&list(&app, "").await), newest_first[..10], "ten without a limit");
        for limit in [1, 7, 10, 25, 100] {
            let (mut forwards, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
            loop {
                let page = list(&app, &format!("limit={limit}{cursor}")).await;
                forwards.extend(ids(&page));
                pages += 1;
                assert_eq!(page["has_more"], forwards.len() < 25, "limit {limit}, page {pages}");
                if page["has_more"] == false {
                    break;
                }
                cursor = format!("&starting_after={}", forwards.last().expect("a payment"));
            }
            assert_eq!((forwards, pages), (newest_first.clone(), 25_usize.div_ceil(limit)), "limit {limit}");
            let mut backwards = vec![newest_first[24].clone()];
            loop {
                let page = list(&app, &format!("limit={limit}&ending_before={}", backwards[0])).await;
                backwards = [ids(&page), backwards].concat();
                if page["has_more"] == false {
                    break;
                }
            }
            assert_eq!(backwards, newest_first, "limit {limit}");
        }
        let last = list(&app, &format!("starting_after={}", newest_first[24])).await;
        assert_eq!((ids(&last), &last["has_more"]), (vec![], &false.into()));
        let before_first = list(&app, &format!("ending_before={}", newest_first[0])).await;
        assert_eq!((ids(&before_first), &before_first["has_more"]), (vec![], &false.into()));
        // What is new does not move what comes after a cursor.
        let after_five = list(&app, &format!("limit=5&starting_after={}", newest_first[4])).await;
        app.post(PAY, &[("amount", "1"), ("currency", "eur")]).await.expect(201);
        assert_eq!(list(&app, &format!("limit=5&starting_after={}", newest_first[4])).await, after_five);
    }

    async fn created_filters_are_inclusive_where_they_say_so(db) {
        let app = TestApp::start(&db).await;
        let made = payments(&app).await;
        let (day_one, day_two) = (T0, T0 + DAY);
        for (query, expected) in [
            (format!("created={day_one}"), 0..5),
            (format!("created={day_two}"), 5..10),
            (format!("created[gte]={day_two}"), 5..25),
            (format!("created[gt]={day_one}"), 5..25),
            (format!("created[gt]={day_two}"), 10..25),
            (format!("created[gte]={}", day_one + 1), 5..25),
            (format!("created[lte]={day_two}"), 0..10),
            (format!("created[lt]={day_two}"), 0..5),
            (format!("created[lt]={day_one}"), 0..0),
            (format!("created[gte]={day_one}&created[lt]={day_two}"), 0..5),
            (format!("created[gt]={day_two}&created[lt]={day_one}"), 0..0),
            ("created[gte]=253402300799".to_owned(), 0..0),
            ("created[lte]=0".to_owned(), 0..0),
        ] {
            let mut expected: Vec<String> = made[expected].iter().map(id).collect();
            expected.reverse();
            let found = list(&app, &format!("limit=100&{query}")).await;
            assert_eq!(ids(&found), expected, "{query}");
            if let Some(cursor) = expected.first() {
                let rest = list(&app, &format!("limit=100&{query}&starting_after={cursor}")).await;
                assert_eq!(ids(&rest), expected[1..], "{query} after the first");
                let part = list(&app, &format!("limit=2&{query}")).await;
                assert_eq!((ids(&part), part["has_more"] == true), (expected[..2].to_vec(), expected.len() > 2), "{query}");
            }
        }
    }

    async fn other_lists_have_the_same_envelope(db) {
        let app = TestApp::start(&db).await;
        let customer = id(&app.post("/v2/customers", &[]).await.expect(201));
        for n in 0..3 {
            let paid = id(&app.pay(1000, "pm_card_visa", &[("customer", &customer)]).await.expect(201));
            app.post("/v2/refunds", &[("payment_intent", &paid), ("amount", "1")]).await.expect(201);
            app.post("/v2/customers", &[]).await.expect(201);
            app.post("/v2/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).await.expect(200);
            app.post("/v2/webhook_endpoints", &[("url", &format!("https://example.com/{n}")), ("enabled_events[]", "*")]).await.expect(201);
            app.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201);
        }
        let some = id(&data(&app.get("/v2/payment_intents").await.expect(200))[0]);
        let charge = id(&data(&app.get("/v2/charges").await.expect(200))[0]);
        let paths = ["/charges", "/refunds", "/customers", "/payment_methods", "/webhook_endpoints", "/events", "/balance/history", "/balance_transactions", "/test_helpers/test_clocks"].map(str::to_owned);
        let nested = [format!("/payment_intents/{some}/refunds"), format!("/charges/{charge}/refunds"), format!("/customers/{customer}/payment_methods")];
        for path in paths.iter().chain(&nested) {
            let all = app.get(&format!("/v2{path}?limit=100")).await.expect(200);
            assert_eq!((&all["object"], &all["url"], &all["has_more"]), (&"list".into(), &format!("/v2{path}").into(), &false.into()));
            assert!(all["data"].as_array().is_some_and(|d| !d.is_empty()), "{path}");
            assert!(data(&all).is_sorted_by(|a, b| a["created"].as_i64() >= b["created"].as_i64()), "{path}: newest first");
            let first = app.get(&format!("/v2{path}?limit=1")).await.expect(200);
            assert_eq!((data(&first)[0].clone(), first["has_more"] == true), (data(&all)[0].clone(), data(&all).len() > 1), "{path}");
            let rest = app.get(&format!("/v2{path}?limit=100&starting_after={}", id(&data(&first)[0]))).await.expect(200);
            assert_eq!(ids(&rest), ids(&all)[1..], "{path}");
        }
    }
}
