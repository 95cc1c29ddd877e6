//! People, requests and reviews as text.

use crate::text::time;
use serde_json::Value;
use std::fmt::Write as _;

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn moment(value: &Value) -> String {
    value.as_u64().map_or_else(|| "never".to_owned(), time)
}

fn words(value: &Value) -> String {
    let names: Vec<&str> = value.as_array().into_iter().flatten().map(word).collect();
    if names.is_empty() { "none".to_owned() } else { names.join("+") }
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Who the caller is.
pub fn whoami(who: &Value) -> String {
    if who["account"].is_null() {
        return format!(
            "{}: this vault has no accounts; whoever may open its folder runs it\n  next: the owner of the folder makes the first \
             administrator with `shosoin account add ID --role admin`\n",
            word(&who["actor"])
        );
    }
    one(&who["account"]) + &format!("may       {}\n", words(&who["permissions"]).replace('+', ", "))
}

/// Everybody, a line each.
pub fn list(list: &Value) -> String {
    let mut out = String::new();
    for account in each(&list["accounts"]) {
        let state = match account["locked_until_ms"].is_null() {
            true => word(&account["state"]),
            false => "locked",
        };
        let (user, roles) = (word(&account["os_user"]["name"]), words(&account["roles"]));
        let seen = moment(&account["last_success_ms"]);
        let _ = writeln!(out, "{:<24}{state:<11}{roles:<28}{user:<16}last {seen}", word(&account["id"]));
    }
    let confirmed = list["rights_are_confirmed"] == true;
    out + match confirmed {
        true => "rights are changed with a second person's agreement\n",
        false => "rights are changed by one administrator alone until a second person can agree\n",
    }
}

/// One account.
pub fn one(account: &Value) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "id        {}  {}", word(&account["id"]), word(&account["name"]));
    let _ = writeln!(out, "state     {} since {}", word(&account["state"]), moment(&account["changed_ms"]));
    if !account["locked_until_ms"].is_null() {
        let _ = writeln!(out, "locked    until {}", moment(&account["locked_until_ms"]));
    }
    let _ = writeln!(out, "roles     {}", words(&account["roles"]));
    for grant in each(&account["granted"]) {
        let (roles, until) = (words(&grant["roles"]), moment(&grant["until_ms"]));
        let _ = writeln!(out, "granted   {roles} until {until}, by request {}", grant["request"]);
    }
    let _ = writeln!(out, "user      {}", word(&account["os_user"]["name"]));
    let _ = writeln!(out, "hours     {}", word(&account["hours"]));
    let (password, factor) = (word(&account["password"]), word(&account["second_factor"]));
    let _ = writeln!(out, "password  {password}, second factor {factor}, key {}", word(&account["key"]));
    let _ = writeln!(out, "last      {}", moment(&account["last_success_ms"]));
    if !account["last_failure_ms"].is_null() {
        let failed = moment(&account["last_failure_ms"]);
        let _ = writeln!(out, "failed    {failed}, {} times since the last log-on", account["failures"]);
    }
    out
}

/// What somebody could reach and did.
pub fn reach(reach: &Value) -> String {
    let mut out = String::new();
    for tenure in each(&reach["tenures"]) {
        let until = if tenure["until_ms"].is_null() { "now".to_owned() } else { moment(&tenure["until_ms"]) };
        let _ = writeln!(out, "from {} to {until}: {}", moment(&tenure["from_ms"]), words(&tenure["roles"]));
    }
    let _ = writeln!(out, "could: {}", each(&reach["could"]).map(word).collect::<Vec<_>>().join(", "));
    for did in each(&reach["did"]) {
        let (action, outcome, count) = (word(&did["action"]), word(&did["outcome"]), &did["count"]);
        let (first, last) = (moment(&did["first_ms"]), moment(&did["last_ms"]));
        let _ = writeln!(out, "did {count:>6} x {action:<22}{outcome:<9}from {first} to {last}");
    }
    let _ = writeln!(
        out,
        "{} records in all; no operator can open a record of a hospital, so what is to be verified is loss and alteration",
        reach["records_in_all"]
    );
    out
}

/// What became of a change.
pub fn changed(id: &str, answer: &Value) -> String {
    match answer["request"].as_u64() {
        None => format!("{id}: done\n"),
        Some(number) => format!(
            "{id}: waits for another person's agreement as request {number}\n  next: they run `shosoin account approve {number}`\n"
        ),
    }
}

/// What became of a new account.
pub fn added(id: &str, answer: &Value) -> String {
    let next = "  next: a person without a user of this machine gets a first password: `shosoin account password ID --first`\n";
    changed(id, answer) + if answer["done"] == true { next } else { "" }
}

/// Somebody is stopped.
pub fn suspended(id: &str, answer: &Value) -> String {
    let next = format!("  next: verify what was within reach: `shosoin account review --suspended {id}`\n");
    format!("{id} is suspended; what that person could reach:\n") + &reach(&answer["reach"]) + &next
}

/// Requests, a line each.
pub fn requests(found: &Value) -> String {
    let lines: String = each(&found["requests"]).map(request).collect();
    if lines.is_empty() { "nothing waits for you\n".to_owned() } else { lines }
}

/// One request.
pub fn request(request: &Value) -> String {
    let approvals: Vec<&str> = each(&request["approvals"]).map(|approval| word(&approval["by"])).collect();
    let (state, subject, by) = (word(&request["state"]), word(&request["subject"]), word(&request["requested_by"]));
    format!(
        "{:>5}  {state:<12}{subject}\n       asked by {by}, agreed by {} ({} of {} needed), too old from {}\n",
        request["number"],
        if approvals.is_empty() { "nobody".to_owned() } else { approvals.join(", ") },
        approvals.len(),
        request["approvals_needed"],
        moment(&request["expires_ms"]),
    )
}

/// A review.
pub fn review(review: &Value) -> String {
    let mut out: String = list(review);
    let ids = |name: &str| each(&review[name]).map(word).collect::<Vec<_>>().join(", ");
    for (name, what) in [
        ("administrators", "give rights"),
        ("unused", "not used for 60 days: still needed?"),
        ("without_second_factor", "no second factor"),
        ("closed", "left"),
    ] {
        let _ = writeln!(out, "{what}: {}", ids(name));
    }
    let _ = writeln!(out, "requests waiting: {}", review["requests_waiting"]);
    let _ = writeln!(out, "review before this one: {}", moment(&review["reviewed_before_ms"]));
    out
}

/// What was verified since somebody was stopped.
pub fn verification(found: &Value) -> String {
    let mut out = format!("{} was stopped {}\n", word(&found["account"]), moment(&found["stopped_ms"]));
    for proof in each(&found["proofs"]) {
        let state = match proof["at_ms"].as_u64() {
            Some(at_ms) => format!("verified {}, {} findings", time(at_ms), proof["findings"]),
            None => "not yet".to_owned(),
        };
        let _ = writeln!(out, "{:<72}{state}", word(&proof["what"]));
    }
    out += &reach(&found["reach"]);
    let started: Vec<&str> = each(&found["started"]).map(word).collect();
    out + &match (found["complete"] == true, started.is_empty()) {
        (true, _) => "everything is verified, and on record\n".to_owned(),
        (false, false) => format!("started: {}; run this again when they are done\n", started.join(", ")),
        (false, true) => "  next: `shosoin scrub` and `shosoin check`, then this again\n".to_owned(),
    }
}
