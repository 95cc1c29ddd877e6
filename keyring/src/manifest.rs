//! Manifest pages, under the data key of their version. What a page says is `protocol::manifest`'s business.
//!
//! Each sealing draws a salt, so a page that is sealed twice under one data key never repeats a key.

use crate::seal::{Aead, AwsLc};
use crate::secret;
use crate::wrap::DataKey;
use crate::{Error, Keyring, Result, derive};
use shosoin_protocol::VersionId;
use shosoin_protocol::envelope::Context;

const WHAT: &str = "manifest page";

impl Keyring {
    /// Seals page `page` of `pages` (0 is the root) of the manifest of `version`.
    pub fn seal_manifest_page(
        &self,
        key: &DataKey,
        version: VersionId,
        page: u32,
        pages: u32,
        plain: &[u8],
    ) -> Result<Vec<u8>> {
        let context = Context::Manifest { version, page, pages, salt: secret::random()? };
        self.seal_manifest_page_as::<AwsLc>(key, context, plain)
    }

    /// Opens a page; one of another version, or from another place in the manifest, is refused.
    pub fn open_manifest_page(
        &self,
        key: &DataKey,
        version: VersionId,
        page: u32,
        pages: u32,
        stored: &[u8],
    ) -> Result<Vec<u8>> {
        self.open_manifest_page_as::<AwsLc>(key, (version, page, pages), stored)
    }

    pub(crate) fn seal_manifest_page_as<A: Aead>(
        &self,
        key: &DataKey,
        context: Context,
        plain: &[u8],
    ) -> Result<Vec<u8>> {
        let Context::Manifest { version, page, pages, salt } = context else {
            return Err(Error::Bug { what: "manifest context" });
        };
        if page >= pages {
            return Err(Error::misplaced(WHAT, "its number must be below the page count"));
        }
        let secret = derive::manifest_page(key.secret(), &salt, version, page, pages);
        self.seal_padded::<A>(WHAT, context, &secret, plain)
    }

    pub(crate) fn open_manifest_page_as<A: Aead>(
        &self,
        key: &DataKey,
        expected: (VersionId, u32, u32),
        stored: &[u8],
    ) -> Result<Vec<u8>> {
        self.owner().open_manifest_page_as::<A>(key, expected, stored)
    }
}
