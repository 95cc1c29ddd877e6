//! `shosoin-bench assets`: a page of the asset ledger, filtered and sorted, as the ledger grows.
//!
//! The index is filled and measured in processes of their own, so that memory is that of reading alone.

use crate::Failure;
use crate::measure::{disk_bytes_below, time};
use crate::site::fresh_dir;
use serde_json::json;
use shosoin_protocol::policy::{DepositPolicy, Label, RecordType, Retention};
use shosoin_protocol::{DeviceId, HospitalId};
use shosoin_store::IndexKind;
use shosoin_store::assets::{AssetQuery, AssetState, Order, RetentionFilter, Slot, fill, select};
use shosoin_store::index::{self, Index};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Times each query is asked.
const ROUNDS: usize = 9;
/// The promise: a page of a million entries, in milliseconds.
const PAGE_MS_MAX: f64 = 200.0;
/// Whose ledger.
const HOSPITAL: HospitalId = HospitalId([7; 16]);

/// Options of the subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// deposits in the ledger
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// where the index goes; the default is the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// read what is there, and fill nothing
    #[arg(long, hide = true)]
    read: bool,
}

/// Fills an index, then measures in another process; a line of JSON.
pub fn run(options: &Options) -> Result<(), Failure> {
    if options.read {
        let dir = options.dir.as_deref().ok_or("reading needs --dir")?;
        return measure(options, &*index::open(IndexKind::Fjall, &dir.join("rows"))?, dir);
    }
    let dir = fresh_dir(options.dir.as_deref(), "assets")?;
    let rows = dir.join("rows");
    std::fs::create_dir_all(&rows)?;
    let index = index::open(IndexKind::Fjall, &rows)?;
    fill(index.as_ref(), HOSPITAL, (0..options.entries).map(slot))?;
    drop(index);
    let entries = options.entries.to_string();
    let status = Command::new(std::env::current_exe()?)
        .args(["assets", "--read", "--entries", &entries, "--dir"])
        .arg(&dir)
        .status()?;
    std::fs::remove_dir_all(&dir)?;
    if status.success() { Ok(()) } else { Err(format!("reading ended with {status}").into()) }
}

/// Deposits that differ in everything, the same ones every time.
fn slot(number: u64) -> Slot {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let types =
        ["T4-01", "T4-05", "T4-11", "T5-03"].map(|code| RecordType::from_code(code).unwrap_or(RecordType::OTHER));
    let labels = [Label::Ordinary, Label::Sensitive, Label::Restricted];
    let start_ms = (!mixed.is_multiple_of(3)).then_some(1_700_000_000_000 + mixed % 100_000_000);
    let retention = Retention::Term { term_days: 1827, start_ms };
    let at = |count: usize| usize::try_from(mixed).unwrap_or(0) % count;
    Slot {
        number,
        state: AssetState::Held,
        policy: DepositPolicy { record_type: types[at(4)], label: labels[at(3)], retention },
        keep_until_ms: 0,
        on_hold: false,
        accepted_ms: 1_700_000_000_000 + number,
        address_count: 3,
        stored_bytes: mixed % 100_000_000,
        device: DeviceId(u128::from(mixed % 8).to_be_bytes()),
    }
}

fn measure(options: &Options, index: &dyn Index, dir: &Path) -> Result<(), Failure> {
    let query = AssetQuery::default;
    let queries = [
        ("first page", query()),
        ("largest", AssetQuery { order: Order::Bytes, descending: true, ..query() }),
        (
            "a type, by end of retention",
            AssetQuery { types: vec!["T4-11".into()], order: Order::RetentionEnd, ..query() },
        ),
        ("a label and a device", AssetQuery { labels: vec!["restricted".into()], device: Some(device(3)), ..query() }),
        ("no match", AssetQuery { states: vec![AssetState::Disposed], ..query() }),
        (
            "start not known, a thousand by size",
            AssetQuery {
                retention: Some(RetentionFilter::StartUnknown),
                order: Order::Bytes,
                limit: Some(1000),
                ..query()
            },
        ),
    ];
    let mut slowest = 0f64;
    for (name, query) in queries {
        let mut took = Vec::new();
        let mut matched = None;
        for _ in 0..ROUNDS {
            let (time, selection) = time(|| Ok(select(index, HOSPITAL, options.entries, &query)?))?;
            took.push(time.as_secs_f64() * 1e3);
            matched = selection.matched;
        }
        took.sort_by(f64::total_cmp);
        slowest = slowest.max(took[ROUNDS - 1]);
        println!(
            "{}",
            json!({ "query": name, "matched": matched, "ms_p50": took[ROUNDS / 2], "ms_max": took[ROUNDS - 1] })
        );
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(str::trim);
    let (disk_mib, promise_kept) = (disk_bytes_below(dir)? >> 20, slowest < PAGE_MS_MAX);
    println!(
        "{}",
        json!({ "entries": options.entries, "slowest_ms": slowest, "under_200_ms": promise_kept, "peak_resident": peak,
                "disk_mib": disk_mib })
    );
    Ok(())
}

fn device(number: u64) -> String {
    DeviceId(u128::from(number).to_be_bytes()).to_string()
}
