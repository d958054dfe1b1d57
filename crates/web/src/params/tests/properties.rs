//! Properties that hold for all inputs, checked on random ones.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::super::*;
use super::{show, show_map};

/// What a form can carry. An index map stands for a list, as in `a[0]=x`.
fn form_value(depth: u32) -> impl Strategy<Value = Value> {
    let text = any::<String>().prop_map(|text| Value::Text(text.replace('\0', "")));
    let list = vec(any::<String>(), 1..5).prop_map(|items| {
        Value::List(items.iter().map(|item| Value::Text(item.replace('\0', ""))).collect())
    });
    prop_oneof![4 => text, 1 => list].prop_recursive(depth, 60, 5, |inner| {
        let key = prop_oneof!["[a-z_]{1,8}", "[0-9]{1,3}", "[^\\[\\]\0]{1,6}"];
        btree_map(key, inner, 1..5).prop_map(|entries| Value::Map(entries.into_iter().collect()))
    })
}

fn form_params() -> impl Strategy<Value = Vec<(String, Value)>> {
    btree_map("[A-Za-z0-9_.-]{1,10}", form_value(4), 0..6).prop_map(|entries| entries.into_iter().collect())
}

/// What JSON can carry.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,6})?".prop_map(Value::Number),
        any::<String>().prop_map(|text| Value::Text(text.replace('\0', ""))),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            btree_map("[^\0]{0,6}", inner, 0..5)
                .prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

/// Percent-encodes all but letters and digits; brackets too if `brackets`.
fn escape(text: &str, brackets: bool, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'[' | b']' if !brackets => out.push(char::from(byte)),
            b if b.is_ascii_alphanumeric() => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02x}")),
        }
    }
}

fn encode_form(name: &str, value: &Value, brackets: bool, out: &mut String) {
    match value {
        Value::Map(entries) => {
            for (key, child) in entries {
                encode_form(&format!("{name}[{key}]"), child, brackets, out);
            }
        }
        Value::List(items) => {
            for item in items {
                encode_form(&format!("{name}[]"), item, brackets, out);
            }
        }
        Value::Text(text) => {
            escape(name, brackets, out);
            out.push('=');
            escape(text, true, out);
            out.push('&');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => unreachable!("not in forms"),
    }
}

fn encode_text(text: &str, escaped: bool) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        let plain = !matches!(c, '"' | '\\') && c as u32 > 0x1F;
        if plain && !escaped {
            out.push(c);
        } else {
            let mut units = [0; 2];
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out.push('"');
    out
}

fn encode_json(value: &Value, escaped: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(literal) => literal.clone(),
        Value::Text(text) => encode_text(text, escaped),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| encode_json(item, escaped)).collect();
            format!("[{}]", items.join(" ,"))
        }
        Value::Map(entries) => {
            let pair = |(key, value): &(String, Value)| {
                format!("{}: {}", encode_text(key, escaped), encode_json(value, escaped))
            };
            format!("{{\n{} }}", entries.iter().map(pair).collect::<Vec<_>>().join(","))
        }
    }
}

fn digest(entries: &[(String, Value)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Params(entries.to_vec()).canonical(&[], &mut |chunk| bytes.extend_from_slice(chunk));
    bytes
}

/// Reads everything in every way; only the absence of panics counts.
fn read_all(params: &Params) {
    let mut reader = params.reader();
    for (name, _) in params.entries() {
        let _ = reader.text(name, 20);
        let _ = reader.multiline(name, 20);
        let _ = reader.raw_text(name, 20);
        let _ = reader.integer(name, -5, 5);
        let _ = reader.boolean(name);
        let _ = reader.one_of(name, &["a", "b"]);
        let _ = reader.texts(name, 5, 20);
        let _ = reader.range(name);
        let _ = reader.objects(name, 5);
        let _ = reader.metadata(name).map(|patch| patch.map(|patch| patch.apply(&mut Vec::new())));
        let _ = reader.object(name).map(|object| object.map(Reader::finish));
    }
    assert!(reader.finish().is_ok());
    let _ = params.reader().finish();
    params.canonical(&["a.b", "c"], &mut |_| {});
}

/// Bytes that are more often meaningful to the parsers than random ones.
fn tricky(alphabet: &'static [&'static str]) -> impl Strategy<Value = String> {
    vec(proptest::sample::select(alphabet), 0..60).prop_map(|parts| parts.concat())
}

