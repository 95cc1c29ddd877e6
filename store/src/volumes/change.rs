//! Changes of state, and what is measured of a medium.

use super::{SmartReport, Volumes};
use crate::audit::{Action, Detail, MediaState, Outcome, REASON_BYTES_MAX, TestKind, check_text};
use crate::compaction;
use crate::error::{Error, Result};
use crate::media_facts::difference;
use crate::media_ledger::{Medium, allowed_after};
use crate::shelf;
use crate::stores::Stores;
use serde::{Deserialize, Serialize};
use shosoin_protocol::VolumeId;
use shosoin_tiers::Volume;

/// A change of state that was made, or would be.
#[derive(Debug, Clone, Serialize)]
pub struct StateChanged {
    /// nothing was done
    pub dry_run: bool,
    /// volume id, hex
    pub volume: String,
    /// before
    pub from: MediaState,
    /// after
    pub to: MediaState,
    /// what it does, a sentence each
    pub effects: Vec<String>,
}

/// What an operator or a device says of a medium; what is not given is not recorded.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Measured {
    /// a test by name, its value and whether the medium passed
    pub test: Option<(TestKind, u64, bool)>,
    /// hours it was powered
    pub power_on_hours: Option<u64>,
    /// times it passed a head
    pub passes: Option<u64>,
    /// what `smartctl --json -a` printed
    pub smartctl: Option<String>,
    /// tenths of a degree Celsius where it is kept
    pub celsius_tenths: Option<i32>,
    /// relative humidity where it is kept, in per cent
    pub humidity_percent: Option<u8>,
    /// the shelf it is kept on when it is not mounted
    pub place: Option<String>,
    /// remark
    pub note: String,
    /// say what would be recorded, and record nothing
    pub dry_run: bool,
}

impl Volumes {
    /// Moves a medium to another state of its life, with what follows from it for the running vault.
    pub fn set_state(
        &self,
        name: &str,
        to: MediaState,
        reason: &str,
        dry_run: bool,
        actor: &str,
    ) -> Result<StateChanged> {
        let medium = self.ledger.find(name)?;
        let (id, from) = (medium.label.id, medium.state);
        check_text("reason", reason, REASON_BYTES_MAX)?;
        if reason.is_empty() {
            return Err(Error::Argument { what: "reason", why: "a change of state needs one".to_owned() });
        }
        let event = self.event(actor, Action::VolumeState, id).with(Detail::State { from: Some(from), to });
        if let Err(error) = self.judge_change(&medium, to) {
            return Err(if dry_run { error } else { self.refused(event, error) });
        }
        let mut effects = self.effects(&medium, to);
        if !dry_run {
            let opened = self.open_again(&medium, to)?;
            effects.extend(opened.as_ref().map(|volume| self.read_back(&medium, volume)).unwrap_or_default());
            if to == MediaState::OnShelf && self.mounted(id).is_some() {
                self.tier.set_draining(id, true)?; // nothing is written to it after the list was made
                shelf::keep_volume(&self.dir, &*self.index, &self.tier, id, self.now_ms())
                    .inspect_err(|_| drop(self.tier.set_draining(id, false)))?;
            }
            self.ledger.record(event.because(reason))?;
            self.follow(&medium, to, opened)?;
            self.copy_log();
        }
        Ok(StateChanged { dry_run, volume: id.to_string(), from, to, effects })
    }

    /// Refuses what the state, the medium or its shards stand against.
    fn judge_change(&self, medium: &Medium, to: MediaState) -> Result<()> {
        let id = medium.label.id;
        let refuse = |why: String| Err(Error::VolumeState { volume: id.to_string(), why });
        if medium.state == to {
            return refuse(format!("is {to} already"));
        }
        let allowed = allowed_after(medium.state);
        if !allowed.contains(&to) {
            let allowed = allowed.iter().map(|state| state.name()).collect::<Vec<_>>().join(", ");
            let allowed = if allowed.is_empty() { "nothing more".to_owned() } else { allowed };
            return refuse(format!("is {}, and from there it can become: {allowed}", medium.state));
        }
        let mounted = self.mounted(id);
        let unlisted = mounted.as_ref().is_some_and(|mounted| mounted.unlisted);
        let mounted = mounted.is_some();
        match to {
            MediaState::Retired | MediaState::OnShelf if unlisted => refuse(
                "could not be listed, so what is on it is not known. It is listed again by itself when it answers; mount it \
                 anew, and if it never can be listed, set it to lost: what it held is then rebuilt from the others"
                    .into(),
            ),
            MediaState::Lost if unlisted => Ok(()),
            MediaState::Lost if mounted => {
                refuse("is mounted and in use; what is there is not lost. Drain and retire it, or take it out".into())
            }
            MediaState::Retired => self.judge_retirement(id, mounted),
            MediaState::Active if medium.stale => {
                refuse("carries an old label: it becomes active again when a tour of it has passed clean".into())
            }
            _ => Ok(()),
        }
    }

