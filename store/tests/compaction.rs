//! Compaction of a vault: what nothing needs any more goes, nothing that is needed ever does, and what went stays away.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use bytes::Bytes;
use common::{
    Hospital, Parcel, Site, accept, as_media, assert_clean, assert_holds, batch, enrolled, memory_volumes, request,
};
use proptest::prelude::*;
use shosoin_protocol::{Address, Suite};
use shosoin_store::jobs::Outcome;
use shosoin_store::{Amplification, IndexKind, JobKind, JobOptions, JobReport, OpenOptions, Result, Vault};
use shosoin_tiers::clock::SeededRandom;
use shosoin_tiers::media::{Faults, FaultyMedia, Media, MemoryMedia};
use std::sync::Arc;

const DAY_MS: u64 = 86_400_000;
const UPLOAD_DAYS: u64 = 30;

/// A vault in memory with one hospital, records that entries name, and chunks that none does.
struct Stage {
    site: Site,
    media: Vec<MemoryMedia>,
    hospital: Hospital,
    kept: Vec<Parcel>,
    abandoned: Vec<Bytes>,
}

impl Stage {
    /// Closed segments: small ones of records, and one that is mostly abandoned.
    async fn new(index: IndexKind) -> Stage {
        let media = memory_volumes(6);
        let mut site = Site::on_media(index, as_media(&media)).await;
        site.options.segment_bytes_max = Some(120_000);
        let vault = site.open().await;
        let mut hospital = enrolled(&vault, Suite::Default, 7).await;
        let (mut kept, mut abandoned) = (Vec::new(), Vec::new());
        for number in 0..3 {
            let (parcel, request) = hospital.small(&format!("record {number}"));
            accept(&vault, &mut hospital, [request]).await;
            kept.push(parcel);
            for salt in 0..2 {
                let chunk = hospital.chunk(20_000, 500 + 10 * number + salt);
                put(&vault, &hospital, &chunk).await.unwrap();
                abandoned.push(chunk);
            }
        }
        vault.close().await.unwrap();
        Stage { site, media, hospital, kept, abandoned }
    }

    async fn open(&self) -> Vault {
        self.site.open().await
    }

    async fn open_on(&self, media: Vec<Arc<dyn Media>>) -> Result<Vault> {
        let options = OpenOptions { media: Some(media), ..self.site.options.clone() };
        Vault::open(&self.site.path(), options).await
    }

    async fn open_through(&self, faults: &Arc<Faults>) -> Result<Vault> {
        let faulty = |media: &MemoryMedia| FaultyMedia::new(Arc::new(media.clone()), faults.clone());
        self.open_on(self.media.iter().map(|media| Arc::new(faulty(media)) as Arc<dyn Media>).collect()).await
    }

    fn pass_days(&self, days: u64) {
        self.site.clock.advance(days * DAY_MS);
    }

    /// Notes what is abandoned, and lets its time go by.
    async fn let_expire(&self) {
        let vault = self.open().await;
        let noted = compact(&vault).await;
        assert_eq!((noted.outcome, noted.figures.freed_bytes), (Outcome::Done, 0), "{noted:?}");
        assert!(noted.segments.iter().map(|segment| segment.waiting_bytes).sum::<u64>() > 100_000, "{noted:?}");
        vault.close().await.unwrap();
        self.pass_days(UPLOAD_DAYS);
    }

    fn images(&self) -> Vec<std::collections::BTreeMap<String, Vec<u8>>> {
        self.media.iter().map(MemoryMedia::image).collect()
    }

    fn shard_bytes(&self) -> usize {
        let shards = self.images().into_iter().flatten().filter(|(path, _)| path.ends_with(".shard"));
        shards.map(|(_, bytes)| bytes.len()).sum()
    }

    /// Everything acknowledged is there, and index, ledger and media agree.
    async fn assert_sound(&self, vault: &Vault) {
        assert_holds(vault, &self.hospital, &self.kept).await;
        assert_clean(vault).await;
    }

    async fn assert_gone(&self, vault: &Vault) {
        for chunk in &self.abandoned {
            assert!(vault.record(self.hospital.id, self.address(chunk)).await.is_err());
        }
    }

    fn address(&self, chunk: &Bytes) -> Address {
        self.hospital.suite.address(chunk)
    }
}

async fn put(vault: &Vault, hospital: &Hospital, chunk: &Bytes) -> Result<()> {
    vault.put_chunk(hospital.id, hospital.suite.address(chunk), chunk.clone()).await
}

