//! The colour of a merchant's site on its payment pages: a style sheet of our own origin, made of nothing but one
//! colour that was checked. Where the colour would make something hard to read, ours stays.

use crate::checkout_routes::{missed, plausible, refusal};
use crate::contrast::{contrast, mixed};
use crate::routes::{Id, Segment, id_text, routed, text};
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use domain::site::{Branding, is_color};
use std::fmt::Write as _;
use web::App;

/// The route, for logs and metrics.
const BRAND: &str = "/checkout/{code}/brand.css";

/// WCAG 2.2 AA, success criteria 1.4.3 and 1.4.11.
const TEXT: f64 = 4.5;
const EDGE: f64 = 3.0;
/// How far a button's colour moves away from that of its text when it is pointed at, in hundredths.
const HOVER: u32 = 15;

/// What the merchant's colour stands on and beside, of the two schemes of `app.css`.
struct Scheme {
    surface: u32,
    page: u32,
    hover: u32,
}

const LIGHT: Scheme = Scheme { surface: 0xffffff, page: 0xf3f4f7, hover: 0xf0f2f6 };
const DARK: Scheme = Scheme { surface: 0x191c22, page: 0x0f1115, hover: 0x232832 };
const WHITE: u32 = 0xffffff;
const BLACK: u32 = 0x171a21;

impl Scheme {
    /// The declarations for a colour: none if a button of it would not stand out.
    fn rules(&self, color: u32) -> String {
        let mut rules = String::new();
        let (text, away) = if contrast(color, WHITE) >= TEXT { (WHITE, 0) } else { (BLACK, WHITE) };
        if contrast(color, self.surface) < EDGE || contrast(color, text) < TEXT {
            return rules;
        }
        let hover = mixed(color, away, HOVER);
        // Writing into a String cannot fail.
        let _ = write!(rules, "--brand:#{color:06x};--brand-hover:#{hover:06x};--on-brand:#{text:06x}");
        if [self.surface, self.page, self.hover].iter().all(|back| contrast(color, *back) >= TEXT) {
            let _ = write!(rules, ";--accent:#{color:06x};--focus:#{color:06x}");
        }
        rules
    }
}

/// The style sheet for a site's looks; `None` if it would say nothing.
fn sheet(branding: &Branding) -> Option<String> {
    let text = branding.primary_color.as_deref().filter(|text| is_color(text))?;
    let color = u32::from_str_radix(text.trim_start_matches('#'), 16).ok()?;
    let (light, dark) = (LIGHT.rules(color), DARK.rules(color));
    if light.is_empty() && dark.is_empty() {
        return None;
    }
    // Each in a query of its own, so that what one scheme leaves alone is not the other's.
    let part = |scheme: &str, rules: &str| match rules {
        "" => String::new(),
        rules => format!("@media (prefers-color-scheme:{scheme}){{:root{{{rules}}}}}\n"),
    };
    Some(part("light", &light) + &part("dark", &dark))
}

/// Whether the pages of a site have a style sheet of its own.
pub(crate) fn has_sheet(branding: &Branding) -> bool {
    sheet(branding).is_some()
}

/// The style sheet of a checkout's page; an empty one if its site has no colour that can be shown.
pub(crate) async fn show(State(app): State<App>, segment: Segment, id: Id, request: Request) -> Response {
    let (head, id) = (request.into_parts().0, id_text(&id).to_owned());
    let response = match plausible(text(segment)) {
        Some(code) => match app.engine.checkout(code).await {
            Ok(view) => {
                let headers = [
                    (header::CONTENT_TYPE, "text/css; charset=utf-8"),
                    // The address is the page's, which is its only credential: browsers keep neither.
                    (header::CACHE_CONTROL, "no-store"),
                    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
                ];
                (headers, sheet(&view.branding).unwrap_or_default()).into_response()
            }
            Err(error) => refusal(&app, &head.extensions, &error, &id),
        },
        None => missed(&app, &head.extensions, &id),
    };
    routed(response, BRAND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contrast::palettes;

    fn of(color: &str) -> Option<String> {
        sheet(&Branding { primary_color: Some(color.to_owned()), ..Branding::default() })
    }

    #[test]
    fn the_schemes_are_those_of_the_style_sheet() {
        for (scheme, palette) in [LIGHT, DARK].iter().zip(palettes()) {
            let ours = [scheme.surface, scheme.page, scheme.hover];
            assert_eq!(ours, ["surface", "page", "hover"].map(|name| palette[name]));
        }
        assert_eq!(palettes()[0]["text"], BLACK);
    }

    #[test]
    fn a_colour_is_used_where_it_can_be_read() {
        let green = of("#0A6F4E").expect("readable");
        assert!(green.contains("(prefers-color-scheme:light){:root{--brand:#0a6f4e;"), "{green}");
        assert!(green.contains("--on-brand:#ffffff;--accent:#0a6f4e;--focus:#0a6f4e}"), "{green}");
        // A lighter one is a button, and no text.
        let lighter = of("#0a7f5a").expect("readable");
        assert!(lighter.contains("dark){:root{--brand:#0a7f5a") && !lighter.contains("accent"), "{lighter}");
        let yellow = of("#ffd500").expect("on dark");
        assert!(
            !yellow.contains("light") && yellow.contains("--on-brand:#171a21;--accent:#ffd500"),
            "{yellow}"
        );
        let navy = of("#101a3a").expect("on light");
        assert!(navy.contains("light") && !navy.contains("dark"), "{navy}");
    }

    #[test]
    fn whatever_the_colour_everything_stays_readable() {
        for n in 0..=0xfff_u32 {
            let color = (((n >> 8) & 0xf) * 0x11_0000) + (((n >> 4) & 0xf) * 0x1100) + ((n & 0xf) * 0x11);
            for scheme in [&LIGHT, &DARK] {
                let rules = scheme.rules(color);
                let value = |name: &str| {
                    let found = rules.split(';').find_map(|rule| rule.strip_prefix(&format!("--{name}:#")));
                    found.map(|hex| u32::from_str_radix(hex, 16).expect("hex"))
                };
                if let Some(brand) = value("brand") {
                    let (on, hover) =
                        (value("on-brand").expect("text"), value("brand-hover").expect("hover"));
                    assert!(
                        contrast(brand, on) >= TEXT && contrast(hover, on) >= TEXT,
                        "{color:06x}: {rules}"
                    );
                    assert!(contrast(brand, scheme.surface) >= EDGE, "{color:06x}: {rules}");
                }
                if let Some(accent) = value("accent") {
                    assert!(contrast(accent, scheme.surface) >= TEXT, "{color:06x}: {rules}");
                }
            }
        }
    }

    #[test]
    fn nothing_but_a_colour_gets_in() {
        for text in ["", "red", "#fff", "#ffff00}", "#12345g", "url(x)", "#0a7f5a;", "#+a7f5a"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(sheet(&Branding::default()), None);
    }
}
