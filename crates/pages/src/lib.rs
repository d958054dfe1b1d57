//! The HTML a payer sees: askama templates, checked at compile time, and the embedded assets they use.
//!
//! [`routes`] serves them: it looks things up, picks the status code, and sends [`security_headers`] with every
//! page. The rest turns plain values into finished pages and knows no engine or HTTP framework. No page has an
//! inline script, an inline style or an event handler, so the policies in those headers need no exception; only
//! the payment page ([`checkout`]) has a script at all, and works without it.
//!
//! Every text a merchant or payer can choose is escaped by askama; addresses to leave to pass [`return_url`]
//! first.

mod assets;
mod brand;
mod challenge;
pub mod checkout;
mod checkout_routes;
mod checkout_view;
mod contrast;
mod return_url;
pub mod routes;
mod security_headers;

#[cfg(test)]
mod html_audit;

use askama::Template;

pub use assets::{Asset, asset, asset_names};
pub use challenge::{Challenge, ChallengeDone, ChallengeResult, challenge, challenge_done, challenge_gone};
pub use routes::{apology, router};
pub use security_headers::{checkout_headers, security_headers};

/// A page that may take the payer elsewhere by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The whole document, UTF-8.
    pub html: String,
    /// The value of a `Refresh` header, visible ASCII only; `None`: send no such header.
    pub refresh: Option<String>,
}

/// A page for anything that went wrong: `title` is its heading, `message` says what happened and what to do
/// next, `request_id` (shown as a reference for support; may be empty) finds the request in the logs.
///
/// All three are shown as plain text. Do not put internals (SQL, paths, versions) into them.
pub fn error_page(title: &str, message: &str, request_id: &str) -> String {
    render(&ErrorPage { title, message, request_id })
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'a str,
    message: &'a str,
    request_id: &'a str,
}

/// Sent should a template fail to render. The templates write into memory and call nothing that can fail, so
/// this is for the day one of them does: the payer gets a plain page, not a dropped connection.
const FALLBACK: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Something went wrong</title></head>\
<body><h1>Something went wrong</h1><p>This page could not be shown. Go back to the shop to see the state of your order before \
you pay again.</p></body></html>\n";

fn render(template: &impl Template) -> String {
    template.render().unwrap_or_else(|_| FALLBACK.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_page_shows_title_message_and_reference() {
        let html = error_page("Page not found", "Check the address.", "req_123");
        html_audit::check(&html);
        assert!(html.contains("<h1>Page not found</h1>"));
        assert!(html.contains("Check the address."));
        assert!(html.contains("req_123"));
    }

    #[test]
    fn error_page_without_request_id_has_no_reference_line() {
        assert!(!error_page("A", "B", "").contains("Reference"));
    }

    #[test]
    fn error_page_escapes_every_argument() {
        for hostile in html_audit::HOSTILE {
            html_audit::check(&error_page(hostile, hostile, hostile));
        }
    }

    #[test]
    fn fallback_is_a_whole_page() {
        html_audit::check(FALLBACK);
    }
}
