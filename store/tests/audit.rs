//! The audit log against everything that can happen to its files.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use shosoin_protocol::VolumeId;
use shosoin_store::audit::{
    Action, AuditEvent, AuditLog, AuditQuery, AuditRecord, Detail, FILE_BYTES_MAX, Outcome, heal, restore_lost,
};
use shosoin_store::{Finding, Severity};
use shosoin_tiers::media::{Media, MemoryMedia};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const NOW: u64 = 1_900_000_000_000;
const HEADER: usize = 112;

fn event(no: u64) -> AuditEvent {
    let event = AuditEvent::new(NOW + no, format!("user{}", no % 3), Action::Scrub)
        .on(VolumeId([u8::try_from(no).unwrap(); 16]));
    AuditEvent { bytes: no * 1000, ..event.because(format!("reason {no}")) }
}

/// A folder with a log of `records` events, still open.
struct Log {
    dir: TempDir,
    log: AuditLog,
}

impl Log {
    fn with(records: u64) -> Log {
        let dir = tempfile::tempdir().unwrap();
        let (log, findings) = AuditLog::open(dir.path(), NOW, &mut |_| {}).unwrap();
        assert_eq!(findings, []);
        (1..=records).for_each(|no| assert_eq!(log.append(&event(no)).unwrap(), no));
        Log { dir, log }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("audit/000001.log")
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.file()).unwrap()
    }

    fn damaged(&self) -> bool {
        damaged(&self.log.verify(&[]).unwrap().findings)
    }
}

fn damaged(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Damaged)
}

fn open(dir: &Path) -> (AuditLog, Vec<AuditRecord>, Vec<Finding>) {
    let mut records = Vec::new();
    let (log, findings) = AuditLog::open(dir, NOW, &mut |record| records.push(record)).unwrap();
    (log, records, findings)
}

/// Where the records of a file are.
fn places(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut at = HEADER;
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize + 36;
        places.push(at..at + len);
        at += len;
    }
    places
}

#[test]
fn what_was_appended_is_there_after_the_process_was_killed_and_the_chain_goes_on() {
    let log = Log::with(5);
    let head = log.log.head();
    let (again, records, findings) = open(log.dir.path());
    assert_eq!(findings, []);
    assert_eq!(
        records.iter().map(|record| record.event.clone()).collect::<Vec<_>>(),
        (1..=5).map(event).collect::<Vec<_>>()
    );
    assert_eq!(again.head(), head);
    assert_eq!(again.append(&event(6)).unwrap(), 6);
    let report = again.verify(&[]).unwrap();
    assert_eq!((report.records, report.head_seq, report.findings), (6, 6, vec![]));
}

#[test]
fn every_flipped_byte_of_a_log_is_found_and_so_is_every_cut() {
    let log = Log::with(4);
    let good = log.bytes();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(log.file(), &bytes).unwrap();
        assert!(log.damaged(), "byte {at} was flipped");
    }
    for len in 0..good.len() {
        std::fs::write(log.file(), &good[..len]).unwrap();
        assert!(log.damaged(), "cut to {len} bytes");
    }
    std::fs::write(log.file(), &good).unwrap();
    assert!(!log.damaged());
}

#[test]
fn every_removed_swapped_and_repeated_record_is_found() {
    let log = Log::with(5);
    let good = log.bytes();
    let places = places(&good);
    let with = |order: &[usize]| {
        let records = order.iter().flat_map(|no| good[places[*no].clone()].to_vec());
        std::fs::write(log.file(), [good[..HEADER].to_vec(), records.collect()].concat()).unwrap();
        assert!(log.damaged(), "records in the order {order:?}");
    };
    for gone in 0..5 {
        with(&(0..5).filter(|no| *no != gone).collect::<Vec<_>>());
        with(&(0..5).flat_map(|no| vec![no; 1 + usize::from(no == gone)]).collect::<Vec<_>>());
        for other in 0..gone {
            let mut order: Vec<usize> = (0..5).collect();
            order.swap(gone, other);
            with(&order);
        }
    }
}

#[test]
fn a_log_written_anew_from_the_start_is_told_by_its_head_and_by_copies() {
    let log = Log::with(3);
    let volume: Arc<dyn Media> = Arc::new(MemoryMedia::new("volume"));
    assert_eq!(log.log.copy_to(std::slice::from_ref(&volume)), []);
    let forged = Log::with(2);
    forged.log.append(&event(3).because("another reason")).unwrap();
    std::fs::copy(forged.file(), log.file()).unwrap();
    let (again, _, findings) = open(log.dir.path());
    assert!(findings.iter().any(|finding| finding.code == "audit-truncated"), "{findings:?}");
    assert!(damaged(&again.verify(&[]).unwrap().findings), "it stays evident");
    std::fs::copy(forged.dir.path().join("audit/head"), log.dir.path().join("audit/head")).unwrap();
    std::fs::remove_file(log.dir.path().join("audit/000002.log")).unwrap();
    let (fooled, _, findings) = open(log.dir.path());
    assert!(!damaged(&findings), "head and log agree: {findings:?}");
    let report = fooled.verify(&[volume]).unwrap();
    assert!(report.findings.iter().any(|finding| finding.code == "audit-copy-differs"), "{:?}", report.findings);
}

