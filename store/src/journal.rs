//! Opening the audit log and the ledger of media beside the volumes: what is known of each volume decides how it is used.
//!
//! - A volume that the ledger does not know is taken in as `active`: vaults older than the ledger come in so.
//! - A volume whose label is older than the one remembered is an old image: it is suspect until a tour has passed clean.
//! - A volume that was declared lost and is there is suspect too. One that is retired or destroyed is not used.
//! - A volume that the ledger expects and the configuration does not name is absent, and not forgotten.

use crate::audit::{self, Action, AuditEvent, Detail, Looked, MediaState, Outcome};
use crate::check::{Finding, Severity};
use crate::error::Result;
use crate::media_facts::{difference, is_expected};
use crate::media_ledger::{MediaLedger, Medium, Projection};
use crate::shelf;
use shosoin_protocol::VolumeId;
use shosoin_tiers::media::Media;
use shosoin_tiers::{Tier, Volume, VolumeLabel};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Actor of what the vault does by itself.
pub const VAULT: &str = "vault";
/// Volumes that get a copy of the audit log.
const LOG_COPIES: usize = 3;

/// The log and the ledger, open.
pub struct Journal {
    /// the ledger; the log is behind it
    pub media: Arc<MediaLedger>,
    /// what opening it met
    pub findings: Vec<Finding>,
    dir: PathBuf,
    now_ms: u64,
}

/// What the ledger says of volumes that are there and of places where none is.
#[derive(Debug, Default)]
pub struct Judged {
    /// volumes that are expected and not there
    pub absent: Vec<String>,
    /// whether everything that is not there was declared gone for good by a person
    pub absence_is_final: bool,
}

impl Journal {
    /// Opens both for the vault in `dir`. A log that is lost is taken from the volumes that hold a copy.
    pub fn open(dir: &Path, volumes: &[Volume], now_ms: u64) -> Result<Self> {
        let media: Vec<Arc<dyn Media>> = volumes.iter().map(|volume| volume.media().clone()).collect();
        let restored = audit::restore_lost(dir, &media)?;
        let mut projection = Projection::default();
        let mut log = Looked::at(dir, &mut |record| projection.apply(&record))?;
        let healed = if log.is_damaged() { audit::heal(dir, &media)? } else { Vec::new() };
        if !healed.is_empty() {
            projection = Projection::default();
            log = Looked::at(dir, &mut |record| projection.apply(&record))?;
        }
        let (log, mut findings) = log.open(now_ms)?;
        let ledger = MediaLedger::new(Arc::new(log), projection);
        let was_stopped = ledger.log_was_stopped();
        for finding in healed {
            let why = audit::shortened_reason(&finding.message);
            ledger.record(AuditEvent::new(now_ms, VAULT, Action::LogRestored).ended(Outcome::Findings).because(why))?;
            findings.insert(0, finding);
        }
        if let Some(finding) = restored {
            findings.retain(|finding| finding.code != "audit-head");
            ledger.record(AuditEvent::new(now_ms, VAULT, Action::LogRestored))?;
            findings.insert(0, finding);
        }
        if !ledger.clock_is_trusted(now_ms)? {
            let message =
                "the clock went back or far ahead since the last event: nothing is released or retired until it \
                           is right or `shosoin audit confirm-clock` says that it is"
                    .to_owned();
            findings.push(Finding { severity: Severity::Degraded, code: "clock-jumped", message });
        }
        let started = AuditEvent::new(now_ms, VAULT, Action::LogStarted);
        ledger.record(match was_stopped {
            true => started,
            false => started.ended(Outcome::Findings).because("the process before did not say that it stopped"),
        })?;
        Ok(Journal { media: Arc::new(ledger), findings, dir: dir.to_owned(), now_ms })
    }

