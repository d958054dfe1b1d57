//! The languages of the payment page, and which one a payer gets.

/// A language the page speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Locale {
    En,
    De,
    Fr,
    Es,
    It,
    Nl,
    Pl,
    Pt,
    Cs,
    Lv,
    Ar,
    He,
}

/// Entries of an `Accept-Language` header that are read; browsers send fewer.
const MAX_ACCEPTED: usize = 32;

impl Locale {
    pub const ALL: [Locale; 12] = [
        Locale::En,
        Locale::De,
        Locale::Fr,
        Locale::Es,
        Locale::It,
        Locale::Nl,
        Locale::Pl,
        Locale::Pt,
        Locale::Cs,
        Locale::Lv,
        Locale::Ar,
        Locale::He,
    ];

    /// The value of `lang` and of `?locale=`.
    pub const fn tag(self) -> &'static str {
        match self {
            Locale::En => "en",
            Locale::De => "de",
            Locale::Fr => "fr",
            Locale::Es => "es",
            Locale::It => "it",
            Locale::Nl => "nl",
            Locale::Pl => "pl",
            Locale::Pt => "pt",
            Locale::Cs => "cs",
            Locale::Lv => "lv",
            Locale::Ar => "ar",
            Locale::He => "he",
        }
    }

    /// The language's own name.
    pub const fn name(self) -> &'static str {
        match self {
            Locale::En => "English",
            Locale::De => "Deutsch",
            Locale::Fr => "Français",
            Locale::Es => "Español",
            Locale::It => "Italiano",
            Locale::Nl => "Nederlands",
            Locale::Pl => "Polski",
            Locale::Pt => "Português",
            Locale::Cs => "Čeština",
            Locale::Lv => "Latviešu",
            Locale::Ar => "العربية",
            Locale::He => "עברית",
        }
    }

    /// The value of `dir`.
    pub const fn direction(self) -> &'static str {
        match self {
            Locale::Ar | Locale::He => "rtl",
            _ => "ltr",
        }
    }

    /// The language that the payer chose, else the one that the merchant asked for, else the best of the
    /// browser's `Accept-Language`, else English. What is not a language of this page is passed over.
    pub fn choose(chosen: Option<&str>, merchant: Option<&str>, accepted: Option<&str>) -> Locale {
        chosen
            .and_then(Locale::parse)
            .or_else(|| merchant.and_then(Locale::parse))
            .or_else(|| accepted.and_then(best_of))
            .unwrap_or(Locale::En)
    }

    /// Reads a language tag by its first part, in any case: `pt-BR` is Portuguese.
    pub fn parse(tag: &str) -> Option<Locale> {
        let language = tag.trim().split(['-', '_']).next()?;
        // The code of Hebrew until 1989, which old systems still send.
        if language.eq_ignore_ascii_case("iw") {
            return Some(Locale::He);
        }
        Locale::ALL.into_iter().find(|locale| locale.tag().eq_ignore_ascii_case(language))
    }
}

/// The language of the highest weight; of equal ones the first (RFC 9110, section 12.5.4).
fn best_of(header: &str) -> Option<Locale> {
    let mut best = None;
    for entry in header.split(',').take(MAX_ACCEPTED) {
        let (tag, parameters) = entry.split_once(';').unwrap_or((entry, ""));
        let Some(locale) = Locale::parse(tag) else { continue };
        let weight = weight_thousandths(parameters);
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((locale, weight));
        }
    }
    best.map(|(locale, _)| locale)
}

/// `q=0.8` as 800. A weight that cannot be read counts as none given, 1000.
fn weight_thousandths(parameters: &str) -> u32 {
    let Some((_, value)) = parameters.split_once("q=") else { return 1000 };
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let digits: String = fraction.chars().take(3).collect();
    match (whole, format!("{digits:0<3}").parse::<u32>()) {
        ("0", Ok(thousandths)) => thousandths,
        _ => 1000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_by_their_language() {
        for (tag, locale) in [
            ("de", Some(Locale::De)),
            ("DE", Some(Locale::De)),
            ("pt-BR", Some(Locale::Pt)),
            ("en_GB", Some(Locale::En)),
            (" ar ", Some(Locale::Ar)),
            ("iw", Some(Locale::He)),
            ("", None),
            ("deu", None),
            ("d", None),
            ("xx", None),
            ("*", None),
            ("de<script>", None),
        ] {
            assert_eq!(Locale::parse(tag), locale, "{tag:?}");
        }
    }

    #[test]
    fn the_payer_comes_before_the_merchant_and_the_browser() {
        use Locale::{Cs, De, En, Fr};
        assert_eq!(Locale::choose(Some("fr"), Some("de"), Some("cs")), Fr);
        assert_eq!(Locale::choose(Some("xx"), Some("de"), Some("cs")), De);
        assert_eq!(Locale::choose(None, Some(""), Some("cs")), Cs);
        assert_eq!(Locale::choose(None, None, Some("ja, xx")), En);
        assert_eq!(Locale::choose(None, None, None), En);
    }

    #[test]
    fn the_browser_says_what_it_likes_best() {
        use Locale::{Cs, De, En, Lv};
        for (header, locale) in [
            ("cs,de;q=0.9", Cs),
            ("cs;q=0.8, de;q=0.9", De),
            ("cs;q=0.85, de;q=0.9", De),
            ("de;q=0.9, cs;q=0.9", De),
            ("ja;q=1, lv;q=0.001", Lv),
            ("de;q=0", En),
            ("de;q=abc", De),
            ("*;q=0.5", En),
            (",,;;q=,", En),
        ] {
            assert_eq!(Locale::choose(None, None, Some(header)), locale, "{header}");
        }
        let late = format!("{}de", "xx,".repeat(MAX_ACCEPTED));
        assert_eq!(Locale::choose(None, None, Some(&late)), En);
    }
}
