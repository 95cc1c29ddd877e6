//! Scanning for malware before anything is sealed: the same bytes that are sealed go through the hospital's ClamAV daemon.
//!
//! Invariants
//! - It fails closed. A scanner that is down, too old, blind, or that says anything but "clean" lets nothing through.
//! - A scanner is believed only after it has found the EICAR test string at the beginning of as long a stream as it is said to
//!   scan: one without definitions, or one that skips long files, calls everything clean.
//! - Memory is bounded: bytes are handed on as they come. A stream is cut into pieces of at most `bytes_max`; more than one
//!   piece is "not scannable" as a whole, and is taken only where the agreement says so.
//!
//! Not here: the signed report (`protocol::malware`), what the vault makes of it (`store`).
//!
//! Source: `clamd(8)`, INSTREAM; guideline 7.6.3-M3, tension T1.

mod clamd;
mod definitions;
mod error;

pub use error::ScanError;

use crate::clock::now_ms;
use clamd::{Clamd, Verdict};
use shosoin_protocol::malware::Engine;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// Bytes that ClamAV scans unless it is told otherwise: `StreamMaxLength` and `MaxFileSize`.
pub const BYTES_MAX_DEFAULT: u64 = 100 << 20;
/// Streams open at a time: fewer than ClamAV's threads.
pub const STREAMS_MAX_DEFAULT: usize = 8;
/// Hours that definitions may be old where no agreement says it.
pub const DEFINITIONS_HOURS_DEFAULT: u32 = 72;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(150);
/// How long a scanner is believed after it has found the test string.
const PROOF_MS: u64 = 24 * 60 * 60 * 1000;
/// Milliseconds of an hour.
const HOUR_MS: u64 = 60 * 60 * 1000;

/// Where the daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScannerAddress {
    /// a Unix socket
    Unix(PathBuf),
    /// host and port, on a line that nobody else reads
    Tcp(String),
}

impl FromStr for ScannerAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("tcp:") {
            Some(address)
                if address
                    .rsplit_once(':')
                    .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) =>
            {
                Ok(ScannerAddress::Tcp(address.to_owned()))
            }
            Some(_) => Err("write it as tcp:HOST:PORT".to_owned()),
            None if text.starts_with('/') => Ok(ScannerAddress::Unix(text.into())),
            None => Err("write it as the path of a Unix socket, or as tcp:HOST:PORT".to_owned()),
        }
    }
}

impl std::fmt::Display for ScannerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ScannerAddress::Unix(path) => path.display().fmt(f),
            ScannerAddress::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// How the scanner is reached, and what it is trusted with.
#[derive(Debug, Clone)]
pub struct ScannerOptions {
    /// where it listens
    pub address: ScannerAddress,
    /// folder of its definitions: tells their age where the daemon does not
    pub definitions: Option<PathBuf>,
    /// hours that definitions may be old; an agreement may ask for less
    pub definitions_hours_max: u32,
    /// longest stream that it scans, in bytes: the lesser of its `StreamMaxLength` and `MaxFileSize`
    pub bytes_max: u64,
    /// streams open at a time; more wait
    pub streams_max: usize,
}

impl ScannerOptions {
    /// The defaults of ClamAV at an address.
    pub fn new(address: ScannerAddress) -> Self {
        ScannerOptions {
            address,
            definitions: None,
            definitions_hours_max: DEFINITIONS_HOURS_DEFAULT,
            bytes_max: BYTES_MAX_DEFAULT,
            streams_max: STREAMS_MAX_DEFAULT,
        }
    }
}

/// What an agreement demands of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// hours that definitions may be old
    pub definitions_hours_max: u32,
    /// what is over the limit is taken if every piece of it is clean
    pub in_pieces: bool,
}

/// How one content is scanned.
#[derive(Debug, Clone)]
pub struct ScanPlan {
    /// by whom
    pub scanner: Arc<Scanner>,
    /// how strictly
    pub demand: Demand,
}

impl ScanPlan {
    /// Begins a scan.
    pub async fn begin(&self) -> Result<Scan, ScanError> {
        self.scanner.begin(self.demand).await
    }

    /// Refuses a content that will be too long to be scanned, before its first byte.
    pub fn may_be_this_long(&self, bytes: u64) -> Result<(), ScanError> {
        let limit = self.scanner.bytes_max();
        match bytes > limit && !self.demand.in_pieces {
            true => Err(ScanError::TooLong { limit }),
            false => Ok(()),
        }
    }
}

/// What a scan found, all of it clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    /// who scanned
    pub engine: Engine,
    /// when it ended, in milliseconds since 1970
    pub scanned_ms: u64,
    /// pieces that were scanned one by one; more than one: not scannable as a whole
    pub pieces: u32,
}

/// The hospital's scanner.
#[derive(Debug)]
pub struct Scanner {
    options: ScannerOptions,
    clamd: Clamd,
    streams: Arc<Semaphore>,
    proven: Mutex<Option<Proven>>,
}

/// That the daemon found the test string.
#[derive(Debug)]
struct Proven {
    version: String,
    at_ms: u64,
}

