//! Records by address: what is held, and the bytes themselves.
//!
//! Invariants
//! - "Held" is said only of a record this process has stored, or whose frame was just read on media.
//! - Bytes are verified against their address by `tiers`; a wrong row gives an error, never other bytes.
//! - A record that no entry names is not offered to uploads any more, and one that is about to go is not held.

use crate::error::{Error, Result};
use crate::index::Index;
use crate::reads::Reads;
use crate::rows::{self, RecordRow, Rows, UnnamedRow};
use crate::shelf;
use bytes::Bytes;
use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use shosoin_protocol::{Address, HospitalId, SegmentId, Suite};
use shosoin_tiers::{Clock, Error as MediaError, Location, Tier};
use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// Records this process remembers to be on media without looking again: what one large upload in flight needs.
const RECENT_MAX: NonZeroUsize = NonZeroUsize::new(64 * 1024).unwrap();

/// Every record of every hospital.
pub struct Records {
    index: Arc<dyn Index>,
    tier: Arc<Tier>,
    recent: Mutex<LruCache<(HospitalId, Address), ()>>,
    reads: Reads,
    going: RwLock<HashSet<(HospitalId, Address)>>,
}

/// Records that are about to go: they are not held while this lives.
pub struct Going<'a> {
    records: &'a Records,
    addresses: Vec<(HospitalId, Address)>,
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        let mut going = self.records.going.write();
        for address in &self.addresses {
            going.remove(address);
        }
    }
}

impl Records {
    /// Records on `tier`, as `index` remembers them.
    pub fn new(dir: &Path, index: Arc<dyn Index>, tier: Arc<Tier>, clock: Arc<dyn Clock>) -> Self {
        Records {
            index,
            tier,
            recent: Mutex::new(LruCache::new(RECENT_MAX)),
            reads: Reads::open(dir, clock),
            going: RwLock::default(),
        }
    }

    /// When each segment was read last.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The row of a record that is held. A row that media do not confirm is as good as none: the record is sent again,
    /// which costs its bytes and nothing else.
    pub fn held(&self, hospital: HospitalId, address: &Address) -> Result<Option<RecordRow>> {
        let Some(row) = self.row(hospital, address)? else { return Ok(None) };
        if self.going.read().contains(&(hospital, *address)) {
            return Ok(None);
        }
        if self.recent.lock().get(&(hospital, *address)).is_some() {
            return Ok(Some(row));
        }
        match self.tier.peek(&row.at, address) {
            Ok(true) => {
                self.stored(hospital, [*address]);
                Ok(Some(row))
            }
            Ok(false) => Ok(None),
            Err(_) if self.row(hospital, address)?.is_some_and(|moved| moved.at != row.at) => {
                self.held(hospital, address)
            }
            Err(error) => {
                tracing::warn!(%hospital, %address, %error, "record of the index could not be confirmed on media");
                Ok(None)
            }
        }
    }

    /// The row of a record that is held and may be built upon: it was not found to be named by no entry. What an upload was
    /// told before that was found stays [held](Self::held) for as long as the upload may take.
    pub fn offered(&self, hospital: HospitalId, address: &Address) -> Result<Option<RecordRow>> {
        let Some(row) = self.held(hospital, address)? else { return Ok(None) };
        let unnamed = self.index.row::<UnnamedRow>(&rows::unnamed_key(hospital, address))?;
        Ok(unnamed.is_none_or(|unnamed| unnamed.at != row.at).then_some(row))
    }

    /// From now on these records are not held.
    pub fn begin_going(&self, hospital: HospitalId, addresses: impl IntoIterator<Item = Address>) -> Going<'_> {
        let addresses: Vec<_> = addresses.into_iter().map(|address| (hospital, address)).collect();
        self.going.write().extend(addresses.iter().copied());
        Going { records: self, addresses }
    }

    fn row(&self, hospital: HospitalId, address: &Address) -> Result<Option<RecordRow>> {
        self.index.row::<RecordRow>(&rows::record_key(hospital, address))
    }

    /// Remembers records that were just made durable.
    pub fn stored(&self, hospital: HospitalId, addresses: impl IntoIterator<Item = Address>) {
        let mut recent = self.recent.lock();
        for address in addresses {
            recent.put((hospital, address), ());
        }
    }

    /// Whether enough of a segment is mounted to read it.
    fn is_in_sight(&self, segment: SegmentId) -> bool {
        shelf::away(&*self.index, &self.tier, segment).is_ok_and(|away| away.needed == 0)
    }

    /// The bytes of a record.
    pub fn read(&self, hospital: HospitalId, suite: Suite, address: &Address) -> Result<Bytes> {
        self.read_through(hospital, address, |at| self.tier.read(suite, at, address))
    }

    /// The bytes of a record, from media and from no cache: what an audit is answered with.
    pub fn read_on_media(&self, hospital: HospitalId, suite: Suite, address: &Address) -> Result<Bytes> {
        self.read_through(hospital, address, |at| self.tier.read_on_media(suite, at, address))
    }

    fn read_through(
        &self,
        hospital: HospitalId,
        address: &Address,
        read_at: impl Fn(&Location) -> Result<Bytes, MediaError>,
    ) -> Result<Bytes> {
        let not_found = || Error::NotFound { what: "record", id: address.to_string() };
        let mut row = self.row(hospital, address)?.ok_or_else(not_found)?;
        let read = loop {
            let read = read_at(&row.at);
            match read {
                Err(MediaError::SegmentUnknown { .. }) => {}
                read => break read,
            }
            // A compaction may have moved it since the row was read.
            match self.row(hospital, address)?.ok_or_else(not_found)? {
                moved if moved.at != row.at => row = moved,
                _ => break read,
            }
        };
        match read {
            Ok(bytes) => {
                self.reads.note(row.at.segment);
                Ok(bytes)
            }
            // a medium that came back while it was read makes it readable now
            Err(MediaError::RecordUnreadable { .. }) if self.is_in_sight(row.at.segment) => {
                let again = read_at(&row.at);
                again.map_err(|error| shelf::explain(&*self.index, &self.tier, row.at.segment, error))
            }
            Err(error) => Err(shelf::explain(&*self.index, &self.tier, row.at.segment, error)),
        }
    }
}
