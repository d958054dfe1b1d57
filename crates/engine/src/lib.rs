//! Use cases: load, decide, save, ask the provider, save. The only crate that opens transactions.
//!
//! A command that needs a provider runs in two transactions with the call between them, never within
//! one; see `provider.rs`. Everything that a change causes (journal, event, deliveries, reply) is
//! written in the transaction of the change.

mod access_token;
pub mod admin_keys;
pub mod audit;
pub mod bank_accounts;
pub mod call;
mod card_testing;
mod ceremonies;
pub mod checkouts;
pub mod clients;
pub mod customers;
mod emit;
mod erasures;
pub mod error;
pub mod events;
pub mod exports;
pub mod figures;
pub mod gate;
mod idempotency;
pub mod ids;
pub mod keys;
pub mod ledger;
mod login_failures;
pub mod merchants;
mod notices;
pub mod off_platform;
pub mod offboarding;
pub mod passkeys;
pub mod payment_methods;
pub mod payments;
pub mod payouts;
mod provider;
pub mod providers;
mod purge;
pub mod reconcile;
pub mod refunds;
pub mod sessions;
mod settings;
pub mod settings_groups;
pub mod site_checkouts;
pub mod site_transactions;
pub mod sites;
pub mod storefronts;
pub mod system_settings;
pub mod test_clocks;
pub mod users;
pub mod vault;
pub mod view;
pub mod views;
mod webauthn;
pub mod webhook_endpoints;

pub use call::{Actor, By, Call, Caller, IdempotentRequest, RenderReply, Reply, ReplySpec, Visit};
pub use ceremonies::Challenge;
pub use connectors::{ChallengeAnswer, ConnectorProfile, MethodInput, Tokenised};
pub use error::Error;
pub use ids::wall_clock;
pub use provider::MethodChoice;
pub use sessions::SignedIn;
pub use settings::Settings;
pub use store::StoreError;
pub use store::audit::AuditQuery;
pub use store::balance::{BalanceFilter, BalanceSpan};
pub use store::events::EventFilter;
pub use store::numbered_page::{NumberedPage, NumberedQuery};
pub use store::page::{Cursor, Page, PageQuery};
pub use store::site_checkouts::CheckoutFilter;
pub use store::site_transactions::TransactionFilter;
pub use store::webhooks::DeliveryAttempt;
pub use vault::Vault;
pub use views::Views;
pub use webauthn::PasskeySite;

use connectors::Connectors;
use domain::id::{ClockId, NodeId};
use domain::time::Timestamp;
use ids::Ids;
use settings::SettingsCache;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store::{Store, Tx};
use tokio::sync::Notify;

/// What an operator can set about the engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a provider may take before its answer counts as unknown.
    pub provider_deadline: Duration,
    /// Where webhooks may go in test mode; live mode is always strict.
    pub test_egress: outbound::Policy,
    pub live_egress: outbound::Policy,
    /// Who this process is, if it holds a lock that no other process with this id can hold: it then
    /// takes over at once what its predecessor left. Without one it is a new node.
    pub node: Option<NodeId>,
    /// Where people sign in with passkeys; nowhere if `None`.
    pub passkeys: Option<PasskeySite>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            provider_deadline: Duration::from_secs(25),
            test_egress: outbound::Policy::strict(),
            live_egress: outbound::Policy::strict(),
            node: None,
            passkeys: None,
        }
    }
}

/// What is shared by all clones of an [`Engine`].
pub struct Inner {
    pub store: Store,
    pub connectors: Connectors,
    pub vault: Vault,
    pub ids: Ids,
    /// This process, for what it leaves unfinished when it dies.
    pub node: NodeId,
    /// When this process began; what bears its node id from before is its predecessor's.
    pub born: Timestamp,
    pub options: Options,
    renderers: HashMap<&'static str, Box<RenderReply>>,
    settings: SettingsCache,
    keys: keys::KeyCache,
    admin_keys: admin_keys::AdminKeyCache,
    services: gate::ServiceCache,
    transaction_counts: gate::TransactionCounts,
    incidents: audit::Incidents,
    exports: exports::UnderWay,
    verifier: webauthn::Verifier,
    login_failures: login_failures::LoginFailures,
    in_flight: AtomicUsize,
    landed: Notify,
}

/// The payment engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

impl Deref for Engine {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Engine {
    /// Puts the engine together. `renderers`: one for each surface, by its name.
    pub async fn new(
        store: Store,
        connectors: Connectors,
        vault: Vault,
        options: Options,
        renderers: Vec<(&'static str, Box<RenderReply>)>,
    ) -> Result<Engine, Error> {
        let newest = store
            .read(|tx| {
                let journal = store::ledger::newest_journal(tx)?.map(|j| j.0);
                let newest = journal.max(store::audit::newest(tx)?.map(|a| a.0));
                Ok::<_, Error>(newest.max(store::figures::newest_folded(tx)?))
            })
            .await?;
        let verifier = webauthn::Verifier::new(options.passkeys.as_ref())?;
        let ids = Ids::new(newest);
        let node = options.node.unwrap_or_else(|| ids.next());
        Ok(Engine(Arc::new(Inner {
            store,
            connectors,
            vault,
            ids,
            node,
            born: ids::wall_clock(),
            options,
            renderers: renderers.into_iter().collect(),
            settings: SettingsCache::default(),
            keys: keys::KeyCache::default(),
            admin_keys: admin_keys::AdminKeyCache::default(),
            services: gate::ServiceCache::default(),
            transaction_counts: gate::TransactionCounts::default(),
            incidents: audit::Incidents::default(),
            exports: exports::UnderWay::default(),
            verifier,
            login_failures: login_failures::LoginFailures::default(),
            in_flight: AtomicUsize::new(0),
            landed: Notify::new(),
        })))
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        ids::wall_clock()
    }

    fn surface(&self, name: &str) -> Result<&'static str, Error> {
        let found = self.renderers.keys().find(|k| **k == name);
        found.copied().ok_or_else(|| Error::Internal(format!("no renderer for {name}")))
    }

    /// The time that an object lives by: its test clock's, or the wall clock.
    pub(crate) fn object_time(
        &self,
        tx: &mut Tx<'_>,
        scope: domain::scope::Scope,
        clock: Option<ClockId>,
    ) -> Result<Timestamp, Error> {
        let Some(id) = clock else { return Ok(self.now()) };
        let clock = store::test_clocks::get(tx, scope, id)?;
        Ok(clock.map_or_else(|| self.now(), |c| c.frozen_time))
    }

    /// Waits until no provider call started by a request is under way: for an orderly stop.
    pub async fn idle(&self) {
        while self.in_flight.load(Ordering::Acquire) > 0 {
            let landed = self.landed.notified();
            if self.in_flight.load(Ordering::Acquire) == 0 {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(100), landed).await;
        }
    }
}
