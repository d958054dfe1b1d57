//! What every surface's handlers share.

use crate::card_testing::{Guard, Settings};
use crate::client::Proxies;
use crate::rate_limit::Limiter;
use crate::rate_limit::windows::{self, WindowLimiter};
use domain::scope::Scope;
use engine::Engine;
use std::sync::Arc;

/// The base addresses that links handed out start with; no trailing slash.
#[derive(Clone, Debug)]
pub struct Urls {
    pub api: String,
    pub public: String,
    /// Of the Admin API. Its host is a name, the one that passkeys are for.
    pub admin: String,
    /// The origin of an operator's panel on another host, such as `https://panel.example.com`.
    pub panel_origin: Option<String>,
}

#[derive(Clone)]
pub struct App {
    pub engine: Engine,
    pub limiter: Arc<Limiter>,
    /// Of the Admin API.
    pub admin_limits: Arc<WindowLimiter>,
    /// Of the Main Backend.
    pub main_limits: Arc<WindowLimiter>,
    pub card_testing: Arc<Guard>,
    pub proxies: Arc<Proxies>,
    pub urls: Arc<Urls>,
}

impl App {
    pub fn new(engine: Engine, urls: Urls) -> App {
        let card_testing = Arc::new(Guard::new(Settings::default()));
        let limits = || Arc::new(WindowLimiter::new(windows::Settings::default()));
        App {
            engine,
            limiter: Arc::new(Limiter::new()),
            admin_limits: limits(),
            main_limits: limits(),
            card_testing,
            proxies: Arc::default(),
            urls: Arc::new(urls),
        }
    }

    /// The same with other limits for the Admin API and the Main Backend, and without their counts.
    pub fn with_window_limits(self, settings: &windows::Settings) -> App {
        let limiter = || Arc::new(WindowLimiter::new(settings.clone()));
        App { admin_limits: limiter(), main_limits: limiter(), ..self }
    }

    /// The same behind proxies that are believed.
    pub fn with_proxies(self, proxies: Proxies) -> App {
        App { proxies: Arc::new(proxies), ..self }
    }

    /// The same with other bounds against card testing, and without its counts.
    pub fn with_card_testing(self, settings: Settings) -> App {
        App { card_testing: Arc::new(Guard::new(settings)), ..self }
    }

    /// Runs a payer's try to its end, and counts what came of it: `work` answers that beside its result,
    /// `None` when nothing is known. In a task of its own: hanging up before the answer must not keep a
    /// decline from being counted.
    ///
    /// # Errors
    /// [`engine::Error::Internal`] when `work` panics.
    pub async fn run_try<T: Send + 'static>(
        &self,
        scope: Scope,
        work: impl Future<Output = (T, Option<bool>)> + Send + 'static,
    ) -> Result<T, engine::Error> {
        let app = self.clone();
        let task = tokio::spawn(async move {
            let (result, declined) = work.await;
            if let Some(declined) = declined {
                app.note_try(scope, declined).await;
            }
            result
        });
        task.await.map_err(|e| engine::Error::Internal(format!("a payer's try ended early: {e}")))
    }

    /// Counts a try, and tells the merchant if it is the one that opens the breaker.
    pub async fn note_try(&self, scope: Scope, declined: bool) {
        let Some(alert) = self.card_testing.note(scope, declined, self.engine.now()) else { return };
        tracing::warn!(merchant = %scope.merchant, mode = %scope.mode, tries = alert.tries, declines = alert.declines,
            "card testing is suspected: payers of this merchant are held up for ten minutes");
        if let Err(error) = self.engine.report_card_testing(scope, alert).await {
            tracing::error!(merchant = %scope.merchant, ?error, "a merchant could not be told of suspected card testing");
        }
    }
}
