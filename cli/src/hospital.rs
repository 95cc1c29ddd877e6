//! The hospital's folder: key file, enrolment, passphrase of a demonstration, and how its vault is reached.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::passphrase::PassphraseArgs;
use crate::token;
use serde::{Deserialize, Serialize};
use shosoin_client::scan::{Scanner, ScannerOptions};
use shosoin_client::timestamp::{Authorities, AuthoritySpec};
use shosoin_client::{ClientOptions, SnapshotRule, WitnessPolicy, WitnessSpec, durable};
use shosoin_keyring::escrow::drill::Drill;
use shosoin_keyring::keyfile::TokenPart;
use shosoin_keyring::{Argon2Params, Keyring, keyfile};
use shosoin_protocol::Digest;
use shosoin_protocol::manifest::SignerStanding;
use shosoin_protocol::note::VerifierKey;
use shosoin_trust::{Anchors, HashName};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Form of `gateway.toml` that this release reads.
const FORM: u32 = 1;

/// Paths of one hospital's folder.
#[derive(Debug, Clone)]
pub struct HospitalDir {
    root: PathBuf,
    keyring: PathBuf,
}

impl HospitalDir {
    /// The folder at `root` with its usual files.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        HospitalDir { keyring: root.join("keyring"), root }
    }

    /// The folder that the arguments name: a hospital's, or the hospital's half of a site made by `up`.
    pub fn of(args: &SiteArgs) -> Result<Self> {
        let root = match (&args.dir, &args.keyring) {
            (Some(dir), _) if dir.join("hospital").is_dir() => dir.join("hospital"),
            (Some(dir), _) => dir.clone(),
            (None, Some(keyring)) => keyring.parent().map(Path::to_owned).unwrap_or_default(),
            (None, None) => {
                return Err(Error::invalid("--dir", "name the hospital's folder, or its key file with --keyring"));
            }
        };
        let usual = HospitalDir::at(root);
        Ok(HospitalDir { keyring: args.keyring.clone().unwrap_or(usual.keyring), ..usual })
    }

    /// The folder at `dir`, or the hospital's half of it where it is a site made by `up`.
    pub fn in_site(dir: &Path) -> Self {
        match dir.join("hospital") {
            half if half.is_dir() => HospitalDir::at(half),
            _ => HospitalDir::at(dir),
        }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The key file.
    pub fn keyring(&self) -> &Path {
        &self.keyring
    }

    /// The passphrase file that `up` makes, where it does.
    pub fn passphrase(&self) -> PathBuf {
        self.root.join("passphrase")
    }

    /// What the operator is handed.
    pub fn enrolment(&self) -> PathBuf {
        self.root.join("enrolment")
    }

    /// Note of the last restore drill.
    pub fn drill(&self) -> PathBuf {
        self.root.join("escrow-drill")
    }

    /// The last restore drill, if one was held. A note that does not open counts as none.
    pub fn drill_held(&self, keyring: &Keyring) -> Result<Option<Drill>> {
        let Some(file) = files::read(&self.drill())? else { return Ok(None) };
        let opened = Drill::open(keyring, &file);
        let ignore = |error: &shosoin_keyring::Error| {
            tracing::warn!(error = error as &dyn std::error::Error, "the note of the last restore drill does not open");
        };
        Ok(opened.inspect_err(ignore).ok())
    }

    /// The client’s options: what this folder says of drill, witnesses (how many must have signed, if `required` says it) and scanner.
    pub fn client_options(
        &self,
        keyring: &Keyring,
        state: impl Into<PathBuf>,
        required: Option<usize>,
    ) -> Result<ClientOptions> {
        let config = GatewayConfig::load(self)?;
        let scanner = config.scanner.as_ref().map(ScannerConfig::scanner).transpose()?;
        let (drill, witnesses) = (self.drill_held(keyring)?, config.witness_policy(required)?);
        let (document_anchors, accepted_signers) = match &config.documents {
            Some(documents) => {
                let anchors = read_anchors(&self.root.join(&documents.anchors), &documents.fingerprints)?;
                (anchors, documents.accepted()?)
            }
            None => Default::default(),
        };
        let options = ClientOptions::new(state);
        Ok(ClientOptions { drill, witnesses, scanner, document_anchors, accepted_signers, ..options })
    }

    /// How the vault is reached.
    pub fn config(&self) -> PathBuf {
        self.root.join("gateway.toml")
    }

    /// Opens the key file, with the token that it is bound to where it is.
    pub fn open_keyring(&self, secrets: &PassphraseArgs) -> Result<Keyring> {
        let bytes = self.key_file()?;
        let passphrase = secrets.read(&self.passphrase())?;
        let opened = match keyfile::token_of(&bytes).map_err(Error::key_file("open", &self.keyring))? {
            None => keyfile::open(&bytes, passphrase.as_bytes()),
            Some(part) => {
                let token = token::open(self, &secrets.pin, &part)?;
                keyfile::open_with_token(&bytes, passphrase.as_bytes(), |part| token.unwrap(part))
            }
        };
        opened.map_err(Error::key_file("open", &self.keyring))
    }

    /// The bytes of the key file.
    pub fn key_file(&self) -> Result<Vec<u8>> {
        files::read(&self.keyring)?.ok_or_else(|| Error::NoKeyFile { path: self.keyring.clone() })
    }

    /// The token without which the key file does not open; none where a passphrase alone keeps the root.
    pub fn token(&self) -> Result<Option<TokenPart>> {
        keyfile::token_of(&self.key_file()?).map_err(Error::key_file("read", &self.keyring))
    }

    /// Stores a new keyring under `passphrase`, and the enrolment for the operator beside it.
    pub fn store_keyring(&self, keyring: &Keyring, passphrase: &str) -> Result<()> {
        files::create_dir(&self.root)?;
        let sealed = keyfile::seal(keyring, passphrase.as_bytes(), Argon2Params::default());
        let bytes = sealed.map_err(Error::key_file("make", &self.keyring))?;
        files::create(&self.keyring, &bytes)?;
        files::create(&self.enrolment(), &keyring.enrolment())
    }
}

