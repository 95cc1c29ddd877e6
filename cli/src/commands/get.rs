//! `shosoin get`: fetch a record straight from the vault. The file appears whole and verified, or not at all.

use crate::args::{RecordArgs, SiteArgs};
use crate::error::{Error, Result};
use crate::output::Output;
use crate::progress::Progress;
use crate::session::Session;
use crate::text;
use clap::Args;
use futures::StreamExt as _;
use serde_json::json;
use shosoin_client::{Client, OpenObject};
use shosoin_protocol::VersionId;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

/// Arguments of `get`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  shosoin get --dir ./hospital records ct-0001.dcm --out ./ct-0001.dcm")]
pub struct GetArgs {
    #[command(flatten)]
    record: RecordArgs,
    /// File to write, which must not exist; `-` writes to stdout [default: the last part of the name]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Fetches the record and prints what it was.
pub async fn run(args: GetArgs, output: Output) -> Result<()> {
    let target = target(&args)?;
    let session = Session::open(&args.site).await?;
    let outcome = get(&session.client, &args.record, &target, output).await;
    let object = session.finish(outcome).await?;
    let Target::File(path) = target else { return Ok(()) };
    let (size_bytes, version) = (object.facts().size_bytes, object.version().to_string());
    let answer = json!({ "file": path, "size_bytes": size_bytes, "version": version });
    output.answer(&answer, || format!("fetched {} to {}", text::bytes(size_bytes), path.display()))
}

/// Where the bytes go.
enum Target {
    Stdout,
    File(PathBuf),
}

fn target(args: &GetArgs) -> Result<Target> {
    let path = match &args.out {
        Some(path) if path == Path::new("-") => return Ok(Target::Stdout),
        Some(path) => path.clone(),
        None => match Path::new(&args.record.name).file_name() {
            Some(name) => PathBuf::from(name),
            None => return Err(Error::invalid("--out", "the name ends in no file name, so say where to write")),
        },
    };
    match path.exists() && !args.force {
        true => Err(Error::invalid(path.display().to_string(), "it exists; --force replaces it")),
        false => Ok(Target::File(path)),
    }
}

async fn get(client: &Client, record: &RecordArgs, target: &Target, output: Output) -> Result<OpenObject> {
    let version = parse_version(record.version.as_ref())?;
    let object = client.open_object(&record.bucket, &record.name, version).await;
    let object = object.map_err(Error::client(task(record)))?;
    match target {
        Target::Stdout => {
            let stdout = std::io::stdout().as_fd().try_clone_to_owned().map_err(Error::file("open", "stdout"))?;
            let mut stdout = tokio::fs::File::from_std(stdout.into());
            copy(&object, record, &mut stdout, Path::new("stdout"), output).await?;
        }
        Target::File(path) => {
            let temporary = temporary_for(path);
            let written = write_file(&object, record, &temporary, output).await;
            let renamed = written.and_then(|()| std::fs::rename(&temporary, path).map_err(Error::file("create", path)));
            if let Err(error) = renamed {
                let _ = std::fs::remove_file(&temporary);
                return Err(error);
            }
        }
    }
    Ok(object)
}

async fn write_file(object: &OpenObject, record: &RecordArgs, path: &Path, output: Output) -> Result<()> {
    let mut file = tokio::fs::File::create(path).await.map_err(Error::file("create", path))?;
    copy(object, record, &mut file, path, output).await?;
    file.sync_all().await.map_err(Error::file("sync", path))
}

async fn copy(
    object: &OpenObject,
    record: &RecordArgs,
    target: &mut (impl AsyncWrite + Unpin),
    path: &Path,
    output: Output,
) -> Result<()> {
    let size_bytes = object.facts().size_bytes;
    let progress = Progress::bytes(output, "fetched", Some(size_bytes));
    let mut pieces = object.read(0..size_bytes);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(Error::client(task(record)))?;
        target.write_all(&piece).await.map_err(Error::file("write", path))?;
        progress.add(piece.len() as u64);
    }
    target.flush().await.map_err(Error::file("write", path))
}

fn task(record: &RecordArgs) -> String {
    format!("get {} from bucket {}", record.name, record.bucket)
}

fn temporary_for(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

/// The version that was asked for.
pub fn parse_version(text: Option<&String>) -> Result<Option<VersionId>> {
    let bad = |_| Error::invalid("--version", "it must be a version id, 32 hex digits as `stat` prints it");
    text.map(|text| text.parse().map_err(bad)).transpose()
}
