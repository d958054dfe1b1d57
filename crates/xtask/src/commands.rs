//! What each command does, step by step.

use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, thread};

use anyhow::{Result, bail};

use crate::install::{Tools, ensure_postgres};
use crate::postgres::{Cluster, Durability};
use crate::process::{cargo, end_with_us, exit_code, render, run, say, status, succeeds, target_dir};

/// Where the tests look for a PostgreSQL server on which they may make and drop databases.
const POSTGRES_VARIABLE: &str = "PAYMENTGATE_TEST_POSTGRES";

/// Runs every test of the workspace, and nothing is printed after the test runner's own closing lines.
pub fn test(install: bool) -> Result<ExitCode> {
    let tools = Tools::ensure(install)?;
    let ci = env::var("CI").is_ok_and(|value| value == "true");

    let mut build = cargo()?;
    build.args(["build", "--package", "server"]);
    in_ci(ci, &mut build);
    say(&format!("running {}", render(&build)));
    run(&mut build)?;

    say(&format!("starting PostgreSQL from {}", tools.postgres.display()));
    let cluster = Cluster::start(&tools.postgres, Durability::Throwaway)?;

    let mut runner = cargo()?;
    let nextest = succeeds(cargo()?.args(["nextest", "--version"]));
    runner.args(if nextest { &["nextest", "run"][..] } else { &["test"][..] }).arg("--workspace");
    if ci {
        runner.arg("--no-fail-fast");
    }
    in_ci(ci, &mut runner);
    runner
        .env(POSTGRES_VARIABLE, cluster.url())
        .env("PAYMENTGATE_BIN", target_dir()?.join("debug/paymentgate"))
        .env("PAYMENTGATE_PYTHON", &tools.python)
        .env("PAYMENTGATE_PHP", &tools.php)
        .env("PAYMENTGATE_NODE", &tools.node)
        .env("PAYMENTGATE_NODE_MODULES", &tools.node_modules)
        .env("PAYMENTGATE_CHROMIUM", &tools.chromium)
        .env("PAYMENTGATE_CHROMEDRIVER", &tools.chromedriver)
        .env("PAYMENTGATE_FAKETIME", &tools.faketime);
    say(&format!("running {}", render(&runner)));
    let ended = status(&mut end_with_us(runner))?;
    drop(cluster);
    Ok(exit_code(ended))
}

/// Incremental state is never read again on a machine that builds once.
fn in_ci(ci: bool, command: &mut Command) {
    if ci {
        command.env("CARGO_INCREMENTAL", "0");
    }
}

/// Keeps a PostgreSQL server for `cargo nextest run` by hand.
pub fn pg() -> Result<ExitCode> {
    let cluster = Cluster::start(&ensure_postgres()?, Durability::Throwaway)?;
    println!("export {POSTGRES_VARIABLE}={}", cluster.url());
    say("PostgreSQL runs until Ctrl-C; its data goes with it");
    while cluster.is_ready() {
        thread::sleep(Duration::from_millis(500));
    }
    bail!("PostgreSQL stopped by itself");
}

/// Runs the binary `program` of `testkit` against the release build, on PostgreSQL as one would run it in
/// earnest: every commit flushed.
pub fn measure(program: &str, args: &[OsString]) -> Result<ExitCode> {
    let bin = ensure_postgres()?;
    run(cargo()?.args(["build", "--release", "--package", "server"]))?;

    let cluster = Cluster::start(&bin, Durability::Full)?;
    let mut runner = cargo()?;
    runner
        .args(["run", "--release", "--package", "testkit", "--bin", program, "--"])
        .args(args)
        .env(POSTGRES_VARIABLE, cluster.url())
        .env("PAYMENTGATE_BIN", target_dir()?.join("release/paymentgate"));
    let ended = status(&mut end_with_us(runner))?;
    drop(cluster);
    Ok(exit_code(ended))
}
