//! The register of changes through the real binary: a copy of it is registered, altered, noticed, and registered again.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use support::halves::Halves;
use support::{arg, binary};

/// A vault that is run by a program of its own, which somebody may alter.
struct House {
    halves: Halves,
    program: PathBuf,
}

/// A vault that is served.
struct Served(Child);

impl Served {
    fn stop(mut self) {
        let stopped = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(stopped.success() && self.0.wait().unwrap().success());
    }
}

impl House {
    fn new() -> House {
        let halves = Halves::new();
        let program = halves.path("shosoin");
        std::fs::copy(binary(), &program).unwrap();
        House { halves, program }
    }

    fn command(&self, command: &[&str]) -> Command {
        let mut run = Command::new(&self.program);
        run.args(command).args(["--dir", arg(&self.halves.path("vault")), "--json"]).stdin(Stdio::null());
        run
    }

    fn run(&self, command: &[&str]) -> (i32, Value, String) {
        let done = self.command(command).output().unwrap();
        let (out, err) = (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
        let answer = out.lines().last().map_or(Value::Null, |line| serde_json::from_str(line).unwrap());
        (done.status.code().unwrap(), answer, err)
    }

    fn ok(&self, command: &[&str]) -> Value {
        let (code, answer, err) = self.run(command);
        assert_eq!(code, 0, "{command:?}: {err}");
        answer
    }

    fn serve(&self) -> Served {
        let mut child = self.command(&["vault", "serve", "--listen", "127.0.0.1:0"]);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it is not served");
        Served(child)
    }

    fn add(&self, thing: &[&str]) -> (i32, Value, String) {
        let said = ["--what", "release", "--tested", "trial vault", "--approved-by", "jiro", "--reason", "order 120"];
        self.run(&[&["change", "add"], thing, &said].concat())
    }

    fn digest(&self) -> String {
        hex(&Sha256::digest(std::fs::read(&self.program).unwrap()))
    }

    fn alter(&self) {
        let altered = self.halves.path("altered");
        std::fs::copy(&self.program, &altered).unwrap();
        std::fs::OpenOptions::new().append(true).open(&altered).unwrap().write_all(b"x").unwrap();
        std::fs::rename(altered, &self.program).unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_altered_program_is_noticed_when_it_serves_and_on_record_until_somebody_registers_it_7_6_2_m4_7_6_9_m4() {
    let house = House::new();
    let program = arg(&house.program).to_owned();
    let add = |digest: &str| house.add(&["--program", &program, "--release", "0.1.0", "--sha256", digest]);
    let (code, _, err) = add(&"0".repeat(64));
    assert!(code == 2 && err.contains("do not install it"), "{err}");
    let (code, added, err) = add(&house.digest());
    assert_eq!((code, &added["change"]["number"]), (0, &1.into()), "{err}");
    assert_eq!(added["change"]["after"], house.digest());
    assert!(added["change"]["in_force_ms"].is_u64(), "the program that registers is the one");
    assert_eq!(house.add(&["--settings"]).1["change"]["kind"], "settings");
    house.serve().stop();

    house.alter();
    let served = house.serve();
    let status = house.ok(&["vault", "status"]);
    assert_eq!(status["itself"]["program_registered"]["not"]["change"], 1);
    assert_eq!(status["itself"]["settings_registered"]["as"]["change"], 2);
    assert_eq!(status["itself"]["program"], house.digest());
    let findings = status["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["code"] == "unregistered-change"), "{findings:?}");
    assert_eq!(add(&house.digest()).0, 0, "over the socket");
    assert_eq!(house.ok(&["vault", "status"])["itself"]["program_registered"]["as"]["change"], 3);
    served.stop();

    let looks = house.ok(&["audit", "show", "--action", "self-checked"]);
    let outcomes: Vec<&str> =
        looks["records"].as_array().unwrap().iter().map(|record| record["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "findings").count(), 1, "{outcomes:?}");
    let libraries = house.ok(&["audit", "show", "--action", "libraries-changed"]);
    assert_eq!(libraries["records"].as_array().unwrap().len(), 1, "as they were met first");
    let shown = house.ok(&["change", "show", "3"]);
    assert_eq!((&shown["change"]["approved_by"], &shown["change"]["reason"]), (&"jiro".into(), &"order 120".into()));
}

#[test]
fn the_libraries_of_the_program_are_listed_with_their_versions_7_6_9_m4() {
    let done = Command::new(binary()).args(["version", "--json"]).output().unwrap();
    let version: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(version["sha256"], hex(&Sha256::digest(std::fs::read(binary()).unwrap())));
    let libraries = version["libraries"].as_array().unwrap();
    let rustls = libraries.iter().find(|library| library["name"] == "rustls").unwrap();
    assert!(rustls["version"].is_string() && rustls["checksum"].as_str().unwrap().len() == 64);
}
