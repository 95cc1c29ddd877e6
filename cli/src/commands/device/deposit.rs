//! `shosoin device enrol --deposit-only` and `shosoin device deposit`: machines that store records and can open none.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::hospital::{GatewayConfig, HospitalDir, ScannerConfig};
use crate::lock::Lock;
use crate::output::Output;
use crate::passphrase;
use crate::progress::Progress;
use crate::session::{self, Session};
use crate::text;
use bytes::BytesMut;
use clap::Args;
use serde_json::json;
use shosoin_client::{ClientOptions, Deposited, Depositor, Enrolled};
use shosoin_keyring::Argon2Params;
use shosoin_keyring::keyfile::deposit;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// Arguments of `device enrol`.
#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// Bucket that the machine may deposit in
    bucket: String,
    /// Only names that begin with this
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// The machine may deposit and nothing else; one that does everything is made by `escrow restore`
    #[arg(long, required = true)]
    deposit_only: bool,
    /// New folder for what goes to the machine: key file, enrolment, where the vault is
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// File with the passphrase of the machine's key file, which is not the hospital's [default: asked for]
    #[arg(long, value_name = "FILE")]
    machine_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Lets a machine in and writes what goes to it.
pub async fn enrol(args: EnrolArgs, output: Output) -> Result<()> {
    let out = HospitalDir::at(&args.out);
    if out.keyring().exists() {
        return Err(Error::invalid(out.keyring().display().to_string(), "a key file is there; name a new folder"));
    }
    let config = vault_of(&GatewayConfig::load(&HospitalDir::of(&args.site)?)?, &args.site);
    let passphrase = match &args.machine_passphrase_file {
        Some(path) => passphrase::read_file(path)?,
        None => passphrase::prompt("Passphrase of the machine's key file: ")?,
    };
    let session = Session::open(&args.site).await?;
    let enrolled = session.client.enrol_depositor(&args.bucket, &args.prefix, None).await;
    let enrolled = session.finish(enrolled.map_err(Error::client("enrol a machine"))).await?;
    write(&out, &enrolled, passphrase.as_bytes(), &config)?;
    let device = enrolled.keyring.device_id().to_string();
    let answer = json!({
        "device": device, "role": "deposit-only", "bucket": args.bucket, "prefix": args.prefix,
        "keyring": out.keyring(), "enrolment": out.enrolment(),
    });
    output.answer(&answer, || {
        format!("device {device} may deposit in {} under {:?}, and read nothing", args.bucket, args.prefix)
    })?;
    output.note(&format!(
        "Give {} to the operator (`shosoin hospital enrol`), and take the folder to the machine; keep no copy of its key file.",
        out.enrolment().display()
    ));
    Ok(())
}

/// Where the vault is, as the arguments or the hospital's configuration say.
fn vault_of(config: &GatewayConfig, site: &SiteArgs) -> GatewayConfig {
    GatewayConfig {
        vault_url: site.vault_url.clone().or(config.vault_url.clone()),
        vault_pin: site.vault_pin.clone().or(config.vault_pin.clone()),
        ..GatewayConfig::default()
    }
}

fn write(out: &HospitalDir, enrolled: &Enrolled, passphrase: &[u8], config: &GatewayConfig) -> Result<()> {
    files::create_dir(out.root())?;
    let sealed = deposit::seal(&enrolled.keyring, &enrolled.terms, passphrase, Argon2Params::default());
    files::create(out.keyring(), &sealed.map_err(Error::key_file("make", out.keyring()))?)?;
    files::create(&out.enrolment(), &enrolled.enrolment)?;
    config.create(out)
}

/// Arguments of `device deposit`.
#[derive(Debug, Args)]
pub struct DepositArgs {
    /// Files to deposit
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of the record, behind the beginning that the machine's names have; with one file [default: the file's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Deposits files, and prints a line for each.
pub async fn deposit(args: DepositArgs, output: Output) -> Result<()> {
    if args.name.is_some() && args.files.len() > 1 {
        return Err(Error::invalid("--name", "it goes with one file"));
    }
    let dir = HospitalDir::of(&args.site)?;
    let passphrase = args.site.passphrase.read(&dir.passphrase())?;
    let opened = deposit::open(&dir.key_file()?, passphrase.as_bytes());
    let (keyring, terms) = opened.map_err(Error::key_file("open", dir.keyring()))?;
    let config = GatewayConfig::load(&dir)?;
    let state = config.state_dir(&dir, args.site.state.as_deref());
    files::create_dir(&state)?;
    let _lock = Lock::take(&state)?;
    let transport = Arc::new(session::connect(&args.site, &dir, &keyring)?);
    let prefix = terms.prefix.clone();
    let scanner = config.scanner.as_ref().map(ScannerConfig::scanner).transpose()?;
    let options = ClientOptions { scanner, ..ClientOptions::new(state) };
    let depositor = Depositor::open(options, keyring, terms, transport).await;
    let mut depositor = depositor.map_err(Error::client("reach the vault"))?;
    for file in &args.files {
        let own = || file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = args.name.clone().unwrap_or_else(own);
        let name = if name.starts_with(&prefix) { name } else { prefix.clone() + &name };
        let Deposited { version, size_bytes, leaf_index, .. } = one(&mut depositor, file, &name, output).await?;
        let answer =
            json!({ "name": name, "version": version.to_string(), "size_bytes": size_bytes, "leaf_index": leaf_index });
        output.answer(&answer, || {
            format!("deposited {} as {name}, entry {leaf_index} of the ledger", text::bytes(size_bytes))
        })?;
    }
    Ok(())
}

async fn one(depositor: &mut Depositor, path: &Path, name: &str, output: Output) -> Result<Deposited> {
    let task = || format!("deposit {}", path.display());
    let mut file = File::open(path).await.map_err(Error::file("open", path))?;
    let metadata = file.metadata().await.map_err(Error::file("look at", path))?;
    if !metadata.is_file() {
        return Err(Error::invalid(path.display().to_string(), "it is no file"));
    }
    let progress = Progress::bytes(output, "deposited", Some(metadata.len()));
    let mut writer = depositor.writer().map_err(Error::client(task()))?.expect_bytes(metadata.len());
    let content = loop {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        if file.read_buf(&mut buffer).await.map_err(Error::file("read", path))? == 0 {
            break writer.finish().await.map_err(Error::client(task()))?;
        }
        progress.add(buffer.len() as u64);
        writer.push(buffer.freeze()).await.map_err(Error::client(task()))?;
    };
    depositor.deposit(name, content).await.map_err(Error::client(task()))
}
