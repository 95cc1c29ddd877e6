//! The key file of a person: golden bytes.

use super::vectors::vector::{self, Vector};
use crate::keyfile::Argon2Params;
use crate::person::{open, seal};
use shosoin_protocol::Suite;
use shosoin_protocol::suite::sha256;
use std::path::Path;
use zeroize::Zeroizing;

const PARAMS: Argon2Params = Argon2Params { memory_kib: 64, passes: 1, lanes: 1 };

fn made(suite: Suite) -> Vector {
    let body = seal(suite, &Zeroizing::new([0x55; 32]), b"correct horse", PARAMS, &[0x66; 32]).unwrap();
    Vector {
        name: format!("person-key/valid-suite-{}", suite.code()),
        notes: vec!["A key of a person; it protects nothing.".to_owned()],
        structure: "person-key".to_owned(),
        expect: "ok".to_owned(),
        fields: [("passphrase".to_owned(), "correct horse".to_owned())].into(),
        body,
    }
}

/// With `SHOSOIN_NEW_VECTORS=1` it writes the files that are not there yet; one that is there is never changed.
#[test]
fn a_person_s_key_file_has_the_committed_bytes_and_the_form_on_the_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors");
    for suite in Suite::ALL {
        let made = made(suite);
        let path = folder.join(&made.name).with_extension("txt");
        if std::env::var_os("SHOSOIN_NEW_VECTORS").is_some() && !path.exists() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, made.render()).unwrap();
        }
        let kept = vector::Vector::parse(&made.name, &std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(kept, made);
        let bytes = &kept.body;
        let begins =
            [&b"shpk"[..], &[1, suite.code(), 0, 0], &64u32.to_le_bytes(), &[1, 0, 0, 0], &[1, 0, 0, 0]].concat();
        assert_eq!((bytes.len(), &bytes[..20], &bytes[20..52]), (164, &begins[..], &[0x66; 32][..]));
        assert_eq!(bytes[132..], sha256(&[&bytes[..132]]).0);
        assert_eq!(open(bytes, b"correct horse").unwrap().public().suite(), suite);
    }
}
