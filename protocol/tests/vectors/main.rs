//! Every file under `vectors/`, whatever wrote it: valid bytes decode and encode to themselves, wrong bytes get
//! exactly the error their file states.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod cases;
mod hostile;
mod run;
mod vector;

use std::path::{Path, PathBuf};
use vector::Vector;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn committed() -> Vec<Vector> {
    vector::load(&folder()).unwrap()
}

fn write_new(made: &[Vector]) {
    for vector in made {
        let path = folder().join(&vector.name).with_extension("txt");
        if !path.exists() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vector.render()).unwrap();
        }
    }
}

#[test]
fn every_vector_gets_exactly_what_its_file_states() {
    for vector in committed() {
        let found = match run::run(&vector) {
            None if run::ELSEWHERE.contains(&vector.structure.as_str()) => continue,
            None => panic!("{}: nothing here reads a {}", vector.name, vector.structure),
            Some(Ok(bytes)) if bytes == vector.body => "ok".to_owned(),
            Some(Ok(_)) => "another encoding of the same value".to_owned(),
            Some(Err(error)) => vector::describe(&error),
        };
        assert_eq!(found, vector.expect, "{}", vector.name);
    }
}

#[test]
fn a_vector_is_named_for_what_it_is() {
    for vector in committed() {
        let (_, file) = vector.name.split_once('/').expect("a vector is in a folder");
        let prefix = if vector.expect == "ok" { "valid" } else { "wrong" };
        assert_eq!(file.split('-').next(), Some(prefix), "{} expects {}", vector.name, vector.expect);
        assert!(!vector.notes.is_empty(), "{} does not say why it is there", vector.name);
    }
}

#[test]
fn a_vector_file_has_one_form() {
    for vector in committed() {
        let path = folder().join(&vector.name).with_extension("txt");
        assert_eq!(std::fs::read_to_string(path).unwrap(), vector.render(), "{}", vector.name);
    }
}

#[test]
fn at_least_forty_ways_to_be_wrong_are_committed() {
    let wrong = committed().into_iter().filter(|vector| vector.expect != "ok").count();
    assert!(wrong >= 40, "only {wrong}");
}

/// With `SHOSOIN_NEW_VECTORS=1` it writes the files that are not there yet; one that is there is never changed.
#[test]
fn the_generator_still_makes_the_committed_bytes() {
    let made = cases::all();
    if std::env::var_os("SHOSOIN_NEW_VECTORS").is_some() {
        write_new(&made);
    }
    let committed = committed();
    for made in made {
        let kept = committed.iter().find(|vector| vector.name == made.name);
        assert_eq!(kept, Some(&made), "{}", made.name);
    }
}
