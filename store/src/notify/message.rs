//! What leaves the protected line: kinds, numbers and times, in a form for programs and one for people. No name, no reason, no id
//! of a hospital, a person or a deposit (3.4-R9): who is told looks in the audit log.

use super::alarm::Notice;
use serde::Serialize;
use std::collections::BTreeMap;

/// Notices that one message names; more are counted.
pub(super) const NOTICES_MAX: usize = 50;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Message {
    /// beginning of the vault's id
    pub(super) vault: String,
    /// what happened, oldest first
    pub(super) notices: Vec<Notice>,
}

impl Message {
    /// Its subject, as mail.
    pub(super) fn subject(&self) -> String {
        let (first, count) = (self.notices.first(), self.notices.len());
        let alarm = first.map_or("", |notice| notice.alarm.name());
        match count {
            0 | 1 => format!("Shosoin {}: {alarm}", self.vault),
            _ => format!("Shosoin {}: {alarm} (+{})", self.vault, count - 1),
        }
    }

    /// Its text, as mail.
    pub(super) fn text(&self) -> String {
        let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
        for notice in &self.notices {
            *counted.entry(notice.alarm.name()).or_default() += 1;
        }
        let kinds = counted.iter().map(|(alarm, count)| format!("{alarm}: {count}")).collect::<Vec<_>>().join(", ");
        let mut text = format!("Vault / 保管庫 {}\r\n{kinds}\r\n\r\n", self.vault);
        for Notice { record, alarm, at_ms, count } in &self.notices {
            let at = time::OffsetDateTime::from_unix_timestamp(i64::try_from(at_ms / 1000).unwrap_or(0)).ok();
            let at =
                at.and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok()).unwrap_or_default();
            let times = if *count > 1 { format!(" x{count}") } else { String::new() };
            text += &format!("{at}  {alarm}{times}  record / 記録 {record}\r\n");
        }
        text + "\r\nDetails are in the audit log, and nowhere else:\r\n詳細は監査ログで確認してください。\r\n  shosoin audit show\r\n"
    }
}

#[cfg(test)]
mod tests {
    use super::super::Alarm;
    use super::*;

    #[test]
    fn a_message_has_kinds_numbers_and_times() {
        let notice = |record, alarm, count| Notice { record, alarm, at_ms: 1_700_000_000_000, count };
        let one = Message { vault: "ab12cd34".into(), notices: vec![notice(12, Alarm::Guessing, 3)] };
        assert_eq!(one.subject(), "Shosoin ab12cd34: guessing");
        assert!(one.text().contains("2023-11-14T22:13:20Z  guessing x3  record / 記録 12\r\n"), "{}", one.text());
        let json = serde_json::to_string(&one).unwrap();
        let expected =
            r#"{"vault":"ab12cd34","notices":[{"record":12,"alarm":"guessing","at_ms":1700000000000,"count":3}]}"#;
        assert_eq!(json, expected);
        let two = Message { notices: vec![notice(12, Alarm::Clock, 0), notice(13, Alarm::Clock, 0)], ..one };
        assert!(two.subject().ends_with("clock (+1)") && two.text().contains("clock: 2"));
    }
}
