//! The console from outside: how far somebody gets, and what each request that is not as it should be gets.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

#[path = "console/browser.rs"]
mod browser;
mod common;
#[path = "console/house.rs"]
mod house;

use browser::Answer;
use house::{House, MINUTE, PASSWORD, id};
use shosoin_store::accounts::{Caller, Change, RequestKind, Role};
use shosoin_store::audit::{Action, Outcome};
use shosoin_store::console::{Console, ConsoleConfig, PATHS};
use shosoin_store::machines::{MachineCommand, MachineId, MachineKind};
use shosoin_store::{IndexKind, JobKind};
use std::time::Duration;

/// Pages that need nothing in their address.
fn plain_pages() -> impl Iterator<Item = &'static str> {
    let actions = [
        "/agree",
        "/refuse",
        "/verify",
        "/start",
        "/stop",
        "/suspend",
        "/password",
        "/second-factor",
        "/prove",
        "/break-glass",
    ];
    let is_page = move |path: &&str| !path.contains('{') && !actions.iter().any(|action| path.ends_with(action));
    PATHS.iter().copied().filter(is_page)
}

#[tokio::test]
async fn first_a_password_of_ones_own_then_a_second_factor_then_everything_7_6_14_pw_m6_logon_s5() {
    let house = House::new().await;
    let first = house.invite("hanako", &[Role::Keeper]);
    let mut browser = house.browser();
    assert_eq!(browser.get("/").await.header("location"), "/log-on");
    assert_eq!(house.log_on(&mut browser, "hanako", &first, "").await.header("location"), "/account");
    for path in plain_pages().filter(|path| !["/account", "/jobs/progress"].contains(path)) {
        assert_eq!(browser.get(path).await.header("location"), "/account", "{path}");
    }
    let page = browser.get("/account").await;
    assert!(page.body.contains("Choose a password of your own first") && !page.body.contains("<nav"));
    assert_eq!(browser.post("/jobs/start", &[("job", "scrub")]).await.header("location"), "/account");
    let same = browser.post("/account/password", &[("old", &first), ("new", "weak"), ("again", "weak")]).await;
    assert_eq!(same.status, 422);
    let differ = browser.post("/account/password", &[("old", &first), ("new", PASSWORD), ("again", "other")]).await;
    assert!(differ.status == 422 && differ.body.contains("differ"));
    browser.post("/account/password", &[("old", &first), ("new", PASSWORD), ("again", PASSWORD)]).await;
    let page = browser.get("/account").await;
    assert!(page.body.contains("Enrol a second factor now"));
    assert_eq!(browser.get("/").await.header("location"), "/account");
    let shown = browser.post("/account/second-factor", &[]).await;
    assert!(shown.status == 200 && shown.body.contains("<svg class=\"qr\"") && shown.body.contains("shown once"));
    assert_eq!(browser.post("/account/second-factor/prove", &[("code", "000000")]).await.status, 422);
    house.later(MINUTE);
    let code = house.code("hanako");
    let proved = browser.post("/account/second-factor/prove", &[("code", &code)]).await;
    assert_eq!(proved.header("location"), "/account?done=factor");
    assert_eq!(browser.get("/").await.status, 200);
    assert_eq!(browser.post("/log-off", &[]).await.header("location"), "/log-on");
    house.later(MINUTE);
    assert_eq!(house.log_on(&mut browser, "hanako", PASSWORD, "").await.status, 403, "no code");
    house.later(MINUTE);
    let code = house.code("hanako");
    assert_eq!(house.log_on(&mut browser, "hanako", PASSWORD, &code).await.header("location"), "/");
    let page = browser.get("/").await;
    assert!(page.body.contains("Failed tries since then: 1"), "7.6.14-LOGON-S1");
    assert!(page.body.contains("somebody may have tried your account"));
    house.end().await;
}

fn is_dressed(answer: &Answer, what: &str) {
    let policy = answer.header("content-security-policy");
    for rule in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(rule), "{what}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{what}: {policy}");
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(answer.header("referrer-policy"), "same-origin", "{what}");
    assert!(answer.header("strict-transport-security").starts_with("max-age="), "{what}");
}