    /// Looks a volume up that came back to a running vault, and says how it may be used; nothing where it may not.
    pub fn judge_returned(dir: &Path, media: &Arc<MediaLedger>, volume: Volume, now_ms: u64) -> Result<Option<Volume>> {
        let mut journal = Journal { media: media.clone(), findings: Vec::new(), dir: dir.to_owned(), now_ms };
        let judged = journal.judge_one(volume)?;
        journal.findings.iter().for_each(|finding| tracing::warn!("{}", finding.message));
        Ok(judged)
    }

    fn event(&self, action: Action, volume: VolumeId) -> AuditEvent {
        AuditEvent::new(self.now_ms, VAULT, action).on(volume)
    }

    fn finding(&mut self, severity: Severity, code: &'static str, message: String) {
        self.findings.push(Finding { severity, code, message });
    }

    fn change_state(&self, medium: &Medium, to: MediaState, why: &str) -> Result<()> {
        let event = self.event(Action::VolumeState, medium.label.id).because(why);
        self.media.record(event.with(Detail::State { from: Some(medium.state), to })).map(drop)
    }

    /// Looks each volume up before it is used: takes out what must not be used, marks what must not be written to.
    /// `absent` are the places of the configuration without their volume.
    pub fn judge(&mut self, volumes: &mut Vec<Volume>, absent: Vec<String>) -> Result<Judged> {
        for volume in std::mem::take(volumes) {
            volumes.extend(self.judge_one(volume)?);
        }
        let is_there = |id: VolumeId| volumes.iter().any(|volume| volume.id() == id);
        let known = self.media.media();
        let given_up = |place: &String| {
            let mut here = known.iter().filter(|medium| medium.place == *place).peekable();
            here.peek().is_some() && here.all(|medium| !is_expected(medium.state) || is_there(medium.label.id))
        };
        let mut judged = Judged { absent, absence_is_final: false };
        judged.absent.retain(|place| !given_up(place));
        let missing = known.iter().filter(|medium| is_expected(medium.state) && !is_there(medium.label.id));
        for medium in missing {
            if !judged.absent.contains(&medium.place) {
                let message = format!(
                    "volume {} ({}) is in the ledger of media as {}, and neither there nor in the configuration",
                    medium.label.id, medium.place, medium.state
                );
                self.findings.push(Finding { severity: Severity::Degraded, code: "volume-absent", message });
                judged.absent.push(medium.place.clone());
            }
        }
        let gone = |medium: &Medium| matches!(medium.state, MediaState::Lost | MediaState::Destroyed);
        let away = known.iter().filter(|medium| !is_there(medium.label.id));
        judged.absence_is_final = judged.absent.is_empty()
            && away.clone().any(gone)
            && away
                .clone()
                .all(|medium| gone(medium) || matches!(medium.state, MediaState::Retired | MediaState::Sanitised));
        Ok(judged)
    }

    fn judge_one(&mut self, volume: Volume) -> Result<Option<Volume>> {
        let (id, place) = (volume.id(), volume.media().place());
        let Some(medium) = self.media.get(id) else { return Ok(Some(volume)) };
        match medium.state {
            MediaState::Retired | MediaState::Sanitised | MediaState::Destroyed => {
                let message = format!("volume {id} at {place} is {} and is not used", medium.state);
                self.finding(Severity::Notice, "volume-retired", message);
                return Ok(None);
            }
            MediaState::Lost => {
                let why = "it was declared lost and is there again";
                self.change_state(&medium, MediaState::Suspect, why)?;
                self.finding(Severity::Degraded, "volume-returned", format!("volume {id} at {place}: {why}"));
                volume.mark_suspect();
            }
            MediaState::OnShelf => self.read_back(&volume, &medium)?,
            MediaState::Suspect if medium.stale => volume.mark_suspect(),
            MediaState::Suspect => {
                let message = format!(
                    "volume {id} at {place} is suspect ({}) and gets no writes until `shosoin volume set-state {id} active`",
                    medium.reason
                );
                self.finding(Severity::Degraded, "volume-suspect", message);
                volume.mark_suspect();
            }
            MediaState::New => {
                self.change_state(&medium, MediaState::Active, "its addition was cut short behind vault.toml")?
            }
            MediaState::Active | MediaState::Draining => {}
        }
        if medium.stale || volume.label().generation < medium.label.generation {
            self.stale(&volume, &medium)?;
        }
        Ok(Some(volume))
    }

