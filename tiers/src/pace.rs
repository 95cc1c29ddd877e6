//! Pace: how fast background work may go, and when it must stop. The engine asks before each piece of at most a few MiB
//! is read or written; whoever runs the work decides, by rate, by window, or by how busy clients are.

use crate::Result;

/// Decides when the next piece may be read or written.
pub trait Pace: Send + Sync {
    /// Called with the length of each piece before it is read or written; may wait.
    /// [`Error::Stopped`](crate::Error::Stopped) ends the work at the next safe point, and whatever else it gives too.
    fn spend(&self, bytes: u64) -> Result<()>;
}

/// As fast as the media can, and never stopped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unpaced;

impl Pace for Unpaced {
    fn spend(&self, _bytes: u64) -> Result<()> {
        Ok(())
    }
}
