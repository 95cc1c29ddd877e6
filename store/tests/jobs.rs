//! Jobs of an open vault under a clock that is moved by hand: when they start, what they do, what survives.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::{Hospital, NOW_MS, Parcel, Site, accept, as_media, assert_clean, assert_holds, enrolled, memory_volumes};
use shosoin_protocol::{ErrorKind, Suite, VolumeId};
use shosoin_store::audit::MediaState;
use shosoin_store::check::{CheckOptions, CheckReport};
use shosoin_store::jobs::{JobStatus, JobsReport, Outcome};
use shosoin_store::status::Status;
use shosoin_store::{Config, IndexKind, JobKind, JobOptions, JobReport, Vault};
use shosoin_tiers::media::{Fault, Faults, FaultyMedia, Media as _, MemoryMedia, Op};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Clock as _, Volume, VolumeLabel};
use std::sync::Arc;
use std::time::Duration;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A vault on six volumes in memory with one hospital and records in closed segments.
struct Stage {
    site: Site,
    media: Vec<MemoryMedia>,
    hospital: Hospital,
    parcels: Vec<Parcel>,
}

impl Stage {
    async fn new() -> Stage {
        Stage::on(memory_volumes(6)).await
    }

    async fn on(media: Vec<MemoryMedia>) -> Stage {
        let site = Site::on_media(IndexKind::Memory, as_media(&media)).await;
        let vault = site.open().await;
        let mut hospital = enrolled(&vault, Suite::Default, 7).await;
        let mut parcels = Vec::new();
        for number in 0..5 {
            let (parcel, request) = hospital.small(&format!("record {number}"));
            accept(&vault, &mut hospital, [request]).await;
            parcels.push(parcel);
        }
        close(vault).await;
        Stage { site, media, hospital, parcels }
    }

    fn configure(&self, change: impl FnOnce(&mut Config)) {
        let mut config = Config::load(&self.site.path()).unwrap();
        change(&mut config);
        std::fs::write(self.site.path().join("vault.toml"), toml::to_string(&config).unwrap()).unwrap();
    }

    async fn open(&self) -> Vault {
        self.site.open().await
    }

    fn pass(&self, ms: u64) {
        self.site.clock.advance(ms);
    }

    /// Flips a byte in the middle of every shard on one volume; gives how many there were.
    fn damage(&self, volume: usize) -> usize {
        let media = &self.media[volume];
        let mut damaged = 0;
        for hospital in media.list("segments").unwrap() {
            for shard in media.list(&format!("segments/{}", hospital.name)).unwrap() {
                let path = format!("segments/{}/{}", hospital.name, shard.name);
                media.tamper(&path, |bytes| bytes[4096 + 700] ^= 1).unwrap();
                damaged += 1;
            }
        }
        damaged
    }

    /// Makes every stripe on one volume unreadable.
    fn wreck(&self, volume: usize) {
        let media = &self.media[volume];
        for path in media.paths().into_iter().filter(|path| path.starts_with("segments/")) {
            media.tamper(&path, |bytes| bytes[64..].fill(0)).unwrap();
        }
    }

    fn remove_shards(&self, volume: usize) {
        let media = &self.media[volume];
        for hospital in media.list("segments").unwrap() {
            for shard in media.list(&format!("segments/{}", hospital.name)).unwrap() {
                media.remove(&format!("segments/{}/{}", hospital.name, shard.name)).unwrap();
            }
        }
    }
}

/// Volumes in their first year: none of them is emptied onto a spare one because its life ends.
fn young_volumes(count: u8) -> Vec<MemoryMedia> {
    let volume = |no: u8| {
        let media = MemoryMedia::new(&format!("v{no:02}"));
        let label = VolumeLabel::new(VolumeId([no; 16]), TierKind::Hot, MediaClass::Ssd, NOW_MS);
        Volume::create(Arc::new(media.clone()), label).unwrap();
        media
    };
    (1..=count).map(volume).collect()
}

/// Closes a vault and lets its folder go.
async fn close(vault: Vault) {
    vault.close().await.unwrap();
}

