//! `shosoin put`: store a record straight in the vault.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::files;
use crate::hospital::parse_standing;
use crate::output::Output;
use crate::progress::Progress;
use crate::session::Session;
use crate::text;
use bytes::BytesMut;
use clap::Args;
use serde_json::json;
use shosoin_client::{CheckedDocument, Client, Condition, NewObject, Part, PartContent, Stored};
use shosoin_protocol::manifest::{BucketFacts, SignerStanding};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// Bytes that are read and handed to the client at a time.
const READ_BYTES: usize = 1 << 20;

/// Arguments of `put`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  shosoin put --dir ./hospital records ct-0001.dcm ./ct-0001.dcm --metadata study=42\n  \
    shosoin put --dir ./hospital letters consent.xml ./consent.xml --signature ./consent.xml.p7s"
)]
pub struct PutArgs {
    /// Bucket, which must exist
    bucket: String,
    /// Name the record gets
    name: String,
    /// File to store; `-` reads stdin
    file: PathBuf,
    /// Content type [default: application/octet-stream]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// User metadata, as in study=42; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    metadata: Vec<(String, String)>,
    /// Refuse if the name has a record already
    #[arg(long)]
    if_absent: bool,
    /// Detached signature (CMS, PKCS#7) that the document brings: verified before anything is sealed, and kept with it
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Store the document although a signer is so, and say so in the deposit: expired, not-yet-valid, unknown-issuer,
    /// other-purpose, not-believed; may be repeated
    #[arg(long, value_name = "STANDING", value_parser = parse_standing, requires = "signature")]
    accept_signer: Vec<SignerStanding>,
    /// Keep the vault's receipt in this file, which must not exist, for `verify --receipt`
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    site: SiteArgs,
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must look like NAME=VALUE")?;
    Ok((name.to_ascii_lowercase(), value.to_owned()))
}

/// Stores the file and prints where it is in the ledger.
pub async fn run(args: PutArgs, output: Output) -> Result<()> {
    if let Some(path) = args.receipt.as_ref().filter(|path| path.exists()) {
        return Err(Error::invalid(path.display().to_string(), "it exists; a receipt is never replaced"));
    }
    let (file, size_bytes) = open_input(&args.file).await?;
    let session = Session::open(&args.site).await?;
    let outcome = put(&session.client, &args, file, size_bytes, output).await;
    let stored = session.finish(outcome).await?;
    match (&args.receipt, &stored.receipt) {
        (Some(path), Some(receipt)) => files::create(path, &receipt.encode())?,
        (Some(_), None) => {
            output.note("The vault's answer was lost and found in the ledger: there is no receipt to keep.")
        }
        (None, _) => {}
    }
    let answer = json!({
        "bucket": args.bucket,
        "name": args.name,
        "version": stored.version.to_string(),
        "etag": stored.etag,
        "size_bytes": stored.facts.size_bytes,
        "leaf_index": stored.leaf_index,
        "receipt": stored.receipt.is_some(),
        "signers": stored.facts.signature.iter().flat_map(|signature| &signature.signers)
            .map(|signer| signer.standing.name()).collect::<Vec<_>>(),
    });
    output.answer(&answer, || {
        let size = text::bytes(stored.facts.size_bytes);
        format!("stored {size} as version {}, entry {} of the ledger", stored.version, stored.leaf_index)
    })
}

async fn put(client: &Client, args: &PutArgs, file: File, size_bytes: Option<u64>, output: Output) -> Result<Stored> {
    let task = || format!("put {} into bucket {}", args.name, args.bucket);
    let Some(bucket) = client.bucket(&args.bucket).map_err(Error::client(task()))? else {
        return Err(Error::NotFound { what: "bucket", name: args.bucket.clone() });
    };
    let (file, signature) = match &args.signature {
        Some(path) => check_signature(client, args, path, file, size_bytes).await?,
        None => (file, None),
    };
    let progress = Progress::bytes(output, "stored", size_bytes);
    let content = write(client, &bucket, file, size_bytes, args, &progress).await?;
    let content_type = args.content_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
    let object = NewObject {
        bucket: args.bucket.clone(),
        name: args.name.clone(),
        headers: vec![("content-type".to_owned(), content_type)],
        metadata: args.metadata.clone(),
        signature,
        ..NewObject::default()
    };
    let condition = if args.if_absent { Condition::Absent } else { Condition::Any };
    client.put_object(object, Part::single(content), condition).await.map_err(Error::client(task()))
}

/// Reads the whole file once against its signature; it must be the same when it is read again to be stored.
async fn check_signature(
    client: &Client,
    args: &PutArgs,
    path: &Path,
    mut file: File,
    size_bytes: Option<u64>,
) -> Result<(File, Option<CheckedDocument>)> {
    if size_bytes.is_none() {
        return Err(Error::invalid("--signature", "the document is read twice, so it must be a file"));
    }
    let task = || format!("put {} into bucket {}", args.name, args.bucket);
    let cms = std::fs::read(path).map_err(Error::file("read", path))?;
    let mut check = client.check_signature(&cms).map_err(Error::client(task()))?;
    loop {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        if file.read_buf(&mut buffer).await.map_err(Error::file("read", &args.file))? == 0 {
            break;
        }
        check = check.add(buffer.freeze()).await.map_err(Error::client(task()))?;
    }
    file.rewind().await.map_err(Error::file("read", &args.file))?;
    let checked = client.checked_document(check, &args.accept_signer).map_err(Error::client(task()))?;
    Ok((file, Some(checked)))
}

async fn write(
    client: &Client,
    bucket: &BucketFacts,
    mut file: File,
    size_bytes: Option<u64>,
    args: &PutArgs,
    progress: &Progress,
) -> Result<PartContent> {
    let task = || format!("put {} into bucket {}", args.name, args.bucket);
    let mut writer = client.writer(bucket, bucket.policy.label).map_err(Error::client(task()))?;
    if let Some(size_bytes) = size_bytes {
        writer = writer.expect_bytes(size_bytes);
    }
    loop {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        if file.read_buf(&mut buffer).await.map_err(Error::file("read", &args.file))? == 0 {
            return writer.finish().await.map_err(Error::client(task()));
        }
        progress.add(buffer.len() as u64);
        writer.push(buffer.freeze()).await.map_err(Error::client(task()))?;
    }
}

/// What to read, and how long it is where that is known.
async fn open_input(path: &Path) -> Result<(File, Option<u64>)> {
    if path == Path::new("-") {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(Error::file("open", "stdin"))?;
        return Ok((File::from_std(stdin.into()), None));
    }
    let file = File::open(path).await.map_err(Error::file("open", path))?;
    let metadata = file.metadata().await.map_err(Error::file("look at", path))?;
    if metadata.is_dir() {
        return Err(Error::invalid(path.display().to_string(), "it is a folder; put takes one file"));
    }
    Ok((file, metadata.is_file().then_some(metadata.len())))
}