#[test]
fn an_end_that_was_cut_off_is_said_at_the_next_start_and_what_follows_is_still_recorded() {
    let log = Log::with(5);
    let good = log.bytes();
    std::fs::write(log.file(), &good[..places(&good)[2].end]).unwrap();
    let (again, records, findings) = open(log.dir.path());
    assert_eq!(records.len(), 3);
    assert!(findings.iter().any(|finding| finding.code == "audit-truncated"), "{findings:?}");
    assert_eq!(again.append(&event(6)).unwrap(), 6, "the numbers of what is gone are not given again");
    let (_, records, findings) = open(log.dir.path());
    assert!(damaged(&findings) && records.len() == 4, "{findings:?}");
}

#[test]
fn a_record_that_a_crash_tore_is_set_aside_at_every_length_and_is_no_damage() {
    let whole = Log::with(3);
    let next = {
        let before = whole.bytes().len();
        whole.log.append(&event(4)).unwrap();
        whole.bytes()[before..].to_vec()
    };
    for torn in (1..next.len()).step_by(7) {
        let log = Log::with(3);
        let bytes = [log.bytes(), next[..torn].to_vec()].concat();
        std::fs::write(log.file(), &bytes).unwrap();
        let (again, records, findings) = open(log.dir.path());
        assert_eq!((records.len(), findings.len()), (3, 1), "{findings:?}");
        assert_eq!((findings[0].code, findings[0].severity), ("audit-torn", Severity::Notice));
        assert_eq!(log.bytes(), bytes, "nothing is cut off");
        assert_eq!(again.append(&event(4)).unwrap(), 4);
        assert_eq!(again.verify(&[]).unwrap().findings, []);
        let (_, records, findings) = open(log.dir.path());
        assert_eq!((records.len(), findings.len()), (4, 0), "{findings:?}");
    }
}

#[test]
fn a_file_that_a_crash_left_longer_with_zeros_loses_nothing() {
    let log = Log::with(2);
    let bytes = [log.bytes(), vec![0; 4096]].concat();
    std::fs::write(log.file(), &bytes).unwrap();
    let (again, records, findings) = open(log.dir.path());
    assert_eq!((records.len(), findings.len(), findings[0].code), (2, 1, "audit-torn"));
    assert_eq!(again.append(&event(3)).unwrap(), 3);
    assert_eq!(again.verify(&[]).unwrap().findings, []);
}

#[test]
fn a_record_that_was_synced_before_its_head_was_counts() {
    let log = Log::with(2);
    let head = std::fs::read(log.dir.path().join("audit/head")).unwrap();
    log.log.append(&event(3)).unwrap();
    std::fs::write(log.dir.path().join("audit/head"), head).unwrap();
    let (_, records, findings) = open(log.dir.path());
    assert_eq!((records.len(), findings), (3, vec![]));
}

#[test]
fn a_damaged_last_record_that_was_remembered_is_damage_and_not_a_torn_one() {
    let log = Log::with(3);
    let mut bytes = log.bytes();
    let last = places(&bytes)[2].clone();
    bytes[last.start + 20] ^= 1;
    std::fs::write(log.file(), &bytes).unwrap();
    let (again, records, findings) = open(log.dir.path());
    assert!(damaged(&findings) && records.len() == 2, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.code != "audit-torn"), "{findings:?}");
    assert_eq!(again.append(&event(4)).unwrap(), 4);
    assert!(damaged(&again.verify(&[]).unwrap().findings));
}

#[test]
fn a_full_file_is_followed_by_the_next_and_a_missing_one_between_is_found() {
    let log = Log::with(0);
    // few, long records: each waits for the disk
    let long = event(1).with(Detail::Place("z".repeat(4000)));
    let wanted = FILE_BYTES_MAX as u64 / 4000 + 50;
    for _ in 0..wanted {
        log.log.append(&long).unwrap();
    }
    let names = || std::fs::read_dir(log.dir.path().join("audit")).unwrap().count();
    assert_eq!(names(), 3, "two files and the head");
    assert_eq!(log.log.verify(&[]).unwrap().records, wanted);
    assert!(std::fs::metadata(log.file()).unwrap().len() <= FILE_BYTES_MAX as u64);
    std::fs::remove_file(log.file()).unwrap();
    assert!(log.damaged());
}

#[test]
fn records_are_found_by_time_kind_volume_and_actor() {
    let log = Log::with(9);
    log.log.append(&event(10).ended(Outcome::Failed)).unwrap();
    let read = |query: AuditQuery| log.log.read(&query).unwrap().iter().map(|record| record.seq).collect::<Vec<_>>();
    assert_eq!(read(AuditQuery { since_ms: Some(NOW + 3), until_ms: Some(NOW + 5), ..AuditQuery::default() }), [3, 4]);
    assert_eq!(read(AuditQuery { volume: Some(VolumeId([7; 16])), ..AuditQuery::default() }), [7]);
    assert_eq!(read(AuditQuery { actor: Some("user1".into()), newest: Some(2), ..AuditQuery::default() }), [7, 10]);
    assert_eq!(read(AuditQuery { actions: vec![Action::Repair], ..AuditQuery::default() }), [] as [u64; 0]);
}

