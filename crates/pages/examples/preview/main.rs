//! Writes every page to a folder, to be opened in a browser from disk: `cargo run -p pages --example preview [DIR]`.
//!
//! The pages are as served, but for `/assets/` made relative.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use pages::{Challenge, ChallengeDone, ChallengeResult};

fn main() -> io::Result<()> {
    let dir = env::args_os().nth(1).map_or_else(|| env::temp_dir().join("paymentgate-pages"), PathBuf::from);
    fs::create_dir_all(dir.join("assets"))?;
    for name in pages::asset_names() {
        if let Some(asset) = pages::asset(name) {
            fs::write(dir.join("assets").join(name), asset.bytes)?;
        }
    }

    let short = Challenge {
        code: "sample",
        merchant_name: "Blue Bottle Books",
        amount: "€49.00",
        card_brand: "Visa",
        last4: "3155",
        test_mode: true,
        expires_in_minutes: 10,
    };
    write(&dir, "challenge", &pages::challenge(&short))?;
    let long = Challenge {
        merchant_name: "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft מסעדה בע״מ",
        amount: "¥9,999,999,999",
        card_brand: "American Express",
        expires_in_minutes: 1,
        ..short
    };
    write(&dir, "challenge-long", &pages::challenge(&long))?;

    for (name, result) in [
        ("success", ChallengeResult::Success),
        ("declined", ChallengeResult::Declined),
        ("failed", ChallengeResult::Failed),
        ("abandoned", ChallengeResult::Abandoned),
    ] {
        for (suffix, return_url) in [("", Some("https://shop.example/thanks")), ("-no-return", None)] {
            let done = ChallengeDone { merchant_name: short.merchant_name, result, return_url };
            write(&dir, &format!("{name}{suffix}"), &pages::challenge_done(&done).html)?;
        }
    }
    write(&dir, "gone", &pages::challenge_gone())?;
    let message = "Nothing was charged. Go back to the shop and try again in a minute.";
    write(&dir, "error", &pages::error_page("Something went wrong", message, "req_8XbV2kq0ZrT1"))?;
    println!("{}", dir.display());
    Ok(())
}

fn write(dir: &Path, name: &str, html: &str) -> io::Result<()> {
    fs::write(dir.join(format!("{name}.html")), html.replace("\"/assets/", "\"assets/"))
}