async fn run(vault: &Vault, kind: JobKind) -> JobReport {
    vault.run_job(kind, JobOptions::default()).await.unwrap()
}

async fn due(vault: &Vault) -> Vec<JobReport> {
    vault.run_due_jobs().await.unwrap()
}

fn of(reports: &[JobReport], kind: JobKind) -> Option<&JobReport> {
    reports.iter().find(|report| report.job == kind)
}

fn status(report: &JobsReport, kind: JobKind) -> &JobStatus {
    report.jobs.iter().find(|job| job.job == kind).unwrap()
}

#[tokio::test]
async fn a_tour_starts_by_itself_before_the_period_is_over_and_pays_the_debt() {
    let stage = Stage::new().await;
    let vault = stage.open().await;
    assert!(of(&due(&vault).await, JobKind::Scrub).is_none(), "what was just closed was just verified");
    stage.pass(26 * DAY_MS);
    assert!(of(&due(&vault).await, JobKind::Scrub).is_none());
    assert_eq!(vault.scrub_debt().await.unwrap().debt_bytes, 0);
    stage.pass(DAY_MS + HOUR_MS);
    let reports = due(&vault).await;
    let scrub = of(&reports, JobKind::Scrub).expect("27 days are nine tenths of the period");
    assert_eq!((scrub.outcome, scrub.figures.findings, scrub.left_bytes), (Outcome::Done, 0, 0));
    assert!(scrub.figures.units > 0);
    let debt = vault.scrub_debt().await.unwrap();
    assert_eq!(scrub.figures.read_bytes, debt.total_bytes, "every byte on every volume, parity too");
    assert_eq!(debt.oldest_unverified_ms, 0);
    assert!(of(&due(&vault).await, JobKind::Scrub).is_none(), "and not again");
    close(vault).await;
}

#[tokio::test]
async fn a_scrub_that_cannot_run_is_late_and_its_debt_raises_the_alarm() {
    let stage = Stage::new().await;
    stage.configure(|config| config.jobs.enabled = false);
    let vault = stage.open().await;
    due(&vault).await;
    stage.pass(29 * DAY_MS);
    due(&vault).await;
    assert_eq!(status(&vault.jobs().await.unwrap(), JobKind::Scrub).late_since_ms, None, "due, and not late yet");
    stage.pass(2 * DAY_MS);
    due(&vault).await;
    let report = vault.jobs().await.unwrap();
    let scrub = status(&report, JobKind::Scrub);
    assert!(scrub.due && scrub.late_since_ms.is_some() && scrub.last.is_none());
    assert!(report.scrub.alarm && report.scrub.debt_bytes == report.scrub.total_bytes, "{:?}", report.scrub);
    assert!(report.scrub.oldest_unverified_ms >= 31 * DAY_MS);
    assert_eq!(run(&vault, JobKind::Scrub).await.outcome, Outcome::Done, "a command runs it all the same");
    let report = vault.jobs().await.unwrap();
    assert!(!report.scrub.alarm && status(&report, JobKind::Scrub).late_since_ms.is_none());
    close(vault).await;
}

#[tokio::test]
async fn long_work_waits_for_its_window_and_repair_does_not() {
    let stage = Stage::new().await;
    // the clock stands at 17:46 UTC
    stage.configure(|config| config.jobs.windows = vec!["Mon-Sun 20:00-24:00".parse().unwrap()]);
    let vault = stage.open().await;
    stage.pass(30 * DAY_MS);
    stage.damage(2);
    let report = run(&vault, JobKind::Scrub).await;
    assert!(report.figures.findings > 0, "an operator's command needs no window");
    stage.pass(30 * DAY_MS);
    let started: Vec<JobKind> = due(&vault).await.iter().map(|report| report.job).collect();
    assert!(started.contains(&JobKind::Repair) && !started.contains(&JobKind::Scrub), "{started:?}");
    let report = vault.jobs().await.unwrap();
    assert!(!report.window_open);
    let next_ms = status(&report, JobKind::Scrub).next_ms.unwrap();
    assert_eq!(next_ms % DAY_MS, 20 * HOUR_MS, "the opening of the window");
    stage.pass(3 * HOUR_MS);
    assert!(of(&due(&vault).await, JobKind::Scrub).is_some());
    close(vault).await;
}

