//! Response headers of every HTML page of this crate.

/// `form-action 'self'` also stops a redirect that follows a POST to another site (Chromium), so a page must
/// never answer its form with a redirect to the merchant: it shows our own result page, which leaves by
/// `Refresh` or link.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The payment page has one script of our own, which asks for the payment's state. It can make no markup out
/// of text: whatever would turn a string into markup or code throws.
const CHECKOUT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// No page uses any of these; denied so that nothing it might ever embed can ask.
const PERMISSIONS_POLICY: &str = "accelerometer=(), camera=(), display-capture=(), fullscreen=(), geolocation=(), \
    gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), \
    screen-wake-lock=(), usb=()";

type Header = (&'static str, &'static str);

const HEADERS: &[Header] = &with_policy(CONTENT_SECURITY_POLICY);
const CHECKOUT_HEADERS: &[Header] = &with_policy(CHECKOUT_POLICY);

const fn with_policy(policy: &'static str) -> [Header; 8] {
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        // The address of a page is its only credential: it must not reach the merchant as a referrer.
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", PERMISSIONS_POLICY),
    ]
}

/// The headers to send with every HTML page, whatever its status: lower-case names, visible ASCII values,
/// `content-type` among them.
///
/// `Strict-Transport-Security` is not here: only the listener knows whether it is reached over TLS.
///
/// With `referrer-policy: no-referrer` browsers send `Origin: null` with a form's POST, even to its own origin:
/// check `Sec-Fetch-Site`, not `Origin`, against forged requests.
pub fn security_headers() -> &'static [Header] {
    HEADERS
}

/// The same for the pages of [`checkout`](crate::checkout), which may run the script under `/assets/`.
pub fn checkout_headers() -> &'static [Header] {
    CHECKOUT_HEADERS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str) -> &'static str {
        let mut values = security_headers().iter().filter(|(n, _)| *n == name).map(|(_, v)| *v);
        let value = values.next().unwrap_or_else(|| panic!("{name} is missing"));
        assert!(values.next().is_none(), "{name} is sent twice");
        value
    }

    #[test]
    fn policy_denies_by_default_and_has_no_unsafe_source() {
        let policy = header("content-security-policy");
        let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
        for wanted in [
            "default-src 'none'",
            "style-src 'self'",
            "img-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(directives.contains(&wanted), "{wanted} not in {policy}");
        }
        for forbidden in ["unsafe", "http:", "https:", "data:", "*", "script-src"] {
            assert!(!policy.contains(forbidden), "{forbidden} in {policy}");
        }
    }

    #[test]
    fn checkout_policy_allows_our_own_files_and_nothing_else() {
        let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
            form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
            trusted-types 'none'";
        for ((name, theirs), (same, ours)) in checkout_headers().iter().zip(security_headers()) {
            assert_eq!(name, same);
            assert_eq!(*theirs, if *name == "content-security-policy" { policy } else { *ours });
        }
    }

    #[test]
    fn remaining_headers_are_strict() {
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert!(header("permissions-policy").split(", ").all(|feature| feature.ends_with("=()")));
    }

    #[test]
    fn names_and_values_are_legal_on_the_wire() {
        for (name, value) in security_headers().iter().chain(checkout_headers()) {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
            assert!(value.bytes().all(|b| (b' '..=b'~').contains(&b)), "{name}: {value}");
            assert!(!value.contains("  "), "{name}: a broken line continuation in {value}");
        }
    }
}
