//! Hand-over: everything of one hospital on a medium that leaves the house, as a package that the next provider, the
//! hospital, or anyone with `docs/format.md` can read and check (guideline 6.2-R7).
//!
//! [`export`] writes a package while the hospital works, and goes on where it was stopped; the last run ends the log. [`verify`]
//! judges one with no key at all. [`import`] takes a hospital over: its ledger goes on here, behind what it was. `contents` says
//! what an entry of the ledger needs beside it, `package` opens what is there, `ending` is how a log ends and goes on, and
//! [`timestamps`] keeps the hospital's timestamped heads and sends them along.
//! [`HandoverCommand`] is what an operator asks for.
//!
//! Invariants
//! - A package is never changed by whoever reads it.
//! - What is said of a package was read from it: its manifest says only what should be there.
//! - A log ends, and a hospital is taken over, only on the hospital's signed word, which names the vault that receives.
//! - Nothing here opens anything: a package is as sealed as the vault it came from.

mod command;
mod contents;
mod ending;
pub mod export;
pub mod import;
mod meter;
mod package;
mod scratch;
pub mod timestamps;
pub mod verify;

pub use command::{HandoverCommand, HandoverRun};
pub use ending::HandoverStatus;
pub(crate) use ending::{lineage, taken_over};
pub use export::{ExportOptions, ExportReport};
pub use import::{ImportOptions, ImportReport};
pub(crate) use import::{is_coming, marked};
pub use meter::{Meter, Progress};
pub use verify::{VerifyOptions, VerifyReport};
