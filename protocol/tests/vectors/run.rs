//! What each structure's vector goes through: decode, check against the fields, encode again.

use super::vector::Vector;
use bytes::Bytes;
use shosoin_protocol::act::{ActKind, Document};
use shosoin_protocol::answer::Answer;
use shosoin_protocol::api::{
    DepositBatch, DepositReplies, DeviceReply, Enrolment, LogPage, VersionReply, WrapsReply, decode_addresses,
    decode_versions, encode_addresses, encode_versions,
};
use shosoin_protocol::approval::ApprovalFile;
use shosoin_protocol::certificate::Certificate;
use shosoin_protocol::checkpoint::{Checkpoint, SignedHead};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::entry::{Body, Entry, PlacedEntry};
use shosoin_protocol::envelope::{Envelope, EnvelopeType, write_aad};
use shosoin_protocol::evidence::{Evidence, Keys};
use shosoin_protocol::malware::MalwareReport;
use shosoin_protocol::manifest::{AddressList, ManifestRoot, Summary, decode_page, encode_page};
use shosoin_protocol::medium::{MediumCheck, MediumManifest};
use shosoin_protocol::merkle::{verify_consistency, verify_inclusion};
use shosoin_protocol::package::Package;
use shosoin_protocol::receipt::{Receipt, read_proof, write_proof};
use shosoin_protocol::reconciliation::Reconciliation;
use shosoin_protocol::removal::RemovalList;
use shosoin_protocol::share::{Offers, ShareCard, SharedVersion};
use shosoin_protocol::sign::{Domain, PublicKey, Signature, SigningKey};
use shosoin_protocol::{Digest, Error, Result};
use std::str::FromStr;

/// Structures whose vectors are checked where their code is.
pub const ELSEWHERE: [&str; 17] = [
    "escrow-share",
    "person-key",
    "sealed-chunk",
    "sealed-page",
    "sealed-wrap",
    "sealed-summary",
    "sealed-hospital-wrap",
    "sealed-hospital-summary",
    "key-file",
    "key-file-token",
    "local-seal",
    "volume-label",
    "removed-list",
    "record",
    "unit",
    "stripe",
    "footer",
];

/// Decodes and checks a vector; gives what its value encodes to. `None` if the structure is not known here.
pub fn run(vector: &Vector) -> Option<Result<Vec<u8>>> {
    let body = vector.body.as_slice();
    let shared = Bytes::copy_from_slice(body);
    Some(match vector.structure.as_str() {
        "envelope" => envelope(vector),
        "manifest-root" => ManifestRoot::decode(body).map(|root| root.encode()),
        "manifest-page" => decode_page(body).map(|chunks| encode_page(&chunks)),
        "address-list" => address_list(vector),
        "summary" => Summary::decode(body).map(|summary| summary.encode()),
        "entry" => entry(vector),
        "document" => document(vector),
        "placed-entry" => PlacedEntry::decode(body).map(|placed| placed.encode()),
        "checkpoint" => checkpoint(vector),
        "receipt" => receipt(vector),
        "reconciliation" => reconciliation(vector),
        "malware-report" => malware_report(vector),
        "audit-answer" => audit_answer(vector),
        "evidence" => evidence(vector),
        "package-manifest" => package(vector),
        "removal-list" => RemovalList::decode(body).map(|list| list.encode()),
        "approval" => ApprovalFile::verify(body).map(|approval| approval.encode()),
        "certificate" => certificate(vector),
        "enrolment" => Enrolment::verify(body).map(|_| body.to_vec()),
        "share-card" => ShareCard::verify(body).map(|_| body.to_vec()),
        "medium-manifest" => medium_manifest(vector),
        "medium-check" => MediumCheck::verify(body).map(|_| body.to_vec()),
        "offers" => Offers::decode(&shared).map(|offers| offers.encode()),
        "shared-version" => SharedVersion::decode(&shared).map(|version| version.encode()),
        "public-key" => public_key(body),
        "signature" => signature(vector),
        "inclusion-proof" => inclusion(vector),
        "consistency-proof" => consistency(vector),
        "deposit-batch" => DepositBatch::decode(&shared).map(|batch| batch.encode()),
        "deposit-replies" => DepositReplies::decode(body).map(|replies| replies.encode()),
        "device-reply" => DeviceReply::decode(body).map(|reply| reply.encode()),
        "address-query" => decode_addresses(body).map(|addresses| encode_addresses(&addresses)),
        "version-query" => decode_versions(body).map(|versions| encode_versions(&versions)),
        "wraps-reply" => WrapsReply::decode(&shared).map(|reply| reply.encode()),
        "version-reply" => VersionReply::decode(&shared).map(|reply| reply.encode()),
        "log-page" => LogPage::decode(&shared).map(|page| page.encode()),
        _ => return None,
    })
}