    /// Refuses to retire a volume that may hold the only copy of a shard.
    fn judge_retirement(&self, id: VolumeId, mounted: bool) -> Result<()> {
        let refuse = |why: String| Err(Error::VolumeState { volume: id.to_string(), why });
        if !self.ledger.clock_is_trusted(self.now_ms())? {
            return refuse("is not retired while the clock is doubted; `shosoin audit confirm-clock` ends that".into());
        }
        let copies = self.tier.copies();
        let shards = || copies.iter().flat_map(|segment| &segment.shards);
        let only_here = shards().filter(|copies| copies.as_slice() == [id]).count();
        let nowhere = shards().filter(|copies| copies.is_empty()).count();
        match (only_here, nowhere) {
            (1.., _) => refuse(format!(
                "holds the only copy of {only_here} shards; set it to draining and let it be copied empty first"
            )),
            (0, 1..) if !mounted => refuse(format!(
                "is not there, and {nowhere} shards are on no volume that is: they may be on it. Mount it, or repair first"
            )),
            _ => Ok(()),
        }
    }

    fn effects(&self, medium: &Medium, to: MediaState) -> Vec<String> {
        let id = medium.label.id;
        let mut effects = Vec::new();
        let shards = self.tier.shards_on(id).len();
        match to {
            MediaState::Active => effects.push("new shards may be written to it".to_owned()),
            MediaState::Suspect => effects.push("it is read, and nothing more is written to it".to_owned()),
            MediaState::Draining => effects.push(format!("its {shards} shards are copied to other volumes")),
            MediaState::OnShelf => {
                effects.push(format!("its {shards} shards cannot be read until it is mounted again"))
            }
            MediaState::Retired => effects.push("it is taken out of use and out of vault.toml".to_owned()),
            MediaState::Lost => effects.push("nobody waits for it: what it held is rebuilt from the others".to_owned()),
            _ => {}
        }
        effects
    }

    /// What a medium that is taken into use again differs in from what was known when it was taken out.
    fn read_back(&self, medium: &Medium, volume: &Volume) -> Vec<String> {
        let mut told = Vec::new();
        let differs = difference(&medium.label, &volume.label());
        if !differs.is_empty() {
            told.push(format!("its label is another than the ledger has: {differs}"));
        }
        if let Some((missing @ 1.., listed)) = shelf::missing_from(&self.dir, volume) {
            told.push(format!("{missing} of the {listed} shards of its list are not on it; repair rebuilds them"));
        }
        told.iter().for_each(|told| tracing::warn!(volume = %medium.label.id, "{told}"));
        told
    }

    /// The volume at its last place, where the change takes it into use again.
    fn open_again(&self, medium: &Medium, to: MediaState) -> Result<Option<Volume>> {
        let id = medium.label.id;
        let wanted = matches!(to, MediaState::Active | MediaState::Draining | MediaState::Suspect);
        if !wanted || self.mounted(id).is_some() {
            return Ok(None);
        }
        let stores = Stores::new(&self.dir);
        let in_use: Vec<String> = self.tier.mounted().into_iter().map(|mounted| mounted.place).collect();
        let mut places = self.config.lock().volumes.clone();
        if !medium.place.contains("://") {
            places.push(crate::VolumeSpec::at(&medium.place));
        }
        let free = places.iter().filter(|spec| !in_use.contains(&stores.place(spec)));
        let opened = free.filter_map(|spec| Volume::open(stores.media(spec).ok()?).ok());
        let why =
            || format!("is not mounted anywhere that vault.toml names, nor at {}, where it was last", medium.place);
        let absent = || Error::VolumeState { volume: id.to_string(), why: why() };
        opened.into_iter().find(|volume| volume.id() == id).map(Some).ok_or_else(absent)
    }

