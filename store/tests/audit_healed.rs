//! A vault whose audit log is damaged on its own disk, and whose volumes hold a copy.

mod common;

use common::{Site, as_media, memory_volumes};
use shosoin_store::audit::{Action, AuditQuery};
use shosoin_store::{IndexKind, JobKind, JobOptions};

#[tokio::test]
async fn a_damaged_log_is_mended_when_the_vault_is_opened_and_the_operator_is_told() {
    let media = memory_volumes(6);
    let site = Site::on_media(IndexKind::Memory, as_media(&media)).await;
    let vault = site.open().await;
    vault.run_job(JobKind::Check, JobOptions::default()).await.unwrap();
    vault.close().await.unwrap();
    drop(vault);
    let file = site.path().join("audit/000001.log");
    let good = std::fs::read(&file).unwrap();
    let mut bytes = good.clone();
    bytes[300] ^= 4;
    std::fs::write(&file, &bytes).unwrap();
    let vault = site.open().await;
    let findings = vault.status().await.unwrap().findings;
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).filter(|code| code.starts_with("audit")).collect();
    assert_eq!(codes, ["audit-healed"], "{findings:?}");
    assert!(std::fs::read(&file).unwrap().starts_with(&good), "and goes on behind it");
    let query = AuditQuery { actions: vec![Action::LogRestored], ..AuditQuery::default() };
    let recorded = vault.audit().read(&query).unwrap();
    assert!(recorded.len() == 1 && recorded[0].event.reason.contains("000001.log"), "{recorded:?}");
    assert_eq!(vault.audit().verify(&as_media(&media)).unwrap().findings, []);
    assert_eq!(vault.media().media().len(), 6, "the ledger of media is the one that was written");
    vault.close().await.unwrap();
    drop(vault);
    let vault = site.open().await;
    assert!(vault.status().await.unwrap().findings.iter().all(|finding| !finding.code.starts_with("audit")));
}
