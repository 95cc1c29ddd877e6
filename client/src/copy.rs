//! Copies: sealed chunks are named again instead of being read, sealed and sent again, where the target allows it.
//!
//! Chunks may be shared with an object that takes part in dedup: equality shows there anyway. An object that does not
//! (a label above ordinary, a bucket without dedup) shares only with one that does not either.

use crate::hashing::Digests;
use crate::part::SealedPiece;
use crate::sealer::Recipe;
use crate::upload::ObjectWriter;
use crate::{Error, OpenObject, Part, PartContent, Result};
use futures::StreamExt as _;
use shosoin_protocol::manifest::{BucketFacts, PartFact};
use shosoin_protocol::policy::Label;
use std::ops::Range;

impl OpenObject {
    /// Its content as the parts of another object, so that the copy has the same ETag. No byte moves where chunks may
    /// be shared.
    pub async fn copy_parts(&self, bucket: &BucketFacts, label: Label) -> Result<Vec<Part>> {
        let recipe = Recipe::new(bucket, label)?;
        let mut parts = Vec::with_capacity(self.facts().parts.len());
        let mut begin = 0;
        for fact in &self.facts().parts {
            let range = begin..begin + fact.size_bytes;
            begin = range.end;
            let content = match self.may_share(recipe) {
                true => self.shared_content(&range, fact, recipe.class != 0)?,
                false => self.sealed_again(range, bucket, recipe).await?,
            };
            parts.push(Part { number: fact.number, content, checksum: fact.checksum.clone() });
        }
        if self.may_share(recipe) {
            self.account(&mut parts);
        }
        Ok(parts)
    }

    /// A range of its content as one part of another object. Where chunks may be shared and the range is made of whole
    /// ones, they are read to be hashed, but neither sealed nor sent again.
    pub async fn copy_range(&self, range: Range<u64>, bucket: &BucketFacts, label: Label) -> Result<PartContent> {
        if range.start > range.end || range.end > self.facts().size_bytes {
            return Err(Error::Invalid { what: "range", why: "it leaves the object" });
        }
        let recipe = Recipe::new(bucket, label)?;
        match self.may_share(recipe).then(|| self.whole_chunks(&range)).flatten() {
            Some(chunks) => self.hashed_again(chunks, recipe).await,
            None => self.sealed_again(range, bucket, recipe).await,
        }
    }

    fn may_share(&self, target: Recipe) -> bool {
        target.class != 0 || self.opened.deposit.policy.label != Label::Ordinary
    }

    /// The chunks that make up `range`, if none of them crosses its ends.
    fn whole_chunks(&self, range: &Range<u64>) -> Option<Range<usize>> {
        if range.is_empty() {
            return Some(0..0);
        }
        let touched = self.opened.touched(range);
        let first = *self.opened.begins.get(touched.start)?;
        let last = touched.end.checked_sub(1)?;
        let end = self.opened.begins.get(last)? + u64::from(self.opened.chunks.get(last)?.plain_len);
        (first == range.start && end == range.end).then_some(touched)
    }

    fn shared_content(&self, range: &Range<u64>, fact: &PartFact, may_meet: bool) -> Result<PartContent> {
        let damaged = || Error::Damaged { version: self.version(), why: "a chunk crosses the end of a part".into() };
        let chunks = self.whole_chunks(range).ok_or_else(damaged)?;
        let pieces = self.opened.chunks[chunks].iter().map(|chunk| SealedPiece::new(*chunk, 0)).collect();
        Ok(PartContent::uploaded(fact.size_bytes, fact.md5, fact.plain_digest, pieces, may_meet))
    }

    /// The sealed length of single chunks is not known without reading them, their sum is: it goes with the first.
    fn account(&self, parts: &mut [Part]) {
        let mut pieces = parts.iter_mut().flat_map(|part| &mut part.content.chunks);
        if let Some(first) = pieces.next() {
            first.stored_bytes = self.opened.chunk_stored_bytes;
        }
    }

    async fn hashed_again(&self, chunks: Range<usize>, recipe: Recipe) -> Result<PartContent> {
        let mut digests = Digests::new(self.inner.keyring.suite());
        let mut pieces: Vec<SealedPiece> = Vec::with_capacity(chunks.len());
        for index in chunks {
            let chunk = self.opened.chunks[index];
            let (plain, stored_len) = self.chunk_with_stored_len(index).await?;
            digests = digests.add(plain).await?;
            pieces.push(SealedPiece::new(chunk, stored_len));
        }
        let (md5, plain_digest) = digests.finish();
        let size_bytes = pieces.iter().map(|piece| u64::from(piece.chunk.plain_len)).sum();
        Ok(PartContent::uploaded(size_bytes, md5, plain_digest, pieces, recipe.class != 0))
    }

    async fn sealed_again(&self, range: Range<u64>, bucket: &BucketFacts, recipe: Recipe) -> Result<PartContent> {
        // what it becomes is scanned as a whole when it is deposited
        let mut writer = ObjectWriter::new(self.inner.intake.clone(), recipe, bucket.chunk_plain_bytes, None)
            .expect_bytes(range.end - range.start);
        let mut plain = self.read(range);
        while let Some(bytes) = plain.next().await {
            writer.push(bytes?).await?;
        }
        writer.finish().await
    }
}