    /// Lets the running tier follow the record.
    fn follow(&self, medium: &Medium, to: MediaState, opened: Option<Volume>) -> Result<()> {
        let id = medium.label.id;
        if let Some(volume) = opened {
            if to == MediaState::Suspect {
                volume.mark_suspect();
            }
            let met = self.tier.attach(volume)?;
            compaction::sweep_after(&self.tier, &self.ledger, self.erasing(), &met);
        } else if to == MediaState::Active && self.mounted(id).is_some_and(|mounted| mounted.suspect) {
            self.tier.reopen(id)?;
        }
        let mounted = self.mounted(id).is_some();
        match to {
            MediaState::Active if mounted => self.tier.set_draining(id, false)?,
            MediaState::Draining if mounted => self.tier.set_draining(id, true)?,
            MediaState::Suspect if mounted => self.tier.mark_suspect(id)?,
            MediaState::Retired | MediaState::OnShelf | MediaState::Lost => {
                if mounted {
                    self.raise_generation(id);
                    self.still_there.lock().insert(id);
                    self.tier.detach(id)?;
                }
                if to != MediaState::OnShelf {
                    let stores = Stores::new(&self.dir);
                    // what is retired or lost is in the ledger, not in the configuration
                    self.save_config(|config| config.volumes.retain(|spec| stores.place(spec) != medium.place))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes the label under the next generation, best effort: an image of the medium made before this is told by it.
    fn raise_generation(&self, id: VolumeId) {
        let known = self.ledger.get(id).map_or(0, |medium| medium.label.generation);
        match self.tier.relabel(id, |label| label.generation = label.generation.max(known)) {
            Ok(label) => {
                let event = self.event(crate::journal::VAULT, Action::VolumeRelabelled, id);
                let event = event.with(Detail::Label(Box::new(shosoin_tiers::VolumeLabel::clone(&label))));
                if let Err(error) = self.ledger.record(event) {
                    tracing::error!(volume = %id, error = &error as &dyn std::error::Error, "not recorded");
                }
            }
            Err(error) => tracing::info!(volume = %id, %error, "its label stays as it is"),
        }
    }

    /// A tour of a volume ended: records it, raises the label's generation, and lets a volume that carried an old label be
    /// written to again if nothing was found.
    pub fn tour_ended(&self, volume: VolumeId, read_bytes: u64, units: u64, findings: u64, lost: u64) -> Result<()> {
        let mut event = self.event("job:scrub", Action::VolumeToured, volume).with(Detail::Found { findings, lost });
        (event.bytes, event.units) = (read_bytes, units);
        let outcome = if findings == 0 { Outcome::Done } else { Outcome::Findings };
        let was_stale = self.ledger.get(volume).is_some_and(|medium| medium.stale);
        self.ledger.record(event.ended(outcome))?;
        self.raise_generation(volume);
        match self.ledger.get(volume) {
            Some(medium) if was_stale && !medium.stale && medium.state == MediaState::Suspect => {
                let event = self.event("job:scrub", Action::VolumeState, volume).because("a tour of it passed clean");
                let to = MediaState::Active;
                self.ledger.record(event.with(Detail::State { from: Some(medium.state), to }))?;
                self.follow(&medium, to, None)
            }
            _ => Ok(()),
        }
    }

    /// Records tests, use and surroundings of a medium. Gives what is (or would be) recorded, a sentence each.
    pub fn measure(&self, name: &str, measured: &Measured, actor: &str) -> Result<Vec<String>> {
        let medium = self.ledger.find(name)?;
        let details = self.details(&medium, measured)?;
        if details.is_empty() {
            let why =
                "name a test, hours, passes, a report of smartctl, a temperature, a humidity or a place".to_owned();
            return Err(Error::Argument { what: "measurement", why });
        }
        let mut said = Vec::new();
        for (action, detail, sentence) in details {
            if !measured.dry_run {
                let event = self.event(actor, action, medium.label.id).because(measured.note.clone()).with(detail);
                self.ledger.record(event)?;
            }
            said.push(sentence);
        }
        Ok(said)
    }

    fn details(&self, medium: &Medium, measured: &Measured) -> Result<Vec<(Action, Detail, String)>> {
        check_text("note", &measured.note, REASON_BYTES_MAX)?;
        let mut details = Vec::new();
        if let Some((test, value, passed)) = measured.test {
            let verdict = if passed { "passed" } else { "failed" };
            let unit = crate::media_facts::test_unit(test);
            let sentence = format!("{test}: {value} ({unit}), {verdict}");
            details.push((Action::VolumeTested, Detail::Test { test, value, passed }, sentence));
        }
        if let Some(text) = &measured.smartctl {
            let report = SmartReport::parse(text)?;
            report.must_be_of(&medium.label)?;
            details.extend(report.details());
        }
        let (power_on_hours, passes) = (measured.power_on_hours, measured.passes);
        if power_on_hours.is_some() || passes.is_some() {
            let sentence = format!("used: {} hours, {} passes", known(power_on_hours), known(passes));
            details.push((Action::VolumeWear, Detail::Wear { power_on_hours, passes, by_device: false }, sentence));
        }
        let (celsius_tenths, humidity_percent) = (measured.celsius_tenths, measured.humidity_percent);
        if celsius_tenths.is_some() || humidity_percent.is_some() {
            if humidity_percent.is_some_and(|percent| percent > 100) {
                return Err(Error::Argument { what: "humidity", why: "it is at most 100 per cent".to_owned() });
            }
            let celsius =
                celsius_tenths.map_or("unknown".to_owned(), |tenths| format!("{:.1}", f64::from(tenths) / 10.0));
            let sentence = format!("kept at {celsius} degrees Celsius, {} % humidity", known(humidity_percent));
            details.push((
                Action::VolumeEnvironment,
                Detail::Environment { celsius_tenths, humidity_percent },
                sentence,
            ));
        }
        if let Some(place) = &measured.place {
            check_text("place", place, REASON_BYTES_MAX)?;
            details.push((Action::VolumeShelved, Detail::Place(place.clone()), format!("kept at {place}")));
        }
        Ok(details)
    }
}

fn known(value: Option<impl std::fmt::Display>) -> String {
    value.map_or("unknown".to_owned(), |value| value.to_string())
}
