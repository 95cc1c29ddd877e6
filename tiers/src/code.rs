//! A code: how many data and parity shards a segment has, and so how many losses it survives.

use crate::{Error, Result};

/// k data shards and m parity shards; any m of them may be lost. With k = 1 the parity shards are copies, if there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code {
    k: u8,
    m: u8,
}

impl Code {
    /// Every code that a vault can be configured to write.
    pub const ALLOWED: [Code; 6] = [
        Code { k: 4, m: 2 },
        Code { k: 6, m: 3 },
        Code { k: 8, m: 3 },
        Code { k: 10, m: 4 },
        Code { k: 1, m: 1 },
        Code { k: 1, m: 2 },
    ];

    /// One data shard and nothing else: what packages that are handed over hold. No vault can be configured to write it.
    pub const PACKAGE: Code = Code { k: 1, m: 0 };

    /// The code with `k` data and `m` parity shards, if it is allowed on media.
    pub fn new(k: u8, m: u8) -> Result<Self> {
        let code = Code { k, m };
        match Code::ALLOWED.contains(&code) || code == Code::PACKAGE {
            true => Ok(code),
            false => Err(not_allowed(code.to_string())),
        }
    }

    /// The code written as in a configuration: `4+2`.
    pub fn parse(text: &str) -> Result<Self> {
        let found = Code::ALLOWED.into_iter().find(|code| code.to_string() == text);
        found.ok_or_else(|| not_allowed(text.to_owned()))
    }

    /// Data shards.
    pub const fn k(self) -> usize {
        self.k as usize
    }

    /// Parity shards: losses it survives.
    pub const fn m(self) -> usize {
        self.m as usize
    }

    /// Shards of a segment.
    pub const fn shards(self) -> usize {
        self.k() + self.m()
    }

    /// Whether every shard is a copy.
    pub const fn is_mirror(self) -> bool {
        self.k == 1
    }

    /// `(k, m)` as they are on media and in receipts.
    pub const fn bytes(self) -> (u8, u8) {
        (self.k, self.m)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+{}", self.k, self.m)
    }
}

impl std::str::FromStr for Code {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Code::parse(text)
    }
}

fn not_allowed(found: String) -> Error {
    Error::Code { found, allowed: "4+2, 6+3, 8+3, 10+4, 1+1, 1+2" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::limits::{DATA_SHARDS_MAX, SHARDS_MAX};

    #[test]
    fn every_allowed_code_reads_back_from_its_text_and_is_within_limits() {
        for code in Code::ALLOWED {
            assert_eq!(Code::parse(&code.to_string()).unwrap(), code);
            assert!(code.k() <= DATA_SHARDS_MAX.into() && code.shards() <= SHARDS_MAX.into());
            assert!(not_allowed(String::new()).to_string().contains(&code.to_string()));
        }
    }

    #[test]
    fn other_codes_are_refused() {
        for text in ["", "4", "4+", "+2", "5+2", "04+2", "4 + 2", "4+2 ", "0+1", "1+0", "255+255"] {
            assert!(matches!(Code::parse(text), Err(Error::Code { .. })), "{text}");
        }
        assert!(Code::new(2, 1).is_err());
    }

    #[test]
    fn the_code_of_packages_is_read_and_cannot_be_configured() {
        assert_eq!(Code::new(1, 0).unwrap(), Code::PACKAGE);
        assert!(Code::parse(&Code::PACKAGE.to_string()).is_err());
        assert!(!Code::ALLOWED.contains(&Code::PACKAGE));
    }
}
