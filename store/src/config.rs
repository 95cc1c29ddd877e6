//! `vault.toml`: what the operator decides about a vault, typed, unknown fields refused.

use crate::accounts::AccountsConfig;
use crate::assets::AssetsConfig;
use crate::audit::RESERVE_BYTES;
use crate::changes::ChangesConfig;
use crate::console::ConsoleConfig;
use crate::disposal::DisposalConfig;
use crate::error::{Error, Result};
use crate::jobs::{JobsConfig, MetricsConfig};
use crate::machines::MachinesConfig;
use crate::migrate::MigrateRule;
use crate::network::NetworkConfig;
use crate::notify::ChannelConfig;
use crate::time_sync::TimeConfig;
use serde::{Deserialize, Serialize};
use shosoin_archive::Address;
use shosoin_protocol::VaultId;
use shosoin_tiers::media::FileMedia;
use shosoin_tiers::{Code, durable};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Name of the file in the vault's folder.
pub const FILE: &str = "vault.toml";
/// Newest form of the file this release reads.
pub const FORM: u32 = 1;

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
    /// when background work runs, and how fast
    #[serde(default, skip_serializing_if = "JobsConfig::is_default")]
    pub jobs: JobsConfig,
    /// who answers for the asset ledger, and who may read it
    #[serde(default, skip_serializing_if = "AssetsConfig::is_default")]
    pub assets: AssetsConfig,
    /// how strict the rules about the people who run it are
    #[serde(default, skip_serializing_if = "AccountsConfig::is_default")]
    pub accounts: AccountsConfig,
    /// what must be there before content is taken
    #[serde(default, skip_serializing_if = "IntakeConfig::is_default")]
    pub intake: IntakeConfig,
    /// where people are told at once what is wrong
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<ChannelConfig>,
    /// how much room is kept for the audit log
    #[serde(default, skip_serializing_if = "AuditConfig::is_default")]
    pub audit: AuditConfig,
    /// pages for the people who run it
    #[serde(default, skip_serializing_if = "ConsoleConfig::is_default")]
    pub console: ConsoleConfig,
    /// how strict the register of processing devices is
    #[serde(default, skip_serializing_if = "MachinesConfig::is_default")]
    pub machines: MachinesConfig,
    /// what is done where nobody registered the program or the settings
    #[serde(default, skip_serializing_if = "ChangesConfig::is_default")]
    pub changes: ChangesConfig,
    /// how records are ended
    #[serde(default, skip_serializing_if = "DisposalConfig::is_default")]
    pub disposal: DisposalConfig,
    /// from where hospitals come, and which servers the vault may reach
    #[serde(default, skip_serializing_if = "NetworkConfig::is_default")]
    pub network: NetworkConfig,
    /// how the clock is compared with standard time
    #[serde(default, skip_serializing_if = "TimeConfig::is_default")]
    pub time: TimeConfig,
    /// where figures are shown
    #[serde(default, skip_serializing_if = "MetricsConfig::is_default")]
    pub metrics: MetricsConfig,
    /// the volumes
    #[serde(rename = "volume", default)]
    pub volumes: Vec<VolumeSpec>,
    /// which closed segments go to the archive
    #[serde(rename = "migrate", default, skip_serializing_if = "Vec::is_empty")]
    pub migrate: Vec<MigrateRule>,
}

/// `[intake]`: what must be there before content is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeConfig {
    /// nothing of a hospital is taken before it and the operator have signed an agreement that is in force; vaults that are
    /// no demonstration are made so
    pub agreement_required: bool,
    /// folder of the evidence in quarantine, best on another device; relative to the vault's folder unless absolute; empty:
    /// `quarantine`
    #[serde(skip_serializing_if = "is_empty")]
    pub quarantine: PathBuf,
    /// keys of the stations whose checks of couriers' media are believed
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stations: Vec<String>,
}

impl IntakeConfig {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == IntakeConfig::default()
    }
}

/// `[audit]`: the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// MiB that are kept free where the log is, for records of what ends: below that nothing new is begun
    pub reserve_mib: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        AuditConfig { reserve_mib: RESERVE_BYTES >> 20 }
    }
}

