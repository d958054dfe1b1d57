//! The walk and the kill runs in any size, and clients that mean no good; run by `cargo xtask soak`.

use clap::{Args, Parser, ValueEnum};
use std::process::ExitCode;
use std::time::Duration;
use testkit::{Db, Kind};

/// Tests PaymentGate for longer than the test command does. A failure is printed with its seed.
#[derive(Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
enum Command {
    /// Kill the gateway under load with SIGKILL, restart it on the same data, and check that nothing is
    /// lost or done twice
    Kill(Kill),
    /// Walk through the API at random, compared step by step with an independent model
    Walk(Walk),
    /// Guess secrets: whether the time of a refusal tells anything, and whether guessing is limited
    Secrets(Secrets),
    /// Hold slow sockets open while customers pay
    Slow(Slow),
    /// Storm with one key while another merchant's customers pay
    Storm(Storm),
}

#[derive(Clone, Copy, ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
    Both,
}

impl Engine {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Engine::Sqlite => &[Kind::Sqlite],
            Engine::Postgres => &[Kind::Postgres],
            Engine::Both => &[Kind::Sqlite, Kind::Postgres],
        }
    }
}

#[derive(Args)]
struct Kill {
    /// How often each engine's gateway is killed under load
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Walk {
    /// Steps on each engine
    #[arg(long, default_value_t = 20_000)]
    operations: usize,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Secrets {
    /// Guesses of each kind
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    guesses: u32,
    /// Database to test on
    #[arg(long, value_enum, default_value = "both")]
    engine: Engine,
}

#[derive(Args)]
struct Slow {
    /// Slow sockets at once
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=4_000))]
    sockets: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Database to test on
    #[arg(long, value_enum, default_value = "sqlite")]
    engine: Engine,
}

#[derive(Args)]
struct Storm {
    /// Seconds of each measurement
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Database to test on
    #[arg(long, value_enum, default_value = "sqlite")]
    engine: Engine,
}

#[derive(Args)]
struct Common {
    /// Database to test on
    #[arg(long, value_enum, default_value = "both")]
    engine: Engine,
    /// What every choice follows from [default: a new one each time]
    #[arg(long)]
    seed: Option<u64>,
}

impl Common {
    fn seed(&self) -> u64 {
        let fresh = || u64::from_le_bytes(engine::ids::secret_bytes()[..8].try_into().unwrap_or_default());
        self.seed.unwrap_or_else(|| fresh() % 1_000_000)
    }
}

/// Runs one measurement on each engine; success when every verdict is good.
fn measure<F: Future<Output = anyhow::Result<bool>>>(engine: Engine, run: impl Fn(Kind) -> F) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("soak: the runtime cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    let mut good = true;
    for kind in engine.kinds() {
        match runtime.block_on(Box::pin(run(*kind))) {
            Ok(met) => good &= met,
            Err(e) => {
                eprintln!("soak: {e:#}");
                good = false;
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Kill and walk report a failure by a panic whose message names the seed; it ends the process with code 101.
fn main() -> ExitCode {
    match Command::parse() {
        Command::Kill(args) => {
            let seed = args.common.seed();
            for kind in args.common.engine.kinds() {
                println!("{}", testkit::kill::kill_runs(*kind, args.rounds, seed));
            }
        }
        Command::Walk(args) => {
            let seed = args.common.seed();
            let runtime = match tokio::runtime::Runtime::new() {
                Ok(runtime) => runtime,
                Err(e) => {
                    eprintln!("soak: the runtime cannot start: {e}");
                    return ExitCode::FAILURE;
                }
            };
            for kind in args.common.engine.kinds() {
                let walked = async {
                    let db = Db::new(*kind).await;
                    println!("{}", testkit::walk::walk(&db, seed, args.operations).await);
                };
                runtime.block_on(Box::pin(walked));
            }
        }
        Command::Secrets(Secrets { guesses, engine }) => {
            let guesses = usize::try_from(guesses).unwrap_or(1);
            return measure(engine, |kind| testkit::soak::secrets(kind, guesses));
        }
        Command::Slow(Slow { sockets, seconds, engine }) => {
            let (sockets, time) = (usize::try_from(sockets).unwrap_or(1), Duration::from_secs(seconds));
            return measure(engine, |kind| testkit::soak::slow(kind, sockets, time));
        }
        Command::Storm(Storm { seconds, engine }) => {
            return measure(engine, |kind| testkit::soak::storm(kind, Duration::from_secs(seconds)));
        }
    }
    ExitCode::SUCCESS
}
