//! Archive volumes as k + m prefixes: whichever m of them are lost, nothing is.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod group;

use group::Group;
use object_store::memory::InMemory;
use shosoin_archive::{Bridge, Limits, ObjectMedia};
use shosoin_tiers::Media;
use std::sync::Arc;

#[test]
fn losing_any_m_of_the_k_plus_m_prefixes_of_a_group_loses_nothing() {
    for (code, volumes) in [("4+2", 6), ("1+1", 2), ("8+3", 11)] {
        let bridge = Bridge::start().unwrap();
        let limits = Limits { part_bytes: 64 * 1024, ..Limits::default() };
        let in_store = |no: usize| -> Arc<dyn Media> {
            let store = Arc::new(InMemory::new());
            Arc::new(ObjectMedia::over(store, "shelf".into(), &format!("mem://{no}"), bridge.clone(), limits))
        };
        let group = Group::moved_to(code, (0..volumes).map(in_store).collect());
        group.assert_every_choice_of_m_losses_is_survived();
        group.assert_one_loss_more_is_refused_and_never_wrong();
    }
}