async fn compact(vault: &Vault) -> JobReport {
    vault.run_job(JobKind::Compact, JobOptions::default()).await.unwrap()
}

/// A version whose chunks were sent before.
fn naming(hospital: &mut Hospital, chunks: &[Bytes]) -> (Parcel, shosoin_protocol::api::DepositRequest) {
    let parcel = hospital.parcel("late", chunks);
    let entry = hospital.device.sign(&hospital.named(), parcel.body());
    let request = request(&entry, &Parcel { chunks: Vec::new(), ..parcel.clone() });
    (parcel, request)
}

#[tokio::test]
async fn abandoned_chunks_go_after_their_time_and_everything_that_is_named_stays() {
    let stage = Stage::new(IndexKind::Memory).await;
    let before = stage.shard_bytes();
    let vault = stage.open().await;
    let noted = compact(&vault).await;
    assert_eq!((noted.figures.items, noted.figures.freed_bytes), (0, 0), "nothing goes at once: {noted:?}");
    stage.pass_days(UPLOAD_DAYS - 1);
    assert_eq!(compact(&vault).await.figures.freed_bytes, 0, "nor a day early");
    stage.pass_days(1);
    let gone = compact(&vault).await;
    assert!(gone.is_clean() && gone.figures.items > 0, "{gone:?}");
    assert!(gone.figures.freed_bytes > 6 * 20_000, "{gone:?}");
    assert!(gone.figures.reread_bytes == gone.figures.written_bytes && gone.figures.written_bytes > 0);
    stage.assert_sound(&vault).await;
    stage.assert_gone(&vault).await;
    let again = compact(&vault).await;
    assert_eq!((again.figures.items, again.segments.len()), (0, 0), "nothing is left to do: {again:?}");
    vault.close().await.unwrap();
    drop(vault);
    assert!(stage.shard_bytes() < before - 6 * 20_000, "{} of {before}", stage.shard_bytes());
    let events = shosoin_store::audit::AuditQuery::default();
    let vault = stage.open().await;
    let log = vault.audit().read(&events).unwrap();
    let of = |action| log.iter().filter(|record| record.event.action == action).count();
    assert!(of(shosoin_store::audit::Action::Release) >= 1 && of(shosoin_store::audit::Action::Compact) >= 3);
    stage.assert_sound(&vault).await;
}

#[tokio::test]
async fn an_index_made_anew_after_a_compaction_neither_brings_back_nor_loses_anything() {
    for index in [IndexKind::Memory, IndexKind::Fjall, IndexKind::Sled] {
        let stage = Stage::new(index).await;
        if index == IndexKind::Memory {
            continue; // what was noted is forgotten with the process: nothing ever goes
        }
        stage.let_expire().await;
        let vault = stage.open().await;
        assert!(compact(&vault).await.figures.items > 0, "{index:?}");
        vault.close().await.unwrap();
        drop(vault);
        std::fs::remove_dir_all(stage.site.path().join("index")).unwrap();
        let vault = stage.open().await;
        stage.assert_sound(&vault).await;
        stage.assert_gone(&vault).await;
        vault.close().await.unwrap();
    }
}

#[tokio::test]
async fn an_index_from_before_a_compaction_is_noticed_and_made_anew() {
    let stage = Stage::new(IndexKind::Fjall).await;
    stage.let_expire().await;
    let (index, old) = (stage.site.path().join("index"), stage.site.path().join("old"));
    copy_dir(&index, &old);
    let vault = stage.open().await;
    assert!(compact(&vault).await.figures.items > 0);
    vault.close().await.unwrap();
    drop(vault);
    std::fs::remove_dir_all(&index).unwrap();
    std::fs::rename(&old, &index).unwrap();
    let vault = stage.open().await;
    let findings = vault.status().await.unwrap().findings;
    assert!(findings.iter().any(|finding| finding.message.contains("which was removed")), "{findings:?}");
    stage.assert_sound(&vault).await;
    stage.assert_gone(&vault).await;
    vault.close().await.unwrap();
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    for file in common::files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(file, target).unwrap();
    }
}