#[tokio::test]
async fn a_scrub_that_is_stopped_goes_on_where_it_was_in_another_process() {
    let stage = Stage::new().await;
    let vault = stage.open().await;
    let total = vault.scrub_debt().await.unwrap().total_bytes;
    let stop = JobOptions { max_duration: Some(Duration::ZERO), ..JobOptions::default() };
    let stopped = vault.run_job(JobKind::Scrub, stop).await.unwrap();
    assert_eq!((stopped.outcome, stopped.figures.read_bytes), (Outcome::Stopped, 0));
    let mut read = 0;
    let mut runs = 0;
    // Each life ends after as little as one volume; what it read is not read again.
    for volume in vault.status().await.unwrap().volumes {
        let only = JobOptions { volume: Some(volume.id.parse().unwrap()), ..JobOptions::default() };
        let one = vault.run_job(JobKind::Scrub, only).await.unwrap();
        (read, runs) = (read + one.figures.read_bytes, runs + 1);
    }
    close(vault).await;
    assert_eq!((read, runs), (total, 6));
    let vault = stage.open().await;
    assert_eq!(vault.scrub_debt().await.unwrap().oldest_unverified_ms, 0);
    let last = vault.jobs().await.unwrap();
    assert_eq!(status(&last, JobKind::Scrub).last.as_ref().unwrap().outcome, Outcome::Done);
    close(vault).await;
}

#[tokio::test]
async fn damage_is_found_kept_over_a_restart_and_mended() {
    let stage = Stage::new().await;
    let vault = stage.open().await;
    let shards = stage.damage(1) + stage.damage(4);
    assert!(shards > 0);
    let found = run(&vault, JobKind::Scrub).await;
    assert!(found.figures.findings >= shards as u64 && !found.is_clean());
    close(vault).await;
    let vault = stage.open().await;
    let waiting = vault.jobs().await.unwrap().repair_queue;
    assert!(waiting.iter().map(|waiting| waiting.items).sum::<u64>() > 0, "the queue survives a restart");
    assert!(waiting.iter().all(|waiting| waiting.redundancy_left < 2), "{waiting:?}");
    let dry = JobOptions { dry_run: true, ..JobOptions::default() };
    let plan = vault.run_job(JobKind::Repair, dry).await.unwrap();
    assert!(plan.dry_run && !plan.done.is_empty() && plan.figures.rebuilt == 0);
    let mended = run(&vault, JobKind::Repair).await;
    assert!(mended.is_clean() && mended.figures.rebuilt > 0, "{mended:?}");
    assert!(mended.figures.reread_bytes >= mended.figures.written_bytes, "complete means read again");
    let clean = run(&vault, JobKind::Scrub).await;
    assert!(clean.is_clean() && clean.figures.findings == 0, "{:?}", clean.listed);
    assert_holds(&vault, &stage.hospital, &stage.parcels).await;
    assert_clean(&vault).await;
    close(vault).await;
}

#[tokio::test]
async fn no_tour_passes_over_damage_that_could_not_be_put_into_the_stored_queue() {
    let stage = Stage::new().await;
    stage.pass(31 * DAY_MS);
    let vault = stage.open().await;
    assert!(stage.damage(1) + stage.damage(4) > 0);
    let queue = stage.site.path().join("jobs/repair-queue");
    let _ = std::fs::remove_file(&queue);
    std::fs::create_dir_all(&queue).unwrap();
    vault.run_job(JobKind::Scrub, JobOptions::default()).await.unwrap_err();
    let _ = vault.close().await; // the queue cannot be stored then either
    drop(vault);
    std::fs::remove_dir(&queue).unwrap();
    let vault = stage.open().await;
    assert!(vault.jobs().await.unwrap().repair_queue.is_empty(), "the process that knew of it is gone");
    let debt = vault.scrub_debt().await.unwrap();
    let owed =
        |no: u8| debt.volumes.iter().any(|of| of.volume == VolumeId([no + 1; 16]).to_string() && of.debt_bytes > 0);
    assert!(owed(1) && owed(4), "a tour that found something ends when that is queued: {debt:?}");
    assert!(run(&vault, JobKind::Scrub).await.figures.findings >= 2);
    assert!(!vault.jobs().await.unwrap().repair_queue.is_empty());
    close(vault).await;
}

