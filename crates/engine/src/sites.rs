//! Sites: storefronts as an organisation sets them up over the Admin API.

use crate::call::By;
use crate::error::Error;
use crate::{Engine, ids};
use domain::audit::AuditKind;
use domain::id::{ProviderId, StorefrontId};
use domain::scope::Scope;
use domain::settings_group::{IpnSettings, SettingsGroup};
use domain::site::{Branding, SITES_MAX, Site, SiteFacet};
use domain::storefront::Storefront;
use store::Tx;

/// Random characters of a site's secret: 190 bits.
const SECRET_CHARS: usize = 32;

/// What is to be set for a site; `None` leaves it, an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct SiteChanges {
    pub name: Option<String>,
    /// Its own address.
    pub url: Option<String>,
    pub logo: Option<Option<String>>,
    pub primary_color: Option<Option<String>>,
    pub providers: Option<Vec<ProviderId>>,
    pub default_provider: Option<Option<ProviderId>>,
    pub ipn_version: Option<i64>,
}

fn context(id: StorefrontId) -> String {
    format!("sites.webhook_secret.{id}")
}

impl Engine {
    /// Makes a site. Its secret is in the answer and nowhere else; [`Engine::regenerate_site_secret`] makes another.
    pub async fn create_site(
        &self,
        scope: Scope,
        by: By,
        name: String,
        changes: SiteChanges,
    ) -> Result<(Site, String), Error> {
        let engine = self.clone();
        let secret = new_secret();
        let kept = secret.clone();
        let site = self
            .store
            .write(move |tx| {
                store::merchants::lock_mode(tx, scope)?;
                if store::sites::all(tx, scope)?.len() >= SITES_MAX {
                    return Err(Error::Limit { what: "sites of an organisation", max: SITES_MAX });
                }
                let mut storefront = Storefront::new(engine.ids.next(), scope, name.clone(), engine.now());
                storefront.any_currency = true;
                let usual: IpnSettings = store::settings_groups::get(tx, scope, SettingsGroup::Ipn)?;
                let mut facet =
                    SiteFacet { ipn_version: usual.version, ..SiteFacet::new(storefront.id, scope) };
                apply(tx, &mut storefront, &mut facet, &changes)?;
                storefront.number = store::storefronts::insert(tx, &storefront)?;
                store::sites::insert(tx, &facet)?;
                let sealed = engine.vault.seal(&context(storefront.id), secret.as_bytes())?;
                store::sites::set_secret(tx, storefront.id, &sealed)?;
                let site = Site { storefront, facet };
                engine.audit_site(tx, &by, AuditKind::ObjectCreated, &site, format!("site {name:?}"))?;
                Ok(site)
            })
            .await?;
        Ok((site, kept))
    }

    pub async fn sites(&self, scope: Scope) -> Result<Vec<Site>, Error> {
        self.store
            .read(move |tx| {
                let mut sites = Vec::new();
                for facet in store::sites::all(tx, scope)? {
                    let storefront = store::storefronts::get(tx, scope, facet.storefront)?;
                    sites.extend(storefront.map(|storefront| Site { storefront, facet }));
                }
                Ok::<_, Error>(sites)
            })
            .await
    }

    pub async fn site(&self, scope: Scope, id: StorefrontId) -> Result<Site, Error> {
        self.store.read(move |tx| present(tx, scope, id)).await
    }

