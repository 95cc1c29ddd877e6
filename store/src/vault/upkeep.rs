//! What a vault does about itself: it is checked, watches its audit log, keeps what it would miss, and closes.

use super::Inner;
use crate::audit::{Action, AuditEvent, AuditReport, Outcome};
use crate::check::{self, Check, CheckOptions, CheckReport, Finding, Severity};
use crate::desk::Desk;
use crate::error::Result;
use crate::journal::{VAULT, log_media};
use crate::{handover, shelf};
use shosoin_protocol::SegmentId;
use shosoin_tiers::Pace;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Inner {
    pub(crate) fn check(&self, options: &CheckOptions, pace: &dyn Pace) -> Result<CheckReport> {
        let desks = self.desks();
        let mut report = self.new_check(&desks).run(options, pace)?;
        report.findings.splice(0..0, self.still_true());
        self.check_quarantine(&mut report.findings)?;
        Ok(report)
    }

    /// A check of this vault.
    pub(crate) fn new_check<'a>(&'a self, desks: &'a [Arc<Desk>]) -> Check<'a> {
        let coming = handover::marked(&self.dir);
        Check::new(&self.tier, self.index.as_ref(), &self.identity, desks).expecting(coming)
    }

    /// What opening met and nothing has mended since.
    pub(crate) fn still_true(&self) -> Vec<Finding> {
        let mended = self.whole_segments();
        let still_true = self.findings.iter().filter(|finding| finding.severity > Severity::Notice);
        let still_true = still_true.filter(|finding| finding.code != check::UNLISTED);
        let still_true = still_true.filter(|finding| !mended.iter().any(|id| finding.message.contains(id)));
        self.unlisted().into_iter().chain(still_true.cloned()).collect()
    }

    /// Volumes of which nobody knows now all that is on them: what is missing may be there.
    fn unlisted(&self) -> Vec<Finding> {
        let unlisted = self.tier.mounted().into_iter().filter(|mounted| mounted.unlisted);
        let sentence = |mounted: shosoin_tiers::Mounted| {
            let (id, place) = (mounted.label.id, mounted.place);
            format!("volume {id} at {place} could not be listed: what is missing elsewhere may be on it")
        };
        let finding = |message| Finding { severity: Severity::Degraded, code: check::UNLISTED, message };
        unlisted.map(sentence).map(finding).collect()
    }

    /// Segments that have all their shards and wait for no repair: what opening met in them was mended since.
    fn whole_segments(&self) -> Vec<String> {
        let waiting: BTreeSet<SegmentId> = self.tier.repair_plan().iter().map(|item| item.segment).collect();
        let segments = self.tier.segments().into_iter();
        let whole =
            segments.filter(|segment| segment.shards.iter().all(Option::is_some) && !waiting.contains(&segment.id));
        whole.map(|segment| segment.id.to_string()).collect()
    }

    /// Ends sessions and grants of people whose time is over.
    pub(crate) fn sweep_accounts(&self) {
        if let Err(error) = self.accounts.sweep() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the end of a session or grant could not be recorded"
            );
        }
    }

    /// Puts reads whose minute is over on record, and looks whether there is room for the audit log.
    pub(crate) fn watch_log(&self) {
        let now_ms = self.clock.now_ms();
        let told =
            self.read_log.keep(now_ms, false).and_then(|()| self.watch_room(now_ms)).and_then(|()| self.watch_host());
        let told = told.and_then(|()| self.connections.keep(now_ms, false));
        let told = told.and_then(|()| self.watch_itself(now_ms)).and_then(|()| self.watch_time(now_ms));
        if let Err(error) = told {
            tracing::error!(error = &error as &dyn std::error::Error, "the audit log could not be written");
        }
    }

    fn watch_room(&self, now_ms: u64) -> Result<()> {
        let room = self.media.audit().room()?;
        if self.log_short.swap(room.is_short, Ordering::Relaxed) == room.is_short {
            return Ok(());
        }
        let why = format!("{} bytes free, {} kept for what ends", room.free_bytes, room.reserve_bytes);
        let event = AuditEvent::new(now_ms, VAULT, Action::LogSpace).because(why);
        match room.is_short {
            true => {
                tracing::error!(room.free_bytes, "there is too little room for the audit log: nothing new is begun");
                self.media.record(event.ended(Outcome::Findings)).map(drop)
            }
            false => self.media.record(event).map(drop),
        }
    }

    /// Verifies the audit log with its copies, and the accounts file against it.
    pub(crate) fn verify_log(&self) -> Result<AuditReport> {
        let mut report = self.volumes.verify_log()?;
        report.findings.extend(self.accounts.verify());
        Ok(report)
    }

    /// Records that the vault is closed, and copies the audit log to volumes.
    fn journal_closed(&self) -> Result<()> {
        self.read_log.keep(self.clock.now_ms(), true)?;
        self.connections.keep(self.clock.now_ms(), true)?;
        self.media.record(AuditEvent::new(self.clock.now_ms(), VAULT, Action::VaultStopped))?;
        self.media.record(AuditEvent::new(self.clock.now_ms(), VAULT, Action::LogStopped))?;
        let missed = self.media.audit().copy_to(&log_media(&self.tier));
        missed.iter().for_each(|finding| tracing::warn!("{}", finding.message));
        Ok(())
    }

    /// Writes down what is on archive volumes and when segments were read last.
    fn keep_shelf(&self) {
        if let Err(error) = shelf::keep_all(&self.dir, &self.tier, self.clock.now_ms()) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what is on archive volumes could not be written down"
            );
        }
        self.keep_reads();
    }

    /// Writes down when segments were read last, if that has changed. To lose it delays what moves.
    pub(crate) fn keep_reads(&self) {
        if let Err(error) = self.records.reads().keep() {
            tracing::warn!(error = &error as &dyn std::error::Error, "last reads could not be written down");
        }
    }

    pub(super) fn close(&self) -> Result<()> {
        self.jobs.control.close();
        self.keep_repairs()?;
        self.room.close();
        self.desks().iter().for_each(|desk| desk.committer().stop());
        let closed = self.tier.close();
        self.keep_shelf();
        self.journal_closed()?;
        Ok(closed?)
    }
}
