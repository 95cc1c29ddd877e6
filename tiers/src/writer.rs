//! Writer: appends stripes to one open segment and closes it.
//!
//! Invariants
//! - A stripe is in the table only after every one of its k + m units is synced.
//! - After any failed write or sync the segment gets no further stripe: it is closed behind the torn bytes, which stay.
//! - A failed call is never repeated on the same file, and a suspect volume is written to by no segment.
//! - A call that is not done in time has failed. If it is done later, it fills the place of a stripe that this segment never
//!   lists, in a shard that gets no footer: nothing is ever put into that place again.
//!
//! Files are not preallocated: measured, it takes a tenth off the sync of a 4 KiB stripe and nothing off a large one, and it
//! would hold room on media for segments that may end early.

use crate::bug::{self, Bug};
use crate::footer::{ClosedBy, Closing, Footer, StripeRow, Table};
use crate::lane::on_all;
use crate::layout::hospital_dir;
use crate::media::WriteUnit;
use crate::mount::Mount;
use crate::prepare::Prepared;
use crate::segment::{Identity, Segment, shard_no};
use crate::stripe::{StripeHeader, slot_len};
use crate::tier::SegmentState;
use crate::{Code, Error, MediaFile, Result};
use shosoin_protocol::VolumeId;
use std::sync::Arc;

/// The one writer of an open segment.
pub struct Writer {
    segment: Arc<Segment>,
    shards: Vec<OpenShard>,
    /// where everything written so far ends, torn bytes included
    written_to: u64,
}

struct OpenShard {
    mount: Arc<Mount>,
    file: Arc<dyn MediaFile>,
    failed: bool,
}

impl Writer {
    /// Creates the shard files of a new segment on `mounts`, durably. On failure none of them is left behind where
    /// that can be helped; they hold nothing.
    pub fn begin(identity: Identity, mounts: &[Arc<Mount>]) -> Result<Self> {
        let jobs = mounts.iter().enumerate().map(|(shard, mount)| {
            let (media, path) = (mount.volume.media().clone(), identity.path(shard));
            let dir = hospital_dir(identity.hospital);
            let create = move || {
                media.make_dir(&dir)?;
                let file = media.create(&path, WriteUnit::Blocks)?;
                media.sync_dir(&dir)?;
                Ok(file)
            };
            (&mount.lane, create)
        });
        let created = on_all("creating a segment", jobs);
        created.iter().zip(mounts).for_each(|(result, mount)| mount.note_write(result));
        if created.iter().any(Result::is_err) {
            discard(identity, mounts, &created);
        }
        let files: Vec<Arc<dyn MediaFile>> = created.into_iter().collect::<Result<_>>()?;
        let located = mounts.iter().cloned().map(Some).collect();
        let segment = Segment::with_table(identity, located, SegmentState::Open, Table::new(identity.code));
        let open = |(mount, file): (&Arc<Mount>, _)| OpenShard { mount: mount.clone(), file, failed: false };
        let shards = mounts.iter().zip(files).map(open).collect();
        Ok(Writer { segment: Arc::new(segment), shards, written_to: 0 })
    }

    /// The segment it writes.
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// Appends a stripe and gives its offset; it is durable on all k + m volumes then. After an error the segment must be
    /// given to [`Writer::close`]: it takes no further stripe.
    pub fn append(&mut self, prepared: &mut Prepared, now_ms: u64) -> Result<u64> {
        let table = self.segment.table().unwrap_or_else(|| Arc::new(Table::new(self.segment.identity.code)));
        let header = next_header(&self.segment.identity, &table, prepared, now_ms);
        let digest = prepared.write_headers(&header);
        self.written_to = header.end();
        self.write_all(prepared, header.at)?;
        let row = StripeRow { payload_len: header.payload_len, records: header.records, digest };
        self.segment.grow(|table| table.push(row, &prepared.frames));
        Ok(header.at)
    }

    fn write_all(&mut self, prepared: &mut Prepared, at: u64) -> Result<()> {
        let memory = prepared.lock();
        let jobs = self.shards.iter().enumerate().map(|(shard, open)| {
            let (memory, file, slot) = (memory.clone(), open.file.clone(), prepared.slot(shard));
            let write = move || {
                file.write_at(at, &memory[slot])?;
                file.sync().or_else(|error| match bug::is(Bug::RetriedSync) {
                    true => file.sync(),
                    false => Err(error),
                })
            };
            (&open.mount.lane, write)
        });
        let written = on_all("writing a stripe", jobs);
        prepared.unlock(memory);
        for (open, result) in self.shards.iter_mut().zip(&written) {
            open.mount.note_write(result);
            open.failed |= result.is_err();
        }
        written.into_iter().collect()
    }

