//! The sandbox's 3-D Secure 2 challenge, `/3ds/{code}`: it stands in for the page of the payer's bank.

use askama::Template;

use crate::checkout::Locale;
use crate::return_url::ReturnUrl;
use crate::{Page, render};

/// What the challenge page shows.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    /// The secret in the page's address; the form posts back to `/3ds/{code}`.
    pub code: &'a str,
    pub merchant_name: &'a str,
    /// Ready to read, with its currency: `€49.00`.
    pub amount: &'a str,
    /// Ready to read: `Visa`.
    pub card_brand: &'a str,
    /// The last four digits of the card number.
    pub last4: &'a str,
    /// Adds that no money moves. The page says that it is a simulation either way.
    pub test_mode: bool,
    /// Whole minutes until the challenge expires, rounded down; 0 reads "less than a minute".
    pub expires_in_minutes: u32,
    /// Language of the payment page from which the payer comes, and to which the answer leads back.
    pub locale: Option<Locale>,
}

/// How a challenge ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeResult {
    /// The payer is who they say. The bank may still decline the charge, so this is not "paid".
    Success,
    /// The payer is who they say, and the bank declined the charge.
    Declined,
    /// The bank could not confirm the payer.
    Failed,
    /// The payer left.
    Abandoned,
}

/// What the page after the challenge shows.
#[derive(Debug, Clone, Copy)]
pub struct ChallengeDone<'a> {
    pub merchant_name: &'a str,
    pub result: ChallengeResult,
    /// Where the merchant wants the payer back. Anything but an http or https address without credentials in it
    /// is treated as `None`.
    pub return_url: Option<&'a str>,
}

/// The challenge: a form with three answers, POSTed to `/3ds/{code}` as `outcome=success`, `outcome=fail` or
/// `outcome=abandon`.
pub fn challenge(p: &Challenge<'_>) -> String {
    render(&ChallengePage {
        code: p.code,
        merchant: merchant_or_shop(p.merchant_name),
        amount: p.amount,
        card_brand: p.card_brand,
        last4: p.last4,
        test_mode: p.test_mode,
        expires_in: expiry_text(p.expires_in_minutes),
        locale: p.locale,
    })
}

/// The answer to that POST. With a usable `return_url` it has a link there and a `Refresh` header's value.
pub fn challenge_done(p: &ChallengeDone<'_>) -> Page {
    let leave = p.return_url.and_then(ReturnUrl::parse);
    let html = render(&ChallengeDonePage {
        merchant: merchant_or_shop(p.merchant_name),
        result: p.result,
        href: leave.as_ref().map(|url| url.href.as_str()),
        // Announce the departure only when the header that causes it is sent.
        leaving_to: leave.as_ref().filter(|url| url.refresh.is_some()).map(|url| url.host.as_str()),
    });
    Page { html, refresh: leave.and_then(|url| url.refresh) }
}

/// The page for a code that is unknown, used or expired: one text for all three, so that trying codes tells
/// nothing about which exist.
pub fn challenge_gone() -> String {
    render(&ChallengeGonePage)
}

#[derive(Template)]
#[template(path = "challenge.html")]
struct ChallengePage<'a> {
    code: &'a str,
    merchant: &'a str,
    amount: &'a str,
    card_brand: &'a str,
    last4: &'a str,
    test_mode: bool,
    expires_in: String,
    locale: Option<Locale>,
}

#[derive(Template)]
#[template(path = "challenge_done.html")]
struct ChallengeDonePage<'a> {
    merchant: &'a str,
    result: ChallengeResult,
    href: Option<&'a str>,
    leaving_to: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "challenge_gone.html")]
struct ChallengeGonePage;

/// Sentences and the link need a name.
fn merchant_or_shop(name: &str) -> &str {
    let name = name.trim();
    if name.is_empty() { "the shop" } else { name }
}

