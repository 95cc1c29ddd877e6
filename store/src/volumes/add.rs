//! Taking a medium into use, and writing its label anew.

use super::Volumes;
use crate::audit::{Action, Detail, MediaState, Outcome, check_text};
use crate::compaction;
use crate::config::VolumeSpec;
use crate::error::{Error, Result};
use crate::media_facts::{LabelFacts, parse_class, parse_rated_life, parse_tier};
use crate::stores::Stores;
use serde::{Deserialize, Serialize};
use shosoin_protocol::VolumeId;
use shosoin_tiers::layout::SEGMENTS;
use shosoin_tiers::media::Media;
use shosoin_tiers::volume::{MediaClass, TEXT_BYTES_MAX, TierKind};
use shosoin_tiers::{Error as MediaError, Random as _, SystemRandom, Volume, VolumeLabel};
use std::sync::Arc;

/// Facts of a label that are to be written; what is not given stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelChange {
    /// `hot` or `archive`
    pub tier: Option<String>,
    /// `ssd`, `hdd`, `tape`, `optical` or `cloud`
    pub class: Option<String>,
    /// who made it
    pub vendor: Option<String>,
    /// maker's model
    pub model: Option<String>,
    /// maker's serial number
    pub serial: Option<String>,
    /// manufacturing lot
    pub lot: Option<String>,
    /// firmware revision
    pub firmware: Option<String>,
    /// first use, in milliseconds since 1970
    pub first_use_ms: Option<u64>,
    /// as in `5y`, `40000h`, `200p`; empty for not stated
    pub rated_life: Option<String>,
    /// security label
    pub security_label: Option<String>,
    /// machine
    pub host: Option<String>,
    /// power feed
    pub power: Option<String>,
    /// rack
    pub rack: Option<String>,
    /// building
    pub site: Option<String>,
    /// physical device
    pub device: Option<String>,
}

/// A medium to be taken into use.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AddVolume {
    /// where it is, as `vault.toml` will say it
    pub spec: VolumeSpec,
    /// what its label will say
    pub label: LabelChange,
    /// why, in the operator's words
    pub reason: String,
    /// say what would be done, and do nothing
    pub dry_run: bool,
}

/// A medium that was labelled, or would be.
#[derive(Debug, Clone, Serialize)]
pub struct Added {
    /// nothing was done
    pub dry_run: bool,
    /// where it is
    pub place: String,
    /// what its label says
    pub label: LabelFacts,
}

impl LabelChange {
    /// Writes the facts into a label. Refuses words that are none and texts that are too long.
    pub fn apply(&self, label: &mut VolumeLabel) -> Result<()> {
        let wrong = |what: &'static str, why: &str| Error::Argument { what, why: why.to_owned() };
        if let Some(tier) = &self.tier {
            label.tier = parse_tier(tier).ok_or_else(|| wrong("tier", "it is hot or archive"))?;
        }
        if let Some(class) = &self.class {
            let why = "it is one of ssd, hdd, tape, optical, cloud";
            label.class = parse_class(class).ok_or_else(|| wrong("class", why))?;
        }
        if let Some(life) = &self.rated_life {
            let why = "it is years, hours or passes, as in 5y, 40000h, 200p, or empty for not stated";
            label.rated_life = parse_rated_life(life).ok_or_else(|| wrong("rated life", why))?;
        }
        if let Some(first_use_ms) = self.first_use_ms {
            label.first_use_ms = first_use_ms;
        }
        let domains = &mut label.domains;
        let texts = [
            ("vendor", &self.vendor, &mut label.vendor),
            ("model", &self.model, &mut label.model),
            ("serial number", &self.serial, &mut label.serial),
            ("lot", &self.lot, &mut label.lot),
            ("firmware", &self.firmware, &mut label.firmware),
            ("security label", &self.security_label, &mut label.security_label),
            ("host", &self.host, &mut domains.host),
            ("power feed", &self.power, &mut domains.power),
            ("rack", &self.rack, &mut domains.rack),
            ("site", &self.site, &mut domains.site),
            ("device", &self.device, &mut domains.device),
        ];
        for (what, text, slot) in texts {
            if let Some(text) = text {
                check_text(what, text, TEXT_BYTES_MAX)?;
                slot.clone_from(text);
            }
        }
        Ok(())
    }
}

/// Refuses a medium without a security label: control 7.6.7-M8 of the guideline wants one on each.
fn must_be_classified(label: &VolumeLabel, change: &LabelChange) -> Result<()> {
    let text = change.security_label.as_ref().unwrap_or(&label.security_label);
    let why =
        "a medium for records carries one (7.6.7-M8); give the class of your own rules, as in --security-label C3";
    match text.trim().is_empty() {
        true => Err(Error::Argument { what: "security label", why: why.to_owned() }),
        false => Ok(()),
    }
}

