//! Hand-over: everything of one hospital on a medium that leaves the house, as a package that the next provider, the
//! hospital, or anyone with `docs/format.md` can read and check (guideline 6.2-R7).
//!
//! [`export`] writes a package while the hospital works, and goes on where it was stopped. [`verify`] judges one with no key
//! at all. `contents` says what an entry of the ledger needs beside it, and `package` opens what is there. [`HandoverCommand`] is what an operator asks for.
//!
//! Invariants
//! - A package is never changed by whoever reads it.
//! - What is said of a package was read from it: its manifest says only what should be there.
//! - Nothing here opens anything: a package is as sealed as the vault it came from.

mod command;
mod contents;
pub mod export;
mod meter;
mod package;
mod scratch;
pub mod verify;

pub use command::{HandoverCommand, HandoverRun};
pub use export::{ExportOptions, ExportReport};
pub use meter::{Meter, Progress};
pub use verify::{VerifyOptions, VerifyReport};