fn expiry_text(minutes: u32) -> String {
    match minutes {
        0 => "less than a minute".to_owned(),
        1 => "1 minute".to_owned(),
        n => format!("{n} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html_audit::{self, HOSTILE};

    const RESULTS: [ChallengeResult; 4] = [
        ChallengeResult::Success,
        ChallengeResult::Declined,
        ChallengeResult::Failed,
        ChallengeResult::Abandoned,
    ];

    fn sample() -> Challenge<'static> {
        Challenge {
            code: "c0de",
            merchant_name: "Blue Bottle Books",
            amount: "€49.00",
            card_brand: "Visa",
            last4: "3155",
            test_mode: true,
            expires_in_minutes: 10,
            locale: None,
        }
    }

    fn done(result: ChallengeResult, return_url: Option<&str>) -> Page {
        challenge_done(&ChallengeDone { merchant_name: "Blue Bottle Books", result, return_url })
    }

    #[test]
    fn challenge_shows_what_is_being_confirmed() {
        let html = challenge(&sample());
        html_audit::check(&html);
        for text in [
            "Blue Bottle Books",
            "€49.00",
            "Visa",
            "3155",
            "10 minutes",
            "Sandbox: this simulates your bank’s page",
            "No real money moves",
        ] {
            assert!(html.contains(text), "{text} is not on the page");
        }
    }

    #[test]
    fn challenge_form_posts_each_outcome_to_its_own_code() {
        let tags = html_audit::tags(&challenge(&sample()));
        let forms: Vec<_> = tags.iter().filter(|tag| tag.name == "form").collect();
        assert_eq!(forms.len(), 1);
        assert_eq!(forms[0].attr("method"), Some("post"));
        assert_eq!(forms[0].attr("action"), Some("/3ds/c0de"));
        let outcomes: Vec<_> = tags
            .iter()
            .filter(|tag| tag.name == "button")
            .map(|tag| (tag.attr("type"), tag.attr("name"), tag.attr("value")))
            .collect();
        let button = |value| (Some("submit"), Some("outcome"), Some(value));
        assert_eq!(outcomes, [button("success"), button("fail"), button("abandon")]);
    }

    #[test]
    fn challenge_form_keeps_the_payers_language() {
        let html = challenge(&Challenge { locale: Some(Locale::Ar), ..sample() });
        html_audit::check(&html);
        assert!(html.contains("action=\"/3ds/c0de?locale=ar\""), "{html}");
    }

    #[test]
    fn code_cannot_leave_its_path_segment() {
        let html = challenge(&Challenge { code: "a/../b?c#d\"e", ..sample() });
        html_audit::check(&html);
        assert!(html.contains("action=\"/3ds/a%2F..%2Fb%3Fc%23d%22e\""), "{html}");
    }

    #[test]
    fn simulation_is_named_in_either_mode() {
        let html = challenge(&Challenge { test_mode: false, ..sample() });
        html_audit::check(&html);
        assert!(html.contains("Sandbox: this simulates your bank’s page"));
        assert!(!html.contains("No real money moves"));
    }

    #[test]
    fn expiry_reads_well() {
        for (minutes, text) in [(0, "less than a minute"), (1, "in 1 minute."), (2, "in 2 minutes.")] {
            let html = challenge(&Challenge { expires_in_minutes: minutes, ..sample() });
            assert!(html.contains(text), "{minutes}: {text}");
        }
    }

    #[test]
    fn results_say_what_happened_to_the_money_and_what_is_next() {
        for (result, heading, money) in [
            (
                ChallengeResult::Success,
                "Your bank confirmed it is you",
                "will show you whether the payment went through",
            ),
            (ChallengeResult::Declined, "Your bank declined the payment", "You have not been charged."),
            (ChallengeResult::Failed, "Your bank could not confirm it is you", "You have not been charged."),
            (ChallengeResult::Abandoned, "You left the confirmation", "You have not been charged."),
        ] {
            let page = done(result, None);
            html_audit::check(&page.html);
            assert!(page.html.contains(heading), "{result:?}");
            assert!(page.html.contains(money), "{result:?}");
            assert!(page.html.contains("role=\"status\""), "{result:?}");
            assert!(page.html.contains("Sandbox: this simulates your bank’s page"), "{result:?}");
        }
        assert!(!done(ChallengeResult::Success, None).html.contains("not been charged"));
    }

    #[test]
    fn return_url_gives_link_and_refresh() {
        for result in RESULTS {
            let url = "https://shop.example/thanks?a=1&b=2";
            let page = done(result, Some(url));
            html_audit::check(&page.html);
            assert_eq!(page.refresh.as_deref(), Some("1; url=https://shop.example/thanks?a=1&b=2"));
            let tags = html_audit::tags(&page.html);
            let hrefs: Vec<_> =
                tags.iter().filter(|tag| tag.name == "a").map(|tag| tag.attr("href")).collect();
            assert_eq!(hrefs, [Some(url)]);
            assert!(page.html.contains("Return to"));
            assert!(page.html.contains("shop.example"));
        }
    }

    #[test]
    fn no_return_url_or_a_refused_one_gives_neither() {
        for url in
            [None, Some("javascript:alert(1)"), Some("https://a@b.example/"), Some("/x"), Some("data:,x")]
        {
            for result in RESULTS {
                let page = done(result, url);
                html_audit::check(&page.html);
                assert_eq!(page.refresh, None, "{url:?}");
                assert!(!page.html.contains("<a "), "{url:?}");
                assert!(page.html.contains("close this page"), "{url:?}");
            }
        }
    }

    #[test]
    fn long_return_url_keeps_its_link_and_promises_nothing() {
        let url = format!("https://shop.example/{}", "a".repeat(4000));
        let page = done(ChallengeResult::Success, Some(&url));
        assert_eq!(page.refresh, None);
        assert!(page.html.contains(&url));
        assert!(!page.html.contains("in a moment"));
    }

    #[test]
    fn gone_says_nothing_was_charged_by_opening_it() {
        let html = challenge_gone();
        html_audit::check(&html);
        assert!(html.contains("Opening this page has not charged you"));
        assert!(html.contains("Go back to the shop"));
    }

    #[test]
    fn nameless_merchant_reads_as_the_shop() {
        let page = challenge_done(&ChallengeDone {
            merchant_name: " ",
            result: ChallengeResult::Failed,
            return_url: Some("https://shop.example/"),
        });
        assert!(page.html.contains("Return to <bdi>the shop</bdi>"));
    }

    #[test]
    fn hostile_texts_are_escaped_everywhere() {
        let plain = html_audit::tag_names(&challenge(&sample()));
        for hostile in HOSTILE {
            let html = challenge(&Challenge {
                code: hostile,
                merchant_name: hostile,
                amount: hostile,
                card_brand: hostile,
                last4: hostile,
                ..sample()
            });
            html_audit::check(&html);
            assert_eq!(html_audit::tag_names(&html), plain, "{hostile:?} changed the page's structure");
            for result in RESULTS {
                for url in [(*hostile).to_owned(), format!("https://shop.example/{hostile}")] {
                    let page = challenge_done(&ChallengeDone {
                        merchant_name: hostile,
                        result,
                        return_url: Some(&url),
                    });
                    html_audit::check(&page.html);
                }
            }
        }
    }
}
