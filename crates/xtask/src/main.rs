//! The project's own commands: `cargo xtask test|pg|soak|bench`.

mod commands;
mod install;
mod postgres;
mod process;
#[cfg(test)]
mod tidy;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

/// Builds, tests and measures PaymentGate.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Install what the tests need, start a throwaway PostgreSQL and run every test.
    Test {
        /// Install nothing: name what is missing and stop.
        #[arg(long)]
        no_install: bool,
    },
    /// Start a throwaway PostgreSQL, print the line that points the tests at it, run until Ctrl-C.
    Pg,
    /// Run the soak tests on release builds; every further argument goes to `soak`.
    #[command(disable_help_flag = true)]
    Soak {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run the benchmarks on release builds; every further argument goes to `bench`.
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Test { no_install } => commands::test(!no_install),
        Command::Pg => commands::pg(),
        Command::Soak { args } => commands::measure("soak", &args),
        Command::Bench { args } => commands::measure("bench", &args),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
