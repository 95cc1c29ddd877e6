//! Signatures that documents bring through S3: taken from the metadata of an upload, answered in the metadata of a read.
//!
//! | header | value |
//! |---|---|
//! | `x-amz-meta-shosoin-signature` | with an upload: the detached CMS signature of the document, in base64 |
//! | | in answers to head: the same, if it is no longer than every client takes |
//! | `x-amz-meta-shosoin-signers` | in answers to get and head: the standing of each signer when the document was stored |
//!
//! User metadata is what every S3 client can send and show; both are told apart from what else is there before its length
//! is measured, and neither is kept as metadata. Clients that copy in parts send on what head told them, and so the signature comes
//! along and is verified anew. `GET` with the query `shosoin-signature` gives any signature.
//!
//! Invariant: what an upload says of signers is dropped, never kept: clients that copy send back what they read, and nobody but
//! the gateway says how a signature stands.

use crate::reply;
use crate::s3::Gateway;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use s3s::dto::{GetObjectInput, GetObjectOutput, Metadata, StreamingBlob};
use s3s::{Body, S3Error, S3Result, s3_error};
use shosoin_protocol::limits::DOCUMENT_SIGNATURE_BYTES_MAX;
use shosoin_protocol::manifest::ObjectFacts;

const SIGNATURE: &str = "shosoin-signature";
const SIGNERS: &str = "shosoin-signers";
/// Longest signature as text.
const TEXT_BYTES_MAX: usize = DOCUMENT_SIGNATURE_BYTES_MAX.div_ceil(3) * 4;

/// Longest signature that is answered as text: with all other headers it stays within the 8 KiB that some clients take.
const ANSWERED_BYTES_MAX: usize = 4096;

/// Takes the signature out of the metadata of an upload.
pub(crate) fn take(metadata: &mut Option<Metadata>) -> S3Result<Option<Vec<u8>>> {
    let Some(metadata) = metadata else { return Ok(None) };
    metadata.remove(SIGNERS);
    let Some(text) = metadata.remove(SIGNATURE) else { return Ok(None) };
    let decoded = if text.len() > TEXT_BYTES_MAX { None } else { Some(STANDARD.decode(text)) };
    match decoded {
        None => Err(too_long()),
        Some(Ok(cms)) if cms.len() > DOCUMENT_SIGNATURE_BYTES_MAX => Err(too_long()),
        Some(Ok(cms)) if !cms.is_empty() => Ok(Some(cms)),
        Some(_) => Err(reply::no_signature("x-amz-meta-shosoin-signature is not base64 of a signature, in one line")),
    }
}

fn too_long() -> S3Error {
    s3_error!(
        MetadataTooLarge,
        "x-amz-meta-{SIGNATURE}: a signature is at most {DOCUMENT_SIGNATURE_BYTES_MAX} bytes before base64."
    )
}

/// The metadata of an answer.
pub(crate) fn metadata(facts: &ObjectFacts) -> Metadata {
    let mut metadata: Metadata =
        facts.metadata.iter().filter(|pair| pair.0 != SIGNERS && pair.0 != SIGNATURE).cloned().collect();
    if let Some(signature) = &facts.signature {
        let standings: Vec<&str> = signature.signers.iter().map(|signer| signer.standing.name()).collect();
        metadata.insert(SIGNERS.to_owned(), standings.join(","));
    }
    metadata
}

/// The metadata of an answer to head.
pub(crate) fn metadata_of_head(facts: &ObjectFacts) -> Metadata {
    let mut metadata = metadata(facts);
    let cms = facts.signature.as_ref().map(|signature| &signature.cms);
    if let Some(cms) = cms.filter(|cms| cms.len() <= ANSWERED_BYTES_MAX / 4 * 3) {
        metadata.insert(SIGNATURE.to_owned(), STANDARD.encode(cms));
    }
    metadata
}

/// Whether a `GET` asks for the signature instead of the document.
pub(crate) fn is_asked(uri: &http::Uri) -> bool {
    let mut names = uri.query().unwrap_or_default().split('&').map(|pair| pair.split('=').next());
    names.any(|name| name == Some(SIGNATURE))
}

/// `GetObject` with that query: the signature as the document brought it.
pub(crate) fn get(gateway: &Gateway, input: &GetObjectInput) -> S3Result<GetObjectOutput> {
    let found = gateway.find_object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let Some(signature) = &found.facts.signature else { return Err(reply::no_such_signature()) };
    let cms = Bytes::from(signature.cms.clone());
    Ok(GetObjectOutput {
        content_length: crate::list::size(cms.len() as u64),
        content_type: Some("application/pkcs7-signature".into()),
        last_modified: Some(reply::timestamp(found.facts.modified_ms)),
        version_id: found.version_text(),
        body: Some(StreamingBlob::from(Body::from(cms))),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str, text: String) -> (Result<Option<Vec<u8>>, String>, usize) {
        let mut metadata = Some(Metadata::from([(name.to_owned(), text), ("ward".to_owned(), "3".to_owned())]));
        let taken = take(&mut metadata).map_err(|error| error.code().as_str().to_owned());
        (taken, metadata.unwrap_or_default().len())
    }

    #[test]
    fn a_signature_is_taken_out_of_the_metadata_and_other_metadata_stays() {
        assert_eq!(taken(SIGNATURE, "AQID".into()), (Ok(Some(vec![1, 2, 3])), 1));
        assert_eq!(taken("shosoin-label", "ordinary".into()), (Ok(None), 2));
        assert_eq!(take(&mut None).unwrap(), None);
    }

    #[test]
    fn what_an_upload_says_of_signers_is_dropped() {
        assert_eq!(taken(SIGNERS, "trusted".into()), (Ok(None), 1));
    }

    #[test]
    fn what_is_no_signature_of_a_length_that_is_kept_is_refused() {
        let long = |more: usize| STANDARD.encode(vec![7; DOCUMENT_SIGNATURE_BYTES_MAX + more]);
        assert_eq!(taken(SIGNATURE, long(0)).0.map(|taken| taken.map(|cms| cms.len())), Ok(Some(16_384)));
        for more in [1, 2, 3, 1_000_000] {
            assert_eq!(taken(SIGNATURE, long(more)).0, Err("MetadataTooLarge".into()), "{more}");
        }
        for wrong in ["", "AQI", "AQ ID", "AQID\nAQID", "é", "AQID====", "-_-_"] {
            assert_eq!(taken(SIGNATURE, wrong.into()).0, Err("InvalidDocumentSignature".into()), "{wrong:?}");
        }
    }

    #[test]
    fn a_signature_is_asked_for_by_its_own_query() {
        let asked = |uri: &str| is_asked(&uri.parse().unwrap());
        assert!(asked("/b/k?shosoin-signature") && asked("/b/k?versionId=null&shosoin-signature="));
        assert!(!asked("/b/k") && !asked("/b/shosoin-signature") && !asked("/b/k?a=shosoin-signature"));
    }
}
