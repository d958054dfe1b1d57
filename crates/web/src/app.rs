//! What every surface's handlers share.

use crate::rate_limit::Limiter;
use engine::Engine;
use std::sync::Arc;

/// The base addresses that links handed out start with; no trailing slash.
#[derive(Clone, Debug)]
pub struct Urls {
    pub api: String,
    pub public: String,
}

#[derive(Clone)]
pub struct App {
    pub engine: Engine,
    pub limiter: Arc<Limiter>,
    pub urls: Arc<Urls>,
}

impl App {
    pub fn new(engine: Engine, urls: Urls) -> App {
        App { engine, limiter: Arc::new(Limiter::new()), urls: Arc::new(urls) }
    }
}
