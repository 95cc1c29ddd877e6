//! Looking ahead: what a loss would cost, and what the coming months must move.

use super::{MARGIN_MS, Volumes};
use crate::audit::MediaState;
use crate::error::{Error, Result};
use crate::media_facts::is_expected;
use crate::media_ledger::Medium;
use serde::{Deserialize, Serialize};
use shosoin_tiers::VolumeLabel;
use shosoin_tiers::forecast::{self, Expiry, MONTH_MS, MONTHS, MONTHS_MAX, Question};
use shosoin_tiers::life::Pace;
use shosoin_tiers::what_if::{self, Hit, Loss};

/// Segments of a report that are listed by id; the counts are always whole.
const LISTED_MAX: usize = 1000;

/// What a loss would cost.
#[derive(Debug, Clone, Serialize)]
pub struct WhatIfReport {
    /// the losses that were imagined
    pub lose: Vec<String>,
    /// volumes that would be gone
    pub volumes: Vec<String>,
    /// segments that could not be read any more
    pub lost: usize,
    /// bytes of records in them
    pub lost_bytes: u64,
    /// segments that would have fewer shards
    pub degraded: usize,
    /// segments it would not touch
    pub untouched: usize,
    /// segments that cannot be read even now
    pub lost_already: usize,
    /// the lost ones, then those with the least to spare
    pub segments: Vec<SegmentHit>,
    /// one lot, firmware, host, power feed, rack or device that holds more shards of a segment than may be lost
    pub violations: Vec<String>,
}

/// One segment that a loss would touch.
#[derive(Debug, Clone, Serialize)]
pub struct SegmentHit {
    /// segment id, hex
    pub segment: String,
    /// hospital id, hex
    pub hospital: String,
    /// shards left
    pub left: usize,
    /// shards needed
    pub needed: usize,
    /// bytes of records in it
    pub payload_bytes: u64,
}

impl From<&Hit> for SegmentHit {
    fn from(hit: &Hit) -> Self {
        let (segment, hospital) = (hit.segment.to_string(), hit.hospital.to_string());
        SegmentHit { segment, hospital, left: hit.left, needed: hit.needed, payload_bytes: hit.payload_bytes }
    }
}

/// Growth that somebody gave.
const GROWTH_GIVEN: &str = "given";
/// Growth that nobody gave.
const GROWTH_GUESSED: &str =
    "guessed: the bytes on media now, over the months since the oldest of them was first used; --growth says it better";

/// What to forecast; what is not given is measured or taken from the ledger.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForecastRequest {
    /// months
    pub months: Option<u32>,
    /// bytes in a second while a copy runs
    pub bytes_per_second: Option<u64>,
    /// hours of a week in which copies may run, wherever they lie; the windows of the schedule if it is not given
    pub hours_per_week: Option<u32>,
    /// drives that copy at the same time
    pub drives: Option<u32>,
    /// bytes of shards that come in newly each month
    pub growth_bytes_per_month: Option<u64>,
}

/// The coming months.
#[derive(Debug, Clone, Serialize)]
pub struct ForecastReport {
    /// when it was made, in milliseconds since 1970
    pub now_ms: u64,
    /// whether the clock can be believed; dates mean nothing where it cannot
    pub clock_trusted: bool,
    /// bytes in a second that were reckoned with
    pub bytes_per_second: u64,
    /// hours of a week that were reckoned with
    pub hours_per_week: u32,
    /// drives that were reckoned with
    pub drives: u32,
    /// growth that was reckoned with, in bytes of shards each month
    pub growth_bytes_per_month: u64,
    /// where that comes from
    pub growth_basis: &'static str,
    /// time between the last byte moved and the end of a life, in milliseconds
    pub margin_ms: u64,
    /// by month
    pub months: Vec<ForecastMonth>,
    /// media whose life ends within the forecast
    pub expiring: Vec<Expiring>,
    /// the first month, from 0, in which hours or room are missing
    pub first_misfit: Option<u32>,
    /// media that state the same lot, firmware and so on: they may fail together
    pub shared_fates: Vec<SharedFate>,
}

