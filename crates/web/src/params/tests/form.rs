use super::super::*;
use super::{assert_cheap, outcome};

#[test]
fn trees_and_refusals() {
    let cases = [
        ("", "{}"),
        ("&&", "{}"),
        ("amount=1000&currency=eur", r#"{amount:"1000",currency:"eur"}"#),
        ("a", r#"{a:""}"#),
        ("a=", r#"{a:""}"#),
        ("a=b=c", r#"{a:"b=c"}"#),
        ("a=x+y%2Bz%26", r#"{a:"x y+z&"}"#),
        ("a=%C3%BC%e2%82%ac", r#"{a:"ü€"}"#),
        ("a=\u{fc}", r#"{a:"ü"}"#),
        // Nested maps, literal and percent-encoded brackets
        ("card[number]=42&card[exp]=1", r#"{card:{number:"42",exp:"1"}}"#),
        ("card%5Bnumber%5D=42&card[exp]=1", r#"{card:{number:"42",exp:"1"}}"#),
        ("a[b][c][d][e][f]=1", r#"{a:{b:{c:{d:{e:{f:"1"}}}}}}"#),
        ("a[b c]=1&a[ü]=2", r#"{a:{b c:"1",ü:"2"}}"#),
        // Lists
        ("a[]=x&b=1&a[]=y", r#"{a:["x","y"],b:"1"}"#),
        ("a%5B%5D=x", r#"{a:["x"]}"#),
        ("a[b][]=x", r#"{a:{b:["x"]}}"#),
        ("a[]=", r#"{a:[""]}"#),
        ("a[]=x&a[]=x", r#"{a:["x","x"]}"#),
        ("a[5]=y&a[0]=x", r#"{a:{5:"y",0:"x"}}"#),
        ("a[0][b]=x&a[1][b]=y", r#"{a:{0:{b:"x"},1:{b:"y"}}}"#),
        // Given twice
        ("amount=1&amount=2", "!parameter_duplicate amount"),
        ("amount=1&amount=1", "!parameter_duplicate amount"),
        ("a[b]=1&a%5bb%5d=2", "!parameter_duplicate a[b]"),
        ("a[0]=x&a[0]=y", "!parameter_duplicate a[0]"),
        ("a=&a=", "!parameter_duplicate a"),
        // Two kinds at once
        ("a=1&a[b]=2", "!parameter_conflict a[b]"),
        ("a[b]=2&a=1", "!parameter_conflict a"),
        ("a=1&a[]=2", "!parameter_conflict a[]"),
        ("a[]=2&a=1", "!parameter_conflict a"),
        ("a[]=1&a[b]=2", "!parameter_conflict a[b]"),
        ("a[]=1&a[0]=2", "!parameter_conflict a[0]"),
        ("a[b]=1&a[]=2", "!parameter_conflict a[]"),
        ("a[b][c]=1&a[b]=2", "!parameter_conflict a[b]"),
        ("metadata=&metadata[k]=v", "!parameter_conflict metadata[k]"),
        // Names
        ("=1", "!request_body_invalid"),
        ("[a]=1", "!request_body_invalid"),
        ("a b=1", "!request_body_invalid"),
        ("{\"amount\":1}", "!request_body_invalid"),
        ("a[b=1", "!request_body_invalid a[b"),
        ("a]b=1", "!request_body_invalid"),
        ("a[b]c=1", "!request_body_invalid a[b]c"),
        ("a[b]]=1", "!request_body_invalid a[b]]"),
        ("a[b[c]]=1", "!request_body_invalid a[b[c]]"),
        ("a[[b]=1", "!request_body_invalid a[[b]"),
        ("a[][b]=1", "!request_body_invalid a[][b]"),
        ("a[][]=1", "!request_body_invalid a[][]"),
        // Encoding
        ("a=%", "!request_body_invalid a"),
        ("a=%4", "!request_body_invalid a"),
        ("a=%zz", "!request_body_invalid a"),
        ("a=%+1", "!request_body_invalid a"),
        ("a=100%&b=1", "!request_body_invalid a"),
        ("%=1", "!request_body_invalid"),
        ("a=%ff", "!request_body_invalid a"),
        ("a=%C3", "!request_body_invalid a"),
        ("a=%ED%A0%80", "!request_body_invalid a"),
        ("a=%C0%80", "!request_body_invalid a"),
        ("a=%00", "!request_body_invalid a"),
        ("a=\0", "!request_body_invalid a"),
        ("a%00=1", "!request_body_invalid"),
        ("a[%00]=1", "!request_body_invalid"),
        // Limits
        ("a[b][c][d][e][f][g]=1", "!request_too_complex a[b][c][d][e][f][g]"),
    ];
    for (body, expected) in cases {
        assert_eq!(outcome(&Params::from_form(body.as_bytes())), expected, "{body:?}");
        assert_eq!(outcome(&Params::from_query(body)), expected, "{body:?}");
    }
    assert_eq!(outcome(&Params::from_form(b"a=\xff")), "!request_body_invalid a");
    assert_eq!(outcome(&Params::from_form(b"a=\xed\xa0\x80")), "!request_body_invalid a");
}

#[test]
fn limits_hold_exactly() {
    let pairs = |count: usize| (0..count).map(|i| format!("p{i}=")).collect::<Vec<_>>().join("&");
    assert!(Params::from_form(pairs(MAX_FORM_PAIRS).as_bytes()).is_ok());
    let over = Params::from_form(pairs(MAX_FORM_PAIRS + 1).as_bytes());
    assert_eq!(outcome(&over), "!request_too_complex");

    let list = |count: usize| "a[]=x&".repeat(count);
    assert!(Params::from_form(list(MAX_FORM_LIST_ITEMS).as_bytes()).is_ok());
    let over = Params::from_form(list(MAX_FORM_LIST_ITEMS + 1).as_bytes());
    assert_eq!(outcome(&over), "!request_too_complex a[]");
}

#[test]
fn bombs_are_refused_cheaply() {
    let deep = format!("metadata{}=1", "[a]".repeat(200));
    let error = Params::from_form(deep.as_bytes()).unwrap_err();
    assert_eq!(error.code, codes::TOO_COMPLEX);
    assert!(error.param.is_some_and(|name| name.chars().count() == MAX_ECHO_NAME_CHARS + 1));

    let body = 64 * 1024;
    let siblings: String = (0..MAX_FORM_PAIRS).map(|i| format!("metadata[{i:040}]=&")).collect();
    let deep_siblings: String = (0..MAX_FORM_PAIRS).map(|i| format!("a[b][c][d][e][{i:040}]=&")).collect();
    let fans: String = (0..MAX_FORM_PAIRS).map(|i| format!("a{i}[b][c][d][e][f]=&")).collect();
    let bombs = [
        ("pairs", "a[]=&".repeat(100_000)),
        ("separators", "&".repeat(body)),
        ("equals", "=".repeat(body)),
        ("open brackets", format!("a{}", "[".repeat(body))),
        ("brackets", format!("a{}", "[]".repeat(body / 2))),
        ("percent", format!("a={}", "%".repeat(body))),
        ("escapes", format!("a={}", "%41".repeat(body / 3))),
        ("plus", format!("a={}", "+".repeat(body))),
        ("long name", "a".repeat(body)),
        ("siblings", siblings),
        ("deep siblings", deep_siblings),
        ("fans", fans),
    ];
    for (what, bomb) in bombs {
        assert_cheap(what, || Params::from_form(bomb.as_bytes()));
    }
}

#[test]
fn bodies_of_other_types_are_not_echoed() {
    let error = Params::from_form(br#"{"card":{"number":"4242424242424242"}}"#).unwrap_err();
    assert!(error.message.contains("Content-Type: application/json"), "{error}");
    assert!(!error.message.contains("4242"), "{error}");
    let error = Params::from_form(b"a=1&card[4242424242424242]x=1").unwrap_err();
    assert!(!format!("{error:?}").contains("4242"), "{error:?}");
}
