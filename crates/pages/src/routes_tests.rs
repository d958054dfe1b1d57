//! The rules of the routes, without an application behind them.

use super::*;
use crate::html_audit;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
}

#[test]
fn only_well_formed_codes_are_looked_up() {
    let code = "abcdefghijklmnopqrst0189".to_owned();
    assert_eq!(known_form(code.clone()), Some(code));
    for code in ["", "a", &"a".repeat(23), &"a".repeat(25), &"a".repeat(1 << 20), "abcdefghijklmnopqrst018-"]
    {
        assert_eq!(known_form(code.to_owned()), None, "{} characters", code.len());
    }
    assert_eq!(known_form("é".repeat(12)), None, "24 bytes, not 24 characters");
}

#[test]
fn answers_are_one_of_three_words() {
    use ChallengeAnswer::{Abandoned, Failed, Passed};
    for (form, answer) in [
        ("outcome=success", Some(Passed)),
        ("outcome=fail", Some(Failed)),
        ("outcome=abandon", Some(Abandoned)),
        ("x=1&outcome=%73uccess", Some(Passed)),
        ("", None),
        ("outcome", None),
        ("outcome=", None),
        ("outcome=SUCCESS", None),
        ("outcome=success&outcome=fail", None),
        ("{\"outcome\":\"success\"}", None),
    ] {
        assert_eq!(read_answer(form.as_bytes()), answer, "{form}");
    }
    let padded = |len: usize| format!("outcome=success&x={}", "a".repeat(len - "outcome=success&x=".len()));
    assert_eq!(read_answer(padded(FORM_MAX).as_bytes()), Some(Passed));
    assert_eq!(read_answer(padded(FORM_MAX + 1).as_bytes()), None);
    assert_eq!(read_answer(b"\xff\xfe=%ff"), None);
}

#[test]
fn forms_from_other_sites_are_refused() {
    for site in ["cross-site", "same-site", "", "Same-Origin", "x"] {
        assert!(from_elsewhere(&headers(&[("sec-fetch-site", site)])), "{site}");
    }
    for site in ["same-origin", "none"] {
        assert!(!from_elsewhere(&headers(&[("sec-fetch-site", site)])), "{site}");
    }
    assert!(!from_elsewhere(&headers(&[("origin", "null")])));
    // Browsers that send no Sec-Fetch-Site.
    for origin in
        ["http://evil.example", "https://pay.example.evil.example", "https://pay.example:444", "pay.example"]
    {
        assert!(from_elsewhere(&headers(&[("host", "pay.example"), ("origin", origin)])), "{origin}");
    }
    assert!(!from_elsewhere(&headers(&[("host", "pay.example"), ("origin", "https://pay.example")])));
    let mut twice = headers(&[("sec-fetch-site", "same-origin")]);
    twice.append("sec-fetch-site", HeaderValue::from_static("cross-site"));
    assert!(from_elsewhere(&twice));
}

#[test]
fn result_and_redirect_status_follow_the_payment() {
    use ChallengeAnswer::{Abandoned, Failed, Passed};
    for status in PaymentStatus::ALL {
        let declined = *status == PaymentStatus::RequiresPaymentMethod;
        let passed = if declined { ChallengeResult::Declined } else { ChallengeResult::Success };
        assert_eq!(result(Passed, *status), passed, "{status}");
        assert_eq!(result(Failed, *status), ChallengeResult::Failed);
        assert_eq!(result(Abandoned, *status), ChallengeResult::Abandoned);
    }
    let succeeded: Vec<_> =
        PaymentStatus::ALL.iter().filter(|s| redirect_status(**s) == "succeeded").collect();
    assert_eq!(
        succeeded,
        [&PaymentStatus::Processing, &PaymentStatus::RequiresCapture, &PaymentStatus::Succeeded]
    );
}

#[test]
fn every_brand_has_a_name_to_show() {
    for brand in Brand::ALL {
        let name = brand_name(brand.as_str());
        assert!(name.starts_with(|c: char| c.is_ascii_uppercase()), "{brand}");
        assert_eq!(name == "Card", *brand == Brand::Unknown, "{brand}");
    }
    assert_eq!(brand_name("sepa_debit"), "Card");
}

