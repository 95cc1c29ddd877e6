//! A site under load: one `shosoin up` process, started and stopped here, and an S3 client on loopback that signs
//! requests but not payloads, so that the client is not the bottleneck.

use crate::Failure;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::signer::Signer as _;
use object_store::{ClientOptions, PutPayload, RetryConfig};
use serde::Deserialize;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Bucket of all workloads.
pub const BUCKET: &str = "bench";
/// Every piece of this size is unique, so that no chunk meets another.
const UNIQUE_BYTES: usize = 256 * 1024;

/// First line of `shosoin up --json`.
#[derive(Debug, Deserialize)]
struct Ready {
    s3_endpoint: String,
    access_key_id: String,
    secret_access_key: String,
    region: String,
    pid: u32,
}

/// Last line of `shosoin up --json`: what the committers of the vault did.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Counters {
    /// stripes committed
    pub groups: u64,
    /// records in them
    pub records: u64,
    /// deposits among them
    pub deposits: u64,
    /// syncs of one shard file each
    pub syncs: u64,
}

/// A running process with a client.
pub struct Site {
    child: Child,
    stdout: BufReader<ChildStdout>,
    ready: Ready,
    /// client of [`BUCKET`]
    pub s3: AmazonS3,
}

impl Site {
    /// Starts `shosoin up` in `dir`, and makes the bucket if it is new.
    pub async fn start(shosoin: &Path, dir: &Path) -> Result<Site, Failure> {
        let mut child = Command::new(shosoin)
            .arg("up")
            .arg("--dir")
            .arg(dir)
            .args(["--s3", "127.0.0.1:0", "--json"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("the child has no stdout")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let ready: Ready = serde_json::from_str(&line)?;
        let s3 = AmazonS3Builder::new()
            .with_endpoint(&ready.s3_endpoint)
            .with_access_key_id(&ready.access_key_id)
            .with_secret_access_key(&ready.secret_access_key)
            .with_region(&ready.region)
            .with_bucket_name(BUCKET)
            .with_allow_http(true)
            .with_unsigned_payload(true)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_client_options(ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(600)))
            .build()?;
        let site = Site { child, stdout, ready, s3 };
        site.create_bucket().await?;
        Ok(site)
    }

    /// Peak resident memory of the process so far, in bytes.
    pub fn peak_memory_bytes(&self) -> Result<u64, Failure> {
        self.memory_line("VmHWM:")
    }

    /// Resident memory of the process now, in bytes.
    pub fn resident_bytes(&self) -> Result<u64, Failure> {
        self.memory_line("VmRSS:")
    }

    fn memory_line(&self, name: &str) -> Result<u64, Failure> {
        memory_bytes(self.ready.pid, name)
    }

    /// Processor time of the process so far, in seconds.
    pub fn cpu_seconds(&self) -> Result<f64, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.ready.pid))?;
        let after = stat.rsplit_once(')').ok_or("no command in stat")?.1;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks: u64 = fields.get(11..13).ok_or("stat is short")?.iter().map(|f| f.parse().unwrap_or(0u64)).sum();
        Ok(ticks as f64 / 100.0)
    }

    /// Drains, closes and waits; gives the counters the process printed last.
    pub fn stop(mut self) -> Result<Counters, Failure> {
        let pid = i32::try_from(self.ready.pid)?;
        let pid = rustix::process::Pid::from_raw(pid).ok_or("no pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest)?;
        self.child.wait()?;
        Ok(rest.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_default())
    }

    /// A presigned URL by which an object is headed for an hour.
    pub async fn s3_url(&self, name: &object_store::path::Path) -> Result<String, Failure> {
        Ok(self.s3.signed_url(http::Method::HEAD, name, Duration::from_secs(3600)).await?.to_string())
    }

    /// A bucket is made with a presigned request, sent by hand: the client library has no such call.
    async fn create_bucket(&self) -> Result<(), Failure> {
        let path = object_store::path::Path::default();
        let url = self.s3.signed_url(http::Method::PUT, &path, Duration::from_secs(60)).await?;
        let host = url.host_str().ok_or("no host")?;
        let port = url.port().ok_or("no port")?;
        let mut stream = TcpStream::connect((host, port))?;
        let target = format!("{}?{}", url.path(), url.query().unwrap_or(""));
        write!(
            stream,
            "PUT {target} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.starts_with("HTTP/1.1 200") || answer.contains("BucketAlreadyOwnedByYou") {
            true => Ok(()),
            false => Err(format!("bucket was not made: {answer}").into()),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// Incompressible bytes, shared by all objects; each piece of each object gets a head of its own.
pub struct Source {
    pool: Bytes,
}

impl Source {
    /// 64 MiB from a fixed seed.
    pub fn new() -> Self {
        let mut pool = vec![0; 64 << 20];
        blake3::Hasher::new_derive_key("shosoin bench source").finalize_xof().fill(&mut pool);
        Source { pool: pool.into() }
    }

    /// An object of `len` bytes, unlike every object with another `number`.
    pub fn object(&self, number: u64, len: usize) -> PutPayload {
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut at = 0;
        while at < len {
            let piece = (len - at).min(UNIQUE_BYTES);
            let mut head = [0; 16];
            head[..8].copy_from_slice(&number.to_le_bytes());
            head[8..].copy_from_slice(&(at as u64).to_le_bytes());
            let head_len = piece.min(head.len());
            let from = at % (self.pool.len() - UNIQUE_BYTES);
            pieces.push(Bytes::copy_from_slice(&head[..head_len]));
            pieces.push(self.pool.slice(from..from + piece - head_len));
            at += piece;
        }
        pieces.into_iter().collect()
    }
}

/// A line of `/proc/PID/status` that is in KiB, in bytes.
pub fn memory_bytes(pid: impl std::fmt::Display, name: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// A fresh directory for one run, removed afterwards.
pub fn fresh_dir(parent: Option<&Path>, name: &str) -> Result<PathBuf, Failure> {
    let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let dir = parent.join(format!("shosoin-bench-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}
