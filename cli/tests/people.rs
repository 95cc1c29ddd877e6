//! The people who run a vault, through the real binary: on a stopped vault, and as several users of the machine over the socket
//! of one that is served. Being several users needs a test that is run by root; elsewhere that part is left out, and says so.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{Done, Serving, arg, binary, shosoin};
use tempfile::TempDir;

/// A vault that `up` made and filled, with its folders open to look into, as an operator's group has them.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap() };
        Serving::start(&["up", "--dir", arg(&site.root()), "--s3", "127.0.0.1:0"]).stop();
        shosoin(&["bucket", "create", "--dir", arg(&site.root()), "charts"]).ok();
        let file = site.dir.path().join("record");
        std::fs::write(&file, SECRET_OF_A_RECORD.repeat(4000)).unwrap();
        shosoin(&["put", "--dir", arg(&site.root()), "charts", "1.dcm", arg(&file)]).ok();
        for folder in [site.dir.path(), &site.root(), &site.vault()] {
            std::fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        site
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("site")
    }

    fn vault(&self) -> PathBuf {
        self.root().join("vault")
    }

    fn run(&self, command: &[&str], more: &[&str]) -> Done {
        shosoin(&[command, &["--dir", arg(&self.vault()), "--json"], more].concat())
    }

    /// The same as another user of the machine, in the group `daemon`.
    fn run_as(&self, user: &str, command: &[&str], more: &[&str]) -> Done {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid", user, "--regid", "daemon", "--clear-groups", "--"]).arg(binary());
        let output = setpriv.args(command).args(["--dir", arg(&self.vault()), "--json"]).args(more);
        let output = output.stdin(Stdio::null()).output().unwrap();
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn audit(&self, action: &str) -> Vec<Value> {
        let shown = self.run(&["audit", "show"], &["--action", action]).ok().json();
        shown["records"].as_array().unwrap().clone()
    }

    fn configure(&self, text: &str) {
        let path = self.vault().join("vault.toml");
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, before.replacen("[[volume]]", &format!("{text}\n[[volume]]"), 1)).unwrap();
    }

    fn first_admin(&self) {
        self.run(&["account", "add"], &["hanako.sato", "--name", "佐藤 花子", "--role", "admin"]).ok();
    }

    fn serve(&self) -> Serving {
        Serving::start(&["vault", "serve", "--dir", arg(&self.vault()), "--listen", "127.0.0.1:0"])
    }
}

/// What is in the record, which nobody at the operator's ever sees.
const SECRET_OF_A_RECORD: &str = "sepsis suspected; ";

fn is_root(site: &Site) -> bool {
    let root = std::fs::metadata(site.dir.path()).unwrap().uid() == 0;
    if !root {
        eprintln!("left out: only root can be several users");
    }
    root
}

#[test]
fn a_vault_without_accounts_works_as_it_did_and_says_plainly_that_it_has_none() {
    let site = Site::new();
    let status = site.run(&["vault", "status"], &[]).ok().json();
    assert_eq!(status["people"]["accounts"], "none");
    assert!(status["people"]["notice"].as_str().unwrap().contains("no accounts"));
    let text = shosoin(&["vault", "status", "--dir", arg(&site.vault())]).ok().stdout;
    assert!(text.contains("this vault has no accounts"), "{text}");
    let who = shosoin(&["account", "whoami", "--dir", arg(&site.vault())]).ok().stdout;
    assert!(who.contains("no accounts") && who.contains("--role admin"), "{who}");
    site.run(&["account", "add"], &["taro.ito", "--role", "keeper"])
        .fails(4, &["the first account is an administrator's"]);
    let lines = site.run(&["applicability"], &["--lang", "en"]).ok().json();
    let lines = lines["controls"].as_array().unwrap().clone();
    let state = |id: &str| lines.iter().find(|line| line["id"] == id).unwrap()["state"].as_str().unwrap().to_owned();
    assert_eq!(
        (state("7.6.14-ID-M1"), state("7.6.13-M5"), state("8.2-R6")),
        ("not-met".into(), "not-met".into(), "not-met".into())
    );
    assert_eq!((state("7.6.14-PW-M2"), state("7.7-M3")), ("not-shown".into(), "not-shown".into()));
}