/// One month of a forecast.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForecastMonth {
    /// its beginning, in milliseconds since 1970
    pub begins_ms: u64,
    /// volumes whose shards must begin to move in it
    pub begin: Vec<String>,
    /// bytes of those
    pub bytes: u64,
    /// drive-hours that are needed
    pub hours_needed: u64,
    /// drive-hours that there are
    pub hours_available: u64,
    /// drive-hours that do not fit
    pub hours_left_over: u64,
    /// bytes that have no room
    pub bytes_without_room: u64,
}

/// A medium whose life ends.
#[derive(Debug, Clone, Serialize)]
pub struct Expiring {
    /// volume id, hex
    pub volume: String,
    /// where it is
    pub place: String,
    /// when its life ends, in milliseconds since 1970
    pub ends_ms: u64,
    /// when its shards must begin to move, in milliseconds since 1970
    pub latest_start_ms: u64,
    /// bytes on it
    pub bytes: u64,
}

/// Media that share what may take them together.
#[derive(Debug, Clone, Serialize)]
pub struct SharedFate {
    /// `lot`, `firmware`, `host`, `power`, `rack`, `device` or `site`
    pub kind: &'static str,
    /// the text they share
    pub value: String,
    /// volume ids, hex
    pub volumes: Vec<String>,
}

impl Volumes {
    fn labels(&self) -> Vec<VolumeLabel> {
        let kept = |medium: &&Medium| is_expected(medium.state) || medium.state == MediaState::OnShelf;
        self.ledger.media().iter().filter(kept).map(|medium| medium.label.clone()).collect()
    }

    /// What would be lost if all of these happened together: `volume:<id>`, `lot:<text>`, `rack:<text>` and so on.
    pub fn what_if(&self, lose: &[String]) -> Result<WhatIfReport> {
        let labels = self.labels();
        let losses = lose.iter().map(|text| self.loss(text)).collect::<Result<Vec<Loss>>>()?;
        if let Some(loss) = losses.iter().find(|loss| !labels.iter().any(|label| loss.takes(label))) {
            return Err(Error::UnknownVolume { volume: loss.to_string() });
        }
        let copies = self.tier.copies();
        let what = what_if::what_if(&copies, &labels, &losses);
        let mut hits: Vec<&Hit> = what.lost.iter().chain(&what.degraded).collect();
        hits.sort_by_key(|hit| hit.left.saturating_sub(hit.needed));
        let violations = what_if::violations(&copies, &labels);
        let told = violations.iter().take(LISTED_MAX).map(|found| {
            let what_if::Violation { segment, fate, value, shards, allowed } = found;
            format!("segment {segment} has {shards} shards in {} {value}, at most {allowed} may be", fate.name())
        });
        Ok(WhatIfReport {
            lose: losses.iter().map(Loss::to_string).collect(),
            volumes: what.volumes.iter().map(ToString::to_string).collect(),
            lost: what.lost.len(),
            lost_bytes: what.lost.iter().map(|hit| hit.payload_bytes).sum(),
            degraded: what.degraded.len(),
            untouched: what.untouched,
            lost_already: what.lost_already,
            segments: hits.into_iter().take(LISTED_MAX).map(SegmentHit::from).collect(),
            violations: told.collect(),
        })
    }

    fn loss(&self, text: &str) -> Result<Loss> {
        if let Some(name) = text.strip_prefix("volume:") {
            return Ok(Loss::Volume(self.ledger.find(name)?.label.id));
        }
        let why = "it is volume:ID, or lot:, firmware:, host:, power:, rack:, device: or site: with a text of labels";
        Loss::parse(text).ok_or(Error::Argument { what: "loss", why: why.to_owned() })
    }

