//! Our canonical form beside that of PHP itself, by the class in `tests/clients/php`.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

const SECRET: &str = "php \u{1f511} secret";
const BODIES: usize = 2_000;
const NUMBERS: usize = 30_000;

/// JSON text of one value, with a spelling chosen by chance.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        1 => Just("null".to_owned()),
        1 => Just("true".to_owned()),
        1 => Just("false".to_owned()),
        4 => number(),
        4 => text(),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        let items = prop_oneof![5 => vec(inner.clone(), 0..4), 1 => vec(inner.clone(), 10..13)];
        prop_oneof![
            (items, space()).prop_map(|(items, space)| format!("[{}]", items.join(&format!("{space},")))),
            members(inner).prop_map(|members| format!("{{{members}}}")),
        ]
    })
}

fn space() -> impl Strategy<Value = String> {
    "[ \t\r]{0,2}"
}

/// Members of an object without its braces; no name twice.
fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop_oneof![
        3 => any_text(),
        3 => "-?[0-9]{1,3}".prop_map(|name| name),
        1 => Just("9223372036854775807".to_owned()),
        1 => Just("9223372036854775808".to_owned()),
        1 => Just("-9223372036854775808".to_owned()),
        1 => Just("-9223372036854775809".to_owned()),
        1 => Just("signature".to_owned()),
    ];
    vec((name, vec(any::<u8>(), 1..8), value, space()), 0..6).prop_map(|entries| {
        let mut seen = std::collections::HashSet::new();
        let entries = entries.into_iter().filter(|(name, ..)| seen.insert(name.clone()));
        let entries = entries.map(|(name, style, value, space)| {
            format!("{space}{}{space}:{space}{value}", spell(&name, &style))
        });
        entries.collect::<Vec<_>>().join(",")
    })
}

/// Literals at the limits of integers and floats, and where the form of the text changes.
const EDGES: &[&str] = &[
    "0",
    "-0",
    "-0.0",
    "0.0",
    "0e0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "9007199254740993",
    "9007199254740993.0",
    "9007199254740992.9999999999999999999999",
    "100.0",
    "1e2",
    "12.320000000000000001",
    "0.1",
    "0.30000000000000004",
    "5e-324",
    "2.4703282292062328e-324",
    "2.4703282292062327e-324",
    "2.2250738585072011e-308",
    "2.2250738585072014e-308",
    "1.7976931348623157e308",
    "1e-400",
    "999999999999999.99",
    "9999999999999999.9",
    "99999999999999999.0",
    "99999999999999990.0",
];

fn number() -> impl Strategy<Value = String> {
    let float = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |float| float.is_finite());
    let scaled = (any::<i64>(), -330_i32..290);
    let literals = prop_oneof![
        2 => prop::sample::select(EDGES).prop_map(|edge: &str| edge.to_owned()),
        2 => any::<i64>().prop_map(|int| int.to_string()),
        1 => (-1000_i64..1000).prop_map(|int| int.to_string()),
        1 => (0_u64..2000).prop_map(|below| (i64::MAX as u64 + 1000 - below).to_string()),
        1 => "-?[1-9][0-9]{17,40}",
        2 => "-?(0|[1-9][0-9]{0,20})\\.[0-9]{1,25}",
        2 => "-?(0|[1-9][0-9]{0,6})\\.[0-9]{2}",
        2 => "-?[1-9](\\.[0-9]{1,30})?[eE][+-]?[0-9]{1,2}",
        1 => (-25_i32..25).prop_map(|exponent| format!("1e{exponent}")),
        2 => scaled.prop_map(|(digits, exponent)| format!("{digits}E{exponent}")),
        3 => float.prop_map(|float| format!("{float:e}")),
        1 => float_in_full(),
        // The gap below a power of two is half of the one above.
        1 => (0_u64..2046, -1_i64..2).prop_map(|(exponent, aside)| {
            format!("{:e}", f64::from_bits((exponent << 52).saturating_add_signed(aside)))
        }),
    ];
    literals.prop_filter("finite", |literal| literal.parse::<f64>().is_ok_and(f64::is_finite))
}

