//! The checksums of S3: what a client declares, what the bytes give, what an answer says.
//!
//! Every byte is looked at once, while it streams in. MD5 is not computed here: the client library needs it for the
//! ETag and hands it over.
//!
//! Invariants
//! - A declared value is compared before anything is deposited; one that differs is `BadDigest`.
//! - The checksum of a multipart object is made from those of its parts; their bytes are not read again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::ChecksumType;
use s3s::{S3Result, TrailingHeaders, s3_error};
use shosoin_protocol::manifest::{Checksum, ChecksumAlgorithm};

/// Name in S3 and header of every algorithm.
const ALGORITHMS: [(ChecksumAlgorithm, &str, &str); 5] = [
    (ChecksumAlgorithm::Crc32, "CRC32", "x-amz-checksum-crc32"),
    (ChecksumAlgorithm::Crc32c, "CRC32C", "x-amz-checksum-crc32c"),
    (ChecksumAlgorithm::Crc64Nvme, "CRC64NVME", "x-amz-checksum-crc64nvme"),
    (ChecksumAlgorithm::Sha1, "SHA1", "x-amz-checksum-sha1"),
    (ChecksumAlgorithm::Sha256, "SHA256", "x-amz-checksum-sha256"),
];

/// The algorithm with this name.
pub(crate) fn algorithm(name: &str) -> S3Result<ChecksumAlgorithm> {
    let found = ALGORITHMS.iter().find(|row| row.1.eq_ignore_ascii_case(name));
    found.map(|row| row.0).ok_or_else(|| s3_error!(InvalidRequest, "Checksum algorithm provided is unsupported."))
}

/// Its name.
pub(crate) fn algorithm_name(algorithm: ChecksumAlgorithm) -> &'static str {
    ALGORITHMS.iter().find(|row| row.0 == algorithm).map_or("", |row| row.1)
}

/// The one checksum among the five fields that every S3 structure with checksums has, as `(algorithm, text)`.
macro_rules! declared_in {
    ($from:expr) => {
        $crate::checksum::only_one([
            $from.checksum_crc32.as_deref(),
            $from.checksum_crc32c.as_deref(),
            $from.checksum_crc64nvme.as_deref(),
            $from.checksum_sha1.as_deref(),
            $from.checksum_sha256.as_deref(),
        ])
    };
}
pub(crate) use declared_in;

/// Puts a checksum's text into the field of its algorithm.
macro_rules! answer_in {
    ($to:expr, $algorithm:expr, $text:expr) => {{
        use shosoin_protocol::manifest::ChecksumAlgorithm;
        let field = match $algorithm {
            ChecksumAlgorithm::Crc32 => &mut $to.checksum_crc32,
            ChecksumAlgorithm::Crc32c => &mut $to.checksum_crc32c,
            ChecksumAlgorithm::Crc64Nvme => &mut $to.checksum_crc64nvme,
            ChecksumAlgorithm::Sha1 => &mut $to.checksum_sha1,
            ChecksumAlgorithm::Sha256 => &mut $to.checksum_sha256,
        };
        *field = Some($text);
    }};
}
pub(crate) use answer_in;

/// See [`declared_in`]: fields in the order of the table.
pub(crate) fn only_one(fields: [Option<&str>; 5]) -> S3Result<Option<(ChecksumAlgorithm, String)>> {
    let mut given = ALGORITHMS.iter().zip(fields).filter_map(|(row, text)| Some((row.0, text?.to_owned())));
    match (given.next(), given.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(s3_error!(InvalidRequest, "Expecting a single x-amz-checksum- header.")),
    }
}

/// What a client said about the bytes it sends.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    /// `Content-MD5`
    md5: Option<[u8; 16]>,
    /// which checksum to compute
    algorithm: Option<ChecksumAlgorithm>,
    /// its value, if a header had it
    value: Option<String>,
}

impl Declared {
    /// From the headers of a request with a body: `Content-MD5`, the checksum header if there is one, else the
    /// algorithm that was named for the trailer.
    pub(crate) fn new(
        content_md5: Option<&str>,
        header: Option<(ChecksumAlgorithm, String)>,
        named: Option<&str>,
    ) -> S3Result<Self> {
        let md5 = content_md5.map(decode_md5).transpose()?;
        let named = named.map(algorithm).transpose()?;
        match (header, named) {
            (Some((from_header, _)), Some(named)) if from_header != named => {
                Err(s3_error!(InvalidRequest, "The checksum header is not of the checksum algorithm that is named."))
            }
            (Some((algorithm, value)), _) => Ok(Declared { md5, algorithm: Some(algorithm), value: Some(value) }),
            (None, algorithm) => Ok(Declared { md5, algorithm, value: None }),
        }
    }

