//! Volumes that a shard is rebuilt on, and that do not take it.

use crate::common::volume_no;
use crate::filled::{check_and_repair, filled, repair_all};
use shosoin_protocol::VolumeId;
use shosoin_tiers::media::{Fault, Faults, Op};
use shosoin_tiers::{Defect, Unpaced};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn a_target_that_fails_lies_or_is_full_is_left_for_another_one() {
    let faults_of_targets = [
        (Op::Create, Fault::Fail(ErrorKind::Other)),
        (Op::Write, Fault::Fail(ErrorKind::Other)),
        (Op::Write, Fault::Fail(ErrorKind::StorageFull)),
        (Op::Write, Fault::Torn { keep: 5000, kind: ErrorKind::Other }),
        (Op::Write, Fault::Flip { at: 1_000_003, mask: 8 }),
        (Op::Write, Fault::Lost),
        (Op::Sync, Fault::Fail(ErrorKind::Other)),
        (Op::ReadPastCache, Fault::Fail(ErrorKind::Other)),
        (Op::ReadPastCache, Fault::Flip { at: 77, mask: 1 }),
        (Op::ReadPastCache, Fault::ShortRead { keep: 100 }),
        (Op::Rename, Fault::Fail(ErrorKind::Other)),
        (Op::SyncDir, Fault::Fail(ErrorKind::Other)),
    ];
    for (op, fault) in faults_of_targets {
        let what = format!("{fault:?} at {op:?}");
        let filled = filled("4+2", 3);
        let faults = Arc::new(Faults::default());
        let lost = [filled.volumes[1], filled.volumes[5]];
        let (tier, _) = filled.rig.open_hooked_without(&faults, &lost).unwrap();
        let bad = AtomicU64::new(0);
        let first = parking_lot::Mutex::new(None);
        faults.when(move |_, call| {
            let path = call.path.contains("segments/");
            let writes = call.path.ends_with(".tmp") || matches!(call.op, Op::SyncDir | Op::MakeDir);
            let mut first = first.lock();
            if path && writes && call.op == op && (first.is_none() || first.as_ref() == Some(&call.place)) {
                *first = Some(call.place.clone());
                bad.fetch_add(1, Ordering::Relaxed);
                return Some(fault);
            }
            None
        });
        let repaired = repair_all(&tier);
        assert!(repaired.iter().all(|repaired| repaired.short.is_empty()), "{what}: {repaired:?}");
        faults.clear();
        filled.assert_whole(&tier, &what);
        drop(tier);
        let (tier, _) = filled.rig.open_without(&lost).unwrap();
        filled.assert_whole(&tier, &format!("{what}, reopened"));
    }
}

#[test]
fn with_no_room_anywhere_a_repair_says_so_and_waits_until_somebody_asks() {
    let filled = filled("4+2", 0);
    let (tier, _) = filled.rig.open_without(&[filled.volumes[3]]).unwrap();
    let repaired = repair_all(&tier);
    assert!(repaired.len() == 1 && repaired[0].short.len() == 1, "{repaired:?}");
    let Defect::Unrepaired { why } = &repaired[0].short[0].defect else { panic!("{repaired:?}") };
    assert!(why.contains("no further volume"), "{why}");
    assert_eq!(tier.repairs_waiting(), 1);
    assert!(tier.repair_next(&Unpaced).unwrap().is_none());
    tier.retry_repairs();
    assert!(tier.repair_next(&Unpaced).unwrap().is_some());
}

#[test]
fn a_bad_shard_on_a_volume_without_room_or_writes_is_rebuilt_on_another() {
    for read_only in [true, false] {
        let filled = filled("4+2", 1);
        let volume = &filled.rig.media[filled.volumes[2]];
        volume.set_read_only(read_only);
        let (tier, _) = filled.rig.open();
        filled.flip(2, 0);
        if !read_only {
            tier.set_draining(VolumeId([u8::try_from(filled.volumes[2]).unwrap() + 1; 16]), true).unwrap();
        }
        let repaired = check_and_repair(&tier);
        assert!(repaired.len() == 1 && repaired[0].rebuilt.len() == 1, "{repaired:?}");
        assert_eq!(volume_no(repaired[0].rebuilt[0].1), 6);
        filled.assert_whole(&tier, "elsewhere");
    }
}
