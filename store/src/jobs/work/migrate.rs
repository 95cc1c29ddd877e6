//! The migrate job: closed segments to where the rules of `vault.toml` want them. What was done is on media, so a run needs
//! no cursor: the next one plans again and goes on.

use super::{Work, is_asked_for};
use crate::check::{Finding, Severity};
use crate::error::{Error, Result};
use crate::jobs::JobOptions;
use crate::jobs::report::{Figures, Gain};
use crate::migrate::{self, CLOCK_DOUBTED, Keep, MigrateRun, Move};
use crate::vault::Inner;
use shosoin_tiers::{Error as MediaError, Pace};

/// What is to be moved, and how far that is.
struct Migrate {
    run: MigrateRun,
    behind: u64,
    /// why nothing may move at all, said once
    doubted: bool,
}

/// What the rules of this vault want moved now.
pub fn begin(inner: &Inner, options: &JobOptions, _cursor: &[u8]) -> Result<Box<dyn Work>> {
    let parts = inner.migrate_parts();
    let mut moves = migrate::wanted(&parts, &inner.config.migrate, inner.records.reads())?;
    moves.retain(|wanted| is_asked_for(inner, options, wanted.segment));
    let doubted = !moves.is_empty() && !options.dry_run && !inner.media.clock_is_trusted(inner.clock.now_ms())?;
    Ok(Box::new(Migrate { run: MigrateRun::new(moves), behind: 0, doubted }))
}

impl Work for Migrate {
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>> {
        if std::mem::take(&mut self.doubted) {
            self.run = MigrateRun::new(Vec::new());
            return Ok(Some(left_out("clock-doubted", CLOCK_DOUBTED.to_owned())));
        }
        match self.run.step(&inner.migrate_parts(), pace) {
            Ok(None) => Ok(None),
            Ok(Some(moved)) => {
                self.behind += moved.written_bytes;
                let figures = Figures {
                    items: 1,
                    read_bytes: moved.bytes - moved.written_bytes,
                    written_bytes: moved.written_bytes,
                    reread_bytes: moved.written_bytes,
                    freed_bytes: moved.freed_bytes,
                    ..Figures::default()
                };
                Ok(Some(Gain { figures, ..Gain::default() }))
            }
            Err(Error::Media(MediaError::Stopped)) => Err(MediaError::Stopped.into()),
            Err(error @ Error::Media(_)) => Ok(Some(left_out("segment-stays-hot", error.problem().message))),
            Err(error) => Err(error),
        }
    }

    fn extent(&self, _inner: &Inner) -> (u64, Option<u64>) {
        let left: u64 = self.run.left().map(|wanted| wanted.bytes).sum();
        (self.behind, Some(self.behind + left))
    }

    fn plan(&self, _inner: &Inner) -> Vec<String> {
        let sentence = |wanted: &Move| {
            let Move { segment, hospital, bytes, keep } = wanted;
            let then = match keep {
                Keep::Both => "and stay on hot volumes too",
                Keep::Archive => "and leave the hot volumes",
            };
            format!("{bytes} bytes of segment {segment} of hospital {hospital} would go to the archive {then}")
        };
        match self.run.left().next() {
            Some(_) => self.run.left().map(sentence).collect(),
            None => vec!["no rule of vault.toml wants anything moved".to_owned()],
        }
    }
}

fn left_out(code: &'static str, message: String) -> Gain {
    let mut gain = Gain::default();
    gain.figures.short = 1;
    gain.found([Finding { severity: Severity::Degraded, code, message }])
}