fn parsed<T: FromStr<Err: std::fmt::Debug>>(vector: &Vector, key: &str) -> Option<T> {
    vector.fields.get(key).map(|text| text.parse().unwrap_or_else(|error| panic!("{}: {key}: {error:?}", vector.name)))
}

fn needed<T: FromStr<Err: std::fmt::Debug>>(vector: &Vector, key: &str) -> T {
    vector.field(key);
    parsed(vector, key).expect("the field is there")
}

fn envelope(vector: &Vector) -> Result<Vec<u8>> {
    let envelope = Envelope::parse(&vector.body)?;
    if let Some(hospital) = parsed(vector, "hospital") {
        let kind = match needed::<u8>(vector, "type") {
            1 => EnvelopeType::Chunk,
            2 => EnvelopeType::Manifest,
            3 => EnvelopeType::Wrap,
            4 => EnvelopeType::Summary,
            6 => EnvelopeType::HospitalWrap,
            _ => EnvelopeType::HospitalSummary,
        };
        envelope.expect(hospital, kind)?;
    }
    let header = envelope.header;
    let (context, commit) = (&envelope.context, &envelope.commit);
    let aad = write_aad(header.suite, header.class, header.hospital, context, commit, header.sealed_len);
    Ok([&aad, envelope.sealed].concat())
}

fn medium_manifest(vector: &Vector) -> Result<Vec<u8>> {
    MediumManifest::verify(&vector.body, &needed(vector, "hospital-key")).map(|_| vector.body.clone())
}

fn address_list(vector: &Vector) -> Result<Vec<u8>> {
    let list = AddressList::decode(&vector.body)?;
    let (expected, found): (Digest, Digest) = (needed(vector, "root"), list.root());
    match expected == found {
        true => Ok(list.encode()),
        false => Err(Error::Mismatch { what: "root", expected: expected.to_string(), found: found.to_string() }),
    }
}

fn entry(vector: &Vector) -> Result<Vec<u8>> {
    let entry = Entry::decode(&vector.body)?;
    let log = needed(vector, "log");
    entry.expect(log, needed(vector, "hospital"))?;
    if let Body::Device(change) = entry.body() {
        change.verify(log, &needed(vector, "hospital-key"))?;
    }
    entry.verify(&needed(vector, "key"))?;
    let (unsigned, signature) = vector.body.split_at(vector.body.len() - Signature::LEN);
    let again = entry.statement().encode();
    assert_eq!(again, unsigned, "{}", vector.name);
    Ok([&again, signature].concat())
}

fn document(vector: &Vector) -> Result<Vec<u8>> {
    let kind = ActKind::from_code(needed(vector, "act-kind"))?;
    Document::decode(kind, &vector.body).map(|document| document.encode())
}

fn checkpoint(vector: &Vector) -> Result<Vec<u8>> {
    let mut framed = Writer::new();
    framed.var(&vector.body);
    let framed = framed.finish();
    let signed = Reader::new(&framed, "checkpoint").text(usize::MAX, "checkpoint")?;
    Checkpoint::verify(&signed, &needed(vector, "key"))?;
    Ok(vector.body.clone())
}

fn receipt(vector: &Vector) -> Result<Vec<u8>> {
    let receipt = Receipt::decode(&vector.body)?;
    let (leaf, key) = (needed(vector, "leaf"), needed(vector, "key"));
    let verified = receipt.verify(&leaf, &key);
    if let Ok(head) = SignedHead::verify(&receipt.inclusion.checkpoint, &key) {
        let under = receipt.verify_under(&leaf, &key, &head);
        assert_eq!(under, verified.clone().map(drop), "verifying the head first must change nothing");
    }
    verified?;
    Ok(receipt.encode())
}

