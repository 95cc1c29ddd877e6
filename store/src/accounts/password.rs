//! Passwords: Argon2id records, quality, history, the random first one.
//!
//! Invariants
//! - A record says its own cost, within bounds, so that costs can be raised without a new form.
//! - A password is compared in constant time, and takes as long for somebody who does not exist.
//!
//! Source: RFC 9106; guideline 7.6.14-PW-M2 to M7, S1, S2.

use super::id::AccountId;
use super::moment::Moment;
use crate::error::{Error, Result};
use argon2::{Algorithm, Argon2, Params, Version};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{Error as FormatError, Result as FormatResult};
use shosoin_tiers::Random;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Longest password, in bytes of UTF-8: a pass phrase, and no burden for the hash.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Earlier passwords that are kept, at most.
pub const HISTORY_MAX: usize = 24;

const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;
/// Letters and digits of a first password: none that reads like another.
const FIRST_LETTERS: &[u8; 16] = b"abcdefghjkmnpqrt";
const FIRST_DIGITS: &[u8; 8] = b"23456789";

/// What hashing costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// memory, in KiB
    pub memory_kib: u32,
    /// passes over it
    pub passes: u32,
    /// lanes
    pub lanes: u32,
}

impl Default for Cost {
    /// 64 MiB, three passes, one lane: the second choice of RFC 9106 with one lane.
    fn default() -> Self {
        Cost { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

/// A password that can be recognised and not given back.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordRecord {
    cost: Cost,
    salt: [u8; SALT_LEN],
    hash: [u8; HASH_LEN],
}

impl std::fmt::Debug for PasswordRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PasswordRecord({:?})", self.cost)
    }
}

impl PasswordRecord {
    /// The record of `password` under a fresh salt.
    pub fn of(password: &str, cost: Cost, random: &dyn Random) -> Result<Self> {
        let mut salt = [0; SALT_LEN];
        random.fill(&mut salt)?;
        Ok(PasswordRecord { cost, salt, hash: *stretch(password, cost, &salt)? })
    }

    /// What a try is held against where there is no password: nothing is equal to it.
    pub fn of_nobody(cost: Cost) -> Self {
        PasswordRecord { cost, salt: [0; SALT_LEN], hash: [0; HASH_LEN] }
    }

    /// Whether it is the password of `password`. Takes what the cost says, whatever the answer.
    pub fn is(&self, password: &str) -> Result<bool> {
        let stretched = stretch(password, self.cost, &self.salt)?;
        Ok(bool::from(stretched.as_slice().ct_eq(&self.hash)) && self.hash != [0; HASH_LEN])
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u32(self.cost.memory_kib).u32(self.cost.passes).u32(self.cost.lanes).put(&self.salt).put(&self.hash);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> FormatResult<Self> {
        let mut within = |what, most: u32| match reader.u32(what)? {
            found if (1..=most).contains(&found) => Ok(found),
            found => Err(FormatError::OverLimit { what, found: found.into(), limit: most.into() }),
        };
        let memory_kib = within("memory of a password record", MEMORY_KIB_MAX)?;
        let passes = within("passes of a password record", PASSES_MAX)?;
        let lanes = within("lanes of a password record", LANES_MAX)?;
        if memory_kib < 8 * lanes {
            return Err(FormatError::Invalid { what: "memory of a password record", why: "it is below 8 KiB a lane" });
        }
        let (salt, hash) = (reader.array("salt of a password")?, reader.array("hash of a password")?);
        Ok(PasswordRecord { cost: Cost { memory_kib, passes, lanes }, salt, hash })
    }
}

fn stretch(password: &str, cost: Cost, salt: &[u8]) -> Result<Zeroizing<[u8; HASH_LEN]>> {
    let bug = |_| Error::Bug("Argon2id refused its parameters");
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(HASH_LEN)).map_err(bug)?;
    let mut out = Zeroizing::new([0; HASH_LEN]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password.as_bytes(), salt, &mut out[..]).map_err(bug)?;
    Ok(out)
}

/// The password of an account and those before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Secrets {
    /// the password; none where it was never given
    pub current: Option<PasswordRecord>,
    /// it was drawn for the person, who must change it at once
    pub one_time: bool,
    /// since when, in milliseconds since 1970
    pub set_ms: u64,
    /// those before it, newest first
    pub history: Vec<PasswordRecord>,
}

impl Secrets {
    /// Takes a new password; remembers `generations` before it.
    pub fn set(&mut self, record: PasswordRecord, one_time: bool, moment: &Moment, generations: usize) {
        if let Some(before) = self.current.take().filter(|_| !self.one_time) {
            self.history.insert(0, before);
        }
        self.history.truncate(generations.min(HISTORY_MAX));
        *self = Secrets {
            current: Some(record),
            one_time,
            set_ms: moment.ms(),
            history: std::mem::take(&mut self.history),
        };
    }

