//! The walk and the kill runs in any size; run by `cargo xtask soak`.

use clap::{Args, Parser, ValueEnum};
use std::process::ExitCode;
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

/// Both report a failure by a panic whose message names the seed; it ends the process with code 101.
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
    }
    ExitCode::SUCCESS
}
