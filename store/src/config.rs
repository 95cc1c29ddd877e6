//! `vault.toml`: what the operator decides about a vault, typed, unknown fields refused.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Name of the file in the vault's folder.
pub const FILE: &str = "vault.toml";
/// Newest form of the file this release reads.
const FORM: u32 = 1;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// form of this file
    pub form: u32,
    /// vault id, hex
    pub vault: String,
    /// address the API listens on
    pub listen: SocketAddr,
    /// code of new segments, as in `4+2`
    pub code: String,
    /// placement rules are waived: a demonstration, not an archive
    #[serde(default)]
    pub demo: bool,
    /// which database holds the index
    #[serde(default)]
    pub index: IndexKind,
    /// the volumes
    #[serde(rename = "volume", default)]
    pub volumes: Vec<VolumeSpec>,
}

/// Which embedded database holds the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexKind {
    /// `fjall`: a log-structured merge tree
    #[default]
    Fjall,
    /// `sled`: a B+ tree on a log
    Sled,
    /// nothing on disk: rebuilt from media at every start; for tests
    Memory,
}

/// One volume of the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeSpec {
    /// folder or mount point; relative to the vault's folder unless absolute
    pub path: PathBuf,
    /// what it shares with other volumes, for its label; only `init` reads this
    #[serde(default, skip_serializing_if = "Domains::is_empty")]
    pub domains: Domains,
}

impl VolumeSpec {
    /// A volume at `path` of which nothing else is known.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        VolumeSpec { path: path.into(), domains: Domains::default() }
    }
}

/// What a volume shares with others, so that one cause never takes more than m shards. Empty means unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Domains {
    /// machine
    pub host: String,
    /// power feed
    pub power: String,
    /// rack
    pub rack: String,
    /// site
    pub site: String,
    /// physical device
    pub device: String,
}

impl Domains {
    fn is_empty(&self) -> bool {
        *self == Domains::default()
    }
}

impl Config {
    /// Reads the file of the vault at `dir`.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(Error::Io { action: "read", path, source }),
        };
        let config: Config = match toml::from_str(&text) {
            Ok(config) => config,
            Err(error) => return Err(Error::Config { path, why: error.to_string().trim_end().replace('\n', " ") }),
        };
        match config.form {
            FORM => Ok(config),
            form => Err(Error::Config { path, why: format!("its form is {form}, this release reads form {FORM}") }),
        }
    }
}

/// A code: k data and m parity shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// The code written as in a configuration: `4+2`.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Code(text.to_owned()))
    }
}