#[tokio::test]
async fn every_page_is_whole_in_both_languages_and_fetches_nothing_from_elsewhere() {
    let house = House::new().await;
    let mut keeper = house.person("hanako", &[Role::Keeper, Role::Media]).await;
    let mut auditor = house.person("saburo", &[Role::Auditor]).await;
    let mut hospital = common::enrolled(&house.vault, shosoin_protocol::Suite::Default, 3).await;
    let (_, deposit) = hospital.small("a");
    common::accept(&house.vault, &mut hospital, [deposit]).await;
    let volume = house.vault.volumes().list()[0].label.id.clone();
    let more = [format!("/volumes/{volume}"), "/jobs/scrub".to_owned(), format!("/ledger/{}/1", hospital.id)];
    let mut seen = 0;
    for (lang, word) in [("en", "Operator console"), ("ja", "運用コンソール")] {
        let pages = plain_pages().filter(|path| *path != "/jobs/progress").map(str::to_owned);
        for path in pages.chain(more.clone()) {
            let path = path.as_str();
            for browser in [&mut auditor, &mut keeper] {
                let page = browser.get(&format!("{path}?lang={lang}")).await;
                is_dressed(&page, path);
                if page.status == 403 {
                    continue;
                }
                assert_eq!(page.status, 200, "{path}: {}", page.body);
                seen += 1;
                assert!(page.body.contains(&format!("<html lang=\"{lang}\"")), "{path}");
                for refused in [" style=", " onclick", " onload", "javascript:", "http://", "https://", "<iframe"] {
                    let body = page.body.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
                    assert!(!body.contains(refused), "{path} has {refused}");
                }
                if path != "/applicability/statement" {
                    assert!(page.body.contains(word) && page.body.contains("<main id=\"main\""), "{path}");
                    assert!(page.body.contains("href=\"#main\"") && page.body.matches("<h1").count() == 1, "{path}");
                }
            }
        }
    }
    assert!(seen >= 2 * (plain_pages().count() + more.len() - 1), "somebody sees each page: {seen}");
    for path in ["/console.css", "/console.js", "/icon.svg", "/log-on", "/nothing/here"] {
        is_dressed(&house.browser().get(path).await, path);
    }
    house.end().await;
}

#[tokio::test]
async fn a_form_is_believed_only_with_the_token_of_its_session_and_from_a_page_of_this_address() {
    let house = House::new().await;
    let mut hanako = house.person("hanako", &[Role::Keeper]).await;
    let other = house.person("jiro", &[Role::Keeper]).await;
    hanako.get("/jobs").await;
    let here = hanako.origin();
    let (own, foreign) = (hanako.token.clone(), other.token.clone());
    let entry = house.browser().get("/log-on").await.token().unwrap().to_owned();
    for (token, why) in
        [("", "none"), ("0", "wrong"), (foreign.as_str(), "another's"), (entry.as_str(), "of the log-on form")]
    {
        let answer = hanako.post_bare("/jobs/start", &[("token", token), ("job", "scrub")], &here).await;
        assert_eq!(answer.status, 403, "{why}");
    }
    assert_eq!(hanako.post_bare("/jobs/start", &[("job", "scrub")], &here).await.status, 403);
    let twice = [("token", own.as_str()), ("token", own.as_str()), ("job", "scrub")];
    assert_eq!(hanako.post_bare("/jobs/start", &twice, &here).await.status, 403);
    let refused = house.records(Action::CommandRefused);
    let by = |record: &&shosoin_store::audit::AuditRecord| record.event.actor == "hanako";
    assert!(refused.iter().filter(by).any(|record| record.event.reason.contains("a form without its token")));
    let good = [("token", own.as_str()), ("job", "scrub")];
    for headers in [
        "origin: https://evil.example\r\nsec-fetch-site: cross-site\r\n".to_owned(),
        "origin: null\r\n".to_owned(),
        here.replace("same-origin", "same-site"),
        String::new(),
    ] {
        assert_eq!(hanako.post_bare("/jobs/start", &good, &headers).await.status, 403, "{headers}");
    }
    let elsewhere = house.records(Action::CommandRefused);
    assert!(elsewhere.iter().any(|record| record.event.reason.contains("a form from elsewhere")));
    assert!(house.records(Action::Scrub).is_empty(), "nothing began");
    let unasked =
        hanako.send("GET /jobs HTTP/1.1\r\nsec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\n", "").await;
    assert_eq!(unasked.status, 403);
    assert!(![200, 303].contains(&hanako.get("/jobs/start").await.status), "nothing begins with a GET");
    assert_eq!(
        hanako.post("/jobs/start", &[("job", "forecast")]).await.header("location"),
        "/jobs/forecast?done=started"
    );
    house.end().await;
}

