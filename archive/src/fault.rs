//! What a store's answer means to a person, and to the engine.
//!
//! Answers are read for their status and code and then dropped: their text can carry access keys, signed addresses and the
//! whole request, none of which belongs into an error or a log.

use object_store::client::{HttpError, HttpErrorKind};
use shosoin_tiers::Error;
use std::io;
use std::time::Duration;

/// Longest code of an answer that is repeated.
const CODE_BYTES_MAX: usize = 64;

/// Why a store did not do what it was asked; the source of an [`Error::Io`] or [`Error::VolumeAbsent`]. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Wrong, expired or withdrawn credentials, or ones that allow too little.
    #[error(
        "its store refused the credentials ({code}); put new ones where vault.toml or the environment has them, and check \
         that they allow listing, reading, writing and deleting under this prefix"
    )]
    CredentialsRefused {
        /// the store's word for it
        code: String,
    },
    /// The credentials could not be read here.
    #[error("{why}")]
    CredentialsUnusable {
        /// what is wrong with them
        why: String,
    },
    /// There is no such bucket.
    #[error(
        "its bucket is not there; if it was deleted, the volume is lost and its shards are rebuilt from the others"
    )]
    BucketGone,
    /// No answer in time.
    #[error("its store gave no answer within {limit:?}; look at the network and at the store, then try again")]
    Late {
        /// how long was waited
        limit: Duration,
    },
    /// No connection.
    #[error(
        "its store cannot be reached; look at the network, the name and the endpoint in vault.toml, then try again"
    )]
    Unreachable,
    /// Too many requests, or the store is overloaded.
    #[error("its store asks to slow down ({code}); the work is taken up again later, nothing needs to be done now")]
    Throttled {
        /// the store's word for it
        code: String,
    },
    /// The clocks differ, so signatures are refused.
    #[error("its store refused the time of this machine; set its clock right")]
    ClockSkew,
    /// What came back is not what was sent.
    #[error("what was read back is not what was sent ({why}); nothing relies on it, and the volume needs a look")]
    ReadBack {
        /// how it differs
        why: String,
    },
    /// Fewer or more bytes than were asked for.
    #[error("its store gave {found} bytes instead of {expected}")]
    WrongLength {
        /// bytes that were asked for
        expected: u64,
        /// bytes that came
        found: u64,
    },
    /// The object is another one than when it was opened.
    #[error("the object was replaced while it was open; somebody else writes to this prefix")]
    Replaced,
    /// The store's software lacks what a volume needs.
    #[error("its store cannot do this ({code}); a volume needs conditional puts, multipart uploads and ranged reads")]
    Unable {
        /// the store's word for it
        code: String,
    },
    /// No room, or a quota is used up.
    #[error("its store has no room left for us ({code})")]
    Full {
        /// the store's word for it
        code: String,
    },
    /// Anything else.
    #[error("its store answered {code}")]
    Other {
        /// status and the store's word for it
        code: String,
    },
}

/// How a request ended, if not well.
#[derive(Debug)]
pub enum Failure {
    /// The store, or the way to it, said so.
    Store(object_store::Error),
    /// Nobody said anything in time.
    Late {
        /// how long was waited
        limit: Duration,
    },
    /// We know better than the store.
    Fault(Fault),
    /// A task of ours ended before it answered.
    Abandoned,
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        Failure::Store(error)
    }
}

