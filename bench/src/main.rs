//! `shosoin-bench`: workloads, ceilings and rivals, never part of the product. Figures live in `bench/RESULTS.md`.

mod assets;
mod chunks;
mod fifty_years;
mod growth;
mod index;
mod measure;
mod memory;
mod newcomer;
mod path;
mod repair;
mod s3;
mod scrub;
mod site;
mod tier;
mod yielding;

use clap::{Parser, Subcommand};

/// Why a run stopped; a benchmark only reports, nobody acts on kinds.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(name = "shosoin-bench", about = "Measures shosoin against the machine's own ceilings")]
struct Arguments {
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Subcommand)]
enum Workload {
    /// the straight path on one core, against the sum of its parts
    Path(path::Options),
    /// reading every shard and verifying it, against the medium's own speed
    Scrub(scrub::Options),
    /// rebuilding a lost volume, against copying the same files
    Repair(repair::Options),
    /// PUT and GET through S3 on loopback
    S3(s3::Options),
    /// the databases that can hold the index, at millions of rows
    Index(index::Options),
    /// pages of the asset ledger, at a million entries
    Assets(assets::Options),
    /// memory of a vault as it takes small chunks by the million
    Chunks(chunks::Options),
    /// memory, listing and disk as the number of objects grows
    Growth(growth::Options),
    /// how long a gateway that knows nothing needs until it serves
    Newcomer(newcomer::Options),
    /// peak memory while multipart uploads run side by side
    Memory(memory::Options),
    /// what a scrub at full speed costs clients
    Yield(yielding::Options),
    /// decades on simulated media that lie, seed by seed
    FiftyYears(fifty_years::Options),
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    match Arguments::parse().workload {
        Workload::Index(options) => index::run(&options),
        Workload::Assets(options) => assets::run(&options),
        Workload::Path(options) => path::run(&options),
        Workload::Scrub(options) => scrub::run(&options),
        Workload::Repair(options) => repair::run(&options),
        Workload::S3(options) => s3::run(options).await,
        Workload::Chunks(options) => chunks::run(options).await,
        Workload::Growth(options) => growth::run(options).await,
        Workload::Newcomer(options) => newcomer::run(options).await,
        Workload::FiftyYears(options) => fifty_years::run_all(&options),
        Workload::Memory(options) => memory::run(options).await,
        Workload::Yield(options) => Box::pin(yielding::run(options)).await,
    }
}
