//! PHP's text of a float.

/// The text that PHP's `serialize()` writes with `serialize_precision = -1`: the fewest digits that read
/// back as the same float, with an exponent when it is below -4 or at least 17. `100`, `0.0001`, `1.0E-5`,
/// `10000000000000000`, `1.0E+17`, `-0`.
pub fn php_text(float: f64) -> String {
    let scientific = format!("{float:e}");
    let parts = scientific.split_once('e').and_then(|(m, e)| Some((m, e.parse::<i32>().ok()?)));
    let Some((mantissa, exponent)) = parts else {
        // Only what is not finite has no exponent.
        return scientific.to_uppercase();
    };
    if (-4..17).contains(&exponent) {
        return float.to_string();
    }
    let point = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{point}E{exponent:+}")
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
            (-12.5, "-12.5"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_012, "1.2E-5"),
            (0.000_01, "1.0E-5"),
            (1e16, "10000000000000000"),
            (1e17, "1.0E+17"),
            (-2.5e17, "-2.5E+17"),
            (9.223_372_036_854_775_8e18, "9.223372036854776E+18"),
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