#[tokio::test]
async fn a_session_is_drawn_for_each_log_on_and_none_that_a_browser_brings_is_taken_over() {
    let house = House::new().await;
    let before = house.person("hanako", &[Role::Keeper]).await;
    let planted = "ab".repeat(32);
    let mut browser = house.browser();
    browser.cookies.insert("__Host-shosoin".into(), planted.clone());
    let code = house.code("hanako");
    assert_eq!(house.log_on(&mut browser, "hanako", PASSWORD, &code).await.header("location"), "/");
    let drawn = browser.cookies["__Host-shosoin"].clone();
    assert!(drawn != planted && drawn != before.cookies["__Host-shosoin"]);
    assert_eq!(browser.get("/").await.status, 200);
    let mut with_planted = house.browser();
    with_planted.cookies.insert("__Host-shosoin".into(), planted);
    assert_eq!(with_planted.get("/").await.header("location"), "/log-on");
    let mut older = before.clone();
    assert_eq!(older.get("/").await.header("location"), "/log-on", "one session for each person");
    let (token, kept) = (browser.token.clone(), browser.cookies.clone());
    assert_eq!(browser.post("/log-off", &[]).await.header("location"), "/log-on");
    assert!(!browser.cookies.contains_key("__Host-shosoin"));
    let mut stolen = house.browser();
    (stolen.cookies, stolen.token) = (kept, token);
    assert_eq!(stolen.get("/").await.header("location"), "/log-on", "a cookie that was kept is worth nothing");
    assert_eq!(stolen.post("/jobs/start", &[("job", "scrub")]).await.status, 401);
    house.end().await;
}

#[tokio::test]
async fn a_session_without_use_ends_although_its_page_looks_for_progress_7_6_14_logon_m1() {
    let house = House::new().await;
    let mut hanako = house.person("hanako", &[Role::Keeper]).await;
    assert_eq!(hanako.get("/jobs").await.status, 200);
    for _ in 0..14 {
        house.later(MINUTE);
        let look = hanako.get("/jobs/progress").await;
        assert_eq!((look.status, look.header("content-type")), (200, "application/json"));
    }
    house.later(MINUTE);
    assert_eq!(hanako.get("/jobs/progress").await.status, 401);
    assert_eq!(hanako.get("/jobs").await.header("location"), "/log-on");
    house.vault.accounts().sweep().unwrap();
    let ended = house.records(Action::LoggedOff);
    assert!(ended.iter().any(|record| record.event.actor == "hanako" && record.event.reason == "not used"));
    house.end().await;
}

#[tokio::test]
async fn whatever_was_wrong_the_answer_is_the_same_7_6_14_logon_s3() {
    let house = House::new().await;
    house.person("hanako", &[Role::Keeper]).await;
    let mut answers = Vec::new();
    for (name, password, code) in [
        ("hanako", "wrong-1-password", ""),
        ("nobody.here", PASSWORD, ""),
        ("chief", PASSWORD, "123456"),
        ("hanako", PASSWORD, "000000"),
        ("../../etc/passwd", "x", "y"),
        ("<script>alert(1)</script>", "x", ""),
    ] {
        house.later(MINUTE);
        let mut browser = house.browser();
        let answer = house.log_on(&mut browser, name, password, code).await;
        let token = answer.token().unwrap().to_owned();
        let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie").count();
        answers.push((answer.status, cookies, answer.body.replace(&token, "")));
    }
    assert_eq!(answers[0].0, 403);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    house.end().await;
}

