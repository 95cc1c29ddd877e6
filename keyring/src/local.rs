//! Small files that the hospital's side keeps for itself: upload state, secret keys of S3 users.
//!
//! ```text
//! "shlc" | version:u8 | suite:u8 | 0:u16 | hospital:16 | salt:32 | commitment:32 | AES-256-GCM(bytes) | tag:16
//! ```
//!
//! The label that a file was sealed with is part of its key, so one kind of file never stands in for another.

use crate::seal::{self, Aead, AwsLc};
use crate::secret;
use crate::{Error, Keyring, Result, derive};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{HospitalId, Suite};

const WHAT: &str = "local file";
const MAGIC: [u8; 4] = *b"shlc";
const VERSION: u8 = 1;
/// Everything before the sealed bytes.
const AAD_LEN: usize = 88;

impl Keyring {
    /// Seals `bytes` as a file of the kind called `label`.
    pub fn seal_local(&self, label: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        self.seal_local_as::<AwsLc>(label, &secret::random()?, bytes)
    }

    /// Opens what [`seal_local`](Self::seal_local) made with the same label.
    pub fn open_local(&self, label: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        self.open_local_as::<AwsLc>(label, bytes)
    }

    pub(crate) fn seal_local_as<A: Aead>(&self, label: &str, salt: &[u8; 32], bytes: &[u8]) -> Result<Vec<u8>> {
        let secret = derive::local_file(self.local_key(), salt, label);
        let mut aad = Writer::with_capacity(AAD_LEN);
        aad.put(&MAGIC).u8(VERSION).u8(self.suite().code()).zeros(2).put(&self.hospital().0);
        aad.put(salt).put(&derive::commitment(&secret));
        seal::seal_after::<A>(&secret, &aad.finish(), bytes, &[])
    }

    pub(crate) fn open_local_as<A: Aead>(&self, label: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        let raw = RawLocal::read(bytes).map_err(Error::form(WHAT))?;
        if raw.suite != self.suite() || raw.hospital != self.hospital() {
            return Err(Error::misplaced(WHAT, "it is of another hospital or suite"));
        }
        let secret = derive::local_file(self.local_key(), &raw.salt, label);
        seal::check_commitment(WHAT, &secret, &raw.commit)?;
        let mut opened = Vec::new();
        seal::open_after::<A>(WHAT, &secret, &bytes[..AAD_LEN], raw.sealed, &mut opened)?;
        Ok(opened)
    }
}

struct RawLocal<'a> {
    suite: Suite,
    hospital: HospitalId,
    salt: [u8; 32],
    commit: [u8; 32],
    sealed: &'a [u8],
}

impl<'a> RawLocal<'a> {
    fn read(bytes: &'a [u8]) -> shosoin_protocol::Result<Self> {
        let mut reader = Reader::new(bytes, WHAT);
        if reader.array::<4>("magic")? != MAGIC {
            return Err(shosoin_protocol::Error::Magic { what: WHAT });
        }
        match reader.u8("version")? {
            VERSION => {}
            found => return Err(shosoin_protocol::Error::Version { what: WHAT, found, known: VERSION }),
        }
        let suite = Suite::try_from(reader.u8("suite")?)?;
        reader.zeros(2, "reserved bytes")?;
        Ok(RawLocal {
            suite,
            hospital: HospitalId::read(&mut reader)?,
            salt: reader.array("salt")?,
            commit: reader.array("key commitment")?,
            sealed: reader.rest(),
        })
    }
}
