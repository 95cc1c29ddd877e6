//! Which object stands for what, as pure functions. `docs/format.md` has the table.
//!
//! ```text
//! <prefix>/label  label.bak                                    as on every volume
//! <prefix>/segments/.folder                                    the folder is there, even when nothing is in it
//! <prefix>/segments/<hospital>/<segment>-<shard>.shard         byte for byte the file a disk would hold
//! <prefix>/digests/segments/<hospital>/<segment>-<shard>.shard digest of that object
//! ```

use object_store::path::Path;

/// Name of the empty object that makes a folder.
pub const FOLDER: &str = ".folder";
/// Folder of the digests, beside the volume's own files.
pub const DIGESTS: &str = "digests";
/// Longest content of a digest object.
pub const DIGEST_BYTES_MAX: usize = 128;

/// The object of the file or folder at `path`.
pub fn object(prefix: &Path, path: &str) -> Path {
    prefix.parts().chain(Path::from(path).parts()).collect()
}

/// The object that makes the folder `dir`.
pub fn folder(prefix: &Path, dir: &str) -> Path {
    object(prefix, dir).join(FOLDER)
}

/// The object with the digest of the file at `path`.
pub fn digest(prefix: &Path, path: &str) -> Path {
    object(prefix, &format!("{DIGESTS}/{path}"))
}

/// Whether a file or folder of this name in `dir` is ours alone and no part of the volume.
pub fn is_hidden(dir: &str, name: &str) -> bool {
    name == FOLDER || (dir.is_empty() && name == DIGESTS)
}

/// Content of a digest object: the algorithm, the digest, the length.
pub fn digest_text(digest: &blake3::Hash, len_bytes: u64) -> String {
    format!("blake3 {} {len_bytes}\n", digest.to_hex())
}

/// Digest and length, if `text` is exactly what [`digest_text`] gives.
pub fn parse_digest(text: &[u8]) -> Option<(blake3::Hash, u64)> {
    let stated = std::str::from_utf8(text).ok()?;
    let mut parts = stated.strip_prefix("blake3 ")?.strip_suffix('\n')?.split(' ');
    let digest = blake3::Hash::from_hex(parts.next()?).ok()?;
    let len_bytes = parts.next()?.parse().ok()?;
    (digest_text(&digest, len_bytes) == stated).then_some((digest, len_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_have_the_names_the_format_says() {
        let prefix = Path::from("site/v07");
        assert_eq!(object(&prefix, "label").as_ref(), "site/v07/label");
        assert_eq!(object(&prefix, "").as_ref(), "site/v07");
        assert_eq!(folder(&prefix, "segments").as_ref(), "site/v07/segments/.folder");
        assert_eq!(digest(&prefix, "segments/a/b-1.shard").as_ref(), "site/v07/digests/segments/a/b-1.shard");
        assert_eq!(object(&Path::default(), "label.tmp").as_ref(), "label.tmp");
        assert!(is_hidden("", DIGESTS) && !is_hidden("segments", DIGESTS) && is_hidden("segments", FOLDER));
    }

    #[test]
    fn a_digest_reads_back_and_nothing_else_is_one() {
        let digest = blake3::hash(b"shard");
        let text = digest_text(&digest, 4096);
        assert!(text.len() <= DIGEST_BYTES_MAX);
        assert_eq!(parse_digest(text.as_bytes()), Some((digest, 4096)));
        for wrong in
            ["", "blake3 00 1\n", &text[1..], text.trim_end(), &text.replace(" 4096", " 04096"), &text.to_uppercase()]
        {
            assert_eq!(parse_digest(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
