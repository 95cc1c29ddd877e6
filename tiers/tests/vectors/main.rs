//! The golden vectors of what is on media: valid bytes decode and encode to themselves, wrong bytes get exactly the error
//! their file states. `protocol/vectors/README.md` says how a vector is added.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod label;
mod removed;
mod segment;
#[expect(dead_code, reason = "the structures here need no further facts for their checks")]
#[path = "../../../protocol/tests/vectors/vector.rs"]
mod vector;

use shosoin_protocol::Result;
use shosoin_tiers::VolumeLabel;
use shosoin_tiers::removed::{decode, encode};
use std::path::{Path, PathBuf};
use vector::Vector;

/// The structures that are checked here.
fn run(vector: &Vector) -> Option<Result<Vec<u8>>> {
    match vector.structure.as_str() {
        "volume-label" => Some(VolumeLabel::decode(&vector.body).and_then(|label| label.encode())),
        "removed-list" => Some(decode(&vector.body).map(|list| encode(&list))),
        structure => segment::run(structure, &vector.body),
    }
}

/// Every case that is made here.
fn cases() -> Vec<Vector> {
    label::cases().into_iter().chain(removed::cases()).chain(segment::cases()).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors")
}

#[test]
fn every_vector_gets_exactly_what_its_file_states() {
    let mut checked = 0;
    for vector in vector::load(&folder()).unwrap() {
        let found = match run(&vector) {
            None => continue,
            Some(Ok(bytes)) if bytes == vector.body => "ok".to_owned(),
            Some(Ok(_)) => "another encoding of the same value".to_owned(),
            Some(Err(error)) => vector::describe(&error),
        };
        assert_eq!(found, vector.expect, "{}", vector.name);
        checked += 1;
    }
    assert!(checked >= cases().len(), "only {checked} vectors");
}

/// With `SHOSOIN_NEW_VECTORS=1` it writes the files that are not there yet; one that is there is never changed.
#[test]
fn the_generator_still_makes_the_committed_bytes() {
    for made in cases() {
        let path = folder().join(&made.name).with_extension("txt");
        if std::env::var_os("SHOSOIN_NEW_VECTORS").is_some() && !path.exists() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, made.render()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap();
        assert_eq!(Vector::parse(&made.name, &kept).unwrap(), made);
    }
}
