//! Ids of people. One is given once: those of closed accounts stay taken for ever, so that a line of the audit log names one
//! person and nobody else (7.6.14-ID-M2, ID-M6).

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest id, in bytes.
pub const ID_BYTES_MAX: usize = 32;
/// Shortest id, in bytes.
const ID_BYTES_MIN: usize = 2;
/// Actors of the audit log that are no people, and names that several people share.
const TAKEN: [&str; 8] = ["vault", "unknown", "nobody", "operator", "admin", "root", "auditor", "keeper"];

/// Personal id of somebody who may run the vault: 2 to 32 of `a-z 0-9 . _ -`, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountId(String);

impl AccountId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: String| Err(Error::Argument { what: "account id", why });
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if !begins || !(ID_BYTES_MIN..=ID_BYTES_MAX).contains(&text.len()) || !text.bytes().all(plain) {
            return refuse("it has 2 to 32 of a-z, 0-9, '.', '_' and '-', and begins with a letter".into());
        }
        match TAKEN.contains(&text) {
            true => refuse(format!("{text} names no person")),
            false => Ok(AccountId(text.to_owned())),
        }
    }
}

impl TryFrom<String> for AccountId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<AccountId> for String {
    fn from(id: AccountId) -> String {
        id.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_plain_text_and_never_a_name_that_several_share_7_6_14_id_m3() {
        for good in ["hanako.sato", "op-7", "a1"] {
            assert_eq!(good.parse::<AccountId>().unwrap().to_string(), good);
        }
        let long = "a".repeat(33);
        for bad in ["", "a", "7op", "Hanako", "job:scrub", "a b", "山田", "root", "admin", "vault", long.as_str()] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }
}
