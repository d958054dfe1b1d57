//! The rules of the forms.

use super::*;

const NOW: (u16, u8) = (2026, 11);

fn card() -> Entered<'static> {
    Entered {
        number: "4242 4242 4242 4242",
        expiry: "12 / 34",
        code: "123",
        name: "Jo Doe",
        ..Entered::default()
    }
}

fn problems(entered: &Entered<'_>) -> Problems {
    check_card(entered, NOW, |_| true).err().unwrap_or_default()
}

#[test]
fn a_good_card_passes() {
    let checked = check_card(&card(), NOW, |_| true).expect("good");
    assert_eq!((checked.number.last4(), checked.expiry.month(), checked.expiry.year()), ("4242", 12, 2034));
    for (number, code) in [
        ("378282246310005", "1234"),
        ("6759649826438453", "123"),
        ("2223-0031-2200-3222", "123"),
        ("30569309025904", "123"),
        (" 6200000000000005 ", "123"),
    ] {
        assert_eq!(problems(&Entered { number, code, ..card() }), Problems::default(), "{number}");
    }
}

#[test]
fn numbers() {
    use Problem::{NumberEmpty, NumberIncomplete, NumberWrong};
    let long = "4".repeat(MAX_FIELD + 1);
    for (number, problem) in [
        ("", NumberEmpty),
        ("  ", NumberEmpty),
        ("4242", NumberIncomplete),
        ("4242 4242 4242 424", NumberIncomplete),
        ("3782 822463 1000", NumberIncomplete),
        ("4242424242424241", NumberWrong),
        ("55555555555544444", NumberWrong),
        ("42424242424242424242", NumberWrong),
        ("4242 4242 4242 424x", NumberWrong),
        ("٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢", NumberWrong),
        ("<script>", NumberWrong),
        (&long, NumberIncomplete),
    ] {
        assert_eq!(problems(&Entered { number, ..card() }).number, Some(problem), "{number:.40}");
    }
}

#[test]
fn schemes_that_are_not_taken() {
    let amex = CardBrand::Known(Brand::Amex);
    let entered = Entered { number: "3782", code: "1234", ..card() };
    let found = check_card(&entered, NOW, |brand| brand != amex).expect_err("refused");
    assert_eq!(found.number, Some(Problem::NumberUnsupported(amex)));
    assert!(check_card(&card(), NOW, |brand| brand != amex).is_ok());
    // A number of no known scheme is for the provider to judge.
    let unknown = Entered { number: "9000000000000001", ..card() };
    assert!(check_card(&unknown, NOW, |_| false).is_ok());
}

#[test]
fn schemes_by_first_digits() {
    for (digits, name) in [
        ("4", "Visa"),
        ("51", "Mastercard"),
        ("2221", "Mastercard"),
        ("2720", "Mastercard"),
        ("2721", ""),
        ("34", "American Express"),
        ("6011", "Discover"),
        ("36", "Diners Club"),
        ("3528", "JCB"),
        ("62", "UnionPay"),
        ("6759", "Maestro"),
        ("5018", "Maestro"),
        ("", ""),
        ("9", ""),
    ] {
        assert_eq!(CardBrand::of(digits).name(), name, "{digits}");
    }
}

#[test]
fn expiries() {
    use Problem::{ExpiryFormat, ExpiryMonth, ExpiryPast};
    for expiry in ["12/34", "12 / 34", "1/27", "01-2027", "1234", "122034", "11/26", " 12.34 "] {
        assert_eq!(problems(&Entered { expiry, ..card() }), Problems::default(), "{expiry}");
    }
    for (expiry, problem) in [
        ("", ExpiryFormat),
        ("12", ExpiryFormat),
        ("12/3", ExpiryFormat),
        ("12/345", ExpiryFormat),
        ("123/34", ExpiryFormat),
        ("/34", ExpiryFormat),
        ("aa/bb", ExpiryFormat),
        ("-1/34", ExpiryFormat),
        ("12/34/56", ExpiryFormat),
        ("١٢/٣٤", ExpiryFormat),
        ("12/2099", ExpiryFormat),
        ("13/34", ExpiryMonth),
        ("00/34", ExpiryMonth),
        ("10/26", ExpiryPast),
        ("12/2025", ExpiryPast),
    ] {
        let found = problems(&Entered { expiry, ..card() });
        assert_eq!(found, Problems { expiry: Some(problem), ..Problems::default() }, "{expiry}");
    }
}

#[test]
fn codes_follow_the_scheme() {
    let amex = Entered { number: "378282246310005", ..card() };
    for (entered, code, problem) in [
        (card(), "", Some(Problem::Code3)),
        (card(), "12", Some(Problem::Code3)),
        (card(), "1234", Some(Problem::Code3)),
        (card(), "12a", Some(Problem::Code3)),
        (card(), " 123 ", None),
        (amex, "123", Some(Problem::Code4)),
        (amex, "1234", None),
    ] {
        assert_eq!(problems(&Entered { code, ..entered }).code, problem, "{code:?}");
    }
}

#[test]
fn names() {
    let long = "a".repeat(MAX_NAME + 1);
    for name in ["", " ", "a\nb", "\u{202e}x", "4242 4242 4242 4242", &long] {
        assert_eq!(problems(&Entered { name, ..card() }).name, Some(Problem::NameEmpty), "{name:.40}");
    }
    assert_eq!(problems(&Entered { name: "O’Neil, <Ünal>", ..card() }).name, None);
}

#[test]
fn accounts() {
    use Problem::{IbanCheck, IbanCountry, IbanEmpty, IbanFormat, IbanLength};
    let good =
        Entered { iban: "de89 3704 0044 0532 0130 00", name: "Jo Doe", email: "jo@shop.example", ..card() };
    assert_eq!(check_bank(&good, true).expect("good").last4(), "3000");
    for (iban, problem) in [
        ("", IbanEmpty),
        ("1234", IbanFormat),
        ("DE", IbanFormat),
        ("US12345678", IbanCountry),
        ("DE89 3704", IbanLength(22)),
        ("DE88370400440532013000", IbanCheck),
    ] {
        let found = check_bank(&Entered { iban, ..good }, true).expect_err("refused");
        assert_eq!(found, Problems { iban: Some(problem), ..Problems::default() }, "{iban}");
    }
    let nameless = Entered { name: "", email: "x", ..good };
    let found = check_bank(&nameless, true).expect_err("refused");
    assert_eq!((found.name, found.email), (Some(Problem::NameEmpty), Some(Problem::EmailWrong)));
    assert_eq!(check_bank(&nameless, false).expect_err("refused").email, None);
}
