//! The migrate job: closed segments to the tier their policy names.

use super::Work;
use crate::error::Result;
use crate::jobs::JobOptions;
use crate::jobs::report::Gain;
use crate::vault::Inner;
use shosoin_tiers::Pace;

/// Nothing to move: this vault has no policy.
struct Nothing;

/// What the policy of this vault wants moved.
pub fn begin(_inner: &Inner, _options: &JobOptions, _cursor: &[u8]) -> Result<Box<dyn Work>> {
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
        vec!["no policy moves segments between tiers".to_owned()]
    }
}
