//! 3,000 operations an engine. Change the seed by `PAYMENTGATE_SEED`.

const OPERATIONS: usize = 3_000;

fn seed() -> u64 {
    std::env::var("PAYMENTGATE_SEED").map_or(1, |seed| seed.parse().expect("PAYMENTGATE_SEED is a whole number"))
}

testkit::on_both_engines! {
    async fn a_random_walk_agrees_with_the_model(db) {
        let report = testkit::walk::walk(&db, seed(), OPERATIONS).await;
        println!("{report}");
        assert_eq!(report.operations, OPERATIONS);
    }
}
