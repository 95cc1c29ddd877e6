//! What is typed about media, as the vault takes it.

use super::read_text;
use crate::error::{Error, Result};
use crate::text::parse_time;
use clap::Args;
use shosoin_store::VolumeSpec;
use shosoin_store::audit::{MediaState, TestKind};
use shosoin_store::volumes::{LabelChange, Measured};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::str::FromStr;

/// Longest report of `smartctl` that is read, in bytes.
const SMARTCTL_BYTES_MAX: usize = 1 << 20;

/// A state by its name.
#[derive(Debug, Clone, Copy)]
pub struct StateName(pub MediaState);

impl FromStr for StateName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = MediaState::ALL.iter().map(|state| state.name()).collect::<Vec<_>>().join(", ");
        MediaState::parse(name).map(StateName).ok_or_else(|| format!("it is one of {names}"))
    }
}

/// Where a volume is, as typed: a path from here, or an address of an object store.
pub fn parse_spec(text: &str) -> Result<VolumeSpec, String> {
    match text.contains("://") {
        true => Ok(VolumeSpec::in_store(text)),
        false => Ok(VolumeSpec::at(std::path::absolute(text).map_err(|error| error.to_string())?)),
    }
}

/// What a label says.
#[derive(Debug, Args)]
#[command(next_help_heading = "Label")]
pub struct LabelArgs {
    /// hot or archive
    #[arg(long)]
    tier: Option<String>,
    /// ssd, hdd, tape, optical or cloud
    #[arg(long)]
    class: Option<String>,
    /// Who made it
    #[arg(long, value_name = "TEXT")]
    vendor: Option<String>,
    /// Maker's model
    #[arg(long, value_name = "TEXT")]
    model: Option<String>,
    /// Maker's serial number
    #[arg(long, value_name = "TEXT")]
    serial: Option<String>,
    /// Manufacturing lot
    #[arg(long, value_name = "TEXT")]
    lot: Option<String>,
    /// Firmware revision
    #[arg(long, value_name = "TEXT")]
    firmware: Option<String>,
    /// Day of first use, as in 2026-04-01 [default: today]
    #[arg(long, value_name = "DAY")]
    first_use: Option<String>,
    /// Rated life, as in 5y, 40000h or 200p; empty for not stated
    #[arg(long, value_name = "LIFE")]
    rated_life: Option<String>,
    /// Security label: a neutral code, whose meaning is not on the medium
    #[arg(long, value_name = "CODE")]
    security_label: Option<String>,
    /// Machine
    #[arg(long, value_name = "TEXT")]
    host: Option<String>,
    /// Power feed
    #[arg(long, value_name = "TEXT")]
    power: Option<String>,
    /// Rack
    #[arg(long, value_name = "TEXT")]
    rack: Option<String>,
    /// Building
    #[arg(long, value_name = "TEXT")]
    site: Option<String>,
    /// Physical device
    #[arg(long, value_name = "TEXT")]
    device: Option<String>,
}

impl LabelArgs {
    /// The change they ask for.
    pub fn change(self) -> Result<LabelChange> {
        let day = |text: String| {
            let why = "it must look like 2026-04-01 or 2026-04-01T09:00:00+09:00";
            parse_time(&text).ok_or_else(|| Error::invalid("--first-use", why))
        };
        Ok(LabelChange {
            tier: self.tier,
            class: self.class,
            vendor: self.vendor,
            model: self.model,
            serial: self.serial,
            lot: self.lot,
            firmware: self.firmware,
            first_use_ms: self.first_use.map(day).transpose()?,
            rated_life: self.rated_life,
            security_label: self.security_label,
            host: self.host,
            power: self.power,
            rack: self.rack,
            site: self.site,
            device: self.device,
        })
    }
}

/// What was measured.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// optical-error-rate, smart-health, surface, tape-error-rate or maker
    #[arg(long, value_name = "KIND", value_parser = parse_test, requires = "value")]
    test: Option<TestKind>,
    /// What the test gave, in its own unit
    #[arg(long, value_name = "NUMBER", requires = "test")]
    value: Option<u64>,
    /// The medium passed the test
    #[arg(long, requires = "test", conflicts_with = "failed")]
    passed: bool,
    /// The medium failed the test
    #[arg(long, requires = "test")]
    failed: bool,
    /// What `smartctl --json -a DEVICE` printed; - for stdin
    #[arg(long, value_name = "FILE", conflicts_with = "device")]
    smartctl: Option<PathBuf>,
    /// Run `smartctl --json -a` on this device
    #[arg(long, value_name = "DEVICE")]
    device: Option<PathBuf>,
    /// Hours it was powered
    #[arg(long, value_name = "HOURS")]
    power_on_hours: Option<u64>,
    /// Times it passed a head, or was written full
    #[arg(long, value_name = "COUNT")]
    passes: Option<u64>,
    /// Temperature where it is kept
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    celsius: Option<f64>,
    /// Relative humidity where it is kept, in per cent
    #[arg(long, value_name = "PERCENT")]
    humidity: Option<u8>,
    /// Shelf where it is kept now
    #[arg(long, value_name = "TEXT")]
    place: Option<String>,
    /// Remark, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

fn parse_test(name: &str) -> Result<TestKind, String> {
    let names = TestKind::ALL.iter().map(|test| test.name()).collect::<Vec<_>>().join(", ");
    TestKind::parse(name).ok_or_else(|| format!("it is one of {names}"))
}

impl TestArgs {
    /// What is to be recorded.
    pub fn measured(self, dry_run: bool) -> Result<Measured> {
        let test = match (self.test, self.value) {
            (Some(_), Some(_)) if self.passed == self.failed => {
                return Err(Error::invalid("--test", "say whether the medium passed: --passed or --failed"));
            }
            (Some(test), Some(value)) => Some((test, value, self.passed)),
            _ => None,
        };
        let tenths = |celsius: f64| match celsius.is_finite() && celsius.abs() < 1000.0 {
            #[expect(clippy::cast_possible_truncation, reason = "it is between -10,000 and 10,000")]
            true => Ok((celsius * 10.0).round() as i32),
            false => Err(Error::invalid("--celsius", "it is no temperature of a room")),
        };
        let smartctl = match (&self.smartctl, &self.device) {
            (Some(path), _) => Some(read_text(path, SMARTCTL_BYTES_MAX)?),
            (None, Some(device)) => Some(run_smartctl(device)?),
            (None, None) => None,
        };
        Ok(Measured {
            test,
            power_on_hours: self.power_on_hours,
            passes: self.passes,
            smartctl,
            celsius_tenths: self.celsius.map(tenths).transpose()?,
            humidity_percent: self.humidity,
            place: self.place,
            note: self.note,
            dry_run,
        })
    }
}

/// Its exit code says what it thinks of the device, so only its text counts.
fn run_smartctl(device: &std::path::Path) -> Result<String> {
    let output = Command::new("smartctl").arg("--json").arg("-a").arg(device).stdin(Stdio::null()).output();
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::invalid(
            "--device",
            "there is no smartctl on this machine; it comes with smartmontools, version 7 or later",
        ),
        _ => Error::file("run smartctl on", device)(error),
    })?;
    if output.stdout.is_empty() {
        let said: String = String::from_utf8_lossy(&output.stderr).chars().take(300).collect();
        return Err(Error::invalid("answer of smartctl", format!("it gave none: {}", said.trim())));
    }
    String::from_utf8(output.stdout).map_err(|error| Error::invalid("answer of smartctl", error.to_string()))
}