impl Scanner {
    /// A scanner that nobody asked yet.
    pub fn new(options: ScannerOptions) -> Arc<Self> {
        let clamd = Clamd { address: options.address.clone(), patience: PATIENCE };
        let streams = Arc::new(Semaphore::new(options.streams_max.max(1)));
        Arc::new(Scanner { options, clamd, streams, proven: Mutex::default() })
    }

    /// Where it listens.
    pub fn address(&self) -> &ScannerAddress {
        &self.options.address
    }

    /// Longest stream that it scans, in bytes.
    pub fn bytes_max(&self) -> u64 {
        self.options.bytes_max
    }

    /// Which engine it is, with definitions that are young enough, shown to find something.
    pub async fn engine(&self, definitions_hours_max: u32) -> Result<Engine, ScanError> {
        let version = self.clamd.version().await?;
        let engine = definitions::engine(&version, self.options.definitions.as_deref())?;
        let limit_hours = definitions_hours_max.min(self.options.definitions_hours_max);
        let age_hours = now_ms().saturating_sub(engine.definitions_ms) / HOUR_MS;
        if age_hours >= u64::from(limit_hours) {
            return Err(ScanError::Outdated { age_hours, limit_hours });
        }
        self.prove(version).await?;
        Ok(engine)
    }

    /// Once a day, and whenever its definitions change: it must find what every scanner finds.
    async fn prove(&self, version: String) -> Result<(), ScanError> {
        let mut proven = self.proven.lock().await;
        let now_ms = now_ms();
        if proven.as_ref().is_some_and(|proven| proven.version == version && now_ms < proven.at_ms + PROOF_MS) {
            return Ok(());
        }
        *proven = None;
        match self.clamd.test(self.options.bytes_max).await? {
            Verdict::Infected(_) => *proven = Some(Proven { version, at_ms: now_ms }),
            Verdict::Clean => return Err(ScanError::Blind { bytes: self.options.bytes_max }),
            Verdict::TooLong => return Err(ScanError::ShortSighted { bytes: self.options.bytes_max }),
        }
        Ok(())
    }

    /// Begins a scan. Waits while as many streams as allowed are open.
    pub async fn begin(self: &Arc<Self>, demand: Demand) -> Result<Scan, ScanError> {
        let engine = self.engine(demand.definitions_hours_max).await?;
        let permit = self.streams.clone().acquire_owned().await;
        let permit = permit.map_err(|_| ScanError::Failed { said: "the client is closing".to_owned() })?;
        Ok(Scan { scanner: self.clone(), demand, engine, piece: None, piece_bytes: 0, pieces: 0, _permit: permit })
    }
}

/// A scan under way. Dropping it gives it up.
#[derive(Debug)]
pub struct Scan {
    scanner: Arc<Scanner>,
    demand: Demand,
    engine: Engine,
    piece: Option<clamd::Stream>,
    piece_bytes: u64,
    pieces: u32,
    _permit: OwnedSemaphorePermit,
}

impl Scan {
    /// Hands the next bytes to the scanner. An error ends the scan.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<(), ScanError> {
        while !bytes.is_empty() {
            let room = self.scanner.options.bytes_max - self.piece_bytes;
            if room == 0 {
                self.end_piece().await?;
                if !self.demand.in_pieces {
                    return Err(ScanError::TooLong { limit: self.scanner.options.bytes_max });
                }
                continue;
            }
            let take = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(take);
            if self.piece.is_none() {
                self.piece = Some(self.scanner.clamd.stream().await?);
            }
            if let Some(piece) = &mut self.piece {
                piece.push(now).await?;
            }
            self.piece_bytes += take as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Ends it and waits for the verdict; only a clean one is given.
    pub async fn finish(mut self) -> Result<Scanned, ScanError> {
        if self.piece.is_some() || self.pieces == 0 {
            self.end_piece().await?;
        }
        Ok(Scanned { engine: self.engine, scanned_ms: now_ms(), pieces: self.pieces })
    }

    async fn end_piece(&mut self) -> Result<(), ScanError> {
        let piece = match self.piece.take() {
            Some(piece) => piece,
            None => self.scanner.clamd.stream().await?,
        };
        self.piece_bytes = 0;
        match piece.finish().await? {
            Verdict::Clean => {
                self.pieces += 1;
                Ok(())
            }
            Verdict::Infected(found) => Err(ScanError::Infected { found }),
            Verdict::TooLong => Err(ScanError::TooLong { limit: self.scanner.options.bytes_max }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_or_a_host_with_a_port() {
        assert_eq!("/run/clamav/clamd.ctl".parse(), Ok(ScannerAddress::Unix("/run/clamav/clamd.ctl".into())));
        assert_eq!("tcp:127.0.0.1:3310".parse(), Ok(ScannerAddress::Tcp("127.0.0.1:3310".into())));
        for wrong in ["clamd", "tcp:127.0.0.1", "tcp::3310", "tcp:host:99999", ""] {
            assert!(wrong.parse::<ScannerAddress>().is_err(), "{wrong}");
        }
    }
}
