//! `shosoin stat`: what is known of one record, from the local view of names.

use super::get::parse_version;
use crate::args::{RecordArgs, SiteArgs};
use crate::error::{Error, Result};
use crate::output::Output;
use crate::session::Session;
use crate::text;
use clap::Args;
use serde_json::{Value, json};
use shosoin_client::{RowContent, ViewRow};
use shosoin_protocol::manifest::{ObjectFacts, Pairs};

/// Arguments of `stat`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  shosoin stat --dir ./hospital records ct-0001.dcm --json")]
pub struct StatArgs {
    #[command(flatten)]
    record: RecordArgs,
    #[command(flatten)]
    site: SiteArgs,
}

/// Prints facts, version and place in the ledger.
pub async fn run(args: StatArgs, output: Output) -> Result<()> {
    let version = parse_version(args.record.version.as_ref())?;
    let session = Session::open(&args.site).await?;
    let record = &args.record;
    let task = format!("look up {} in bucket {}", record.name, record.bucket);
    let found = session.client.lookup(&record.bucket, &record.name, version).map_err(Error::client(task));
    let row = session.finish(found).await?;
    let Some(row) = row else {
        return Err(Error::NotFound { what: "record", name: format!("{}/{}", record.bucket, record.name) });
    };
    let answer = answer(&row);
    output.answer(&answer, || table(&answer))
}

fn answer(row: &ViewRow) -> Value {
    let mut answer = json!({
        "version": row.version.to_string(),
        "latest": row.is_latest,
        "leaf_index": row.leaf_index,
        "accepted": text::time(row.accepted_ms),
    });
    match &row.content {
        RowContent::Object { facts, etag } => describe(&mut answer, facts, etag),
        RowContent::Marker { modified_ms } => answer["deleted"] = text::time(*modified_ms).into(),
    }
    answer
}

fn describe(answer: &mut Value, facts: &ObjectFacts, etag: &str) {
    answer["size_bytes"] = facts.size_bytes.into();
    answer["modified"] = text::time(facts.modified_ms).into();
    answer["etag"] = etag.into();
    answer["parts"] = facts.parts.len().into();
    if let Some(signature) = &facts.signature {
        let signers = signature.signers.iter().map(|signer| Value::from(signer.standing.name())).collect();
        answer["signers"] = Value::Array(signers);
    }
    for (title, pairs) in [("headers", &facts.headers), ("metadata", &facts.metadata), ("tags", &facts.tags)] {
        answer[title] = map(pairs);
    }
}

fn map(pairs: &Pairs) -> Value {
    pairs
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// One line for each field that says something.
fn table(answer: &Value) -> String {
    let fields = answer.as_object().into_iter().flatten();
    let said = fields.filter(|(_, value)| value.as_object().is_none_or(|map| !map.is_empty()));
    said.map(|(field, value)| {
        format!("{field:<12}{}\n", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    })
    .collect()
}