#[tokio::test]
async fn floods_of_tries_and_of_requests_are_turned_away_and_on_record() {
    let house = House::new().await;
    let mut browser = house.browser();
    browser.get("/log-on").await;
    let tries = (0..16).map(|no| {
        let (mut browser, name) = (browser.clone(), format!("person{no}"));
        async move { browser.post("/log-on", &[("id", &name), ("password", "x"), ("code", "")]).await }
    });
    let answers: Vec<Answer> = futures::future::join_all(tries).await;
    let turned_away: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(turned_away.len() >= 3, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    assert!(turned_away.iter().all(|answer| answer.header("retry-after").parse::<u64>().is_ok()));
    let refused = house.records(Action::LogOnRefused);
    assert!(refused.iter().any(|record| record.event.reason.starts_with("too many tries") && record.event.outcome == Outcome::Refused));
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let many = (0..8).map(|_| async { house.browser().get("/console.css").await.status });
        statuses.extend(futures::future::join_all(many).await);
    }
    assert!(statuses.contains(&200) && statuses.contains(&429), "a flood of requests");
    house.end().await;
}

#[tokio::test]
async fn garbage_is_refused_politely_and_never_reaches_a_header_a_file_or_a_panic() {
    let house = House::new().await;
    let mut hanako = house.person("hanako", &[Role::Keeper, Role::Media]).await;
    common::enrolled(&house.vault, shosoin_protocol::Suite::Default, 3).await;
    for path in [
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/volumes/..%2f..%2fvault.key",
        "/volumes/%00",
        "/jobs/%0d%0aSet-Cookie:%20a=b",
        "/jobs/scrub?done=%3Cscript%3E",
        "/console.css/../vault.toml",
        "/ledger/../../x/1",
        "/ledger/zz/1",
        "/ledger/00000000000000000000000000000000/99999999999999999999999",
        "//evil.example/",
    ] {
        let answer = hanako.get(path).await;
        assert!((200..500).contains(&answer.status) && answer.status != 401, "{path}: {}", answer.status);
        for refused in ["root:", "[[volume]]", "<script>"] {
            assert!(!answer.body.contains(refused), "{path}");
        }
        assert!(
            answer.headers.iter().all(|(name, value)| name != "set-cookie" || value.starts_with("__Host-")),
            "{path}"
        );
        assert!(!answer.header("location").starts_with("//"), "{path}");
    }
    for query in [
        "/ledger?after=zz",
        "/ledger?type=T9",
        "/ledger?since=yesterday",
        "/ledger?from=-1",
        "/ledger?order=%00",
        "/ledger?limit=9",
        "/audit?before=x",
        "/audit?action=nothing",
        "/audit?volume=%0d%0aX:1",
        "/forecast?months=0",
        "/forecast?months=99999999999",
        "/forecast?hours=169",
        "/forecast?drives=4294967296",
        "/jobs?x=1",
        "/jobs?done=a&done=b",
    ] {
        let answer = hanako.get(query).await;
        assert!([400, 403, 404].contains(&answer.status), "{query}: {} {}", answer.status, answer.body);
        assert!(answer.body.contains("Not done"), "{query}");
    }
    for head in ["PUT /jobs HTTP/1.1\r\n", "DELETE / HTTP/1.1\r\n", "TRACE / HTTP/1.1\r\n", "GET * HTTP/1.1\r\n"] {
        assert!((400..500).contains(&hanako.send(head, "").await.status), "{head}");
    }
    assert_eq!(hanako.send(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(5000)), "").await.status, 414);
    assert!((400..500).contains(&hanako.raw(b"GET / HTTP/1.1\r\nhost: a\r\nx: \x01\x02\r\n\r\n").await.status));
    hanako.get("/jobs").await;
    let (here, token) = (hanako.origin(), hanako.token.clone());
    let long = "a".repeat(20_000);
    assert_eq!(hanako.post_bare("/jobs/start", &[("token", &token), ("job", &long)], &here).await.status, 413);
    for fields in [
        &[("job", "no-such")][..],
        &[("job", "scrub"), ("hours", "-1")],
        &[("job", "scrub"), ("hours", "9999")],
        &[("job", "scrub"), ("volume", "../..")],
        &[("job", "scrub"), ("surprise", "1")],
        &[],
    ] {
        let answer = hanako.post("/jobs/start", fields).await;
        assert!([400, 404].contains(&answer.status), "{fields:?}: {}", answer.status);
        hanako.get("/jobs").await;
    }
    let head = format!("POST /jobs/start HTTP/1.1\r\n{here}content-type: application/json\r\ncontent-length: 2\r\n");
    assert_eq!(hanako.send(&head, "{}").await.status, 415);
    house.end().await;
}

