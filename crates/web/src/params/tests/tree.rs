//! Merging, fingerprints and debug output.

use super::super::*;
use super::{form, json, outcome};

fn digest(params: &Params, without: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    params.canonical(without, &mut |chunk| bytes.extend_from_slice(chunk));
    bytes
}

#[test]
fn merging() {
    let merged = form("expand[]=customer").merge(form("amount=1"));
    assert_eq!(outcome(&merged), r#"{expand:["customer"],amount:"1"}"#);
    assert_eq!(outcome(&Params::empty().merge(Params::empty())), "{}");
    assert_eq!(outcome(&form("a=1&b=2").merge(json(r#"{"c":3,"b":4}"#))), "!parameter_duplicate b");
    assert_eq!(outcome(&form("a[x]=1").merge(form("a[y]=2"))), "!parameter_duplicate a");
}

#[test]
fn the_fingerprint_ignores_order_only() {
    let same = [
        ("a=1&b[x]=2&b[y]=3", "b[y]=3&a=1&b%5Bx%5D=2"),
        ("", "&"),
        ("a=x+y", "a=x%20y"),
        ("l[1]=b&l[0]=a", "l[0]=a&l[1]=b"),
    ];
    for (a, b) in same {
        assert_eq!(digest(&form(a), &[]), digest(&form(b), &[]), "{a} {b}");
    }
    assert_eq!(
        digest(&json(r#"{"a":1,"b":{"c":2,"d":[1,2]}}"#), &[]),
        digest(&json(r#" {"b":{"d":[1,2], "c":2},"a":1}"#), &[])
    );

    let different = [
        form("a=1"),
        form("a=2"),
        form("a=12"),
        form("a1=2"),
        form("a=1&b="),
        form("a[]=1"),
        form("a[]=1&a[]=2"),
        form("a[]=2&a[]=1"),
        form("a[]=12"),
        form("a[b]=1"),
        form("a[b]=1&a[c]=2"),
        form("a[b]=1&c=2"),
        form("a="),
        json(r#"{"a":null}"#),
        json(r#"{"a":true}"#),
        json(r#"{"a":false}"#),
        json(r#"{"a":1}"#),
        json(r#"{"a":1.0}"#),
        json(r#"{"a":[]}"#),
        json(r#"{"a":{}}"#),
        json(r#"{"a":[[1],[2]]}"#),
        json(r#"{"a":[[1,2]]}"#),
        json(r#"{"a":[1,[2]]}"#),
        Params::empty(),
    ];
    let mut digests: Vec<_> = different.iter().map(|params| digest(params, &[])).collect();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), different.len());
}

#[test]
fn the_fingerprint_leaves_secrets_out() {
    let without = ["payment_method_data.card.cvc", "card.cvc", "items.0.secret"];
    let equal = |a: &str, b: &str| digest(&form(a), &without) == digest(&form(b), &without);
    assert!(equal("card[cvc]=123&a=1", "card[cvc]=999&a=1"));
    assert!(equal("payment_method_data[card][cvc]=123", "payment_method_data[card][cvc]=9"));
    assert!(equal("items[0][secret]=1", "items[0][secret]=2"));
    // Nothing else is left out
    assert!(!equal("card[cvc]=123", "card[number]=123"));
    assert!(!equal("card[cvc]=123", ""));
    assert!(!equal("card[cvc]=123&card[number]=1", "card[cvc]=123&card[number]=2"));
    assert!(!equal("cvc=123", "cvc=999"));
    assert!(!equal("metadata[card.cvc]=1", "metadata[card.cvc]=2"));
    assert!(!equal("card.cvc=1", "card.cvc=2"));
    assert!(!equal("items[1][secret]=1", "items[1][secret]=2"));

    let bytes = digest(&form("card[cvc]=8675309"), &without);
    assert!(!bytes.windows(7).any(|window| window == b"8675309"));
    let in_list = |secret| digest(&json(&format!(r#"{{"items":[{{"secret":{secret}}}]}}"#)), &without);
    assert_eq!(in_list("1"), in_list("2"));
}

#[test]
fn debug_output_shows_no_values() {
    let params = json(r#"{"number":"4242424242424242","cvc":123,"l":["sk_live_x"],"b":true}"#);
    let shown = format!("{params:?}");
    for secret in ["4242", "123", "sk_live", "true"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("number"), "{shown}");
    let patch = form("metadata[k]=secret").reader().metadata("metadata");
    assert!(!format!("{patch:?}").contains("secret"));
}
