//! The protocol of the ClamAV daemon, as much of it as is used: `VERSION` and `INSTREAM`, over a Unix socket or TCP.
//!
//! ```text
//! zINSTREAM\0 | length:u32 big-endian | bytes | ... | 0:u32        answered by one of
//!     stream: OK\0        stream: <name> FOUND\0        INSTREAM size limit exceeded. ERROR\0        <anything> ERROR\0
//! ```
//!
//! The daemon answers early and hangs up where a stream is over its limit, so a write that fails is followed by a look for the
//! answer. Whatever is not exactly "OK" is not clean.

use super::{ScanError, ScannerAddress};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;
/// Longest name of a finding that is kept, in characters.
const FOUND_CHARS_MAX: usize = 120;
/// Bytes of one length-prefixed piece of a stream.
const FRAME_BYTES_MAX: usize = 1 << 20;
/// How ClamAV names what it did not scan because of a limit of its own, where it is told to say so (`AlertExceedsMax`).
const LIMITS: &str = "Heuristics.Limits.Exceeded";

/// The test string of the EICAR, byte by byte xored with 0x20, so that no scanner finds it in this program.
const EICAR_MASKED: [u8; 68] = *b"x\x15o\x01p\x05`ap{\x14|pzx\x15\x14\x08p~\x09\x17cc\x09\x17]\x04eicar\x0Dstandard\x0Dantivirus\x0Dtest\x0Dfile\x01\x04h\x0Bh\x0A";

/// What the daemon says of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// nothing found
    Clean,
    /// malware, by the daemon's name for it
    Infected(String),
    /// not scanned: over a limit of the daemon
    TooLong,
}

/// A daemon.
#[derive(Debug)]
pub struct Clamd {
    /// where it listens
    pub address: ScannerAddress,
    /// for connecting, for each write and for the answer
    pub patience: Duration,
}

trait Connection: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> Connection for T {}

impl Clamd {
    /// What it calls itself: `ClamAV release/definitions/date of the definitions`.
    pub async fn version(&self) -> Result<String, ScanError> {
        let mut connection = self.connect().await?;
        self.within(connection.write_all(b"zVERSION\0")).await?;
        self.answer(&mut *connection).await
    }

    /// Begins a stream.
    pub async fn stream(&self) -> Result<Stream, ScanError> {
        let mut connection = self.connect().await?;
        self.within(connection.write_all(b"zINSTREAM\0")).await?;
        Ok(Stream { clamd: Clamd { address: self.address.clone(), patience: self.patience }, connection, early: None })
    }

    /// A stream of `bytes` bytes that begins with the test string.
    pub async fn test(&self, bytes: u64) -> Result<Verdict, ScanError> {
        let mut stream = self.stream().await?;
        stream.push(&EICAR_MASKED.map(|byte| byte ^ 0x20)).await?;
        let mut left = bytes.saturating_sub(EICAR_MASKED.len() as u64);
        let zeros = vec![0; FRAME_BYTES_MAX];
        while left > 0 {
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
            stream.push(&zeros[..take]).await?;
            left -= take as u64;
        }
        stream.finish().await
    }

    async fn connect(&self) -> Result<Box<dyn Connection>, ScanError> {
        match &self.address {
            ScannerAddress::Unix(path) => {
                self.within(UnixStream::connect(path)).await.map(|stream| Box::new(stream) as Box<dyn Connection>)
            }
            ScannerAddress::Tcp(address) => {
                self.within(TcpStream::connect(address)).await.map(|stream| Box::new(stream) as Box<dyn Connection>)
            }
        }
    }

