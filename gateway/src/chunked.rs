//! Bounds the chunks of uploads in the chunked form of S3 (`STREAMING-...`), before `s3s` reads them.
//!
//! `s3s` holds a whole chunk in memory before it hands it on, and a client may announce one of 4 GiB; some SDKs send a
//! part as one chunk. A signed chunk must be held, because its signature covers all of it, so its size is limited. An
//! unsigned one need not be: it is cut into chunks as large as the frames that arrive. No byte is copied.
//!
//! Source: Amazon S3, "Transferring payload with multiple chunks (chunked upload)" and the variant with trailers.

use bytes::{Buf, Bytes};
use futures::Stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Largest signed chunk, in bytes.
const SIGNED_CHUNK_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How the refusal of a larger one begins; [`crate::receive`] finds it behind the errors of `s3s`.
pub(crate) const SIGNED_CHUNK_TOO_LARGE: &str = "signed chunk over its limit";
/// Longest line before a chunk, in bytes.
const LINE_BYTES_MAX: usize = 1024;
const CRLF: Bytes = Bytes::from_static(b"\r\n");

/// Which form a body has, from `x-amz-content-sha256`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// not chunked
    Plain,
    /// each chunk has a signature
    Signed,
    /// chunks without signatures
    Unsigned,
}

impl Form {
    /// From the headers of a request.
    pub(crate) fn of(headers: &http::HeaderMap) -> Self {
        let value = headers.get("x-amz-content-sha256").map_or(&b""[..], http::HeaderValue::as_bytes);
        match value {
            b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Form::Unsigned,
            value if value.starts_with(b"STREAMING-") => Form::Signed,
            _ => Form::Plain,
        }
    }
}

/// Why a chunked body was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The connection failed.
    #[error("the connection failed")]
    Connection(#[source] hyper::Error),
    /// A line that announces no chunk.
    #[error("chunk FormatError")]
    Malformed,
    /// A signed chunk over the limit.
    #[error("{SIGNED_CHUNK_TOO_LARGE}: {0} bytes")]
    TooLarge(u64),
}

#[derive(Debug)]
enum Place {
    /// in the line before a chunk, of which this was read
    Line(Vec<u8>),
    /// in a chunk with this many bytes to come
    Data(u64),
    /// in the line end after a chunk, with this many bytes to come
    End(usize),
    /// in the trailer
    Trailer,
}

/// Follows the chunks of one body.
#[derive(Debug)]
struct Follower {
    form: Form,
    place: Place,
}

impl Follower {
    fn new(form: Form) -> Self {
        Follower { form, place: Place::Line(Vec::new()) }
    }

    /// Takes a frame; what goes on in its place is added to `out`.
    fn take(&mut self, mut frame: Bytes, out: &mut VecDeque<Bytes>) -> Result<(), Error> {
        if self.form == Form::Signed {
            out.push_back(frame.clone());
        }
        while frame.has_remaining() {
            match &mut self.place {
                Place::Line(line) => {
                    let end = frame.iter().position(|byte| *byte == b'\n').map_or(frame.len(), |at| at + 1);
                    line.extend_from_slice(&frame.split_to(end));
                    if line.len() > LINE_BYTES_MAX {
                        return Err(Error::Malformed);
                    }
                    if line.ends_with(b"\n") {
                        let line = std::mem::take(line);
                        self.begin_chunk(&line, out)?;
                    }
                }
                Place::Data(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(frame.len());
                    let piece = frame.split_to(here);
                    *left -= piece.len() as u64;
                    if *left == 0 {
                        self.place = Place::End(CRLF.len());
                    }
                    self.go_on([Bytes::from(format!("{:x}\r\n", piece.len())), piece, CRLF], out);
                }
                Place::End(left) => {
                    let expected = CRLF[CRLF.len() - *left];
                    if frame.get_u8() != expected {
                        return Err(Error::Malformed);
                    }
                    *left -= 1;
                    if *left == 0 {
                        self.place = Place::Line(Vec::new());
                    }
                }
                Place::Trailer => {
                    let rest = std::mem::take(&mut frame);
                    self.go_on([rest], out);
                }
            }
        }
        Ok(())
    }