#[tokio::test]
async fn shards_that_vanished_from_a_volume_that_is_there_are_rebuilt_by_themselves() {
    let stage = Stage::new().await;
    stage.remove_shards(3);
    let vault = stage.open().await;
    let reports = due(&vault).await;
    let repair = of(&reports, JobKind::Repair).expect("what is missing is due at once");
    assert!(repair.figures.rebuilt > 0 && repair.is_clean(), "{repair:?}");
    assert!(run(&vault, JobKind::Scrub).await.is_clean());
    assert_clean(&vault).await;
    close(vault).await;
}

#[tokio::test]
async fn a_clock_that_jumps_ten_years_starts_nothing_twice_and_dates_nothing() {
    let stage = Stage::new().await;
    let vault = stage.open().await;
    due(&vault).await;
    stage.pass(3_650 * DAY_MS);
    let first: Vec<JobKind> = due(&vault).await.iter().map(|report| report.job).collect();
    assert!(first.contains(&JobKind::Scrub), "reading more than was needed harms nobody");
    for removes in [JobKind::CopyForward, JobKind::Migrate, JobKind::Compact] {
        assert!(!first.contains(&removes), "{removes:?} must not start on a clock's word");
    }
    for _ in 0..5 {
        stage.pass(400 * DAY_MS);
        assert_eq!(due(&vault).await.len(), 0, "a storm");
    }
    let report = vault.jobs().await.unwrap();
    assert!(report.clock_in_doubt.as_ref().unwrap().contains("ahead"), "{report:?}");
    vault.media().confirm_clock(stage.site.clock.now_ms(), "a person").unwrap();
    assert_eq!(vault.jobs().await.unwrap().clock_in_doubt, None);
    assert!(vault.scrub_debt().await.unwrap().alarm, "what was read on a doubted date counts as read before it");
    assert!(of(&due(&vault).await, JobKind::Scrub).is_some());
    close(vault).await;
}

#[tokio::test]
async fn a_clock_that_went_back_does_not_put_a_scrub_off_for_years() {
    let mut stage = Stage::new().await;
    stage.pass(200 * DAY_MS);
    let vault = stage.open().await;
    run(&vault, JobKind::Scrub).await;
    close(vault).await;
    stage.site.clock = Arc::new(shosoin_tiers::clock::ManualClock::new(NOW_MS));
    stage.site.options.clock = stage.site.clock.clone();
    let vault = stage.open().await;
    assert!(vault.jobs().await.unwrap().clock_in_doubt.unwrap().contains("went back"));
    let reports = due(&vault).await;
    assert!(of(&reports, JobKind::Scrub).is_some(), "a tour of the future is no evidence");
    assert_eq!(due(&vault).await.len(), 0, "and one is enough");
    assert_holds(&vault, &stage.hospital, &stage.parcels).await;
    close(vault).await;
}

#[tokio::test]
async fn the_watcher_reads_fresh_records_at_each_age_once_and_sees_what_is_lost() {
    let stage = Stage::new().await;
    let vault = stage.open().await;
    let watched = |reports: &[JobReport]| of(reports, JobKind::Watcher).map_or(0, |report| report.figures.items);
    assert_eq!(watched(&due(&vault).await), 0, "nothing is a minute old");
    stage.pass(HOUR_MS / 60);
    assert_eq!(watched(&due(&vault).await), 6, "the entry of the device and five deposits");
    stage.pass(HOUR_MS / 60);
    assert_eq!(watched(&due(&vault).await), 0, "each age once");
    stage.pass(HOUR_MS);
    assert_eq!(watched(&due(&vault).await), 6, "an hour");
    (0..6).for_each(|volume| stage.wreck(volume));
    stage.pass(DAY_MS);
    let report = vault.run_job(JobKind::Watcher, JobOptions::default()).await.unwrap();
    assert!(!report.is_clean() && report.listed.iter().all(|finding| finding.code == "watcher"), "{report:?}");
    close(vault).await;
}