    async fn answer(&self, connection: &mut dyn Connection) -> Result<String, ScanError> {
        let mut bytes = Vec::new();
        let mut limited = connection.take(ANSWER_BYTES_MAX as u64);
        let read = self.within(limited.read_to_end(&mut bytes)).await;
        if !bytes.ends_with(&[0]) {
            read?; // whole answers end with zero; a connection that breaks behind one takes nothing back
        }
        let text = String::from_utf8_lossy(&bytes);
        match text.trim_end_matches(['\0', '\n']) {
            "" => Err(self.failed(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up without an answer"))),
            text => Ok(text.to_owned()),
        }
    }

    async fn within<T>(&self, work: impl Future<Output = io::Result<T>>) -> Result<T, ScanError> {
        match timeout(self.patience, work).await {
            Ok(done) => done.map_err(|source| self.failed(source)),
            Err(_) => Err(self.failed(io::Error::new(io::ErrorKind::TimedOut, "it took too long"))),
        }
    }

    fn failed(&self, source: io::Error) -> ScanError {
        ScanError::Unreachable { address: self.address.to_string(), source }
    }
}

/// A stream under way.
#[derive(Debug)]
pub struct Stream {
    clamd: Clamd,
    connection: Box<dyn Connection>,
    /// what the daemon said before the end
    early: Option<Verdict>,
}

impl Stream {
    /// Hands on bytes.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        for frame in bytes.chunks(FRAME_BYTES_MAX) {
            if self.early.is_some() {
                return Ok(());
            }
            let len = u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes();
            let connection = &mut self.connection;
            let written = self.clamd.within(async {
                connection.write_all(&len).await?;
                connection.write_all(frame).await
            });
            if let Err(error) = written.await {
                self.early = Some(self.hung_up(error).await?);
            }
        }
        Ok(())
    }

    /// Ends it, and what the daemon says of it.
    pub async fn finish(mut self) -> Result<Verdict, ScanError> {
        if let Some(verdict) = self.early {
            return Ok(verdict);
        }
        let connection = &mut self.connection;
        if let Err(error) = self.clamd.within(connection.write_all(&[0; 4])).await {
            return self.hung_up(error).await;
        }
        verdict(&self.clamd.answer(&mut *self.connection).await?)
    }

    /// A write failed: what the daemon said before it hung up, or the failure.
    async fn hung_up(&mut self, error: ScanError) -> Result<Verdict, ScanError> {
        match self.clamd.answer(&mut *self.connection).await {
            Ok(said) => match verdict(&said)? {
                Verdict::Clean => Err(ScanError::Failed { said: "it called a stream clean before its end".to_owned() }),
                other => Ok(other),
            },
            Err(_) => Err(error),
        }
    }
}

/// What an answer means.
fn verdict(said: &str) -> Result<Verdict, ScanError> {
    if said == "stream: OK" {
        return Ok(Verdict::Clean);
    }
    if said.contains("size limit exceeded") {
        return Ok(Verdict::TooLong);
    }
    let found = said.strip_prefix("stream: ").and_then(|rest| rest.strip_suffix(" FOUND"));
    match found {
        Some(name) if name.starts_with(LIMITS) => Ok(Verdict::TooLong),
        Some(name) => Ok(Verdict::Infected(printable(name))),
        None => Err(ScanError::Failed { said: printable(said) }),
    }
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(FOUND_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exactly_ok_is_clean() {
        assert_eq!(verdict("stream: OK").unwrap(), Verdict::Clean);
        let infected = verdict("stream: Eicar-Test-Signature.UNOFFICIAL FOUND").unwrap();
        assert_eq!(infected, Verdict::Infected("Eicar-Test-Signature.UNOFFICIAL".into()));
        assert_eq!(verdict("INSTREAM size limit exceeded. ERROR").unwrap(), Verdict::TooLong);
        assert_eq!(verdict("stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND").unwrap(), Verdict::TooLong);
        for other in
            ["stream: ok", "stream: OK ", "OK", "UNKNOWN COMMAND", "stream: Can't allocate memory ERROR", "PONG"]
        {
            assert!(matches!(verdict(other), Err(ScanError::Failed { .. })), "{other}");
        }
    }

    #[test]
    fn the_name_of_a_finding_is_printable_and_short() {
        let long = format!("stream: {}\u{1b}[2J FOUND", "x".repeat(500));
        let Verdict::Infected(name) = verdict(&long).unwrap() else { panic!("a finding") };
        assert_eq!(name, "x".repeat(FOUND_CHARS_MAX));
    }

    #[test]
    fn the_test_string_is_that_of_the_eicar() {
        let test = EICAR_MASKED.map(|byte| byte ^ 0x20);
        let digest = shosoin_protocol::suite::sha256(&[&test]);
        assert_eq!(digest.to_string(), "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f");
    }
}
