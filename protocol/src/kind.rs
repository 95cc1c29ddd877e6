//! What a failure means to whoever caused it: one table from kind to HTTP status, exit code and S3 code.

/// What the caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// There is no such thing.
    NotFound,
    /// A rule forbids it: retention, hold, policy, permission, an unmet condition.
    Refused,
    /// The caller is wrong; the same call will fail again.
    Invalid,
    /// The data is wrong, and no good copy could be made.
    Damaged,
    /// Try again later; nothing was changed.
    Unavailable,
    /// A newer format, or a feature this release does not have.
    Unsupported,
    /// An invariant of ours is broken.
    Bug,
}

impl ErrorKind {
    /// Every kind, in table order.
    pub const ALL: [ErrorKind; 7] = [
        ErrorKind::NotFound,
        ErrorKind::Refused,
        ErrorKind::Invalid,
        ErrorKind::Damaged,
        ErrorKind::Unavailable,
        ErrorKind::Unsupported,
        ErrorKind::Bug,
    ];

    /// `(name, HTTP status, exit code, S3 code)`.
    pub const fn row(self) -> (&'static str, u16, u8, &'static str) {
        match self {
            ErrorKind::NotFound => ("not-found", 404, 3, "NoSuchKey"),
            ErrorKind::Refused => ("refused", 403, 4, "AccessDenied"),
            ErrorKind::Invalid => ("invalid", 400, 2, "InvalidRequest"),
            ErrorKind::Damaged => ("damaged", 500, 5, "InternalError"),
            ErrorKind::Unavailable => ("unavailable", 503, 6, "ServiceUnavailable"),
            ErrorKind::Unsupported => ("unsupported", 501, 7, "NotImplemented"),
            ErrorKind::Bug => ("bug", 500, 70, "InternalError"),
        }
    }

    /// Name in JSON and logs.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// HTTP status of the vault API.
    pub const fn http_status(self) -> u16 {
        self.row().1
    }

    /// Exit code of the command line.
    pub const fn exit_code(self) -> u8 {
        self.row().2
    }

    /// S3 error code where nothing more exact is known.
    pub const fn s3_code(self) -> &'static str {
        self.row().3
    }

    /// The kind with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name_and_has_an_exit_code_of_its_own() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_name(kind.name()), Some(kind));
            assert_ne!(kind.exit_code(), 0);
            let same = ErrorKind::ALL.into_iter().filter(|other| other.exit_code() == kind.exit_code()).count();
            assert_eq!(same, 1, "{}", kind.name());
        }
        assert_eq!(ErrorKind::from_name("Not-Found"), None);
    }
}