    /// The coming months.
    pub fn forecast(&self, request: &ForecastRequest) -> Result<ForecastReport> {
        let wrong = |what, why: String| Err(Error::Argument { what, why });
        let months = request.months.unwrap_or(MONTHS);
        if months == 0 || months > MONTHS_MAX {
            return wrong("months", format!("it is 1 to {MONTHS_MAX}"));
        }
        let hours_per_week = request.hours_per_week.unwrap_or_else(|| self.week.hours());
        if hours_per_week > 168 {
            return wrong("hours per week", "a week has 168".to_owned());
        }
        let now_ms = self.now_ms();
        let media = self.forecast_media();
        let bytes_per_second = request.bytes_per_second.unwrap_or_else(|| self.ledger.measured_rate());
        let growth_basis = if request.growth_bytes_per_month.is_some() { GROWTH_GIVEN } else { GROWTH_GUESSED };
        let growth = request.growth_bytes_per_month.unwrap_or_else(|| growth(&media, now_ms));
        let question = Question {
            now_ms,
            months,
            media: &media,
            pace: Pace { bytes_per_second, hours_per_week },
            week: request.hours_per_week.is_none().then_some(&self.week),
            drives: request.drives.unwrap_or(1),
            growth_bytes_per_month: growth,
            margin_ms: MARGIN_MS,
        };
        let found = forecast::forecast(&question);
        let clock_trusted = self.ledger.clock_is_trusted(now_ms)?;
        Ok(ForecastReport {
            now_ms,
            clock_trusted,
            bytes_per_second,
            hours_per_week,
            drives: question.drives,
            growth_bytes_per_month: growth,
            growth_basis,
            margin_ms: MARGIN_MS,
            months: found.months.iter().map(ForecastMonth::from).collect(),
            expiring: found.expiring.iter().map(|expiry| self.expiring(expiry)).collect(),
            first_misfit: found.first_misfit,
            shared_fates: what_if::shared_fates(&self.labels())
                .into_iter()
                .map(|(fate, value, volumes)| SharedFate {
                    kind: fate.name(),
                    value,
                    volumes: volumes.iter().map(ToString::to_string).collect(),
                })
                .collect(),
        })
    }

    fn forecast_media(&self) -> Vec<forecast::Medium> {
        let statuses = self.tier.volumes();
        let of = |medium: &Medium| {
            let status = statuses.iter().find(|status| status.id == medium.label.id);
            let writable = matches!(medium.state, MediaState::New | MediaState::Active) && status.is_some();
            forecast::Medium {
                ends_ms: medium.ends_ms(),
                used_bytes: self.used_bytes(medium.label.id),
                free_bytes: status.and_then(|status| status.free_bytes),
                takes_writes: writable,
                label: medium.label.clone(),
            }
        };
        let kept = |medium: &&Medium| is_expected(medium.state) || medium.state == MediaState::OnShelf;
        self.ledger.media().iter().filter(kept).map(of).collect()
    }

    fn expiring(&self, expiry: &Expiry) -> Expiring {
        Expiring {
            volume: expiry.volume.to_string(),
            place: self.ledger.get(expiry.volume).map(|medium| medium.place).unwrap_or_default(),
            ends_ms: expiry.ends_ms,
            latest_start_ms: expiry.latest_start_ms,
            bytes: expiry.bytes,
        }
    }
}

impl From<&forecast::Month> for ForecastMonth {
    fn from(month: &forecast::Month) -> Self {
        ForecastMonth {
            begins_ms: month.begins_ms,
            begin: month.begin.iter().map(|expiry| expiry.volume.to_string()).collect(),
            bytes: month.bytes,
            hours_needed: month.hours_needed,
            hours_available: month.hours_available,
            hours_left_over: month.hours_left_over,
            bytes_without_room: month.bytes_without_room,
        }
    }
}

/// Bytes that came each month since the oldest medium was first used.
fn growth(media: &[forecast::Medium], now_ms: u64) -> u64 {
    let oldest = media.iter().map(|medium| medium.label.first_use_ms).min().unwrap_or(now_ms);
    let months = (now_ms.saturating_sub(oldest) / MONTH_MS).max(1);
    media.iter().map(|medium| medium.used_bytes).sum::<u64>() / months
}
