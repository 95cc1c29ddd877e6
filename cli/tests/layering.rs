//! The arrows between the crates, asserted over the dependency graph: that the operator is blind is a fact, not a habit.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Every crate of ours and all of ours that it depends on.
const ARROWS: [(&str, &[&str]); 13] = [
    ("shosoin-protocol", &[]),
    ("shosoin-reader", &[]),
    ("shosoin-keyring", &["shosoin-protocol"]),
    ("shosoin-tiers", &["shosoin-protocol"]),
    ("shosoin-archive", &["shosoin-protocol", "shosoin-tiers"]),
    ("shosoin-simulator", &["shosoin-protocol", "shosoin-tiers"]),
    ("shosoin-store", &["shosoin-archive", "shosoin-protocol", "shosoin-tiers"]),
    ("shosoin-trust", &["shosoin-protocol"]),
    ("shosoin-client", &["shosoin-keyring", "shosoin-protocol", "shosoin-trust"]),
    ("shosoin-witness", &["shosoin-protocol"]),
    ("shosoin-gateway", &["shosoin-client", "shosoin-protocol"]),
    (
        "shosoin",
        &[
            "shosoin-client",
            "shosoin-gateway",
            "shosoin-keyring",
            "shosoin-protocol",
            "shosoin-store",
            "shosoin-tiers",
            "shosoin-trust",
            "shosoin-witness",
        ],
    ),
    (
        "shosoin-bench",
        &[
            "shosoin-client",
            "shosoin-gateway",
            "shosoin-keyring",
            "shosoin-protocol",
            "shosoin-simulator",
            "shosoin-store",
            "shosoin-tiers",
        ],
    ),
];

/// What seals, derives the keys that open, or asks a token for its share of them: no code of the operator's may reach it.
const SEALING: [&str; 5] = ["aws-lc-rs", "aes-gcm", "hkdf", "hpke", "cryptoki"];
/// What makes keys of passphrases, and recognises passwords: only what knows the operator's own people may reach it.
const STRETCHING: &str = "argon2";
/// TLS brings its own ciphers for the wire, and the client of object stores signs requests with them; they are not reached
/// around these.
const WIRE: [&str; 5] = ["rustls", "tokio-rustls", "rustls-platform-verifier", "rcgen", "object_store"];

/// Lines that somebody can read in a day: all of the standalone reader stays below.
const READER_LINES_MAX: usize = 2_000;

/// The graph of normal and build dependencies, by package name.
struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    fn load() -> Graph {
        // packages of other platforms were perhaps never fetched
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &host()])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let names: BTreeMap<&str, &str> =
            packages.iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array().unwrap() {
            let targets = graph.entry(names[text(&node["id"])].to_owned()).or_default();
            let linked = node["deps"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dep| dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev"));
            targets.extend(linked.map(|dep| names[text(&dep["pkg"])].to_owned()));
        }
        Graph(graph)
    }
}

/// Everything that a build of one package links, without going through `closed`. Only its own features count: in a build of
/// everything the curves of a signature also know key agreement, because the keyring asks for that.
fn reach(start: &str, closed: &[&str]) -> BTreeSet<String> {
    let all = tree(start, &[]);
    let closed: Vec<&str> = closed.iter().copied().filter(|name| all.contains(*name)).collect();
    if closed.is_empty() { all } else { tree(start, &closed) }
}

fn tree(start: &str, closed: &[&str]) -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]);
    tree.args(["--package", start]).args(closed.iter().flat_map(|name| ["--prune", name]));
    let output = tree.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The platform the tests run on.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn all_of_the_standalone_reader_is_read_in_a_day() {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../reader/src");
    let files = std::fs::read_dir(src).unwrap().map(|file| file.unwrap().path());
    let lines: usize = files.map(|file| std::fs::read_to_string(file).unwrap().lines().count()).sum();
    assert!((1..READER_LINES_MAX).contains(&lines), "{lines} lines");
}

#[test]
fn every_crate_depends_on_exactly_what_the_design_says() {
    let graph = Graph::load();
    for (name, expected) in ARROWS {
        let ours = graph.0[name].iter().filter(|target| target.starts_with("shosoin")).map(String::as_str);
        assert_eq!(ours.collect::<Vec<_>>(), expected, "dependencies of {name}");
    }
    let ours = graph.0.keys().filter(|name| name.starts_with("shosoin"));
    assert_eq!(ours.count(), ARROWS.len(), "a crate of ours is missing from the table");
}

#[test]
fn the_operators_crates_reach_neither_the_keyring_nor_any_sealing() {
    for operator in ["shosoin-store", "shosoin-tiers", "shosoin-archive"] {
        let reached = reach(operator, &[]);
        for secret in ["shosoin-keyring", "shosoin-client", "shosoin-gateway"] {
            assert!(!reached.contains(secret), "{operator} reaches {secret}");
        }
        let around_the_wire = reach(operator, &WIRE);
        for sealing in SEALING {
            assert!(!around_the_wire.contains(sealing), "{operator} reaches {sealing} around the wire");
        }
        let knows_people = operator == "shosoin-store";
        assert_eq!(around_the_wire.contains(STRETCHING), knows_people, "{operator} and {STRETCHING}");
    }
}

#[test]
fn the_keyring_is_found_to_reach_sealing_so_the_search_would_see_it() {
    let reached = reach("shosoin-keyring", &WIRE);
    let sealing = ["aws-lc-rs", "argon2", "hkdf", "hpke", "cryptoki"];
    assert!(sealing.iter().all(|sealing| reached.contains(*sealing)), "{reached:?}");
}