#[test]
fn from_the_first_administrator_on_every_command_asks_for_an_account_with_the_permission_7_6_13_m5() {
    let site = Site::new();
    site.first_admin();
    let who = site.run(&["account", "whoami"], &[]).ok().json();
    assert_eq!((&who["actor"], &who["account"]["state"]), (&"hanako.sato".into(), &"active".into()));
    // an administrator gives rights and has none of those that are given
    for command in
        [&["scrub"][..], &["repair"], &["compact"], &["migrate"], &["copy-forward"], &["check"], &["vault", "rebuild"]]
    {
        site.run(command, &[]).fails(4, &["is for keeper"]);
    }
    site.run(&["volume", "list"], &[]).fails(4, &["read-media is for keeper, media, auditor"]);
    site.run(&["volume", "stocktake"], &[]).fails(4, &["change-media is for media"]);
    site.run(&["assets", "list"], &[]).fails(4, &["read-assets is for keeper, auditor"]);
    site.run(&["reconcile", "sign"], &[]).fails(4, &["reconcile is for"]);
    site.run(&["jobs"], &[]).ok();
    site.run(&["vault", "status"], &[]).ok();
    let refused = site.audit("command-refused");
    assert_eq!(refused.len(), 11);
    assert!(refused.iter().all(|record| record["outcome"] == "refused" && record["actor"] == "hanako.sato"));

    site.run(&["account", "add"], &["hanako.sato", "--role", "keeper"]).fails(4, &["is taken"]);
    site.run(&["account", "add"], &["x1", "--role", "keeper", "--role", "admin"]).fails(2, &["never one person"]);
    site.run(&["account", "add"], &["Taro", "--role", "keeper"]).fails(2, &["a-z"]);
    site.run(&["account", "add"], &["taro.ito", "--role", "keeper", "--os-user", "no-such-user"])
        .fails(3, &["no-such-user"]);
    let waits = site.run(&["account", "suspend"], &["hanako.sato", "--reason", "x"]);
    waits.fails(4, &["somebody else stops it"]);

    let file = site.vault().join("accounts");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    site.run(&["audit", "verify"], &[]).ok();
    let good = std::fs::read(&file).unwrap();
    let mut edited = good.clone();
    let at = good.windows(6).position(|window| window == b"hanako").unwrap() + 20;
    edited[at] ^= 1;
    std::fs::write(&file, edited).unwrap();
    std::fs::remove_file(site.vault().join("accounts.next")).unwrap();
    site.run(&["account", "list"], &[]).fails(4, &["not the one that the audit log knows"]);
    let verified = site.run(&["audit", "verify"], &[]).fails(5, &["damaged audit log"]).json();
    assert!(verified["findings"].to_string().contains("accounts-doubted"), "{verified}");
    let status = site.run(&["vault", "status"], &[]).ok().json();
    assert_eq!(status["people"]["accounts"], "doubted");
    std::fs::write(&file, good).unwrap();
    site.run(&["account", "list"], &[]).ok();
    std::fs::remove_file(&file).unwrap();
    site.run(&["account", "list"], &[]).fails(4, &["not the one that the audit log knows"]);
    site.run(&["account", "confirm-file"], &["--reason", "the disk lost it"]).ok();
    site.run(&["account", "list"], &[]).fails(4, &["mapped to no account"]);
    site.run(&["account", "add"], &["hanako.sato", "--role", "admin"]).fails(4, &["is taken"]);
    site.run(&["account", "add"], &["jiro.abe", "--role", "admin", "--os-user", "root"]).ok();
    assert_eq!(site.audit("accounts-confirmed")[0]["outcome"], "findings");
}