/// All digits of a float, and of the middle between two, where rounding is decided by the last of them.
fn float_in_full() -> impl Strategy<Value = String> {
    (1_u64..1 << 53, 1_i32..70, any::<bool>()).prop_map(|(mantissa, halvings, middle)| {
        let mantissa = u128::from(mantissa) * 2 + u128::from(middle);
        let power = 1_u128 << halvings;
        let mut text = format!("{}.", mantissa / power);
        let mut rest = mantissa % power;
        for _ in 0..halvings {
            rest *= 10;
            let _ = write!(text, "{}", rest / power);
            rest %= power;
        }
        text
    })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[a-z_ ]{0,12}",
        2 => "[ \t\n\r\u{b}\u{c}+a\u{a0}\u{85}\u{2003}\u{2028}é]{0,12}",
        2 => vec(any::<char>(), 0..10).prop_map(|chars| chars.into_iter().filter(|c| *c != '\0').collect()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    (any_text(), vec(any::<u8>(), 1..8)).prop_map(|(text, style)| spell(&text, &style))
}

/// `text` as a JSON string, each character plain or escaped as `style` has it.
fn spell(text: &str, style: &[u8]) -> String {
    let mut out = String::from("\"");
    for (place, c) in text.chars().enumerate() {
        let short = match c {
            '"' => Some("\\\""),
            '\\' => Some("\\\\"),
            '/' => Some("\\/"),
            '\u{8}' => Some("\\b"),
            '\u{c}' => Some("\\f"),
            '\n' => Some("\\n"),
            '\r' => Some("\\r"),
            '\t' => Some("\\t"),
            _ => None,
        };
        let must = c < ' ' || matches!(c, '"' | '\\');
        match (style[place % style.len()] % 4, short) {
            (0 | 1, _) if !must => out.push(c),
            (0..3, Some(short)) => out.push_str(short),
            (turn, _) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ =
                        if turn == 3 { write!(out, "\\u{unit:04X}") } else { write!(out, "\\u{unit:04x}") };
                }
            }
        }
    }
    out.push('"');
    out
}

/// The text of a body whose `meta` has these members and a signature of ours.
fn signed(meta: &str, rest: &str, variant: Variant) -> Option<String> {
    let template = |signature: &str| {
        let comma = if meta.is_empty() { "" } else { "," };
        format!("{{\"body\":{{{rest}}},\"meta\":{{\"signature\":\"{signature}\"{comma}{meta}}}}}")
    };
    // Refused when the members have a signature of their own.
    let unsigned = SignedBody::read(template("").as_bytes()).ok()?;
    Some(template(&signature_of(&unsigned.entries, SECRET.as_bytes(), variant)))
}

fn php() -> PathBuf {
    let php = std::env::var_os("PAYMENTGATE_PHP");
    PathBuf::from(php.expect("PAYMENTGATE_PHP is not set: run cargo xtask test"))
}

/// Asks one PHP process about all of `texts`.
fn compare(texts: &[String]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/php/compare.php");
    let mut command = Command::new(php());
    // An ini file of another opinion on floats must not change what is signed.
    command.args(["-d", "serialize_precision=17"]).arg(script).arg(SECRET);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = texts.join("\n");
    // On a thread of its own: PHP answers while it is still being asked.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    for text in texts {
        let answer = answers.next().unwrap_or_else(|| panic!("PHP stopped at {text}")).unwrap();
        let answer = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} for {text}"));
        compare_one(text, &answer);
    }
    assert!(answers.next().is_none());
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
}

fn compare_one(text: &str, answer: &serde_json::Value) {
    let body = SignedBody::read(text.as_bytes()).unwrap();
    for (variant, name) in [(Variant::Raw, "raw"), (Variant::Folded, "folded")] {
        let ours = String::from_utf8(canonical::of_body(&body.entries, variant)).unwrap();
        assert_eq!(answer[format!("{name}_bytes")], ours.as_str(), "{text}");
        let ours = signature_of(&body.entries, SECRET.as_bytes(), variant);
        assert_eq!(answer[name], ours.as_str(), "{text}");
    }
    assert!(body.verify(&[SECRET.as_bytes()]).is_ok(), "{text}");
    assert_eq!(answer["verified"], true, "PHP does not believe {text}");
    let sealed = SignedBody::read(answer["sealed"].as_str().unwrap().as_bytes()).unwrap();
    assert!(sealed.verify(&[SECRET.as_bytes()]).is_ok(), "we do not believe {answer}");
}

#[test]
fn php_agrees_on_bodies() {
    let mut runner = TestRunner::default();
    let body = (members(json()), members(json()), any::<bool>());
    let mut texts = Vec::with_capacity(BODIES);
    while texts.len() < BODIES {
        let (meta, rest, folded) = body.new_tree(&mut runner).unwrap().current();
        texts.extend(signed(&meta, &rest, if folded { Variant::Folded } else { Variant::Raw }));
    }
    compare(&texts);
}

#[test]
fn php_agrees_on_numbers() {
    let mut runner = TestRunner::default();
    let numbers = vec(number(), 500);
    let texts: Vec<String> = (0..NUMBERS / 500)
        .map(|_| {
            let numbers = numbers.new_tree(&mut runner).unwrap().current().join(",");
            signed("", &format!("\"n\":[{numbers}]"), Variant::Raw).unwrap()
        })
        .collect();
    compare(&texts);
}
