//! A system clock that goes back (E22).

use domain::id::{Core, PaymentId, TypedId};
use engine::ids::{Ids, wall_clock};

/// The newest stored id may be from an hour ahead: the clock was set back since. New ids must sort behind
/// it all the same, since the seals of the ledger follow their order.
#[test]
fn ids_never_sort_before_what_is_stored() {
    let now_ms = u64::try_from(wall_clock().0 / 1_000).expect("after 1970");
    for ahead_ms in [3_600_000, 1, 0] {
        let stored = Core::new(now_ms + ahead_ms, [0; 6]);
        let ids = Ids::new(Some(stored));
        for _ in 0..1_000 {
            let id: PaymentId = ids.next();
            assert!(id.core() >= stored, "{ahead_ms} ms ahead");
        }
    }
    // A floor in the past does not hold ids back.
    let ids = Ids::new(Some(Core::new(now_ms - 3_600_000, [0xff; 6])));
    let id: PaymentId = ids.next();
    assert!(id.core() >= Core::new(now_ms, [0; 6]));
}
