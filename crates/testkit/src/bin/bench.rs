//! Benchmarks of the release binary; run by `cargo xtask bench`.

use clap::{Args, Parser, ValueEnum};
use std::process::ExitCode;
use std::time::Duration;
use testkit::Kind;
use testkit::bench::{DashboardOptions, ExportOptions, GateOptions, PageOptions, PaymentsOptions};
use testkit::bench::{dashboard, export, gate, page, payments};

/// Measures PaymentGate on this machine and says which goals are met.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
enum Command {
    /// Payments a second (create and confirm, two requests), against a bare loop over the same database
    Payments(Payments),
    /// Purchases made by signed requests a second, beside payments created over REST v2 in the same run
    Gate(Gate),
    /// Views of a payment page: how long they take at a fixed rate, and their bytes
    Page(Page),
    /// Figures of a year by day, asked for with different numbers of payments stored
    Dashboard(Dashboard),
    /// The balance's whole history as CSV: its rows a second, the gateway's memory, and whether it adds up
    Export(Export),
}

#[derive(Clone, Copy, ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
    Both,
}

impl Engine {
    fn kinds(self) -> Vec<Kind> {
        match self {
            Engine::Sqlite => vec![Kind::Sqlite],
            Engine::Postgres => vec![Kind::Postgres],
            Engine::Both => vec![Kind::Sqlite, Kind::Postgres],
        }
    }
}

#[derive(Args)]
struct Gate {
    /// Database to measure on
    #[arg(long, value_enum, default_value = "both")]
    engine: Engine,
    /// Clients, each with one connection
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: u16,
    /// Seconds of each kind of request
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// Print the gateway's process number when each loop starts, for a profiler
    #[arg(long)]
    announce: bool,
}

#[derive(Args)]
struct Page {
    /// Database to measure on
    #[arg(long, value_enum, default_value = "both")]
    engine: Engine,
    /// Views a second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// Length of the loop in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

#[derive(Args)]
struct Dashboard {
    /// Database to measure on
    #[arg(long, value_enum, default_value = "both")]
    engine: Engine,
    /// Payments stored, one run each
    #[arg(long, value_delimiter = ',', default_value = "10000,1000000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    payments: Vec<u64>,
}

#[derive(Args)]
struct Export {
    /// Database to measure on
    #[arg(long, value_enum, default_value = "both")]
    engine: Engine,
    /// Payments stored before
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    payments: u64,
}

#[derive(Args)]
struct Payments {
    /// Database to measure on
    #[arg(long, value_enum, default_value = "both")]
    engine: Engine,
    /// Clients of the closed loop, each with one connection
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: u16,
    /// Length of each loop in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Repeat the closed loop with so many payments stored before
    #[arg(long, value_name = "PAYMENTS", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    preload: Option<u64>,
    /// Payments a second of the open loops, separated by commas; auto: 70 % of the measured maximum, and 50
    #[arg(long, value_name = "RATES", default_value = "auto", value_parser = rates)]
    open_loop_rates: Rates,
    /// Print the gateway's process number when the closed loop starts, for a profiler
    #[arg(long)]
    announce: bool,
}

#[derive(Clone)]
struct Rates(Option<Vec<u64>>);

fn rates(text: &str) -> Result<Rates, String> {
    if text == "auto" {
        return Ok(Rates(None));
    }
    let each = |part: &str| part.trim().parse().ok().filter(|rate| (1..=100_000).contains(rate));
    let all: Option<Vec<u64>> = text.split(',').map(each).collect();
    all.map(|all| Rates(Some(all)))
        .ok_or_else(|| "auto, or numbers from 1 to 100000 separated by commas".to_owned())
}

async fn measure(command: Command) -> anyhow::Result<bool> {
    let seconds = Duration::from_secs;
    match command {
        Command::Payments(args) => {
            let options = PaymentsOptions {
                engines: args.engine.kinds(),
                clients: usize::from(args.clients),
                time: seconds(args.seconds),
                preload: args.preload,
                open_rates: args.open_loop_rates.0,
                announce: args.announce,
            };
            payments(&options).await
        }
        Command::Gate(args) => {
            let options = GateOptions {
                engines: args.engine.kinds(),
                clients: usize::from(args.clients),
                time: seconds(args.seconds),
                announce: args.announce,
            };
            gate(&options).await
        }
        Command::Page(args) => {
            let options =
                PageOptions { engines: args.engine.kinds(), rate: args.rate, time: seconds(args.seconds) };
            page(&options).await
        }
        Command::Dashboard(args) => {
            let options = DashboardOptions { engines: args.engine.kinds(), payments: args.payments };
            dashboard(&options).await
        }
        Command::Export(args) => {
            let options = ExportOptions { engines: args.engine.kinds(), payments: args.payments };
            export(&options).await
        }
    }
}

fn main() -> ExitCode {
    let command = Command::parse();
    // One thread: what the load generator takes, the gateway does not get.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("bench: the runtime cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(Box::pin(measure(command))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("bench: some requests were not answered as they should be");
            ExitCode::FAILURE
        }
        Err(e) => {
            eprintln!("bench: {e:#}");
            ExitCode::FAILURE
        }
    }
}
