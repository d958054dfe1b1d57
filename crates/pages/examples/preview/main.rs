//! Every page, to be looked at. `cargo run -p pages --example preview [DIR]` writes them to a folder, to be opened
//! from disk: as served, but for `/assets/` made relative. `… preview --serve` serves the payment pages with their
//! headers on a free port, `/{state}?locale=de`.

mod samples;
mod serve;

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use pages::checkout::Locale;
use pages::{Challenge, ChallengeDone, ChallengeResult};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    if env::args_os().nth(1).is_some_and(|argument| argument == "--serve") {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}/card", listener.local_addr()?);
        return axum::serve(listener, serve::router()).await;
    }
    let dir = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("paymentgate-pages"), PathBuf::from);
    write_all(&dir)?;
    println!("{}", dir.display());
    Ok(())
}

fn write_all(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir.join("assets"))?;
    for name in pages::asset_names() {
        if let Some(asset) = pages::asset(name) {
            fs::write(dir.join("assets").join(name), asset.bytes)?;
        }
    }
    write_challenges(dir)?;
    for name in samples::NAMES {
        for locale in [Locale::En, Locale::De, Locale::Ar] {
            if let Some(page) = samples::page(name, locale, None) {
                write(dir, &format!("checkout-{name}-{}", locale.tag()), &page.html)?;
            }
        }
    }
    let message = "Nothing was charged. Go back to the shop and try again in a minute.";
    write(dir, "error", &pages::error_page("Something went wrong", message, "req_8XbV2kq0ZrT1"))
}

fn write_challenges(dir: &Path) -> io::Result<()> {
    let short = Challenge {
        code: "sample",
        merchant_name: "Blue Bottle Books",
        amount: "€49.00",
        card_brand: "Visa",
        last4: "3155",
        test_mode: true,
        expires_in_minutes: 10,
        locale: None,
    };
    write(dir, "challenge", &pages::challenge(&short))?;
    let long = Challenge {
        merchant_name: "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft מסעדה בע״מ",
        amount: "¥9,999,999,999",
        card_brand: "American Express",
        expires_in_minutes: 1,
        ..short
    };
    write(dir, "challenge-long", &pages::challenge(&long))?;
    for (name, result) in [
        ("success", ChallengeResult::Success),
        ("declined", ChallengeResult::Declined),
        ("failed", ChallengeResult::Failed),
        ("abandoned", ChallengeResult::Abandoned),
    ] {
        for (suffix, return_url) in [("", Some("https://shop.example/thanks")), ("-no-return", None)] {
            let done = ChallengeDone { merchant_name: short.merchant_name, result, return_url };
            write(dir, &format!("{name}{suffix}"), &pages::challenge_done(&done).html)?;
        }
    }
    write(dir, "gone", &pages::challenge_gone())
}

fn write(dir: &Path, name: &str, html: &str) -> io::Result<()> {
    fs::write(dir.join(format!("{name}.html")), html.replace("\"/assets/", "\"assets/"))
}
