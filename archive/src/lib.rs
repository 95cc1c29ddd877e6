//! Volumes in object stores: a prefix of a bucket is a medium like a disk or a tape is one, and takes the same shard files.
//!
//! In reading order: [`Address`] is where a volume is, [`Credentials`] what its store asks for, [`open`] makes both into an
//! [`ObjectMedia`], which implements [`shosoin_tiers::Media`]. `keys` says which object stands for what, `upload` and
//! `reader` are its open files, [`Bridge`] is how synchronous callers wait for an asynchronous store, and [`Fault`] is what
//! a store's answer means to a person.
//!
//! Invariants
//! - An object appears whole or not at all. What was uploaded is read back and compared by digest before `sync` says yes.
//! - A file that exists is never created again; where two try at once the store decides.
//! - After a failed write or sync a handle refuses everything.
//! - What cannot be listed, reached or read is an error that says so, never an empty folder or a missing file.
//! - No credential is in any error, log or `Debug` text: answers of stores are read for their code and then dropped.
//!
//! Not here: mounted disks and tapes, which are folders (`tiers::media::FileMedia`); which segments move when (`store`).

mod address;
mod bridge;
mod connect;
mod credentials;
mod error;
mod fault;
mod keys;
mod media;
mod reader;
mod upload;

pub use address::{Address, Provider};
pub use bridge::Bridge;
pub use connect::open;
pub use credentials::{Credentials, Secrets};
pub use error::{Error, Result};
pub use fault::Fault;
pub use media::{Limits, ObjectMedia, PART_BYTES, SPACE_BYTES};
