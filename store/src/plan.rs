//! What must be mounted before a hospital's records can be read: facts about the media, for the hospital to choose from.
//! Nothing is read but the index and what is known of media.

use crate::audit::MediaState;
use crate::error::Result;
use crate::index::Index;
use crate::media_facts::class_name;
use crate::media_ledger::{MediaLedger, Medium};
use crate::rows::{self, RecordRow, Rows};
use crate::shelf;
use shosoin_protocol::plan::{ShelfMedium, ShelfReply, ShelfSegment};
use shosoin_protocol::{Address, HospitalId, SegmentId, VolumeId};
use shosoin_tiers::{Location, Tier};
use std::collections::{BTreeMap, BTreeSet};

/// What a plan is made from.
pub struct Plan<'a> {
    /// whose records
    pub hospital: HospitalId,
    /// where they are
    pub index: &'a dyn Index,
    /// what is mounted
    pub tier: &'a Tier,
    /// every medium there ever was
    pub media: &'a MediaLedger,
}

/// What was asked for of one segment.
#[derive(Default)]
struct Wanted {
    records: u64,
    /// payload bytes of each stripe, by its offset: a stripe is read once
    stripes: BTreeMap<u64, u32>,
}

impl Plan<'_> {
    /// What must be mounted before the records at `addresses` can be read.
    pub fn of(&self, addresses: &[Address]) -> Result<ShelfReply> {
        let (rate, is_measured) = self.media.rate();
        let mut reply = ShelfReply { bytes_per_second: rate, is_measured, ..ShelfReply::default() };
        let mut wanted: BTreeMap<SegmentId, Wanted> = BTreeMap::new();
        for address in addresses.iter().collect::<BTreeSet<_>>() {
            match self.index.row::<RecordRow>(&rows::record_key(self.hospital, address))? {
                Some(RecordRow { at: Location { segment, stripe_at, payload_len, .. }, .. }) => {
                    let wanted = wanted.entry(segment).or_default();
                    wanted.records += 1;
                    wanted.stripes.insert(stripe_at, payload_len);
                }
                None => reply.unknown += 1,
            }
        }
        let mut numbers = BTreeMap::new();
        for (segment, wanted) in wanted {
            self.add(segment, &wanted, &mut numbers, &mut reply)?;
        }
        Ok(reply)
    }

    fn add(
        &self,
        segment: SegmentId,
        wanted: &Wanted,
        numbers: &mut BTreeMap<VolumeId, u32>,
        reply: &mut ShelfReply,
    ) -> Result<()> {
        let (away, k) =
            (shelf::away(self.index, self.tier, segment)?, shelf::data_shards(self.index, self.tier, segment)?);
        if away.needed == 0 {
            reply.readable += wanted.records;
            return Ok(());
        }
        let mut media = Vec::with_capacity(away.volumes.len());
        for volume in away.volumes {
            let known = self.media.get(volume);
            if known.as_ref().is_some_and(|medium| is_gone(medium.state)) {
                continue;
            }
            media.push(*numbers.entry(volume).or_insert_with(|| {
                reply.media.push(told(volume, known.as_ref()));
                u32::try_from(reply.media.len() - 1).unwrap_or(u32::MAX)
            }));
        }
        let bytes_each = wanted.stripes.values().map(|bytes| u64::from(*bytes).div_ceil(k.max(1) as u64)).sum();
        let needed = u32::try_from(away.needed).unwrap_or(u32::MAX);
        let (segment, records) = (segment.to_string(), wanted.records);
        reply.segments.push(ShelfSegment { segment, needed, media, bytes_each, records });
        Ok(())
    }
}

/// Nobody will mount it again.
fn is_gone(state: MediaState) -> bool {
    matches!(state, MediaState::Lost | MediaState::Destroyed | MediaState::Sanitised | MediaState::Retired)
}

fn told(volume: VolumeId, known: Option<&Medium>) -> ShelfMedium {
    let id = volume.to_string();
    let Some(medium) = known else { return ShelfMedium { id, ..ShelfMedium::default() } };
    ShelfMedium {
        id,
        class: class_name(medium.label.class).to_owned(),
        vendor: medium.label.vendor.clone(),
        model: medium.label.model.clone(),
        serial: medium.label.serial.clone(),
        security_label: medium.label.security_label.clone(),
        state: medium.state.name().to_owned(),
        shelf: medium.shelf.clone(),
        place: medium.place.clone(),
    }
}
