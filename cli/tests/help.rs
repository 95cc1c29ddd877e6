//! Every command explains itself, with an example; what is not understood is refused with exit code 2.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use shosoin_store::accounts::{SERVICES, TABLE};
use support::shosoin;

const COMMANDS: [&[&str]; 169] = [
    &["up"],
    &["vault", "init"],
    &["vault", "serve"],
    &["vault", "status"],
    &["vault", "check"],
    &["vault", "rebuild"],
    &["volume", "add"],
    &["volume", "list"],
    &["volume", "show"],
    &["volume", "label"],
    &["volume", "set-state"],
    &["volume", "test"],
    &["volume", "stocktake"],
    &["volume", "what-if"],
    &["forecast"],
    &["audit", "verify"],
    &["audit", "show"],
    &["audit", "export"],
    &["audit", "confirm-clock"],
    &["notify", "status"],
    &["notify", "try"],
    &["incident", "state"],
    &["report", "make"],
    &["report", "show"],
    &["report", "list"],
    &["incident", "list"],
    &["assets", "list"],
    &["assets", "show"],
    &["assets", "export"],
    &["reconcile", "sign"],
    &["reconcile", "verify"],
    &["agreement", "draft"],
    &["agreement", "sign"],
    &["agreement", "show"],
    &["handover", "export"],
    &["handover", "verify"],
    &["handover", "order"],
    &["handover", "import"],
    &["handover", "confirm"],
    &["handover", "status"],
    &["handover", "reopen"],
    &["applicability"],
    &["account", "whoami"],
    &["account", "list"],
    &["account", "show"],
    &["account", "add"],
    &["account", "set-roles"],
    &["account", "set-hours"],
    &["account", "suspend"],
    &["account", "resume"],
    &["account", "close"],
    &["account", "map"],
    &["account", "key"],
    &["account", "password"],
    &["account", "totp"],
    &["account", "review"],
    &["account", "break-glass"],
    &["account", "requests"],
    &["account", "approve"],
    &["account", "turn-down"],
    &["account", "confirm-file"],
    &["hospital", "enrol"],
    &["keyring", "init"],
    &["keyring", "show"],
    &["keyring", "rotate"],
    &["keyring", "rewrap"],
    &["keyring", "coverage"],
    &["keyring", "reseal"],
    &["keyring", "compromise"],
    &["keyring", "hsm", "probe"],
    &["keyring", "hsm", "protect"],
    &["keyring", "hsm", "release"],
    &["keyring", "hsm", "destroy"],
    &["suite", "show"],
    &["suite", "require"],
    &["suite", "move"],
    &["share", "card"],
    &["share", "trust"],
    &["share", "grant"],
    &["share", "list"],
    &["share", "accept"],
    &["share", "get"],
    &["share", "revoke"],
    &["device", "list"],
    &["device", "enrol"],
    &["device", "deposit"],
    &["device", "revoke"],
    &["escrow", "split"],
    &["escrow", "verify"],
    &["escrow", "drill"],
    &["escrow", "restore"],
    &["pack"],
    &["intake", "media", "announce"],
    &["intake", "media", "receive"],
    &["intake", "media", "station"],
    &["intake", "media", "check"],
    &["intake", "media", "take"],
    &["intake", "media", "dispose"],
    &["intake", "media", "list"],
    &["machine", "add"],
    &["machine", "change"],
    &["machine", "list"],
    &["machine", "show"],
    &["machine", "check"],
    &["machine", "set-state"],
    &["change", "add"],
    &["change", "list"],
    &["change", "show"],
    &["version"],
    &["quarantine", "list"],
    &["quarantine", "show"],
    &["quarantine", "release"],
    &["transfer", "status"],
    &["transfer", "reopen"],
    &["gateway", "serve"],
    &["gateway", "confirm"],
    &["gateway", "snapshot"],
    &["gateway", "status"],
    &["gateway", "scanner"],
    &["gateway", "user", "add"],
    &["gateway", "user", "set"],
    &["gateway", "user", "list"],
    &["gateway", "user", "remove"],
    &["bucket", "create"],
    &["bucket", "set-policy"],
    &["bucket", "show"],
    &["put"],
    &["get"],
    &["export"],
    &["ls"],
    &["stat"],
    &["audit-vault"],
    &["evidence", "verify"],
    &["evidence", "keys"],
    &["evidence", "renew"],
    &["timestamp", "take"],
    &["timestamp", "request"],
    &["timestamp", "add"],
    &["retention", "show"],
    &["retention", "start"],
    &["retention", "extend"],
    &["retention", "due"],
    &["hold", "set"],
    &["hold", "release"],
    &["hold", "list"],
    &["notices"],
    &["remark"],
    &["dispose", "due"],
    &["witness", "init"],
    &["witness", "add-log"],
    &["witness", "serve"],
    &["witness", "show"],
    &["witness", "require"],
    &["dispose", "request"],
    &["dispose", "cancel"],
    &["dispose", "approve"],
    &["dispose", "status"],
    &["dispose", "run"],
    &["dispose", "certificate"],
    &["dispose", "verify"],
    &["approver", "key"],
    &["approver", "show"],
    &["scrub"],
    &["repair"],
    &["copy-forward"],
    &["migrate"],
    &["compact"],
    &["check"],
    &["jobs"],
];

