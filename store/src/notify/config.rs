//! `[[notify]]` of `vault.toml`: where people are told.

use super::Alarm;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Tries at one message before it is given up, unless the operator says otherwise.
const TRIES: u32 = 12;
/// Seconds before the second try; each further one waits twice as long.
const RETRY_SECONDS: u32 = 5;

/// One channel: an address for either a webhook or mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// its name: lower case letters, digits and hyphens
    pub name: String,
    /// webhook: where messages are posted as JSON
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// webhook: file with the secret that messages are signed with
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// mail: server and port, as in `mail.example:587`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp: Option<String>,
    /// mail: how the connection is sealed
    #[serde(default, skip_serializing_if = "MailTls::is_default")]
    pub tls: MailTls,
    /// mail: sender
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// mail: who is told
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// mail: user of the server
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// mail: file with that user's password
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// file with the certificate of the authority that signs the server's, PEM; none: those that the system trusts
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// webhook: a log server, which gets every record of the audit log whole and is told of no alarm (7.6.12-R1)
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub records: bool,
    /// only these alarms; none: every one
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<Alarm>,
    /// tries at one message before it is given up, on the record
    #[serde(default = "tries")]
    pub tries: u32,
    /// seconds before the second try; each further one waits twice as long, at most an hour
    #[serde(default = "retry_seconds")]
    pub retry_seconds: u32,
}

/// How a connection to a mail server is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// begun in clear and sealed before anything is said; refused where the server cannot
    #[default]
    Starttls,
    /// from the first byte
    Tls,
    /// not at all: for a server on this machine
    None,
}

impl MailTls {
    fn is_default(&self) -> bool {
        *self == MailTls::default()
    }
}

fn tries() -> u32 {
    TRIES
}

fn retry_seconds() -> u32 {
    RETRY_SECONDS
}

impl ChannelConfig {
    /// What the types alone do not refuse.
    pub fn check(&self) -> Result<(), String> {
        let named = |why: &str| Err(format!("notify {}: {why}", self.name));
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || self.name.len() > 32 || !self.name.chars().all(is_name) {
            return Err("the name of a notify has up to 32 lower case letters, digits and hyphens".into());
        }
        match (&self.url, &self.smtp) {
            (Some(_), Some(_)) | (None, None) => return named("it has either url or smtp"),
            (Some(url), None) if !url.starts_with("https://") && !url.starts_with("http://127.0.0.1:") => {
                return named("its url begins with https://, or is of this machine");
            }
            (None, Some(_)) if self.from.is_none() || self.to.is_empty() => return named("mail has from and to"),
            (None, Some(server)) if self.tls == MailTls::None && !server.starts_with("127.0.0.1:") => {
                return named("mail without TLS is for a server of this machine alone");
            }
            _ => {}
        }
        if self.records && (self.url.is_none() || !self.alarms.is_empty()) {
            return named("records go to a url, all of them");
        }
        match self.user.is_some() == self.password_file.is_some()
            && (1..=100).contains(&self.tries)
            && self.retry_seconds > 0
        {
            true => Ok(()),
            false => named("user and password_file go together, tries are 1 to 100, retry_seconds at least 1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_one_thing_sealed_unless_it_is_on_this_machine_3_4_r9() {
        let check =
            |text: &str| toml::from_str::<ChannelConfig>(text).map_err(|e| e.to_string()).and_then(|c| c.check());
        assert_eq!(check("name = 'desk'\nurl = 'https://alarm.example/x'"), Ok(()));
        assert_eq!(check("name = 'desk'\nurl = 'http://127.0.0.1:80/x'"), Ok(()));
        assert_eq!(
            check("name = 'night'\nsmtp = 'mail.example:587'\nfrom = 'a@b.example'\nto = ['c@d.example']"),
            Ok(())
        );
        for wrong in [
            "name = 'desk'",
            "name = '../x'\nurl = 'https://alarm.example/x'",
            "name = 'desk'\nurl = 'http://alarm.example/x'",
            "name = 'desk'\nurl = 'https://a.example'\nsmtp = 'b:25'",
            "name = 'night'\nsmtp = 'mail.example:25'\ntls = 'none'\nfrom = 'a@b.example'\nto = ['c@d.example']",
            "name = 'desk'\nurl = 'https://a.example'\ntries = 0",
            "name = 'desk'\nurl = 'https://a.example'\nrecords = true\nalarms = ['clock']",
            "name = 'desk'\nurl = 'http://logs.example/x'\nrecords = true",
            "name = 'desk'\nurl = 'https://a.example'\nalarms = ['everything']",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
