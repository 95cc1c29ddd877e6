//! Signatures that documents bring: bound to the content that is stored, carried to copies, and damage where they do not fit.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "tests")]

mod common;
#[path = "../../trust/tests/openssl/mod.rs"]
mod openssl;

use bytes::Bytes;
use common::*;
use openssl::{GOOD, OpenSsl};
use shosoin_client::{CheckedDocument, Client, Condition, Error, NewObject, Part, Result};
use shosoin_protocol::Suite;
use shosoin_protocol::manifest::{SignerStanding, Versioning};
use shosoin_protocol::policy::Label;

/// The signature of somebody over `content`.
fn sign(content: &[u8]) -> Vec<u8> {
    let root = OpenSsl::new("Root");
    root.issue_ec("doctor", "signer", GOOD);
    root.write("letter", content);
    root.sign("doctor", &root.path("letter"), &[])
}

async fn check(client: &Client, cms: &[u8], content: &[u8]) -> Result<CheckedDocument> {
    let mut check = client.check_signature(cms)?;
    for piece in content.chunks(1000) {
        check = check.add(Bytes::copy_from_slice(piece)).await?;
    }
    client.checked_document(check, &[SignerStanding::UnknownIssuer])
}

async fn put_signed(client: &Client, name: &str, content: &[u8], signature: Option<CheckedDocument>) -> Result<()> {
    let parts = Part::single(write(client, content).await);
    let object = NewObject { signature, ..object(name) };
    client.put_object(object, parts, Condition::Any).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_changed_between_verifying_and_storing_is_not_stored() {
    for suite in Suite::ALL {
        let (_site, _wire, client) = ward(suite, Versioning::Off).await;
        let (content, mut other) = (noise(1, 5000), noise(1, 5000));
        other[4999] ^= 1;
        let checked = check(&client, &sign(&content), &content).await.unwrap();
        let refused = put_signed(&client, "letter", &other, Some(checked.clone())).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { what: "content", .. }), "{refused}");
        assert!(client.lookup(BUCKET, "letter", None).unwrap().is_none());
        put_signed(&client, "letter", &content, Some(checked)).await.unwrap();
        let opened = client.open_object(BUCKET, "letter", None).await.unwrap();
        let proof = opened.verify_signature().await.unwrap().unwrap();
        assert!(proof.verified && proof.signers[0].stored == "unknown-issuer");
        client.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_the_signature_and_a_document_without_one_has_none() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Off).await;
    let content = noise(2, 70_000);
    let checked = check(&client, &sign(&content), &content).await.unwrap();
    put_signed(&client, "letter", &content, Some(checked)).await.unwrap();
    put_signed(&client, "plain", &content, None).await.unwrap();
    let opened = client.open_object(BUCKET, "letter", None).await.unwrap();
    let parts = opened.copy_parts(&bucket(Versioning::Off), Label::Ordinary).await.unwrap();
    let copy = NewObject { signature: opened.carried_signature(), ..object("copy") };
    client.put_object(copy, parts, Condition::Any).await.unwrap();
    let copy = client.open_object(BUCKET, "copy", None).await.unwrap();
    assert_eq!(copy.verify_signature().await.unwrap(), opened.verify_signature().await.unwrap());
    let plain = client.open_object(BUCKET, "plain", None).await.unwrap();
    assert!(plain.carried_signature().is_none() && plain.verify_signature().await.unwrap().is_none());
    let foreign = opened.carried_signature();
    let refused = put_signed(&client, "foreign", &noise(3, 70_000), foreign).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid { .. }));
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_over_its_limit_or_without_sense_is_refused_before_anything_is_read() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Off).await;
    assert!(matches!(client.check_signature(&vec![0x30; 20_000]), Err(Error::OverLimit { limit: 16_384, .. })));
    assert!(matches!(client.check_signature(b"nonsense"), Err(Error::DocumentSignature { .. })));
    client.close().await.unwrap();
}
