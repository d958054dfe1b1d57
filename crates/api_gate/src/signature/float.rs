//! PHP's text of a float.

/// The text that PHP's `serialize()` writes with `serialize_precision = -1`: the fewest digits that read
/// back as the same float, with an exponent when it is below -4 or at least 17. `100`, `0.0001`, `1.0E-5`,
/// `10000000000000000`, `1.0E+17`, `-0`.
pub fn php_text(float: f64) -> String {
    let scientific = shortest(float);
    let parts = scientific.split_once('e').and_then(|(m, e)| Some((m, e.parse::<i32>().ok()?)));
    let Some((mantissa, exponent)) = parts else {
        // Only what is not finite has no exponent.
        return scientific.to_uppercase();
    };
    if !(-4..17).contains(&exponent) {
        let point = if mantissa.contains('.') { "" } else { ".0" };
        return format!("{mantissa}{point}E{exponent:+}");
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest.replace('.', "")),
        None => ("", mantissa.replace('.', "")),
    };
    let Ok(whole) = usize::try_from(exponent + 1) else {
        let zeros = "0".repeat(usize::try_from(-1 - exponent).unwrap_or_default());
        return format!("{sign}0.{zeros}{digits}");
    };
    match digits.split_at_checked(whole) {
        Some(("", digits)) => format!("{sign}0.{digits}"),
        Some((whole, "")) => format!("{sign}{whole}"),
        Some((whole, rest)) => format!("{sign}{whole}.{rest}"),
        None => format!("{sign}{digits:0<whole$}"),
    }
}

/// As few digits as read back the same, in the form `1.25e-7`. Where two such texts are equally near, PHP
/// takes the even last digit (2106865432375061.25 is `…61.2`) and Rust the greater, so it is asked once more
/// for that many digits, which it rounds to even.
fn shortest(float: f64) -> String {
    let shortest = format!("{float:e}");
    let mantissa = shortest.split('e').next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let rounded = format!("{float:.*e}", digits.saturating_sub(1));
    let same = rounded.parse::<f64>().is_ok_and(|read| read.to_bits() == float.to_bits());
    if same { rounded } else { shortest }
}

#[cfg(test)]
mod tests {
    use super::php_text;

    #[test]
    fn texts_as_php_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (100.0, "100"),
            (12.32, "12.32"),
            (2_106_865_432_375_061.2, "2106865432375061.2"),
            (2_106_865_432_375_061.8, "2106865432375061.8"),
            (-0.05, "-0.05"),
            (1_234_567.0, "1234567"),
            (120.0, "120"),
            (-12.5, "-12.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_012, "1.2E-5"),
            (0.000_01, "1.0E-5"),
            (1e16, "10000000000000000"),
            (1e17, "1.0E+17"),
            (-2.5e17, "-2.5E+17"),
            (9.223_372_036_854_776e18, "9.223372036854776E+18"),
            (5e-324, "5.0E-324"),
            (f64::MAX, "1.7976931348623157E+308"),
            (f64::INFINITY, "INF"),
            (f64::NEG_INFINITY, "-INF"),
        ];
        for (float, text) in cases {
            assert_eq!(php_text(float), text);
        }
    }
}