    /// A medium is back from its shelf: its label and what its list names are held against what was known when it went there.
    fn read_back(&mut self, volume: &Volume, medium: &Medium) -> Result<()> {
        let (id, place) = (volume.id(), volume.media().place());
        let differs = difference(&medium.label, &volume.label());
        if !differs.is_empty() {
            let message = format!("volume {id} at {place} is back from its shelf with another label: {differs}");
            self.finding(Severity::Degraded, "label-differs", message);
        }
        let why = match shelf::missing_from(&self.dir, volume) {
            None => "it is mounted; there is no list of what was on it".to_owned(),
            Some((0, listed)) => format!("it is mounted, and the {listed} shards of its list are on it"),
            Some((missing, listed)) => {
                let message =
                    format!("volume {id} at {place} is back from its shelf without {missing} of {listed} shards");
                self.finding(Severity::Degraded, "shelf-shards-missing", message);
                format!("it is mounted; {missing} of the {listed} shards of its list are not on it")
            }
        };
        self.change_state(medium, MediaState::Active, &why)
    }

    /// An old image of a volume was brought back: what was written to it since is not on it.
    fn stale(&mut self, volume: &Volume, medium: &Medium) -> Result<()> {
        let (id, place) = (volume.id(), volume.media().place());
        let (found, known) = (volume.label().generation, medium.label.generation);
        let why = match found < known {
            true => format!("its label has generation {found}, the ledger remembers {known}: an old image of it"),
            false => "it came back as an old image".to_owned(),
        };
        if !medium.stale {
            self.media.record(self.event(Action::VolumeStale, id).because(why.clone()))?;
        }
        if matches!(medium.state, MediaState::New | MediaState::Active | MediaState::Draining) {
            self.change_state(medium, MediaState::Suspect, &why)?;
        }
        let message = format!("volume {id} at {place}: {why}; it gets no writes until a tour of it has passed clean");
        self.finding(Severity::Degraded, "volume-stale", message);
        volume.mark_suspect();
        Ok(())
    }

    /// Takes in what the open tier has: volumes that are not known yet, labels that were written anew, places.
    pub fn settle(&mut self, tier: &Tier) -> Result<()> {
        for mounted in tier.mounted() {
            let (label, id) = (&*mounted.label, mounted.label.id);
            let with_label = |action| self.event(action, id).with(Detail::Label(Box::new(VolumeLabel::clone(label))));
            match self.media.get(id) {
                None => drop(self.media.record(with_label(Action::VolumeAdopted))?),
                Some(medium) if medium.label.generation < label.generation => {
                    self.media.record(with_label(Action::VolumeRelabelled))?;
                }
                Some(_) => {}
            }
            if self.media.get(id).is_some_and(|medium| medium.place != mounted.place) {
                self.media.record(self.event(Action::VolumePlaced, id).with(Detail::Place(mounted.place.clone())))?;
            }
            if self.media.get(id).is_some_and(|medium| medium.state == MediaState::Draining) {
                tier.set_draining(id, true)?;
            }
        }
        Ok(())
    }

    /// Records that the vault is open, or why it was opened.
    pub fn opened(&self, action: Action) -> Result<()> {
        self.media.record(AuditEvent::new(self.now_ms, VAULT, action).ended(Outcome::Done)).map(drop)
    }
}

/// The media that get a copy of the audit log: a few that take writes.
pub fn log_media(tier: &Tier) -> Vec<Arc<dyn Media>> {
    let mounted =
        tier.mounted().into_iter().filter(|mounted| !mounted.read_only && !mounted.suspect && !mounted.unlisted);
    mounted.take(LOG_COPIES).map(|mounted| mounted.media).collect()
}