impl Volumes {
    /// Labels a new medium, names it in `vault.toml` and takes it into use. A medium that carries a label is taken only if
    /// the ledger does not know it, or only as new, and nothing was ever stored on it: an earlier try ended half-way.
    pub fn add(&self, request: &AddVolume, actor: &str) -> Result<Added> {
        let stores = Stores::new(&self.dir);
        let place = stores.place(&request.spec);
        check_text("reason", &request.reason, crate::audit::REASON_BYTES_MAX)?;
        let label = self.new_label(request)?;
        if self.config.lock().volumes.iter().any(|spec| stores.place(spec) == place) {
            let why = "is in use already, or expected there: vault.toml names the place".to_owned();
            return Err(Error::VolumeState { volume: place, why });
        }
        let media = stores.media(&request.spec)?;
        let found = self.found_label(&media, &place)?;
        must_be_classified(found.as_ref().unwrap_or(&label), &request.label)?;
        if request.dry_run {
            return Ok(Added { dry_run: true, place, label: LabelFacts::from(&found.unwrap_or(label)) });
        }
        let id = found.as_ref().map_or(label.id, |found| found.id);
        let event = self.event(actor, Action::VolumeAdded, id).because(request.reason.clone());
        self.ledger.record(event.clone().ended(Outcome::Begun))?;
        let volume = match found {
            None => Volume::create(media, label)?,
            Some(_) => {
                let volume = Volume::open(media)?;
                let mut changed = Ok(());
                volume.relabel(|label| changed = request.label.apply(label))?;
                changed?;
                volume
            }
        };
        let written = VolumeLabel::clone(&volume.label());
        self.ledger.record(event.with(Detail::Label(Box::new(written.clone()))))?;
        self.ledger.record(self.event(actor, Action::VolumePlaced, id).with(Detail::Place(place.clone())))?;
        self.save_config(|config| config.volumes.push(request.spec.clone()))?;
        let met = self.tier.attach(volume)?;
        compaction::sweep_after(&self.tier, &self.ledger, self.erasing(), &met);
        let detail = Detail::State { from: Some(MediaState::New), to: MediaState::Active };
        self.ledger.record(self.event(actor, Action::VolumeState, id).because("taken into use").with(detail))?;
        self.copy_log();
        Ok(Added { dry_run: false, place, label: LabelFacts::from(&written) })
    }

    fn new_label(&self, request: &AddVolume) -> Result<VolumeLabel> {
        let mut id = [0; 16];
        SystemRandom.fill(&mut id)?;
        let (tier, class) = match request.spec.url {
            None => (TierKind::Hot, MediaClass::Ssd),
            Some(_) => (TierKind::Archive, MediaClass::Cloud),
        };
        let mut label = VolumeLabel::new(VolumeId(id), tier, class, self.now_ms());
        label.demo = self.tier.is_demo();
        request.label.apply(&mut label)?;
        Ok(label)
    }

    /// The label that the medium carries, if it may be taken with it.
    fn found_label(&self, media: &Arc<dyn Media>, place: &str) -> Result<Option<VolumeLabel>> {
        let refuse = |why: String| Err(Error::VolumeState { volume: place.to_owned(), why });
        match Volume::open(media.clone()) {
            Err(MediaError::LabelMissing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(volume) if volume.is_read_only() => refuse("is read-only: a label cannot be written to it".into()),
            Ok(volume) => match self.ledger.get(volume.id()) {
                Some(known) if known.state != MediaState::New => refuse(format!(
                    "is volume {} of this vault already, {} in the ledger of media; `shosoin volume set-state` changes that",
                    volume.id(),
                    known.state
                )),
                _ if media.list(SEGMENTS)?.is_empty() => Ok(Some(VolumeLabel::clone(&volume.label()))),
                _ => refuse(format!(
                    "carries the label of volume {}, which this vault does not know, and holds shards",
                    volume.id()
                )),
            },
        }
    }

    /// Writes the label of a volume that is there anew.
    pub fn relabel(&self, name: &str, change: &LabelChange, reason: &str, dry_run: bool, actor: &str) -> Result<Added> {
        let medium = self.ledger.find(name)?;
        let id = medium.label.id;
        let mounted = self.mounted(id).ok_or_else(|| Error::VolumeState {
            volume: id.to_string(),
            why: "is not there: a label is on the medium itself".to_owned(),
        })?;
        let mut label = VolumeLabel::clone(&mounted.label);
        change.apply(&mut label)?;
        if change.security_label.is_some() {
            must_be_classified(&label, change)?;
        }
        check_text("reason", reason, crate::audit::REASON_BYTES_MAX)?;
        if dry_run {
            return Ok(Added { dry_run, place: mounted.place, label: LabelFacts::from(&label) });
        }
        let event = self.event(actor, Action::VolumeRelabelled, id).because(reason);
        self.ledger.record(event.clone().ended(Outcome::Begun))?;
        label.generation = label.generation.max(medium.label.generation);
        let written = self.tier.relabel(id, |found| found.clone_from(&label))?;
        self.ledger.record(event.with(Detail::Label(Box::new(VolumeLabel::clone(&written)))))?;
        self.copy_log();
        Ok(Added { dry_run, place: mounted.place, label: LabelFacts::from(&*written) })
    }
}