    /// Which checksum the client works with.
    pub(crate) fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        self.algorithm
    }

    /// Computes `algorithm` where the client named none.
    pub(crate) fn or_algorithm(mut self, algorithm: Option<ChecksumAlgorithm>) -> Self {
        self.algorithm = self.algorithm.or(algorithm);
        self
    }

    /// The hasher to run beside the upload.
    pub(crate) fn hasher(&self) -> Option<Hasher> {
        self.algorithm.map(Hasher::new)
    }

    /// Compares what was declared, in headers or by now in the trailer, with what the bytes gave.
    pub(crate) fn check(
        &self,
        md5: &[u8; 16],
        computed: Option<&Checksum>,
        trailer: Option<&TrailingHeaders>,
    ) -> S3Result<()> {
        if self.md5.as_ref().is_some_and(|declared| declared != md5) {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
        let Some(computed) = computed else { return Ok(()) };
        let in_trailer = trailer.and_then(|trailer| trailer_value(trailer, computed.algorithm));
        match self.value.as_ref().or(in_trailer.as_ref()) {
            Some(declared) if *declared != BASE64.encode(&computed.value) => Err(s3_error!(
                BadDigest,
                "The {} you specified did not match the calculated checksum.",
                algorithm_name(computed.algorithm)
            )),
            _ => Ok(()),
        }
    }
}

fn decode_md5(text: &str) -> S3Result<[u8; 16]> {
    let bytes = BASE64.decode(text).ok();
    let fixed = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    fixed.ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid."))
}

fn trailer_value(trailer: &TrailingHeaders, algorithm: ChecksumAlgorithm) -> Option<String> {
    let header = ALGORITHMS.iter().find(|row| row.0 == algorithm)?.2;
    trailer.read(|headers| Some(headers.get(header)?.to_str().ok()?.to_owned()))?
}