fn malware_report(vector: &Vector) -> Result<Vec<u8>> {
    let key = needed(vector, "key");
    MalwareReport::verify(&vector.body, &key)?;
    let (report, signature) = MalwareReport::decode(&vector.body)?;
    Ok(report.signed(signature))
}

fn reconciliation(vector: &Vector) -> Result<Vec<u8>> {
    let signed = Reconciliation::decode(&vector.body)?;
    signed.verify(&needed(vector, "key"))?;
    Ok(signed.encode())
}

fn audit_answer(vector: &Vector) -> Result<Vec<u8>> {
    let answer = Answer::decode(&vector.body)?;
    answer.verify(&needed(vector, "key"))?;
    Ok(answer.encode())
}

fn evidence(vector: &Vector) -> Result<Vec<u8>> {
    let text =
        std::str::from_utf8(&vector.body).map_err(|_| Error::Invalid { what: "evidence", why: "it is not text" })?;
    let evidence = Evidence::parse(text)?;
    let (vault_key, hospital_key) = (needed(vector, "vault-key"), Some(needed(vector, "hospital-key")));
    evidence.judge(&Keys { vault_key, hospital_key, least_suite: None })?;
    Ok(evidence.render().into_bytes())
}

/// Signed by the key in it, as a package's manifest is.
fn certificate(vector: &Vector) -> Result<Vec<u8>> {
    let (vault, hospital) = (needed(vector, "key"), needed(vector, "hospital-key"));
    let verified = Certificate::verify(&vector.body, Some(&vault), Some(&hospital))?;
    let seed = [needed::<u8>(vector, "seed"); 32];
    Ok(verified.certificate.sign(&SigningKey::from_seed(vault.suite(), &seed.into())?))
}

/// A manifest is signed by the key in it; what it encodes to is compared without the signature, which only its maker can make.
fn package(vector: &Vector) -> Result<Vec<u8>> {
    let package = Package::verify(&vector.body)?;
    let seed = [needed::<u8>(vector, "seed"); 32];
    Ok(package.sign(&SigningKey::from_seed(package.suite(), &seed.into())?))
}

fn public_key(body: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Reader::new(body, "public key");
    let key = PublicKey::read(&mut reader)?;
    reader.finish()?;
    let mut out = Writer::new();
    key.write(&mut out);
    Ok(out.finish())
}

fn signature(vector: &Vector) -> Result<Vec<u8>> {
    let mut reader = Reader::new(&vector.body, "signature");
    let signature = Signature::read(&mut reader)?;
    reader.finish()?;
    let domain = match vector.field("domain") {
        "entry" => Domain::Entry,
        "receipt" => Domain::Receipt,
        other => panic!("{}: no such domain: {other}", vector.name),
    };
    let key: PublicKey = needed(vector, "key");
    key.verify(domain, vector.field("message").as_bytes(), &signature)?;
    Ok(signature.0.to_vec())
}

fn proof(vector: &Vector) -> Result<Vec<Digest>> {
    let mut reader = Reader::new(&vector.body, "proof");
    let proof = read_proof(&mut reader)?;
    reader.finish()?;
    Ok(proof)
}

fn encoded(proof: &[Digest]) -> Vec<u8> {
    let mut out = Writer::new();
    write_proof(&mut out, proof);
    out.finish()
}

fn inclusion(vector: &Vector) -> Result<Vec<u8>> {
    let (proof, root) = (proof(vector)?, needed(vector, "root"));
    verify_inclusion(&needed(vector, "leaf"), needed(vector, "index"), needed(vector, "size"), &proof, &root)?;
    Ok(encoded(&proof))
}

fn consistency(vector: &Vector) -> Result<Vec<u8>> {
    let (proof, old_root, new_root) = (proof(vector)?, needed(vector, "old-root"), needed(vector, "new-root"));
    verify_consistency((needed(vector, "old-size"), &old_root), (needed(vector, "new-size"), &new_root), &proof)?;
    Ok(encoded(&proof))
}
