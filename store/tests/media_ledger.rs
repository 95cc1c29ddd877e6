//! The ledger of media: a projection of the audit log, and the judge of every volume that comes back.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::Site;
use shosoin_protocol::VolumeId;
use shosoin_store::audit::{Action, AuditEvent, AuditLog, Detail, MediaState};
use shosoin_store::media_ledger::{MediaLedger, Projection, RATE_DEFAULT, allowed_after};
use shosoin_store::{Error, IndexKind, OpenOptions, Vault};
use shosoin_tiers::VolumeLabel;
use shosoin_tiers::clock::ManualClock;
use shosoin_tiers::life::{DAY_MS, YEAR_MS};
use shosoin_tiers::volume::{MediaClass, TierKind};
use std::path::Path;
use std::sync::Arc;

const NOW: u64 = 1_900_000_000_000;

fn ledger(dir: &Path) -> MediaLedger {
    let mut projection = Projection::default();
    let (log, _) = AuditLog::open(dir, NOW, &mut |record| projection.apply(&record)).unwrap();
    MediaLedger::new(Arc::new(log), projection)
}

fn label(no: u8) -> VolumeLabel {
    VolumeLabel::new(VolumeId([no; 16]), TierKind::Hot, MediaClass::Hdd, NOW)
}

fn adopted(no: u8) -> AuditEvent {
    let event = AuditEvent::new(NOW, "vault", Action::VolumeAdopted).on(VolumeId([no; 16]));
    event.with(Detail::Label(Box::new(label(no))))
}

#[test]
fn the_ledger_made_from_the_log_is_the_ledger_that_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let before = ledger(dir.path());
    before.record(adopted(1)).unwrap();
    let on = |action| AuditEvent::new(NOW + 5, "hanako", action).on(VolumeId([1; 16]));
    let to = MediaState::Draining;
    before.record(on(Action::VolumeState).because("old").with(Detail::State { from: None, to })).unwrap();
    before.record(on(Action::VolumeShelved).with(Detail::Place("cabinet 2".into()))).unwrap();
    let wear = Detail::Wear { power_on_hours: Some(7), passes: None, by_device: true };
    before.record(on(Action::VolumeWear).with(wear)).unwrap();
    let after = ledger(dir.path());
    assert_eq!(after.media(), before.media());
    let medium = after.get(VolumeId([1; 16])).unwrap();
    assert_eq!((medium.state, medium.reason.as_str(), medium.actor.as_str()), (to, "old", "hanako"));
    assert_eq!((medium.shelf.as_str(), medium.wear.unwrap().power_on_hours), ("cabinet 2", Some(7)));
}

#[test]
fn a_try_that_was_refused_or_only_begun_changes_nothing() {
    use shosoin_store::audit::Outcome;
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    ledger.record(adopted(1)).unwrap();
    for outcome in [Outcome::Begun, Outcome::Refused, Outcome::Failed, Outcome::Stopped] {
        let event = AuditEvent::new(NOW, "x", Action::VolumeState).on(VolumeId([1; 16])).ended(outcome);
        ledger.record(event.with(Detail::State { from: None, to: MediaState::Destroyed })).unwrap();
    }
    assert_eq!(ledger.get(VolumeId([1; 16])).unwrap().state, MediaState::Active);
}

#[test]
fn no_way_leads_back_from_destroyed_and_none_to_active_from_retired_or_lost() {
    assert_eq!(allowed_after(MediaState::Destroyed), []);
    for from in [MediaState::Retired, MediaState::Sanitised, MediaState::Lost] {
        assert!(!allowed_after(from).contains(&MediaState::Active), "{from}");
    }
    let reached = MediaState::ALL.iter().filter(|state| **state != MediaState::New);
    for state in reached {
        assert!(MediaState::ALL.iter().any(|from| allowed_after(*from).contains(state)), "{state} is never reached");
    }
}

#[test]
fn a_medium_is_named_by_enough_of_its_id_and_by_nothing_that_fits_two() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    ledger.record(adopted(1)).unwrap();
    ledger.record(adopted(2)).unwrap();
    assert_eq!(ledger.find("01010101").unwrap().label.id, VolumeId([1; 16]));
    for name in ["", "01", "03030303"] {
        assert!(matches!(ledger.find(name), Err(Error::UnknownVolume { .. })), "{name}");
    }
    for no in [1, 2] {
        let event = AuditEvent::new(NOW, "x", Action::VolumePlaced).on(VolumeId([no; 16]));
        ledger.record(event.with(Detail::Place("/mnt/a".into()))).unwrap();
    }
    assert!(matches!(ledger.find("/mnt/a"), Err(Error::VolumeState { .. })));
}