/// `gateway.toml`: unknown fields are refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// form of this file
    pub form: u32,
    /// where the vault is
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_url: Option<String>,
    /// pin of the vault's TLS key, in hex
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_pin: Option<String>,
    /// folder for the remembered ledger head and the view of names, from the hospital's folder on
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
    /// address the S3 gateway listens on
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// region that S3 clients sign for
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// domain under which buckets are host names
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// entries after which a gateway that runs makes a snapshot of its view; 0: never
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_entries: Option<u64>,
    /// where a gateway shows figures
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsConfig>,
    /// what scans contents for malware before they are sealed
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanner: Option<ScannerConfig>,
    /// how many of the witnesses must have co-signed a ledger head before it is believed
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_witnesses: Option<usize>,
    /// how long a head may wait for them, in seconds
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness_wait_seconds: Option<u64>,
    /// the witnesses
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub witnesses: Vec<WitnessConfig>,
    /// whom people who sign documents must be certified by
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentsConfig>,
    /// who says what time it is, in the order in which they are asked
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timestamp_authorities: Vec<AuthorityConfig>,
}

/// `[metrics]` of `gateway.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// loopback address on which a gateway that runs shows `/metrics`
    pub listen: SocketAddr,
}

/// `[documents]` of `gateway.toml`: the trust anchors for signatures that documents bring.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentsConfig {
    /// file with the certificates, beside `gateway.toml` unless the path is absolute
    pub anchors: PathBuf,
    /// SHA-256 of each of them, as its authority told it by another way
    pub fingerprints: Vec<String>,
    /// standings of signers beside trusted that documents are stored with, through S3 too: as in `expired`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_signers: Vec<String>,
}

impl DocumentsConfig {
    fn accepted(&self) -> Result<Vec<SignerStanding>> {
        let wrong = |why| Error::invalid("documents.accept_signers in gateway.toml", why);
        self.accept_signers.iter().map(|name| parse_standing(name).map_err(wrong)).collect()
    }
}

/// A standing of a signer by its name.
pub fn parse_standing(text: &str) -> Result<SignerStanding, String> {
    let known = SignerStanding::ALL.into_iter().find(|standing| standing.name() == text);
    known.ok_or_else(|| format!("a signer is one of {}", SignerStanding::ALL.map(SignerStanding::name).join(", ")))
}

/// A timestamping authority in `gateway.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityConfig {
    /// `http://host:port/path`, or `https://` with a pin; without it, it is not asked any more and what it gave still counts
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// SHA-256 of its TLS key, in hex
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// file with the certificates that it must lead to, beside `gateway.toml` unless the path is absolute
    pub anchors: PathBuf,
    /// SHA-256 of each of them, as the authority told it by another way
    pub fingerprints: Vec<String>,
}

