use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use domain::time::DAY;

/// 2026-11-25T00:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(20_782 * 86_400);
const POLICY: Policy = Policy { now: NOW, http_loopback: false, folded: true };

/// The documented example of a purchase, with the lengths and made-up words that it has.
fn example() -> Json {
    json!({
        "meta": {"signature": "signed_request_token", "service_id": 948, "payment_id": "your-id-1744241274"},
        "payment": {"price": "100.00", "currency": "EUR"},
        "user": {
            "country": "CZ", "first_name": "Equuer", "last_name": "Duhhoney", "email": "someone@example.com",
            "phone": "fqdmpezlurtlaonoqywguadapsdvwzdmvlyagylkmwruqjjbadtlclqrcntwxbguwsmrnrbcyhczdccrdowfv",
            "name": "quasi", "surname": "aperiam", "address": "vel", "day_of_birth": "2025-04-09",
            "city": "xxqyodubheadxu", "zip": "vcfzcvotizdrcewwubalzgkzt", "language": "q"
        },
        "webhook": {"url": "https://your-service-domain.com/callback-handler", "token_name": "SOME TOKEN NAME"},
        "redirect": {
            "success_url": "https://your-service-domain.com/success",
            "fail_url": "https://your-service-domain.com/fail",
            "return_url": "https://your-service-domain.com/return"
        },
        "company": {
            "name": "Company name", "tax_id": "Tax/Vat number", "bank_name": "AS SOME BANK",
            "bank_account": "HB49SAAD93848485849948490", "bank_swift": "SW2IS23",
            "address": "Belgium, Some address 123a-2121, BL-2312."
        },
        "recurring": {
            "enabled": true, "start_date": "2024-11-18T22:45:55+00:00", "end_date": "2107-09-08",
            "cycle_days": 2, "trial_days": 1
        },
        "additional_data": ["eligendi"]
    })
}

fn refund_example() -> Json {
    json!({
        "meta": {"transaction_uuid": "FF6bcd26-9e70-40fd-a3aa-80c8586193d1"},
        "refund": {"price": "100.00", "currency": "EUR", "comment": "necessitatibus"}
    })
}

fn read(body: &str) -> SignedBody {
    SignedBody::read(body.as_bytes()).unwrap()
}

/// `body` with the member at the dotted `path` set to `value`, or taken out.
fn with(mut body: Json, path: &str, value: Option<Json>) -> Json {
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = &mut body;
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        at = &mut at[parent];
    }
    match value {
        Some(value) => at[name] = value,
        None => drop(at.as_object_mut().unwrap().remove(name)),
    }
    body
}

fn errors_of<T>(outcome: Result<T, Errors>) -> String {
    outcome.err().map_or_else(|| "{}".to_owned(), |errors| errors.to_json().to_string())
}

/// Each change alone breaks all three creating calls, at the field named, for the reason named.
fn refused(cases: &[(&str, Json, &str)]) {
    for (path, value, part) in cases {
        let body = read(&with(example(), path, Some(value.clone())).to_string());
        for errors in [
            errors_of(recurring(&body, POLICY)),
            if path.starts_with("recurring") { continue } else { errors_of(purchase(&body, POLICY)) },
            errors_of(payout(&body, POLICY)),
        ] {
            let errors: Json = serde_json::from_str(&errors).unwrap();
            let fields: Vec<&String> = errors.as_object().unwrap().keys().collect();
            assert_eq!(fields, [path], "{value:.80}: {errors}");
            let messages = errors[path].to_string();
            assert!(messages.contains(part), "{path} = {value:.80}: {messages}");
            assert!(messages.starts_with(&format!("[\"{path} ")), "names its field: {messages}");
        }
    }
}

