//! For which site people register passkeys: worked out from the addresses of the Admin API and of the panel.

use engine::PasskeySite;
use url::{Host, Url};

/// The host of an origin, if it is a name.
fn domain(origin: &str) -> Option<String> {
    match Url::parse(origin).ok()?.host()? {
        Host::Domain(name) => Some(name.to_owned()),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// An address as browsers write its origin.
fn origin(address: &str) -> Option<String> {
    let origin = Url::parse(address).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// What two names end in alike, by whole labels.
fn common(one: &str, other: &str) -> String {
    let labels = one.rsplit('.').zip(other.rsplit('.')).take_while(|(a, b)| a == b).map(|(a, _)| a);
    let mut labels: Vec<&str> = labels.collect();
    labels.reverse();
    labels.join(".")
}

/// The site of a gateway whose Admin API is at `admin_url` and whose panel, if it is elsewhere, at `panel`; `None` if
/// the address has no name, and so nobody can sign in with a passkey. With a panel on another host the site is what the
/// two names have in common; where that is less than two labels, which browsers refuse, it is the panel's own host, since
/// that is where people are.
pub(crate) fn passkey_site(admin_url: &str, panel: Option<&str>, name: &str) -> Option<PasskeySite> {
    let admin = domain(admin_url)?;
    let mut origins = vec![origin(admin_url)?];
    let mut rp_id = admin.clone();
    if let Some(panel_url) = panel
        && let (Some(panel), Some(panel_origin)) = (domain(panel_url), origin(panel_url))
    {
        let shared = common(&admin, &panel);
        if shared.contains('.') || shared == admin {
            rp_id = shared;
            origins.push(panel_origin);
        } else {
            rp_id = panel;
            origins = vec![panel_origin];
        }
    }
    Some(PasskeySite { rp_id, rp_name: name.to_owned(), origins })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_what_both_addresses_have_in_common() {
        for (admin, panel, rp_id, origins) in [
            ("http://localhost:8081", None, "localhost", vec!["http://localhost:8081"]),
            ("https://admin.example.com", None, "admin.example.com", vec!["https://admin.example.com"]),
            ("https://Admin.Example.com:443/", None, "admin.example.com", vec!["https://admin.example.com"]),
            (
                "https://admin.example.com",
                Some("https://panel.example.com"),
                "example.com",
                vec!["https://admin.example.com", "https://panel.example.com"],
            ),
            (
                "https://example.com",
                Some("https://panel.example.com:8443"),
                "example.com",
                vec!["https://example.com", "https://panel.example.com:8443"],
            ),
            (
                "https://api.example.com",
                Some("https://panel.example.net"),
                "panel.example.net",
                vec!["https://panel.example.net"],
            ),
            ("https://one.com", Some("https://two.com"), "two.com", vec!["https://two.com"]),
            (
                "http://localhost:8081",
                Some("http://localhost:5173"),
                "localhost",
                vec!["http://localhost:8081", "http://localhost:5173"],
            ),
        ] {
            let site = passkey_site(admin, panel, "PaymentGate").expect("a site");
            assert_eq!(
                (site.rp_id.as_str(), site.origins.iter().map(String::as_str).collect::<Vec<_>>()),
                (rp_id, origins),
                "{admin} {panel:?}"
            );
        }
        for bad in ["http://127.0.0.1:8081", "http://[::1]:8081", "admin.example.com", ""] {
            assert!(passkey_site(bad, None, "PaymentGate").is_none(), "{bad}");
        }
    }
}
