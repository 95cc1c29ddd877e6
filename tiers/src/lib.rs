//! Opaque records on media. This crate keeps bytes that it cannot read, on media that will fail, and gives them back
//! exactly or says that it cannot.
//!
//! From the bottom up: [`media`] is the storage of one volume and [`durable`] the one way a file on it is replaced;
//! [`layout`] names what is where. A [`volume`] is a medium with a label. [`placement`] chooses volumes for the shards of a
//! segment, and [`erasure`] computes them. A [`Record`] lies in a [`stripe`] of a segment, and a [`footer`] says what a
//! closed segment holds; a [`Tier`] is all volumes of one media class and every segment on them. Damage that was seen and
//! worked around is a [`Finding`].
//!
//! A write goes `prepare` (gather, encode, digest, in one pass) to `writer` (headers, then write and sync on the `lane` of
//! every volume at once). A read takes a record's own bytes (`read`) or, where they are not what their address says, the
//! whole stripe (`load`), which then waits for repair (`queue`). A start lists what is there (`catalogue`) and closes what nobody
//! closed (`recovery`); `check` reads all of a segment.
//!
//! What is bad or missing is written anew, whole, by `rewrite`: one pass through the good shards by the `blueprint` of the
//! segment, into a `new_shard` that counts only after it was read back. `repair` brings shards back, `copy_forward` moves
//! them to a `target`, a [`Drain`] empties a volume, and `compact` moves the records that still matter out of a segment.
//!
//! What leaves the house is written by [`pack`], onto one medium in whole files.
//!
//! A [`Tour`] reads everything on a volume, copy by copy: `scrub` verifies one as it comes in by `stream`, at the medium's
//! own speed and the [`Pace`] it is given, against the `outline` that the other copies give of it. No volume is waited for
//! without end (`wait`), and one that was away is looked at before it counts again (`returning`).
//!
//! Everything here is synchronous. Time, randomness and media are injected ([`clock`], [`media`]).

mod access;
mod blueprint;
mod bounded;
pub mod buffer;
#[cfg(feature = "known-bugs")]
pub mod bug;
#[cfg(not(feature = "known-bugs"))]
mod bug;
mod catalogue;
mod check;
pub mod clock;
mod closed;
mod code;
mod compact;
mod copies;
mod copy_forward;
mod drain;
pub mod durable;
mod erase;
pub mod erasure;
mod error;
mod finding;
pub mod footer;
pub mod forecast;
pub mod gap;
mod job;
mod lane;
pub mod layout;
mod level;
pub mod life;
mod load;
pub mod media;
mod migrate;
mod mount;
mod new_shard;
mod outline;
mod pace;
pub mod pack;
pub mod placement;
mod pool;
mod prepare;
mod queue;
mod read;
mod record;
mod recovery;
pub mod removed;
mod repair;
mod returning;
mod rewrite;
mod scrub;
mod segment;
mod stream;
pub mod stripe;
mod target;
mod tier;
mod tour;
mod unit;
pub mod volume;
mod volumes;
mod wait;
pub mod what_if;
mod writer;

pub use buffer::AlignedBuf;
pub use clock::{Clock, Random, SystemClock, SystemRandom};
pub use code::Code;
pub use compact::{Compacted, Gain, Moved};
pub use copy_forward::{Copied, VerifiedCopy};
pub use drain::{Drain, DrainCounters, DrainPhase, DrainStep};
pub use erase::{ErasedCopy, How};
pub use erasure::Erasure;
pub use error::Error;
pub use finding::{Defect, Finding, Place, Severity};
pub use level::Level;
pub use media::{Media, MediaFile};
pub use migrate::{Migration, MigrationPhase, MigrationStep};
pub use pace::{Pace, Unpaced};
pub use queue::{RepairItem, Setback};
pub use record::{FRAME_LEN, Frame, Location, Record};
pub use repair::Repaired;
pub use scrub::{Scrubbed, ShardOnVolume, ShardRef};
pub use segment::Identity;
pub use tier::{
    Committed, SegmentInfo, SegmentState, Threads, Tier, TierCounters, TierOptions, VolumeState, VolumeStatus, Walked,
};
pub use tour::{Tour, TourCounters};
pub use volume::{Volume, VolumeLabel};
pub use volumes::Mounted;

/// Result of every call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
