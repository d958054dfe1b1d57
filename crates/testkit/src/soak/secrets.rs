//! Whether the time of a refusal tells a guess that is nearly right from one that is all wrong, and whether
//! guessing is limited.

use super::place::Place;
use super::{engine_name, verdict};
use crate::bench::figures::{Latencies, Millis};
use crate::bench::goals::Goal;
use crate::db::{Db, Kind};
use crate::{Person, TestApp};
use anyhow::{Context, Result, ensure};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// An address may fail 50 times a minute; each loopback address is used for less.
const PER_ADDRESS: usize = 40;
const LIMIT: usize = 50;
/// The difference of medians that is allowed: so much, or so many hundredths of the larger.
const NOISE_US: u32 = 50;
const NOISE_PERCENT: u32 = 5;
/// Addresses that are tried for one of as many passkeys as somebody has; three of four have one.
const STRANGERS: usize = 50;
const ANSWER_MAX: usize = 8 * 1_024;
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends `count` guesses of each kind, and checks the limit of an address. Whether both are as they should
/// be.
///
/// # Errors
/// When the gateway cannot be started, or answers something else than a refusal.
pub async fn run(kind: Kind, count: usize) -> Result<bool> {
    println!("secrets on {}: {count} guesses of each kind", engine_name(kind));
    let place = Place::start(kind, "warn").await?;
    // The demo's key with another end, and a key that is unknown from its first random character on.
    let near = altered_end(&place.gateway.key).context("a key without an end")?;
    let far = format!("sk_test_{}", engine::ids::secret_text(32));
    let (mut near_times, mut far_times) = (Latencies::default(), Latencies::default());
    let mut connection = None;
    for n in 0..count * 2 {
        if n % PER_ADDRESS == 0 {
            connection = Some(Guesser::connect(place.gateway.api, address(n / PER_ADDRESS)).await?);
        }
        let Some(guesser) = connection.as_mut() else { break };
        // In turns, and each as often first as second, so that whatever else the machine does is in both.
        let (key, times) =
            if matches!(n % 4, 0 | 3) { (&near, &mut near_times) } else { (&far, &mut far_times) };
        let begun = Instant::now();
        let status = guesser.guess(key).await?;
        times.add(begun.elapsed());
        ensure!(status == 401, "a guess was answered {status}");
    }
    near_times.sort();
    far_times.sort();
    println!("  nearly right  {near_times}\n  unknown       {far_times}");
    let allowed = allowed_failures(place.gateway.api, address(count * 2 / PER_ADDRESS + 1)).await?;
    let goals = [
        alike("difference of medians", &near_times, &far_times),
        logins(kind, count).await?,
        Goal {
            met: allowed == LIMIT,
            text: format!("failures of an address before it is limited: {allowed} (goal: {LIMIT})"),
        },
    ];
    place.end().await?;
    Ok(verdict(&goals))
}

/// That two kinds of times, sorted, are so alike that nobody can tell one from the other.
fn alike(what: &str, one: &Latencies, other: &Latencies) -> Goal {
    let (one, other) = (one.at(500), other.at(500));
    let (difference, noise) = (one.abs_diff(other), NOISE_US.max(one.max(other) * NOISE_PERCENT / 100));
    let micros = |us: u32| Millis(u64::from(us)).to_string();
    Goal::below(what, micros(difference), difference.into(), u64::from(noise) + 1, &micros(noise + 1))
}

/// Begins logins of somebody who is registered and of nobody, in turns: the time must not tell which. Asked of the
/// engine itself, since what lies before it is the same for both.
async fn logins(kind: Kind, count: usize) -> Result<Goal> {
    let db = Db::new(kind).await;
    let app = TestApp::start(&db).await;
    let known = Person::global_admin(&app, "ada@example.com").await.email;
    // Of as many passkeys as the other has: their number is in the answer anyway, and takes its time.
    let mut unknown = "eve@example.com".to_owned();
    for n in 0..STRANGERS {
        if passkeys_of(&app, &unknown).await? == passkeys_of(&app, &known).await? {
            break;
        }
        unknown = format!("eve{n}@example.com");
    }
    let (mut known_times, mut unknown_times) = (Latencies::default(), Latencies::default());
    for n in 0..count * 2 {
        let (email, times) = if matches!(n % 4, 0 | 3) {
            (known.as_str(), &mut known_times)
        } else {
            (unknown.as_str(), &mut unknown_times)
        };
        let begun = Instant::now();
        let challenge = app.engine.begin_login(email).await;
        times.add(begun.elapsed());
        ensure!(challenge.is_ok(), "a login could not begin: {:?}", challenge.err());
    }
    known_times.sort();
    unknown_times.sort();
    println!("  known login   {known_times}\n  unknown login {unknown_times}");
    Ok(alike("the same of logins of somebody and nobody", &known_times, &unknown_times))
}

/// How many passkeys an address is asked for.
async fn passkeys_of(app: &TestApp, email: &str) -> Result<usize> {
    let challenge = app.engine.begin_login(email).await;
    let challenge = challenge.map_err(|e| anyhow::anyhow!("a login could not begin: {e:?}"))?;
    Ok(challenge["publicKey"]["allowCredentials"].as_array().map_or(0, Vec::len))
}

fn altered_end(key: &str) -> Option<String> {
    let (end, last) = (key.len().checked_sub(1)?, key.chars().last()?);
    Some(format!("{}{}", key.get(..end)?, if last == 'A' { 'B' } else { 'A' }))
}

/// The `n`th address of this machine: all of 127.0.0.0/8 is.
fn address(n: usize) -> Ipv4Addr {
    let n = u32::try_from(n).unwrap_or(0) % 60_000;
    Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + n)
}

/// How many failures in a row are answered 401 before the first 429, of some more than the limit.
async fn allowed_failures(api: SocketAddr, from: Ipv4Addr) -> Result<usize> {
    let mut guesser = Guesser::connect(api, from).await?;
    let key = format!("sk_test_{}", engine::ids::secret_text(32));
    let mut statuses = Vec::new();
    for _ in 0..LIMIT + 10 {
        statuses.push(guesser.guess(&key).await?);
    }
    let allowed = statuses.iter().take_while(|status| **status == 401).count();
    ensure!(statuses.iter().skip(allowed).all(|status| *status == 429), "a limited address was let in again");
    Ok(allowed)
}

/// One connection from an address of the test's choice.
struct Guesser {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Guesser {
    async fn connect(api: SocketAddr, from: Ipv4Addr) -> Result<Guesser> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        let stream = socket.connect(api).await?;
        stream.set_nodelay(true)?;
        Ok(Guesser { stream, answer: Vec::with_capacity(ANSWER_MAX) })
    }

    /// One request; the status of its answer.
    async fn guess(&mut self, key: &str) -> Result<u16> {
        let request =
            format!("GET /v2/balance HTTP/1.1\r\nHost: soak\r\nAuthorization: Bearer {key}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.answer.clear();
        // An error's envelope is the end of every answer here.
        while !self.answer.ends_with(b"}}") {
            ensure!(self.answer.len() < ANSWER_MAX, "an answer without an end");
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.answer)).await??;
            ensure!(read > 0, "the connection was closed");
        }
        let status = self.answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
        status.and_then(|digits| digits.parse().ok()).context("an answer without a status")
    }
}
