//! `shosoin up`: vault, hospital keyring and S3 gateway in one process. What is not there yet is made, what is there is
//! opened, and the two halves talk through the same interface as over the network.
//!
//! `DIR/vault` is all that an operator would hold, `DIR/hospital` all that the hospital holds.

use crate::commands::keyring::{SuiteArg, generate};
use crate::commands::vault::init::{parse_code, parse_index};
use crate::commands::vault::serve::{AdminTask, ConsoleArgs, ConsoleAt};
use crate::error::{Error, Result};
use crate::files;
use crate::hospital::{GatewayConfig, HospitalDir};
use crate::lock::Lock;
use crate::operator;
use crate::output::Output;
use crate::passphrase::PassphraseArgs;
use crate::session::Session;
use crate::stop::Stop;
use clap::Args;
use serde_json::json;
use shosoin_gateway::{GatewayOptions, NewCredentials, Role, UserStore, socket_path};
use shosoin_keyring::Keyring;
use shosoin_protocol::act::Document;
use shosoin_protocol::act::agreement::{Agreement, Draft, Terms};
use shosoin_store::{Config, IndexKind, InitOptions, Vault, VolumeSpec};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Name of the access key that `up` makes and prints.
const ADMIN: &str = "admin";
/// Region that S3 clients sign for, unless another is asked for.
pub const REGION: &str = "us-east-1";
/// Random bytes of a passphrase that `up` makes.
const PASSPHRASE_BYTES: usize = 32;

