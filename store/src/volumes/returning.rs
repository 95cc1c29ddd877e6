//! Media that come back to a running vault: mounted again where `vault.toml` or the ledger of media expects them, they are
//! taken in without anybody asking. Only folders are looked at; an object store that is back is taken in by a person, as
//! asking one that is not may take minutes.

use super::Volumes;
use crate::compaction;
use crate::config::VolumeSpec;
use crate::error::Result;
use crate::journal::Journal;
use crate::media_facts::is_expected;
use crate::stores::Stores;
use shosoin_protocol::VolumeId;
use shosoin_tiers::Volume;
use shosoin_tiers::layout::LABEL;
use std::path::Path;

impl Volumes {
    /// Looks whether media that were there still are, and whether some are back. Gives those that were taken in.
    pub fn look(&self) -> Vec<VolumeId> {
        let _one_at_a_time = self.looking.lock();
        self.tier.look_at_volumes();
        self.list_again();
        let returned = self.returned();
        let mut taken = Vec::new();
        for volume in returned {
            let (id, place) = (volume.id(), volume.media().place());
            match self.take_in(volume) {
                Ok(true) => taken.push(id),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(volume = %id, place, error = &error as &dyn std::error::Error, "a medium is back and not taken in");
                }
            }
        }
        taken
    }

    /// What is on a volume that could not be listed is known as soon as it can be.
    fn list_again(&self) {
        match self.tier.list_again() {
            Ok(met) => {
                met.iter().for_each(|finding| tracing::warn!("{finding}"));
                compaction::sweep_after(&self.tier, &self.ledger, self.erasing(), &met);
            }
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "a volume is not listed again"),
        }
    }

    /// Media that are where they are expected and are not in use.
    fn returned(&self) -> Vec<Volume> {
        let stores = Stores::new(&self.dir);
        let mounted = self.tier.mounted();
        let in_use = |place: &String| mounted.iter().any(|mounted| mounted.place == *place);
        let media = self.ledger.media();
        let kept =
            media.iter().filter(|medium| !medium.place.contains("://")).map(|medium| VolumeSpec::at(&medium.place));
        let mut specs = self.config.lock().volumes.clone();
        specs.extend(kept);
        specs.sort_by_key(|spec| stores.place(spec));
        specs.dedup_by_key(|spec| stores.place(spec));
        let free = specs.iter().filter(|spec| spec.url.is_none() && !in_use(&stores.place(spec)));
        let labelled = free.filter(|spec| stores.folder(spec).join(Path::new(LABEL)).exists());
        let opened = labelled.filter_map(|spec| Volume::open(stores.media(spec).ok()?).ok());
        let opened: Vec<Volume> = opened.collect();
        // what a person put on a shelf is back only after it was gone
        self.still_there.lock().retain(|id| opened.iter().any(|volume| volume.id() == *id));
        let still_there = self.still_there.lock();
        let is_free = |volume: &Volume| {
            !still_there.contains(&volume.id()) && !mounted.iter().any(|mounted| mounted.label.id == volume.id())
        };
        opened.into_iter().filter(is_free).collect()
    }

    /// Takes in a medium that the ledger expects or has on a shelf; any other stays where it is.
    fn take_in(&self, volume: Volume) -> Result<bool> {
        let wanted = |state| is_expected(state) || state == crate::audit::MediaState::OnShelf;
        if !self.ledger.get(volume.id()).is_some_and(|medium| wanted(medium.state)) {
            return Ok(false);
        }
        let Some(volume) = Journal::judge_returned(&self.dir, &self.ledger, volume, self.now_ms())? else {
            return Ok(false);
        };
        let met = self.tier.attach(volume)?;
        compaction::sweep_after(&self.tier, &self.ledger, self.erasing(), &met);
        Ok(true)
    }
}
