//! `shosoin-bench newcomer`: how long a gateway that knows nothing needs until it serves, from the ledger alone and from a
//! snapshot; what asking for the newest head costs a request; and what the requests of a gateway wait for, and how much memory it takes,
//! while it makes a snapshot. Vault and gateway are two processes that meet over TLS.

use crate::Failure;
use crate::growth;
use crate::site::{Site, Source, fresh_dir, memory_bytes};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Requests whose times are compared.
const REQUESTS: usize = 2000;

/// Options of the subcommand.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// the binary to measure
    #[arg(long, default_value = "target/release/shosoin")]
    shosoin: PathBuf,
    /// where to put the site; the default is the directory for temporary files
    #[arg(long)]
    dir: Option<PathBuf>,
    /// records in the ledger, ascending
    #[arg(long, value_delimiter = ',', default_value = "100000,1000000")]
    records: Vec<u64>,
}

/// Fills a site to each number of records and measures there; a line of JSON for each figure.
pub async fn run(options: Options) -> Result<(), Failure> {
    let dir = fresh_dir(options.dir.as_deref(), "newcomer")?;
    let (source, mut stored) = (Source::new(), 0);
    // by itself none makes a snapshot here, so that one without a view reads the ledger
    std::fs::create_dir_all(dir.join("hospital"))?;
    std::fs::write(dir.join("hospital").join("gateway.toml"), "form = 1\nsnapshot_entries = 0\n")?;
    for records in &options.records {
        let site = Site::start(&options.shosoin, &dir).await?;
        growth::put_range(&site, &source, stored, *records).await?;
        stored = *records;
        let url = site.s3_url(&growth::name(stored / 2)).await?;
        site.stop()?;
        measure(&options.shosoin, &dir, stored, &url)?;
    }
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn measure(shosoin: &Path, dir: &Path, records: u64, object: &str) -> Result<(), Failure> {
    let (vault, hospital) = (dir.join("vault"), dir.join("hospital"));
    let vault = Process::start(shosoin, &["vault", "serve", "--listen", "127.0.0.1:0", "--dir"], &vault, &[])?;
    let reach = ["url", "pin"].map(|name| vault.ready[name].as_str().unwrap_or_default().to_owned());
    let reach = ["--vault-url", &reach[0], "--vault-pin", &reach[1]];
    let serve = || -> Result<(f64, Process), Failure> {
        let begin = Instant::now();
        let gateway =
            Process::start(shosoin, &["gateway", "serve", "--s3", "127.0.0.1:0", "--dir"], &hospital, &reach)?;
        Ok((begin.elapsed().as_secs_f64(), gateway))
    };
    let (known_s, gateway) = serve()?;
    println!("{}", head_requests(&gateway, object)?);
    drop(gateway);
    std::fs::remove_dir_all(hospital.join("view"))?;
    let (replay_s, gateway) = serve()?; // before there is a snapshot
    println!("{}", beside_a_snapshot(&gateway, shosoin, &hospital, object)?);
    drop(gateway);
    let begin = Instant::now();
    let made = Process::start(shosoin, &["gateway", "snapshot", "--dir"], &hospital, &reach)?;
    let snapshot_s = begin.elapsed().as_secs_f64();
    std::fs::remove_dir_all(hospital.join("view"))?;
    let (begun_s, gateway) = serve()?;
    if gateway.ready["from_snapshot"] != made.ready["log_size"] {
        return Err(format!("the snapshot was not used: {}", gateway.ready).into());
    }
    let figure = json!({
        "records": records, "serving_with_view_s": known_s, "serving_by_replay_s": replay_s,
        "serving_from_snapshot_s": begun_s, "making_snapshot_s": snapshot_s, "snapshot": made.ready,
    });
    println!("{figure}");
    Ok(())
}

/// Times of HEAD requests on one connection, one after the other: those that are refused at the door, after the signature was
/// checked, and those that are answered, before which the vault is asked for its newest head.
fn head_requests(gateway: &Process, object: &str) -> Result<Value, Failure> {
    let mut heads = Heads::connect(gateway, object)?;
    let mut times = |more: &str, status: &str| -> Result<[f64; 2], Failure> {
        let times = (0..REQUESTS).map(|_| heads.once_ms(more, status)).collect::<Result<Vec<f64>, Failure>>()?;
        Ok([quantile(&times, 50), quantile(&times, 99)])
    };
    let refused = times("x-amz-expected-bucket-owner: nobody\r\n", "403")?;
    let answered = times("", "200")?;
    Ok(json!({ "requests": REQUESTS, "refused_at_the_door_ms_p50_p99": refused, "head_ms_p50_p99": answered }))
}

/// The same requests for as long as the gateway that answers them makes a snapshot, and its peak memory before and after.
fn beside_a_snapshot(gateway: &Process, shosoin: &Path, hospital: &Path, object: &str) -> Result<Value, Failure> {
    let mut heads = Heads::connect(gateway, object)?;
    let peak_bytes = || memory_bytes(gateway.child.id(), "VmHWM:");
    let before = peak_bytes()?;
    let mut command = Command::new(shosoin);
    command.args(["gateway", "snapshot", "--json", "--dir"]).arg(hospital).stdout(Stdio::null());
    let mut making = command.spawn()?;
    let mut times = Vec::new();
    while making.try_wait()?.is_none() {
        times.push(heads.once_ms("", "200")?);
    }
    if !making.wait()?.success() {
        return Err("the snapshot was not made".into());
    }
    let most = times.iter().copied().fold(0.0, f64::max);
    Ok(json!({
        "requests_beside_a_snapshot": times.len(),
        "head_ms_p50_p99_max": [quantile(&times, 50), quantile(&times, 99), most],
        "peak_memory_before_bytes": before,
        "peak_memory_after_bytes": peak_bytes()?,
    }))
}

fn quantile(times: &[f64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default()
}

/// HEAD requests of one object on one connection, one after the other.
struct Heads<'a> {
    stream: TcpStream,
    signed_for: &'a str,
    target: &'a str,
}

impl Heads<'_> {
    fn connect<'a>(gateway: &Process, object: &'a str) -> Result<Heads<'a>, Failure> {
        let endpoint = gateway.ready["s3_endpoint"].as_str().unwrap_or_default().trim_start_matches("http://");
        let (signed_for, target) = object.trim_start_matches("http://").split_once('/').ok_or("no path in the URL")?;
        let stream = TcpStream::connect(endpoint)?;
        stream.set_nodelay(true)?;
        Ok(Heads { stream, signed_for, target })
    }

    /// Milliseconds until the answer, which must have this status.
    fn once_ms(&mut self, more: &str, status: &str) -> Result<f64, Failure> {
        let begin = Instant::now();
        write!(self.stream, "HEAD /{} HTTP/1.1\r\nHost: {}\r\n{more}\r\n", self.target, self.signed_for)?;
        let mut answer = Vec::new();
        let mut byte = [0; 1024];
        while !answer.ends_with(b"\r\n\r\n") {
            let count = self.stream.read(&mut byte)?;
            answer.extend_from_slice(byte.get(..count).filter(|read| !read.is_empty()).ok_or("hung up")?);
        }
        match answer.starts_with(format!("HTTP/1.1 {status}").as_bytes()) {
            true => Ok(begin.elapsed().as_secs_f64() * 1e3),
            false => Err(String::from_utf8_lossy(&answer).into_owned().into()),
        }
    }
}

/// A process that said its first line; killed when dropped.
struct Process {
    child: Child,
    ready: Value,
}

impl Process {
    fn start(shosoin: &Path, command: &[&str], dir: &Path, more: &[&str]) -> Result<Process, Failure> {
        let mut child =
            Command::new(shosoin).args(command).arg(dir).args(more).arg("--json").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("the child has no stdout")?).read_line(&mut line)?;
        Ok(Process { child, ready: serde_json::from_str(&line)? })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
