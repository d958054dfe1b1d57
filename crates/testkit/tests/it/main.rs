//! The walk against the model, real `kill -9` runs, and what they found, in the size of the test command. `cargo xtask
//! soak` runs more.

mod kill;
mod lost_connection;
mod plans;
mod replays;
mod takeover;
mod walk;

/// The seed of both: 1, or what `PAYMENTGATE_SEED` says.
fn seed() -> u64 {
    std::env::var("PAYMENTGATE_SEED")
        .map_or(1, |seed| seed.parse().expect("PAYMENTGATE_SEED is a whole number"))
}