/// Arguments of `up`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  shosoin up --dir ./site --s3 127.0.0.1:9000")]
pub struct UpArgs {
    /// Folder of the site; made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Address the S3 gateway listens on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    s3: SocketAddr,
    /// Volumes of a new vault, all below the folder: a demonstration, not an archive [default: 6]
    #[arg(long, value_name = "N")]
    volumes: Option<usize>,
    /// Code of a new vault: data and parity shards [default: 4+2]
    #[arg(long, value_name = "K+M")]
    code: Option<String>,
    /// Database of a new vault's index: fjall or sled [default: fjall]
    #[arg(long, value_parser = parse_index)]
    index: Option<IndexKind>,
    /// Algorithms of a new hospital, for good
    #[arg(long, value_enum, default_value_t)]
    suite: SuiteArg,
    /// Region that S3 clients sign for
    #[arg(long, default_value = REGION)]
    region: String,
    /// Domain under which buckets are host names, as in BUCKET.DOMAIN
    #[arg(long)]
    domain: Option<String>,
    #[command(flatten)]
    console: ConsoleArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Opens both halves, serves S3, drains and closes.
pub async fn run(args: UpArgs, output: Output) -> Result<()> {
    let stop = Stop::listen()?;
    let hospital = HospitalDir::at(args.dir.join("hospital"));
    files::create_dir(hospital.root())?;
    let lock = Lock::take(hospital.root())?;
    let keyring = open_or_make_keyring(&hospital, &args)?;
    let vault_dir = args.dir.join("vault");
    let vault = open_or_make_vault(&vault_dir, &args).await?;
    let admin = AdminTask::start(&vault, &vault_dir, args.console).await?;
    let client = hospital.client_options(&keyring, hospital.root(), None)?;
    let session = Session::embedded(vault.clone(), keyring, client, lock).await?;
    let served = match agree_with_itself(&session, &vault).await {
        Ok(()) => serve(&session, &hospital, (&args, admin.console()), stop, output).await,
        Err(error) => Err(error),
    };
    admin.stop().await;
    session.finish(served).await?;
    output.answer(&operator::closed(vault.counters()), || "closed".to_owned())
}

/// A demonstration agrees with itself, so that everything an agreement governs can be tried. It says that it is one.
async fn agree_with_itself(session: &Session, vault: &Vault) -> Result<()> {
    let client = &session.client;
    let failed = || Error::client("make the agreement of the demonstration");
    let is_new = client.agreements().map_err(failed())?.is_empty();
    let hello = client.transport().hello().await.map_err(failed())?;
    if !hello.demo || !is_new {
        return Ok(());
    }
    let keyring = client.keyring();
    let (hospital, suite) = (keyring.hospital(), keyring.suite());
    let terms = Terms::demonstration(Draft { hospital, suite, vault: vault.id(), now_ms: hello.time_ms });
    let document = Document::Agreement(Box::new(Agreement::draft(terms))).encode();
    let signed = client.sign_agreement(&document).await.map_err(failed())?;
    let by_vault = vault.sign_demonstration(hospital, signed.document).await;
    by_vault.map_err(Error::vault("make the agreement of the demonstration"))?;
    client.refresh().await.map_err(failed())
}

async fn serve(
    session: &Session,
    hospital: &HospitalDir,
    (args, console): (&UpArgs, Option<&ConsoleAt>),
    stop: Stop,
    output: Output,
) -> Result<()> {
    let keyring = session.client.keyring();
    let (credentials, config) = (admin_credentials(keyring, hospital)?, GatewayConfig::load(hospital)?);
    let options = GatewayOptions {
        listen: args.s3,
        state_dir: hospital.root().to_owned(),
        region: args.region.clone(),
        domain: args.domain.clone(),
        snapshots: config.snapshots(),
        socket: socket_path(&session.state),
        metrics: config.metrics.map(|metrics| metrics.listen),
    };
    let gateway = shosoin_gateway::serve(session.client.clone(), options, stop.asked()).await;
    let gateway = gateway.map_err(Error::gateway(format!("serve S3 on {}", args.s3)))?;
    announce(gateway.addr, &credentials, keyring, (args, console), output)?;
    gateway.finished().await;
    Ok(())
}

fn announce(
    address: SocketAddr,
    credentials: &NewCredentials,
    keyring: &Keyring,
    (args, console): (&UpArgs, Option<&ConsoleAt>),
    output: Output,
) -> Result<()> {
    let pages = console.map(ConsoleAt::lines).unwrap_or_default();
    let (endpoint, hospital) = (format!("http://{address}"), keyring.hospital().to_string());
    let answer = json!({
        "s3_endpoint": endpoint,
        "access_key_id": credentials.user.access_key_id,
        "secret_access_key": credentials.secret_access_key.expose(),
        "region": args.region,
        "hospital": hospital,
        "pid": std::process::id(),
        "console": console.map(|console| &console.url),
        "console_certificate": console.map(|console| &console.fingerprint),
    });
    output.answer(&answer, || {
        format!(
            "s3 endpoint        {endpoint}\naccess key id      {}\nsecret access key  {}\nregion             {}\n\
             hospital           {hospital}{pages}\nThe volumes share one device: a demonstration, not an archive. Ctrl-C stops it.",
            credentials.user.access_key_id, credentials.secret_access_key.expose(), args.region
        )
    })
}

/// The keyring of the site. A new one is sealed under the passphrase the arguments give, or under a random one that is
/// kept beside it: convenient for a demonstration, and no protection from whoever reads the folder.
fn open_or_make_keyring(hospital: &HospitalDir, args: &UpArgs) -> Result<Keyring> {
    if hospital.keyring().exists() {
        return hospital.open_keyring(&args.passphrase);
    }
    let passphrase = match args.passphrase.is_given() {
        true => args.passphrase.read_new()?,
        false => make_passphrase(&hospital.passphrase())?,
    };
    let keyring = generate(hospital, args.suite.into())?;
    hospital.store_keyring(&keyring, &passphrase)?;
    Ok(keyring)
}

fn make_passphrase(path: &Path) -> Result<Zeroizing<String>> {
    if let Some(text) = files::read(path)? {
        return Ok(Zeroizing::new(String::from_utf8_lossy(&text).trim_end().to_owned()));
    }
    let mut random = Zeroizing::new([0; PASSPHRASE_BYTES]);
    getrandom::fill(&mut *random)
        .map_err(|error| Error::System { action: "get random numbers", source: std::io::Error::other(error) })?;
    let passphrase = Zeroizing::new(hex::encode(*random));
    files::create(path, passphrase.as_bytes())?;
    Ok(passphrase)
}

/// The vault of the site. Making one that is there already changes nothing; one whose making was cut short is finished.
async fn open_or_make_vault(dir: &Path, args: &UpArgs) -> Result<Vault> {
    let (volumes, code, index) = shape(dir, args)?;
    let options = InitOptions {
        volumes: (1..=volumes).map(|number| VolumeSpec::at(format!("volumes/v{number:02}"))).collect(),
        code: parse_code(&code, volumes)?,
        demo: true,
        index,
        listen: SocketAddr::from(([127, 0, 0, 1], 7443)),
    };
    match Vault::init(dir, options).await {
        Ok(()) | Err(shosoin_store::Error::Exists { .. }) => operator::open(dir).await,
        Err(error) => Err(Error::vault(format!("make vault {}", dir.display()))(error)),
    }
}

/// Volumes, code and index: decided when a vault is made, so that asking for others later is a mistake, not a wish.
fn shape(dir: &Path, args: &UpArgs) -> Result<(usize, String, IndexKind)> {
    if !dir.join(shosoin_store::config::FILE).exists() {
        let code = args.code.clone().unwrap_or_else(|| "4+2".to_owned());
        return Ok((args.volumes.unwrap_or(6), code, args.index.unwrap_or_default()));
    }
    let config = Config::load(dir).map_err(Error::vault(format!("open vault {}", dir.display())))?;
    let (volumes, code, index) = (config.volumes.len(), config.code, config.index);
    let differs = [
        ("--volumes", args.volumes.is_some_and(|asked| asked != volumes), volumes.to_string()),
        ("--code", args.code.as_ref().is_some_and(|asked| *asked != code), code.clone()),
        ("--index", args.index.is_some_and(|asked| asked != index), format!("{index:?}")),
    ];
    match differs.into_iter().find(|(_, differs, _)| *differs) {
        Some((what, _, has)) => Err(Error::invalid(what, format!("the vault in {} has {has}", dir.display()))),
        None => Ok((volumes, code, index)),
    }
}

/// The access key that `up` prints: the same at every start, and made anew if somebody removed it.
fn admin_credentials(keyring: &Keyring, hospital: &HospitalDir) -> Result<NewCredentials> {
    let users = UserStore::at(hospital.root());
    let credentials = match users.credentials(keyring, ADMIN) {
        Err(shosoin_gateway::Error::NoUser { .. }) => users.add(keyring, ADMIN, Role::Admin, None, None),
        known => known,
    };
    credentials.map_err(Error::gateway("read the access key of this site"))
}
