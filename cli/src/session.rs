//! An open client for one command: over the network, or over the vault of a site made by `up` in this very process.

use crate::args::SiteArgs;
use crate::embedded::Embedded;
use crate::error::{Error, Result};
use crate::files;
use crate::hospital::{GatewayConfig, HospitalDir, parse_pin};
use crate::lock::Lock;
use crate::operator;
use shosoin_client::{Client, ClientOptions, HttpOptions, HttpTransport, Transport};
use shosoin_keyring::Keyring;
use shosoin_store::Vault;
use std::path::PathBuf;
use std::sync::Arc;

/// A client, and the vault where it is in this process. Both are ours alone until [`close`](Self::close).
pub struct Session {
    /// the hospital's side
    pub client: Client,
    /// the operator's side, if it is here
    pub vault: Option<Vault>,
    /// folder of the hospital's state
    pub state: PathBuf,
    _lock: Lock,
}

impl Session {
    /// Opens what the arguments name.
    pub async fn open(args: &SiteArgs) -> Result<Session> {
        Session::open_as(args, false).await
    }

    /// The same; where `unwitnessed`, heads are believed without the witnesses that the hospital requires.
    pub async fn open_as(args: &SiteArgs, unwitnessed: bool) -> Result<Session> {
        let hospital = HospitalDir::of(args)?;
        let keyring = hospital.open_keyring(&args.passphrase)?;
        let state = state_of(args)?;
        files::create_dir(&state)?;
        let lock = Lock::take(&state)?;
        let client = hospital.client_options(&keyring, state.clone(), args.require_witnesses)?;
        let client = ClientOptions { unwitnessed, ..client };
        match embedded_vault(args) {
            Some(dir) => {
                let vault = operator::open(&dir).await?;
                Session::embedded(vault, keyring, client, lock).await
            }
            None => {
                let transport = connect(args, &hospital, &keyring)?;
                let client = open_client(client, keyring, Arc::new(transport)).await?;
                Ok(Session { client, vault: None, state, _lock: lock })
            }
        }
    }

    /// Joins a vault in this process with a hospital that it knows or now enrols.
    pub async fn embedded(vault: Vault, keyring: Keyring, options: ClientOptions, lock: Lock) -> Result<Session> {
        let hospital = vault.enrol(&keyring.enrolment()).map_err(Error::vault("enrol the hospital of this site"))?;
        let (transport, state) = (Embedded::new(vault.clone(), hospital), options.state_dir.clone());
        match open_client(options, keyring, Arc::new(transport)).await {
            Ok(client) => Ok(Session { client, vault: Some(vault), state, _lock: lock }),
            Err(error) => operator::finish(&vault, Err(error)).await,
        }
    }

    /// Finishes what is under way on both sides.
    pub async fn close(self) -> Result<()> {
        let client = self.client.close().await.map_err(Error::client("close the hospital's state"));
        match &self.vault {
            Some(vault) => operator::finish(vault, client).await,
            None => client,
        }
    }

    /// Closes after a command, whose own failure comes first.
    pub async fn finish<T>(self, outcome: Result<T>) -> Result<T> {
        let closed = self.close().await;
        let value = outcome?;
        closed.map(|()| value)
    }
}

/// The folder of the state that the arguments name.
pub fn state_of(args: &SiteArgs) -> Result<PathBuf> {
    let hospital = HospitalDir::of(args)?;
    // a site's own vault is the first it met: only what reaches another one is configured with another state
    let asked = args.state.as_deref().or(embedded_vault(args).map(|_| hospital.root()));
    Ok(GatewayConfig::load(&hospital)?.state_dir(&hospital, asked))
}

/// The vault's folder, if the arguments name a site made by `up` and no other vault.
fn embedded_vault(args: &SiteArgs) -> Option<PathBuf> {
    let dir = args.dir.as_ref()?.join("vault");
    (args.vault_url.is_none() && dir.is_dir()).then_some(dir)
}

/// The way to the vault over the network, as the machine of this keyring.
pub fn connect(args: &SiteArgs, hospital: &HospitalDir, keyring: &Keyring) -> Result<HttpTransport> {
    let config = GatewayConfig::load(hospital)?;
    let missing = |what: &str| Error::invalid(what, format!("give it, or set it in {}", hospital.config().display()));
    let url = args.vault_url.clone().or(config.vault_url).ok_or_else(|| missing("--vault-url"))?;
    let pin = args.vault_pin.clone().or(config.vault_pin).ok_or_else(|| missing("--vault-pin"))?;
    let options = HttpOptions::new(&url, parse_pin(&pin)?, keyring.tls_certificate_der(), keyring.tls_key_der());
    HttpTransport::new(options).map_err(Error::client(format!("prepare to reach the vault at {url}")))
}

async fn open_client(options: ClientOptions, keyring: Keyring, transport: Arc<dyn Transport>) -> Result<Client> {
    let client = Client::open(options, keyring, transport).await;
    client.map_err(Error::client("open the hospital's side"))
}
