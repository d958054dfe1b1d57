use proptest::prelude::*;
use serde_json::json;

use super::*;

const SECRET: &[u8] = b"test_secret";

/// Body, variant, signature under `test_secret`.
const VECTORS: [(&str, &[Variant], &str); 5] = [
    (
        r#"{"meta":{"signature":"x","service_id":948,"payment_id":"p-1"},"payment":{"price":"100.00","currency":"EUR"}}"#,
        &[Variant::Raw, Variant::Folded],
        "425555bb9bc8f5cc51968d78804e96f0f21f0caf440fae757243adcfd295a6d4ac92ac909055c40ed3f8913a7acc13b28d9565f9ef90ad0b8c4eb9995214d04c",
    ),
    (
        r#"{"meta":{"service_id":1},"company":{"name":"  Company \t name  ","address":"Belgium, Some address 123a-2121"}}"#,
        &[Variant::Raw],
        "38f0481f459f613815251a3001c93222dae3ade908656c3aca0c4218f01f7e5dff8be084ce686a89bdbdd640442c8c0e0f729e3e9efa8c8fed53f389e3d92dcb",
    ),
    (
        r#"{"meta":{"service_id":1},"company":{"name":"  Company \t name  ","address":"Belgium, Some address 123a-2121"}}"#,
        &[Variant::Folded],
        "02668e54d340e377cda78913fa8e9c0cbba4eebb788581673d42bd0c840b1ec5da52b16c8166f3fbc063b41ca68b49934461e4480084d55aba4ff919db0596dd",
    ),
    (
        r#"{"meta":{"service_id":1},"l":["a","b","c","d","e","f","g","h","i","j","k","l"]}"#,
        &[Variant::Raw, Variant::Folded],
        "22bd7665f0c368a7d36e291fe2bbb9b65af071f8ff5c81323ae4282059b9c5b4e1d7092d83c5d5b991b5739bd02cd9394e0d87a8a09755ae878b873e06d42922",
    ),
    (
        r#"{"meta":{"service_id":948,"payment_id":"p-1"},"payment":{"price":12.32,"currency":"EUR"},"recurring":{"enabled":true,"end_date":null}}"#,
        &[Variant::Raw, Variant::Folded],
        "b520d02adee9927420c60bd4525840d6d5185ad7303d42d27014190b5537d0d4a1ee99679d95945d5d15dbeafda3c78a03caf8073e2c964fb0238a778d27c3e3",
    ),
];

fn object(json: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(json).unwrap()
}

fn read(body: &str) -> SignedBody {
    SignedBody::read(body.as_bytes()).unwrap()
}

