//! What the operator must mount before records can be read, merged over all of them, with the fewest mounts.
//!
//! The vault says which media hold what, and the choice among them is made here: a vault that lies about its shelf can cost
//! time, and nothing else.

use crate::retry::repeat;
use crate::{Client, OpenObject, Result};
use serde::Serialize;
use shosoin_protocol::Address;
use shosoin_protocol::limits::ADDRESS_QUERY_MAX;
use shosoin_protocol::plan::{ShelfMedium, ShelfReply, ShelfSegment, choose};
use std::collections::{BTreeMap, BTreeSet};

/// Time that fetching and loading one medium is taken to need: nobody measures it.
pub const MOUNT_MS: u64 = 5 * 60 * 1000;

/// What to mount, in order, and how long that and the reading will take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MountPlan {
    /// media, in the order in which records become readable soonest
    pub mounts: Vec<Mount>,
    /// segments that cannot be read whatever is mounted
    pub short: Vec<ShelfSegment>,
    /// pieces of the records that can be read now
    pub readable: u64,
    /// pieces that must wait for a mount
    pub waiting: u64,
    /// pieces that the vault does not know
    pub unknown: u64,
    /// bytes to read from the media together
    pub bytes: u64,
    /// bytes in a second that were reckoned with
    pub bytes_per_second: u64,
    /// whether the vault measured that
    pub is_measured: bool,
    /// time to read, in milliseconds
    pub read_ms: u64,
    /// time to fetch and load the media one after the other, in milliseconds, as it is taken to be
    pub mount_ms: u64,
}

/// A medium to mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// which, and where it is kept
    #[serde(flatten)]
    pub medium: ShelfMedium,
    /// bytes to read from it
    pub bytes: u64,
}

impl MountPlan {
    /// Whether nothing keeps the records from being read.
    pub fn is_empty(&self) -> bool {
        self.mounts.is_empty() && self.short.is_empty()
    }
}

impl Client {
    /// What must be mounted before these records can be read, each from a byte on.
    pub async fn plan(&self, objects: &[(OpenObject, u64)]) -> Result<MountPlan> {
        let mut addresses: BTreeSet<Address> = BTreeSet::new();
        for (object, from) in objects {
            let range = *from..object.facts().size_bytes;
            if !range.is_empty() {
                let touched = object.opened.touched(&range);
                addresses.extend(object.opened.chunks[touched].iter().map(|chunk| chunk.address));
            }
        }
        let addresses: Vec<Address> = addresses.into_iter().collect();
        let mut merged = Merged::default();
        for page in addresses.chunks(ADDRESS_QUERY_MAX) {
            merged.add(repeat(|| self.inner.transport.plan(page)).await?);
        }
        Ok(merged.plan())
    }
}

/// Several answers as one.
#[derive(Default)]
struct Merged {
    reply: ShelfReply,
    numbers: BTreeMap<String, u32>,
    segments: BTreeMap<String, usize>,
}

impl Merged {
    fn add(&mut self, reply: ShelfReply) {
        let ShelfReply { media, segments, readable, unknown, bytes_per_second, is_measured } = reply;
        let number = |medium: ShelfMedium| {
            *self.numbers.entry(medium.id.clone()).or_insert_with(|| {
                self.reply.media.push(medium);
                u32::try_from(self.reply.media.len() - 1).unwrap_or(u32::MAX)
            })
        };
        let numbers: Vec<u32> = media.into_iter().map(number).collect();
        for mut segment in segments {
            // a number that the answer has no medium for is none
            let named = segment.media.iter().filter_map(|no| numbers.get(usize::try_from(*no).ok()?));
            segment.media = named.copied().collect();
            match self.segments.get(&segment.segment) {
                Some(no) => {
                    let known = &mut self.reply.segments[*no];
                    known.bytes_each = known.bytes_each.saturating_add(segment.bytes_each);
                    known.records = known.records.saturating_add(segment.records);
                }
                None => {
                    self.segments.insert(segment.segment.clone(), self.reply.segments.len());
                    self.reply.segments.push(segment);
                }
            }
        }
        self.reply.readable = self.reply.readable.saturating_add(readable);
        self.reply.unknown = self.reply.unknown.saturating_add(unknown);
        (self.reply.bytes_per_second, self.reply.is_measured) = (bytes_per_second, is_measured);
    }

    fn plan(self) -> MountPlan {
        let ShelfReply { media, segments, readable, unknown, bytes_per_second, is_measured } = self.reply;
        let choice = choose(&segments);
        let medium = |no: u32| media.get(usize::try_from(no).ok()?).cloned();
        let mounts = choice.mounts.iter().zip(&choice.bytes);
        let mounts = mounts.filter_map(|(no, bytes)| Some(Mount { medium: medium(*no)?, bytes: *bytes }));
        let mounts: Vec<Mount> = mounts.collect();
        let bytes = mounts.iter().fold(0u64, |sum, mount| sum.saturating_add(mount.bytes));
        let read_ms = u128::from(bytes) * 1000 / u128::from(bytes_per_second.max(1));
        MountPlan {
            short: choice.short.iter().filter_map(|no| segments.get(*no).cloned()).collect(),
            waiting: segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.records)),
            readable,
            unknown,
            bytes,
            bytes_per_second,
            is_measured,
            read_ms: u64::try_from(read_ms).unwrap_or(u64::MAX),
            mount_ms: MOUNT_MS.saturating_mul(mounts.len() as u64),
            mounts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(media: &[&str], segments: &[(&str, &[u32])]) -> ShelfReply {
        let medium = |id: &&str| ShelfMedium { id: (*id).to_owned(), ..ShelfMedium::default() };
        let segment = |(id, media): &(&str, &[u32])| ShelfSegment {
            segment: (*id).to_owned(),
            needed: 2,
            media: media.to_vec(),
            bytes_each: 1000,
            records: 3,
        };
        ShelfReply {
            media: media.iter().map(medium).collect(),
            segments: segments.iter().map(segment).collect(),
            bytes_per_second: 1000,
            ..ShelfReply::default()
        }
    }

    #[test]
    fn answers_that_number_media_differently_are_merged_into_one_plan() {
        let mut merged = Merged::default();
        merged.add(reply(&["a", "b", "c"], &[("one", &[0, 1, 2])]));
        merged.add(reply(&["c", "b"], &[("two", &[1, 0]), ("one", &[1, 0])]));
        let plan = merged.plan();
        let ids: Vec<&str> = plan.mounts.iter().map(|mount| mount.medium.id.as_str()).collect();
        assert_eq!(ids, ["b", "c"], "two that serve both segments");
        assert_eq!((plan.mounts[0].bytes, plan.bytes, plan.waiting), (3000, 6000, 9));
        assert_eq!((plan.read_ms, plan.mount_ms), (6000, 2 * MOUNT_MS));
    }

    #[test]
    fn an_answer_that_numbers_media_it_does_not_name_leaves_the_segment_short() {
        let mut merged = Merged::default();
        merged.add(reply(&["a"], &[("one", &[0, 7, u32::MAX])]));
        let plan = merged.plan();
        assert!(plan.mounts.is_empty() && plan.short.len() == 1 && !plan.is_empty());
    }
}
