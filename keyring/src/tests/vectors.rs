//! Golden vectors in `protocol/vectors`: with all randomness given, both AES implementations seal exactly these bytes,
//! and both open or refuse each file exactly as it states.

#[path = "../../../protocol/tests/vectors/vector.rs"]
pub(super) mod vector;

use super::forms::{Form, open, seal_chunk};
use super::wrong::wrong_forms;
use super::*;
use crate::seal::{Aead, AwsLc, PureRust};
use std::path::{Path, PathBuf};
use vector::Vector;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors")
}

/// The committed files of the forms of this crate.
fn committed() -> Vec<Vector> {
    let all = vector::load(&folder()).unwrap();
    all.into_iter().filter(|vector| Form::of(&vector.structure).is_some()).collect()
}

/// An error as vectors state it; where bytes break a rule of `protocol`, as `protocol` states it.
pub(super) fn state(error: &Error) -> String {
    match error {
        Error::Form { source, .. } => vector::describe(source),
        error => vector::describe(error),
    }
}

fn valid_forms<A: Aead>(suite: Suite) -> Vec<Vector> {
    let keyring = keyring(suite);
    let mut made: Vec<Vector> = Form::ALL
        .into_iter()
        .map(|form| {
            let mut fields = form.facts(suite);
            fields.insert("plain".into(), hex::encode(form.plain()));
            if form == Form::KeyFile {
                fields.insert(
                    "name-token of scans, 2026/a.dcm".into(),
                    keyring.name_token("scans", "2026/a.dcm").to_string(),
                );
                fields.insert("bucket-token of scans".into(), keyring.bucket_token("scans").to_string());
            }
            valid(form, "specimen", suite, "A good one.", fields, form.seal::<A>(&keyring))
        })
        .collect();
    for (name, note, class, plain) in [
        ("empty", "No plain text at all, padded like any short one.", 0, Vec::new()),
        ("padded", "257 bytes, padded to the next Padmé number.", 0, noise(257)),
        ("dedup", "In class 1: t is the PRF of the payload under the dedup secret of the class.", 1, noise(257)),
    ] {
        let sealed = seal_chunk::<A>(&keyring, class, &plain);
        let mut fields = Form::Chunk.facts(suite);
        fields.insert("t".into(), hex::encode(sealed.chunk.t));
        fields.insert("plain-len".into(), plain.len().to_string());
        fields.insert("plain".into(), hex::encode(plain));
        fields.insert("address".into(), sealed.chunk.address.to_string());
        if class != 0 {
            fields.insert("dedup-secret".into(), hex::encode(keyring.root().dedup_secret(class).as_bytes()));
        }
        made.push(valid(Form::Chunk, name, suite, note, fields, sealed.bytes));
    }
    made
}

fn valid(
    form: Form,
    name: &str,
    suite: Suite,
    note: &str,
    fields: std::collections::BTreeMap<String, String>,
    body: Vec<u8>,
) -> Vector {
    Vector {
        name: format!("{}/valid-{name}-suite-{}", form.structure(), suite.code()),
        notes: vec![note.to_owned()],
        structure: form.structure().to_owned(),
        expect: "ok".into(),
        fields,
        body,
    }
}

fn all<A: Aead>() -> Vec<Vector> {
    let valid = Suite::ALL.into_iter().flat_map(valid_forms::<A>);
    valid.chain(wrong_forms::<A>(Suite::Default)).collect()
}

/// With `SHOSOIN_NEW_VECTORS=1` it writes the files that are not there yet; one that is there is never changed.
#[test]
fn both_implementations_still_make_the_committed_bytes_and_no_file_is_left_over() {
    let made = all::<AwsLc>();
    if std::env::var_os("SHOSOIN_NEW_VECTORS").is_some() {
        for vector in &made {
            let path = folder().join(&vector.name).with_extension("txt");
            if !path.exists() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, vector.render()).unwrap();
            }
        }
    }
    assert_eq!(made, all::<PureRust>());
    let committed = committed();
    for vector in &made {
        assert_eq!(committed.iter().find(|kept| kept.name == vector.name), Some(vector), "{}", vector.name);
    }
    for kept in &committed {
        assert!(made.iter().any(|vector| vector.name == kept.name), "{} is made by nothing", kept.name);
    }
}

#[test]
fn every_committed_form_gets_exactly_what_its_file_states_with_both_implementations() {
    for vector in committed() {
        for opened in [open::<AwsLc>(&vector), open::<PureRust>(&vector)] {
            match opened {
                Ok(plain) => {
                    assert_eq!(vector.expect, "ok", "{}", vector.name);
                    assert_eq!(hex::encode(plain), vector.field("plain"), "{}", vector.name);
                }
                Err(error) => assert_eq!(state(&error), vector.expect, "{}", vector.name),
            }
        }
    }
}

#[test]
fn both_suites_refuse_the_same_wrong_forms_for_the_same_reasons() {
    let expectations = |suite| -> Vec<(String, String)> {
        let variant = |expect: &str| expect.split(':').next().unwrap().to_owned();
        wrong_forms::<AwsLc>(suite).iter().map(|vector| (vector.name.clone(), variant(&vector.expect))).collect()
    };
    let (one, two) = (expectations(Suite::Default), expectations(Suite::Cryptrec));
    assert!(one.len() >= 40, "only {}", one.len());
    assert_eq!(one, two);
}
