//! What tests need: a database of each engine, an application over it, and requests as clients send
//! them. Only tests and benchmarks depend on this crate.

mod app;
mod authenticator;
pub mod bench;
mod cluster;
mod db;
pub mod gate;
pub mod kill;
pub mod office;
mod person;
mod random;
mod receiver;
pub mod schema;
pub mod signer;
pub mod soak;
pub mod walk;

pub use app::{Answer, AppOptions, MASTER_KEY, TestApp, event_renderer, form_body};
pub use authenticator::{Authenticator, PASSKEY_ORIGIN, passkey_site};
pub use cluster::Cluster;
pub use db::{Db, Kind};
pub use person::Person;
pub use random::Random;
pub use receiver::{Received, Receiver};

/// Declares each test twice, once per engine. The body gets a fresh database as `db`.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident) $body:block)+) => {
        mod sqlite {
            #[allow(unused_imports, reason = "the tests of a module may all be self-contained")]
            use super::*;
            $($(#[$meta])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let $db = $crate::Db::new($crate::Kind::Sqlite).await;
                $body
            })+
        }
        mod postgres {
            #[allow(unused_imports, reason = "the tests of a module may all be self-contained")]
            use super::*;
            $($(#[$meta])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let $db = $crate::Db::new($crate::Kind::Postgres).await;
                $body
            })+
        }
    };
}
