//! The forecast job: works out anew, once a day, which media expire when and whether what must move still fits.

use super::Work;
use crate::error::Result;
use crate::jobs::report::Gain;
use crate::vault::Inner;
use shosoin_tiers::Pace;

/// A forecast.
#[derive(Default)]
pub struct Forecast {
    done: bool,
}

impl Work for Forecast {
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>> {
        pace.spend(0)?;
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        inner.refresh_forecast().map(Some)
    }

    fn extent(&self, _inner: &Inner) -> (u64, Option<u64>) {
        (0, None)
    }

    fn plan(&self, _inner: &Inner) -> Vec<String> {
        vec!["the forecast of all media would be worked out anew".to_owned()]
    }
}
