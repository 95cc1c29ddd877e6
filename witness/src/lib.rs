//! A witness: somebody outside who co-signs the heads of a log after seeing that each continues the one before, so that a
//! log cannot show two histories to two people. It holds no data and no secret but its own key, and serves any log that
//! speaks the public protocol.
//!
//! In reading order: [`request`] reads what is asked and judges it, [`state`] remembers the newest head of each log on
//! disk, [`server`] answers over HTTP.
//!
//! Invariants
//! - A head is on disk, synced, before its cosignature leaves; judging and remembering are one step for each log. So no
//!   kill makes it sign two heads of which neither continues the other.
//! - It signs nothing of a log that its operator did not add, and nothing that the log's key did not sign.
//! - Requests are bounded in size, number and time.
//! - A witness whose folder was lost or came from a backup must not go on: it would have forgotten. Make a new one.
//!
//! Source: the C2SP texts `tlog-witness`, `tlog-cosignature`, `tlog-checkpoint` and `signed-note`.

mod error;
pub mod request;
pub mod server;
pub mod state;

pub use error::Error;
pub use server::{Server, ServerOptions};
pub use state::{KnownLog, Witness};

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
