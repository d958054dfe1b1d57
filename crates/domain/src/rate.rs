//! Rate limit tiers: how many requests a merchant's key may make.

use std::fmt;
use std::str::FromStr;

/// The two bounds that a request has to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tier {
    /// Requests in any window of 60 seconds.
    pub per_minute: u32,
    /// Rate at which the token bucket refills, per second.
    pub per_second: u32,
    /// Size of the token bucket: requests that may come at once.
    pub burst: u32,
}

/// Largest number in a custom tier. Far above what one machine serves; keeps the arithmetic of the
/// limiter inside its integers.
const MAX_CUSTOM: u32 = 10_000_000;

/// A tier by name, as stored for a merchant and mode.
///
/// | Tier | per second | per minute | burst |
/// |---|---|---|---|
/// | Sandbox | 2 | 100 | 20 |
/// | Starter | 5 | 300 | 60 |
/// | Growth | 17 | 1,000 | 200 |
/// | Enterprise | 1,000 | 60,000 | 5,000, or as the operator sets |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TierName {
    Sandbox,
    Starter,
    Growth,
    /// Enterprise with the default numbers.
    Enterprise,
    /// Enterprise with the operator's own numbers. Made by [`TierName::custom`], which checks them.
    Custom(Tier),
}

/// Why a text is not a tier. The message is a phrase that follows the parameter's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TierError {
    #[error(
        "must be sandbox, starter, growth, enterprise or custom:<per_minute>/<per_second>/<burst>, \
         such as custom:60000/1000/5000"
    )]
    Unknown,
    #[error("must have numbers from 1 to 10000000 in custom:<per_minute>/<per_second>/<burst>")]
    Numbers,
}

impl TierName {
    /// An enterprise tier with its own numbers.
    ///
    /// # Errors
    /// [`TierError::Numbers`] if one is zero or above 10,000,000.
    pub fn custom(tier: Tier) -> Result<TierName, TierError> {
        let fits = |number: u32| (1..=MAX_CUSTOM).contains(&number);
        if fits(tier.per_minute) && fits(tier.per_second) && fits(tier.burst) {
            Ok(TierName::Custom(tier))
        } else {
            Err(TierError::Numbers)
        }
    }

    /// Reads the text that `Display` writes.
    ///
    /// # Errors
    /// [`TierError`].
    pub fn parse(text: &str) -> Result<TierName, TierError> {
        match text {
            "sandbox" => Ok(TierName::Sandbox),
            "starter" => Ok(TierName::Starter),
            "growth" => Ok(TierName::Growth),
            "enterprise" => Ok(TierName::Enterprise),
            _ => parse_custom(text.strip_prefix("custom:").ok_or(TierError::Unknown)?),
        }
    }

    /// The tier's name without numbers, for people: a custom tier is `enterprise` too. Store and
    /// read back the `Display` text instead.
    pub const fn as_str(self) -> &'static str {
        match self {
            TierName::Sandbox => "sandbox",
            TierName::Starter => "starter",
            TierName::Growth => "growth",
            TierName::Enterprise | TierName::Custom(_) => "enterprise",
        }
    }

    pub const fn limits(self) -> Tier {
        match self {
            TierName::Sandbox => Tier { per_minute: 100, per_second: 2, burst: 20 },
            TierName::Starter => Tier { per_minute: 300, per_second: 5, burst: 60 },
            TierName::Growth => Tier { per_minute: 1_000, per_second: 17, burst: 200 },
            TierName::Enterprise => Tier { per_minute: 60_000, per_second: 1_000, burst: 5_000 },
            TierName::Custom(tier) => tier,
        }
    }
}

fn parse_custom(text: &str) -> Result<TierName, TierError> {
    let mut numbers = text.split('/').map(|number| {
        // `u32::from_str` takes a leading plus sign, which would give a tier two spellings.
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u32>().ok().filter(|_| digits).ok_or(TierError::Numbers)
    });
    let mut next = || numbers.next().unwrap_or(Err(TierError::Numbers));
    let tier = Tier { per_minute: next()?, per_second: next()?, burst: next()? };
    if numbers.next().is_some() { Err(TierError::Numbers) } else { TierName::custom(tier) }
}

impl fmt::Display for TierName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TierName::Custom(tier) => {
                write!(f, "custom:{}/{}/{}", tier.per_minute, tier.per_second, tier.burst)
            }
            named => f.write_str(named.as_str()),
        }
    }
}

impl FromStr for TierName {
    type Err = TierError;

    fn from_str(text: &str) -> Result<TierName, TierError> {
        TierName::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_by_name() {
        let cases = [
            ("sandbox", "sandbox", (100, 2, 20)),
            ("starter", "starter", (300, 5, 60)),
            ("growth", "growth", (1_000, 17, 200)),
            ("enterprise", "enterprise", (60_000, 1_000, 5_000)),
            ("custom:6000/100/1", "enterprise", (6_000, 100, 1)),
            ("custom:10000000/1/1", "enterprise", (10_000_000, 1, 1)),
        ];
        for (text, name, numbers) in cases {
            let tier = TierName::parse(text).unwrap();
            let limits = tier.limits();
            assert_eq!((limits.per_minute, limits.per_second, limits.burst), numbers, "{text}");
            assert_eq!(tier.as_str(), name);
            assert_eq!(tier.to_string(), text, "the stored text reads back");
        }
    }

    #[test]
    fn refusals() {
        let cases = [
            ("", TierError::Unknown),
            ("Sandbox", TierError::Unknown),
            ("gold", TierError::Unknown),
            ("enterprise ", TierError::Unknown),
            ("custom", TierError::Unknown),
            ("custom:", TierError::Numbers),
            ("custom:1/2", TierError::Numbers),
            ("custom:1/2/3/4", TierError::Numbers),
            ("custom:1/2/3/", TierError::Numbers),
            ("custom:0/2/3", TierError::Numbers),
            ("custom:1/0/3", TierError::Numbers),
            ("custom:1/2/0", TierError::Numbers),
            ("custom:+1/2/3", TierError::Numbers),
            ("custom:-1/2/3", TierError::Numbers),
            ("custom:1 /2/3", TierError::Numbers),
            ("custom:10000001/2/3", TierError::Numbers),
            ("custom:4294967296/2/3", TierError::Numbers),
        ];
        for (text, error) in cases {
            assert_eq!(TierName::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn named_tiers_grow() {
        let tiers = [TierName::Sandbox, TierName::Starter, TierName::Growth, TierName::Enterprise];
        for pair in tiers.map(TierName::limits).windows(2) {
            assert!(pair[0].per_minute < pair[1].per_minute);
            assert!(pair[0].per_second < pair[1].per_second);
            assert!(pair[0].burst < pair[1].burst);
        }
    }
}
