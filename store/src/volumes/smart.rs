//! What `smartctl --json -a DEVICE` says of a device: how long it ran, and whether it thinks it is well.
//!
//! Refuses: a report of another device than the label names, text that is no such report, and one in which smartctl says that
//! it could not ask the device, or that the device told nothing.
//!
//! Source of the fields: `smartctl --json` of smartmontools 7; the bits of its exit status are in smartctl(8).

use crate::audit::{Action, Detail, TestKind};
use crate::error::{Error, Result};
use serde_json::Value;
use shosoin_tiers::VolumeLabel;

/// Longest report that is read.
const REPORT_BYTES_MAX: usize = 1 << 20;

/// Bits of smartctl's exit status that say that the device was not asked: a wrong command line, a device that does not open.
const NOT_ASKED: u64 = 0b11;

/// What is taken from a report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SmartReport {
    /// serial number of the device
    pub serial: Option<String>,
    /// hours it was powered
    pub power_on_hours: Option<u64>,
    /// what it says of itself
    pub passed: Option<bool>,
    /// signs of failure: attributes that are or were beyond their thresholds, critical warnings, a life used up, kinds of
    /// errors that were not corrected
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
        if report["smartctl"]["exit_status"].as_u64().unwrap_or(0) & NOT_ASKED != 0 {
            let messages = report["smartctl"]["messages"].as_array().into_iter().flatten();
            let said: Vec<&str> = messages.filter_map(|message| message["string"].as_str()).collect();
            let said: String = said.join("; ").chars().filter(|c| !c.is_control()).take(300).collect();
            let advice = "it may need root, or `smartctl --json -a -d TYPE DEVICE` into --smartctl FILE";
            return Err(wrong(format!("smartctl could not ask the device ({said}); {advice}")));
        }
        let nvme = &report["nvme_smart_health_information_log"];
        let hours = report["power_on_time"]["hours"].as_u64().or_else(|| nvme["power_on_hours"].as_u64());
        let passed = report["smart_status"]["passed"].as_bool();
        if hours.is_none() && passed.is_none() {
            let advice = "its controller may not pass that on; enter what you know, as with --power-on-hours";
            return Err(wrong(format!("it tells neither health nor hours of the device; {advice}")));
        }
        let serial = report["serial_number"].as_str().map(str::trim).filter(|serial| !serial.is_empty());
        Ok(SmartReport {
            serial: serial.map(str::to_owned),
            power_on_hours: hours,
            passed,
            failing: failing_ata(&report) + failing_nvme(nvme) + failing_scsi(&report),
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

/// Attributes of a SATA disk that are, or were, beyond their thresholds.
fn failing_ata(report: &Value) -> u64 {
    let attributes = report["ata_smart_attributes"]["table"].as_array().into_iter().flatten();
    let failed = |row: &&Value| row["when_failed"].as_str().is_some_and(|when| !when.is_empty() && when != "-");
    attributes.filter(failed).count() as u64
}

/// Critical warnings of an NVMe device, a life that is used up, and data that it could not give back.
fn failing_nvme(log: &Value) -> u64 {
    let number = |name: &str| log[name].as_u64().unwrap_or(0);
    let warnings = u64::from(number("critical_warning").count_ones());
    warnings + u64::from(number("percentage_used") >= 100) + u64::from(number("media_errors") > 0)
}

/// Kinds of calls in which a SAS disk met errors that it did not correct. Grown defects alone are ordinary.
fn failing_scsi(report: &Value) -> u64 {
    let log = &report["scsi_error_counter_log"];
    let uncorrected = |call: &&str| log[call]["total_uncorrected_errors"].as_u64().unwrap_or(0) > 0;
    ["read", "write", "verify"].into_iter().filter(uncorrected).count() as u64
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
        let text = r#"{"smartctl":{"exit_status":0},"smart_status":{"passed":true},"nvme_smart_health_information_log":{"percentage_used":101}}"#;
        assert_eq!(SmartReport::parse(text).unwrap().failing, 1);
    }

    #[test]
    fn an_nvme_device_tells_its_hours_in_its_own_log_and_each_warning_and_lost_datum_counts() {
        let text = |warning: u8, errors: u8| {
            format!(
                r#"{{"smartctl":{{"version":[7,4],"exit_status":0}},"device":{{"type":"nvme","protocol":"NVMe"}},
                "serial_number":"S6Z1 ","smart_status":{{"passed":true,"nvme":{{"value":0}}}},
                "nvme_smart_health_information_log":{{"critical_warning":{warning},"available_spare":100,
                "percentage_used":3,"power_on_hours":3150,"media_errors":{errors}}}}}"#
            )
        };
        let sound = SmartReport::parse(&text(0, 0)).unwrap();
        assert_eq!((sound.power_on_hours, sound.failing, sound.serial.as_deref()), (Some(3150), 0, Some("S6Z1")));
        assert_eq!(SmartReport::parse(&text(0b101, 2)).unwrap().failing, 3, "spare, reliability, lost data");
    }

    #[test]
    fn a_sas_disk_fails_by_errors_it_did_not_correct_and_not_by_grown_defects() {
        let text = |errors: u32| {
            format!(
                r#"{{"smartctl":{{"version":[7,3],"exit_status":0}},"device":{{"type":"scsi","protocol":"SCSI"}},
                "serial_number":"ZA1","smart_status":{{"passed":true}},"power_on_time":{{"hours":43549,"minutes":33}},
                "scsi_grown_defect_list":56,"scsi_error_counter_log":{{"read":{{"total_uncorrected_errors":{errors}}},
                "write":{{"total_uncorrected_errors":0}},"verify":{{"total_uncorrected_errors":0}}}}}}"#
            )
        };
        let sound = SmartReport::parse(&text(0)).unwrap();
        assert_eq!((sound.power_on_hours, sound.failing), (Some(43_549), 0));
        assert_eq!(SmartReport::parse(&text(39)).unwrap().failing, 1);
    }

    #[test]
    fn a_disk_that_fails_its_own_test_is_recorded_though_smartctl_exits_with_an_error() {
        let text = r#"{"smartctl":{"version":[7,4],"exit_status":24},"serial_number":"WD1","smart_status":{"passed":false},
            "power_on_time":{"hours":1730},"ata_smart_attributes":{"table":[{"id":5,"when_failed":"now"}]}}"#;
        let report = SmartReport::parse(text).unwrap();
        assert!(matches!(report.details()[1].1, Detail::Test { passed: false, value: 1, .. }));
    }

    #[test]
    fn a_device_that_could_not_be_asked_or_told_nothing_is_refused_with_what_smartctl_said() {
        let refused = |text: &str| SmartReport::parse(text).unwrap_err().to_string();
        // as smartctl 7.3 answers for a virtual disk and for one that is not there
        let unsupported = r#"{"smartctl":{"version":[7,3],"exit_status":1,
            "messages":[{"string":"/dev/vda: Unable to detect device type","severity":"error"}]}}"#;
        assert!(refused(unsupported).contains("Unable to detect device type"), "{}", refused(unsupported));
        let absent = r#"{"smartctl":{"version":[7,3],"exit_status":2,
            "messages":[{"string":"Smartctl open device: /dev/sdz failed: No such device","severity":"error"}]}}"#;
        assert!(refused(absent).contains("No such device") && refused(absent).contains("root"), "{}", refused(absent));
        let silent = r#"{"smartctl":{"version":[7,3],"exit_status":4},"smart_support":{"available":false}}"#;
        assert!(refused(silent).contains("neither health nor hours"), "{}", refused(silent));
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
