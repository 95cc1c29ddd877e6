//! The monthly report: what came in, what is held, what happened; made once, and nothing else afterwards.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::{NOW_MS, Site};
use serde_json::Value;
use shosoin_protocol::Suite;
use shosoin_store::accounts::Caller;
use shosoin_store::applicability::Lang;
use shosoin_store::audit::{Action, AuditQuery};
use shosoin_store::reports::{Month, ReportCommand};
use shosoin_store::{IndexKind, Result, Vault};

async fn ask(vault: &Vault, command: ReportCommand) -> Result<Value> {
    vault.report_command(command, Caller::this_process()).await
}

/// The month of a moment, where clocks show universal time.
fn month_of(at_ms: u64) -> Month {
    let (year, month) = (1970..)
        .flat_map(|year| (1..=12).map(move |month| (year, month)))
        .find(|(year, month)| {
            let month: Month = format!("{year:04}-{month:02}").parse().unwrap();
            let (from, until) = month.span(Default::default());
            (from..until).contains(&at_ms)
        })
        .unwrap();
    format!("{year:04}-{month:02}").parse().unwrap()
}

#[tokio::test]
async fn a_report_says_what_came_in_what_is_held_and_what_happened_3_4_all_p1_4_2_r3() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let mut hospital = common::enrolled(&vault, Suite::Default, 3).await;
    let month = month_of(NOW_MS);
    let make = || ReportCommand::Make { hospital: None, month };
    for name in ["a", "b"] {
        let (_, deposit) = hospital.small(name);
        common::accept(&vault, &mut hospital, [deposit]).await;
    }
    let early = ask(&vault, make()).await.unwrap_err().to_string();
    assert!(early.contains("not over yet"), "{early}");
    site.clock.advance(32 * 86_400_000);
    let (_, later) = hospital.small("c");
    common::accept(&vault, &mut hospital, [later]).await;
    let made = ask(&vault, make()).await.unwrap();
    let report = &made["report"];
    assert_eq!(made["made"], true);
    assert_eq!((&report["received"]["count"], &report["held"]["count"]), (&2.into(), &3.into()));
    assert!(report["received"]["bytes"].as_u64() > Some(0));
    assert_eq!((&report["disposed"]["count"], &report["given_out"]["count"]), (&0.into(), &0.into()));
    assert_eq!(report["log_root"].as_str().unwrap().len(), 64);
    assert!(report["scrub"]["period_days"].as_u64() > Some(0) && report["copy_forward"]["volumes"].as_u64() > Some(0));

    let (_, again) = hospital.small("d");
    common::accept(&vault, &mut hospital, [again]).await;
    let second = ask(&vault, make()).await.unwrap();
    assert_eq!((&second["made"], &second["digest"]), (&false.into(), &made["digest"]), "made once");
    let query = AuditQuery { actions: vec![Action::ReportMade], ..AuditQuery::default() };
    assert_eq!(vault.audit().read(&query).unwrap().len(), 1);

    for (lang, title) in [(Lang::Ja, "月次報告書"), (Lang::En, "Monthly report")] {
        let shown = ask(&vault, ReportCommand::Show { hospital: None, month, lang }).await.unwrap();
        let page = shown["html"].as_str().unwrap();
        assert!(page.contains(title) && page.contains(made["digest"].as_str().unwrap()), "{page}");
        assert!(!page.contains("<script") && !page.contains("http"), "nothing is fetched");
    }
    let listed = ask(&vault, ReportCommand::List { hospital: None }).await.unwrap();
    assert_eq!(listed["months"], serde_json::json!([month.to_string()]));

    let path = site.path().join("reports").join(hospital.id.to_string()).join(format!("{month}.json"));
    let altered = std::fs::read_to_string(&path).unwrap().replace("\"count\": 2", "\"count\": 9");
    std::fs::write(&path, altered).unwrap();
    let refused = ask(&vault, ReportCommand::Show { hospital: None, month, lang: Lang::Ja }).await.unwrap_err();
    assert!(refused.to_string().contains("not the report that was made"), "{refused}");
    let absent = "1999-01".parse().unwrap();
    assert!(ask(&vault, ReportCommand::Show { hospital: None, month: absent, lang: Lang::Ja }).await.is_err());
    vault.close().await.unwrap();
}
