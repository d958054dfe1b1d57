//! What an operator set for a merchant, kept for a second so that each payment need not read it.

use crate::Engine;
use crate::error::Error;
use domain::fee::FeeRule;
use domain::merchant::{MerchantMode, Provider};
use domain::scope::Scope;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How stale a setting may be. Revocations of keys are bounded by the same time.
pub const STALE: Duration = Duration::from_secs(1);
const ENTRIES: usize = 10_000;

/// What is set for one merchant in one mode.
#[derive(Clone, Debug)]
pub struct Settings {
    pub merchant_name: String,
    pub mode: MerchantMode,
    pub provider: Option<Provider>,
    pub fee_rules: Vec<FeeRule>,
}

#[derive(Default)]
pub(crate) struct SettingsCache {
    entries: Mutex<HashMap<Scope, (Instant, Arc<Settings>)>>,
}

impl Engine {
    /// The settings of a merchant and mode, at most [`STALE`] old.
    pub async fn settings(&self, scope: Scope) -> Result<Arc<Settings>, Error> {
        if let Ok(entries) = self.settings.entries.lock()
            && let Some((read_at, settings)) = entries.get(&scope)
            && read_at.elapsed() < STALE
        {
            return Ok(settings.clone());
        }
        let settings = self
            .store
            .read(move |tx| {
                let gone = || Error::not_found("merchant", scope.merchant);
                let merchant = store::merchants::get(tx, scope.merchant)?.ok_or_else(gone)?;
                let mode = store::merchants::mode(tx, scope)?.ok_or_else(gone)?;
                let provider = store::merchants::default_provider(tx, scope)?;
                let fee_rules = store::fees::rules(tx, mode.fee_group)?;
                Ok::<_, Error>(Settings { merchant_name: merchant.name, mode, provider, fee_rules })
            })
            .await?;
        let settings = Arc::new(settings);
        if let Ok(mut entries) = self.settings.entries.lock() {
            if entries.len() >= ENTRIES {
                entries.clear();
            }
            entries.insert(scope, (Instant::now(), settings.clone()));
        }
        Ok(settings)
    }
}