/// `[scanner]` of `gateway.toml`: the hospital's ClamAV daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScannerConfig {
    /// path of its Unix socket, or `tcp:HOST:PORT`
    pub address: String,
    /// folder of its definitions: tells their age where the daemon does not
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definitions: Option<PathBuf>,
    /// hours that definitions may be old; an agreement may ask for less
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definitions_hours_max: Option<u32>,
    /// the lesser of its `StreamMaxLength` and `MaxFileSize`, in bytes
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
    /// streams open at a time; fewer than its `MaxThreads`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams_max: Option<usize>,
}

impl ScannerConfig {
    /// The scanner as the client takes it.
    pub fn scanner(&self) -> Result<Arc<Scanner>> {
        let wrong = |why: String| Error::invalid("scanner.address in gateway.toml", why);
        let options = ScannerOptions::new(self.address.parse().map_err(wrong)?);
        if self.bytes_max == Some(0) {
            return Err(Error::invalid("scanner.bytes_max in gateway.toml", "nothing could be scanned"));
        }
        Ok(Scanner::new(ScannerOptions {
            definitions: self.definitions.clone(),
            definitions_hours_max: self.definitions_hours_max.unwrap_or(options.definitions_hours_max),
            bytes_max: self.bytes_max.unwrap_or(options.bytes_max),
            streams_max: self.streams_max.unwrap_or(options.streams_max),
            ..options
        }))
    }
}

/// A witness in `gateway.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// `http://host:port/prefix`, or `https://` with a pin
    pub url: String,
    /// its name and key, as `shosoin witness show` prints it
    pub key: String,
    /// SHA-256 of its TLS key, in hex
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
}

impl WitnessConfig {
    fn parsed_key(&self) -> Result<VerifierKey> {
        self.key.parse().map_err(|error| Error::invalid("key of a witness", format!("{error}")))
    }
}

/// Seconds that a head waits for witnesses, unless the configuration says otherwise.
const WITNESS_WAIT_SECONDS: u64 = 15;

impl Default for GatewayConfig {
    fn default() -> Self {
        GatewayConfig {
            form: FORM,
            vault_url: None,
            vault_pin: None,
            state: None,
            listen: None,
            region: None,
            domain: None,
            snapshot_entries: None,
            metrics: None,
            require_witnesses: None,
            witness_wait_seconds: None,
            witnesses: Vec::new(),
            scanner: None,
            documents: None,
            timestamp_authorities: Vec::new(),
        }
    }
}

impl GatewayConfig {
    /// Reads the file of a hospital's folder; without one, nothing is set.
    pub fn load(dir: &HospitalDir) -> Result<Self> {
        let path = dir.config();
        let Some(bytes) = files::read(&path)? else { return Ok(GatewayConfig::default()) };
        let refuse = |why: String| Error::invalid(path.display().to_string(), why);
        let text = String::from_utf8(bytes).map_err(|_| refuse("it is not text".to_owned()))?;
        let config: GatewayConfig = toml::from_str(&text).map_err(|error| refuse(error.message().to_owned()))?;
        match config.form {
            FORM => Ok(config),
            form => Err(refuse(format!("its form is {form}, this release reads form {FORM}"))),
        }
    }

    /// When a gateway makes snapshots by itself.
    pub fn snapshots(&self) -> SnapshotRule {
        self.snapshot_entries.map_or_else(SnapshotRule::default, |entries| SnapshotRule { entries })
    }

    /// What the file, or else `required`, demands of witnesses. Witnesses without a number, or the other way round, are
    /// refused: a demand that is silently not kept is worse than none.
    pub fn witness_policy(&self, required: Option<usize>) -> Result<Option<WitnessPolicy>> {
        let required = match (required.or(self.require_witnesses), self.witnesses.is_empty()) {
            (None, true) | (Some(0), _) => return Ok(None),
            (Some(required), _) => required,
            (None, false) => {
                let why = "witnesses are configured; say how many of them must sign, or 0";
                return Err(Error::invalid("require_witnesses", why));
            }
        };
        let spec = |witness: &WitnessConfig| {
            let key = witness.parsed_key()?;
            let pin = witness.pin.as_deref().map(parse_pin).transpose()?;
            Ok(WitnessSpec { url: witness.url.clone(), key, pin })
        };
        let witnesses = self.witnesses.iter().map(spec).collect::<Result<Vec<_>>>()?;
        let wait = Duration::from_secs(self.witness_wait_seconds.unwrap_or(WITNESS_WAIT_SECONDS));
        let policy = WitnessPolicy { witnesses, required, wait };
        policy.check().map_err(Error::client("require witnesses"))?;
        Ok(Some(policy))
    }