#[tokio::test]
async fn nothing_that_anybody_typed_becomes_markup() {
    const BAD: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";
    let house = House::new().await;
    let accounts = house.vault.accounts().clone();
    let chief = Caller::this_process();
    let roles = shosoin_store::accounts::Roles::of(&[Role::Keeper]).unwrap();
    let named = Change::Add { id: id("named"), name: BAD.into(), roles, os_user: None, hours: Default::default() };
    accounts.propose(&chief, named, BAD).unwrap();
    let volume = house.vault.volumes().list()[0].label.id.clone();
    let change =
        shosoin_store::volumes::LabelChange { vendor: Some(BAD.into()), lot: Some(BAD.into()), ..Default::default() };
    house.vault.volumes().relabel(&volume, &change, BAD, false, "chief").unwrap();
    let mut hanako = house.person("hanako", &[Role::Keeper, Role::Media]).await;
    let mut auditor = house.person("saburo", &[Role::Auditor]).await;
    hanako.get("/account").await;
    let asked = hanako.post("/account/break-glass", &[("minutes", "5"), ("reason", BAD)]).await;
    assert_eq!(asked.header("location"), "/account?done=asked");
    auditor.get("/approvals").await;
    let number = accounts.requests()[0].number.to_string();
    auditor.post("/approvals/refuse", &[("number", &number), ("reason", BAD)]).await;
    auditor.get("/people").await;
    auditor.post("/people/suspend", &[("id", "named"), ("reason", BAD)]).await;
    let escaped = "&lt;script&gt;alert(1)";
    let mut met = 0;
    let searches = [("/audit?actor=", &mut auditor), ("/ledger?device=", &mut hanako)];
    let mut pages = Vec::new();
    for (path, browser) in searches {
        let query: String = form_urlencoded::byte_serialize(BAD.as_bytes()).collect();
        pages.push(browser.get(&format!("{path}{query}")).await);
    }
    for path in ["/", "/people", "/approvals", "/audit", "/volumes", &format!("/volumes/{volume}"), "/account"] {
        pages.push(auditor.get(path).await);
        pages.push(hanako.get(path).await);
    }
    for page in pages {
        assert!(!page.body.contains("<script>alert") && !page.body.contains("<img"), "{}", page.body);
        met += page.body.matches(escaped).count();
    }
    assert!(met >= 5, "it was shown as text {met} times");
    house.end().await;
}

#[tokio::test]
async fn nobody_sees_a_page_or_does_a_thing_beyond_their_duties_7_6_13_m5_s1() {
    let house = House::new().await;
    let mut keeper = house.person("hanako", &[Role::Keeper]).await;
    let mut approver = house.person("goro", &[Role::DisposalApprover]).await;
    let mut auditor = house.person("saburo", &[Role::Auditor]).await;
    for (path, is_keeper) in [("/people", true), ("/audit", false), ("/volumes", false)] {
        let browser = if is_keeper { &mut keeper } else { &mut approver };
        let home = browser.get("/").await;
        assert!(!home.body.contains(&format!("href=\"{path}\"")), "{path} is not in the menu");
        let answer = browser.get(path).await;
        assert!(answer.status == 403 && answer.body.contains("may not do"), "{path}");
    }
    let page = auditor.get("/jobs").await;
    let starts = |job: &str| page.body.contains(&format!("aria-label=\"Start: {job}\""));
    assert!(starts("check") && !starts("scrub"), "who audits may verify and starts nothing else");
    assert_eq!(auditor.post("/jobs/start", &[("job", "scrub")]).await.status, 403);
    assert_eq!(auditor.post("/jobs/stop", &[("job", "scrub")]).await.status, 403);
    assert_eq!(keeper.post("/people/suspend", &[("id", "saburo"), ("reason", "x")]).await.status, 403);
    let on_record = house.records(Action::CommandRefused);
    for (actor, what) in [("hanako", "/people"), ("saburo", "scrub"), ("goro", "/audit"), ("hanako", "/people/suspend")]
    {
        let is_there =
            on_record.iter().any(|record| record.event.actor == actor && record.event.reason.starts_with(what));
        assert!(is_there, "{actor} {what}");
    }
    house.end().await;
}

