//! `shosoin pack`: records onto a medium that a courier brings to the vault. They are scanned, sealed and signed as those that go over
//! a line are.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::session::Session;
use crate::text::bytes;
use bytes::BytesMut;
use clap::Args;
use serde_json::{Value, json};
use shosoin_client::{Client, ClientOptions, Condition, NewObject, Part, now_ms};
use shosoin_protocol::VersionId;
use shosoin_protocol::manifest::BucketFacts;
use shosoin_protocol::medium::{MediumKind, MediumPlace};
use std::path::{Path, PathBuf};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// Bytes that are read and handed to the client at a time.
const READ_BYTES: usize = 1 << 20;

/// Arguments of `pack`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    shosoin pack --dir ./packing charts scans/*.dcm --medium /media/disc --kind optical --number 1 --of 2\n  \
    shosoin pack --dir ./packing --forget")]
pub struct PackArgs {
    /// Bucket, which must exist
    #[arg(required_unless_present = "forget")]
    bucket: Option<String>,
    /// Files; each becomes a record with the name of the file
    #[arg(required_unless_present = "forget")]
    files: Vec<PathBuf>,
    /// Where the medium is mounted
    #[arg(long, value_name = "DIR", required_unless_present = "forget")]
    medium: Option<PathBuf>,
    /// What kind it is: optical, disk, tape, flash
    #[arg(long, value_name = "KIND", required_unless_present = "forget")]
    kind: Option<String>,
    /// Its number in the shipment
    #[arg(long, value_name = "N", default_value_t = 1)]
    number: u16,
    /// Media of the shipment
    #[arg(long, value_name = "N", default_value_t = 1)]
    of: u16,
    /// The shipment, for every medium but the first [default: a new one]
    #[arg(long, value_name = "ID")]
    shipment: Option<String>,
    /// Forget what was packed and never arrived: it is packed anew, and the lost medium would be refused
    #[arg(long, conflicts_with_all = ["medium", "kind", "shipment"])]
    forget: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Packs, and says what the operator must be told by another way.
pub async fn run(args: PackArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let outcome = match args.forget {
        true => session
            .client
            .forget_packed()
            .map_err(Error::client("forget what was packed"))
            .map(|()| json!({ "forgotten": true })),
        false => pack(&session.client, &args).await,
    };
    let answer = session.finish(outcome).await?;
    output.answer(&answer, || text(&answer))
}

async fn pack(client: &Client, args: &PackArgs) -> Result<Value> {
    let (Some(bucket), Some(medium), Some(kind)) = (&args.bucket, &args.medium, &args.kind) else {
        return Err(Error::invalid("pack", "name a bucket, a medium and its kind"));
    };
    let kind = MediumKind::parse(kind).ok_or_else(|| Error::invalid("--kind", "optical, disk, tape or flash"))?;
    let shipment = match &args.shipment {
        Some(id) => {
            id.parse().map_err(|error: shosoin_protocol::Error| Error::invalid("--shipment", error.to_string()))?
        }
        None => new_shipment(client)?,
    };
    if args.number < 1 || args.number > args.of {
        return Err(Error::invalid("--number", "it is one of the media of the shipment"));
    }
    let names = args.files.iter().map(|path| name_of(path)).collect::<Result<Vec<String>>>()?;
    let task = || format!("pack onto {}", medium.display());
    let Some(facts) = client.bucket(bucket).map_err(Error::client(task()))? else {
        return Err(Error::NotFound { what: "bucket", name: bucket.clone() });
    };
    let options = ClientOptions { scanner: client.scanner(), ..ClientOptions::new(medium) };
    let (packing, courier) = client.packing(medium, options).map_err(Error::client(task()))?;
    let mut versions = Vec::new();
    for (path, name) in args.files.iter().zip(names) {
        versions.push(pack_one(&packing, &facts, path, name).await?.to_string());
    }
    let place = MediumPlace { shipment, number: args.number, of: args.of };
    let totals = courier.seal(&packing, kind, place, now_ms()).map_err(Error::client(task()))?;
    Ok(json!({
        "shipment": shipment.to_string(),
        "number": args.number,
        "of": args.of,
        "kind": kind.name(),
        "records": versions.len(),
        "versions": versions,
        "chunks": totals.chunks,
        "batches": totals.batches,
        "bytes": totals.bytes,
    }))
}

fn new_shipment(client: &Client) -> Result<VersionId> {
    client.fresh_id().map_err(Error::client("number the shipment"))
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| Error::invalid(path.display().to_string(), "its name is no text"))
}

async fn pack_one(client: &Client, bucket: &BucketFacts, path: &Path, name: String) -> Result<VersionId> {
    let task = || format!("pack {}", path.display());
    let mut file = File::open(path).await.map_err(Error::file("open", path))?;
    let mut writer = client.writer(bucket, bucket.policy.label).map_err(Error::client(task()))?;
    loop {
        let mut buffer = BytesMut::with_capacity(READ_BYTES);
        if file.read_buf(&mut buffer).await.map_err(Error::file("read", path))? == 0 {
            break;
        }
        writer.push(buffer.freeze()).await.map_err(Error::client(task()))?;
    }
    let content = writer.finish().await.map_err(Error::client(task()))?;
    let version = client.fresh_id().map_err(Error::client(task()))?;
    let headers = vec![("content-type".to_owned(), "application/octet-stream".to_owned())];
    let object =
        NewObject { bucket: bucket.bucket.clone(), name, headers, version: Some(version), ..NewObject::default() };
    match client.put_object(object, Part::single(content), Condition::Any).await {
        Err(error) if error.is_packed() => Ok(version),
        Err(error) => Err(Error::client(task())(error)),
        Ok(_) => Err(Error::invalid(path.display().to_string(), "it went over the line, not onto the medium")),
    }
}

fn text(answer: &Value) -> String {
    if answer["forgotten"] == true {
        return "what was packed is forgotten; a medium that still arrives will be refused\n".to_owned();
    }
    let size = answer["bytes"].as_u64().map(bytes).unwrap_or_default();
    format!(
        "packed {} records, {size}, as medium {} of {} of shipment {}\n\
         Put it into a sealed container. Tell the operator by another way: the shipment, how many media of which kinds, the numbers of\n\
         the seals, who carries them, and when they arrive.\n",
        answer["records"],
        answer["number"],
        answer["of"],
        answer["shipment"].as_str().unwrap_or_default()
    )
}
