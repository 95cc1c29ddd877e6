//! `shosoin ls`: buckets, or the records of one, from the local view of names.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::session::Session;
use crate::text;
use clap::Args;
use serde_json::json;
use shosoin_client::{Client, ListPage, ListQuery, VersionsPage, VersionsQuery};

/// Names asked for at a time.
const PAGE: usize = 1000;

/// Arguments of `ls`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  shosoin ls --dir ./hospital records --prefix 2026/")]
pub struct LsArgs {
    /// Bucket; without it, the buckets are listed
    bucket: Option<String>,
    /// Only names that begin with this
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// Roll names up at this, as in `/`
    #[arg(long, conflicts_with = "versions")]
    delimiter: Option<String>,
    /// Every version and delete marker
    #[arg(long)]
    versions: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// Prints one line for each.
pub async fn run(args: LsArgs, output: Output) -> Result<()> {
    let session = Session::open(&args.site).await?;
    let outcome = match &args.bucket {
        None => buckets(&session.client, output),
        Some(bucket) if args.versions => versions(&session.client, bucket, &args, output),
        Some(bucket) => objects(&session.client, bucket, &args, output),
    };
    session.finish(outcome).await
}

fn buckets(client: &Client, output: Output) -> Result<()> {
    for bucket in client.buckets().map_err(Error::client("list the buckets"))? {
        let answer = json!({ "bucket": bucket.bucket, "created": text::time(bucket.created_ms) });
        output.answer(&answer, || format!("{}  {}", text::time(bucket.created_ms), bucket.bucket))?;
    }
    Ok(())
}

fn objects(client: &Client, bucket: &str, args: &LsArgs, output: Output) -> Result<()> {
    let mut start_after = None;
    loop {
        let page = client.list(&ListQuery {
            bucket: bucket.to_owned(),
            prefix: args.prefix.clone(),
            delimiter: args.delimiter.clone(),
            start_after,
            max: PAGE,
        });
        let page = page.map_err(Error::client(format!("list bucket {bucket}")))?;
        print_objects(&page, output)?;
        start_after = page.next;
        if start_after.is_none() {
            return Ok(());
        }
    }
}

fn print_objects(page: &ListPage, output: Output) -> Result<()> {
    for prefix in &page.common_prefixes {
        output.answer(&json!({ "prefix": prefix }), || format!("{:>20}  {:>10}  {prefix}", "", "prefix"))?;
    }
    for object in &page.objects {
        let modified = text::time(object.modified_ms);
        let answer = json!({
            "name": object.name,
            "size_bytes": object.size_bytes,
            "modified": modified,
            "etag": object.etag,
        });
        output.answer(&answer, || format!("{modified}  {:>10}  {}", text::bytes(object.size_bytes), object.name))?;
    }
    Ok(())
}

fn versions(client: &Client, bucket: &str, args: &LsArgs, output: Output) -> Result<()> {
    let mut next = None;
    loop {
        let (key_marker, version_marker) = next.map_or((None, None), |(name, version)| (Some(name), version));
        let page = client.list_versions(&VersionsQuery {
            bucket: bucket.to_owned(),
            prefix: args.prefix.clone(),
            delimiter: None,
            key_marker,
            version_marker,
            max: PAGE,
        });
        let page = page.map_err(Error::client(format!("list the versions in bucket {bucket}")))?;
        print_versions(&page, output)?;
        next = page.next;
        if next.is_none() {
            return Ok(());
        }
    }
}

fn print_versions(page: &VersionsPage, output: Output) -> Result<()> {
    for row in &page.versions {
        let (version, modified) = (row.version.to_string(), text::time(row.object.modified_ms));
        let answer = json!({
            "name": row.object.name,
            "version": version,
            "latest": row.is_latest,
            "marker": row.is_marker,
            "size_bytes": row.object.size_bytes,
            "modified": modified,
        });
        output.answer(&answer, || {
            let size = if row.is_marker { "deleted".to_owned() } else { text::bytes(row.object.size_bytes) };
            let latest = if row.is_latest { "latest" } else { "" };
            format!("{modified}  {size:>10}  {version}  {latest:6}  {}", row.object.name)
        })?;
    }
    Ok(())
}
