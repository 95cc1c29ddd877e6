//! A machine that only deposits, with real processes: what it stores the hospital reads; stolen, it reads nothing and is nothing.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use shosoin_client::{ClientOptions, Depositor, HttpOptions, HttpTransport};
use shosoin_keyring::DepositTerms;
use shosoin_keyring::keyfile::deposit;
use std::process::Command;
use std::sync::Arc;
use support::halves::Halves;
use support::{Done, Serving, arg, bytes, shosoin};

struct Site {
    halves: Halves,
    vault: Serving,
}

impl Site {
    /// A hospital with a bucket and a record, and a machine that may deposit below `modality/`.
    fn new() -> Site {
        let halves = Halves::new();
        let vault = halves.serve_vault();
        halves.make_hospital("h");
        halves.enrol("h", &["--yes"]).ok();
        let site = Site { halves, vault };
        site.hospital(&["bucket", "create", "charts", "--record-type", "T5-03"]).ok();
        site.put("modality/taken.dcm", b"before");
        std::fs::write(site.halves.path("machine-passphrase"), "of the machine").unwrap();
        let (out, passphrase) = (site.halves.path("m"), site.halves.path("machine-passphrase"));
        let enrol = ["device", "enrol", "charts", "--prefix", "modality/", "--deposit-only", "--out", arg(&out)];
        let enrolled = site.hospital(&[&enrol[..], &["--machine-passphrase-file", arg(&passphrase)]].concat()).ok();
        assert_eq!(enrolled.json()["role"], "deposit-only");
        site.halves.enrol("m", &["--yes"]).ok();
        site
    }

    fn hospital(&self, command: &[&str]) -> Done {
        self.halves.hospital("h", &self.vault.field("url"), command)
    }

    fn put(&self, name: &str, content: &[u8]) -> String {
        let file = self.halves.path("source");
        std::fs::write(&file, content).unwrap();
        self.hospital(&["put", "charts", name, arg(&file)]).ok().json()["version"].as_str().unwrap().to_owned()
    }

    fn assert_holds(&self, name: &str, version: Option<&str>, content: &[u8]) {
        let file = self.halves.path("target");
        let which = version.map_or(Vec::new(), |version| vec!["--version", version]);
        let get = [&["get", "charts", name, "--out", arg(&file), "--force"], &which[..]].concat();
        self.hospital(&get).ok();
        assert!(std::fs::read(&file).unwrap() == content, "{name} has other bytes");
    }

    /// A command with the machine's key file, as whoever has the machine would run it.
    fn machine(&self, command: &[&str]) -> Done {
        let (dir, passphrase) = (self.halves.path("m"), self.halves.path("machine-passphrase"));
        shosoin(&[command, &["--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--json"]].concat())
    }

    fn deposit(&self, name: &str, content: &[u8]) -> Done {
        let file = self.halves.path("image");
        std::fs::write(&file, content).unwrap();
        self.machine(&["device", "deposit", arg(&file), "--name", name])
    }
}

