//! The compact job: sparse segments. A record ends its life only by a disposal, and nothing here disposes of anything, so
//! every record of every segment lives and no segment is sparse.

use super::Work;
use crate::error::Result;
use crate::jobs::JobOptions;
use crate::jobs::report::Gain;
use crate::vault::Inner;
use shosoin_tiers::Pace;

/// Nothing is sparse.
struct Nothing;

/// The sparse segments.
pub fn begin(_inner: &Inner, _options: &JobOptions) -> Result<Box<dyn Work>> {
    Ok(Box::new(Nothing))
}

impl Work for Nothing {
    fn step(&mut self, _inner: &Inner, _pace: &dyn Pace) -> Result<Option<Gain>> {
        Ok(None)
    }

    fn extent(&self, _inner: &Inner) -> (u64, Option<u64>) {
        (0, Some(0))
    }

    fn plan(&self, _inner: &Inner) -> Vec<String> {
        vec!["every record of every segment lives: nothing to compact".to_owned()]
    }
}