#[tokio::test]
async fn a_job_of_an_unknown_volume_is_refused_and_changes_nothing() {
    let stage = Stage::new().await;
    let vault = stage.open().await;
    let unknown = JobOptions { volume: Some(shosoin_protocol::VolumeId([0xEE; 16])), ..JobOptions::default() };
    for kind in [JobKind::Scrub, JobKind::Repair, JobKind::CopyForward] {
        let error = vault.run_job(kind, unknown.clone()).await.unwrap_err();
        assert_eq!(error.kind(), shosoin_protocol::ErrorKind::NotFound, "{error}");
    }
    assert!(vault.jobs().await.unwrap().jobs.iter().all(|job| job.last.is_none()));
    close(vault).await;
}

#[tokio::test]
async fn copy_forward_empties_a_volume_onto_a_seventh_and_a_kill_in_the_middle_costs_nothing() {
    let media = memory_volumes(7);
    let site = Site::on_media(IndexKind::Memory, as_media(&media[..6])).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 7).await;
    let (parcel, request) = hospital.small("one");
    accept(&vault, &mut hospital, [request]).await;
    close(vault).await;
    let mut seven = Site { options: site.options.clone(), ..site };
    seven.options.media = Some(as_media(&media));
    let vault = seven.open().await;
    let leaving = vault.status().await.unwrap().volumes[0].id.clone();
    let only = JobOptions { volume: Some(leaving.parse().unwrap()), ..JobOptions::default() };
    let stop = JobOptions { max_duration: Some(Duration::ZERO), ..only.clone() };
    assert_eq!(vault.run_job(JobKind::CopyForward, stop).await.unwrap().outcome, Outcome::Stopped);
    drop(vault); // not closed: the process is gone
    let vault = seven.open().await;
    let report = vault.run_job(JobKind::CopyForward, only).await.unwrap();
    assert_eq!((report.outcome, report.figures.short), (Outcome::Done, 0), "{report:?}");
    assert!(report.figures.freed_bytes > 0 && report.figures.freed_bytes == report.figures.written_bytes, "{report:?}");
    let status = vault.status().await.unwrap();
    assert!(status.volumes.iter().all(|volume| volume.id != leaving), "it is retired, and not used any more");
    assert_eq!(status.segments.degraded, 0);
    assert_holds(&vault, &hospital, &[parcel]).await;
    assert_clean(&vault).await;
    close(vault).await;
    assert!(seven.clock.now_ms() >= NOW_MS);
}

