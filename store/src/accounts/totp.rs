//! The second factor: one-time codes of a time step, as authenticator apps and hardware tokens show them (7.6.14-LOGON-S5).
//!
//! Invariants
//! - A code is used once: the step of the last one that was taken is remembered, and none up to it is taken again.
//! - A factor counts only after its first code has been proved.
//!
//! HMAC-SHA-1 is what every app and token computes (RFC 6238, 1.2); collisions of SHA-1 do not touch HMAC. SHA-256 is there for
//! who wants algorithms of the e-Government list alone.
//! Source: RFC 6238, RFC 4226.

use super::moment::Moment;
use crate::audit::vocabulary::vocabulary;
use crate::error::{Error, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{Error as FormatError, Result as FormatResult};
use shosoin_tiers::Random;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Seconds that a code is for.
pub const STEP_SECONDS: u64 = 30;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// Steps before and after now whose codes are taken: clocks of phones differ.
const STEPS_BESIDE: u64 = 1;
/// Bytes of a secret: a whole output of SHA-1, or of SHA-256.
const SECRET_BYTES_MAX: usize = 32;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

vocabulary! {
    /// How codes are computed.
    TotpHash: u8, "hash of the second factor" {
        /// what every app and token computes
        Sha1 = 1 "sha1",
        /// of the e-Government list; fewer apps compute it
        Sha256 = 2 "sha256",
    }
}

/// A secret shared with an app or token.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactor {
    hash: TotpHash,
    secret: Zeroizing<Vec<u8>>,
    /// a code of it was seen
    proved: bool,
    /// step of the last code that was taken
    last_step: u64,
}

impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecondFactor({}, proved {})", self.hash, self.proved)
    }
}

impl SecondFactor {
    /// A new secret, not proved yet.
    pub fn draw(hash: TotpHash, random: &dyn Random) -> Result<Self> {
        let len = match hash {
            TotpHash::Sha1 => 20,
            TotpHash::Sha256 => 32,
        };
        let mut secret = Zeroizing::new(vec![0; len]);
        random.fill(&mut secret)?;
        Ok(SecondFactor { hash, secret, proved: false, last_step: 0 })
    }

    /// Whether a code of it was seen.
    pub fn is_proved(&self) -> bool {
        self.proved
    }

    /// Takes a code of now, once. `false` for a wrong one and for one that was taken before, or is older.
    pub fn take(&mut self, code: &str, moment: &Moment) -> bool {
        let now = moment.ms() / 1000 / STEP_SECONDS;
        let steps = now.saturating_sub(STEPS_BESIDE)..=now.saturating_add(STEPS_BESIDE);
        let mut taken = None;
        for step in steps {
            let same = self.code(step).as_bytes().ct_eq(code.as_bytes());
            if bool::from(same) && step > self.last_step {
                taken = Some(step);
            }
        }
        if let Some(step) = taken {
            (self.last_step, self.proved) = (step, true);
        }
        taken.is_some()
    }

