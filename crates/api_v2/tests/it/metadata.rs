//! Metadata: merged, unset, and bounded.

use crate::support::{assert_refused, bad_form, id};
use serde_json::json;
use testkit::TestApp;

const CUSTOMERS: &str = "/v2/customers";

fn pairs(count: usize, key: impl Fn(usize) -> String) -> Vec<(String, String)> {
    (0..count).map(|n| (format!("metadata[{}]", key(n)), "v".to_owned())).collect()
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()
}

testkit::on_both_engines! {
    async fn keys_are_merged_and_unset(db) {
        let app = TestApp::start(&db).await;
        let made = app.post(CUSTOMERS, &[("metadata[a]", "1"), ("metadata[b]", "2"), ("metadata[empty]", "")]).await.expect(201);
        assert_eq!(made["metadata"], json!({"a": "1", "b": "2"}));
        let path = format!("{CUSTOMERS}/{}", id(&made));
        for (form, expected) in [
            (&[("metadata[b]", "3"), ("metadata[c]", "4")][..], json!({"a": "1", "b": "3", "c": "4"})),
            (&[("metadata[a]", "")], json!({"b": "3", "c": "4"})),
            (&[("metadata[never]", "")], json!({"b": "3", "c": "4"})),
            (&[("name", "N")], json!({"b": "3", "c": "4"})),
            (&[("metadata[B]", "x")], json!({"b": "3", "c": "4", "B": "x"})),
            (&[("metadata", "")], json!({})),
            (&[("metadata[n]", "1")], json!({"n": "1"})),
        ] {
            assert_eq!(app.post(&path, form).await.expect(200)["metadata"], expected, "{form:?}");
            assert_eq!(app.get(&path).await.expect(200)["metadata"], expected, "{form:?}");
        }
        assert_eq!(app.post_json(&path, r#"{"metadata": {"n": null, "m": 1.50, "t": true}}"#).await.expect(200)["metadata"], json!({"m": "1.50", "t": "true"}));
        assert_eq!(app.post_json(&path, r#"{"metadata": null}"#).await.expect(200)["metadata"], json!({}));
    }

    async fn the_limits_hold_at_creation_and_by_addition(db) {
        let app = TestApp::start(&db).await;
        let (fifty, one_more) = (pairs(50, |n| format!("k{n}")), pairs(51, |n| format!("k{n}")));
        let made = app.post(CUSTOMERS, &borrowed(&fifty)).await.expect(201);
        assert_eq!(made["metadata"].as_object().expect("a map").len(), 50);
        let path = format!("{CUSTOMERS}/{}", id(&made));
        let long_key = format!("metadata[{}]", "k".repeat(41));
        let (value, long_value) = ("é".repeat(500), "é".repeat(501));
        let cases = [
            bad_form(CUSTOMERS, "metadata", &borrowed(&one_more)),
            bad_form(&path, "metadata", &[("metadata[k50]", "v")]),
            bad_form(CUSTOMERS, "metadata", &[(&long_key, "v")]),
            bad_form(CUSTOMERS, "metadata[a]", &[("metadata[a]", &long_value)]),
            bad_form(CUSTOMERS, "metadata", &[("metadata[]", "v")]),
            bad_form(CUSTOMERS, "metadata", &[("metadata", "v")]),
            bad_form(CUSTOMERS, "metadata[a]", &[("metadata[a][b]", "v")]),
            bad_form(CUSTOMERS, "metadata", &[("metadata[a\u{202e}]", "v")]),
        ];
        assert_refused(&app, cases).await;
        let swapped = app.post(&path, &[("metadata[k0]", ""), ("metadata[k50]", "v")]).await.expect(200);
        assert_eq!(swapped["metadata"].as_object().expect("a map").len(), 50);
        let key = format!("metadata[{}]", "k".repeat(40));
        let longest = app.post(CUSTOMERS, &[(&key, &value)]).await.expect(201);
        assert_eq!(longest["metadata"]["k".repeat(40)], value);
    }

    async fn names_that_mean_something_elsewhere_are_plain_keys(db) {
        let app = TestApp::start(&db).await;
        for key in ["__proto__", "constructor", "toString", "hasOwnProperty", "$where", "id", "object", "a.b", "a b", "ключ", "'; --"] {
            let name = format!("metadata[{key}]");
            let made = app.post(CUSTOMERS, &[(&name, "v")]).await.expect(201);
            assert_eq!(made["metadata"].as_object().expect("a map").keys().collect::<Vec<_>>(), [key]);
            assert_eq!((&made["object"], made["id"].as_str().is_some_and(|i| i.starts_with("cus_"))), (&json!("customer"), true));
        }
    }
}
