//! What `smartctl --json -a DEVICE` says of a device: how long it ran, and whether it thinks it is well.
//!
//! Refuses: a report of another device than the label names, and text that is no such report.

use crate::audit::{Action, Detail, TestKind};
use crate::error::{Error, Result};
use serde_json::Value;
use shosoin_tiers::VolumeLabel;

/// Longest report that is read.
const REPORT_BYTES_MAX: usize = 1 << 20;

/// What is taken from a report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SmartReport {
    /// serial number of the device
    pub serial: Option<String>,
    /// hours it was powered
    pub power_on_hours: Option<u64>,
    /// what it says of itself
    pub passed: Option<bool>,
    /// attributes that are, or were, beyond their thresholds; share of life used above the whole, for flash
    pub failing: u64,
}

impl SmartReport {
    /// Reads a report.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: String| Error::Argument { what: "report of smartctl", why };
        if text.len() > REPORT_BYTES_MAX {
            return Err(wrong(format!("it has {} bytes, at most {REPORT_BYTES_MAX} are read", text.len())));
        }
        let report: Value = serde_json::from_str(text).map_err(|error| wrong(format!("it is not JSON: {error}")))?;
        if !report["smartctl"].is_object() {
            return Err(wrong("it has no member `smartctl`; run `smartctl --json -a DEVICE`".to_owned()));
        }
        let attributes = report["ata_smart_attributes"]["table"].as_array().into_iter().flatten();
        let failing = attributes.filter(|row| row["when_failed"].as_str().is_some_and(|when| !when.is_empty())).count();
        let worn_out = report["nvme_smart_health_information_log"]["percentage_used"].as_u64() >= Some(100);
        Ok(SmartReport {
            serial: report["serial_number"].as_str().map(str::to_owned),
            power_on_hours: report["power_on_time"]["hours"].as_u64(),
            passed: report["smart_status"]["passed"].as_bool(),
            failing: failing as u64 + u64::from(worn_out),
        })
    }

    /// Refuses a report of another device than the one with this label.
    pub fn must_be_of(&self, label: &VolumeLabel) -> Result<()> {
        match &self.serial {
            Some(serial) if !label.serial.is_empty() && *serial != label.serial => {
                let why = format!("it is of serial number {serial}, and the label says {}", label.serial);
                Err(Error::Argument { what: "report of smartctl", why })
            }
            _ => Ok(()),
        }
    }

    /// What there is to record.
    pub fn details(&self) -> Vec<(Action, Detail, String)> {
        let mut details = Vec::new();
        if let Some(hours) = self.power_on_hours {
            let detail = Detail::Wear { power_on_hours: Some(hours), passes: None, by_device: true };
            details.push((Action::VolumeWear, detail, format!("used: {hours} hours, the device says")));
        }
        if let Some(healthy) = self.passed {
            let passed = healthy && self.failing == 0;
            let detail = Detail::Test { test: TestKind::SmartHealth, value: self.failing, passed };
            let verdict = if passed { "passed" } else { "failed" };
            details.push((Action::VolumeTested, detail, format!("smart-health: {} failing, {verdict}", self.failing)));
        }
        details
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::VolumeId;
    use shosoin_tiers::volume::{MediaClass, TierKind};

    const DISK: &str = r#"{"json_format_version":[1,0],"smartctl":{"version":[7,4],"exit_status":0},
        "serial_number":"ZL2X","smart_status":{"passed":true},"power_on_time":{"hours":31337},
        "ata_smart_attributes":{"table":[{"id":5,"when_failed":""},{"id":187,"when_failed":"past"}]}}"#;

    #[test]
    fn a_disk_that_calls_itself_well_with_a_failed_attribute_has_not_passed() {
        let report = SmartReport::parse(DISK).unwrap();
        assert_eq!((report.power_on_hours, report.passed, report.failing), (Some(31_337), Some(true), 1));
        assert!(matches!(report.details()[1].1, Detail::Test { passed: false, value: 1, .. }));
    }

    #[test]
    fn flash_that_used_up_its_life_is_failing() {
        let text = r#"{"smartctl":{},"smart_status":{"passed":true},"nvme_smart_health_information_log":{"percentage_used":101}}"#;
        assert_eq!(SmartReport::parse(text).unwrap().failing, 1);
    }

    #[test]
    fn a_report_of_another_device_and_no_report_at_all_are_refused() {
        let mut label = VolumeLabel::new(VolumeId([1; 16]), TierKind::Hot, MediaClass::Hdd, 0);
        let report = SmartReport::parse(DISK).unwrap();
        report.must_be_of(&label).unwrap();
        label.serial = "OTHER".into();
        assert!(report.must_be_of(&label).unwrap_err().to_string().contains("ZL2X"));
        for text in ["", "smartctl 7.4", "{}", "[]", "{\"smartctl\":7}"] {
            assert!(SmartReport::parse(text).is_err(), "{text}");
        }
    }
}