#[test]
fn every_command_has_help_with_an_example_of_itself() {
    for path in COMMANDS.into_iter().chain([&["verify"] as &[&str]]) {
        let help = shosoin(&[path, &["--help"]].concat()).ok().stdout;
        let example = format!("shosoin {}", path.join(" "));
        assert!(help.contains("Example") && help.contains(&example), "no example {example:?} in:\n{help}");
        assert!(help.contains("--json"), "no --json in the help of {path:?}");
    }
}

/// The commands clap lists below a help text.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let names = lines.take_while(|line| line.starts_with("  ")).filter(|line| !line.starts_with("     "));
    names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn no_command_is_missing_from_the_table_above() {
    let mut waiting: Vec<Vec<String>> = vec![vec![]];
    let mut leaves = 0;
    while let Some(path) = waiting.pop() {
        let mut arguments = path.clone();
        arguments.push("--help".to_owned());
        let below = listed(&shosoin(&arguments).ok().stdout);
        leaves += usize::from(below.is_empty());
        waiting.extend(below.into_iter().map(|name| [path.clone(), vec![name]].concat()));
    }
    assert_eq!(leaves, COMMANDS.len() + 1);
}

/// Commands of the operator, as help calls them, down to those that do something.
fn of_the_operator() -> Vec<String> {
    let names_in = |help: &str, whose: &str| -> Vec<String> {
        let lines = help.lines().filter(|line| line.contains(whose));
        lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    };
    let (top, mut leaves) = (shosoin(&["--help"]).ok().stdout, Vec::new());
    for (whose, all) in [(" Operator: ", true), (" Both sides: ", false)] {
        for group in names_in(&top, whose) {
            let help = shosoin(&[group.as_str(), "--help"]).ok().stdout;
            let below = if all { listed(&help) } else { names_in(&help, " Operator: ") };
            match below.is_empty() {
                true if all => leaves.push(group),
                _ => leaves.extend(below.iter().flat_map(|name| leaves_of(&format!("{group} {name}")))),
            }
        }
    }
    leaves
}

/// What a command consists of, or itself.
fn leaves_of(command: &str) -> Vec<String> {
    let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
    let below = listed(&shosoin(&arguments).ok().stdout);
    match below.is_empty() {
        true => vec![command.to_owned()],
        false => below.iter().flat_map(|name| leaves_of(&format!("{command} {name}"))).collect(),
    }
}

#[test]
fn every_command_of_the_operator_asks_for_exactly_one_permission_7_6_13_m5() {
    let commands = of_the_operator();
    assert!(commands.len() > 40, "{commands:?}");
    for command in &commands {
        let rows = TABLE.iter().filter(|(name, _)| name == command).count();
        let services = SERVICES.iter().filter(|name| *name == command).count();
        assert_eq!(rows + services, 1, "{command} in store/src/accounts/permission.rs");
    }
}

#[test]
fn an_unknown_command_or_argument_is_invalid() {
    shosoin(&["lock"]).fails(2, &["lock"]);
    shosoin(&["ls", "--dirr", "x"]).fails(2, &["--dirr"]);
    shosoin(&["ls"]).fails(2, &["--dir"]);
    shosoin(&["up"]).fails(2, &["--dir"]);
}

#[test]
fn a_passphrase_cannot_be_given_as_an_argument() {
    shosoin(&["keyring", "init", "--dir", "x", "--passphrase", "secret"]).fails(2, &["--passphrase"]);
}