    /// Whether every one of its volumes still takes writes: one may have become suspect through another segment.
    pub fn takes_writes(&self) -> bool {
        self.shards.iter().all(|open| open.mount.takes_stripes())
    }

    /// Whether the next stripe belongs into another segment.
    pub fn is_full(&self, segment_bytes_max: u64, records_max: u32) -> bool {
        let table = self.segment.table();
        let k = self.segment.identity.code.k() as u64;
        table.is_some_and(|table| table.end() * k >= segment_bytes_max || table.record_count() >= records_max)
    }

    /// Ends the segment: writes its footer behind everything written so far, on every shard that has not failed and whose
    /// volume takes writes. Gives the volumes where that failed, with the reason.
    pub fn close(self, now_ms: u64) -> Vec<(VolumeId, Error)> {
        let Some(table) = self.segment.table() else { return Vec::new() };
        let footer_at = self.written_to.max(table.end());
        let shards =
            self.shards.into_iter().enumerate().filter(|(_, open)| !open.failed && open.mount.volume.takes_writes());
        let shards: Vec<FooterShard> =
            shards.map(|(shard, OpenShard { mount, file, .. })| FooterShard { shard, mount, file }).collect();
        let closing = Closing { identity: self.segment.identity, by: ClosedBy::Writer, at_ms: now_ms, footer_at };
        let failures = write_footers(&table, closing, &shards);
        self.segment.stop(failures.len() < shards.len(), now_ms);
        failures
    }
}

/// The header of the stripe that comes next in a segment with this table.
pub fn next_header(identity: &Identity, table: &Table, prepared: &Prepared, written_ms: u64) -> StripeHeader {
    debug_assert_eq!(identity.suite, prepared.suite, "a segment has one suite");
    StripeHeader {
        suite: identity.suite,
        code: identity.code,
        segment: identity.id,
        hospital: identity.hospital,
        stripe_no: table.stripe_count().into(),
        at: table.end(),
        payload_len: prepared.payload_len,
        records: prepared.records(),
        written_ms,
        previous: table.chain(),
        units: prepared.units.clone(),
    }
}

/// A shard that is to get a footer, with a handle to write through.
pub struct FooterShard {
    /// which shard
    pub shard: usize,
    /// the volume it is on
    pub mount: Arc<Mount>,
    /// its file
    pub file: Arc<dyn MediaFile>,
}

/// Writes the footer of `table` on every one of `shards`; gives the volumes where that failed.
pub fn write_footers(table: &Table, closing: Closing, shards: &[FooterShard]) -> Vec<(VolumeId, Error)> {
    let footer = Arc::new(Footer::new(table, closing));
    let jobs = shards.iter().map(|FooterShard { shard, mount, file }| {
        let (footer, file, shard) = (footer.clone(), file.clone(), shard_no(*shard));
        let write = move || {
            file.write_at(footer.at(), &footer.for_shard(shard))?;
            file.sync()
        };
        (&mount.lane, write)
    });
    let written = on_all("writing a footer", jobs);
    let failures = shards.iter().zip(written).filter_map(|(FooterShard { mount, .. }, result)| {
        mount.note_write(&result);
        result.err().map(|error| (mount.id(), error))
    });
    failures.collect()
}

/// Removes the empty files of a segment that could not be begun. What cannot be removed is found empty at the next start.
fn discard(identity: Identity, mounts: &[Arc<Mount>], created: &[Result<Arc<dyn MediaFile>>]) {
    for (shard, (mount, result)) in mounts.iter().zip(created).enumerate() {
        let (media, path) = (mount.volume.media().clone(), identity.path(shard));
        if result.is_ok()
            && let Err(error) = mount.call("a removal", move || media.remove(&path))
        {
            tracing::warn!(volume = %mount.id(), %error, "an empty shard stays behind");
        }
    }
}

/// The bytes that a stripe of `payload_len` bytes, and a footer, need on each volume.
pub fn room_for(payload_len: u32, code: Code) -> u64 {
    const FOOTER_ROOM_BYTES: u64 = 16 * 1024 * 1024;
    slot_len(payload_len, code) + FOOTER_ROOM_BYTES
}