#[tokio::test]
async fn an_old_image_of_a_volume_brings_nothing_back_and_what_it_has_of_it_is_removed() {
    let stage = Stage::new(IndexKind::Fjall).await;
    stage.let_expire().await;
    let old = stage.media[0].image();
    let vault = stage.open().await;
    assert!(compact(&vault).await.figures.items > 0);
    vault.close().await.unwrap();
    drop(vault);
    let volume = &stage.media[0];
    volume.paths().iter().for_each(|path| volume.remove(path).unwrap());
    for (path, bytes) in &old {
        shosoin_tiers::durable::replace(volume, path, bytes).unwrap();
    }
    let vault = stage.open().await;
    let findings = vault.status().await.unwrap().findings;
    assert!(findings.iter().any(|finding| finding.message.contains("was removed, and is not used")), "{findings:?}");
    assert_holds(&vault, &stage.hospital, &stage.kept).await;
    stage.assert_gone(&vault).await;
    vault.run_job(JobKind::Repair, JobOptions::default()).await.unwrap();
    assert_holds(&vault, &stage.hospital, &stage.kept).await;
    vault.close().await.unwrap();
}

#[tokio::test]
async fn what_an_upload_was_told_is_held_may_be_named_until_its_time_is_over_and_then_lives() {
    let mut stage = Stage::new(IndexKind::Memory).await;
    let vault = stage.open().await;
    let chunks = stage.abandoned.split_off(3);
    let addresses: Vec<Address> = chunks.iter().map(|chunk| stage.address(chunk)).collect();
    assert!(vault.missing(stage.hospital.id, &addresses).await.unwrap().iter().all(|missing| !missing));
    compact(&vault).await;
    let told = vault.missing(stage.hospital.id, &addresses).await.unwrap();
    assert!(told.iter().all(|missing| *missing), "an upload that asks now is not to count on it");
    stage.pass_days(UPLOAD_DAYS - 1);
    compact(&vault).await;
    let (parcel, request) = naming(&mut stage.hospital, &chunks);
    accept(&vault, &mut stage.hospital, [request]).await;
    stage.kept.push(parcel);
    stage.pass_days(2);
    assert!(compact(&vault).await.figures.items > 0, "the rest goes");
    stage.assert_sound(&vault).await;
    stage.assert_gone(&vault).await;
    stage.pass_days(5 * UPLOAD_DAYS);
    compact(&vault).await;
    stage.assert_sound(&vault).await;
    vault.close().await.unwrap();
}

#[tokio::test]
async fn a_chunk_that_is_sent_again_after_it_was_noted_has_a_time_of_its_own() {
    let mut stage = Stage::new(IndexKind::Memory).await;
    let vault = stage.open().await;
    compact(&vault).await;
    stage.pass_days(UPLOAD_DAYS - 1);
    let chunk = stage.abandoned.remove(0);
    put(&vault, &stage.hospital, &chunk).await.unwrap();
    assert_eq!(vault.missing(stage.hospital.id, &[stage.address(&chunk)]).await.unwrap(), [false], "stored anew");
    stage.pass_days(2);
    assert!(compact(&vault).await.figures.items > 0);
    assert_eq!(vault.record(stage.hospital.id, stage.address(&chunk)).await.unwrap(), chunk, "its time just began");
    let (parcel, request) = naming(&mut stage.hospital, std::slice::from_ref(&chunk));
    accept(&vault, &mut stage.hospital, [request]).await;
    stage.kept.push(parcel);
    stage.pass_days(2 * UPLOAD_DAYS);
    compact(&vault).await;
    stage.assert_sound(&vault).await;
    stage.assert_gone(&vault).await;
    vault.close().await.unwrap();
}

#[tokio::test]
async fn a_dry_run_shows_every_segment_and_changes_nothing() {
    let stage = Stage::new(IndexKind::Fjall).await;
    let dry = JobOptions { dry_run: true, ..JobOptions::default() };
    let vault = stage.open().await;
    let images = stage.images();
    let plan = vault.run_job(JobKind::Compact, dry.clone()).await.unwrap();
    assert!(plan.segments.iter().all(|segment| segment.dead_bytes == 0 && segment.waiting_bytes > 0), "{plan:?}");
    assert!(!plan.segments.is_empty() && images == stage.images());
    vault.close().await.unwrap();
    drop(vault);
    stage.pass_days(2 * UPLOAD_DAYS);
    let vault = stage.open().await;
    let plan = vault.run_job(JobKind::Compact, dry.clone()).await.unwrap();
    assert!(plan.segments.iter().all(|segment| segment.dead_bytes == 0), "a dry run noted nothing: {plan:?}");
    compact(&vault).await;
    stage.pass_days(UPLOAD_DAYS);
    let images = stage.images();
    let plan = vault.run_job(JobKind::Compact, dry).await.unwrap();
    let worth_it: Vec<_> = plan.segments.iter().filter(|segment| segment.worth_it).collect();
    assert!(!worth_it.is_empty() && plan.figures.freed_bytes == 0, "{plan:?}");
    assert!(worth_it.iter().all(|segment| segment.amplification.unwrap() <= 1.0), "{plan:?}");
    assert!(images == stage.images());
    let gone = compact(&vault).await;
    let expected: u64 = worth_it.iter().map(|segment| segment.dead_bytes).sum();
    assert_eq!(gone.figures.freed_bytes, expected, "it does what it said");
    vault.close().await.unwrap();
}