#[test]
fn passwords_and_codes_come_from_files_and_are_in_no_answer_and_no_log_7_6_14_pw_m6_logon_s5() {
    let site = Site::new();
    site.first_admin();
    let write = |name: &str, text: &str| {
        let path = site.dir.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path
    };
    let (first, second, weak) = (write("a", "tr4ctor-blue"), write("b", "cl0ud-green"), write("c", "short1"));
    let change = |old: Option<&Path>, new: &Path| {
        let old = old.map_or_else(Vec::new, |old| vec!["--old-file", arg(old)]);
        site.run(&["account", "password"], &[old, vec!["--new-file", arg(new)]].concat())
    };
    change(None, &weak).fails(2, &["fewer than 8 characters"]);
    change(None, &first).ok();
    change(None, &second).fails(2, &["password in use is not valid: it is another"]);
    change(Some(&first), &first).fails(4, &["takes no change of password now"]);
    let uri = site.run(&["account", "totp"], &[]).ok().json()["uri"].as_str().unwrap().to_owned();
    assert!(uri.starts_with("otpauth://totp/") && uri.contains("secret="), "{uri}");
    let picture = shosoin(&["account", "totp", "--dir", arg(&site.vault())]).ok().stdout;
    assert!(picture.contains('█') && picture.contains("shown once"));
    site.run(&["account", "totp"], &["--prove", "--code-file", arg(&write("d", "000000"))]).fails(2, &["code"]);
    let log = std::fs::read(site.vault().join("audit/000001.log")).unwrap();
    let secret = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    for text in ["tr4ctor-blue", "cl0ud-green", secret] {
        assert!(!log.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
    let shown =
        site.run(&["account", "show"], &["hanako.sato"]).ok().stdout + &site.run(&["account", "list"], &[]).ok().stdout;
    assert!(!shown.contains(secret) && !shown.contains("tr4ctor"), "{shown}");
    assert!(shown.contains("\"second_factor\":\"not proved\"") && shown.contains("\"password\":\"set\""), "{shown}");
    let given = site.run(&["account", "add"], &["console.only", "--role", "keeper"]).ok().json();
    assert_eq!(given["done"], true);
    let given = site.run(&["account", "password"], &["console.only", "--first"]).ok().json();
    assert_eq!(given["first_password"].as_str().unwrap().len(), 23);
}

#[test]
fn several_users_of_the_machine_are_several_people_with_rights_of_their_own_over_the_socket() {
    let site = Site::new();
    if !is_root(&site) {
        return;
    }
    site.configure("[accounts]\nsocket_group = \"daemon\"\n");
    let serving = site.serve();
    let socket = site.vault().join("admin.sock");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600, "without accounts the socket is the owner's alone");
    assert_ne!(site.run_as("bin", &["vault", "status"], &[]).code, 0);
    site.first_admin();
    assert_eq!((mode(&socket), std::fs::metadata(&socket).unwrap().gid()), (0o660, 1), "with them it is the group's");
    site.run(&["account", "add"], &["taro.ito", "--role", "keeper", "--role", "media", "--os-user", "bin"]).ok();
    site.run(&["account", "add"], &["keiko.mori", "--role", "auditor", "--os-user", "sys"]).ok();

    site.run_as("daemon", &["vault", "status"], &[]).fails(4, &["user daemon of this machine is mapped to no account"]);
    site.run_as("bin", &["volume", "list"], &[]).ok();
    site.run_as("bin", &["scrub"], &[]).ok();
    let enrolment = site.dir.path().join("enrolment");
    std::fs::copy(site.root().join("hospital/enrolment"), &enrolment).unwrap();
    std::fs::set_permissions(&enrolment, Permissions::from_mode(0o644)).unwrap();
    // a keeper raises nobody, stops nobody, reads no audit log, and is nobody else
    for (command, more) in [
        (&["account", "set-roles"][..], &["taro.ito", "--role", "admin"][..]),
        (&["account", "suspend"], &["hanako.sato", "--reason", "x"]),
        (&["account", "list"], &[]),
        (&["account", "password"], &["keiko.mori", "--first"]),
        (&["account", "totp"], &["keiko.mori", "--forget"]),
        (&["account", "confirm-file"], &["--reason", "x"]),
        (&["audit", "show"], &[]),
        (&["hospital", "enrol"], &[arg(&enrolment), "--yes"]),
    ] {
        let expected = if command[1] == "confirm-file" { 2 } else { 4 };
        site.run_as("bin", command, more).fails(expected, &[]);
    }
    let raw = Command::new("setpriv")
        .args(["--reuid", "bin", "--regid", "daemon", "--clear-groups", "curl", "-s", "--unix-socket", arg(&socket)])
        .args(["-d", r#"{"set-roles":{"id":"taro.ito","roles":["admin"],"reason":""}}"#, "http://vault/v1/accounts"])
        .output()
        .unwrap();
    let raw = String::from_utf8(raw.stdout).unwrap();
    assert!(raw.contains("not-permitted"), "{raw}");

    // the auditor was here once, so from now on rights take two people
    site.run_as("sys", &["audit", "verify"], &[]).ok();
    let asked =
        site.run(&["account", "add"], &["mei.kato", "--role", "disposal-approver", "--os-user", "games"]).ok().json();
    let number = asked["request"].as_u64().unwrap().to_string();
    site.run(&["account", "approve"], &[&number]).fails(4, &["nobody agrees to their own request"]);
    site.run_as("bin", &["account", "approve"], &[&number]).fails(4, &["approve-rights is for auditor, admin"]);
    site.run_as("games", &["account", "whoami"], &[]).fails(4, &["mapped to no account"]);
    let seen = site.run_as("sys", &["account", "requests"], &[]).ok().json();
    assert_eq!(seen["requests"][0]["requested_by"], "hanako.sato");
    site.run_as("sys", &["account", "approve"], &[&number]).ok();
    site.run_as("sys", &["account", "approve"], &[&number]).fails(4, &["it is used"]);
    site.run_as("games", &["account", "whoami"], &[]).ok();

    let asked =
        site.run_as("bin", &["account", "break-glass"], &["--for", "30m", "--reason", "pump failed"]).ok().json();
    let number = asked["request"].as_u64().unwrap().to_string();
    site.run_as("bin", &["account", "approve"], &[&number]).fails(4, &["approve-rights"]);
    site.run(&["account", "approve"], &[&number]).ok();
    let glass = site.audit("break-glass");
    assert_eq!((&glass[0]["outcome"], glass.len()), (&"findings".into(), 1));
    assert_eq!(site.run(&["vault", "status"], &[]).ok().json()["people"]["grants"], 1);

    let reach =
        site.run_as("sys", &["account", "suspend"], &["taro.ito", "--reason", "badge lost"]).ok().json()["reach"]
            .clone();
    let could: Vec<&str> = reach["could"].as_array().unwrap().iter().map(|work| work.as_str().unwrap()).collect();
    assert!(could.contains(&"scrub") && could.contains(&"volume add") && !could.contains(&"audit show"), "{could:?}");
    let did = reach["did"].as_array().unwrap().iter().map(|did| did["action"].as_str().unwrap()).collect::<Vec<_>>();
    assert!(did.contains(&"scrub") && did.contains(&"command-refused"), "{did:?}");
    site.run_as("bin", &["vault", "status"], &[]).fails(4, &["the account is suspended"]);
    serving.stop();

    // what was within reach is verified, by people who may run no job themselves (7.7-M3)
    let found = site.run(&["account", "review"], &["--suspended", "taro.ito"]).ok().json();
    assert_eq!((&found["complete"], found["started"].as_array().unwrap().len()), (&true.into(), 2), "{found}");
    assert!(found["proofs"].as_array().unwrap().len() >= 8, "six volumes, the index, the log: {found}");
    assert_eq!(site.audit("suspicion-verified")[0]["outcome"], "done");
    site.run(&["account", "review"], &["--suspended", "keiko.mori"]).fails(4, &["suspend it first"]);
    let review = site.run(&["account", "review"], &["--reason", "first quarter"]).ok().json();
    assert_eq!(
        (review["administrators"][0].as_str(), review["rights_are_confirmed"].as_bool()),
        (Some("hanako.sato"), Some(true))
    );

    let lines = site.run(&["applicability"], &["--lang", "en"]).ok().json()["controls"].as_array().unwrap().clone();
    let line = |id: &str| lines.iter().find(|line| line["id"] == id).unwrap().clone();
    for id in [
        "7.6.13-M3",
        "7.6.13-M4",
        "7.6.13-M5",
        "7.6.13-S1",
        "7.6.14-ID-M1",
        "7.6.14-ID-M2",
        "7.6.14-ID-M5",
        "7.6.14-ID-M6",
        "7.6.14-ID-M7",
        "7.6.14-ID-S1",
        "7.6.14-PRIV-M2",
        "7.6.14-PRIV-S1",
        "7.6.14-PRIV-S2",
        "7.6.14-PW-M1",
        "7.6.14-PW-M9",
        "7.6.14-LOGON-M1",
        "7.6.14-LOGON-M2",
        "7.6.14-LOGON-S3",
        "7.6.14-LOGON-S4",
        "7.7-M3",
        "7.6.6-M10",
    ] {
        assert_eq!(line(id)["state"], "met", "{}", line(id));
    }
    assert_eq!(line("7.6.14-PW-M2")["state"], "not-shown", "nobody has a password");
    assert_eq!(line("7.6.14-LOGON-S2")["state"], "not-met", "nobody's hours are limited");
    let socket_lines = site.run(&["applicability"], &["--lang", "ja"]).ok().stdout;
    assert!(socket_lines.contains("承認"));
}

#[test]
fn nothing_that_an_operator_is_shown_holds_a_byte_of_a_record_7_5_3_m4() {
    let site = Site::new();
    site.run(&["check"], &[]).ok();
    let vault = site.vault();
    let commands: [&[&str]; 10] = [
        &["vault", "status"],
        &["vault", "check", "--every-unit"],
        &["volume", "list"],
        &["audit", "show"],
        &["assets", "list"],
        &["assets", "show", "3"],
        &["assets", "export", "--format", "json"],
        &["reconcile", "sign"],
        &["applicability"],
        &["jobs"],
    ];
    for command in commands {
        let done = shosoin(&[command, &["--dir", arg(&vault), "--json"]].concat());
        let shown = done.stdout + &done.stderr;
        assert!(!shown.is_empty() && !shown.contains("sepsis") && !shown.contains("1.dcm"), "{command:?}: {shown}");
    }
}