#[test]
fn a_lost_folder_comes_back_from_the_longest_good_copy_and_a_damaged_copy_is_not_taken() {
    let log = Log::with(4);
    let volumes: Vec<Arc<dyn Media>> = (0..3).map(|_| Arc::new(MemoryMedia::new("volume")) as Arc<dyn Media>).collect();
    assert_eq!(log.log.copy_to(&volumes[..1]), []);
    log.log.append(&event(5)).unwrap();
    assert_eq!(log.log.copy_to(&volumes[1..2]), []);
    let bad = Arc::new(MemoryMedia::new("volume"));
    log.log.append(&event(6)).unwrap();
    assert_eq!(log.log.copy_to(&[bad.clone() as Arc<dyn Media>]), []);
    bad.tamper("audit/000001.log", |bytes| bytes[HEADER + 20] ^= 1).unwrap();
    let lost = tempfile::tempdir().unwrap();
    let media = [volumes[0].clone(), volumes[1].clone(), bad];
    let finding = restore_lost(lost.path(), &media).unwrap().unwrap();
    assert!(finding.code == "audit-restored" && finding.message.contains("record 5"), "{finding:?}");
    let (_, records, _) = open(lost.path());
    assert_eq!(records.len(), 5);
    assert_eq!(restore_lost(lost.path(), &media).unwrap(), None, "a log that is there is left alone");
}

#[test]
fn a_copy_that_says_something_else_is_evidence_and_is_not_replaced() {
    let log = Log::with(3);
    let volume = Arc::new(MemoryMedia::new("volume"));
    let media: [Arc<dyn Media>; 1] = [volume.clone()];
    log.log.copy_to(&media);
    volume.tamper("audit/000001.log", |bytes| bytes[HEADER + 20] ^= 1).unwrap();
    log.log.append(&event(4)).unwrap();
    let findings = log.log.copy_to(&media);
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["audit-copy-differs"]);
    assert!(damaged(&log.log.verify(&media).unwrap().findings));
}

#[test]
fn any_damage_to_the_log_alone_is_mended_from_a_copy_and_what_was_damaged_is_kept() {
    for every_copied in [true, false] {
        let log = Log::with(6);
        let volume: Arc<dyn Media> = Arc::new(MemoryMedia::new("volume"));
        assert_eq!(log.log.copy_to(std::slice::from_ref(&volume)), []);
        if !every_copied {
            log.log.append(&event(7)).unwrap();
        }
        let (dir, file, good) = (log.dir.path().to_owned(), log.file(), log.bytes());
        let copied = places(&good)[5].end;
        drop(log.log);
        for at in (0..copied).step_by(13) {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            std::fs::write(&file, &bytes).unwrap();
            let findings = heal(&dir, std::slice::from_ref(&volume)).unwrap();
            assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["audit-healed"], "byte {at}");
            assert_eq!(std::fs::read(&file).unwrap(), good, "byte {at}");
            let kept = file.with_extension("log.damaged");
            assert_eq!(std::fs::read(&kept).unwrap(), bytes, "byte {at}: evidence");
            std::fs::remove_file(kept).unwrap();
            assert_eq!(heal(&dir, std::slice::from_ref(&volume)).unwrap(), [], "it is good now");
        }
        std::fs::write(&file, &good[..copied - 10]).unwrap();
        assert_eq!(heal(&dir, std::slice::from_ref(&volume)).unwrap().len(), usize::from(every_copied), "cut");
        std::fs::write(&file, &good).unwrap();
        let (_, records, findings) = open(&dir);
        assert_eq!((records.len(), findings), (if every_copied { 6 } else { 7 }, vec![]));
    }
}

#[test]
fn a_missing_file_between_others_comes_back_and_nothing_is_taken_from_a_copy_that_leads_elsewhere() {
    let log = Log::with(1);
    let long = event(2).because("r".repeat(200));
    while !log.dir.path().join("audit/000003.log").exists() {
        log.log.append(&long).unwrap();
    }
    let volume = Arc::new(MemoryMedia::new("volume"));
    let media: [Arc<dyn Media>; 1] = [volume.clone()];
    assert_eq!(log.log.copy_to(&media), []);
    let (dir, file) = (log.dir.path().to_owned(), log.dir.path().join("audit/000002.log"));
    drop(log.log);
    let good = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    volume.tamper("audit/000002.log", |bytes| bytes[HEADER + 20] ^= 1).unwrap();
    assert_eq!(heal(&dir, &media).unwrap(), [], "a copy that is damaged too helps nobody");
    assert!(!file.exists());
    volume.tamper("audit/000002.log", |bytes| bytes[HEADER + 20] ^= 1).unwrap();
    assert_eq!(heal(&dir, &media).unwrap().len(), 1);
    assert_eq!(std::fs::read(&file).unwrap(), good);
    let (_, _, findings) = open(&dir);
    assert_eq!(findings, []);
}