impl AuditConfig {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == AuditConfig::default()
    }

    /// That, in bytes.
    pub fn reserve_bytes(&self) -> u64 {
        self.reserve_mib.saturating_mul(1 << 20)
    }
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeSpec {
    /// folder or mount point; relative to the vault's folder unless absolute; empty where `url` says where it is
    #[serde(default, skip_serializing_if = "is_empty")]
    pub path: PathBuf,
    /// prefix in an object store, as in `s3://bucket/prefix`, in place of `path`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// where the store answers, if not where its provider's stores do
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// region of the bucket
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// file with the credentials of the store, mode 0600, relative to the vault's folder unless absolute; without it they
    /// come from the environment
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<PathBuf>,
    /// what it shares with other volumes, for its label; only `init` reads this
    #[serde(default, skip_serializing_if = "Domains::is_empty")]
    pub domains: Domains,
}

impl VolumeSpec {
    /// A volume at `path` of which nothing else is known.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        VolumeSpec { path: path.into(), ..VolumeSpec::default() }
    }

    /// A volume under a prefix of an object store, of which nothing else is known.
    pub fn in_store(url: impl Into<String>) -> Self {
        VolumeSpec { url: Some(url.into()), ..VolumeSpec::default() }
    }

    /// Where it is, as the file says it.
    pub fn place(&self) -> String {
        self.url.clone().unwrap_or_else(|| self.path.display().to_string())
    }

    /// The address of the object store that it is in; `None` for a folder. Refuses a volume that is in two places or in
    /// none, and what only a store has on a folder.
    pub fn address(&self) -> Result<Option<Address>, String> {
        let of_store = self.endpoint.is_some() || self.region.is_some() || self.credentials.is_some();
        match &self.url {
            None if self.path.as_os_str().is_empty() => Err("a volume needs a path or a url".into()),
            None if of_store => {
                let place = self.path.display();
                Err(format!("volume {place} is a folder: endpoint, region and credentials are for volumes with a url"))
            }
            None => Ok(None),
            Some(url) if !self.path.as_os_str().is_empty() => {
                Err(format!("volume {url} has a path too: a volume is in one place"))
            }
            Some(url) => {
                let address = Address::parse(url, self.endpoint.as_deref(), self.region.as_deref());
                address.map(Some).map_err(|error| error.to_string())
            }
        }
    }
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
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

impl From<Domains> for shosoin_tiers::volume::Domains {
    fn from(Domains { host, power, rack, site, device }: Domains) -> Self {
        shosoin_tiers::volume::Domains { host, power, rack, site, device }
    }
}

impl Config {
    /// Writes the file into the vault's folder.
    pub fn save(&self, folder: &FileMedia, dir: &Path) -> Result<()> {
        let why = |error: toml::ser::Error| Error::Config { path: dir.join(FILE), why: error.to_string() };
        let text = toml::to_string(self).map_err(why)?;
        Ok(durable::replace(folder, FILE, text.as_bytes())?)
    }

    /// The vault's id.
    pub fn vault_id(&self, dir: &Path) -> Result<VaultId> {
        self.vault.parse().map_err(|_| self.bad(dir, "vault must be 32 lower-case hex digits"))
    }

    /// The code of new segments.
    pub fn code(&self, dir: &Path) -> Result<Code> {
        Code::parse(&self.code).map_err(|error| self.bad(dir, &error.to_string()))
    }

    /// The folder of a volume.
    pub fn volume_path(&self, dir: &Path, volume: &VolumeSpec) -> PathBuf {
        dir.join(&volume.path) // an absolute path stands alone
    }

    /// What the types alone do not refuse.
    fn check(&self) -> Result<(), String> {
        self.assets.check()?;
        self.disposal.check(self.demo)?;
        self.accounts.check()?;
        self.console.check()?;
        self.machines.check()?;
        self.time.check()?;
        self.network.check(&self.outward())?;
        for (number, channel) in self.notify.iter().enumerate() {
            channel.check()?;
            if self.notify.iter().skip(number + 1).any(|other| other.name == channel.name) {
                return Err(format!("notify {}: two have this name", channel.name));
            }
        }
        self.volumes.iter().try_for_each(|spec| spec.address().map(drop))?;
        self.migrate.iter().try_for_each(|rule| rule.parse().map(drop))
    }