    fn begin_chunk(&mut self, line: &[u8], out: &mut VecDeque<Bytes>) -> Result<(), Error> {
        let digits = line.split(|byte| *byte == b';' || *byte == b'\r').next().unwrap_or_default();
        let text = std::str::from_utf8(digits).map_err(|_| Error::Malformed)?;
        match u64::from_str_radix(text, 16).map_err(|_| Error::Malformed)? {
            0 => {
                self.place = Place::Trailer;
                self.go_on([Bytes::from_static(b"0\r\n")], out);
            }
            size if self.form == Form::Signed && size > SIGNED_CHUNK_BYTES_MAX => return Err(Error::TooLarge(size)),
            size => self.place = Place::Data(size),
        }
        Ok(())
    }

    /// A signed body went on as it came; an unsigned one goes on in new chunks.
    fn go_on<const N: usize>(&self, pieces: [Bytes; N], out: &mut VecDeque<Bytes>) {
        if self.form == Form::Unsigned {
            out.extend(pieces);
        }
    }
}

/// A chunked body whose chunks are bounded.
pub(crate) struct Bounded<B> {
    body: B,
    follower: Follower,
    ready: VecDeque<Bytes>,
}

impl<B> Bounded<B> {
    pub(crate) fn new(body: B, form: Form) -> Self {
        Bounded { body, follower: Follower::new(form), ready: VecDeque::new() }
    }
}

impl<B: Stream<Item = Result<Bytes, hyper::Error>> + Unpin> Stream for Bounded<B> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(piece) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(piece)));
            }
            match ready!(Pin::new(&mut this.body).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(Error::Connection(error)))),
                Some(Ok(frame)) => {
                    if let Err(error) = this.follower.take(frame, &mut this.ready) {
                        this.ready.clear();
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(form: Form, frames: &[&[u8]]) -> Result<Vec<u8>, Error> {
        let (mut follower, mut out) = (Follower::new(form), VecDeque::new());
        for frame in frames {
            follower.take(Bytes::copy_from_slice(frame), &mut out)?;
        }
        Ok(out.into_iter().flatten().collect())
    }

    /// The content and trailer of a chunked body, as `s3s` reads it.
    fn decode(mut body: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut content = Vec::new();
        loop {
            let end = body.iter().position(|byte| *byte == b'\n').unwrap();
            let size = usize::from_str_radix(std::str::from_utf8(&body[..end - 1]).unwrap(), 16).unwrap();
            body = &body[end + 1..];
            if size == 0 {
                return (content, body.to_vec());
            }
            content.extend_from_slice(&body[..size]);
            assert_eq!(&body[size..size + 2], b"\r\n");
            body = &body[size + 2..];
        }
    }

    #[test]
    fn a_signed_body_goes_on_as_it_came() {
        let body = b"5;chunk-signature=abc\r\nhello\r\n0;chunk-signature=def\r\n\r\n";
        assert_eq!(run(Form::Signed, &[body]).unwrap(), body);
    }

    #[test]
    fn a_signed_chunk_over_the_limit_is_refused_before_it_arrives() {
        assert!(matches!(run(Form::Signed, &[b"1000001;chunk-signature=abc\r\n"]), Err(Error::TooLarge(0x100_0001))));
        assert!(run(Form::Unsigned, &[b"1000001\r\n"]).is_ok());
    }

    #[test]
    fn what_announces_no_chunk_is_malformed() {
        let long = [b'1'; 1100];
        for wrong in [&b"xyz\r\n"[..], b"\r\n", b"5\r\nhelloXX", b"-5\r\n", b"fffffffffffffffff\r\n", &long] {
            assert!(matches!(run(Form::Unsigned, &[wrong]), Err(Error::Malformed)), "{wrong:?}");
        }
    }

    #[test]
    fn the_form_is_in_one_header() {
        let of = |value: &'static str| {
            let mut headers = http::HeaderMap::new();
            headers.insert("x-amz-content-sha256", http::HeaderValue::from_static(value));
            Form::of(&headers)
        };
        assert_eq!(of("UNSIGNED-PAYLOAD"), Form::Plain);
        assert_eq!(of("STREAMING-UNSIGNED-PAYLOAD-TRAILER"), Form::Unsigned);
        assert_eq!(of("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"), Form::Signed);
        assert_eq!(Form::of(&http::HeaderMap::new()), Form::Plain);
    }

    proptest! {
        #[test]
        fn cutting_chunks_keeps_content_and_trailer(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..5),
            frame in 1usize..64,
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
            let frames: Vec<&[u8]> = body.chunks(frame).collect();
            let (content, trailer) = decode(&run(Form::Unsigned, &frames).unwrap());
            prop_assert_eq!(content, chunks.concat());
            prop_assert_eq!(trailer, b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n".to_vec());
        }
    }
}