impl Failure {
    /// Whether the object is not there, as far as the answer says: a bucket that is gone can look the same.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Failure::Store(object_store::Error::NotFound { .. })) && self.fault() != Fault::BucketGone
    }

    /// Whether the object is there already.
    pub fn is_taken(&self) -> bool {
        use object_store::Error::{AlreadyExists, Precondition};
        matches!(self, Failure::Store(AlreadyExists { .. } | Precondition { .. }))
    }

    /// What it means.
    pub fn fault(&self) -> Fault {
        match self {
            Failure::Late { limit } => Fault::Late { limit: *limit },
            Failure::Fault(fault) => fault.clone(),
            Failure::Abandoned => Fault::Other { code: "nothing: the request was abandoned".into() },
            Failure::Store(error) => of_store(error),
        }
    }

    /// The error of the engine for `call` of `path` on the volume at `place`.
    pub fn error(&self, place: &str, path: &str, call: &'static str) -> Error {
        let (place, path) = (place.to_owned(), path.to_owned());
        if self.is_not_found() {
            return Error::NotFound { place, path };
        }
        match self.fault() {
            fault @ Fault::BucketGone => Error::VolumeAbsent { place, source: source(fault) },
            Fault::Full { .. } => Error::NoSpace { place, path, call },
            fault => Error::Io { place, path, call, source: source(fault) },
        }
    }

    /// The same where it keeps the volume from being opened at all.
    pub fn absent(&self, place: &str) -> Error {
        Error::VolumeAbsent { place: place.to_owned(), source: source(self.fault()) }
    }
}

fn source(fault: Fault) -> io::Error {
    use io::ErrorKind::*;
    let kind = match fault {
        Fault::CredentialsRefused { .. } | Fault::CredentialsUnusable { .. } | Fault::ClockSkew => PermissionDenied,
        Fault::BucketGone => NotFound,
        Fault::Late { .. } => TimedOut,
        Fault::Unreachable => ConnectionRefused,
        Fault::Throttled { .. } => ResourceBusy,
        Fault::ReadBack { .. } => InvalidData,
        Fault::WrongLength { .. } => UnexpectedEof,
        Fault::Unable { .. } => Unsupported,
        _ => Other,
    };
    io::Error::new(kind, fault)
}

fn of_store(error: &object_store::Error) -> Fault {
    use object_store::Error as Store;
    let answer = Answer::of(error);
    if let Some(fault) = answer.fault() {
        return fault;
    }
    match error {
        Store::Unauthenticated { source, .. } if source.is::<crate::Error>() => {
            Fault::CredentialsUnusable { why: source.to_string() }
        }
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            Fault::CredentialsRefused { code: answer.text() }
        }
        Store::NotSupported { .. } | Store::NotImplemented { .. } => Fault::Unable { code: answer.text() },
        Store::Precondition { .. } | Store::NotModified { .. } => Fault::Replaced,
        _ => Fault::Other { code: answer.text() },
    }
}

/// What can be told of an answer without repeating it.
#[derive(Debug, Default)]
struct Answer {
    status: Option<u16>,
    code: Option<String>,
    transport: Option<HttpErrorKind>,
}

impl Answer {
    fn of(error: &object_store::Error) -> Answer {
        let mut answer = Answer::default();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(http) = error.downcast_ref::<HttpError>() {
                answer.transport = Some(http.kind());
            }
            let text = error.to_string();
            answer.status = answer.status.or_else(|| status(&text));
            answer.code = answer.code.take().or_else(|| code(&text));
            cause = error.source();
        }
        answer
    }

    /// The fault where status, code or transport decide it.
    fn fault(&self) -> Option<Fault> {
        let code = self.code.as_deref().unwrap_or_default();
        Some(match (code, self.status, self.transport) {
            ("NoSuchBucket" | "ContainerNotFound", ..) => Fault::BucketGone,
            ("RequestTimeTooSkewed", ..) => Fault::ClockSkew,
            ("QuotaExceeded" | "InsufficientStorage" | "XMinioStorageFull", ..) | (_, Some(507), _) => {
                Fault::Full { code: self.text() }
            }
            ("SlowDown" | "Throttling" | "ThrottlingException" | "ServerBusy" | "TooManyRequests", ..)
            | (_, Some(429), _) => Fault::Throttled { code: self.text() },
            (
                "InvalidAccessKeyId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "TokenRefreshRequired"
                | "AccessDenied"
                | "AuthenticationFailed"
                | "AuthorizationHeaderMalformed",
                ..,
            )
            | (_, Some(401 | 403), _) => Fault::CredentialsRefused { code: self.text() },
            ("NotImplemented", ..) | (_, Some(501), _) => Fault::Unable { code: self.text() },
            (_, None, Some(HttpErrorKind::Timeout)) => Fault::Late { limit: crate::connect::REQUEST_MAX },
            (_, None, Some(HttpErrorKind::Connect | HttpErrorKind::Request | HttpErrorKind::Interrupted)) => {
                Fault::Unreachable
            }
            _ => return None,
        })
    }

    fn text(&self) -> String {
        match (&self.status, &self.code) {
            (Some(status), Some(code)) => format!("{status} {code}"),
            (Some(status), None) => status.to_string(),
            (None, Some(code)) => code.clone(),
            (None, None) => "in a way nobody here understands".into(),
        }
    }
}

