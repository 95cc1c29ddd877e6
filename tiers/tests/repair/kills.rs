//! Killed, or failing once, at every call of a repair.

use crate::common::assert_all_read;
use crate::filled::{Filled, check_and_repair, filled};
use shosoin_tiers::media::{Fault, Faults};
use shosoin_tiers::{RepairItem, Severity, Unpaced};
use std::io::ErrorKind;
use std::sync::Arc;

/// What is repaired in the crash tests: one volume gone, one shard damaged.
fn hurt() -> (Filled, Vec<usize>) {
    let filled = filled("4+2", 2);
    filled.flip(2, 1);
    let lost = vec![filled.volumes[5]];
    (filled, lost)
}

fn repair_through(filled: &Filled, faults: &Arc<Faults>, lost: &[usize]) {
    if let Ok((tier, _)) = filled.rig.open_hooked_without(faults, lost) {
        tier.segments().iter().for_each(|segment| {
            let item = RepairItem { redundancy_left: 0, segment: segment.id, shard: 2, stripe_at: None };
            tier.queue_repairs([item]);
        });
        while let Ok(Some(_)) = tier.repair_next(&Unpaced) {}
    }
}

#[test]
fn killed_at_any_call_of_a_repair_nothing_is_lost_and_the_next_repair_completes_it() {
    let (filled_once, lost) = hurt();
    let faults = Arc::new(Faults::default());
    repair_through(&filled_once, &faults, &lost);
    let calls = faults.calls();
    assert!(calls > 60, "only {calls} calls");
    for call in 0..calls {
        for (power_cut, keep) in [(true, 1000), (false, 5000)] {
            let what = format!("killed at call {call}, power cut {power_cut}");
            let (filled, lost) = hurt();
            let faults = Arc::new(Faults::default());
            faults.kill_at(call, keep);
            repair_through(&filled, &faults, &lost);
            if power_cut {
                filled.rig.crash(call);
            }
            let (tier, findings) = filled.rig.open_without(&lost).unwrap();
            assert!(findings.iter().all(|finding| finding.severity() != Severity::Lost), "{what}: {findings:?}");
            assert_all_read(&tier, &filled.stored, &what);
            check_and_repair(&tier);
            filled.assert_whole(&tier, &what);
            tier.sweep(&Unpaced).unwrap();
            filled.assert_no_temporary(&what);
            filled.assert_whole(&tier, &format!("{what}, swept"));
        }
    }
}

#[test]
fn one_failed_call_of_any_kind_during_a_repair_costs_nothing_but_a_retry() {
    let (filled_once, lost) = hurt();
    let faults = Arc::new(Faults::default());
    repair_through(&filled_once, &faults, &lost);
    let calls = faults.calls();
    let kinds = [
        Fault::Fail(ErrorKind::Other),
        Fault::DoneAndFail(ErrorKind::Other),
        Fault::Fail(ErrorKind::StorageFull),
        Fault::Flip { at: 12_345, mask: 0x80 },
        Fault::Lost,
    ];
    for fault in kinds {
        for call in 0..calls {
            let what = format!("{fault:?} at call {call}");
            let (filled, lost) = hurt();
            let faults = Arc::new(Faults::default());
            faults.at(call, fault);
            repair_through(&filled, &faults, &lost);
            filled.rig.crash(call);
            let (tier, _) = filled.rig.open_without(&lost).unwrap();
            assert_all_read(&tier, &filled.stored, &what);
            check_and_repair(&tier);
            filled.assert_whole(&tier, &what);
        }
    }
}