#[tokio::test]
async fn a_segment_that_would_cost_more_than_the_bound_stays_whole() {
    let stage = Stage::new(IndexKind::Fjall).await;
    stage.let_expire().await;
    let vault = stage.open().await;
    let bound = |text: &str| JobOptions { amplification: Some(text.parse().unwrap()), ..JobOptions::default() };
    let images = stage.images();
    let stays = vault.run_job(JobKind::Compact, bound("0.001")).await.unwrap();
    assert!(stays.figures.items == 0 && stays.segments.iter().all(|segment| !segment.worth_it), "{stays:?}");
    assert!(stays.segments.iter().any(|segment| segment.dead_bytes > 0), "{stays:?}");
    assert!(images == stage.images());
    assert_eq!("1".parse(), Ok(Amplification::DEFAULT));
    assert!(vault.run_job(JobKind::Compact, bound("1000")).await.unwrap().figures.items > 0);
    stage.assert_sound(&vault).await;
    vault.close().await.unwrap();
}

#[tokio::test]
async fn nothing_goes_on_a_doubted_clocks_word_or_while_a_volume_is_absent() {
    let stage = Stage::new(IndexKind::Fjall).await;
    stage.let_expire().await;
    stage.pass_days(4_000);
    let vault = stage.open().await;
    let images = stage.images();
    let waits = compact(&vault).await;
    assert_eq!((waits.figures.items, waits.figures.short), (0, 1), "{waits:?}");
    assert!(waits.listed[0].message.contains("clock"), "{waits:?}");
    assert!(images == stage.images());
    vault.media().confirm_clock(shosoin_tiers::Clock::now_ms(&*stage.site.clock), "a person").unwrap();
    vault.close().await.unwrap();
    drop(vault);
    let vault = stage.open_on(as_media(&stage.media[1..])).await.unwrap();
    let waits = compact(&vault).await;
    assert_eq!((waits.figures.items, waits.figures.short), (0, 1), "{waits:?}");
    assert!(waits.listed[0].message.contains("absent"), "{waits:?}");
    vault.close().await.unwrap();
    drop(vault);
    let vault = stage.open().await;
    assert!(compact(&vault).await.figures.items > 0);
    stage.assert_sound(&vault).await;
    vault.close().await.unwrap();
}

/// Changes bytes in the middle of the stripe that holds `chunk`, on three of six shards, and the end of every shard: no table is
/// left, and following the stripes does not list the chunk. Doing it twice undoes it.
fn hide(media: &[MemoryMedia], chunk: &Bytes) {
    let shards =
        || media.iter().flat_map(|media| media.image().into_iter().map(move |(path, bytes)| (media, path, bytes)));
    let shards = || shards().filter(|(_, path, _)| path.ends_with(".shard"));
    let holds = |bytes: &[u8]| bytes.windows(64).position(|window| window == &chunk[..64]);
    let (path, at) = shards().find_map(|(_, path, bytes)| Some((path, holds(&bytes)?))).unwrap();
    let segment = path.rsplit_once('-').unwrap().0;
    let of_segment = shards().filter(|(_, path, _)| path.starts_with(segment));
    for (no, (media, path, bytes)) in of_segment.enumerate() {
        let change = |bytes: &mut Vec<u8>| {
            if no < 3 {
                bytes[at + 3000] ^= 1;
            }
            let end = bytes.len();
            bytes[end - 100] ^= 1;
        };
        assert!(bytes.len() > at + 3000);
        media.tamper(&path, change).unwrap();
    }
}