/// `sent` with the signature that belongs to `signed`.
fn resigned(sent: &str, signed: &str, variant: Variant) -> SignedBody {
    let signature = sign(&object(signed), SECRET, variant);
    // Not by way of serde_json, which would lose how numbers are spelled.
    read(&sent.replacen(r#""meta":{"#, &format!(r#""meta":{{"signature":"{signature}","#), 1))
}

#[test]
fn published_vectors() {
    for (json, variants, signature) in VECTORS {
        for variant in variants {
            assert_eq!(sign(&object(json), SECRET, *variant), signature, "{json}");
            let mut body = object(json);
            body["meta"]["signature"] = signature.into();
            let proof = read(&serde_json::Value::Object(body).to_string()).verify(&[SECRET]).unwrap();
            assert_eq!(proof, Proof { secret: 0, variant: variants[0] });
        }
    }
}

#[test]
fn every_secret_is_tried_and_an_empty_one_never_fits() {
    let body = read(&seal(object(VECTORS[0].0), SECRET, Variant::Folded));
    let proof = |secret| Ok(Proof { secret, variant: Variant::Raw });
    assert_eq!(body.verify(&[b"other", SECRET]), proof(1));
    assert_eq!(body.verify(&[SECRET, SECRET]), proof(0));
    assert_eq!(body.verify(&[b"other"]), Err(SignatureRefusal::Wrong));
    assert_eq!(body.verify(&[]), Err(SignatureRefusal::Wrong));
    let unlocked = read(&seal(object(VECTORS[0].0), b"", Variant::Raw));
    assert_eq!(unlocked.verify(&[b""]), Err(SignatureRefusal::Wrong));
}

#[test]
fn what_is_no_signature_is_refused() {
    let good = VECTORS[0].2;
    let shifted = format!("{}{}", &good[1..], &good[..1]);
    let as_char = format!("{}\u{e9}", &good[..126]);
    for (meta, refusal) in [
        (json!(null), SignatureRefusal::Missing),
        (json!([good]), SignatureRefusal::Missing),
        (json!({}), SignatureRefusal::Missing),
        (json!({"signature": null}), SignatureRefusal::Missing),
        (json!({"signature": ""}), SignatureRefusal::Malformed),
        (json!({"signature": [good]}), SignatureRefusal::Malformed),
        (json!({"signature": 1}), SignatureRefusal::Malformed),
        (json!({"signature": true}), SignatureRefusal::Malformed),
        (json!({"signature": good[1..]}), SignatureRefusal::Malformed),
        (json!({"signature": format!("{good}0")}), SignatureRefusal::Malformed),
        (json!({"signature": format!(" {good}")}), SignatureRefusal::Malformed),
        (json!({"signature": good.to_uppercase()}), SignatureRefusal::Malformed),
        (json!({"signature": as_char}), SignatureRefusal::Malformed),
        (json!({"signature": "a".repeat(60_000)}), SignatureRefusal::Malformed),
        // The algorithm of 2022: 88 characters of base64.
        (json!({"signature": format!("{}==", "A".repeat(86))}), SignatureRefusal::Malformed),
        (json!({"signature": shifted}), SignatureRefusal::Wrong),
        (json!({"signature": "0".repeat(128)}), SignatureRefusal::Wrong),
    ] {
        let mut body = object(VECTORS[0].0);
        body.insert("meta".to_owned(), meta);
        let text = serde_json::Value::Object(body).to_string();
        assert_eq!(read(&text).verify(&[SECRET]), Err(refusal), "{text:.200}");
    }
    assert_eq!(read("{}").verify(&[SECRET]), Err(SignatureRefusal::Missing));
}

#[test]
fn kinds_of_literals_are_signed() {
    let of = |price: &str| format!(r#"{{"meta":{{"service_id":1}},"payment":{{"price":{price}}}}}"#);
    for signed in ["100", "100.0", "\"100.00\"", "\"100\"", "100.5"] {
        for sent in ["100", "100.00", "1e2", "\"100.00\"", "\"100\"", "100.5"] {
            let same = signed == sent || (signed == "100.0" && matches!(sent, "100.00" | "1e2"));
            let got = resigned(&of(sent), &of(signed), Variant::Folded).verify(&[SECRET]);
            let expected = match (signed, sent) {
                _ if same => Ok(Proof { secret: 0, variant: Variant::Raw }),
                ("100.0", "100") => Err(SignatureRefusal::WholeFloat),
                _ => Err(SignatureRefusal::Wrong),
            };
            assert_eq!(got, expected, "signed {signed}, sent {sent}");
        }
    }
}

#[test]
fn a_whole_float_anywhere_is_named() {
    let signed = r#"{"meta":{"service_id":1},"payment":{"price":"9.00"},"order":[{"price":9.0}]}"#;
    let sent = signed.replace("9.0}", "9}");
    assert_eq!(resigned(&sent, signed, Variant::Raw).verify(&[SECRET]), Err(SignatureRefusal::WholeFloat));
    let signed = signed.replace(r#""9.00""#, "9.0");
    let sent = signed.replace("9.0", "9");
    assert_eq!(
        resigned(&sent, &signed, Variant::Folded).verify(&[SECRET]),
        Err(SignatureRefusal::WholeFloat)
    );
}

#[test]
fn a_repetition_has_the_same_digest_however_it_is_spelled() {
    let signed = r#"{"meta":{"service_id":1},"refund":{"price":12.5,"comment":"a b","x":[],"y":["é"]}}"#;
    let respelled = r#"{ "refund" : {"y":{"0":"\u00e9"},"comment":"  a\t\tb", "x":{},"price":1.25e1},"meta":{"service_id":1} }"#;
    let (first, second) =
        (resigned(signed, signed, Variant::Folded), resigned(respelled, signed, Variant::Folded));
    let folded = Ok(Proof { secret: 0, variant: Variant::Folded });
    assert_eq!((first.verify(&[SECRET]), second.verify(&[SECRET])), (folded, folded));
    assert_eq!(first.digest(), second.digest());
    // Signed raw, nothing to fold: white space put in by someone else passes as the folded form.
    let plain = signed.replace("a b", "a+b");
    let spaced = signed.replace("a b", "a \\n b");
    let (first, second) = (resigned(&plain, &plain, Variant::Raw), resigned(&spaced, &plain, Variant::Raw));
    assert_eq!(first.verify(&[SECRET]).unwrap().variant, Variant::Raw);
    assert_eq!(second.verify(&[SECRET]), folded);
    assert_eq!(first.digest(), second.digest());
    // Signed by another version of the signer, or not at all.
    let raw = resigned(signed, signed, Variant::Raw);
    assert_eq!(raw.verify(&[SECRET]).unwrap().variant, Variant::Raw);
    assert_eq!(raw.digest(), read(signed).digest());
}

#[test]
fn another_request_has_another_digest() {
    let bodies = [
        r#"{"refund":{"price":12.5}}"#,
        r#"{"refund":{"price":"12.5"}}"#,
        r#"{"refund":{"price":"12.50"}}"#,
        r#"{"refund":{"price":12.5,"comment":""}}"#,
        r#"{"refund":{"price":12.5,"comment":"a"}}"#,
        r#"{"refund":{"price":12.5,"reference_id":"2"}}"#,
        r#"{"refund":{"price":12.5},"meta":{}}"#,
        r#"{"refund":[12.5]}"#,
        r#"{"refund":12}"#,
        r#"{"refund":12.0}"#,
        r#"{"refund":true}"#,
        r#"{"refund":null}"#,
        r#"{"refund":"a\u00a0b"}"#,
        r#"{"refund":"a+b"}"#,
    ];
    let mut digests: Vec<_> = bodies.iter().map(|body| read(body).digest()).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), bodies.len());
}

#[test]
fn bodies_that_can_be_read_in_two_ways_are_refused() {
    let long = format!(r#"{{"a":"{}"}}"#, "a".repeat(BODY_MAX));
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(32), "]".repeat(32));
    let many = format!(r#"{{"a":[0{}]}}"#, ",0".repeat(10_000));
    for (body, part) in [
        ("", "empty"),
        ("[]", "must be an object"),
        ("\"a\"", "must be an object"),
        ("{", "not valid JSON"),
        (r#"{"a":01}"#, "not valid JSON"),
        (r#"{"a":NaN}"#, "not valid JSON"),
        (r#"{"a":1}{}"#, "not valid JSON"),
        (r#"{"payment":{"price":"1","price":"2"}}"#, "payment.price is given more than once"),
        (r#"{"payment":{"price":"1","pr\u0069ce":"2"}}"#, "payment.price is given more than once"),
        (r#"{"meta":{},"meta":{}}"#, "meta is given more than once"),
        (r#"{"a":[{"b":{"c":1,"c":1}}]}"#, "a.0.b.c is given more than once"),
        (r#"{"a":"\ud800"}"#, "surrogate"),
        (r#"{"a":"\udc00\ud800"}"#, "surrogate"),
        (r#"{"a":"\u0000"}"#, "NUL"),
        (r#"{"a":1e999}"#, "range of a float"),
        (r#"{"a":[-1e999]}"#, "range of a float"),
        (&format!(r#"{{"a":{{"b":{}}}}}"#, "9".repeat(400)), "range of a float"),
        ("\u{feff}{}", "byte order mark"),
        (&deep, "levels deep"),
        (&many, "more than"),
        (&long, "larger than"),
    ] {
        let refusal = SignedBody::read(body.as_bytes()).unwrap_err().to_string();
        assert!(refusal.contains(part), "{body:.60}: {refusal}");
    }
    assert!(SignedBody::read(b"{\"a\":\"\xff\"}").unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn sealing_replaces_what_was_there() {
    for meta in [json!({"signature": "old", "service_id": 1}), json!(null), json!("x")] {
        let body = read(&seal(object(&json!({"meta": meta, "data": {}}).to_string()), SECRET, Variant::Raw));
        assert_eq!(body.verify(&[SECRET]), Ok(Proof { secret: 0, variant: Variant::Raw }));
    }
    assert!(read(&seal(object("{}"), SECRET, Variant::Folded)).verify(&[SECRET]).is_ok());
}

/// A stored request is parsed before it is echoed and signed; the echo is what the merchant sent.
#[test]
fn parsing_keeps_every_float() {
    let text = r#"{"a":1.9364807574795307e-289,"b":12.32,"c":100.0}"#;
    assert_eq!(serde_json::Value::Object(object(text)).to_string(), text);
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|truth| json!(truth)),
        any::<i64>().prop_map(|int| json!(int)),
        any::<u64>().prop_map(|int| json!(int)),
        any::<f64>().prop_map(|float| json!(float)),
        "[^\0]{0,8}".prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::vec(("[^\0]{0,4}|-?[0-9]{1,3}", inner), 0..5)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Another spelling that the folded form does not tell from `value`.
fn respelled(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::String(text) => json!(format!(" \t{}\n", text.replace(' ', "\t \r"))),
        serde_json::Value::Array(items) => {
            let entries = items.iter().enumerate().rev();
            entries.map(|(index, item)| (index.to_string(), respelled(item))).collect()
        }
        serde_json::Value::Object(entries) => {
            entries.iter().rev().map(|(key, value)| (key.clone(), respelled(value))).collect()
        }
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn a_respelled_body_verifies_and_has_the_same_digest(value in json_value()) {
        let body = object(&json!({"meta": {"service_id": 1}, "data": value}).to_string());
        let sent = seal(body, SECRET, Variant::Folded);
        let signature = object(&sent)["meta"]["signature"].clone();
        let mut other = respelled(&serde_json::Value::Object(object(&sent)));
        other["meta"]["signature"] = signature;
        let (sent, other) = (read(&sent), read(&other.to_string()));
        prop_assert!(other.verify(&[SECRET]).is_ok());
        prop_assert_eq!(sent.digest(), other.digest());
    }

    #[test]
    fn what_is_sent_is_what_was_signed(value in json_value(), folded: bool) {
        let variant = if folded { Variant::Folded } else { Variant::Raw };
        let sent = seal(object(&json!({"data": value}).to_string()), SECRET, variant);
        prop_assert!(read(&sent).verify(&[SECRET]).is_ok(), "{sent}");
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = SignedBody::read(&body).map(|body| (body.verify(&[SECRET]), body.digest()));
    }

    #[test]
    fn near_json_is_read_or_refused(body in r#"\{"meta":\{("signature":"[0-9a-f]{128}"[,}]{1,2})?[{}\[\]",:\\u0-9eE.+\-a-f ntrls]{0,40}"#) {
        let _ = SignedBody::read(body.as_bytes()).map(|body| (body.verify(&[SECRET]), body.digest()));
    }

    #[test]
    fn damaged_bodies_never_verify(at in any::<prop::sample::Index>(), byte: u8) {
        let mut sent = seal(object(VECTORS[4].0), SECRET, Variant::Folded).into_bytes();
        let at = at.index(sent.len());
        prop_assume!(sent[at] != byte);
        let before = SignedBody::read(&sent).unwrap().digest();
        sent[at] = byte;
        if let Ok(body) = SignedBody::read(&sent) {
            // White space between tokens, or another spelling of one number, changes nothing.
            prop_assert!(body.verify(&[SECRET]).is_err() || body.digest() == before);
        }
    }
}
