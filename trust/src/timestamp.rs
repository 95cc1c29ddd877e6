//! Timestamps (RFC 3161): the query for one, the answer, and a token judged years later.
//!
//! Invariants
//! - An answer counts for its own query alone: nonce, digest and hash function must be those that were asked about.
//! - A token says its time only with a path from its certificate, which is for timestamping alone, to an anchor.
//! - A chain of tokens, each over what is before it, is judged as RFC 4998 has it: each must have been good when the next was
//!   made, and the last must be good now. So a chain outlives each of its keys and algorithms if it is renewed in time.

use crate::anchors::fingerprint;
use crate::error::form;
use crate::message::SignedMessage;
use crate::path::{self, Purpose, Signer};
use crate::{Anchors, Error, HashName, Result};
use der::asn1::{Any, BitString, ObjectIdentifier, OctetString, Uint};
use der::{Decode as _, Encode as _, Sequence, Tagged as _};
use sha1::{Digest as _, Sha1};
use x509_cert::ext::Extensions;
use x509_cert::spki::AlgorithmIdentifierOwned;

const WHAT: &str = "a timestamp";
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// Bytes of an answer.
pub const ANSWER_BYTES_MAX: usize = crate::message::MESSAGE_BYTES_MAX + 1024;
/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 1024;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct Imprint {
    algorithm: AlgorithmIdentifierOwned,
    digest: OctetString,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct TimeStampReq {
    version: u8,
    imprint: Imprint,
    #[asn1(optional = "true")]
    policy: Option<ObjectIdentifier>,
    #[asn1(optional = "true")]
    nonce: Option<Uint>,
    #[asn1(default = "Default::default")]
    certificates: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct StatusInfo {
    status: u8,
    #[asn1(optional = "true")]
    text: Option<Vec<String>>,
    #[asn1(optional = "true")]
    failure: Option<BitString>,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct TimeStampResp {
    status: StatusInfo,
    #[asn1(optional = "true")]
    token: Option<Any>,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct Accuracy {
    #[asn1(optional = "true")]
    seconds: Option<u64>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    micros: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct TstInfo {
    version: u8,
    policy: ObjectIdentifier,
    imprint: Imprint,
    serial: Uint,
    made: Any,
    #[asn1(optional = "true")]
    accuracy: Option<Accuracy>,
    #[asn1(default = "Default::default")]
    ordering: bool,
    #[asn1(optional = "true")]
    nonce: Option<Uint>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    authority: Option<Any>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    extensions: Option<Extensions>,
}

/// One reference to a certificate: its digest, SHA-256 unless another function is named.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct EssCertIdV2 {
    #[asn1(optional = "true")]
    algorithm: Option<AlgorithmIdentifierOwned>,
    digest: OctetString,
    #[asn1(optional = "true")]
    issuer: Option<Any>,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct EssCertId {
    digest: OctetString,
    #[asn1(optional = "true")]
    issuer: Option<Any>,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct SigningCertificateV2 {
    certificates: Vec<EssCertIdV2>,
    #[asn1(optional = "true")]
    policies: Option<Any>,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
struct SigningCertificate {
    certificates: Vec<EssCertId>,
    #[asn1(optional = "true")]
    policies: Option<Any>,
}

/// What an authority is asked: to say when it saw this digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    hash: HashName,
    digest: Vec<u8>,
    nonce: Vec<u8>,
}

impl Query {
    /// For `content`, with a fresh random nonce.
    pub fn new(hash: HashName, content: &[u8], nonce: [u8; NONCE_BYTES]) -> Self {
        Query { hash, digest: hash.digest(content), nonce: nonce.to_vec() }
    }

    /// In DER, as it is sent.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let malformed = |error: der::Error| form("a timestamp query", error);
        let imprint = Imprint {
            algorithm: AlgorithmIdentifierOwned { oid: self.hash.oid(), parameters: Some(Any::null()) },
            digest: OctetString::new(self.digest.clone()).map_err(malformed)?,
        };
        let nonce = Some(Uint::new(&self.nonce).map_err(malformed)?);
        let request = TimeStampReq { version: 1, imprint, policy: None, nonce, certificates: true };
        request.to_der().map_err(malformed)
    }

    /// Reads a query that was kept. One without a nonce is refused: anybody could have kept its answer.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let what = "a timestamp query";
        if bytes.len() > QUERY_BYTES_MAX {
            return Err(form(what, format!("it has {} bytes, the limit is {QUERY_BYTES_MAX}", bytes.len())));
        }
        let request = TimeStampReq::from_der(bytes).map_err(|error| form(what, error))?;
        let nonce = request.nonce.ok_or_else(|| form(what, "it has no nonce"))?.as_bytes().to_vec();
        let hash = HashName::of("the digest of a timestamp", request.imprint.algorithm.oid)?;
        Ok(Query { hash, digest: request.imprint.digest.as_bytes().to_vec(), nonce })
    }

    /// True if it asks about `content`.
    pub fn is_about(&self, content: &[u8]) -> bool {
        self.hash.digest(content) == self.digest
    }
}

/// The token in an answer, or why the authority gave none.
pub fn token_of(answer: &[u8]) -> Result<Vec<u8>> {
    let what = "the answer of a timestamping authority";
    if answer.len() > ANSWER_BYTES_MAX {
        return Err(form(what, format!("it has {} bytes, the limit is {ANSWER_BYTES_MAX}", answer.len())));
    }
    let answer = TimeStampResp::from_der(answer).map_err(|error| form(what, error))?;
    match (answer.status.status, answer.token) {
        (0 | 1, Some(token)) => token.to_der().map_err(|error| form(what, error)),
        (0 | 1, None) => Err(form(what, "it says that it holds a token, and holds none")),
        (status, _) => {
            let why = answer.status.text.unwrap_or_default().join("; ");
            Err(Error::Refused { status, why: if why.is_empty() { "it gives no reason".to_owned() } else { why } })
        }
    }
}

/// A token, not yet believed.
#[derive(Debug, Clone)]
pub struct Token {
    message: SignedMessage,
    info: TstInfo,
    hash: HashName,
    made_ms: u64,
    accuracy_ms: u64,
}

/// What a token proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamped {
    /// when the content existed at the latest, in milliseconds since 1970
    pub made_ms: u64,
    /// by how much the authority may be wrong, as it says
    pub accuracy_ms: u64,
    /// over which digest
    pub hash: HashName,
    /// policy of the authority
    pub policy: String,
    /// number of the token, in hex
    pub serial: String,
    /// who says so
    pub authority: Signer,
}

impl Token {
    /// Reads a token in DER.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let message = SignedMessage::read(bytes)?;
        if message.content_type() != TST_INFO || message.signers() != 1 {
            return Err(form(WHAT, "it is not one signature over the information of a timestamp"));
        }
        let content = message.content().ok_or_else(|| form(WHAT, "it says nothing"))?;
        let info = TstInfo::from_der(content).map_err(|error| form(WHAT, error))?;
        if info.version != 1 {
            return Err(form(WHAT, format!("its version is {}", info.version)));
        }
        let hash = HashName::of("the digest of a timestamp", info.imprint.algorithm.oid)?;
        let made_ms = generalized_ms(&info.made)?;
        let accuracy_ms = info.accuracy.as_ref().map_or(0, |accuracy| {
            let seconds = accuracy.seconds.unwrap_or(0).saturating_mul(1000);
            seconds
                .saturating_add(accuracy.millis.unwrap_or(0).into())
                .saturating_add(u64::from(accuracy.micros.is_some()))
        });
        Ok(Token { message, info, hash, made_ms, accuracy_ms })
    }

    /// When it says that it was made.
    pub fn made_ms(&self) -> u64 {
        self.made_ms
    }

    /// Refuses a token that was not made for this query.
    pub fn answers(&self, query: &Query) -> Result<()> {
        let other = |what| Err(Error::OtherQuery { what });
        match &self.info.nonce {
            Some(nonce) if nonce.as_bytes() == stripped(&query.nonce) => {}
            _ => return other("nonce"),
        }
        match (self.hash == query.hash, self.info.imprint.digest.as_bytes() == query.digest) {
            (false, _) => other("hash function"),
            (_, false) => other("imprint"),
            _ => Ok(()),
        }
    }

    /// Refuses a token that is not over `content`.
    pub fn covers(&self, content: &[u8]) -> Result<()> {
        match self.hash.digest(content) == self.info.imprint.digest.as_bytes() {
            true => Ok(()),
            false => Err(Error::OtherContent),
        }
    }

    /// Refuses a token whose time is not between `asked_ms` and `answered_ms` of the own clock, but for `skew_ms` and what the
    /// authority says of its own accuracy.
    pub fn agrees(&self, asked_ms: u64, answered_ms: u64, skew_ms: u64) -> Result<()> {
        let slack = skew_ms.saturating_add(self.accuracy_ms);
        let (least, most) = (asked_ms.saturating_sub(slack), answered_ms.saturating_add(slack));
        match (least..=most).contains(&self.made_ms) {
            true => Ok(()),
            false => Err(Error::Skew { authority_ms: self.made_ms, from_ms: asked_ms, until_ms: answered_ms, skew_ms }),
        }
    }

    /// The certificate that it brings and whose key did sign it, in DER. Whose that is, nobody has said yet.
    pub fn signed_by(&self) -> Result<Vec<u8>> {
        let content = self.message.content().unwrap_or_default();
        let certificate = self.message.verify(0, |hash| Some(hash.digest(content)))?;
        self.check_reference(&certificate)?;
        Ok(certificate)
    }

    /// Proves that an authority made it, whose certificate was good when it was made and still at `at_ms`. Until then the
    /// key counts as nobody else's.
    pub fn prove(&self, anchors: &Anchors, at_ms: u64) -> Result<Timestamped> {
        let certificate = self.signed_by()?;
        let others = self.message.certificates_but(&certificate);
        path::prove(&certificate, &others, anchors, self.made_ms, Purpose::Timestamping)?;
        let authority = path::prove(&certificate, &others, anchors, at_ms.max(self.made_ms), Purpose::Timestamping)?;
        let serial = self.info.serial.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Timestamped {
            made_ms: self.made_ms,
            accuracy_ms: self.accuracy_ms,
            hash: self.hash,
            policy: self.info.policy.to_string(),
            serial,
            authority,
        })
    }

    /// The token must name its certificate by digest (RFC 3161, RFC 5816), so that none with the same key takes its place.
    fn check_reference(&self, certificate: &[u8]) -> Result<()> {
        let malformed = |error: der::Error| form(WHAT, error);
        let named = if let Some(bytes) = self.message.attribute(0, SIGNING_CERTIFICATE_V2)? {
            let reference = SigningCertificateV2::from_der(&bytes).map_err(malformed)?;
            let first = reference.certificates.first().ok_or_else(|| form(WHAT, "it names no certificate"))?;
            let hash =
                first.algorithm.as_ref().map_or(Ok(HashName::Sha256), |named| HashName::of("a reference", named.oid));
            hash?.digest(certificate) == first.digest.as_bytes()
        } else if let Some(bytes) = self.message.attribute(0, SIGNING_CERTIFICATE)? {
            let reference = SigningCertificate::from_der(&bytes).map_err(malformed)?;
            let first = reference.certificates.first().ok_or_else(|| form(WHAT, "it names no certificate"))?;
            Sha1::digest(certificate).as_slice() == first.digest.as_bytes()
        } else {
            return Err(form(WHAT, "it does not name its certificate"));
        };
        match named {
            true => Ok(()),
            false => Err(Error::Path {
                signer: fingerprint(certificate),
                why: "the timestamp names another certificate".to_owned(),
            }),
        }
    }
}

/// Judges tokens, oldest first, each with what it covers. Each must have been good when the next one was made, the last one
/// at `now_ms`.
pub fn judge(tokens: &[(Token, &[u8])], anchors: &Anchors, now_ms: u64) -> Result<Vec<Timestamped>> {
    let mut proved = Vec::with_capacity(tokens.len());
    for (number, (token, content)) in tokens.iter().enumerate() {
        let until_ms = tokens.get(number + 1).map_or(now_ms, |(next, _)| next.made_ms);
        if until_ms < token.made_ms {
            let (made, until) = (token.made_ms, until_ms);
            return Err(form(WHAT, format!("it was made at {made}, and what follows it at {until}, which is earlier")));
        }
        token.covers(content)?;
        proved.push(token.prove(anchors, until_ms)?);
    }
    Ok(proved)
}

/// A nonce as DER has it: without leading zeros.
fn stripped(nonce: &[u8]) -> &[u8] {
    let zeros = nonce.iter().take_while(|byte| **byte == 0).count();
    nonce.get(zeros.min(nonce.len().saturating_sub(1))..).unwrap_or_default()
}

/// A GeneralizedTime in milliseconds since 1970, with the fractions that RFC 3161 allows and DER libraries do not.
fn generalized_ms(time: &Any) -> Result<u64> {
    let malformed = || form(WHAT, "its time is not YYYYMMDDhhmmss[.f]Z");
    let text = std::str::from_utf8(time.value()).map_err(|_| malformed())?;
    let text = text.strip_suffix('Z').ok_or_else(malformed)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = whole.len() == 14 && [whole, fraction].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if time.tag() != der::Tag::GeneralizedTime || !all_digits || fraction.is_empty() || fraction.len() > 9 {
        return Err(malformed());
    }
    let number = |from: usize, to: usize| whole[from..to].parse::<u16>().unwrap_or(0);
    let byte = |from: usize| u8::try_from(number(from, from + 2)).unwrap_or(0);
    let date =
        der::DateTime::new(number(0, 4), byte(4), byte(6), byte(8), byte(10), byte(12)).map_err(|_| malformed())?;
    let thousandths: u64 = format!("{fraction:0<3}")[..3].parse().unwrap_or(0);
    Ok(path::millis(date.unix_duration()).saturating_add(thousandths))
}
