//! Room for the audit log: watched before each record, so that what cannot be recorded is refused before it begins, and
//! nothing that began, failed or was refused goes unrecorded (7.6.12-M5b).
//!
//! Invariants
//! - Below the reserve no record is taken that begins something or changes something; records of what ends, fails, is refused
//!   or protects are, as long as there is a byte.
//! - Where the room cannot be measured it is taken to be there: the write itself will say.
//!
//! Not here: telling people (`jobs/log_watch.rs`), and what happens when a write fails (the log takes nothing more).

use super::{Action, AuditEvent, Outcome};
use crate::error::{Error, Result};
use serde::Serialize;
use shosoin_tiers::media::{FileMedia, FileOptions, Media};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Kept free for records of what ends, unless the operator says otherwise: months of them.
pub const RESERVE_BYTES: u64 = 64 << 20;

/// How much room there is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LogRoom {
    /// bytes free where it is
    pub free_bytes: u64,
    /// bytes below which nothing new is begun
    pub reserve_bytes: u64,
    /// whether that is so now
    pub is_short: bool,
}

/// Watches the room in one folder.
#[derive(Debug)]
pub(super) struct Watch {
    folder: PathBuf,
    reserve_bytes: AtomicU64,
}

impl Watch {
    /// Nothing is kept free until somebody says how much.
    pub(super) fn new(folder: &Path) -> Self {
        Watch { folder: folder.to_owned(), reserve_bytes: AtomicU64::new(0) }
    }

    pub(super) fn keep_free(&self, reserve_bytes: u64) {
        self.reserve_bytes.store(reserve_bytes, Ordering::Relaxed);
    }

    pub(super) fn look(&self) -> Result<LogRoom> {
        let media = FileMedia::open(&self.folder, FileOptions { exclusive: false, ..FileOptions::default() })?;
        let (free_bytes, reserve_bytes) = (media.space()?.free_bytes, self.reserve_bytes.load(Ordering::Relaxed));
        Ok(LogRoom { free_bytes, reserve_bytes, is_short: free_bytes < reserve_bytes })
    }

    /// Refuses an event that begins something while room is short.
    pub(super) fn lets_through(&self, event: &AuditEvent) -> Result<()> {
        if self.reserve_bytes.load(Ordering::Relaxed) == 0 || may_use_the_reserve(event) {
            return Ok(());
        }
        match self.look() {
            Ok(LogRoom { free_bytes, reserve_bytes, is_short: true }) => {
                Err(Error::AuditFull { path: self.folder.clone(), free_bytes, reserve_bytes })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a record is of something that ends, failed, was refused or protects: those are written to the last byte.
fn may_use_the_reserve(event: &AuditEvent) -> bool {
    use Action::{
        AccountSuspended, AccountsConfirmed, BreakGlassEnded, ClockJumped, Connected, LogRead, LogRestored, LogSpace,
        LogStarted, LogStopped, LoggedOff, LoggedOn, PageAsked, RecordsRead, SelfChecked, TimeAgreement, VaultStarted,
        VaultStopped, VolumeState,
    };
    match event.outcome {
        Outcome::Refused | Outcome::Failed | Outcome::Stopped | Outcome::Findings => true,
        Outcome::Begun => matches!(event.action, RecordsRead | Connected),
        Outcome::Done => {
            let code = event.action.code();
            let ends_work = (Action::Check.code()..=Action::Rebuild.code()).contains(&code)
                || (Action::Disposed.code()..=Action::DisposalCertified.code()).contains(&code);
            let protects = matches!(event.action, AccountSuspended | AccountsConfirmed | VolumeState | ClockJumped);
            let looks = matches!(
                event.action,
                LoggedOn
                    | LoggedOff
                    | BreakGlassEnded
                    | LogRead
                    | PageAsked
                    | RecordsRead
                    | Connected
                    | SelfChecked
                    | TimeAgreement
            );
            let of_the_log =
                matches!(event.action, LogSpace | LogStarted | LogStopped | LogRestored | VaultStarted | VaultStopped);
            ends_work || protects || looks || of_the_log
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_room_is_short_nothing_begins_and_what_ends_is_still_recorded_7_6_12_m5() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch::new(folder.path());
        let event = |action, outcome| AuditEvent::new(1, "hanako", action).ended(outcome);
        assert!(watch.lets_through(&event(Action::VolumeAdded, Outcome::Done)).is_ok(), "nothing is kept free yet");
        watch.keep_free(u64::MAX);
        for (action, outcome) in [
            (Action::VolumeAdded, Outcome::Done),
            (Action::Scrub, Outcome::Begun),
            (Action::AccountRoles, Outcome::Done),
            (Action::ApprovalGiven, Outcome::Done),
            (Action::AgreementSigned, Outcome::Done),
        ] {
            let refused = watch.lets_through(&event(action, outcome)).unwrap_err();
            assert!(matches!(refused, Error::AuditFull { .. }), "{action}: {refused}");
        }
        for (action, outcome) in [
            (Action::Scrub, Outcome::Done),
            (Action::Scrub, Outcome::Failed),
            (Action::CommandRefused, Outcome::Refused),
            (Action::AccountSuspended, Outcome::Done),
            (Action::LogStopped, Outcome::Done),
        ] {
            assert!(watch.lets_through(&event(action, outcome)).is_ok(), "{action} {outcome}");
        }
        watch.keep_free(1);
        assert!(watch.lets_through(&event(Action::VolumeAdded, Outcome::Done)).is_ok());
    }
}
