//! `shosoin`: one binary, every role. A command parses its arguments, opens one side or both, does one thing, and
//! prints text for people or, with `--json`, one line for programs. What can go wrong is in [`error`], and what it
//! means to a script in [`exit`].
//!
//! Invariants
//! - Answers go to stdout, everything else to stderr: a pipe sees only answers.
//! - A passphrase or secret key comes from a file, a descriptor or a prompt, never from an argument or the environment.
//! - The vault's folder and the hospital's are opened by one process at a time.

mod args;
mod commands;
mod embedded;
mod error;
mod exit;
mod files;
mod hospital;
mod local;
mod lock;
mod operator;
mod output;
mod partial;
mod passphrase;
mod progress;
mod session;
mod station;
mod stop;
mod terms;
mod text;
mod token;
mod tour;

use args::Cli;
use clap::Parser as _;
use output::Output;
use std::io::IsTerminal as _;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Threads for hashing, sealing and reading. None of that work waits for other such work, so few suffice, and each
/// thread keeps memory of its own.
const BLOCKING_THREADS_MAX: usize = 32;

/// Chunk buffers of megabytes come and go on many threads; the system's allocator keeps what it should give back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is logged unless `SHOSOIN_LOG` says otherwise. The S3 library logs request bodies that it cannot parse, which
/// may hold names, so it is silent; that of tokens calls every mechanism it does not know an error.
const LOG_FILTER: &str = "warn,s3s=off,cryptoki=off";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("SHOSOIN_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    let output = Output::new(cli.json);
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| run(cli, output)));
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            output.error(&error);
            exit::code(error.kind())
        }
        Err(_) => exit::code(shosoin_protocol::ErrorKind::Bug),
    }
}

fn run(cli: Cli, output: Output) -> error::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build();
    let runtime = runtime.map_err(|source| error::Error::System { action: "start the runtime", source })?;
    runtime.block_on(commands::run(cli.command, output))
}