#[tokio::test]
async fn a_job_of_one_hospital_or_volume_touches_nothing_else() {
    let media = memory_volumes(7);
    let site = Site::on_media(IndexKind::Memory, as_media(&media[..6])).await;
    let vault = site.open().await;
    let mut hospitals = [enrolled(&vault, Suite::Default, 7).await, enrolled(&vault, Suite::Default, 8).await];
    let mut parcels = Vec::new();
    for hospital in &mut hospitals {
        let (parcel, request) = hospital.small("one");
        accept(&vault, hospital, [request]).await;
        parcels.push(parcel);
    }
    close(vault).await;
    let mut seven = Site { options: site.options.clone(), ..site };
    seven.options.media = Some(as_media(&media));
    let vault = seven.open().await;
    let folder = |hospital: &Hospital| format!("segments/{}", hospital.id);
    let files = |no: usize, hospital: &Hospital| media[no].list(&folder(hospital)).map_or(0, |listed| listed.len());
    let leaving = VolumeId([1; 16]);
    let (mine, others) = (files(0, &hospitals[0]), files(0, &hospitals[1]));
    assert!(mine > 0 && others > 0 && files(6, &hospitals[0]) == 0);

    let of_one = JobOptions { volume: Some(leaving), hospital: Some(hospitals[0].id), ..JobOptions::default() };
    let dry = JobOptions { dry_run: true, ..of_one.clone() };
    let plan = vault.run_job(JobKind::CopyForward, dry).await.unwrap();
    assert!(plan.done[0].contains(&format!("of hospital {} would leave", hospitals[0].id)), "{:?}", plan.done);
    let report = vault.run_job(JobKind::CopyForward, of_one).await.unwrap();
    assert_eq!((report.outcome, report.figures.short, report.left_bytes), (Outcome::Done, 0, 0), "{report:?}");
    assert_eq!((files(0, &hospitals[0]), files(0, &hospitals[1])), (0, others), "the other hospital's shards stay");
    assert_eq!((files(6, &hospitals[0]), files(6, &hospitals[1])), (mine, 0));
    let status = vault.status().await.unwrap();
    let left = status.volumes.iter().find(|volume| volume.id == leaving.to_string()).unwrap();
    assert_eq!(left.state, "writable", "it is neither draining nor retired");

    // of a volume without a shard of theirs, and of one with
    let plan = |kind, volume: u8| {
        let only = JobOptions { volume: Some(VolumeId([volume; 16])), dry_run: true, ..JobOptions::default() };
        let vault = &vault;
        async move { vault.run_job(kind, only).await.unwrap().done.join("; ") }
    };
    let (all, on_seventh) = (plan(JobKind::Check, 2).await, plan(JobKind::Check, 7).await);
    let segments = |said: &str| said.split(' ').next().unwrap().parse::<usize>().unwrap();
    assert!(segments(&all) > segments(&on_seventh) && segments(&on_seventh) == mine, "{all}; {on_seventh}");
    let on_it = JobOptions { volume: Some(VolumeId([7; 16])), every_unit: true, ..JobOptions::default() };
    let checked = vault.run_job(JobKind::Check, on_it).await.unwrap();
    assert!(checked.is_clean() && checked.done[0].starts_with(&format!("{mine} segments")), "{:?}", checked.done);
    for (hospital, parcel) in hospitals.iter().zip(&parcels) {
        assert_holds(&vault, hospital, std::slice::from_ref(parcel)).await;
    }
    assert_clean(&vault).await;
    close(vault).await;
}

#[tokio::test]
async fn a_volume_that_cannot_be_listed_is_not_taken_for_empty_by_any_job_or_change_of_state() {
    let mut stage = Stage::new().await;
    let faults = Arc::new(Faults::default());
    let faulty = |media: &MemoryMedia| FaultyMedia::new(Arc::new(media.clone()), faults.clone());
    stage.site.options.media = Some(stage.media.iter().map(|media| Arc::new(faulty(media)) as _).collect());
    let place = stage.media[2].place();
    faults.when(move |_, call| {
        let hit = call.op == Op::List && call.place == place && call.path.starts_with("segments");
        hit.then_some(Fault::Fail(std::io::ErrorKind::Other))
    });
    let vault = stage.open().await;
    let id = VolumeId([3; 16]);
    let state = |status: &Status| status.volumes.iter().find(|volume| volume.id == id.to_string()).unwrap().state;
    let unlisted = |report: &CheckReport| report.findings.iter().any(|finding| finding.code == "volume-unlisted");
    assert_eq!(state(&vault.status().await.unwrap()), "unlisted");
    assert!(unlisted(&vault.check(CheckOptions::default()).await.unwrap()), "a check says that something may be there");
    let only = || JobOptions { volume: Some(id), ..JobOptions::default() };
    for (kind, code) in [(JobKind::CopyForward, "volume-not-empty"), (JobKind::Scrub, "tour-broken")] {
        let report = vault.run_job(kind, only()).await.unwrap();
        assert!(report.figures.short > 0 && !report.is_clean(), "{report:?}");
        assert!(report.listed.iter().any(|finding| finding.code == code), "{report:?}");
    }
    let compacted = run(&vault, JobKind::Compact).await;
    assert!(compacted.listed.iter().any(|finding| finding.message.contains("could not be listed")), "{compacted:?}");
    let media = vault.volumes();
    for to in [MediaState::Retired, MediaState::OnShelf, MediaState::Sanitised, MediaState::Destroyed] {
        let refused = media.set_state(&id.to_string(), to, "test", false, "test").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Refused, "{to}: {refused}");
    }
    assert!(vault.status().await.unwrap().volumes.iter().any(|volume| volume.id == id.to_string()), "it is in use");

    faults.clear();
    vault.plan(stage.hospital.id, &[]).await.unwrap(); // looks at media, as the schedule does each minute
    let status = vault.status().await.unwrap();
    assert_eq!((state(&status), status.segments.degraded), ("draining", 0), "it is known again without a restart");
    assert!(!unlisted(&vault.check(CheckOptions::default()).await.unwrap()));
    media.set_state(&id.to_string(), MediaState::Active, "test", false, "test").unwrap();
    let repaired = run(&vault, JobKind::Repair).await;
    assert_eq!(
        (repaired.is_clean(), repaired.figures.rebuilt),
        (true, 0),
        "nothing of it is written anew: {repaired:?}"
    );
    assert!(run(&vault, JobKind::Scrub).await.is_clean());
    assert_holds(&vault, &stage.hospital, &stage.parcels).await;
    assert_clean(&vault).await;
    close(vault).await;
}

