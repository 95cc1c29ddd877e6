//! Which bytes of an object a read is about: all, a range, or one part.

use s3s::dto::Range as AskedRange;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use shosoin_protocol::manifest::ObjectFacts;
use std::ops::Range;

/// The bytes of one read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Span {
    /// all of them
    Whole {
        /// size of the object
        size_bytes: u64,
    },
    /// `Range`
    Range {
        /// the bytes that are there of those asked for
        bytes: Range<u64>,
    },
    /// `partNumber`
    Part {
        /// its bytes
        bytes: Range<u64>,
        /// its place among the parts, from 0
        index: usize,
        /// how many parts there are, for an object that was uploaded in parts
        parts: Option<usize>,
    },
}

impl Span {
    /// From what a request asks of an object.
    pub(crate) fn of(facts: &ObjectFacts, range: Option<AskedRange>, part_number: Option<i32>) -> S3Result<Self> {
        match (range, part_number) {
            (None, None) => Ok(Span::Whole { size_bytes: facts.size_bytes }),
            (Some(range), None) => of_range(range, facts.size_bytes),
            (None, Some(number)) => of_part(facts, number),
            (Some(_), Some(_)) => {
                Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber query parameter."))
            }
        }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Range<u64> {
        match self {
            Span::Whole { size_bytes } => 0..*size_bytes,
            Span::Range { bytes } | Span::Part { bytes, .. } => bytes.clone(),
        }
    }

    /// How many bytes.
    pub(crate) fn len(&self) -> u64 {
        let bytes = self.bytes();
        bytes.end - bytes.start
    }

    /// `Content-Range`; an answer that has one is partial. An empty part has no first byte to name.
    pub(crate) fn content_range(&self, size_bytes: u64) -> Option<String> {
        match self {
            Span::Range { bytes } | Span::Part { bytes, .. } if !bytes.is_empty() => {
                Some(format!("bytes {}-{}/{size_bytes}", bytes.start, bytes.end - 1))
            }
            _ => None,
        }
    }

    /// `x-amz-mp-parts-count`, for a read of one part.
    pub(crate) fn parts_count(&self) -> Option<i32> {
        match self {
            Span::Part { parts: Some(parts), .. } => Some(crate::list::count(*parts)),
            _ => None,
        }
    }
}

fn of_range(range: AskedRange, size_bytes: u64) -> S3Result<Span> {
    match range.check(size_bytes) {
        Ok(bytes) if !bytes.is_empty() => Ok(Span::Range { bytes }),
        _ => Err(not_satisfiable(size_bytes)),
    }
}

fn not_satisfiable(size_bytes: u64) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::InvalidRange, "The requested range is not satisfiable");
    let mut headers = http::HeaderMap::new();
    if let Ok(value) = http::HeaderValue::from_str(&format!("bytes */{size_bytes}")) {
        headers.insert(http::header::CONTENT_RANGE, value);
    }
    error.set_headers(headers);
    error
}

/// Parts are counted as they lie in the object: the n-th part, whatever number it was uploaded with.
fn of_part(facts: &ObjectFacts, number: i32) -> S3Result<Span> {
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let Some((index, part)) = index.and_then(|index| Some((index, facts.parts.get(index)?))) else {
        return Err(s3_error!(InvalidPart, "The requested part number is not satisfiable."));
    };
    let start: u64 = facts.parts[..index].iter().map(|part| part.size_bytes).sum();
    let parts = facts.multipart.then_some(facts.parts.len());
    Ok(Span::Part { bytes: start..start + part.size_bytes, index, parts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::Digest;
    use shosoin_protocol::manifest::PartFact;

    fn facts(parts: &[u64]) -> ObjectFacts {
        let part = |(index, size): (usize, &u64)| PartFact {
            number: u16::try_from(index * 10 + 5).unwrap(),
            size_bytes: *size,
            md5: [0; 16],
            plain_digest: Digest([0; 32]),
            checksum: None,
        };
        ObjectFacts {
            bucket: "b".into(),
            name: "n".into(),
            size_bytes: parts.iter().sum(),
            modified_ms: 0,
            null_version: true,
            multipart: parts.len() > 1,
            headers: Vec::new(),
            metadata: Vec::new(),
            tags: Vec::new(),
            checksum: None,
            parts: parts.iter().enumerate().map(part).collect(),
            signature: None,
        }
    }

    fn range(text: &str, size: u64) -> S3Result<Span> {
        Span::of(&facts(&[size]), Some(AskedRange::parse(text).unwrap()), None)
    }

    #[test]
    fn ranges_are_cut_to_the_object() {
        assert_eq!(range("bytes=4-6", 11).unwrap().bytes(), 4..7);
        assert_eq!(range("bytes=4-", 11).unwrap().bytes(), 4..11);
        assert_eq!(range("bytes=4-99", 11).unwrap().bytes(), 4..11);
        assert_eq!(range("bytes=-7", 11).unwrap().bytes(), 4..11);
        assert_eq!(range("bytes=-99", 11).unwrap().bytes(), 0..11);
        assert_eq!(range("bytes=4-6", 11).unwrap().content_range(11).unwrap(), "bytes 4-6/11");
    }

    #[test]
    fn a_range_outside_the_object_cannot_be_satisfied() {
        for (text, size) in [("bytes=40-50", 5), ("bytes=5-", 5), ("bytes=-0", 5), ("bytes=0-0", 0), ("bytes=-1", 0)] {
            let error = range(text, size).unwrap_err();
            assert_eq!(error.code(), &S3ErrorCode::InvalidRange, "{text} of {size}");
            assert_eq!(error.headers().unwrap()["content-range"], format!("bytes */{size}"));
        }
    }

    #[test]
    fn a_part_is_found_by_its_place() {
        let facts = facts(&[5, 7, 3]);
        let span = Span::of(&facts, None, Some(2)).unwrap();
        assert_eq!((span.bytes(), span.parts_count()), (5..12, Some(3)));
        for wrong in [0, -1, 4] {
            assert_eq!(Span::of(&facts, None, Some(wrong)).unwrap_err().code(), &S3ErrorCode::InvalidPart);
        }
    }

    #[test]
    fn an_object_of_one_piece_has_one_part_and_no_count() {
        let span = Span::of(&facts(&[9]), None, Some(1)).unwrap();
        assert_eq!((span.bytes(), span.parts_count()), (0..9, None));
        let empty = Span::of(&facts(&[0]), None, Some(1)).unwrap();
        assert_eq!((empty.len(), empty.content_range(0)), (0, None));
    }

    #[test]
    fn a_range_and_a_part_at_once_are_refused() {
        assert!(Span::of(&facts(&[9]), Some(AskedRange::parse("bytes=0-1").unwrap()), Some(1)).is_err());
    }
}