    /// The code of a step.
    pub fn code(&self, step: u64) -> Zeroizing<String> {
        let counter = step.to_be_bytes();
        let mac = match self.hash {
            TotpHash::Sha1 => mac::<Hmac<Sha1>>(&self.secret, &counter),
            TotpHash::Sha256 => mac::<Hmac<Sha256>>(&self.secret, &counter),
        };
        let at = usize::from(mac.last().copied().unwrap_or(0) & 0x0f);
        let mut four = [0; 4];
        four.copy_from_slice(mac.get(at..at + 4).unwrap_or(&[0; 4]));
        let number = (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000;
        Zeroizing::new(format!("{number:06}"))
    }

    /// What an app scans: the `otpauth` URI of Key URI Format.
    pub fn uri(&self, vault: &str, account: &str) -> Zeroizing<String> {
        let secret = base32(&self.secret);
        let hash = match self.hash {
            TotpHash::Sha1 => "SHA1",
            TotpHash::Sha256 => "SHA256",
        };
        let (secret, label) = (secret.as_str(), format!("shosoin%20{vault}:{account}"));
        let rest = format!("issuer=shosoin%20{vault}&algorithm={hash}&digits={DIGITS}&period={STEP_SECONDS}");
        Zeroizing::new(format!("otpauth://totp/{label}?secret={secret}&{rest}"))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.hash.code()).u8(self.proved.into()).u64(self.last_step).var(&self.secret);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> FormatResult<Self> {
        let hash = TotpHash::from_code(reader.u8("hash of the second factor")?)?;
        let proved = match reader.u8("whether it is proved")? {
            0 => false,
            1 => true,
            _ => return Err(FormatError::Invalid { what: "second factor", why: "proved is 0 or 1" }),
        };
        let last_step = reader.u64("last step")?;
        let secret = Zeroizing::new(reader.var(SECRET_BYTES_MAX, "secret of the second factor")?.to_vec());
        match secret.len() >= 16 {
            true => Ok(SecondFactor { hash, secret, proved, last_step }),
            false => Err(FormatError::Invalid { what: "second factor", why: "its secret is below 16 bytes" }),
        }
    }
}

fn mac<M: Mac + KeyInit>(secret: &[u8], counter: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(secret) else { return Vec::new() };
    mac.update(counter);
    mac.finalize().into_bytes().to_vec()
}

/// RFC 4648 without padding, as the URI wants it.
fn base32(bytes: &[u8]) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::new());
    for five in bytes.chunks(5) {
        let mut block = [0u8; 8];
        block[3..3 + five.len()].copy_from_slice(five);
        let bits = u64::from_be_bytes(block);
        let digits = (five.len() * 8).div_ceil(5);
        for digit in 0..digits {
            out.push(char::from(BASE32[usize::try_from(bits >> (35 - 5 * digit) & 31).unwrap_or(0)]));
        }
    }
    out
}

/// A code as people type it: spaces are left out. Refuses what is no code.
pub fn parse_code(text: &str) -> Result<String> {
    let code: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    match code.len() == DIGITS && code.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(code),
        false => Err(Error::Argument { what: "code", why: "it has six digits".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_tiers::SystemRandom;

    fn factor(hash: TotpHash, secret: &[u8]) -> SecondFactor {
        SecondFactor { hash, secret: Zeroizing::new(secret.to_vec()), proved: false, last_step: 0 }
    }

    /// RFC 6238, appendix B, of which an app shows the last six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let sha1 = factor(TotpHash::Sha1, b"12345678901234567890");
        let sha256 = factor(TotpHash::Sha256, b"12345678901234567890123456789012");
        let cases = [
            (59, "287082", "119246"),
            (1_111_111_109, "081804", "084774"),
            (1_234_567_890, "005924", "819424"),
            (2_000_000_000, "279037", "698825"),
            (20_000_000_000, "353130", "737706"),
        ];
        for (seconds, one, other) in cases {
            let step = seconds / STEP_SECONDS;
            assert_eq!((sha1.code(step).as_str(), sha256.code(step).as_str()), (one, other), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_taken_once_and_never_after_a_later_one_7_6_14_logon_s5() {
        let mut factor = SecondFactor::draw(TotpHash::Sha1, &SystemRandom).unwrap();
        let step = 60_000_000;
        let at = |step: u64| Moment::at(step * STEP_SECONDS * 1000);
        let code = factor.code(step);
        assert!(!factor.take("000000x", &at(step)) && !factor.is_proved());
        assert!(factor.take(&code, &at(step)) && factor.is_proved());
        assert!(!factor.take(&code, &at(step)), "the same code again");
        let next = factor.code(step + 1);
        assert!(factor.take(&next, &at(step)), "a phone that is half a minute ahead");
        assert!(!factor.take(&code, &at(step + 1)), "one from before");
        let old = factor.code(step - 5);
        assert!(!factor.take(&old, &at(step - 5)), "a clock that went back makes no old code good");
    }

    #[test]
    fn the_uri_is_what_apps_scan() {
        let factor = factor(TotpHash::Sha1, b"Hello!\xDE\xAD\xBE\xEFabcdef");
        let uri = factor.uri("7a7a", "hanako");
        let start = "otpauth://totp/shosoin%207a7a:hanako?secret=JBSWY3DPEHPK3PXPMFRGGZDFMY&issuer=";
        assert!(uri.starts_with(start), "{}", uri.as_str());
        assert!(uri.ends_with("&algorithm=SHA1&digits=6&period=30"));
    }

    #[test]
    fn a_code_may_be_typed_in_two_halves() {
        assert_eq!(parse_code(" 123 456\n").unwrap(), "123456");
        assert!(parse_code("12345").is_err() && parse_code("12345a").is_err());
    }
}
