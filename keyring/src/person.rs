//! A person's key, under a passphrase of theirs: with it they ask for disposals and agree to them. Bytes in, bytes out.
//!
//! ```text
//! header = "shpk" | version:u8 | suite:u8 | 0:u16 | memory_kib:u32 | passes:u32 | lanes:u32 | salt:32
//! file   = header | commitment:32 | AES-256-GCM(seed:32) | tag:16 | SHA-256 of everything before:32
//! ```
//!
//! Invariants
//! - It opens nothing of a hospital's: it signs, and does nothing else.
//! - As for the [key file](crate::keyfile): a damaged file is never taken for a wrong passphrase, and a hostile one cannot exhaust
//!   the machine.

use crate::keyfile::Argon2Params;
use crate::seal::{self, AwsLc};
use crate::secret::{self, SecretKey};
use crate::{Error, Result, derive};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, Suite};
use zeroize::Zeroizing;

const MAGIC: [u8; 4] = *b"shpk";
const VERSION: u8 = 1;
const HEADER_LEN: usize = 52;
const AAD_LEN: usize = HEADER_LEN + 32;

/// A new key, and the bytes of its file under `passphrase`.
pub fn generate(suite: Suite, passphrase: &[u8], params: Argon2Params) -> Result<(SigningKey, Vec<u8>)> {
    loop {
        let seed = Zeroizing::new(secret::random()?);
        // one draw in four billion is no scalar of P-256
        if let Ok(key) = SigningKey::from_seed(suite, &seed) {
            return seal(suite, &seed, passphrase, params, &secret::random()?).map(|file| (key, file));
        }
    }
}

pub(crate) fn seal(
    suite: Suite,
    seed: &Zeroizing<[u8; 32]>,
    passphrase: &[u8],
    params: Argon2Params,
    salt: &[u8; 32],
) -> Result<Vec<u8>> {
    if passphrase.is_empty() {
        return Err(Error::EmptyPassphrase);
    }
    let params = params.check()?;
    let secret: SecretKey = params.stretch(passphrase, salt, None)?;
    let mut aad = Writer::with_capacity(AAD_LEN);
    aad.put(&MAGIC).u8(VERSION).u8(suite.code()).zeros(2);
    aad.u32(params.memory_kib).u32(params.passes).u32(params.lanes).put(salt).put(&derive::commitment(&secret));
    let mut file = seal::seal_after::<AwsLc>(&secret, &aad.finish(), &seed[..], &[])?;
    let digest = sha256(&[&file]);
    file.extend_from_slice(&digest.0);
    Ok(file)
}

/// Opens the bytes of a person's key file.
pub fn open(bytes: &[u8], passphrase: &[u8]) -> Result<SigningKey> {
    let damaged = |why| Error::DamagedKeyFile { why };
    match bytes {
        [a, b, c, d, VERSION, ..] if [*a, *b, *c, *d] == MAGIC => {}
        [a, b, c, d, found, ..] if [*a, *b, *c, *d] == MAGIC => {
            return Err(Error::NewerKeyFile { found: *found, known: VERSION });
        }
        _ => return Err(Error::ForeignKeyFile),
    }
    let (file, digest) =
        bytes.split_last_chunk::<{ Digest::LEN }>().ok_or(damaged("its digest does not match its bytes"))?;
    if sha256(&[file]).0 != *digest || file.len() < AAD_LEN {
        return Err(damaged("its digest does not match its bytes"));
    }
    let mut reader = Reader::new(file, "key file of a person");
    let fields = |reader: &mut Reader<'_>| {
        reader.take(MAGIC.len() + 1, "magic and version")?;
        let suite = Suite::try_from(reader.u8("suite")?)?;
        reader.zeros(2, "reserved bytes")?;
        let (memory_kib, passes, lanes) = (reader.u32("memory")?, reader.u32("passes")?, reader.u32("lanes")?);
        let salt = reader.array::<32>("salt")?;
        let commit = reader.array::<32>("key commitment")?;
        Ok::<_, shosoin_protocol::Error>((suite, Argon2Params { memory_kib, passes, lanes }, salt, commit))
    };
    let (suite, params, salt, commit) =
        fields(&mut reader).map_err(|_| damaged("a field of its header is not valid"))?;
    let secret = params.check()?.stretch(passphrase, &salt, None)?;
    seal::check_commitment("key file", &secret, &commit).map_err(|_| Error::WrongPassphrase)?;
    let mut body = Zeroizing::new(Vec::new());
    seal::open_after::<AwsLc>("key file", &secret, &file[..AAD_LEN], reader.rest(), &mut body)
        .map_err(|_| damaged("its sealed part does not verify"))?;
    let seed: [u8; 32] = body[..].try_into().map_err(|_| damaged("its content does not have the form it must have"))?;
    SigningKey::from_seed(suite, &Zeroizing::new(seed)).map_err(|_| damaged("its seed is no key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Argon2Params = Argon2Params { memory_kib: 8, passes: 1, lanes: 1 };

    #[test]
    fn a_person_s_key_opens_with_its_passphrase_alone_and_no_byte_of_its_file_may_be_another() {
        for suite in Suite::ALL {
            let (key, file) = generate(suite, b"a passphrase", QUICK).unwrap();
            assert_eq!(open(&file, b"a passphrase").unwrap().public(), key.public());
            assert!(matches!(open(&file, b"another"), Err(Error::WrongPassphrase)));
            for at in 0..file.len() {
                let mut flipped = file.clone();
                flipped[at] ^= 1;
                assert!(open(&flipped, b"a passphrase").is_err(), "byte {at}");
            }
            assert!(matches!(open(b"shky", b"x"), Err(Error::ForeignKeyFile)));
        }
        assert!(matches!(generate(Suite::Default, b"", QUICK), Err(Error::EmptyPassphrase)));
    }
}
