//! The bytes that a signature is made over: PHP's `serialize()` of the decoded body, with every map and
//! every list sorted by key, and without `meta.signature`.

use std::borrow::Cow;

use web::params::Value;

use super::Variant;
use super::float::php_text;

/// A number as PHP decodes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    /// A literal with a fraction or an exponent, or an integer outside `i64`.
    Float(f64),
}

impl Number {
    /// From a literal that the JSON reader has passed. One beyond the range of a float is infinite.
    pub fn of(literal: &str) -> Number {
        let float = || Number::Float(literal.parse().unwrap_or(f64::INFINITY));
        if literal.contains(['.', 'e', 'E']) {
            return float();
        }
        literal.parse().map_or_else(|_| float(), Number::Int)
    }

    /// As PHP prints it: what was signed, whatever the literal's spelling.
    pub fn text(self) -> String {
        match self {
            Number::Int(int) => int.to_string(),
            Number::Float(float) => php_text(float),
        }
    }
}

/// The canonical bytes of a whole body.
pub fn of_body(body: &[(String, Value)], variant: Variant) -> Vec<u8> {
    let mut out = Vec::new();
    sorted(body.iter().map(|(key, value)| (Cow::from(key), value)).collect(), &mut out, |key, value, out| {
        match value {
            Value::Map(meta) if key == "meta" => {
                let unsigned = meta.iter().filter(|(key, _)| key != "signature");
                map(unsigned, variant, out);
            }
            _ => write(value, variant, out),
        }
    });
    out
}

fn write(value: &Value, variant: Variant, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend(b"N;"),
        Value::Bool(truth) => out.extend(if *truth { b"b:1;" } else { b"b:0;" }),
        Value::Number(literal) => match Number::of(literal) {
            Number::Int(int) => out.extend(format!("i:{int};").bytes()),
            Number::Float(float) => out.extend(format!("d:{};", php_text(float)).bytes()),
        },
        Value::Text(text) => match variant {
            Variant::Raw => string(text, out),
            Variant::Folded => string(&fold(text), out),
        },
        Value::Map(entries) => map(entries.iter(), variant, out),
        Value::List(items) => {
            let entries = items.iter().enumerate();
            let entries = entries.map(|(index, item)| (Cow::from(index.to_string()), item)).collect();
            sorted(entries, out, |_, item, out| write(item, variant, out));
        }
    }
}

fn map<'v>(entries: impl Iterator<Item = &'v (String, Value)>, variant: Variant, out: &mut Vec<u8>) {
    let entries = entries.map(|(key, value)| (Cow::from(key), value)).collect();
    sorted(entries, out, |_, value, out| write(value, variant, out));
}

