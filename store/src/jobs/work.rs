//! One kind of work, in bounded steps with a cursor between them.

mod check;
mod compact;
mod copy_forward;
mod forecast;
mod level;
mod migrate;
mod repair;
mod scrub;
mod watcher;

use super::report::Gain;
use super::{By, JobKind, JobOptions};
use crate::compaction::SegmentGain;
use crate::error::Result;
use crate::vault::Inner;
use shosoin_protocol::{SegmentId, VolumeId};
use shosoin_tiers::Error as MediaError;
use shosoin_tiers::Pace;

pub(super) use copy_forward::wanted as volumes_to_drain;
pub(super) use repair::{ready as repairs_ready, refill};

/// A run of one kind.
pub trait Work: Send {
    /// Does a bounded piece; `None` when nothing is left. After an error the cursor is where it was.
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>>;

    /// Bytes behind it and bytes in all, where that is known; asked between steps.
    fn extent(&self, inner: &Inner) -> (u64, Option<u64>);

    /// Where another run goes on; empty where it begins anew.
    fn cursor(&self, inner: &Inner) -> Vec<u8> {
        let _ = inner;
        Vec::new()
    }

    /// Sentences about what would be done.
    fn plan(&self, inner: &Inner) -> Vec<String>;

    /// What compacting each segment would bring, where that is what it is about.
    fn segments(&self) -> Vec<SegmentGain> {
        Vec::new()
    }

    /// What a whole run leaves undone.
    fn left(&self, inner: &Inner) -> Gain {
        let _ = inner;
        Gain::default()
    }
}

/// Begins a run where `cursor` says, or at its beginning.
pub fn begin(inner: &Inner, kind: JobKind, options: &JobOptions, by: By, cursor: &[u8]) -> Result<Box<dyn Work>> {
    for volume in options.volume.into_iter().chain(options.onto) {
        known_volume(inner, volume)?;
    }
    Ok(match kind {
        JobKind::Scrub => Box::new(scrub::Scrub::begin(inner, options, by)?),
        JobKind::Repair => Box::new(repair::Repair::begin(inner, options, by)),
        JobKind::CopyForward if let Some(volume) = options.onto => Box::new(level::Onto::begin(volume, cursor)),
        JobKind::CopyForward => Box::new(copy_forward::CopyForward::begin(inner, options, by, cursor)?),
        JobKind::Migrate => migrate::begin(inner, options, cursor)?,
        JobKind::Compact => compact::begin(inner, options, cursor)?,
        JobKind::Check => Box::new(check::WholeCheck::begin(inner, options, cursor)),
        JobKind::Watcher => Box::new(watcher::Watcher::begin(inner, options, cursor)),
        JobKind::Forecast => Box::new(forecast::Forecast::default()),
    })
}

fn known_volume(inner: &Inner, volume: VolumeId) -> Result<()> {
    match inner.tier.volumes().iter().any(|present| present.id == volume) {
        true => Ok(()),
        false => Err(MediaError::VolumeUnknown { volume }.into()),
    }
}

/// Whether a segment is one of those asked for: of the hospital, and with a shard on the volume.
fn is_asked_for(inner: &Inner, options: &JobOptions, segment: SegmentId) -> bool {
    if options.hospital.is_none() && options.volume.is_none() {
        return true;
    }
    inner.tier.segment_info(segment).is_some_and(|info| {
        let of_hospital = options.hospital.is_none_or(|hospital| info.hospital == hospital);
        of_hospital && options.volume.is_none_or(|volume| info.shards.contains(&Some(volume)))
    })
}
