//! `[console]` of `vault.toml`.

use crate::config::FILE;
use crate::error::{Error, Result};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where the console is, unless somebody says otherwise.
pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7444);

/// `[console]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// whether there is one, once there is an account
    pub enabled: bool,
    /// its address
    pub listen: SocketAddr,
    /// file with its certificate and those that lead to its issuer, PEM, relative to the vault's folder unless absolute; without
    /// one it shows the vault's own
    pub certificate: Option<PathBuf>,
    /// file with the key of that certificate, PEM
    pub key: Option<PathBuf>,
    /// networks of management terminals, as in `10.0.8.0/24`; from elsewhere nobody gets as far as the handshake (7.6.14-PRIV-M4).
    /// None: from anywhere that the address lets in
    pub terminals: Vec<IpNet>,
}

/// Certificate and key of a console, PEM.
pub(super) struct Identity {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        ConsoleConfig { enabled: true, listen: LISTEN, certificate: None, key: None, terminals: Vec::new() }
    }
}

impl ConsoleConfig {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == ConsoleConfig::default()
    }

    /// What the types alone do not refuse.
    pub fn check(&self) -> Result<(), String> {
        match self.certificate.is_some() == self.key.is_some() {
            true => Ok(()),
            false => Err("console.certificate and console.key go together".into()),
        }
    }

    /// Whether somebody at this address may come in. Addresses of the older form inside the newer one are of the older.
    pub fn lets_in(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.terminals.is_empty() || self.terminals.iter().any(|network| network.contains(&from))
    }

    /// Certificate and key in PEM, where the operator gave some.
    pub(super) fn identity(&self, dir: &Path) -> Result<Option<Identity>> {
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else { return Ok(None) };
        let read = |path: &Path| {
            let path = dir.join(path);
            std::fs::read(&path).map_err(|source| Error::Io { action: "read", path, source })
        };
        Ok(Some(Identity { certificate: read(certificate)?, key: read(key)?.into() }))
    }

    /// That the file cannot be used, for this reason.
    pub(super) fn bad(dir: &Path, why: &str) -> Error {
        Error::Config { path: dir.join(FILE), why: format!("[console]: {why}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_on_loopback_for_everybody_there_and_elsewhere_for_named_terminals_7_6_14_priv_m4() {
        let config = ConsoleConfig::default();
        assert!(config.listen.ip().is_loopback() && config.lets_in([192, 0, 2, 7].into()));
        let config: ConsoleConfig = toml::from_str("terminals = [\"10.0.8.0/24\", \"2001:db8::/32\"]").unwrap();
        let cases =
            [("10.0.8.9", true), ("10.0.9.1", false), ("::ffff:10.0.8.9", true), ("2001:db8::1", true), ("::1", false)];
        for (from, expected) in cases {
            assert_eq!(config.lets_in(from.parse().unwrap()), expected, "{from}");
        }
        for wrong in ["terminals = [\"10.0.8.0/33\"]", "listen = \"everywhere\"", "colour = 1"] {
            assert!(toml::from_str::<ConsoleConfig>(wrong).is_err(), "{wrong}");
        }
        let alone = ConsoleConfig { key: Some("key.pem".into()), ..ConsoleConfig::default() };
        assert!(alone.check().is_err());
    }
}
