use super::super::*;
use super::{assert_cheap, outcome};

#[test]
fn trees_and_refusals() {
    let cases = [
        ("", "{}"),
        ("{}", "{}"),
        (" \t\r\n{ } \n", "{}"),
        (
            r#"{"amount":1000,"confirm":true,"off_session":false,"customer":null}"#,
            "{amount:1000,confirm:true,off_session:false,customer:null}",
        ),
        (
            r#" { "a" : [ 1 , "x" , [ ] , { } ] , "b" : { "c" : { "d" : [ ] } } } "#,
            r#"{a:[1,"x",[],{}],b:{c:{d:[]}}}"#,
        ),
        // Numbers stay as they were sent
        (r#"{"a":[0,-0,-1,1.5,1e3,1E+3,0.10e-7]}"#, "{a:[0,-0,-1,1.5,1e3,1E+3,0.10e-7]}"),
        (r#"{"a":9007199254740993}"#, "{a:9007199254740993}"),
        (r#"{"a":1e999999}"#, "{a:1e999999}"),
        (r#"{"a":100000000000000000000000000000000000}"#, "{a:100000000000000000000000000000000000}"),
        (r#"{"a":01}"#, "!request_body_invalid"),
        (r#"{"a":+1}"#, "!request_body_invalid"),
        (r#"{"a":.5}"#, "!request_body_invalid"),
        (r#"{"a":1.}"#, "!request_body_invalid"),
        (r#"{"a":1e}"#, "!request_body_invalid"),
        (r#"{"a":1e+}"#, "!request_body_invalid"),
        (r#"{"a":-}"#, "!request_body_invalid"),
        (r#"{"a":--1}"#, "!request_body_invalid"),
        (r#"{"a":1-2}"#, "!request_body_invalid"),
        (r#"{"a":0x10}"#, "!request_body_invalid"),
        (r#"{"a":1_000}"#, "!request_body_invalid"),
        (r#"{"a":NaN}"#, "!request_body_invalid"),
        (r#"{"a":Infinity}"#, "!request_body_invalid"),
        (r#"{"a":-Infinity}"#, "!request_body_invalid"),
        // Strings
        (r#"{"a":"\" \\ \/ \b \f \n \r \t \u00fc \u20AC"}"#, r#"{a:"\" \\ / \u{8} \u{c} \n \r \t ü €"}"#),
        (r#"{"a":"\ud83d\ude00"}"#, r#"{a:"😀"}"#),
        (r#"{"a":"ü😀"}"#, r#"{a:"ü😀"}"#),
        (r#"{"\u0061":1}"#, "{a:1}"),
        (r#"{"a":"\ud83d"}"#, "!request_body_invalid"),
        (r#"{"a":"\ud83d."}"#, "!request_body_invalid"),
        (r#"{"a":"\ud83d\u0041"}"#, "!request_body_invalid"),
        (r#"{"a":"\ud83d\ud83d"}"#, "!request_body_invalid"),
        (r#"{"a":"\ude00\ud83d"}"#, "!request_body_invalid"),
        (r#"{"a":"\ud83d\n"}"#, "!request_body_invalid"),
        (r#"{"\ude00":1}"#, "!request_body_invalid"),
        (r#"{"a":"\u0000"}"#, "!request_body_invalid"),
        (r#"{"a":"\u00"}"#, "!request_body_invalid"),
        (r#"{"a":"\u00g0"}"#, "!request_body_invalid"),
        (r#"{"a":"\u+041"}"#, "!request_body_invalid"),
        (r#"{"a":"\u00€"}"#, "!request_body_invalid"),
        (r#"{"a":"\x41"}"#, "!request_body_invalid"),
        (r#"{"a":"\u{41}"}"#, "!request_body_invalid"),
        ("{\"a\":\"\n\"}", "!request_body_invalid"),
        ("{\"a\":\"\0\"}", "!request_body_invalid"),
        ("{'a':1}", "!request_body_invalid"),
        // Names given twice, also by another spelling
        (r#"{"amount":1,"amount":2}"#, "!parameter_duplicate amount"),
        (r#"{"amount":1,"\u0061mount":1}"#, "!parameter_duplicate amount"),
        (r#"{"a":{"b":[0,{"c":1,"d":2,"c":3}]}}"#, "!parameter_duplicate a[b][1][c]"),
        (r#"{"a":1,"A":2,"b":{"a":1}}"#, "{a:1,A:2,b:{a:1}}"),
        // Structure
        ("[]", "!request_body_invalid"),
        ("null", "!request_body_invalid"),
        ("1", "!request_body_invalid"),
        ("\"a\"", "!request_body_invalid"),
        ("   ", "!request_body_invalid"),
        ("{", "!request_body_invalid"),
        ("}", "!request_body_invalid"),
        (r#"{"a"}"#, "!request_body_invalid"),
        (r#"{"a":}"#, "!request_body_invalid"),
        (r#"{"a":1"#, "!request_body_invalid"),
        (r#"{"a":1,}"#, "!request_body_invalid"),
        (r#"{,"a":1}"#, "!request_body_invalid"),
        (r#"{"a":1 "b":2}"#, "!request_body_invalid"),
        (r#"{"a":[1,]}"#, "!request_body_invalid"),
        (r#"{"a":[1 2]}"#, "!request_body_invalid"),
        (r#"{"a":[1"#, "!request_body_invalid"),
        (r#"{"a":[1}}"#, "!request_body_invalid"),
        (r#"{"a":"x"#, "!request_body_invalid"),
        (r#"{"a":"x\"#, "!request_body_invalid"),
        (r#"{"a":"\u12"#, "!request_body_invalid"),
        (r#"{"a":nul}"#, "!request_body_invalid"),
        (r#"{"a":nullx}"#, "!request_body_invalid"),
        (r#"{"a":True}"#, "!request_body_invalid"),
        (r#"{a:1}"#, "!request_body_invalid"),
        (r#"{1:1}"#, "!request_body_invalid"),
        ("{} x", "!request_body_invalid"),
        ("{}{}", "!request_body_invalid"),
        ("{}\0", "!request_body_invalid"),
        ("{} // c", "!request_body_invalid"),
        ("/**/{}", "!request_body_invalid"),
        ("{\u{a0}}", "!request_body_invalid"),
        ("\u{feff}{}", "!request_body_invalid"),
        ("amount=1", "!request_body_invalid"),
    ];
    for (body, expected) in cases {
        assert_eq!(outcome(&Params::from_json(body.as_bytes())), expected, "{body:?}");
    }
}

#[test]
fn other_encodings_are_refused() {
    let utf16_le: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_bom = [b"\xFF\xFE".as_slice(), &utf16_le].concat();
    let utf16_be: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for body in [&utf16_le[..], &utf16_bom, &utf16_be, b"{\"a\":\"\xff\"}", b"{\"a\":\"\xed\xa0\x80\"}"] {
        assert_eq!(outcome(&Params::from_json(body)), "!request_body_invalid", "{body:?}");
    }
}

#[test]
fn limits_hold_exactly() {
    // The object is the outermost level.
    let arrays = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(Params::from_json(arrays(MAX_JSON_DEPTH).as_bytes()).is_ok());
    let over = Params::from_json(arrays(MAX_JSON_DEPTH + 1).as_bytes());
    assert_eq!(outcome(&over), "!request_too_complex");

    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(Params::from_json(objects(MAX_JSON_DEPTH).as_bytes()).is_ok());
    let over = Params::from_json(objects(MAX_JSON_DEPTH + 1).as_bytes());
    assert_eq!(outcome(&over), "!request_too_complex");

    // The array is a value, too.
    let nodes = |count: usize| format!("{{\"a\":[{}]}}", vec!["1"; count - 1].join(","));
    assert!(Params::from_json(nodes(MAX_JSON_NODES).as_bytes()).is_ok());
    let over = Params::from_json(nodes(MAX_JSON_NODES + 1).as_bytes());
    assert_eq!(outcome(&over), "!request_too_complex");
}

#[test]
fn bombs_are_refused_cheaply() {
    let body = 64 * 1024;
    let keys = |count: usize| (0..count).map(|i| format!("\"{i:04}\":1")).collect::<Vec<_>>().join(",");
    let same_prefix: Vec<String> = (0..900).map(|i| format!("\"{i:060}\":1")).collect();
    let bombs = [
        ("deep arrays", format!("{{\"a\":{}", "[".repeat(10_000))),
        ("deep objects", "{\"a\":".repeat(10_000)),
        ("7,000 keys", format!("{{{}}}", keys(7_000))),
        ("a million keys", format!("{{{}}}", keys(1_000_000))),
        ("keys with one prefix", format!("{{{}}}", same_prefix.join(","))),
        ("long string", format!("{{\"a\":\"{}\"}}", "x".repeat(body))),
        ("unterminated string", format!("{{\"a\":\"{}", "x".repeat(body))),
        ("escapes", format!("{{\"a\":\"{}\"}}", "\\ud83d\\ude00".repeat(body / 12))),
        ("backslashes", format!("{{\"a\":\"{}\"}}", "\\".repeat(body))),
        ("digits", format!("{{\"a\":{}}}", "9".repeat(body))),
        ("exponent", format!("{{\"a\":1e{}}}", "9".repeat(body))),
        ("spaces", format!("{{{}", " ".repeat(body))),
        ("commas", format!("{{\"a\":[{}", ",".repeat(body))),
        ("empty arrays", format!("{{\"a\":[{}]}}", vec!["[]"; 20_000].join(","))),
    ];
    for (what, bomb) in bombs {
        assert_cheap(what, || Params::from_json(bomb.as_bytes()));
    }
}

#[test]
fn errors_say_where_and_never_repeat_the_body() {
    let error = Params::from_json(br#"{"card":"4242424242424242",}"#).unwrap_err();
    assert_eq!(error.message, "The body is not valid JSON: it lacks a name in double quotes (at byte 27).");
    let error = Params::from_json(b"{\"a\":").unwrap_err();
    assert_eq!(error.message, "The body is not valid JSON: it ends where a value was expected (at byte 5).");
}