#[tokio::test]
async fn a_segment_stays_while_the_index_knows_records_of_it_that_its_table_does_not_list() {
    let media = memory_volumes(6);
    let site = Site::on_media(IndexKind::Fjall, as_media(&media)).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 7).await;
    let (named, abandoned) = (hospital.chunk(20_000, 1), hospital.chunk(60_000, 2));
    put(&vault, &hospital, &named).await.unwrap();
    put(&vault, &hospital, &abandoned).await.unwrap();
    let (parcel, request) = naming(&mut hospital, std::slice::from_ref(&named));
    accept(&vault, &mut hospital, [request]).await;
    vault.close().await.unwrap();
    drop(vault);
    let stage = Stage { site, media, hospital, kept: vec![parcel], abandoned: vec![abandoned] };
    let vault = stage.open().await;
    assert_eq!(compact(&vault).await.figures.freed_bytes, 0);
    vault.close().await.unwrap();
    drop(vault);
    stage.pass_days(UPLOAD_DAYS);
    let vault = stage.open().await;
    hide(&stage.media, &named);
    let images = stage.images();
    let left = compact(&vault).await;
    assert_eq!((left.figures.items, left.figures.freed_bytes, left.figures.short), (0, 0, 1), "{left:?}");
    assert!(left.listed[0].message.contains("its table does not list"), "{left:?}");
    assert!(images == stage.images(), "nothing was removed, nothing appended");
    hide(&stage.media, &named);
    let gone = compact(&vault).await;
    assert!(gone.figures.items > 0 && gone.figures.freed_bytes > 60_000, "{gone:?}");
    stage.assert_sound(&vault).await;
    stage.assert_gone(&vault).await;
    vault.close().await.unwrap();
}

/// Lets everything expire, kills the next compaction at `call`, and gives what it did.
async fn killed_at(stage: &Stage, call: u64, keep: u64) {
    let faults = Arc::new(Faults::default());
    faults.kill_at(call, keep);
    if let Ok(vault) = stage.open_through(&faults).await {
        let _ = vault.run_job(JobKind::Compact, JobOptions::default()).await;
        let _ = vault.close().await; // what a failed close leaves is recovered next
    }
}

/// Calls on media that opening makes, and that a compaction and closing make with it.
async fn calls() -> (u64, u64) {
    let stage = Stage::new(IndexKind::Fjall).await;
    stage.let_expire().await;
    let faults = Arc::new(Faults::default());
    let vault = stage.open_through(&faults).await.unwrap();
    let opening = faults.calls();
    assert!(compact(&vault).await.figures.items > 0);
    vault.close().await.unwrap();
    (opening, faults.calls())
}

