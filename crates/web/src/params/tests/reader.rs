use super::super::*;
use super::{failure, form, json};

/// The value's debug form, or `!code param`.
fn read<T: std::fmt::Debug>(result: Result<T, ParamError>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => failure(&error),
    }
}

#[test]
fn texts_of_one_line() {
    let cases = [
        (form("x=1"), "None"),
        (form("t="), "None"),
        (json(r#"{"t":null}"#), "None"),
        (json(r#"{"t":""}"#), "None"),
        (form("t=hello+w%C3%B6rld"), r#"Some("hello wörld")"#),
        (form("t=12345678"), r#"Some("12345678")"#),
        (form("t=1234567890123"), r#"Some("1234567890123")"#),
        (form("t=12345678901234"), "!parameter_invalid_string t"),
        (form("t=+++"), "!parameter_invalid_string_blank t"),
        (form("t=a%0Ab"), "!parameter_invalid_string t"),
        (form("t=%E2%80%AEabc"), "!parameter_invalid_string t"),
        (json(r#"{"t":5}"#), "!parameter_invalid_string t"),
        (json(r#"{"t":true}"#), "!parameter_invalid_string t"),
        (json(r#"{"t":["a"]}"#), "!parameter_invalid_string t"),
        (form("t[a]=b"), "!parameter_invalid_string t"),
    ];
    for (params, expected) in cases {
        assert_eq!(read(params.reader().text("t", 13)), expected, "{params:?}");
    }
    assert_eq!(read(form("t=a%0Ab").reader().multiline("t", 9)), r#"Some("a\nb")"#);
    assert_eq!(read(form("t=a%07b").reader().multiline("t", 9)), "!parameter_invalid_string t");
}

#[test]
fn required_texts() {
    let cases = [
        (form("x=1"), "!parameter_missing t"),
        (json(r#"{"t":null}"#), "!parameter_missing t"),
        (form("t="), "!parameter_invalid_empty t"),
        (form("t=%20"), "!parameter_invalid_string_blank t"),
        (form("t=a"), "\"a\""),
    ];
    for (params, expected) in cases {
        assert_eq!(read(params.reader().required_text("t", 9)), expected, "{params:?}");
    }
    let error = form("").reader().required_text("amount", 9).unwrap_err();
    assert_eq!(error.message, "Missing required parameter: amount.");
}

#[test]
fn raw_texts_are_never_repeated() {
    let params = form("n=4242+4242&c=&m[x]=secret&e=%E2%80%AE");
    let mut reader = params.reader();
    assert_eq!(reader.raw_text("n", 9), Ok(Some("4242 4242")));
    assert_eq!(reader.raw_text("c", 9), Ok(None));
    assert_eq!(reader.raw_text("none", 9), Ok(None));
    assert_eq!(reader.raw_text("e", 9), Ok(Some("\u{202e}")));
    for name in ["n", "m"] {
        let error = reader.raw_text(name, 8).unwrap_err();
        assert_eq!(error.code, codes::INVALID_STRING);
        assert!(!error.message.contains("4242") && !error.message.contains("secret"), "{error}");
    }
    let error = json(r#"{"n":4242}"#).reader().raw_text("n", 9).unwrap_err();
    assert_eq!(error.message, "n must be a string, not a number.");
}

/// Amounts that some parser somewhere reads as a number.
#[test]
fn hostile_integers() {
    let bad_forms = [
        "-1",
        "0",
        "1.5",
        "10.00",
        "1e3",
        "0x10",
        "00100",
        "%2B5",
        "+5",
        "5+",
        "true",
        "NaN",
        "Infinity",
        "9007199254740993",
        "9223372036854775808",
        "1000000000000000000000000000000",
        "-0",
        "1_000",
        "1,000",
        "%D9%A1%D9%A2",
        "%EF%BC%95",
        "-",
        "--1",
        "5%0A",
        "99999999999999999999",
        "100000000",
    ];
    for bad in bad_forms {
        let error = form(&format!("amount={bad}")).reader().integer("amount", 1, 99_999_999).unwrap_err();
        assert_eq!(failure(&error), "!parameter_invalid_integer amount", "{bad}");
    }
    let bad_json = [
        "-1",
        "0",
        "1.5",
        "10.00",
        "1e3",
        "1E3",
        "1e999999",
        "1.0",
        "-0",
        "true",
        "false",
        "[]",
        "[5]",
        "{}",
        "9007199254740993",
        "9223372036854775808",
        "1000000000000000000000000000000",
        "\"10.00\"",
        "\"1e3\"",
        "\"0x10\"",
        "\"00100\"",
        "\"+5\"",
        "\" 5\"",
        "\"5 \"",
        "\"NaN\"",
        "\"five\"",
    ];
    for bad in bad_json {
        let error =
            json(&format!("{{\"amount\":{bad}}}")).reader().integer("amount", 1, 99_999_999).unwrap_err();
        assert_eq!(failure(&error), "!parameter_invalid_integer amount", "{bad}");
    }
    for empty in [form("amount="), json(r#"{"amount":""}"#)] {
        assert_eq!(read(empty.reader().integer("amount", 1, 9)), "!parameter_invalid_empty amount");
    }
    for absent in [form("x=1"), json(r#"{"amount":null}"#)] {
        assert_eq!(read(absent.reader().integer("amount", 1, 9)), "None");
        assert_eq!(read(absent.reader().required_integer("amount", 1, 9)), "!parameter_missing amount");
    }
}

#[test]
fn integers() {
    for (literal, number) in [("1", 1), ("99999999", 99_999_999), ("1000", 1000)] {
        for params in [
            form(&format!("n={literal}")),
            json(&format!("{{\"n\":{literal}}}")),
            json(&format!("{{\"n\":\"{literal}\"}}")),
        ] {
            assert_eq!(params.reader().integer("n", 1, 99_999_999), Ok(Some(number)));
        }
    }
    let extremes = json(r#"{"a":-9223372036854775808,"b":9223372036854775807,"c":0,"d":-7}"#);
    let mut reader = extremes.reader();
    assert_eq!(reader.integer("a", i64::MIN, i64::MAX), Ok(Some(i64::MIN)));
    assert_eq!(reader.integer("b", i64::MIN, i64::MAX), Ok(Some(i64::MAX)));
    assert_eq!(reader.integer("c", 0, 5), Ok(Some(0)));
    assert_eq!(reader.integer("d", -7, 5), Ok(Some(-7)));

    let message = |body: &str| form(body).reader().integer("amount", 1, 99).unwrap_err().message;
    assert_eq!(message("amount=1.5"), "Invalid integer: 1.5. amount takes digits only, such as 1000.");
    assert_eq!(message("amount=100"), "Invalid integer: 100. amount must be from 1 to 99.");
    let long = message(&format!("amount={}", "x".repeat(500)));
    assert!(long.contains(&format!("{}…", "x".repeat(40))) && !long.contains(&"x".repeat(41)), "{long}");
    assert_eq!(message("amount=4242424242424242"), "Invalid integer: (hidden). amount must be from 1 to 99.");
    assert!(message("amount=%1B[2J%0A").contains("\u{fffd}[2J\u{fffd}"));
}

#[test]
fn page_sizes() {
    for (sent, expected) in [
        ("0", "!parameter_invalid_integer limit"),
        ("-1", "!parameter_invalid_integer limit"),
        ("101", "!parameter_invalid_integer limit"),
        ("1000000000", "!parameter_invalid_integer limit"),
        ("abc", "!parameter_invalid_integer limit"),
        ("1", "Some(1)"),
        ("100", "Some(100)"),
    ] {
        let params = Params::from_query(&format!("limit={sent}")).unwrap();
        assert_eq!(read(params.reader().integer("limit", 1, 100)), expected, "{sent}");
    }
}

#[test]
fn timestamps() {
    for (sent, expected) in [
        ("0", "Some(0)"),
        ("253402300799", "Some(253402300799)"),
        ("253402300800", "!parameter_invalid_integer t"),
        ("9007199254740993", "!parameter_invalid_integer t"),
        ("-1", "!parameter_invalid_integer t"),
        ("2023-02-29", "!parameter_invalid_integer t"),
        ("now", "!parameter_invalid_integer t"),
    ] {
        assert_eq!(read(form(&format!("t={sent}")).reader().timestamp("t")), expected, "{sent}");
    }
}

#[test]
fn booleans() {
    let cases = [
        (form("b=true"), "Some(true)"),
        (form("b=false"), "Some(false)"),
        (json(r#"{"b":true}"#), "Some(true)"),
        (json(r#"{"b":"false"}"#), "Some(false)"),
        (json(r#"{"b":null}"#), "None"),
        (form("x=1"), "None"),
        (form("b=1"), "!parameter_invalid_boolean b"),
        (form("b=True"), "!parameter_invalid_boolean b"),
        (form("b=yes"), "!parameter_invalid_boolean b"),
        (form("b"), "!parameter_invalid_empty b"),
        (json(r#"{"b":1}"#), "!parameter_invalid_boolean b"),
        (json(r#"{"b":[true]}"#), "!parameter_invalid_boolean b"),
    ];
    for (params, expected) in cases {
        assert_eq!(read(params.reader().boolean("b")), expected, "{params:?}");
    }
}

#[test]
fn choices() {
    let allowed = ["automatic", "manual"];
    let cases = [
        (form("m=manual"), "Some(\"manual\")"),
        (form("x=1"), "None"),
        (json(r#"{"m":null}"#), "None"),
        (form("m=Manual"), "!parameter_invalid_enum m"),
        (form("m=manua"), "!parameter_invalid_enum m"),
        (form("m=manual%20"), "!parameter_invalid_enum m"),
        (form("m="), "!parameter_invalid_empty m"),
        (json(r#"{"m":1}"#), "!parameter_invalid_string m"),
    ];
    for (params, expected) in cases {
        assert_eq!(read(params.reader().one_of("m", &allowed)), expected, "{params:?}");
    }
    let error = form("m=maybe").reader().one_of("m", &allowed).unwrap_err();
    assert_eq!(error.message, "Invalid m: maybe. It must be one of automatic, manual.");
}

#[test]
fn lists_of_texts() {
    let cases = [
        (form("x=1"), "None"),
        (json(r#"{"l":null}"#), "None"),
        (form("l="), "Some([])"),
        (json(r#"{"l":[]}"#), "Some([])"),
        (form("l[]=b&l[]=a&l[]=b"), r#"Some(["b", "a", "b"])"#),
        (form("l[10]=c&l[2]=b&l[0]=a"), r#"Some(["a", "b", "c"])"#),
        (json(r#"{"l":["a","b"]}"#), r#"Some(["a", "b"])"#),
        (form("l[]=a&l[]="), "!parameter_invalid_empty l[1]"),
        (form("l[]=a&l[]=+"), "!parameter_invalid_string_blank l[1]"),
        (form("l[7]=toolong"), "!parameter_invalid_string l[7]"),
        (json(r#"{"l":["a",1]}"#), "!parameter_invalid_string l[1]"),
        (json(r#"{"l":["a",null]}"#), "!parameter_invalid_string l[1]"),
        (form("l=a"), "!parameter_invalid_array l"),
        (form("l[a]=b"), "!parameter_invalid_array l"),
        (form("l[0]=a&l[b]=c"), "!parameter_invalid_array l"),
        (form("l[00]=a"), "!parameter_invalid_array l"),
        (form("l[-1]=a"), "!parameter_invalid_array l"),
        (form("l[%2B1]=a"), "!parameter_invalid_array l"),
        (form("l[99999999999]=a"), "!parameter_invalid_array l"),
        (json(r#"{"l":{}}"#), "!parameter_invalid_array l"),
        (json(r#"{"l":5}"#), "!parameter_invalid_array l"),
        (form("l[]=1&l[]=2&l[]=3&l[]=4"), "!parameter_invalid_array l"),
    ];
    for (params, expected) in cases {
        assert_eq!(read(params.reader().texts("l", 3, 5)), expected, "{params:?}");
    }
}

#[test]
fn nested_objects_are_named_in_errors() {
    for params in [
        form("pm[card][number]=42&pm[card][exp]=x&pm[type]=card"),
        json(r#"{"pm":{"card":{"number":"42","exp":"x"},"type":"card"}}"#),
    ] {
        let mut top = params.reader();
        let mut pm = top.object("pm").unwrap().unwrap();
        let mut card = pm.object("card").unwrap().unwrap();
        assert_eq!(card.name_of("number"), "pm[card][number]");
        assert_eq!(card.raw_text("number", 19), Ok(Some("42")));
        assert_eq!(read(card.integer("exp", 1, 12)), "!parameter_invalid_integer pm[card][exp]");
        assert_eq!(failure(&card.missing("cvc")), "!parameter_missing pm[card][cvc]");
        assert_eq!(read(card.finish()), "()");
        assert_eq!(read(pm.finish()), "!parameter_unknown pm[type]");
        assert_eq!(read(top.finish()), "()");
    }
    let kind = |params: Params| match params.reader().object("o") {
        Ok(Some(_)) => "object".to_owned(),
        Ok(None) => "none".to_owned(),
        Err(error) => failure(&error),
    };
    assert_eq!(kind(form("o=")), "none");
    assert_eq!(kind(json(r#"{"o":null}"#)), "none");
    assert_eq!(kind(json(r#"{"o":{}}"#)), "object");
    assert_eq!(kind(form("o=x")), "!parameter_invalid_object o");
    assert_eq!(kind(form("o[]=x")), "!parameter_invalid_object o");
    assert_eq!(kind(json(r#"{"o":[]}"#)), "!parameter_invalid_object o");
}

#[test]
fn lists_of_objects() {
    for params in [
        form("items[1][price]=b&items[0][price]=a&items[0][qty]=0"),
        json(r#"{"items":[{"price":"a","qty":0},{"price":"b"}]}"#),
    ] {
        let mut top = params.reader();
        let mut items = top.objects("items", 2).unwrap().unwrap();
        let prices: Vec<_> = items.iter_mut().map(|item| item.required_text("price", 9).unwrap()).collect();
        assert_eq!(prices, ["a", "b"]);
        let first = items.first_mut().unwrap();
        assert_eq!(read(first.integer("qty", 1, 9)), "!parameter_invalid_integer items[0][qty]");
        assert!(items.into_iter().all(|item| item.finish().is_ok()));
        assert_eq!(read(top.finish()), "()");
        assert_eq!(params.reader().objects("items", 1).err().unwrap().code, codes::INVALID_LIST);
    }
    let error = form("items[]=a").reader().objects("items", 5).err().unwrap();
    assert_eq!(failure(&error), "!parameter_invalid_object items[0]");
    assert!(form("items=").reader().objects("items", 5).unwrap().unwrap().is_empty());
}

#[test]
fn patches() {
    let sent = form("a=&b=x&n=&m=5&e=&o=&p[x]=1");
    let null = json(r#"{"a":null,"n":null,"e":null,"o":null}"#);
    for params in [&sent, &null] {
        let mut reader = params.reader();
        assert_eq!(reader.patch_text("a", 9), Ok(Patch::Unset));
        assert_eq!(reader.patch_multiline("a", 9), Ok(Patch::Unset));
        assert_eq!(reader.patch_integer("n", 0, 9), Ok(Patch::Unset));
        assert_eq!(reader.patch_one_of("e", &["x"]), Ok(Patch::Unset));
        assert!(matches!(reader.patch_object("o"), Ok(Patch::Unset)));
        assert_eq!(reader.patch_text("absent", 9), Ok(Patch::Absent));
        assert_eq!(reader.patch_integer("absent", 0, 9), Ok(Patch::Absent));
        assert_eq!(reader.patch_one_of("absent", &["x"]), Ok(Patch::Absent));
        assert!(matches!(reader.patch_object("absent"), Ok(Patch::Absent)));
    }
    let mut reader = sent.reader();
    assert_eq!(reader.patch_text("b", 9), Ok(Patch::Set("x".to_owned())));
    assert_eq!(reader.patch_integer("m", 0, 9), Ok(Patch::Set(5)));
    assert_eq!(reader.patch_one_of("b", &["x"]), Ok(Patch::Set("x")));
    assert!(matches!(reader.patch_object("p"), Ok(Patch::Set(_))));
    assert_eq!(read(reader.patch_integer("m", 6, 9)), "!parameter_invalid_integer m");

    let mut field = Some(1);
    Patch::Absent.apply(&mut field);
    assert_eq!(field, Some(1));
    Patch::Set(2).apply(&mut field);
    assert_eq!(field, Some(2));
    Patch::Unset.apply(&mut field);
    assert_eq!(field, None);
}

fn metadata(params: &Params) -> Result<MetadataPatch, String> {
    params.reader().metadata("metadata").map(Option::unwrap).map_err(|error| failure(&error))
}

#[test]
fn metadata_is_merged() {
    let stored = || vec![("b".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())];
    let after = |params: Params| {
        let mut pairs = stored();
        metadata(&params).unwrap().apply(&mut pairs).unwrap();
        pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(after(form("metadata[z]=9&metadata[a]=3")), "b=1 a=3 z=9");
    assert_eq!(after(form("metadata[b]=&metadata[c]=")), "a=2");
    assert_eq!(after(form("metadata=")), "");
    assert_eq!(after(json(r#"{"metadata":null}"#)), "");
    assert_eq!(after(json(r#"{"metadata":{}}"#)), "b=1 a=2");
    assert_eq!(
        after(json(r#"{"metadata":{"b":null,"n":1e3,"t":true,"__proto__":"x"}}"#)),
        "a=2 n=1e3 t=true __proto__=x"
    );
    assert_eq!(after(form("metadata[0]=x&metadata[007]=y")), "b=1 a=2 0=x 007=y");
    assert_eq!(form("a=1").reader().metadata("metadata"), Ok(None));
}

#[test]
fn metadata_limits() {
    let keys = |count: usize| (0..count).map(|i| format!("metadata[k{i}]=v")).collect::<Vec<_>>().join("&");
    assert!(metadata(&form(&keys(50))).is_ok());
    let refusals = [
        (form(&keys(51)), "!parameter_invalid_metadata metadata"),
        (form(&format!("metadata[{}]=v", "k".repeat(41))), "!parameter_invalid_metadata metadata"),
        (form(&format!("metadata[k]={}", "v".repeat(501))), "!parameter_invalid_metadata metadata[k]"),
        (form("metadata[]=v"), "!parameter_invalid_metadata metadata"),
        (form("metadata=v"), "!parameter_invalid_metadata metadata"),
        (form("metadata[a][b]=v"), "!parameter_invalid_metadata metadata[a]"),
        (form("metadata[4242424242424242]=v"), "!parameter_invalid_metadata metadata"),
        (form("metadata[k]=4242424242424242"), "!parameter_invalid_metadata metadata[k]"),
        (json(r#"{"metadata":{"k":4242424242424242}}"#), "!parameter_invalid_metadata metadata[k]"),
        (json(r#"{"metadata":{"":"v"}}"#), "!parameter_invalid_metadata metadata"),
        (json(r#"{"metadata":{"a[b]":"v"}}"#), "!parameter_invalid_metadata metadata"),
        (json(r#"{"metadata":[]}"#), "!parameter_invalid_metadata metadata"),
        (json(r#"{"metadata":true}"#), "!parameter_invalid_metadata metadata"),
    ];
    for (params, expected) in refusals {
        assert_eq!(metadata(&params), Err(expected.to_owned()), "{params:?}");
    }
    let longest = format!("metadata[{}]={}", "k".repeat(40), "v".repeat(500));
    assert!(metadata(&form(&longest)).is_ok());

    // The limit counts what is there after the change.
    let mut pairs: Vec<_> = (0..50).map(|i| (format!("k{i}"), "v".to_owned())).collect();
    let before = pairs.clone();
    let error = metadata(&form("metadata[new]=v")).unwrap().apply(&mut pairs).unwrap_err();
    assert_eq!(failure(&error), "!parameter_invalid_metadata metadata");
    assert_eq!(pairs, before);
    metadata(&form("metadata[new]=v&metadata[k7]=")).unwrap().apply(&mut pairs).unwrap();
    assert_eq!(pairs.len(), 50);
}

#[test]
fn ranges() {
    let range = |min, max| Ok(Some(Range { min, max }));
    let cases = [
        ("created=5", range(Some(5), Some(5))),
        ("created[gt]=5", range(Some(6), None)),
        ("created[gte]=5", range(Some(5), None)),
        ("created[lt]=5", range(None, Some(4))),
        ("created[lt]=0", range(None, Some(-1))),
        ("created[lte]=5", range(None, Some(5))),
        ("created[gte]=5&created[lt]=9", range(Some(5), Some(8))),
        ("created[gt]=5&created[gte]=2", range(Some(6), None)),
        ("created[lt]=5&created[lte]=2", range(None, Some(2))),
        ("x=1", Ok(None)),
        ("created=", Err("!parameter_invalid_empty created")),
        ("created=yesterday", Err("!parameter_invalid_integer created")),
        ("created[gt]=", Err("!parameter_invalid_empty created[gt]")),
        ("created[gt]=1.5", Err("!parameter_invalid_integer created[gt]")),
        ("created[after]=5", Err("!parameter_unknown created[after]")),
        ("created[]=5", Err("!parameter_invalid_integer created")),
    ];
    for (query, expected) in cases {
        let params = Params::from_query(query).unwrap();
        let mut reader = params.reader();
        let found = reader.range("created").map_err(|error| failure(&error));
        assert_eq!(found, expected.map_err(str::to_owned), "{query}");
    }
}

#[test]
fn unknown_parameters() {
    let finish = |params: Params| {
        let mut reader = params.reader();
        let _ = reader.integer("amount", 0, 100);
        let _ = reader.text("currency", 3);
        reader.ignore("expand");
        assert!(!reader.has("absent"));
        reader.finish().map_err(|error| (failure(&error), error.message))
    };
    let message = |params: Params| finish(params).unwrap_err().1;
    assert_eq!(finish(form("amount=1&expand[]=x&currency=")), Ok(()));
    assert_eq!(finish(json(r#"{"amount":null}"#)), Ok(()));
    // What must never be settable from outside is just not read.
    for name in ["status", "amount_received", "livemode", "created", "id", "object", "role", "scopes", "fee"]
    {
        let (error, message) = finish(form(&format!("amount=1&{name}=x"))).unwrap_err();
        assert_eq!(error, format!("!parameter_unknown {name}"));
        assert_eq!(message, format!("Received unknown parameter: {name}."));
    }
    assert_eq!(message(form("foo[bar]=1")), "Received unknown parameter: foo.");
    assert_eq!(message(form("amuont=1")), "Received unknown parameter: amuont. Did you mean 'amount'?");
    assert_eq!(message(form("Currency=1")), "Received unknown parameter: Currency. Did you mean 'currency'?");
    assert_eq!(
        message(json(r#"{"a\u001bb\u202e":null}"#)),
        "Received unknown parameter: a\u{fffd}b\u{fffd}."
    );
    assert_eq!(message(json(r#"{"4242424242424242":1}"#)), "Received unknown parameter: (hidden).");

    let params = form("card[numbr]=1");
    let mut top = params.reader();
    let mut card = top.object("card").unwrap().unwrap();
    let _ = card.raw_text("number", 19);
    let error = card.finish().unwrap_err();
    assert_eq!(error.param.as_deref(), Some("card[numbr]"));
    assert_eq!(error.message, "Received unknown parameter: card[numbr]. Did you mean 'card[number]'?");
}

#[test]
fn presence() {
    let params = json(r#"{"a":null,"b":"","c":0}"#);
    let reader = params.reader();
    assert_eq!(["a", "b", "c", "d"].map(|name| reader.has(name)), [false, true, true, false]);
    assert!(reader.finish().is_err(), "looking is not reading");
}