    /// Changes a site. In force within a second.
    ///
    /// # Errors
    /// [`Error::Missing`] for providers that are not this organisation's.
    pub async fn change_site(
        &self,
        scope: Scope,
        by: By,
        id: StorefrontId,
        changes: SiteChanges,
    ) -> Result<Site, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                // Of two changes at the same time neither may undo the other.
                store::merchants::lock_mode(tx, scope)?;
                let mut site = present(tx, scope, id)?;
                apply(tx, &mut site.storefront, &mut site.facet, &changes)?;
                site.storefront.updated_at = engine.now();
                store::storefronts::update(tx, &site.storefront)?;
                store::sites::update(tx, &site.facet)?;
                engine.audit_site(tx, &by, AuditKind::SettingsChanged, &site, changes.told())?;
                Ok(site)
            })
            .await
    }

    /// Takes a site out of use: no new checkouts, and what it has goes on.
    ///
    /// # Errors
    /// [`Error::InUse`] for the site that REST v2 uses.
    pub async fn delete_site(&self, scope: Scope, by: By, id: StorefrontId) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                store::merchants::lock_mode(tx, scope)?;
                let site = present(tx, scope, id)?;
                let mode = store::merchants::mode(tx, scope)?;
                if mode.is_some_and(|mode| mode.storefront == id) {
                    let message =
                        "it is the organisation's first site, which payments without a site use".to_owned();
                    return Err(Error::InUse { kind: "site", message });
                }
                store::sites::delete(tx, id, engine.now())?;
                let detail = format!("site {:?}", site.storefront.name);
                engine.audit_site(tx, &by, AuditKind::ObjectDeleted, &site, detail)
            })
            .await
    }

    /// Gives a site a new secret. The old one signs nothing from now on.
    pub async fn regenerate_site_secret(
        &self,
        scope: Scope,
        by: By,
        id: StorefrontId,
    ) -> Result<(Site, String), Error> {
        let engine = self.clone();
        let secret = new_secret();
        let kept = secret.clone();
        let site = self
            .store
            .write(move |tx| {
                store::merchants::lock_mode(tx, scope)?;
                let site = present(tx, scope, id)?;
                let sealed = engine.vault.seal(&context(id), secret.as_bytes())?;
                store::sites::set_secret(tx, id, &sealed)?;
                engine.audit_site(tx, &by, AuditKind::KeyRotated, &site, "the webhook secret".to_owned())?;
                Ok::<_, Error>(site)
            })
            .await?;
        Ok((site, kept))
    }

    /// The secret of a site's notices. One that was made by another surface gets its first here, unless somebody else
    /// gives it one at this moment.
    pub(crate) fn site_secret(&self, tx: &mut Tx<'_>, id: StorefrontId) -> Result<String, Error> {
        if store::sites::secret(tx, id)?.is_none() {
            let sealed = self.vault.seal(&context(id), new_secret().as_bytes())?;
            store::sites::set_first_secret(tx, id, &sealed)?;
        }
        let sealed = store::sites::secret(tx, id)?;
        let sealed = sealed.ok_or_else(|| Error::Internal(format!("{id} has no row as a site")))?;
        String::from_utf8(self.vault.open(&context(id), &sealed)?)
            .map_err(|_| Error::Internal("a site's secret is not text".to_owned()))
    }

    fn audit_site(
        &self,
        tx: &mut Tx<'_>,
        by: &By,
        kind: AuditKind,
        site: &Site,
        detail: String,
    ) -> Result<(), Error> {
        let scope = site.storefront.scope;
        self.audit_by(
            tx,
            by,
            kind,
            (Some(scope.merchant), Some(scope.mode)),
            site.storefront.id.0.hex(),
            detail,
        )
    }
}

fn new_secret() -> String {
    format!("whsec_{}", ids::secret_text(SECRET_CHARS))
}

/// A site that is not deleted.
pub(crate) fn present(tx: &mut Tx<'_>, scope: Scope, id: StorefrontId) -> Result<Site, Error> {
    let missing = || Error::not_found("site", id.0.hex());
    let facet = store::sites::get(tx, scope, id)?.filter(|f| f.deleted_at.is_none()).ok_or_else(missing)?;
    let storefront = store::storefronts::get(tx, scope, id)?.ok_or_else(missing)?;
    Ok(Site { storefront, facet })
}

fn apply(
    tx: &mut Tx<'_>,
    storefront: &mut Storefront,
    facet: &mut SiteFacet,
    changes: &SiteChanges,
) -> Result<(), Error> {
    if let Some(name) = &changes.name {
        storefront.name.clone_from(name);
    }
    if let Some(url) = &changes.url {
        storefront.url.clone_from(url);
    }
    let Branding { logo, primary_color } = &mut facet.branding;
    if let Some(new) = &changes.logo {
        logo.clone_from(new);
    }
    if let Some(new) = &changes.primary_color {
        primary_color.clone_from(new);
    }
    if let Some(providers) = &changes.providers {
        facet.providers.clone_from(providers);
    }
    if let Some(default) = changes.default_provider {
        facet.default_provider = default;
    }
    if let Some(version) = changes.ipn_version {
        facet.ipn_version = version;
    }
    let own = store::providers::all(tx, storefront.scope)?;
    for (param, ids) in
        [("providerIds", &facet.providers[..]), ("defaultProviderId", facet.default_provider.as_slice())]
    {
        if let Some(foreign) = ids.iter().find(|id| !own.iter().any(|p| p.id == **id)) {
            return Err(Error::missing(param, "provider", foreign.0.hex()));
        }
    }
    match facet.default_provider {
        Some(default) if !facet.providers.is_empty() && !facet.providers.contains(&default) => {
            let message = "defaultProviderId must be one of providerIds";
            Err(Error::invalid("defaultProviderId", "provider_not_offered", message))
        }
        _ => Ok(()),
    }
}

impl SiteChanges {
    /// What was set, for the audit log: names only, since addresses may hold secrets.
    fn told(&self) -> String {
        let set = [
            ("name", self.name.is_some()),
            ("url", self.url.is_some()),
            ("branding.logo", self.logo.is_some()),
            ("branding.primaryColor", self.primary_color.is_some()),
            ("providerIds", self.providers.is_some()),
            ("defaultProviderId", self.default_provider.is_some()),
            ("ipnVersion", self.ipn_version.is_some()),
        ];
        let names: Vec<&str> = set.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
        format!("site settings changed: {}", names.join(", "))
    }
}
