//! Jobs that are stopped again and again, each time in another process: every part is done once, and the end is the same as of a
//! run that nobody stopped. And the ages of the watcher, over restarts.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::{Hospital, Site, accept, as_media, enrolled, memory_volumes};
use shosoin_protocol::Suite;
use shosoin_store::jobs::Outcome;
use shosoin_store::{IndexKind, JobKind, JobOptions, JobReport, Vault};
use shosoin_tiers::media::MemoryMedia;
use std::time::Duration;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
/// Bytes a second, so that a run does a few pieces.
const RATE: u64 = 200_000;
/// Runs after which a job that gets nowhere is given up.
const RUNS_MAX: usize = 400;

struct Stage {
    site: Site,
    media: Vec<MemoryMedia>,
    hospitals: Vec<Hospital>,
}

impl Stage {
    /// Two hospitals with a few closed segments each.
    async fn new() -> Stage {
        let media = memory_volumes(6);
        let mut site = Site::on_media(IndexKind::Fjall, as_media(&media)).await;
        site.options.segment_bytes_max = Some(20_000);
        let vault = site.open().await;
        let mut hospitals = Vec::new();
        for seed in [7, 9] {
            let mut hospital = enrolled(&vault, Suite::Default, seed).await;
            for number in 0..12 {
                let (_, request) = hospital.small(&format!("record {number}"));
                accept(&vault, &mut hospital, [request]).await;
            }
            hospitals.push(hospital);
        }
        vault.close().await.unwrap();
        Stage { site, media, hospitals }
    }

    async fn open(&self) -> Vault {
        self.site.open().await
    }

    fn damage(&self, volume: usize) {
        let media = &self.media[volume];
        for path in media.paths().into_iter().filter(|path| path.ends_with(".shard")) {
            media.tamper(&path, |bytes| bytes[4096 + 700] ^= 1).unwrap();
        }
    }

    /// Runs a job until it is done; each run ends after a few pieces, and its process with it, without closing anything.
    async fn in_pieces(&self, kind: JobKind, options: &JobOptions) -> Vec<JobReport> {
        let piece = JobOptions { rate: Some(RATE), max_duration: Some(Duration::from_millis(300)), ..options.clone() };
        let mut reports = Vec::new();
        while reports.last().is_none_or(|report: &JobReport| report.outcome != Outcome::Done) {
            assert!(reports.len() < RUNS_MAX, "it gets nowhere: {:?}", reports.last());
            let vault = self.open().await;
            let report = vault.run_job(kind, piece.clone()).await.unwrap();
            assert!(report.error.is_none(), "{report:?}");
            reports.push(report);
        }
        reports
    }
}

fn sum(reports: &[JobReport], figure: impl Fn(&JobReport) -> u64) -> u64 {
    reports.iter().map(figure).sum()
}

#[tokio::test]
async fn a_scrub_of_one_hospital_reads_every_shard_once_however_often_it_is_stopped() {
    let stage = Stage::new().await;
    let options = JobOptions { hospital: Some(stage.hospitals[1].id), ..JobOptions::default() };
    let vault = stage.open().await;
    let whole = vault.run_job(JobKind::Scrub, options.clone()).await.unwrap();
    drop(vault);
    assert!(whole.figures.items >= 12 && whole.is_clean(), "{whole:?}");
    stage.damage(2);
    let pieces = stage.in_pieces(JobKind::Scrub, &options).await;
    assert!(pieces.len() > 1, "only {} runs", pieces.len());
    for (what, figure) in [
        ("shards", (|report| report.figures.items) as fn(&JobReport) -> u64),
        ("units", |report| report.figures.units),
        ("bytes", |report| report.figures.read_bytes),
    ] {
        assert_eq!(sum(&pieces, figure), figure(&whole), "{what}");
    }
    assert!(sum(&pieces, |report| report.figures.findings) > 0, "damage is found wherever it is");
    let vault = stage.open().await;
    let again = vault.run_job(JobKind::Scrub, options).await.unwrap();
    assert_eq!(again.figures.items, whole.figures.items, "the next one begins anew");
    assert_eq!(vault.jobs().await.unwrap().jobs.iter().filter(|job| job.in_hand).count(), 0);
}

#[tokio::test]
async fn a_check_goes_on_where_it_was_and_what_it_found_before_is_not_forgotten() {
    let stage = Stage::new().await;
    for hospital in [None, Some(stage.hospitals[0].id)] {
        let options = JobOptions { every_unit: true, hospital, ..JobOptions::default() };
        let vault = stage.open().await;
        let whole = vault.run_job(JobKind::Check, options.clone()).await.unwrap();
        drop(vault);
        assert!(whole.is_clean(), "{whole:?}");
        let pieces = stage.in_pieces(JobKind::Check, &options).await;
        assert!(pieces.len() > 1, "only {} runs", pieces.len());
        assert_eq!(sum(&pieces, |report| report.figures.items), whole.figures.items, "every record once");
        assert_eq!(pieces.last().unwrap().done, whole.done, "the same sentence as of one that nobody stopped");
    }
    stage.damage(1);
    let options = JobOptions { every_unit: true, ..JobOptions::default() };
    let pieces = stage.in_pieces(JobKind::Check, &options).await;
    assert!(pieces.len() > 1 && !pieces[0].is_clean(), "{:?}", pieces[0]);
    let last = pieces.last().unwrap();
    assert!(last.listed.iter().any(|finding| finding.code == "found-before"), "{last:?}");
    let vault = stage.open().await;
    let anew = vault.run_job(JobKind::Check, JobOptions::default()).await.unwrap();
    assert!(anew.listed.iter().all(|finding| finding.code != "found-before"), "another question begins anew");
}

#[tokio::test]
async fn every_age_of_the_watcher_reads_each_record_once_over_restarts_too() {
    let stage = Stage::new().await;
    let entries = 2 * 8; // a sample of each hospital's thirteen
    let mut watched = 0;
    let hour = 60 * MINUTE_MS;
    let mut now_ms = 0;
    for age_ms in [MINUTE_MS, hour, DAY_MS, 7 * DAY_MS, 30 * DAY_MS] {
        for (at_ms, expected) in [(age_ms - 1_000, 0), (age_ms, entries), (age_ms + 1_000, 0)] {
            stage.site.clock.advance(at_ms - now_ms);
            now_ms = at_ms;
            let vault = stage.open().await;
            let report = vault.run_job(JobKind::Watcher, JobOptions::default()).await.unwrap();
            assert!(report.is_clean(), "{report:?}");
            assert_eq!(report.figures.items, expected, "{age_ms} ms old, {at_ms} ms after they were stored");
            watched += report.figures.items;
        }
    }
    assert_eq!(watched, 5 * entries);
    stage.site.clock.advance(300 * DAY_MS);
    let vault = stage.open().await;
    assert_eq!(vault.run_job(JobKind::Watcher, JobOptions::default()).await.unwrap().figures.items, 0, "never again");
}
