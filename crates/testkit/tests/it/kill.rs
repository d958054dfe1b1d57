//! Five rounds an engine against the binary that `PAYMENTGATE_BIN` names. Change the seed by
//! `PAYMENTGATE_SEED`.

use testkit::Kind;
use testkit::kill::{KillReport, kill_runs};

const ROUNDS: usize = 5;

fn rounds(kind: Kind) {
    let report: KillReport = kill_runs(kind, ROUNDS, crate::seed());
    println!("{report}");
    assert!(report.kills >= ROUNDS && report.acknowledged > 0, "{report}");
}

#[test]
fn nothing_is_lost_by_kill_9_on_sqlite() {
    rounds(Kind::Sqlite);
}

#[test]
fn nothing_is_lost_by_kill_9_on_postgres() {
    rounds(Kind::Postgres);
}