    /// Whether `password` is the one in use or one that is remembered. Every one is tried.
    pub fn knows(&self, password: &str) -> Result<bool> {
        let mut known = false;
        for record in self.current.iter().chain(&self.history) {
            known |= record.is(password)?;
        }
        Ok(known)
    }
}

/// Refuses a password below the standard (7.6.14-PW-M7, S1, S2): length, a letter, a digit, a symbol, nothing of the id or
/// name in it, and no character four times in a row.
pub fn check_quality(password: &str, id: &AccountId, name: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::Argument { what: "password", why: why.to_owned() });
    if password.len() > PASSWORD_BYTES_MAX {
        return refuse("it is over 256 bytes long");
    }
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return refuse("it has fewer than 8 characters");
    }
    if password.chars().any(char::is_control) {
        return refuse("it has control characters");
    }
    let (letter, digit) = (password.chars().any(char::is_alphabetic), password.chars().any(char::is_numeric));
    if !letter || !digit || !password.chars().any(|c| !c.is_alphanumeric()) {
        return refuse("it needs a letter, a digit and a symbol");
    }
    let lower = password.to_lowercase();
    let parts = id.as_str().split(['.', '-', '_']).chain(name.split_whitespace()).map(str::to_lowercase);
    let own = parts.filter(|part| part.chars().count() >= 3).any(|part| lower.contains(&part));
    if own || lower.contains(id.as_str()) {
        return refuse("the id or the name is in it");
    }
    let chars: Vec<char> = lower.chars().collect();
    match chars.windows(4).any(|four| four.iter().all(|c| *c == four[0])) {
        true => refuse("a character stands four times in a row in it"),
        false => Ok(()),
    }
}

/// A random first password (7.6.14-PW-M6), of more than 70 bits, that meets the standard: four groups of letters and digits.
pub fn draw_first(random: &dyn Random) -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0u8; 20]);
    random.fill(&mut bytes[..])?;
    let mut out = Zeroizing::new(String::with_capacity(24));
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % 5 == 0 {
            out.push('-');
        }
        let letters = at % 5 != 4;
        out.push(match letters {
            true => char::from(FIRST_LETTERS[usize::from(byte % 16)]),
            false => char::from(FIRST_DIGITS[usize::from(byte % 8)]),
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_tiers::SystemRandom;

    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

    fn id() -> AccountId {
        "hanako.sato".parse().unwrap()
    }

    #[test]
    fn a_record_is_argon2id_with_its_own_salt_and_recognises_only_its_password_7_6_14_pw_m2() {
        let record = |password| PasswordRecord::of(password, CHEAP, &SystemRandom).unwrap();
        let (one, other) = (record("correct horse 7!"), record("correct horse 7!"));
        assert_ne!(one, other, "equal passwords do not look equal");
        assert!(one.is("correct horse 7!").unwrap() && !one.is("correct horse 7?").unwrap());
        assert!(!PasswordRecord::of_nobody(CHEAP).is("").unwrap());
        assert!(!format!("{one:?}").contains("hash"));
    }

    #[test]
    fn passwords_below_the_standard_are_refused_7_6_14_pw_m7_s1_s2() {
        let check = |password: &str| check_quality(password, &id(), "佐藤 花子");
        check("tr4ctor-blue").unwrap();
        check("青い空と7つの星!").unwrap();
        let long = "a1!".repeat(86);
        for bad in [
            "",
            "a1!",
            "abcdefg1",
            "abcdefg!",
            "1234567!",
            "Hanako-1999",
            "xSATO99!x",
            "aaaa-1234b",
            "tab\t12345!a",
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_first_password_meets_the_standard_and_is_never_drawn_twice_7_6_14_pw_m6() {
        let (one, other) = (draw_first(&SystemRandom).unwrap(), draw_first(&SystemRandom).unwrap());
        check_quality(&one, &"zz".parse().unwrap(), "").unwrap();
        assert_ne!(*one, *other);
        assert_eq!(one.len(), 23);
    }

    #[test]
    fn as_many_earlier_passwords_are_known_as_the_rule_says_and_first_ones_are_not_among_them_7_6_14_pw_m4() {
        let mut secrets = Secrets::default();
        for (no, password) in ["first one-time 1!", "one 1!", "two 2!", "three 3!", "four 4!"].into_iter().enumerate() {
            let record = PasswordRecord::of(password, CHEAP, &SystemRandom).unwrap();
            secrets.set(record, no == 0, &Moment::at(7), 2);
        }
        let known = ["four 4!", "three 3!", "two 2!", "one 1!", "first one-time 1!"];
        let known = known.map(|password| secrets.knows(password).unwrap());
        assert_eq!(known, [true, true, true, false, false]);
    }
}
