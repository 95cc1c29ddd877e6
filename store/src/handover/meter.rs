//! How far an export, a verification or an import has come.

use parking_lot::Mutex;
use serde::Serialize;

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// what is being done
    pub step: &'static str,
    /// entries of the ledger behind it
    pub entries: u64,
    /// entries in all, where known
    pub entries_total: u64,
    /// bytes behind it
    pub bytes: u64,
    /// bytes in all, where known
    pub bytes_total: u64,
}

/// Progress that others look at.
#[derive(Debug, Default)]
pub struct Meter {
    progress: Mutex<Progress>,
}

impl Meter {
    /// How far it has come.
    pub fn progress(&self) -> Progress {
        *self.progress.lock()
    }

    /// Begins a step; figures begin anew.
    pub fn begin(&self, step: &'static str, entries_total: u64, bytes_total: u64) {
        *self.progress.lock() = Progress { step, entries_total, bytes_total, ..Progress::default() };
    }

    /// This many entries are behind it.
    pub fn entries(&self, entries: u64) {
        self.progress.lock().entries = entries;
    }

    /// This many more bytes are behind it.
    pub fn add_bytes(&self, bytes: u64) {
        self.progress.lock().bytes += bytes;
    }
}