#[test]
fn assets_are_sent_whole_or_not_at_all() {
    let name = crate::asset_names().next().expect("an asset");
    let asset = crate::asset(name).expect("served");
    let full = asset_response(name, &HeaderMap::new()).expect("served");
    assert_eq!(full.status(), StatusCode::OK);
    assert_eq!(full.headers()[header::ETAG], asset.etag);
    assert_eq!(full.headers()[header::CONTENT_TYPE], asset.content_type);
    assert_eq!(full.headers().get_all(header::CONTENT_TYPE).iter().count(), 1);
    for (value, status) in [
        (asset.etag, StatusCode::NOT_MODIFIED),
        ("*", StatusCode::NOT_MODIFIED),
        (Box::leak(format!("\"x\", W/{}", asset.etag).into_boxed_str()), StatusCode::NOT_MODIFIED),
        ("\"x\"", StatusCode::OK),
        ("", StatusCode::OK),
    ] {
        let response = asset_response(name, &headers(&[("if-none-match", value)])).expect("served");
        assert_eq!(response.status(), status, "{value}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], asset.cache_control, "{value}");
    }
    assert!(asset_response("../Cargo.toml", &HeaderMap::new()).is_none());
}

#[test]
fn every_page_has_the_security_headers_once() {
    for response in [
        gone(),
        nowhere("req_1"),
        refusal(&Error::ChallengeGone, "x", ""),
        refusal(&Error::Internal("secret detail".to_owned()), "x", "req_1"),
        leaving(Page { html: String::new(), refresh: Some("1; url=https://shop.example/".to_owned()) }),
    ] {
        for (name, value) in security_headers() {
            let all: Vec<_> = response.headers().get_all(*name).iter().collect();
            assert_eq!(all, [value], "{name}");
        }
    }
    assert_eq!(refusal(&Error::ChallengeGone, "x", "").status(), StatusCode::GONE);
    let internal = refusal(&Error::Internal(String::new()), "x", "");
    assert_eq!(internal.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn refresh_header_is_sent_when_the_page_announces_it() {
    let page = crate::challenge_done(&ChallengeDone {
        merchant_name: "Blue Bottle Books",
        result: ChallengeResult::Declined,
        return_url: Some("https://shop.example/?a=1"),
    });
    html_audit::check(&page.html);
    assert_eq!(leaving(page).headers()[header::REFRESH], "1; url=https://shop.example/?a=1");
}

#[test]
fn files_are_compressed_for_those_who_take_it() {
    for taken in ["gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.5", "gzip;q=0.001"] {
        let mut wanted = HeaderMap::new();
        wanted.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(taken).expect("a value"));
        let small = asset_response("app.css", &wanted).expect("served");
        assert_eq!(small.headers().get(header::CONTENT_ENCODING).expect("named"), "gzip", "{taken}");
        assert_eq!(small.headers().get(header::VARY).expect("named"), "accept-encoding");
        // The tag of one form does not stand for the other.
        let tag = small.headers().get(header::ETAG).expect("a tag").clone();
        let mut again = HeaderMap::new();
        again.insert(header::IF_NONE_MATCH, tag.clone());
        assert_eq!(asset_response("app.css", &again).expect("served").status(), StatusCode::OK);
        again.extend(wanted);
        let again = asset_response("app.css", &again).expect("served");
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{taken}");
    }
    for whole in [None, Some("br"), Some("gzip;q=0"), Some("gzip;q=0.0"), Some("gzipped"), Some("*")] {
        let mut wanted = HeaderMap::new();
        if let Some(value) = whole {
            wanted.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        let response = asset_response("app.css", &wanted).expect("served");
        assert_eq!(response.headers().get(header::CONTENT_ENCODING), None, "{whole:?}");
        assert!(response.headers().get(header::VARY).is_some());
    }
}