#[tokio::test]
async fn a_request_waits_for_a_second_person_and_never_for_the_one_who_asked_7_6_13_m3() {
    let house = House::new().await;
    let mut hanako = house.person("hanako", &[Role::Keeper]).await;
    let mut jiro = house.person("jiro", &[Role::Keeper]).await;
    let mut goro = house.person("goro", &[Role::DisposalApprover]).await;
    let accounts = house.vault.accounts().clone();
    let asker = accounts.caller(&hanako.cookies["__Host-shosoin"]).unwrap();
    let what = shosoin_protocol::Digest([7; 32]);
    let number = accounts.request(&asker, RequestKind::LedgerEdit, "entry 12", what).unwrap().number;
    let own = hanako.get("/approvals").await;
    assert!(
        own.body.contains("entry 12")
            && own.body.contains("Take back")
            && !own.body.contains("action=\"/approvals/agree\"")
    );
    let text = number.to_string();
    assert_eq!(hanako.post("/approvals/agree", &[("number", &text)]).await.status, 403);
    let others = goro.get("/approvals").await;
    assert!(!others.body.contains("entry 12"), "whom it does not concern does not see it");
    let page = jiro.get("/approvals").await;
    assert!(
        page.body.contains("entry 12") && page.body.contains(&what.to_string()),
        "what is agreed to is on the page"
    );
    assert_eq!(jiro.post("/approvals/agree", &[("number", &text)]).await.header("location"), "/approvals?done=agreed");
    assert_eq!(jiro.post("/approvals/agree", &[("number", &text)]).await.status, 403, "once");
    let taken = accounts.take(RequestKind::LedgerEdit, "entry 12", what, "hanako").unwrap();
    assert_eq!(taken.by(), [id("jiro")]);
    let given = house.records(Action::ApprovalGiven);
    assert!(given.iter().any(|record| record.event.actor == "jiro" && record.event.outcome == Outcome::Done));
    assert!(given.iter().any(|record| record.event.actor == "hanako" && record.event.outcome == Outcome::Refused));
    house.end().await;
}

#[tokio::test]
async fn a_job_is_started_and_watched_under_the_name_of_who_asked() {
    let house = House::new().await;
    let mut hanako = house.person("hanako", &[Role::Keeper]).await;
    hanako.get("/jobs").await;
    let started = hanako.post("/jobs/start", &[("job", "scrub"), ("dry_run", "yes")]).await;
    assert_eq!(started.header("location"), "/jobs/scrub?done=started");
    hanako.post("/jobs/start", &[("job", "check"), ("every_unit", "yes")]).await;
    house.vault.run_job(JobKind::Repair, Default::default()).await.unwrap();
    let mut page = hanako.get("/jobs/scrub").await;
    for _ in 0..600 {
        if page.body.contains("A dry run") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        page = hanako.get("/jobs/scrub").await;
    }
    assert!(page.body.contains("A dry run: nothing was changed") && page.body.contains("hanako"), "{}", page.body);
    let told: serde_json::Value = serde_json::from_str(&hanako.get("/jobs/progress").await.body).unwrap();
    assert_eq!(told["jobs"].as_array().unwrap().len(), JobKind::ALL.len());
    let checks = house.records(Action::Check);
    assert!(checks.iter().any(|record| record.event.actor == "hanako" && record.event.outcome == Outcome::Begun));
    assert_eq!(hanako.post("/jobs/stop", &[("job", "migrate")]).await.header("location"), "/jobs/migrate?done=idle");
    let stops = house.records(Action::JobSetting);
    assert!(stops.iter().any(|record| record.event.actor == "hanako"));
    house.end().await;
}

#[tokio::test]
async fn a_page_of_the_ledger_holds_no_byte_of_a_record_and_every_look_is_on_record_7_5_3_m4() {
    let house = House::new().await;
    let mut hanako = house.person("hanako", &[Role::Keeper]).await;
    let mut hospital = common::enrolled(&house.vault, shosoin_protocol::Suite::Default, 3).await;
    let (parcel, deposit) = hospital.small("a");
    common::accept(&house.vault, &mut hospital, [deposit]).await;
    let page = hanako.get("/ledger").await;
    assert!(page.body.contains("Entries found: 1"), "{}", page.body);
    let one = hanako.get(&format!("/ledger/{}/1", hospital.id)).await;
    assert!(one.status == 200 && one.body.contains("nobody: it is sealed"));
    for record in &parcel.records {
        let middle = &record.bytes[record.bytes.len() / 2..][..12];
        let piece = hex::encode(middle);
        assert!(!one.body.contains(&piece) && !page.body.contains(&piece));
    }
    let reads = house.records(Action::AssetsRead);
    assert_eq!(reads.iter().filter(|record| record.event.actor == "hanako").count(), 2);
    for path in PATHS {
        assert!(!path.contains("record") && !path.contains("object") && !path.contains("download"), "{path}");
    }
    house.end().await;
}