    fn bad(&self, dir: &Path, why: &str) -> Error {
        Error::Config { path: dir.join(FILE), why: why.to_owned() }
    }

    /// Reads the file of the vault at `dir`.
    pub fn load(dir: &Path) -> Result<Self> {
        Config::read(&dir.join(FILE))
    }

    /// Reads a file of this form, wherever it is.
    pub fn read(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(Error::Io { action: "read", path, source }),
        };
        let config: Config = match toml::from_str(&text) {
            Ok(config) => config,
            Err(error) => return Err(Error::Config { path, why: error.to_string().trim_end().replace('\n', " ") }),
        };
        if config.form != FORM {
            let why = format!("its form is {}, this release reads form {FORM}", config.form);
            return Err(Error::Config { path, why });
        }
        config.check().map_err(|why| Error::Config { path, why })?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_tiers::media::FileOptions;

    fn config() -> Config {
        Config {
            form: FORM,
            vault: "00".repeat(16),
            listen: SocketAddr::from(([127, 0, 0, 1], 9443)),
            code: "4+2".into(),
            demo: true,
            index: IndexKind::Sled,
            jobs: JobsConfig::default(),
            assets: AssetsConfig::default(),
            disposal: DisposalConfig::default(),
            accounts: AccountsConfig::default(),
            intake: IntakeConfig { agreement_required: true, ..IntakeConfig::default() },
            audit: AuditConfig::default(),
            notify: Vec::new(),
            console: ConsoleConfig::default(),
            machines: MachinesConfig::default(),
            changes: ChangesConfig::default(),
            network: NetworkConfig::default(),
            time: TimeConfig::default(),
            metrics: MetricsConfig::default(),
            volumes: vec![VolumeSpec::at("volumes/v01"), VolumeSpec::at("/mnt/v02")],
            migrate: Vec::new(),
        }
    }

    #[test]
    fn a_saved_file_is_read_back_and_names_folders_relative_to_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let folder = FileMedia::open(dir.path(), FileOptions::default()).unwrap();
        config().save(&folder, dir.path()).unwrap();
        let read = Config::load(dir.path()).unwrap();
        assert_eq!(read, config());
        assert_eq!(read.volume_path(dir.path(), &read.volumes[0]), dir.path().join("volumes/v01"));
        assert_eq!(read.volume_path(dir.path(), &read.volumes[1]), Path::new("/mnt/v02"));
    }

    #[test]
    fn a_volume_is_in_one_place_a_folder_or_a_prefix_of_a_store() {
        let stored = VolumeSpec { region: Some("ap-northeast-1".into()), ..VolumeSpec::in_store("s3://bucket/v07") };
        assert!(stored.address().unwrap().is_some() && VolumeSpec::at("v01").address().unwrap().is_none());
        let wrong = [
            (VolumeSpec::default(), "needs a path or a url"),
            (VolumeSpec { path: "v01".into(), ..stored.clone() }, "in one place"),
            (VolumeSpec { endpoint: Some("https://x".into()), ..VolumeSpec::at("v01") }, "is a folder"),
            (VolumeSpec::in_store("ftp://x/y"), "ftp"),
        ];
        for (spec, why) in wrong {
            let dir = tempfile::tempdir().unwrap();
            let folder = FileMedia::open(dir.path(), FileOptions::default()).unwrap();
            Config { volumes: vec![spec], ..config() }.save(&folder, dir.path()).unwrap();
            let error = Config::load(dir.path()).unwrap_err();
            assert!(matches!(&error, Error::Config { why: said, .. } if said.contains(why)), "{error}");
        }
    }

    #[test]
    fn unknown_fields_newer_forms_and_missing_files_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Config::load(dir.path()), Err(Error::Io { .. })));
        let text = toml::to_string(&config()).unwrap();
        std::fs::write(dir.path().join(FILE), format!("colour = 1\n{text}")).unwrap();
        let error = Config::load(dir.path()).unwrap_err();
        assert!(matches!(&error, Error::Config { why, .. } if why.contains("colour")), "{error}");
        std::fs::write(dir.path().join(FILE), text.replace("form = 1", "form = 2")).unwrap();
        let error = Config::load(dir.path()).unwrap_err();
        assert!(matches!(&error, Error::Config { why, .. } if why.contains("form is 2")), "{error}");
    }
}
