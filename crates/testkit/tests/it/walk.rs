//! 2,000 operations an engine.

const OPERATIONS: usize = 2_000;

testkit::on_both_engines! {
    async fn a_random_walk_agrees_with_the_model(db) {
        let report = testkit::walk::walk(&db, crate::seed(), OPERATIONS).await;
        println!("{report}");
        assert_eq!(report.operations, OPERATIONS);
    }
}