#[test]
fn a_clock_that_jumped_stays_doubted_over_a_restart_until_it_is_right_or_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let first = ledger(dir.path());
    first.record(adopted(1)).unwrap();
    assert!(first.clock_is_trusted(NOW + DAY_MS).unwrap());
    let wrong = NOW + 10 * YEAR_MS;
    assert!(!first.clock_is_trusted(wrong).unwrap());
    first.record(AuditEvent::new(wrong, "vault", Action::VaultStarted)).unwrap();
    drop(first);
    let second = ledger(dir.path());
    assert!(!second.clock_is_trusted(wrong + DAY_MS).unwrap(), "what was written under the wrong clock proves nothing");
    assert!(second.clock_is_trusted(NOW + DAY_MS).unwrap(), "it is right again");
    assert!(!second.clock_is_trusted(NOW - DAY_MS).unwrap(), "it went back");
    assert!(!second.clock_is_trusted(wrong).unwrap());
    second.confirm_clock(wrong, "hanako").unwrap();
    assert!(second.clock_is_trusted(wrong + DAY_MS).unwrap());
    let jumps = second.audit().read(&Default::default()).unwrap();
    assert_eq!(jumps.iter().filter(|record| record.event.action == Action::ClockJumped).count(), 4);
}

#[test]
fn the_rate_of_copies_is_measured_from_the_jobs_that_were_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = ledger(dir.path());
    assert_eq!(ledger.measured_rate(), RATE_DEFAULT);
    for (bytes, duration_ms) in [(300_000_000, 1_000), (100_000_000, 3_000)] {
        let event = AuditEvent::of_job(NOW, "copy-forward", Action::CopyForward);
        ledger.record(AuditEvent { bytes, duration_ms, ..event }).unwrap();
    }
    assert_eq!(ledger.measured_rate(), 100_000_000);
}

fn at(site: &Site, now_ms: u64) -> OpenOptions {
    OpenOptions { clock: Arc::new(ManualClock::new(now_ms)), ..site.options.clone() }
}

#[tokio::test]
async fn nothing_is_retired_on_the_word_of_a_clock_ten_years_ahead() {
    let site = Site::on_disk(IndexKind::Memory).await;
    site.open().await.close().await.unwrap();
    let ahead = common::NOW_MS + 10 * YEAR_MS;
    let vault = Vault::open(&site.path(), at(&site, ahead)).await.unwrap();
    let id = vault.media().media()[0].label.id.to_string();
    let volumes = vault.volumes().clone();
    let retire = |id: String| {
        let volumes = volumes.clone();
        tokio::task::spawn_blocking(move || volumes.set_state(&id, MediaState::Retired, "old", false, "hanako"))
    };
    let refused = retire(id.clone()).await.unwrap().unwrap_err();
    assert!(refused.to_string().contains("clock is doubted"), "{refused}");
    assert!(vault.status().await.unwrap().findings.iter().any(|finding| finding.code == "clock-jumped"));
    vault.media().confirm_clock(ahead, "hanako").unwrap();
    retire(id).await.unwrap().unwrap();
    vault.close().await.unwrap();
}

#[tokio::test]
async fn a_stale_volume_is_suspect_until_a_tour_has_passed_clean() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let id = vault.media().media()[0].label.id;
    let volumes = vault.volumes().clone();
    let tour = |findings: u64| {
        let volumes = volumes.clone();
        tokio::task::spawn_blocking(move || volumes.tour_ended(id, 10, 1, findings, 0))
    };
    let generation = || vault.media().get(id).unwrap().label.generation;
    let before = generation();
    tour(0).await.unwrap().unwrap();
    assert_eq!(generation(), before + 1, "each tour leaves a newer label, so that an older image is told");
    let event = AuditEvent::new(common::NOW_MS, "vault", Action::VolumeStale).on(id);
    vault.media().record(event).unwrap();
    let (from, to) = (Some(MediaState::Active), MediaState::Suspect);
    let event = AuditEvent::new(common::NOW_MS, "vault", Action::VolumeState).on(id);
    vault.media().record(event.with(Detail::State { from, to })).unwrap();
    tour(3).await.unwrap().unwrap();
    assert_eq!(vault.media().get(id).unwrap().state, MediaState::Suspect, "the tour found something");
    tour(0).await.unwrap().unwrap();
    let medium = vault.media().get(id).unwrap();
    assert_eq!((medium.state, medium.stale, medium.last_tour.unwrap().findings), (MediaState::Active, false, 0));
    vault.close().await.unwrap();
}
