//! A storefront as the Admin API has it: a site with its looks, its providers, and the secret of its notices.

use crate::id::{ProviderId, StorefrontId};
use crate::merchant::Provider;
use crate::scope::Scope;
use crate::storefront::Storefront;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How a site's pages look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Branding {
    /// An https address of a picture; the page links to none of another site, so it is told to API clients only.
    pub logo: Option<String>,
    /// `#rrggbb`.
    pub primary_color: Option<String>,
}

/// What a storefront has as a site.
#[derive(Clone, Debug)]
pub struct SiteFacet {
    pub storefront: StorefrontId,
    pub scope: Scope,
    pub branding: Branding,
    /// Which providers payers are offered; all that are enabled if empty.
    pub providers: Vec<ProviderId>,
    /// Where payments go; the first offered one that is enabled if `None`.
    pub default_provider: Option<ProviderId>,
    /// Version of its notices: 1 or 2.
    pub ipn_version: i64,
    pub deleted_at: Option<Timestamp>,
}

impl SiteFacet {
    /// A site with nothing set.
    pub fn new(storefront: StorefrontId, scope: Scope) -> SiteFacet {
        SiteFacet {
            storefront,
            scope,
            branding: Branding::default(),
            providers: Vec::new(),
            default_provider: None,
            ipn_version: 1,
            deleted_at: None,
        }
    }
}

/// A site.
#[derive(Clone, Debug)]
pub struct Site {
    pub storefront: Storefront,
    pub facet: SiteFacet,
}

/// Sites of one organisation and mode.
pub const SITES_MAX: usize = 100;
/// Providers of one organisation and mode.
pub const PROVIDERS_MAX: usize = 50;

/// Whether a text is a colour as `#rrggbb`.
pub fn is_color(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text.bytes().skip(1).all(|b| b.is_ascii_hexdigit())
}

/// The provider that payments of a site go to, of all that the merchant has, oldest first: the site's default, else
/// the first that it offers, as far as they are enabled. A storefront without a facet offers all.
pub fn choose_provider<'p>(facet: Option<&SiteFacet>, all: &'p [Provider]) -> Option<&'p Provider> {
    let offered = |p: &&Provider| {
        p.enabled && facet.is_none_or(|f| f.providers.is_empty() || f.providers.contains(&p.id))
    };
    let named = facet.and_then(|f| f.default_provider);
    all.iter().filter(offered).find(|p| Some(p.id) == named).or_else(|| {
        // In the site's own order, where it has one.
        let place = |p: &&Provider| facet.and_then(|f| f.providers.iter().position(|id| *id == p.id));
        all.iter().filter(offered).min_by_key(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Core, MerchantId, TypedId};
    use crate::scope::Mode;

    fn id(n: u8) -> ProviderId {
        ProviderId::from_core(Core([n; 12]))
    }

    #[test]
    fn the_site_decides_where_payments_go() {
        let scope = Scope { merchant: MerchantId(Core([1; 12])), mode: Mode::Test };
        let all: Vec<Provider> = [(1, true), (2, false), (3, true), (4, true)]
            .into_iter()
            .map(|(n, enabled)| Provider {
                id: id(n),
                scope,
                connector: "sandbox".to_owned(),
                name: String::new(),
                enabled,
                shown: Vec::new(),
                check: None,
                created_at: Timestamp(0),
                updated_at: Timestamp(0),
            })
            .collect();
        let chosen = |providers: &[u8], default: Option<u8>| {
            let mut facet = SiteFacet::new(StorefrontId(Core([9; 12])), scope);
            facet.providers = providers.iter().map(|n| id(*n)).collect();
            facet.default_provider = default.map(id);
            choose_provider(Some(&facet), &all).map(|p| p.id)
        };
        assert_eq!(choose_provider(None, &all).map(|p| p.id), Some(id(1)));
        for (providers, default, expected) in [
            (&[][..], None, Some(1)),
            (&[], Some(3), Some(3)),
            (&[], Some(2), Some(1)),
            (&[4, 3], None, Some(4)),
            (&[4, 3], Some(3), Some(3)),
            (&[4, 3], Some(1), Some(4)),
            (&[2], None, None),
            (&[2], Some(2), None),
        ] {
            assert_eq!(chosen(providers, default), expected.map(id), "{providers:?} {default:?}");
        }
    }
}