#[tokio::test]
async fn a_volume_that_never_can_be_listed_is_declared_lost_and_what_it_held_is_rebuilt() {
    let mut volumes = young_volumes(7);
    let spare = volumes.pop();
    let mut stage = Stage::on(volumes).await;
    stage.media.extend(spare);
    let faults = Arc::new(Faults::default());
    let faulty = |media: &MemoryMedia| FaultyMedia::new(Arc::new(media.clone()), faults.clone());
    stage.site.options.media = Some(stage.media.iter().map(|media| Arc::new(faulty(media)) as _).collect());
    let place = stage.media[2].place();
    faults.when(move |_, call| {
        let hit = call.op == Op::List && call.place == place && call.path.starts_with("segments");
        hit.then_some(Fault::Fail(std::io::ErrorKind::Other))
    });
    let vault = stage.open().await;
    let id = VolumeId([3; 16]).to_string();
    assert!(of(&due(&vault).await, JobKind::Repair).is_none(), "it is waited for, as an absent one is");
    vault.volumes().set_state(&id, MediaState::Lost, "its folders are gone", false, "test").unwrap();
    assert!(vault.status().await.unwrap().volumes.iter().all(|volume| volume.id != id));
    let repaired = run(&vault, JobKind::Repair).await;
    assert!(repaired.is_clean() && repaired.figures.rebuilt > 0, "{repaired:?}");
    assert_eq!(vault.status().await.unwrap().segments.degraded, 0);
    assert_holds(&vault, &stage.hospital, &stage.parcels).await;
    close(vault).await;
}

#[tokio::test]
async fn a_tour_of_a_volume_that_is_away_is_tried_again_later_and_not_with_every_tick() {
    let mut stage = Stage::new().await;
    let faults = Arc::new(Faults::default());
    let faulty = |media: &MemoryMedia| FaultyMedia::new(Arc::new(media.clone()), faults.clone());
    stage.site.options.media = Some(stage.media.iter().map(|media| Arc::new(faulty(media)) as _).collect());
    let vault = stage.open().await;
    let place = stage.media[2].place();
    faults.when(move |_, call| {
        let hit = call.op == Op::Open && call.place == place;
        hit.then_some(Fault::Fail(std::io::ErrorKind::Other))
    });
    vault.plan(stage.hospital.id, &[]).await.unwrap(); // looks at media
    stage.pass(30 * DAY_MS);
    let broken = |reports: &[JobReport]| of(reports, JobKind::Scrub).map(|scrub| scrub.figures.short);
    assert_eq!(broken(&due(&vault).await), Some(1));
    assert_eq!(broken(&due(&vault).await), None, "not at once");
    stage.pass(HOUR_MS);
    assert_eq!(broken(&due(&vault).await), Some(1));
    faults.clear();
    vault.plan(stage.hospital.id, &[]).await.unwrap();
    stage.pass(HOUR_MS);
    assert_eq!(broken(&due(&vault).await), Some(0), "and when it is back it is read");
    assert_eq!(vault.scrub_debt().await.unwrap().debt_bytes, 0);
    close(vault).await;
}