/// The status of an answer, as `object_store` words it.
fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

/// The code of an answer in XML: letters and digits only.
fn code(text: &str) -> Option<String> {
    let (_, after) = text.split_once("<Code>")?;
    let (code, _) = after.split_once("</Code>")?;
    (code.len() <= CODE_BYTES_MAX && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::Error as Store;

    fn answered(text: &str) -> Failure {
        Failure::Store(Store::Generic { store: "S3", source: text.to_owned().into() })
    }

    #[test]
    fn every_answer_a_store_is_known_to_give_has_a_clear_meaning() {
        let refused = |code: &str| Fault::CredentialsRefused { code: code.into() };
        let cases = [
            (
                "non-2xx status code: 403 Forbidden: <Error><Code>InvalidAccessKeyId</Code>",
                refused("403 InvalidAccessKeyId"),
            ),
            ("non-2xx status code: 400 Bad Request: <Code>ExpiredToken</Code>", refused("400 ExpiredToken")),
            ("non-2xx status code: 401 Unauthorized: ", refused("401")),
            ("non-2xx status code: 404 Not Found: <Code>NoSuchBucket</Code>", Fault::BucketGone),
            ("status code: 503 x: <Code>SlowDown</Code>", Fault::Throttled { code: "503 SlowDown".into() }),
            ("status code: 429 Too Many Requests: ", Fault::Throttled { code: "429".into() }),
            ("status code: 403 x: <Code>RequestTimeTooSkewed</Code>", Fault::ClockSkew),
            ("status code: 501 x: <Code>NotImplemented</Code>", Fault::Unable { code: "501 NotImplemented".into() }),
            ("status code: 500 x: <Code>InternalError</Code>", Fault::Other { code: "500 InternalError".into() }),
        ];
        for (text, fault) in cases {
            assert_eq!(answered(text).fault(), fault, "{text}");
        }
        let full = answered("status code: 403 x: <Code>QuotaExceeded</Code>").error("p", "f", "write");
        assert!(matches!(full, Error::NoSpace { .. }));
    }

    #[test]
    fn the_text_of_an_answer_is_never_repeated() {
        let text =
            "status code: 403 Forbidden: <Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>hunter2</AWSAccessKeyId>";
        let error = answered(text).error("s3://b/p", "label", "read");
        let mut shown = format!("{error:?}");
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            shown += &error.to_string();
            cause = error.source();
        }
        assert!(shown.contains("SignatureDoesNotMatch") && !shown.contains("hunter2"), "{shown}");
        assert!(!format!("{:?}", answered("<Code>a b</Code>").fault()).contains("a b"));
    }

    #[test]
    fn what_is_missing_is_not_found_and_what_has_no_bucket_is_absent() {
        let missing = |body: &str| {
            let source = format!("status code: 404 Not Found: {body}").into();
            Failure::Store(Store::NotFound { path: "x".into(), source }).error("p", "f", "open")
        };
        assert!(matches!(missing("<Code>NoSuchKey</Code>"), Error::NotFound { .. }));
        assert!(matches!(missing("<Code>NoSuchBucket</Code>"), Error::VolumeAbsent { .. }));
    }
}