#[tokio::test]
async fn what_is_in_quarantine_is_shown_to_keepers_with_why_and_until_when_in_both_languages() {
    let house = House::new().await;
    let mut hanako = house.person("hanako", &[Role::Keeper]).await;
    let hospital = common::enrolled(&house.vault, shosoin_protocol::Suite::Default, 3).await;
    assert!(hanako.get("/quarantine").await.body.contains("Nothing is in quarantine."));
    let (chunk, other) = (hospital.chunk(700, 3), hospital.suite.address(&hospital.chunk(700, 4)));
    house.vault.put_chunk(hospital.id, other, chunk).await.unwrap_err();
    let page = hanako.get("/quarantine").await;
    assert!(page.body.contains("other bytes than its address says") && page.body.contains("held"), "{}", page.body);
    assert!(hanako.get("/quarantine?lang=ja").await.body.contains("内容とアドレスの不一致"));
    let mut saburo = house.person("saburo", &[Role::Auditor]).await;
    assert_eq!(saburo.get("/quarantine").await.status, 403);
    house.end().await;
}

#[tokio::test]
async fn there_is_no_console_before_there_is_an_account_and_only_for_terminals_that_are_named_7_6_14_priv_m4() {
    let site = common::Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let refused = Console::bind(&vault, "127.0.0.1:0".parse().unwrap()).await.err().unwrap();
    assert!(refused.to_string().contains("no account yet"), "{refused}");
    vault.close().await.unwrap();
    let elsewhere = House::changed(|config| config.console.terminals = vec!["192.0.2.0/24".parse().unwrap()]).await;
    assert!(browser::connect(elsewhere.address).await.is_err(), "not even a handshake");
    elsewhere.end().await;
    let here = House::changed(|config| config.console.terminals = vec!["127.0.0.0/8".parse().unwrap()]).await;
    assert_eq!(here.browser().get("/log-on").await.status, 200);
    here.end().await;
}

#[tokio::test]
async fn a_vault_that_runs_on_no_registered_host_gives_its_console_to_nobody_there_7_5_3_m13_7_6_14_priv_m4() {
    let folder = tempfile::tempdir().unwrap();
    let host_id = folder.path().join("host-id");
    std::fs::write(&host_id, "4c0f").unwrap();
    let house = House::changed(|config| config.machines.host_id = host_id.clone()).await;
    assert_eq!(house.browser().get("/log-on").await.status, 200, "nothing is registered");
    let ask = |command| house.vault.machine_command(command, shosoin_store::accounts::Caller::this_process());
    let (id, reason): (MachineId, _) = ("vault-a".parse().unwrap(), "order 118".to_owned());
    let (kind, addresses) = (MachineKind::VaultHost, Vec::new());
    ask(MachineCommand::Add { id, kind, addresses, this_host: true, reason }).await.unwrap();
    assert!(browser::connect(house.address).await.is_err(), "not even a handshake before it was checked");
    let noted = async {
        while house.records(Action::MachineUnknown).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), noted).await.unwrap();
    let record = house.records(Action::MachineUnknown).remove(0).event;
    assert!(record.reason.contains("vault-a: it is new") && record.source == Some("127.0.0.1".parse().unwrap()));
    house.end().await;
}

#[tokio::test]
async fn a_configured_certificate_is_shown_in_place_of_the_vaults_own() {
    let made = rcgen::generate_simple_self_signed(["console.example".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("console.crt"), folder.path().join("console.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let configured = ConsoleConfig { certificate: Some(certificate), key: Some(key), ..ConsoleConfig::default() };
    let house = House::changed(|config| config.console = configured).await;
    let stream = browser::connect(house.address).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    assert_eq!(&shown, made.cert.der());
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    house.end().await;
}
