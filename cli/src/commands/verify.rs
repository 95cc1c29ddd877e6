//! `shosoin verify`: prove one record, or every version of every record, and report what does not hold.

use super::get::parse_version;
use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::progress::Progress;
use crate::session::Session;
use clap::Args;
use futures::StreamExt as _;
use serde_json::json;
use shosoin_client::{Client, ListedVersion, Proof, VerifyOptions, VersionsQuery};
use std::path::PathBuf;

/// Versions proved at the same time.
const AT_ONCE: usize = 8;
/// Versions listed at a time.
const PAGE: usize = 1000;

/// Arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    shosoin verify --dir ./hospital records ct-0001.dcm --content\n  \
    shosoin verify --dir ./hospital --all --content --json")]
pub struct VerifyArgs {
    /// Bucket
    #[arg(required_unless_present = "all")]
    bucket: Option<String>,
    /// Name of the record in it
    #[arg(required_unless_present = "all")]
    name: Option<String>,
    /// A version by its id [default: the newest]
    #[arg(long, value_name = "ID")]
    version: Option<String>,
    /// Every version of every record of every bucket
    #[arg(long, conflicts_with_all = ["bucket", "name", "version"])]
    all: bool,
    /// Fetch and open every chunk as well, and compare the digests of the plain text
    #[arg(long)]
    content: bool,
    /// Prove this receipt too, as `put --receipt` kept it
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Prints the proof, or a line for each failure and a summary.
pub async fn run(args: VerifyArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let options = VerifyOptions { content: args.content };
    let outcome = match (&args.bucket, &args.name) {
        (Some(bucket), Some(name)) => one(&session.client, bucket, name, &args, options, output).await,
        _ => all(&session.client, options, output).await,
    };
    session.finish(outcome).await
}

async fn one(
    client: &Client,
    bucket: &str,
    name: &str,
    args: &VerifyArgs,
    options: VerifyOptions,
    output: Output,
) -> Result<()> {
    let version = parse_version(args.version.as_ref())?;
    let task = || format!("prove {name} in bucket {bucket}");
    let mut proof = client.verify(bucket, name, version, options).await.map_err(Error::client(task()))?;
    if let Some(path) = &args.receipt {
        let bytes = std::fs::read(path).map_err(Error::file("read", path))?;
        let proved = client.verify_receipt(bucket, name, version, &bytes).await;
        proof.receipt = Some(proved.map_err(Error::client(task()))?);
    }
    output.answer(&proof, || text_of(&proof))
}

fn text_of(proof: &Proof) -> String {
    let fields = serde_json::to_value(proof).unwrap_or_default();
    let fields = fields.as_object().into_iter().flatten();
    let lines = fields.map(|(field, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{field:<20}{value}\n")
    });
    lines.chain(["every check holds\n".to_owned()]).collect()
}

/// What a tour over everything came to.
#[derive(Default)]
struct Tally {
    verified: u64,
    failed: u64,
}

async fn all(client: &Client, options: VerifyOptions, output: Output) -> Result<()> {
    let progress = Progress::count(output, "proved", None);
    let mut tally = Tally::default();
    for bucket in client.buckets().map_err(Error::client("list the buckets"))? {
        bucket_tour(client, &bucket.bucket, options, (&mut tally, &progress), output).await?;
    }
    drop(progress);
    let entries = client.head().map_or(0, |head| head.size);
    let answer = json!({ "entries": entries, "verified": tally.verified, "failed": tally.failed });
    output.answer(&answer, || {
        format!("{} versions proved, {} failed; the ledger has {entries} entries", tally.verified, tally.failed)
    })?;
    match tally.failed {
        0 => Ok(()),
        count => Err(Error::Damage { count, what: "versions do not verify" }),
    }
}

async fn bucket_tour(
    client: &Client,
    bucket: &str,
    options: VerifyOptions,
    (tally, progress): (&mut Tally, &Progress),
    output: Output,
) -> Result<()> {
    let mut next = Some((None, None));
    while let Some((key_marker, version_marker)) = next {
        let query = VersionsQuery {
            bucket: bucket.to_owned(),
            key_marker,
            version_marker,
            max: PAGE,
            ..VersionsQuery::default()
        };
        let page =
            client.list_versions(&query).map_err(Error::client(format!("list the versions in bucket {bucket}")))?;
        let records = page.versions.into_iter().filter(|row| !row.is_marker);
        let mut proofs = futures::stream::iter(records)
            .map(|row| async move {
                let proof = client.verify(bucket, &row.object.name, Some(row.version), options).await;
                (row, proof)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((row, proof)) = proofs.next().await {
            progress.add(1);
            match proof {
                Ok(_) => tally.verified += 1,
                Err(error) => {
                    tally.failed += 1;
                    print_failure(bucket, &row, error, output)?;
                }
            }
        }
        next = page.next.map(|(name, version)| (Some(name), version));
    }
    Ok(())
}

fn print_failure(bucket: &str, row: &ListedVersion, error: shosoin_client::Error, output: Output) -> Result<()> {
    let kind = error.kind().name();
    let why = Error::client(format!("prove {} in bucket {bucket}", row.object.name))(error).clauses().join(": ");
    let version = row.version.to_string();
    let answer = json!({ "bucket": bucket, "name": row.object.name, "version": version, "kind": kind, "failure": why });
    output.answer(&answer, || format!("FAILED  {bucket}/{} version {version}: {why}", row.object.name))
}
