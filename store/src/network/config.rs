//! `[network]` of `vault.toml`: the lines of hospitals, and the servers that the vault may reach.

use crate::accounts::Hours;
use crate::config::Config;
use crate::jobs::window::UtcOffset;
use http::Uri;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use shosoin_protocol::HospitalId;
use std::net::IpAddr;

/// `[network]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// servers that the vault may reach, as `vault status` prints them; without a list, those that the rest of the file names
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outward: Option<Vec<String>>,
    /// offset from UTC of the hours of lines
    pub utc_offset: UtcOffset,
    /// from where and when hospitals come; none: from everywhere, at any hour
    #[serde(rename = "line", skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LineConfig>,
}

/// The line of one hospital.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineConfig {
    /// whose, in hex
    pub hospital: String,
    /// its networks, as in `10.1.0.0/16`
    pub from: Vec<IpNet>,
    /// when it is open, as in `["Mon-Fri 08:00-20:00"]`; always where nothing is said
    #[serde(default, skip_serializing_if = "Hours::are_all")]
    pub hours: Hours,
}

impl LineConfig {
    /// Whether it comes from this address.
    pub fn comes_from(&self, from: IpAddr) -> bool {
        self.from.iter().any(|network| network.contains(&from))
    }
}

/// What a server is reached for: one of the classes that 7.6.6-M9 lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// people are told of alarms: monitoring
    Alarms,
    /// archive volumes: a service that the system needs to run
    Archive,
}

/// A server that the vault reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Outward {
    /// host and port, or the bucket where its provider says which host that is
    pub server: String,
    /// what for
    pub purpose: Purpose,
}

impl NetworkConfig {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == NetworkConfig::default()
    }

    /// What the types alone do not refuse; `reached`: what the rest of the file names.
    pub fn check(&self, reached: &[Outward]) -> Result<(), String> {
        for (number, line) in self.lines.iter().enumerate() {
            let named = |why: &str| Err(format!("network.line of {}: {why}", line.hospital));
            if line.hospital.parse::<HospitalId>().is_err() {
                return named("the hospital is no 32 lower-case hex digits");
            }
            if line.from.is_empty() {
                return named("it comes from nowhere");
            }
            if self
                .lines
                .iter()
                .skip(number + 1)
                .any(|other| other.hospital == line.hospital && other.from == line.from)
            {
                return named("it is there twice");
            }
        }
        let Some(declared) = &self.outward else { return Ok(()) };
        match reached.iter().find(|reached| !declared.contains(&reached.server)) {
            Some(Outward { server, .. }) => Err(format!(
                "network.outward does not have {server}, which this file names: the vault reaches declared servers alone"
            )),
            None => Ok(()),
        }
    }
}

impl Config {
    /// Every server that this file makes the vault reach, each once.
    pub fn outward(&self) -> Vec<Outward> {
        let alarms = self.notify.iter().filter_map(|channel| match (&channel.url, &channel.smtp) {
            (Some(url), _) => Some(server_of(url)),
            (_, smtp) => smtp.clone(),
        });
        let alarms = alarms.map(|server| Outward { server, purpose: Purpose::Alarms });
        let stores =
            self.volumes.iter().filter_map(|volume| Some((volume.url.as_deref()?, volume.endpoint.as_deref())));
        let archive = stores.map(|(url, endpoint)| Outward {
            server: endpoint.map_or_else(|| bucket_of(url), server_of),
            purpose: Purpose::Archive,
        });
        let all: std::collections::BTreeSet<Outward> = alarms.chain(archive).collect();
        all.into_iter().collect()
    }
}

/// Host and port of an address.
fn server_of(url: &str) -> String {
    let Ok(uri) = url.parse::<Uri>() else { return url.to_owned() };
    let host = uri.host().unwrap_or(url);
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    format!("{host}:{port}")
}

/// `s3://bucket` of `s3://bucket/prefix`.
fn bucket_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    format!("{scheme}://{}", rest.split('/').next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSPITAL: &str = "01010101010101010101010101010101";

    #[test]
    fn a_line_has_a_hospital_networks_and_hours_7_6_6_m9() {
        let check = |text: &str| {
            toml::from_str::<NetworkConfig>(text)
                .map_err(|error| error.to_string())
                .and_then(|config| config.check(&[]))
        };
        let line = |more: &str| format!("utc_offset = '+09:00'\n[[line]]\nhospital = '{HOSPITAL}'\n{more}");
        assert_eq!(check(&line("from = ['10.1.0.0/16', '2001:db8::/32']\nhours = ['Mon-Fri 08:00-20:00']")), Ok(()));
        for wrong in ["from = []", "from = ['10.1.0.0/33']", "from = ['10.1.0.0/16']\nhours = ['by day']", ""] {
            assert!(check(&line(wrong)).is_err(), "{wrong}");
        }
        assert!(check("[[line]]\nhospital = 'H1'\nfrom = ['10.1.0.0/16']").is_err());
        let twice =
            line("from = ['10.1.0.0/16']") + &format!("\n[[line]]\nhospital = '{HOSPITAL}'\nfrom = ['10.1.0.0/16']");
        assert!(check(&twice).is_err());
    }

    #[test]
    fn a_server_is_its_host_and_port_or_its_bucket() {
        assert_eq!(server_of("https://alarm.example/hook?x=1"), "alarm.example:443");
        assert_eq!(server_of("http://127.0.0.1:8099/x"), "127.0.0.1:8099");
        assert_eq!(bucket_of("s3://archive/v07/deep"), "s3://archive");
    }
}
