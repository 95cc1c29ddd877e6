//! The golden vectors of `protocol/vectors`, read by this program alone: two implementations agree on every byte.

#[allow(dead_code, reason = "shared by all crates that check vectors; nothing is written here")]
#[path = "../../../protocol/tests/vectors/vector.rs"]
mod vector;

use crate::bytes::hex;
use crate::crypto::{Id, Key};
use crate::error::Result;
use crate::keys::Root;
use crate::manifest::{Chunk, open_chunk};
use crate::{crypto, sheets, volumes};
use std::path::Path;
use vector::Vector;

fn bytes(text: &str) -> Vec<u8> {
    ::hex::decode(text).unwrap()
}

fn id(vector: &Vector, field: &str) -> Id {
    volumes::parse_id(vector.field(field)).unwrap()
}

fn root(vector: &Vector) -> Root {
    let secret = Key::new(bytes(vector.field("root")).try_into().unwrap());
    Root { suite: vector.field("suite").parse().unwrap(), hospital: id(vector, "hospital"), secret }
}

/// What is inside the bytes of a vector, in hexadecimal.
fn open(vector: &Vector) -> Result<String> {
    let field = |name: &str| -> [u8; 32] { bytes(vector.field(name)).try_into().unwrap() };
    match vector.structure.as_str() {
        "key-file" => {
            let root = Root::from_key_file(&vector.body, vector.field("passphrase").as_bytes())?;
            Ok(hex(&root.secret[..]))
        }
        "sealed-wrap" | "sealed-hospital-wrap" => {
            let key = root(vector).unwrap(&id(vector, "version"), &vector.body, &field("dek-commit"))?;
            Ok(hex(&key[..]))
        }
        "sealed-summary" | "sealed-hospital-summary" => {
            Ok(hex(&root(vector).open_summary(&id(vector, "version"), &vector.body)?))
        }
        _ => {
            let root = root(vector);
            let stored = crypto::hash(root.suite, &vector.body);
            let address = vector.fields.get("address").map_or(stored, |text| bytes(text).try_into().unwrap());
            if address != stored {
                return Err(crate::error::Error::form("chunk", "its bytes do not have its address"));
            }
            let plain_len = vector.field("plain-len").parse().unwrap();
            let chunk = Chunk { address, secret: Key::new(field("t")), plain_len };
            Ok(hex(&open_chunk(&root, &chunk, &vector.body)?))
        }
    }
}

fn committed(structures: &[&str]) -> Vec<Vector> {
    let all = vector::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors")).unwrap();
    all.into_iter().filter(|vector| structures.contains(&vector.structure.as_str())).collect()
}

/// Padding that is too long, too short or not zero hides nothing from whoever has the key, and the content of a summary is
/// judged when it is used. The programs that write are strict; this one gets out what can be got out.
const TOLERATED: [&str; 6] = [
    "sealed-chunk/wrong-padding-first",
    "sealed-chunk/wrong-padding-last",
    "sealed-chunk/wrong-padding-long",
    "sealed-chunk/wrong-padding-missing",
    "sealed-summary/wrong-content",
    "sealed-summary/wrong-padding-missing",
];

#[test]
fn what_the_other_implementation_sealed_opens_here_and_what_it_refuses_is_refused() {
    let of_others = ["sealed-hospital-wrap", "sealed-hospital-summary"];
    let vectors = committed(&[&["key-file", "sealed-wrap", "sealed-summary", "sealed-chunk"][..], &of_others].concat());
    assert!(vectors.len() > 90, "{}", vectors.len());
    let mut accepted = Vec::new();
    for vector in &vectors {
        match (open(vector), vector.expect.as_str()) {
            (Ok(plain), "ok") => assert_eq!(plain, vector.field("plain"), "{}", vector.name),
            (Err(error), "ok") => panic!("{}: {error}", vector.name),
            (Ok(_), _) => accepted.push(vector.name.as_str()),
            (Err(_), _) => {}
        }
    }
    assert_eq!(accepted, TOLERATED);
}

#[test]
fn sheets_of_the_other_implementation_give_the_root_here() {
    let vectors = committed(&["escrow-share"]);
    let valid: Vec<&Vector> = vectors.iter().filter(|vector| vector.expect == "ok").collect();
    assert_eq!(valid.len(), 6);
    for pair in [[0, 2], [2, 4], [4, 0], [1, 3], [3, 5], [5, 1]] {
        let shares = pair.map(|at| sheets::read(valid[at].field("code")).unwrap());
        let root = sheets::combine(&shares).unwrap();
        assert_eq!(hex(&root.secret[..]), valid[pair[0]].field("root"));
        assert_eq!((root.suite.to_string().as_str(), hex(&root.hospital).as_str()), {
            (valid[pair[0]].field("suite"), valid[pair[0]].field("hospital"))
        });
    }
    let mixed = [sheets::read(valid[0].field("code")).unwrap(), sheets::read(valid[1].field("code")).unwrap()];
    assert!(sheets::combine(&mixed).is_err(), "of two suites");
}
