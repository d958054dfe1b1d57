//! `bench export`: the whole history of a balance as CSV, however long it is: its time, and the gateway's memory.

use super::client::Connection;
use super::figures::rate;
use super::gateway::{program, verify_books};
use super::pattern;
use super::payments::Place;
use crate::Kind;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::time::Instant;
use store::Store;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// What to measure.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    pub engines: Vec<Kind>,
    /// Payments stored before; each has one row.
    pub payments: u64,
}

/// Net sums by currency and state, and how many rows they are of.
type Sums = (BTreeMap<(String, String), i64>, u64);

/// Runs the benchmark; whether the table adds up to the balance.
///
/// # Errors
/// When something cannot be measured, or the books are not sound.
pub async fn run(options: &ExportOptions) -> Result<bool> {
    println!("export: {} payments, {}", options.payments, program()?.display());
    let mut sound = true;
    for kind in &options.engines {
        println!("{}", if *kind == Kind::Sqlite { "SQLite" } else { "PostgreSQL" });
        sound &= one_engine(*kind, options.payments).await?;
    }
    Ok(sound)
}

async fn one_engine(kind: Kind, payments: u64) -> Result<bool> {
    let place = Place::new(kind).await?;
    let gateway = place.start().await?;
    // The merchant's accounts come with its first payment.
    let mut first = Connection::new(gateway.api, &gateway.key);
    let form = format!("{}&{}&confirm=true", pattern::CREATE_FORM, pattern::CONFIRM_FORM);
    let made = first.send(pattern::CREATE, "export-first", Some(&form)).await?;
    anyhow::ensure!(made.status == 201, "{}: {}", made.status, made.body);
    gateway.stop().await?;
    let started = Instant::now();
    let location = place.location();
    let store = tokio::task::spawn_blocking(move || Store::open(&location)).await??;
    pattern::preload(&store, payments).await?;
    tokio::task::spawn_blocking(move || store.close()).await?;
    println!("  preload      {} s", started.elapsed().as_secs());
    let gateway = place.start().await?;
    let idle = gateway.peak()?;
    let started = Instant::now();
    let (mut sums, rows) = table(&gateway.api.to_string(), &gateway.key).await?;
    let took = started.elapsed();
    let peak = gateway.peak()?;
    println!("  rows         {rows} in {} s, {} a second", took.as_secs(), rate(rows, took));
    println!("  peak memory  {} MiB before, {} MiB after", idle / 1_024, peak / 1_024);
    let mut reader = Connection::new(gateway.api, &gateway.key);
    let shown: serde_json::Value = serde_json::from_str(reader.send("/v2/balance", "", None).await?.body)?;
    let mut balance = BTreeMap::new();
    for state in ["available", "pending"] {
        for entry in shown[state].as_array().context("no balance")? {
            let currency = entry["currency"].as_str().context("no currency")?.to_owned();
            balance.insert((currency, state.to_owned()), entry["amount"].as_i64().context("no amount")?);
        }
    }
    balance.retain(|_, amount| *amount != 0);
    sums.retain(|_, amount| *amount != 0);
    gateway.stop().await?;
    verify_books(&place.data_dir(), &place.database())?;
    let adds_up = sums == balance && rows > payments;
    println!(
        "  the table    {} ({balance:?})",
        if adds_up { "adds up to the balance" } else { "DOES NOT ADD UP" }
    );
    Ok(adds_up)
}

/// Reads the table line by line, so that what is measured is not this process.
async fn table(address: &str, key: &str) -> Result<Sums> {
    let mut socket = BufReader::new(TcpStream::connect(address).await?);
    let head = format!(
        "GET /v2/balance/history/export HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
         connection: close\r\n\r\n"
    );
    socket.get_mut().write_all(head.as_bytes()).await?;
    let mut line = String::new();
    socket.read_line(&mut line).await?;
    anyhow::ensure!(line.contains(" 200 "), "{line}");
    let mut chunked = false;
    while line != "\r\n" {
        line.clear();
        socket.read_line(&mut line).await?;
        chunked |= line.eq_ignore_ascii_case("transfer-encoding: chunked\r\n");
    }
    anyhow::ensure!(chunked, "the table comes in pieces");
    let (mut sums, mut rows, mut text) = (BTreeMap::new(), 0, String::new());
    loop {
        line.clear();
        socket.read_line(&mut line).await?;
        let length =
            usize::from_str_radix(line.trim(), 16).with_context(|| format!("a length, not {line:?}"))?;
        let mut piece = vec![0; length + 2];
        socket.read_exact(&mut piece).await?;
        if length == 0 {
            anyhow::ensure!(text.is_empty(), "the last line is whole");
            return Ok((sums, rows));
        }
        text.push_str(std::str::from_utf8(&piece[..length])?);
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        for row in text[..whole].lines().filter(|row| !row.starts_with("id,")) {
            let cells: Vec<&str> = row.split(',').collect();
            let [_, _, _, _, state, _, currency, .., net, _] = cells[..] else {
                anyhow::bail!("a row of {} cells: {row}", cells.len())
            };
            *sums.entry((currency.to_owned(), state.to_owned())).or_default() += net.parse::<i64>()?;
            rows += 1;
        }
        text.drain(..whole);
    }
}
