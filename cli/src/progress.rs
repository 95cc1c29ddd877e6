//! Progress of long work on a terminal: bytes, rate, time left. Work of less than two seconds, and work that nobody
//! watches, shows none.

use crate::output::Output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Duration;

/// Work shorter than this shows nothing.
const QUIET: Duration = Duration::from_secs(2);
/// Longest time between two drawings while nothing moves.
const TICK: Duration = Duration::from_millis(500);

/// Progress of one piece of work; gone from the screen when dropped.
pub struct Progress {
    bar: ProgressBar,
    watched: bool,
}

impl Progress {
    /// Progress over `total` bytes, where that is known.
    pub fn bytes(output: Output, what: &'static str, total: Option<u64>) -> Self {
        let known = "{prefix} {bytes} of {total_bytes} [{bar:30}] {bytes_per_sec}, {eta} left";
        let unknown = "{prefix} {bytes}, {bytes_per_sec}";
        Self::with_style(output, what, total, if total.is_some() { known } else { unknown })
    }

    /// Progress over `total` things.
    pub fn count(output: Output, what: &'static str, total: Option<u64>) -> Self {
        Self::with_style(output, what, total, "{prefix} {pos} of {len} [{bar:30}] {per_sec}, {eta} left")
    }

    fn with_style(output: Output, what: &'static str, total: Option<u64>, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden()).with_prefix(what);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, watched: !output.is_json() && std::io::stderr().is_terminal() }
    }

    /// `done` more is done.
    pub fn add(&self, done: u64) {
        self.bar.inc(done);
        self.show();
    }

    /// `done` of `total` is done.
    pub fn set(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.show();
    }

    fn show(&self) {
        if self.watched && self.bar.is_hidden() && self.bar.elapsed() > QUIET {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(TICK);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