#[tokio::test]
async fn a_log_takes_no_entries_while_more_volumes_than_the_code_survives_cannot_be_listed() {
    let mut stage = Stage::new().await;
    let faults = Arc::new(Faults::default());
    let faulty = |media: &MemoryMedia| FaultyMedia::new(Arc::new(media.clone()), faults.clone());
    stage.site.options.media = Some(stage.media.iter().map(|media| Arc::new(faulty(media)) as _).collect());
    let places: Vec<String> = stage.media[..3].iter().map(|media| media.place()).collect();
    faults.when(move |_, call| {
        let hit = call.op == Op::List && places.contains(&call.place) && call.path.starts_with("segments");
        hit.then_some(Fault::Fail(std::io::ErrorKind::Other))
    });
    let vault = stage.open().await;
    let status = vault.status().await.unwrap();
    let why = status.hospitals[0].read_only.clone().unwrap();
    assert!(why.contains("3 volumes are absent or could not be listed"), "{why}");
    close(vault).await;
    faults.clear();
    let vault = stage.open().await;
    assert_eq!(vault.status().await.unwrap().hospitals[0].read_only, None);
    assert_holds(&vault, &stage.hospital, &stage.parcels).await;
    close(vault).await;
}

#[tokio::test]
async fn damaged_files_of_jobs_only_repeat_work() {
    let stage = Stage::new().await;
    let vault = stage.open().await;
    run(&vault, JobKind::Scrub).await;
    close(vault).await;
    let mut files = 0;
    for entry in std::fs::read_dir(stage.site.path().join("jobs")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"not a job file").unwrap();
        files += 1;
    }
    assert!(files >= 2);
    stage.pass(40 * DAY_MS);
    let vault = stage.open().await;
    assert!(vault.jobs().await.unwrap().scrub.alarm, "without a tour on file, nothing was verified");
    assert!(of(&due(&vault).await, JobKind::Scrub).is_some());
    assert_holds(&vault, &stage.hospital, &stage.parcels).await;
    close(vault).await;
}

/// Names of figures in a text, without what Prometheus adds to histograms.
fn figures_named(text: &str) -> std::collections::BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let names = words.filter(|word| word.starts_with("shosoin_"));
    names
        .map(|name| name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count").to_owned())
        .collect()
}

#[tokio::test]
async fn dashboard_and_alerts_name_only_figures_that_are_shown() {
    let stage = Stage::new().await;
    let vault = stage.open().await;
    for kind in JobKind::ALL {
        run(&vault, kind).await;
    }
    let shown = vault.metrics().await.unwrap();
    let shown_names = figures_named(&shown);
    let monitoring = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring");
    for file in ["dashboard.json", "alerts.yml"] {
        let text = std::fs::read_to_string(monitoring.join(file)).unwrap();
        let named = figures_named(&text);
        assert!(named.len() > 8, "{file} names {named:?}");
        // a gateway's figures are its own: tests/e2e/test_monitoring.py holds them to one that runs
        let of_the_vault = |name: &&String| !name.starts_with("shosoin_gateway_");
        let unknown: Vec<_> = named.difference(&shown_names).filter(of_the_vault).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, which are not in:\n{shown}");
    }
    serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(monitoring.join("dashboard.json")).unwrap())
        .unwrap();
    for needed in
        ["shosoin_repair_queue{redundancy_left=\"0\"}", "shosoin_job_runs_total{kind=\"scrub\",outcome=\"done\"} 1"]
    {
        assert!(shown.contains(needed), "{needed} is not in:\n{shown}");
    }
    assert!(!shown.contains(&stage.hospital.id.to_string()), "figures name no hospital");
    close(vault).await;
}

#[tokio::test]
async fn a_log_that_lost_its_end_does_not_trip_the_watcher() {
    let stage = Stage::new().await;
    let vault = stage.open().await;
    stage.pass(HOUR_MS);
    assert_eq!(run(&vault, JobKind::Watcher).await.figures.items, 12, "six entries, a minute and an hour old");
    close(vault).await;
    (0..6).for_each(|volume| stage.remove_shards(volume));
    let vault = stage.open().await;
    assert_eq!(run(&vault, JobKind::Watcher).await.outcome, Outcome::Done);
    close(vault).await;
}