/// One checksum over bytes that arrive in pieces.
pub(crate) enum Hasher {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    pub(crate) fn new(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Crc32 => Hasher::Crc32(Crc32::new()),
            ChecksumAlgorithm::Crc32c => Hasher::Crc32c(Crc32c::new()),
            ChecksumAlgorithm::Crc64Nvme => Hasher::Crc64Nvme(Crc64Nvme::new()),
            ChecksumAlgorithm::Sha1 => Hasher::Sha1(Sha1::new()),
            ChecksumAlgorithm::Sha256 => Hasher::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Crc32(hasher) => hasher.update(bytes),
            Hasher::Crc32c(hasher) => hasher.update(bytes),
            Hasher::Crc64Nvme(hasher) => hasher.update(bytes),
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Checksum {
        let (algorithm, value) = match self {
            Hasher::Crc32(hasher) => (ChecksumAlgorithm::Crc32, hasher.finalize().to_vec()),
            Hasher::Crc32c(hasher) => (ChecksumAlgorithm::Crc32c, hasher.finalize().to_vec()),
            Hasher::Crc64Nvme(hasher) => (ChecksumAlgorithm::Crc64Nvme, hasher.finalize().to_vec()),
            Hasher::Sha1(hasher) => (ChecksumAlgorithm::Sha1, hasher.finalize().to_vec()),
            Hasher::Sha256(hasher) => (ChecksumAlgorithm::Sha256, hasher.finalize().to_vec()),
        };
        Checksum { algorithm, full_object: true, value }
    }
}

/// Whether a multipart upload with this algorithm gets a checksum of the whole object or one of the checksums.
pub(crate) fn full_object(algorithm: ChecksumAlgorithm, asked: Option<&ChecksumType>) -> S3Result<bool> {
    let sha = matches!(algorithm, ChecksumAlgorithm::Sha1 | ChecksumAlgorithm::Sha256);
    match asked.map(ChecksumType::as_str) {
        None => Ok(algorithm == ChecksumAlgorithm::Crc64Nvme),
        Some(ChecksumType::FULL_OBJECT) if !sha => Ok(true),
        Some(ChecksumType::COMPOSITE) if algorithm != ChecksumAlgorithm::Crc64Nvme => Ok(false),
        Some(other) => Err(s3_error!(
            InvalidRequest,
            "The {other} checksum type cannot be used with the {} checksum algorithm.",
            algorithm_name(algorithm)
        )),
    }
}

/// The type as S3 names it.
pub(crate) fn type_of(full_object: bool) -> ChecksumType {
    ChecksumType::from_static(if full_object { ChecksumType::FULL_OBJECT } else { ChecksumType::COMPOSITE })
}

/// The checksum of an object from those of its parts, with their sizes.
pub(crate) fn combine(algorithm: ChecksumAlgorithm, full_object: bool, parts: &[(Checksum, u64)]) -> Checksum {
    match full_object {
        true => Checksum { algorithm, full_object, value: combine_crc(algorithm, parts) },
        false => {
            let mut hasher = Hasher::new(algorithm);
            parts.iter().for_each(|(checksum, _)| hasher.update(&checksum.value));
            Checksum { full_object, ..hasher.finish() }
        }
    }
}

fn combine_crc(algorithm: ChecksumAlgorithm, parts: &[(Checksum, u64)]) -> Vec<u8> {
    let crc = match algorithm {
        ChecksumAlgorithm::Crc32 => crc_fast::CrcAlgorithm::Crc32IsoHdlc,
        ChecksumAlgorithm::Crc32c => crc_fast::CrcAlgorithm::Crc32Iscsi,
        _ => crc_fast::CrcAlgorithm::Crc64Nvme,
    };
    let number = |checksum: &Checksum| checksum.value.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let all = parts.iter().fold(None, |all, (checksum, size_bytes)| match all {
        None => Some(number(checksum)),
        Some(before) => Some(crc_fast::checksum_combine(crc, before, number(checksum), *size_bytes)),
    });
    all.unwrap_or(0).to_be_bytes()[8 - algorithm.value_len()..].to_vec()
}

/// The text of a checksum: base64, and for one made of the checksums of parts also how many there were.
pub(crate) fn text(checksum: &Checksum, parts: usize) -> String {
    let value = BASE64.encode(&checksum.value);
    match checksum.full_object {
        true => value,
        false => format!("{value}-{parts}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn every_algorithm_gives_its_published_check_value() {
        let cases = [
            (ChecksumAlgorithm::Crc32, "cbf43926"),
            (ChecksumAlgorithm::Crc32c, "e3069283"),
            (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
            (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
            (ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
        ];
        for (algorithm, expected) in cases {
            let checksum = of(algorithm, b"123456789");
            assert_eq!(hex::encode(&checksum.value), expected, "{algorithm:?}");
            assert_eq!(checksum.value.len(), algorithm.value_len());
        }
    }

    #[test]
    fn a_wrong_declared_value_is_a_bad_digest() {
        let computed = of(ChecksumAlgorithm::Crc32, b"123456789");
        let declared = |text: &str| {
            Declared::new(None, Some((ChecksumAlgorithm::Crc32, text.into())), None).unwrap().check(
                &[0; 16],
                Some(&computed),
                None,
            )
        };
        assert!(declared("y/Q5Jg==").is_ok());
        for wrong in ["y/Q5Jw==", "bad", ""] {
            assert_eq!(declared(wrong).unwrap_err().code(), &s3s::S3ErrorCode::BadDigest, "{wrong}");
        }
    }

    #[test]
    fn content_md5_is_compared_and_must_be_sixteen_bytes_of_base64() {
        let declared = Declared::new(Some("1B2M2Y8AsgTpgAmY7PhCfg=="), None, None).unwrap();
        let empty: [u8; 16] = hex::decode("d41d8cd98f00b204e9800998ecf8427e").unwrap().try_into().unwrap();
        assert!(declared.check(&empty, None, None).is_ok());
        assert_eq!(declared.check(&[0; 16], None, None).unwrap_err().code(), &s3s::S3ErrorCode::BadDigest);
        for wrong in ["", "YWJyYWNhZGFicmE=", "not base64"] {
            assert_eq!(Declared::new(Some(wrong), None, None).unwrap_err().code(), &s3s::S3ErrorCode::InvalidDigest);
        }
    }

    #[test]
    fn two_checksum_headers_or_one_of_another_algorithm_are_refused() {
        assert!(only_one([Some("a"), None, Some("b"), None, None]).is_err());
        assert!(only_one([None; 5]).unwrap().is_none());
        assert!(Declared::new(None, Some((ChecksumAlgorithm::Crc32, "a".into())), Some("SHA256")).is_err());
        assert!(Declared::new(None, None, Some("MD4")).is_err());
    }

    #[test]
    fn types_follow_the_table_of_s3() {
        let full = ChecksumType::from_static(ChecksumType::FULL_OBJECT);
        let composite = ChecksumType::from_static(ChecksumType::COMPOSITE);
        assert!(full_object(ChecksumAlgorithm::Crc64Nvme, None).unwrap());
        assert!(!full_object(ChecksumAlgorithm::Crc32, None).unwrap());
        assert!(full_object(ChecksumAlgorithm::Crc32, Some(&full)).unwrap());
        assert!(full_object(ChecksumAlgorithm::Sha256, Some(&full)).is_err());
        assert!(full_object(ChecksumAlgorithm::Crc64Nvme, Some(&composite)).is_err());
    }

    #[test]
    fn a_composite_of_one_part_has_the_value_other_stores_give() {
        let part = of(ChecksumAlgorithm::Sha256, &[b'A'; 1024]);
        assert_eq!(BASE64.encode(&part.value), "arcu6553sHVAiX4MjW0j7I7vD4w6R+Gz9Ok0Q9lTa+0=");
        let whole = combine(ChecksumAlgorithm::Sha256, false, &[(part, 1024)]);
        assert_eq!(text(&whole, 1), "Ok6Cs5b96ux6+MWQkJO7UBT5sKPBeXBLwvj/hK89smg=-1");
    }

    proptest! {
        #[test]
        fn combined_parts_give_the_checksum_of_the_whole(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6),
            algorithm in prop::sample::select(vec![
                ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme,
            ]),
        ) {
            let pieces: Vec<_> = parts.iter().map(|part| (of(algorithm, part), part.len() as u64)).collect();
            prop_assert_eq!(combine(algorithm, true, &pieces).value, of(algorithm, &parts.concat()).value);
        }
    }
}