const FORM_PARTS: &[&str] = &[
    "a", "b", "0", "1", "[", "]", "[]", "[a]", "[0]", "=", "&", "%", "%5B", "%5d", "%00", "%ff", "%c3%bc",
    "+", "ü", "\0",
];
const JSON_PARTS: &[&str] = &[
    "{", "}", "[", "]", "\"", "\"a\"", "\"b\":", ":", ",", "1", "-", "0", ".", "e", "null", "true", "\\",
    "\\u", "d83d", "\\ude00", "ü", " ", "\n", "\0",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let wrapped = [b"{\"a\":\"".as_slice(), &bytes, b"\"}"].concat();
        let parsed = [Params::from_form(&bytes), Params::from_json(&bytes), Params::from_json(&wrapped)];
        for params in parsed.into_iter().flatten() {
            read_all(&params);
        }
    }

    #[test]
    fn tricky_forms_never_panic(body in tricky(FORM_PARTS)) {
        if let Ok(params) = Params::from_query(&body) {
            read_all(&params);
        }
    }

    #[test]
    fn tricky_json_never_panics(body in tricky(JSON_PARTS)) {
        if let Ok(params) = Params::from_json(format!("{{\"a\":{body}}}").as_bytes()) {
            read_all(&params);
        }
    }

    /// Whatever is accepted is what the independent general-purpose parser reads.
    #[test]
    fn accepted_json_is_json(body in tricky(JSON_PARTS)) {
        let body = format!("{{\"a\":{body}}}");
        if Params::from_json(body.as_bytes()).is_ok() {
            let other = serde_json::from_str::<&serde_json::value::RawValue>(&body);
            prop_assert!(other.is_ok(), "{body}");
        }
    }

    #[test]
    fn forms_round_trip(entries in form_params(), brackets in any::<bool>()) {
        let mut body = String::new();
        for (name, value) in &entries {
            encode_form(name, value, brackets, &mut body);
        }
        let parsed = Params::from_form(body.as_bytes());
        prop_assert_eq!(parsed.map(|params| show_map(params.entries())), Ok(show_map(&entries)), "{}", body);
    }

    #[test]
    fn json_round_trips(value in json_value(), escaped in any::<bool>()) {
        let body = format!("{{\"v\":{}}}", encode_json(&value, escaped));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok() || body.contains(['e', 'E']));
        let parsed = Params::from_json(body.as_bytes());
        prop_assert_eq!(parsed.map(|params| show_map(params.entries())), Ok(format!("{{v:{}}}", show(&value))));
    }

    /// Equal fingerprints mean equal parameters, apart from order.
    #[test]
    fn fingerprints_are_injective(a in json_value(), b in json_value()) {
        let entries = |value: &Value| [("v".to_owned(), value.clone())];
        // The generator sorts keys, so equality here is equality up to order.
        prop_assert_eq!(digest(&entries(&a)) == digest(&entries(&b)), a == b);
    }

    #[test]
    fn fingerprints_ignore_order(entries in form_params(), turn in 0_usize..6) {
        let mut turned = entries.clone();
        let by = turn.min(turned.len());
        turned.rotate_left(by);
        prop_assert_eq!(digest(&entries), digest(&turned));
    }

    #[test]
    fn integers_are_read_exactly(number in any::<i64>()) {
        for params in [
            Params::from_form(format!("n={number}").as_bytes()),
            Params::from_json(format!("{{\"n\":{number}}}").as_bytes()),
        ] {
            let params = params.unwrap_or_else(|error| panic!("{error}"));
            prop_assert_eq!(params.reader().integer("n", i64::MIN, i64::MAX), Ok(Some(number)));
        }
    }
}
