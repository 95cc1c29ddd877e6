//! Catalogue: which segments are on media, and the volume of each of their shards. Made by listing folders.
//!
//! Nothing is ever taken for empty because it could not be listed: the volume is marked, it is not written to, and whoever
//! would conclude from what is not there asks the mark first. It goes when the volume has been listed whole.

use crate::bug::{self, Bug};
use crate::finding::{Defect, Finding, Place};
use crate::layout::{SEGMENTS, TEMPORARY, hospital_dir, parse_shard_name, shard_path};
use crate::mount::Mount;
use crate::segment::shard_no;
use crate::{Code, MediaFile, Result};
use shosoin_protocol::limits::SHARDS_MAX;
use shosoin_protocol::{HospitalId, SegmentId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A segment that has shard files on present volumes; nothing of it has been read yet.
pub struct Found {
    /// segment
    pub id: SegmentId,
    /// whose folder it is in
    pub hospital: HospitalId,
    mounts: Vec<Option<Arc<Mount>>>,
    /// further copies, by shard
    spares: Vec<(u8, Arc<Mount>)>,
}

impl Found {
    /// The volume of each shard, as many as `code` has.
    pub fn shards(&self, code: Code) -> Vec<Option<Arc<Mount>>> {
        self.mounts[..code.shards()].to_vec()
    }

    /// Every shard file that was found, and the volume it is on.
    pub fn copies(&self) -> impl Iterator<Item = (u8, &Arc<Mount>)> {
        let first =
            self.mounts.iter().enumerate().filter_map(|(shard, mount)| Some((shard_no(shard), mount.as_ref()?)));
        first.chain(self.spares.iter().map(|(shard, mount)| (*shard, mount)))
    }

    /// Copies beyond the first of their shard.
    pub fn spares(&self) -> &[(u8, Arc<Mount>)] {
        &self.spares
    }

    /// Of several copies of a shard the longest is used: one on a volume that was away while its segment grew is shorter. Of
    /// equal ones a hot one is, because it answers faster than one in an archive.
    fn prefer_longest(&mut self) {
        let len = |mount: &Mount, shard: u8| {
            let file = mount.volume.media().open(&shard_path(self.hospital, self.id, shard));
            (file.and_then(|file| file.len()).ok(), mount.takes_segments())
        };
        for (shard, spare) in &mut self.spares {
            let Some(used) = &mut self.mounts[usize::from(*shard)] else { continue };
            if len(spare, *shard) > len(used, *shard) {
                std::mem::swap(spare, used);
            }
        }
    }

    /// Every shard file that is there, opened for reading.
    pub fn files(&self) -> impl Iterator<Item = (usize, Result<Arc<dyn MediaFile>>)> + '_ {
        self.mounts.iter().enumerate().filter_map(|(shard, mount)| {
            let path = shard_path(self.hospital, self.id, shard_no(shard));
            Some((shard, mount.as_ref()?.volume.media().open(&path)))
        })
    }

    /// Whether the files that are there are too few for `code` and hold nothing. All files of a segment are made durable
    /// before anything is written to one of them, so its writer stopped while it was making them.
    pub fn is_void(&self, code: Code) -> bool {
        let few = self.mounts.iter().flatten().count() < code.shards();
        few && self.files().all(|(_, file)| file.and_then(|file| file.len()).is_ok_and(|len| len == 0))
    }
}

/// Lists every volume. One where that fails is marked as unlisted; a listing that succeeds takes no mark away, because only
/// who takes in everything that was found may do that.
pub fn list(mounts: &[Arc<Mount>]) -> (Vec<Found>, Vec<Finding>) {
    let mut listing = Listing::default();
    for mount in mounts {
        if let Err(error) = listing.volume(mount)
            && !bug::is(Bug::ListingErrorAsEmpty)
        {
            mount.volume.set_unlisted(true);
            listing.note(mount, Defect::VolumeUnlisted { why: error.to_string() });
        }
    }
    let mut found: Vec<Found> = listing.found.into_values().collect();
    found.iter_mut().for_each(Found::prefer_longest);
    (found, listing.findings)
}

/// What lies among the shards of a volume and is none. A volume that cannot be listed is an error.
pub fn foreign_files(mount: &Arc<Mount>) -> Result<Vec<Finding>> {
    let mut listing = Listing::default();
    listing.volume(mount)?;
    Ok(listing.findings)
}

#[derive(Default)]
struct Listing {
    found: BTreeMap<(HospitalId, SegmentId), Found>,
    findings: Vec<Finding>,
}

impl Listing {
    fn volume(&mut self, mount: &Arc<Mount>) -> Result<()> {
        for entry in mount.volume.media().list(SEGMENTS)? {
            match entry.name.parse() {
                Ok(hospital) if entry.is_dir => self.hospital(mount, hospital)?,
                _ => self.note(mount, Defect::ForeignFile { name: entry.name }),
            }
        }
        Ok(())
    }

    fn hospital(&mut self, mount: &Arc<Mount>, hospital: HospitalId) -> Result<()> {
        for entry in mount.volume.media().list(&hospital_dir(hospital))? {
            match parse_shard_name(&entry.name) {
                Some((segment, shard)) if shard < SHARDS_MAX => self.shard(mount, hospital, segment, shard),
                _ if entry.name.ends_with(TEMPORARY) => {}
                _ => self.note(mount, Defect::ForeignFile { name: entry.name }),
            }
        }
        Ok(())
    }

    fn shard(&mut self, mount: &Arc<Mount>, hospital: HospitalId, segment: SegmentId, shard: u8) {
        let found = self.found.entry((hospital, segment)).or_insert_with(|| Found {
            id: segment,
            hospital,
            mounts: vec![None; usize::from(SHARDS_MAX)],
            spares: Vec::new(),
        });
        let slot = &mut found.mounts[usize::from(shard)];
        match slot {
            None => *slot = Some(mount.clone()),
            Some(_) => {
                found.spares.push((shard, mount.clone()));
                let place = Place::segment(segment).shard(shard, Some(mount.id()));
                self.findings.push(Finding::new(place, Defect::ShardTwice));
            }
        }
    }

    fn note(&mut self, mount: &Arc<Mount>, defect: Defect) {
        self.findings.push(Finding::new(Place::volume(mount.id()), defect));
    }
}