/// An array of PHP's, of the entries in the byte order of their keys; a list's keys are its indexes as text,
/// so that item 10 stands before item 2.
fn sorted(
    mut entries: Vec<(Cow<'_, str>, &Value)>,
    out: &mut Vec<u8>,
    mut write_value: impl FnMut(&str, &Value, &mut Vec<u8>),
) {
    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    out.extend(format!("a:{}:{{", entries.len()).bytes());
    for (key, value) in entries {
        match integer_key(&key) {
            Some(int) => out.extend(format!("i:{int};").bytes()),
            None => string(&key, out),
        }
        write_value(&key, value, out);
    }
    out.push(b'}');
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.extend(format!("s:{}:\"", text.len()).bytes());
    out.extend(text.bytes());
    out.extend(b"\";");
}

/// PHP turns a key into an integer when it is exactly how that integer is written.
fn integer_key(key: &str) -> Option<i64> {
    key.parse::<i64>().ok().filter(|int| int.to_string() == key)
}

/// What newer signers do to a text value before they sign it. Bytes, not Unicode: a no-break space stays.
pub fn fold(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim_matches([' ', '\n', '\r', '\t', '\u{b}', '\0']);
    if !trimmed.contains(is_blank) {
        return Cow::from(trimmed);
    }
    let mut folded = String::with_capacity(trimmed.len());
    let mut in_run = false;
    for c in trimmed.chars() {
        let blank = is_blank(c);
        if !blank {
            folded.push(c);
        } else if !in_run {
            folded.push('+');
        }
        in_run = blank;
    }
    Cow::from(folded)
}

/// The white space that folding turns into `+` or strips (with NUL, which the reader refuses).
pub fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use web::params::Params;

    use super::*;

    fn canonical(json: &str, variant: Variant) -> String {
        let params = Params::from_json(json.as_bytes()).unwrap();
        String::from_utf8(of_body(params.entries(), variant)).unwrap()
    }

    #[test]
    fn kinds_and_keys() {
        let cases = [
            (r#"{"a":100}"#, r#"a:1:{s:1:"a";i:100;}"#),
            (r#"{"a":100.00}"#, r#"a:1:{s:1:"a";d:100;}"#),
            (r#"{"a":1e2}"#, r#"a:1:{s:1:"a";d:100;}"#),
            (r#"{"a":"100.00"}"#, r#"a:1:{s:1:"a";s:6:"100.00";}"#),
            (r#"{"a":-0}"#, r#"a:1:{s:1:"a";i:0;}"#),
            (r#"{"a":-0.0}"#, r#"a:1:{s:1:"a";d:-0;}"#),
            (r#"{"a":9223372036854775807}"#, r#"a:1:{s:1:"a";i:9223372036854775807;}"#),
            (r#"{"a":9223372036854775808}"#, r#"a:1:{s:1:"a";d:9.223372036854776E+18;}"#),
            (r#"{"a":-9223372036854775808}"#, r#"a:1:{s:1:"a";i:-9223372036854775808;}"#),
            (r#"{"a":null,"b":true,"c":false}"#, r#"a:3:{s:1:"a";N;s:1:"b";b:1;s:1:"c";b:0;}"#),
            (r#"{"a":{}}"#, r#"a:1:{s:1:"a";a:0:{}}"#),
            (r#"{"a":[]}"#, r#"a:1:{s:1:"a";a:0:{}}"#),
            (r#"{"b":1,"a":2,"B":3}"#, r#"a:3:{s:1:"B";i:3;s:1:"a";i:2;s:1:"b";i:1;}"#),
            (r#"{"10":1,"9":2,"007":3,"-5":4}"#, r#"a:4:{i:-5;i:4;s:3:"007";i:3;i:10;i:1;i:9;i:2;}"#),
            (r#"{"-0":1,"":2,"+1":3}"#, r#"a:3:{s:0:"";i:2;s:2:"+1";i:3;s:2:"-0";i:1;}"#),
            (r#"{"9223372036854775808":1}"#, r#"a:1:{s:19:"9223372036854775808";i:1;}"#),
            (r#"{"ž":"€"}"#, r#"a:1:{s:2:"ž";s:3:"€";}"#),
            (r#"{"meta":{"signature":"x"}}"#, r#"a:1:{s:4:"meta";a:0:{}}"#),
            (r#"{"x":{"signature":"y"}}"#, r#"a:1:{s:1:"x";a:1:{s:9:"signature";s:1:"y";}}"#),
            (r#"{"signature":"y"}"#, r#"a:1:{s:9:"signature";s:1:"y";}"#),
        ];
        for (json, expected) in cases {
            assert_eq!(canonical(json, Variant::Raw), expected, "{json}");
            assert_eq!(canonical(json, Variant::Folded), expected, "{json}");
        }
    }

    #[test]
    fn lists_sort_as_text() {
        let json = r#"{"l":[0,1,2,3,4,5,6,7,8,9,10]}"#;
        assert!(canonical(json, Variant::Raw).contains("i:1;i:1;i:10;i:10;i:2;i:2;"));
        let same = r#"{"l":{"2":2,"0":0,"1":1}}"#;
        assert_eq!(canonical(same, Variant::Raw), canonical(r#"{"l":[0,1,2]}"#, Variant::Raw));
    }

    #[test]
    fn folding() {
        let cases = [
            ("", ""),
            ("a b", "a+b"),
            ("  a \t\n b  ", "a+b"),
            ("\0 a\u{b}b\0", "a+b"),
            ("\u{c}a\u{c}", "+a+"),
            (" \t ", ""),
            ("a\u{a0}b\u{2003}c\u{85}d", "a\u{a0}b\u{2003}c\u{85}d"),
            ("a+b", "a+b"),
        ];
        for (text, folded) in cases {
            assert_eq!(fold(text), folded, "{text:?}");
        }
        assert_eq!(canonical(r#"{"a b":"a b"}"#, Variant::Folded), r#"a:1:{s:3:"a b";s:3:"a+b";}"#);
    }

    proptest! {
        /// The digest of a request relies on it: what is folded already is its own folding.
        #[test]
        fn folding_twice_is_folding_once(text in "[ \t\n\r\u{b}\u{c}\0+a\u{a0}é]{0,12}") {
            let once = fold(&text).into_owned();
            prop_assert_eq!(fold(&once), once.as_str());
        }
    }
}