#[test]
fn the_documented_examples_are_read() {
    let body = read(&example().to_string());
    let create = purchase(&body, POLICY).unwrap();
    assert_eq!((create.service_id, create.payment_id.as_str()), (948, "your-id-1744241274"));
    assert_eq!((create.amount, create.currency), (10_000, Currency::EUR));
    assert_eq!((create.user.first_name.as_str(), create.user.last_name.as_str()), ("Equuer", "Duhhoney"));
    assert_eq!(create.webhook.token_name.as_deref(), Some("SOME TOKEN NAME"));
    assert_eq!(create.redirect.back.as_deref(), Some("https://your-service-domain.com/return"));
    assert_eq!(create.additional_data.as_deref(), Some(r#"["eligendi"]"#));
    assert_eq!(payout(&body, POLICY), Ok(create.clone()));

    let (same, plan) = recurring(&body, POLICY).unwrap();
    assert_eq!(same, create);
    let end = Date::parse("2107-09-08").unwrap().end();
    assert_eq!(plan, Recurring { start: NOW, end: Some(end), cycle_days: 2, trial_days: 1 });

    let expected = Cancel { service_id: 948, payment_id: "your-id-1744241274".to_owned() };
    assert!(cancel(&body, POLICY).is_err(), "an order is no cancellation");
    let meta = json!({ "meta": { "service_id": 948, "payment_id": "your-id-1744241274", "signature": "x" } });
    assert_eq!(cancel(&read(&meta.to_string()), POLICY), Ok(expected));

    let body = read(&refund_example().to_string());
    let uuid = "ff6bcd26-9e70-40fd-a3aa-80c8586193d1";
    assert_eq!(transaction_uuid(&body).as_deref(), Ok(uuid));
    let got = refund(&body, POLICY).unwrap();
    assert_eq!((got.transaction_uuid.as_str(), got.amount, got.currency), (uuid, 10_000, Currency::EUR));
    assert_eq!((got.comment.as_deref(), got.reference_id), (Some("necessitatibus"), None));
}

#[test]
fn the_least_that_is_enough() {
    let least = json!({
        "meta": {"service_id": "948", "payment_id": "1"},
        "payment": {"price": 0.01, "currency": "eur"},
        "user": {"country": "cz", "name": "A", "surname": "B", "email": "a@example.com", "phone": "", "city": null},
        // PHP's empty maps.
        "webhook": [], "redirect": {}, "company": [], "order": [], "additional_data": null
    });
    let create = purchase(&read(&least.to_string()), POLICY).unwrap();
    assert_eq!(
        (create.amount, create.user.first_name.as_str(), create.user.country.as_str()),
        (1, "A", "CZ")
    );
    assert_eq!((create.webhook, create.redirect), (Webhook::default(), Redirect::default()));
    assert_eq!((create.company, create.order), (Company::default(), Vec::new()));
    assert_eq!((create.user.phone, create.user.city, create.additional_data), (None, None, None));
    let errors = errors_of(payout(&read(&least.to_string()), POLICY));
    assert!(errors.starts_with(r#"{"company.bank_account":["company.bank_account is required"#), "{errors}");
}

#[test]
fn both_dialects() {
    let mut body = example();
    body["meta"] = json!({"service_id": 948, "reference_id": "r-1"});
    body["payment"] = json!({"amount": "12.30", "currency": "EUR", "payment_method_id": 7});
    body["redirect"] = json!({
        "success": "https://a.example/s#/done", "fail": "https://a.example/f", "return": "https://a.example/r"
    });
    let create = purchase(&read(&body.to_string()), POLICY).unwrap();
    assert_eq!((create.payment_id.as_str(), create.amount, create.payment_method_id), ("r-1", 1230, Some(7)));
    let (redirect, text) = (create.redirect, |text: &str| Some(text.to_owned()));
    assert_eq!(redirect.success, text("https://a.example/s#/done"));
    assert_eq!((redirect.fail, redirect.back), (text("https://a.example/f"), text("https://a.example/r")));

    // Both names with one value are one; with two values nobody knows which is meant.
    body["payment"]["price"] = json!("12.30");
    body["redirect"]["success_url"] = json!("");
    assert!(purchase(&read(&body.to_string()), POLICY).is_ok());
    body["payment"]["price"] = json!("99.00");
    body["meta"]["payment_id"] = json!("r-2");
    let errors = errors_of(purchase(&read(&body.to_string()), POLICY));
    assert!(
        errors.contains(r#""payment.amount":["payment.amount is another name for payment.price."#),
        "{errors}"
    );
    assert!(errors.contains(r#""meta.reference_id":["#), "{errors}");
}

#[test]
fn everything_wrong_is_told_at_once() {
    let errors = purchase(&read("{}"), POLICY).unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|(field, _)| field).collect();
    assert_eq!(
        fields,
        [
            "meta.payment_id",
            "meta.service_id",
            "payment.currency",
            "payment.price",
            "user.country",
            "user.email",
            "user.first_name",
            "user.last_name"
        ]
    );
    assert!(errors.summary().ends_with("(and 7 more errors)"), "{}", errors.summary());
    let body = read(r#"{"meta":1,"payment":"100.00 EUR","user":["x"],"order":3,"recurring":true}"#);
    let errors = errors_of(recurring(&body, POLICY));
    for field in ["meta", "payment", "user", "order", "recurring", "recurring.cycle_days", "payment.price"] {
        assert!(errors.contains(&format!("\"{field}\":[\"{field} ")), "{field}: {errors}");
    }
    assert_eq!(service_id(&body).unwrap_err().to_json()["meta"], json!(["meta must be an object."]));
    assert!(
        transaction_uuid(&body).is_err() && refund(&body, POLICY).is_err() && cancel(&body, POLICY).is_err()
    );
}

#[test]
fn prices_are_exact_or_refused() {
    let price = |literal: &str, currency: &str| {
        let body = with(example(), "payment.currency", Some(json!(currency))).to_string();
        let body = body.replacen(r#""price":"100.00""#, &format!(r#""price":{literal}"#), 1);
        purchase(&read(&body), POLICY).map(|create| create.amount)
    };
    let zeros = "0".repeat(400);
    for (literal, currency, minor) in [
        (r#""100.00""#, "EUR", 10_000),
        (r#""100.5""#, "EUR", 10_050),
        ("100", "EUR", 10_000),
        ("100.0", "EUR", 10_000),
        ("1e2", "EUR", 10_000),
        ("12.32", "EUR", 1_232),
        // The number that was signed is 12.32, however it is spelled.
        ("12.320000000000000001", "EUR", 1_232),
        (&format!("12.32{zeros}"), "EUR", 1_232),
        ("1232e-2", "EUR", 1_232),
        ("0.29", "EUR", 29),
        ("1.005", "KWD", 1_005),
        (r#""1""#, "JPY", 1),
        (r#""100.00""#, "JPY", 100),
        (r#""1.00000000""#, "EUR", 100),
        ("100.0", "JPY", 100),
        (r#""9999999999.99""#, "EUR", 999_999_999_999),
        ("9999999999.99", "EUR", 999_999_999_999),
    ] {
        assert_eq!(price(literal, currency), Ok(minor), "{literal:.40} {currency}");
    }
    for (literal, currency) in [
        (r#""100.50""#, "JPY"),
        ("100.5", "JPY"),
        (r#""1e3""#, "EUR"),
        (r#""-1""#, "EUR"),
        ("-1", "EUR"),
        ("-0.0", "EUR"),
        ("0", "EUR"),
        (r#""0.00""#, "EUR"),
        (r#""0.001""#, "EUR"),
        ("0.001", "EUR"),
        ("12.345", "EUR"),
        ("0.30000000000000004", "EUR"),
        ("12.32000000000001", "EUR"),
        (&format!("0.{zeros}1"), "EUR"),
        ("1e-400", "EUR"),
        ("1e17", "EUR"),
        ("1e300", "EUR"),
        ("9223372036854775807", "EUR"),
        ("9223372036854775808", "EUR"),
        ("10000000000", "EUR"),
        ("9999999999.999", "EUR"),
        (r#""10000000000.00""#, "EUR"),
        (r#""٢.٠٠""#, "EUR"),
        (r#""１００""#, "EUR"),
        (r#"" 100.00""#, "EUR"),
        (r#""100,00""#, "EUR"),
        (r#""1 000.00""#, "EUR"),
        (r#""0100.00""#, "EUR"),
        (r#""+100.00""#, "EUR"),
        ("true", "EUR"),
        ("[100]", "EUR"),
        (r#"{"0":"100.00"}"#, "EUR"),
    ] {
        let errors = errors_of(price(literal, currency));
        assert!(errors.starts_with(r#"{"payment.price":["payment.price must "#), "{literal:.40}: {errors}");
    }
    // With an unusable currency, the form of the price is judged all the same.
    let errors = errors_of(price(r#""abc""#, "XXX"));
    assert!(errors.contains("payment.price") && errors.contains("payment.currency"), "{errors}");
    assert_eq!(errors_of(price(r#""1.234""#, "XXX")).matches("payment.").count(), 2);
}

#[test]
fn fields_are_bounded() {
    let (long, card) = ("x".repeat(70_000 / 2), "4242 4242 4242 4242");
    refused(&[
        ("meta.service_id", json!(0), "integer"),
        ("meta.service_id", json!(948.5), "integer"),
        ("meta.service_id", json!("0948"), "integer"),
        ("meta.service_id", json!([948]), "integer"),
        ("meta.payment_id", json!("x".repeat(192)), "191"),
        ("meta.payment_id", json!("a b"), "white space"),
        ("meta.payment_id", json!("a\u{c}b"), "white space"),
        ("meta.payment_id", json!(" a"), "white space"),
        ("meta.payment_id", json!("a\u{7f}"), "control"),
        ("meta.payment_id", json!(17), "string"),
        ("meta.payment_id", json!("4242424242424242"), "card number"),
        ("payment.currency", json!("EURO"), "three-letter"),
        ("payment.currency", json!(978), "string"),
        ("payment.currency", json!("EUR "), "three-letter"),
        ("payment.payment_method_id", json!(0), "integer"),
        ("user.email", json!("a@example.com b"), "e-mail"),
        ("user.email", json!("someone"), "e-mail"),
        ("user.email", json!("a\n@example.com"), "control"),
        ("user.email", json!(long), "512"),
        ("user.first_name", json!(long), "255"),
        ("user.first_name", json!(card), "card number"),
        ("user.last_name", json!({"a": 1}), "string"),
        ("user.country", json!("TST"), "ISO 3166"),
        ("user.phone", json!(37_123_446_666_i64), "string"),
        ("user.phone", json!("x".repeat(101)), "100"),
        ("user.phone", json!(card), "card number"),
        ("user.city", json!("x".repeat(101)), "100"),
        ("user.zip", json!("x".repeat(31)), "30"),
        ("user.address", json!(long), "255"),
        ("user.language", json!("eng"), "ISO 639"),
        ("user.language", json!("é"), "ISO 639"),
        ("user.day_of_birth", json!("2026-11-25"), "past"),
        ("user.day_of_birth", json!("2027-01-01"), "past"),
        ("user.day_of_birth", json!("1899-12-31"), "1900"),
        ("user.day_of_birth", json!("1990-02-30"), "must be a day"),
        ("user.day_of_birth", json!("31.12.1990"), "must be a day"),
        ("webhook.url", json!("http://shop.example/hook"), "https"),
        ("webhook.url", json!("https://shop.example/hook#a"), "fragment"),
        ("webhook.url", json!("https://shop.example/a b"), "spaces"),
        ("webhook.token_name", json!("x".repeat(192)), "191"),
        ("redirect.success_url", json!("javascript:alert(1)"), "https"),
        ("redirect.fail_url", json!("https://shop.example@evil.example/"), "user name"),
        ("redirect.return_url", json!("http://localhost/"), "https"),
        ("company.name", json!("x".repeat(256)), "255"),
        ("company.tax_id", json!("x".repeat(101)), "100"),
        ("company.bank_account", json!(card), "card number"),
        ("company.bank_account", json!("x".repeat(65)), "64"),
        ("company.bank_swift", json!("x".repeat(65)), "64"),
        ("company.address", json!("\u{202e}"), "direction"),
        ("additional_data", json!(["x".repeat(16 * 1024)]), "16384"),
        ("additional_data", json!({"note": card}), "card number"),
        ("additional_data", json!([4_242_424_242_424_242_i64]), "card number"),
        ("order", json!(vec!["x"; 101]), "100"),
    ]);
}

#[test]
fn order_lines_are_for_reading() {
    let line = json!({"textual": "<b>2</b> tickets<br />\n", "price": 15.0, "currency": "EUR"});
    for order in [json!([line]), json!({"0": line})] {
        let create = purchase(&read(&with(example(), "order", Some(order)).to_string()), POLICY).unwrap();
        let expected = OrderLine {
            textual: Some("<b>2</b> tickets<br />\n".to_owned()),
            price: Some("15".to_owned()),
            currency: Some("EUR".to_owned()),
        };
        assert_eq!(create.order, [expected]);
    }
    let order = json!(["x", {"textual": 1, "price": "\u{0}"}, {"textual": "y".repeat(2_001)}, {}]);
    let text = with(example(), "order", Some(order)).to_string().replace("\\u0000", "\\u0001");
    let errors = errors_of(purchase(&read(&text), POLICY));
    for field in ["order.0", "order.1.textual", "order.1.price", "order.2.textual"] {
        assert!(errors.contains(&format!("\"{field}\":[\"{field} must ")), "{field}: {errors}");
    }
}

#[test]
fn recurring_rules() {
    refused(&[
        ("recurring.enabled", json!(false), "must be true"),
        ("recurring.enabled", json!("yes"), "true or false"),
        ("recurring.cycle_days", json!(0), "1 to 3650"),
        ("recurring.cycle_days", json!(-1), "1 to 3650"),
        ("recurring.cycle_days", json!(3_651), "1 to 3650"),
        ("recurring.cycle_days", json!(1_000_000_000), "1 to 3650"),
        ("recurring.cycle_days", json!(30.0), "1 to 3650"),
        ("recurring.trial_days", json!(-1), "0 to 3650"),
        ("recurring.trial_days", json!(1e9), "0 to 3650"),
        ("recurring.start_date", json!("1970-01-01T00:00:00Z"), "year 2000"),
        ("recurring.start_date", json!("1999-12-31"), "year 2000"),
        ("recurring.start_date", json!("2040-01-01"), "3650 days"),
        ("recurring.start_date", json!("ERR"), "instant"),
        ("recurring.start_date", json!(0), "string"),
        ("recurring.end_date", json!("2026-11-24"), "after the start"),
        ("recurring.end_date", json!("2026-02-30"), "a day"),
        ("recurring.end_date", json!("1970-01-01"), "after the start"),
        ("recurring.end_date", json!("Infinite (until cancellation/expiration)"), "a day"),
    ]);
    let plan = |value: Json| {
        recurring(&read(&with(example(), "recurring", Some(value)).to_string()), POLICY).map(|(_, plan)| plan)
    };
    let least = plan(json!({"enabled": true, "cycle_days": 30, "end_date": null})).unwrap();
    assert_eq!(least, Recurring { start: NOW, end: None, cycle_days: 30, trial_days: 0 });
    let later = plan(json!({
        "enabled": 1, "cycle_days": "30", "trial_days": 14, "start_date": "2026-12-01T03:00:00+03:00",
        "end_date": "2026-12-15"
    }));
    let start = Date::parse("2026-12-01").unwrap().start();
    let end = Some(start.plus(15 * DAY));
    assert_eq!(later, Ok(Recurring { start, end, cycle_days: 30, trial_days: 14 }));
    for (start, end, trial, field) in [
        ("2026-12-01", "2026-11-30", 0, "recurring.end_date"),
        ("2026-12-01", "2026-12-15", 15, "recurring.trial_days"),
        ("2026-12-01", "2026-12-15", 3_650, "recurring.trial_days"),
        ("2024-01-01", "2026-11-25", 1, "recurring.trial_days"),
    ] {
        let errors = errors_of(plan(json!({
            "enabled": true, "cycle_days": 1, "start_date": start, "end_date": end, "trial_days": trial
        })));
        assert!(errors.starts_with(&format!("{{\"{field}\":")), "{start} {end} {trial}: {errors}");
    }
}

#[test]
fn refunds_are_exact() {
    for (path, value) in [
        ("meta.transaction_uuid", json!("transaction-uuid-1744241274")),
        ("meta.transaction_uuid", json!(1)),
        ("refund.price", json!("0")),
        ("refund.price", json!("-1.00")),
        ("refund.price", json!(null)),
        ("refund.currency", json!("")),
        ("refund.comment", json!("x".repeat(1_001))),
        ("refund.comment", json!("4242424242424242")),
        ("refund.reference_id", json!("a b")),
        ("refund.reference_id", json!(2)),
    ] {
        let errors = errors_of(refund(&read(&with(refund_example(), path, Some(value)).to_string()), POLICY));
        assert!(errors.starts_with(&format!("{{\"{path}\":[\"{path} ")), "{path}: {errors}");
    }
    let again = with(refund_example(), "refund.reference_id", Some(json!("second")));
    assert_eq!(refund(&read(&again.to_string()), POLICY).unwrap().reference_id.as_deref(), Some("second"));
}

#[test]
fn what_the_raw_form_proves_may_hold_white_space() {
    let raw = Policy::of(Variant::Raw, NOW, true);
    let body = with(example(), "meta.payment_id", Some(json!("order 7")));
    let body = with(body, "redirect.success_url", Some(json!("http://localhost:8000/ok")));
    let create = purchase(&read(&body.to_string()), raw).unwrap();
    assert_eq!(create.payment_id, "order 7");
    assert!(Policy::of(Variant::Folded, NOW, true).folded && !raw.folded);
    let body = with(body, "redirect.fail_url", Some(json!("https://shop.example/a b")));
    assert!(errors_of(purchase(&read(&body.to_string()), raw)).contains("redirect.fail_url"));
}

#[test]
fn legacy_and_unknown_members_are_let_be() {
    let mut body = example();
    body["callback"] = json!({"url": "http://old.example"});
    body["payer"] = json!("x");
    body["meta"]["type"] = json!("subscription");
    body["user"]["shoe_size"] = json!(43);
    body["new"] = json!({"a": [1.50, null]});
    let read = read(&body.to_string());
    assert!(purchase(&read, POLICY).is_ok());
    let stored: Json = serde_json::from_str(&stored_request(&read)).unwrap();
    assert_eq!(stored, with(body, "meta.signature", None));
}

#[test]
fn newer_names_win_over_older_ones() {
    let name = |changes: &[(&str, Option<Json>)]| {
        let mut body = example();
        for (path, value) in changes {
            body = with(body, path, value.clone());
        }
        purchase(&read(&body.to_string()), POLICY).map(|create| create.user.first_name)
    };
    assert_eq!(name(&[("user.name", Some(json!(5)))]).as_deref(), Ok("Equuer"));
    assert_eq!(name(&[("user.first_name", None)]).as_deref(), Ok("quasi"));
    assert_eq!(name(&[("user.first_name", Some(json!(" ")))]).as_deref(), Ok("quasi"));
    let errors = errors_of(name(&[("user.first_name", None), ("user.name", Some(json!(5)))]));
    assert!(errors.starts_with(r#"{"user.name":["user.name must be a string"#), "{errors}");
    let errors = errors_of(name(&[("user.first_name", None), ("user.name", None)]));
    assert!(errors.starts_with(r#"{"user.first_name":["user.first_name is required"#), "{errors}");
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[^\0]{0,12}".prop_map(Json::from),
        Just(json!("100.00")),
        Just(json!("4242424242424242")),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::vec((prop::sample::select(FIELDS), inner), 0..3).prop_map(|entries| entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

const FIELDS: &[&str] = &[
    "meta",
    "payment",
    "user",
    "webhook",
    "redirect",
    "company",
    "order",
    "recurring",
    "refund",
    "additional_data",
    "service_id",
    "payment_id",
    "reference_id",
    "transaction_uuid",
    "price",
    "amount",
    "currency",
    "email",
    "name",
    "country",
    "phone",
    "day_of_birth",
    "url",
    "success",
    "start_date",
    "end_date",
    "cycle_days",
    "trial_days",
    "enabled",
    "textual",
    "cvc",
    "0",
    "",
];

proptest! {
    /// Whatever stands at one place of a body: no panic, and an error or a value.
    #[test]
    fn any_value_anywhere_is_read_or_refused(
        block in prop::sample::select(FIELDS),
        field in prop::option::of(prop::sample::select(FIELDS)),
        value in any_json(),
        folded: bool,
    ) {
        let mut body = example();
        body["refund"] = refund_example()["refund"].clone();
        match field {
            Some(field) if body[block].is_object() => body[block][field] = value,
            _ => body[block] = value,
        }
        let body = read(&body.to_string());
        let policy = Policy { folded, ..POLICY };
        let _ = (service_id(&body), transaction_uuid(&body), cancel(&body, policy), refund(&body, policy));
        for create in [purchase(&body, policy), payout(&body, policy), recurring(&body, policy).map(|(c, _)| c)] {
            match create {
                Ok(create) => prop_assert!((1..=999_999_999_999).contains(&create.amount)),
                Err(errors) => prop_assert!(!errors.is_empty() && !errors.summary().is_empty()),
            }
        }
        let stored = stored_request(&body);
        prop_assert!(!stored.contains("4242424242424242"));
        prop_assert!(!stored.contains("signed_request_token"));
        prop_assert_eq!(stored_request(&read(&stored)), stored);
    }
}