    /// The authorities whose timestamps count.
    pub fn authorities(&self, dir: &HospitalDir, hash: HashName) -> Result<Authorities> {
        let spec = |authority: &AuthorityConfig| {
            let pin = authority.pin.as_deref().map(parse_pin).transpose()?;
            let anchors = read_anchors(&dir.root().join(&authority.anchors), &authority.fingerprints)?;
            Ok(AuthoritySpec { url: authority.url.clone(), pin, anchors })
        };
        let specs = self.timestamp_authorities.iter().map(spec).collect::<Result<Vec<_>>>()?;
        Authorities::new(specs, hash).map_err(Error::client("read the timestamping authorities"))
    }

    /// The keys of all witnesses that are configured.
    pub fn witness_keys(&self) -> Result<Vec<VerifierKey>> {
        self.witnesses.iter().map(WitnessConfig::parsed_key).collect()
    }

    /// Writes the file of a hospital's folder, which must not have one.
    pub fn create(&self, dir: &HospitalDir) -> Result<()> {
        files::create(&dir.config(), self.text()?.as_bytes())
    }

    /// Writes the file of a hospital's folder in place of the one that is there, if any.
    pub fn replace(&self, dir: &HospitalDir) -> Result<()> {
        let text = self.text()?;
        durable::replace(&dir.config(), text.as_bytes()).map_err(Error::file("write", dir.config()))
    }

    fn text(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::invalid("gateway.toml", error.to_string()))
    }

    /// Where this hospital's state is: where `asked` says, or the file, or beside the key file.
    pub fn state_dir(&self, dir: &HospitalDir, asked: Option<&Path>) -> PathBuf {
        match (asked, &self.state) {
            (Some(asked), _) => asked.to_owned(),
            (None, Some(state)) => dir.root().join(state),
            (None, None) => dir.root().to_owned(),
        }
    }
}

/// Trust anchors from a file, each of which must have been entered by its fingerprint as well.
pub fn read_anchors(path: &Path, fingerprints: &[String]) -> Result<Anchors> {
    let file = std::fs::read(path).map_err(Error::file("read", path))?;
    let entered = fingerprints.iter().map(|text| parse_pin(text).map(Digest)).collect::<Result<Vec<_>>>()?;
    Anchors::read(&file, &entered).map_err(|error| {
        let compare = "compare `openssl x509 -fingerprint -sha256` of the file with what the authority publishes";
        Error::invalid(path.display().to_string(), format!("{error}; {compare}"))
    })
}

/// A pin from its 64 hex digits; spaces and colons between them are ignored, as people copy them.
pub fn parse_pin(text: &str) -> Result<[u8; 32]> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | ':')).collect();
    let mut pin = [0; 32];
    match hex::decode_to_slice(digits, &mut pin) {
        Ok(()) => Ok(pin),
        Err(_) => {
            Err(Error::invalid("pin", "it must be 64 hex digits, as `shosoin vault init` and `vault status` print it"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_people_copy_it() {
        let pin = [0xAB; 32];
        assert_eq!(parse_pin(&hex::encode(pin)).unwrap(), pin);
        assert_eq!(parse_pin(&["AB"; 32].join(":")).unwrap(), pin);
        assert!(parse_pin("abcd").is_err());
    }

    #[test]
    fn a_configuration_with_an_unknown_field_or_a_newer_form_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let dir = HospitalDir::at(dir.path());
        files::create_dir(dir.root()).unwrap();
        for text in ["form = 1\nvault_urll = \"x\"", "form = 2", "vault_url = 1"] {
            std::fs::write(dir.config(), text).unwrap();
            assert!(matches!(GatewayConfig::load(&dir), Err(Error::Invalid { .. })), "{text}");
        }
        std::fs::remove_file(dir.config()).unwrap();
        GatewayConfig { region: Some("jp-east".to_owned()), ..GatewayConfig::default() }.create(&dir).unwrap();
        assert_eq!(GatewayConfig::load(&dir).unwrap().region.as_deref(), Some("jp-east"));
    }
}