/// Every second call from the first or second on, with the index kept or lost, with power or without.
async fn kill_at_calls(first: u64, index_lost: bool) {
    let (opening, calls) = calls().await;
    assert!(calls - opening > 100, "only {} calls", calls - opening);
    let mut runs = 0;
    for call in (opening + first..calls).step_by(2) {
        let stage = Stage::new(IndexKind::Fjall).await;
        stage.let_expire().await;
        killed_at(&stage, call, call * 977 % 9000).await;
        if call / 2 % 2 == 0 {
            let random = SeededRandom::new(call);
            stage.media.iter().for_each(|media| media.crash(&random));
        }
        if index_lost {
            let _ = std::fs::remove_dir_all(stage.site.path().join("index"));
        }
        let what = format!("killed at call {call} of {calls}, index lost {index_lost}");
        let vault = stage.open().await;
        assert_holds(&vault, &stage.hospital, &stage.kept).await;
        for _ in 0..2 {
            vault.run_job(JobKind::Repair, JobOptions::default()).await.unwrap();
            let report = compact(&vault).await;
            assert_eq!(report.outcome, Outcome::Done, "{what}: {report:?}");
            stage.pass_days(UPLOAD_DAYS);
        }
        stage.assert_gone(&vault).await;
        assert_holds(&vault, &stage.hospital, &stage.kept).await;
        let report = vault.check(shosoin_store::CheckOptions::default()).await.unwrap();
        assert!(report.is_consistent(), "{what}: {:?}", report.findings);
        vault.close().await.unwrap();
        runs += 1;
    }
    assert!(runs > 100, "only {runs} runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_call_of_a_compaction_nothing_acknowledged_is_lost_and_the_next_one_completes() {
    kill_at_calls(0, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_call_with_the_index_lost_too_media_alone_tell_what_is_removed() {
    kill_at_calls(1, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_that_come_while_it_runs_hold_and_those_it_refuses_say_what_is_missing() {
    let mut stage = Stage::new(IndexKind::Fjall).await;
    stage.let_expire().await;
    let vault = stage.open().await;
    let running = tokio::spawn({
        let vault = vault.clone();
        async move { compact(&vault).await }
    });
    let (mut named, mut refused) = (0, 0);
    for (number, chunk) in stage.abandoned.clone().into_iter().enumerate() {
        let (_, small) = stage.hospital.small(&format!("beside {number}"));
        accept(&vault, &mut stage.hospital, [small]).await;
        let (next_seq, prev) = (stage.hospital.device.next_seq, stage.hospital.device.prev);
        let (parcel, late) = naming(&mut stage.hospital, std::slice::from_ref(&chunk));
        let reply = vault.deposit(stage.hospital.id, batch([late])).await.unwrap().replies.remove(0);
        match reply {
            Ok(_) => {
                named += 1;
                stage.kept.push(parcel);
            }
            Err(problem) => {
                assert_eq!(problem.code, "missing-addresses", "{problem:?}");
                (stage.hospital.device.next_seq, stage.hospital.device.prev) = (next_seq, prev);
                refused += 1;
            }
        }
    }
    let report = running.await.unwrap();
    assert!(report.error.is_none(), "{report:?}");
    assert_eq!(named + refused, stage.abandoned.len());
    for chunk in stage.kept.iter().flat_map(|parcel| &parcel.chunks) {
        assert_eq!(&vault.record(stage.hospital.id, stage.address(chunk)).await.unwrap(), chunk);
    }
    assert_clean(&vault).await;
    compact(&vault).await;
    stage.assert_sound(&vault).await;
    vault.close().await.unwrap();
}

/// What a random history does next.
#[derive(Debug, Clone)]
enum Act {
    Record(u8),
    Abandon(u8),
    NameLate,
    Marker,
    Compact,
    Days(u8),
    Reopen,
    LoseIndex,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => any::<u8>().prop_map(Act::Record),
        4 => any::<u8>().prop_map(Act::Abandon),
        2 => Just(Act::NameLate),
        1 => Just(Act::Marker),
        4 => Just(Act::Compact),
        3 => (1u8..40).prop_map(Act::Days),
        2 => Just(Act::Reopen),
        1 => Just(Act::LoseIndex),
    ]
}

/// Plays a history; after each compaction and opening everything acknowledged must be there.
async fn play(acts: Vec<Act>) {
    let mut stage = Stage::new(IndexKind::Fjall).await;
    let mut vault = stage.open().await;
    for (number, act) in acts.into_iter().enumerate() {
        match act {
            Act::Record(size) => {
                let chunk = stage.hospital.chunk(500 + 100 * u32::from(size), 10_000 + u64::from(size));
                let parcel = stage.hospital.parcel(&format!("record {size}"), &[chunk]);
                let request = stage.hospital.send(&parcel);
                accept(&vault, &mut stage.hospital, [request]).await;
                stage.kept.push(parcel);
            }
            Act::Abandon(size) => {
                let chunk = stage.hospital.chunk(5_000 + 100 * u32::from(size), 20_000 + number as u64);
                put(&vault, &stage.hospital, &chunk).await.unwrap();
                stage.abandoned.push(chunk);
            }
            Act::NameLate => {
                let Some(chunk) = stage.abandoned.pop() else { continue };
                put(&vault, &stage.hospital, &chunk).await.unwrap(); // as a client does that asks what is missing
                let (parcel, request) = naming(&mut stage.hospital, &[chunk]);
                accept(&vault, &mut stage.hospital, [request]).await;
                stage.kept.push(parcel);
            }
            Act::Marker => {
                let (_, request) = stage.hospital.marker("record 1");
                accept(&vault, &mut stage.hospital, [request]).await;
            }
            Act::Compact => {
                let report = compact(&vault).await;
                assert!(report.error.is_none() && report.figures.short == 0, "{report:?}");
                for chunk in stage.kept.iter().flat_map(|parcel| &parcel.chunks) {
                    assert_eq!(&vault.record(stage.hospital.id, stage.address(chunk)).await.unwrap(), chunk);
                }
            }
            Act::Days(days) => stage.pass_days(days.into()),
            Act::Reopen | Act::LoseIndex => {
                vault.close().await.unwrap();
                drop(vault);
                if matches!(act, Act::LoseIndex) {
                    std::fs::remove_dir_all(stage.site.path().join("index")).unwrap();
                }
                vault = stage.open().await;
            }
        }
    }
    compact(&vault).await;
    stage.assert_sound(&vault).await;
    vault.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_in_whatever_order_nothing_acknowledged_is_lost(acts in prop::collection::vec(act(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(acts));
    }
}
