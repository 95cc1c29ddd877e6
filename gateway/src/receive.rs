//! Taking a body in: from the connection to the writer that seals it, frame by frame, checksum beside it.
//!
//! Invariants
//! - Nothing is buffered here: a frame is hashed, handed to the writer, and the next is asked for when the writer has
//!   room. A slow vault slows the client down instead of filling memory.
//! - A body that ends early, late, or never is an error, and then the writer is dropped: nothing was stored.

use crate::checksum::Hasher;
use crate::{chunked, reply};
use futures::StreamExt;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use shosoin_client::{ObjectWriter, PartContent, SignatureCheck};
use shosoin_protocol::limits::PART_BYTES_MAX;
use shosoin_protocol::manifest::Checksum;
use std::time::Duration;

/// How long a client may be silent in the middle of a body.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A body that arrived whole.
pub(crate) struct Received {
    pub(crate) content: PartContent,
    pub(crate) checksum: Option<Checksum>,
    /// that the whole body passed, if the document brought a signature
    pub(crate) signature: Option<SignatureCheck>,
}

/// The length a request announces; more than a part may have is refused before the first byte.
pub(crate) fn announced(content_length: Option<i64>) -> S3Result<Option<u64>> {
    match content_length.map(u64::try_from) {
        None => Ok(None),
        Some(Ok(length)) if length <= PART_BYTES_MAX => Ok(Some(length)),
        Some(Ok(_)) => Err(too_large()),
        Some(Err(_)) => Err(s3_error!(InvalidArgument, "Content-Length is not a length.")),
    }
}

/// Pumps `body` into `writer`, and past what is held against it.
pub(crate) async fn receive(
    writer: ObjectWriter,
    body: Option<StreamingBlob>,
    announced: Option<u64>,
    mut hasher: Option<Hasher>,
    mut signature: Option<SignatureCheck>,
) -> S3Result<Received> {
    let mut writer = match announced {
        Some(length) => writer.expect_bytes(length),
        None => writer,
    };
    let mut received = 0u64;
    if let Some(mut body) = body {
        while let Some(frame) = next(&mut body).await? {
            received += frame.len() as u64;
            if received > PART_BYTES_MAX {
                return Err(too_large());
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&frame);
            }
            if let Some(check) = signature.take() {
                signature = Some(check.add(frame.clone()).await.map_err(reply::s3)?);
            }
            writer.push(frame).await.map_err(reply::s3)?;
        }
    }
    if announced.is_some_and(|announced| announced != received) {
        return Err(incomplete());
    }
    let content = writer.finish().await.map_err(reply::s3)?;
    Ok(Received { content, checksum: hasher.map(Hasher::finish), signature })
}

async fn next(body: &mut StreamingBlob) -> S3Result<Option<bytes::Bytes>> {
    match tokio::time::timeout(SILENCE_MAX, body.next()).await {
        Ok(Some(Ok(frame))) => Ok(Some(frame)),
        Ok(Some(Err(error))) => Err(broken(error.as_ref())),
        Ok(None) => Ok(None),
        Err(_) => Err(s3_error!(RequestTimeout, "The body did not arrive within the timeout period.")),
    }
}

/// What a body stream failed with. `s3s` keeps the types of its stream errors private and those of a stream beneath it
/// out of their sources, so text is what tells them apart; the end-to-end tests send such bodies to a real gateway. A
/// text that is not known is an incomplete body, which is what a lost connection is.
fn broken(error: &(dyn std::error::Error + 'static)) -> S3Error {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&next.to_string());
        cause = next.source();
    }
    if text.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let mut error = S3Error::with_message(code, "The provided x-amz-content-sha256 does not match the body.");
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return error;
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "The signature of a chunk does not match.");
    }
    if text.contains(chunked::SIGNED_CHUNK_TOO_LARGE) {
        return s3_error!(InvalidRequest, "A signed chunk is larger than 16 MiB: send smaller ones, or sign none.");
    }
    let malformed = ["FormatError", "TooLarge", "TooManyTrailerHeaders"];
    if malformed.iter().any(|known| text.contains(known)) {
        return s3_error!(InvalidRequest, "The chunked body is not well formed.");
    }
    incomplete()
}

fn incomplete() -> S3Error {
    s3_error!(IncompleteBody, "You did not provide the number of bytes specified by the Content-Length header.")
}

fn too_large() -> S3Error {
    s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_checked_before_the_first_byte() {
        assert_eq!(announced(Some(5)).unwrap(), Some(5));
        assert_eq!(announced(None).unwrap(), None);
        let over = i64::try_from(PART_BYTES_MAX).unwrap() + 1;
        assert_eq!(announced(Some(over)).unwrap_err().code(), &S3ErrorCode::EntityTooLarge);
        assert_eq!(announced(Some(-1)).unwrap_err().code(), &S3ErrorCode::InvalidArgument);
    }

    #[test]
    fn each_way_a_stream_breaks_has_its_code() {
        let code = |text: &str| broken(&std::io::Error::other(text.to_owned())).code().as_str().to_owned();
        assert_eq!(code("UploadStreamError: Sha256Mismatch"), "XAmzContentSHA256Mismatch");
        assert_eq!(code("AwsChunkedStreamError: SignatureMismatch"), "SignatureDoesNotMatch");
        assert_eq!(code("AwsChunkedStreamError: FormatError"), "InvalidRequest");
        let ours = |error: chunked::Error| broken(&std::io::Error::other(error));
        assert_eq!(ours(chunked::Error::Malformed).code(), &S3ErrorCode::InvalidRequest);
        let large = ours(chunked::Error::TooLarge(1 << 30));
        assert_eq!(large.code(), &S3ErrorCode::InvalidRequest);
        assert!(large.message().unwrap().contains("16 MiB"), "{large:?}");
        assert_eq!(code("UploadStreamError: Incomplete"), "IncompleteBody");
        assert_eq!(code("connection closed before message completed"), "IncompleteBody");
    }
}