#[test]
fn what_a_machine_deposits_the_hospital_reads_under_its_name_and_wraps_anew() {
    let site = Site::new();
    let (small, large) = (bytes(1, 70_000), bytes(2, 9_000_000));
    let deposited = site.deposit("ct-1.dcm", &small).ok().json();
    assert_eq!(deposited["name"], "modality/ct-1.dcm");
    site.deposit("ct-2.dcm", &large).ok();
    site.deposit("empty", b"").ok();
    site.deposit("taken.dcm", b"a second one").ok();
    let listed: Vec<Value> = site
        .hospital(&["ls", "charts", "--prefix", "modality/"])
        .ok()
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&str> = listed.iter().map(|object| object["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["modality/ct-1.dcm", "modality/ct-2.dcm", "modality/empty", "modality/taken.dcm"]);
    site.assert_holds("modality/ct-1.dcm", None, &small);
    site.assert_holds("modality/ct-2.dcm", None, &large);
    site.assert_holds("modality/empty", None, b"");
    // it adds, and takes nothing away: the record that had the name is a version as before
    let versions = site.hospital(&["ls", "charts", "--prefix", "modality/taken.dcm", "--versions"]).ok().stdout;
    let versions: Vec<Value> = versions.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(versions.len(), 2, "{versions:?}");
    site.assert_holds("modality/taken.dcm", None, b"a second one");
    site.assert_holds("modality/taken.dcm", versions[1]["version"].as_str(), b"before");
    // a condition on a name that only the machine has written, and one on a name that both have
    let file = site.halves.path("source");
    std::fs::write(&file, b"x").unwrap();
    site.hospital(&["put", "charts", "modality/ct-1.dcm", arg(&file), "--if-absent"]).fails(4, &[]);
    site.hospital(&["put", "charts", "modality/new", arg(&file), "--if-absent"]).ok();
    let tour = site.hospital(&["verify", "--all", "--content"]).ok().json();
    assert_eq!((&tour["verified"], &tour["failed"]), (&6.into(), &0.into()));
    // the data keys come under the key of an epoch like any other
    site.hospital(&["keyring", "rotate", "--reason", "schedule"]).ok();
    let rewrapped = site.hospital(&["keyring", "rewrap"]).ok().json();
    assert_eq!((&rewrapped["rewrapped"], &rewrapped["failed"]), (&6.into(), &0.into()));
    site.assert_holds("modality/ct-2.dcm", None, &large);
    site.deposit("ct-3.dcm", &small).ok();
    site.assert_holds("modality/ct-3.dcm", None, &small);
    site.hospital(&["put", "charts", "modality/ct-1.dcm", arg(&file)]).ok();
    site.assert_holds("modality/ct-1.dcm", None, b"x");
    let devices = site.hospital(&["device", "list"]).ok().stdout;
    assert_eq!(devices.matches("\"role\":\"deposit-only\"").count(), 1, "{devices}");
    site.vault.stop();
    shosoin(&["vault", "rebuild", "--dir", arg(&site.halves.path("vault"))]).ok();
    let checked = shosoin(&["check", "--dir", arg(&site.halves.path("vault")), "--json"]).ok().json();
    assert_eq!(checked["findings"], 0, "{checked}");
}

#[test]
fn a_stolen_machine_reads_nothing_signs_nothing_else_and_is_shut_out_7_6_11_m2() {
    let site = Site::new();
    site.deposit("ct-1.dcm", &bytes(1, 70_000)).ok();
    let version = site.put("secret.txt", b"of the hospital");
    // no command that opens takes its key file
    for command in [&["ls"] as &[&str], &["get", "charts", "secret.txt"], &["keyring", "show"], &["export", "out"]] {
        let done = site.machine(command);
        assert_eq!(done.code, 4, "{command:?}: {}", done.stderr);
        assert!(done.stderr.contains("only deposits"), "{}", done.stderr);
    }
    // and the vault gives its connection nothing, whatever it asks
    let tls = tls_of(&site);
    let ask = |method: &str, path: &str| {
        let url = site.vault.field("url") + path;
        let curl = [
            "-sk",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-X",
            method,
            "--data-binary",
            "",
            "--cert",
            &tls.0,
            "--key",
            &tls.1,
            &url,
        ];
        String::from_utf8(Command::new("curl").args(curl).output().unwrap().stdout).unwrap()
    };
    assert_eq!(ask("GET", "/v1/hello"), "200");
    let (address, token) = ("ab".repeat(32), "cd".repeat(32));
    for (method, path) in [
        ("GET", format!("/v1/records/{address}")),
        ("GET", format!("/v1/audit/{address}?nonce={token}")),
        ("GET", format!("/v1/versions/{version}")),
        ("GET", format!("/v1/names/{token}")),
        ("GET", "/v1/log/entries?from=0&count=9".to_owned()),
        ("GET", "/v1/reconciliation".to_owned()),
        ("GET", "/v1/shares".to_owned()),
        ("GET", format!("/v1/devices/{}", "ab".repeat(16))),
        ("POST", "/v1/wraps".to_owned()),
        ("POST", "/v1/plan".to_owned()),
        ("POST", "/v1/chunks/missing".to_owned()),
        ("DELETE", "/v1/deposits".to_owned()),
    ] {
        assert_eq!(ask(method, &path), "403", "{method} {path}");
    }
    let file = site.halves.path("image");
    let elsewhere = site.machine(&["device", "deposit", arg(&file), "--name", "modality/../secret.txt"]).ok().json();
    assert_eq!(elsewhere["name"], "modality/../secret.txt", "a name is a name, and leads nowhere");
    site.assert_holds("secret.txt", None, b"of the hospital");
    // nor does it get round its scope: the vault cannot see names, the hospital's machines do, and nothing stops them
    put_as_thief(&site, "secret.txt", b"forged");
    site.assert_holds("secret.txt", None, b"of the hospital");
    let versions = site.hospital(&["ls", "charts", "--prefix", "secret.txt", "--versions"]).ok().stdout;
    assert_eq!(versions.lines().count(), 1, "{versions}");
    assert_eq!(site.hospital(&["verify", "--all"]).ok().json()["failed"], 0);
    site.hospital(&["retention", "due"]).ok();
    // a full machine revokes it; its key is of no use any more
    let listed = site.hospital(&["device", "list"]).ok().stdout;
    let devices: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let machine = devices.iter().find(|device| device["role"] == "deposit-only").unwrap();
    site.hospital(&["device", "revoke", machine["device"].as_str().unwrap(), "--yes"]).ok();
    site.deposit("ct-2.dcm", b"late").fails(4, &[]);
    site.assert_holds("modality/ct-1.dcm", None, &bytes(1, 70_000));
}

/// A deposit with the machine's own keys and terms that somebody widened.
fn put_as_thief(site: &Site, name: &str, content: &'static [u8]) {
    let file = std::fs::read(site.halves.path("m/keyring")).unwrap();
    let (keyring, terms) = deposit::open(&file, b"of the machine").unwrap();
    let pin: [u8; 32] = hex::decode(&site.halves.pin).unwrap().try_into().unwrap();
    let (certificate, key) = (keyring.tls_certificate_der().to_vec(), keyring.tls_key_der().to_vec());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let transport =
            HttpTransport::new(HttpOptions::new(&site.vault.field("url"), pin, &certificate, &key)).unwrap();
        let options = ClientOptions::new(site.halves.path("thief"));
        let terms = DepositTerms { prefix: String::new(), ..terms };
        let mut thief = Depositor::open(options, keyring, terms, Arc::new(transport)).await.unwrap();
        let mut writer = thief.writer().unwrap();
        writer.push(bytes::Bytes::from_static(content)).await.unwrap();
        let content = writer.finish().await.unwrap();
        thief.deposit(name, content).await.unwrap();
    });
}

/// Certificate and key of the machine as files for another client.
fn tls_of(site: &Site) -> (String, String) {
    let file = std::fs::read(site.halves.path("m/keyring")).unwrap();
    let (keyring, _) = deposit::open(&file, b"of the machine").unwrap();
    let pem = |label: &str, der: &[u8], name: &str| {
        let path = site.halves.path(name);
        let der_path = site.halves.path("der");
        std::fs::write(&der_path, der).unwrap();
        let text = Command::new("base64").arg("-w64").arg(&der_path).output().unwrap().stdout;
        let text = String::from_utf8(text).unwrap();
        std::fs::write(&path, format!("-----BEGIN {label}-----\n{text}-----END {label}-----\n")).unwrap();
        arg(&path).to_owned()
    };
    (
        pem("CERTIFICATE", keyring.tls_certificate_der(), "machine.crt"),
        pem("PRIVATE KEY", keyring.tls_key_der(), "machine.key"),
    )
}
