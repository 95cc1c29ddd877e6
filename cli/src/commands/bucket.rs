//! `shosoin bucket`: buckets, and what their records are: type, label, minimum keeping time.

use crate::args::SiteArgs;
use crate::error::{Error, Result};
use crate::output::Output;
use crate::session::Session;
use crate::text;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use shosoin_client::Client;
use shosoin_protocol::bucket_rules::{DefaultLock, LockPeriod};
use shosoin_protocol::manifest::{BucketFacts, Versioning};
use shosoin_protocol::policy::{DepositPolicy, Label, RecordType, Retention};

/// Commands about buckets.
#[derive(Debug, Subcommand)]
pub enum BucketCommand {
    /// Make a bucket
    #[command(after_help = "Example:\n  shosoin bucket create --dir ./hospital records --record-type T4-01")]
    Create(CreateArgs),
    /// Change what future deposits of a bucket are; deposits that were made keep theirs
    #[command(after_help = "Example:\n  \
        shosoin bucket set-policy --dir ./hospital records --record-type T4-01 --label sensitive --retention-days 1826")]
    SetPolicy(SetPolicyArgs),
    /// Show a bucket's state
    #[command(after_help = "Example:\n  shosoin bucket show --dir ./hospital records --json")]
    Show(ShowArgs),
}

/// Arguments of `bucket create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Bucket
    bucket: String,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `bucket set-policy`.
#[derive(Debug, Args)]
pub struct SetPolicyArgs {
    /// Bucket
    bucket: String,
    #[command(flatten)]
    policy: PolicyArgs,
    #[command(flatten)]
    site: SiteArgs,
}

/// Arguments of `bucket show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Bucket
    bucket: String,
    #[command(flatten)]
    site: SiteArgs,
}

/// What deposits are. What is not given stays as it is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Policy")]
struct PolicyArgs {
    /// Record type, as in T4-01 [default for a new bucket: O-00]
    #[arg(long, value_name = "CODE")]
    record_type: Option<String>,
    /// Confidentiality: ordinary, sensitive, restricted [default for a new bucket: ordinary]
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Minimum keeping time, in days from the start [default for a new bucket: none]
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u32>,
    /// Day the keeping time starts, as in 2026-04-01; until it is known, there is no end
    #[arg(long, value_name = "DATE", requires = "retention_days")]
    retention_start: Option<String>,
    /// Take the keeping time of future deposits away
    #[arg(long, conflicts_with = "retention_days")]
    no_retention: bool,
}

impl PolicyArgs {
    fn apply(&self, policy: DepositPolicy) -> Result<DepositPolicy> {
        let bad = |what: &str| {
            let what = what.to_owned();
            move |error: shosoin_protocol::Error| Error::invalid(what, error.to_string())
        };
        let record_type = match &self.record_type {
            Some(code) => RecordType::from_code(code).map_err(bad("--record-type"))?,
            None => policy.record_type,
        };
        let label = match &self.label {
            Some(name) => Label::from_name(name).map_err(bad("--label"))?,
            None => policy.label,
        };
        Ok(DepositPolicy { record_type, label, retention: self.retention(policy.retention)? })
    }

    fn retention(&self, current: Retention) -> Result<Retention> {
        let Some(term_days) = self.retention_days else {
            return Ok(if self.no_retention { Retention::None } else { current });
        };
        let start = self.retention_start.as_ref().map(|date| {
            text::parse_time(date)
                .ok_or_else(|| Error::invalid("--retention-start", "it must be a day, as in 2026-04-01"))
        });
        Ok(Retention::Term { term_days, start_ms: start.transpose()? })
    }
}

/// Runs one of them and prints the bucket's state.
pub async fn run(command: BucketCommand, output: Output) -> Result<()> {
    let site = match &command {
        BucketCommand::Create(args) => &args.site,
        BucketCommand::SetPolicy(args) => &args.site,
        BucketCommand::Show(args) => &args.site,
    };
    let session = Session::open(site).await?;
    let outcome = match &command {
        BucketCommand::Create(args) => create(&session.client, args).await,
        BucketCommand::SetPolicy(args) => set_policy(&session.client, args).await,
        BucketCommand::Show(args) => find(&session.client, &args.bucket),
    };
    let facts = session.finish(outcome).await?;
    let answer = answer(&facts);
    output.answer(&answer, || table(&answer))
}

async fn create(client: &Client, args: &CreateArgs) -> Result<BucketFacts> {
    let mut facts = BucketFacts::new(&args.bucket, shosoin_client::now_ms());
    facts.policy = args.policy.apply(facts.policy)?;
    let made = client.create_bucket(facts.clone()).await;
    made.map_err(Error::client(format!("make bucket {}", args.bucket)))?;
    Ok(facts)
}

async fn set_policy(client: &Client, args: &SetPolicyArgs) -> Result<BucketFacts> {
    let mut facts = find(client, &args.bucket)?;
    facts.policy = args.policy.apply(facts.policy)?;
    let changed = client.update_bucket(facts.clone()).await;
    changed.map_err(Error::client(format!("change bucket {}", args.bucket)))?;
    Ok(facts)
}

fn find(client: &Client, bucket: &str) -> Result<BucketFacts> {
    let found = client.bucket(bucket).map_err(Error::client(format!("look up bucket {bucket}")))?;
    found.ok_or_else(|| Error::NotFound { what: "bucket", name: bucket.to_owned() })
}

fn answer(facts: &BucketFacts) -> Value {
    let policy = &facts.policy;
    let (days, start) = match policy.retention {
        Retention::None => (None, None),
        Retention::Term { term_days, start_ms } => (Some(term_days), start_ms.map(text::time)),
    };
    json!({
        "bucket": facts.bucket,
        "created": text::time(facts.created_ms),
        "versioning": match facts.versioning {
            Versioning::Off => "off",
            Versioning::Enabled => "enabled",
            Versioning::Suspended => "suspended",
        },
        "chunk_bytes": facts.chunk_plain_bytes,
        "record_type": policy.record_type.code(),
        "label": policy.label.name(),
        "retention_days": days,
        "retention_start": start,
        "object_lock": facts.rules.object_lock,
        "default_lock": facts.rules.default_lock.map(|DefaultLock { mode, period }| match period {
            LockPeriod::Days(days) => format!("{}, {days} days", mode.name()),
            LockPeriod::Years(years) => format!("{}, {years} years", mode.name()),
        }),
        "lifecycle_rules": facts.rules.lifecycle.len(),
    })
}

fn table(answer: &Value) -> String {
    let fields = answer.as_object().into_iter().flatten();
    fields
        .map(|(field, value)| {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Null => "none".to_owned(),
                other => other.to_string(),
            };
            format!("{field:<16}{value}\n")
        })
        .collect()
}
