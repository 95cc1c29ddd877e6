//! Acts as a hospital's clients see them: those of every device and of the operator, each with the right signature or not
//! at all.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::*;
use shosoin_client::Error;
use shosoin_protocol::Suite;
use shosoin_protocol::act::{ActKind, Document, Hold, HoldReason, Incident, IncidentClass, Severity};
use shosoin_protocol::manifest::Versioning;

#[tokio::test(flavor = "multi_thread")]
async fn acts_of_hospital_and_operator_are_in_the_view_in_the_order_of_the_ledger() {
    for suite in Suite::ALL {
        let (_site, wire, client) = ward(suite, Versioning::Off).await;
        let stored = put(&client, "chart", b"a chart").await;
        let hold = Document::Hold(Hold::whole(HoldReason::Audit));
        let stated = client.state(Some(stored.version), hold.clone()).await.unwrap();
        assert!(stated.receipt.is_some());
        let (class, severity) = (IncidentClass::Loss, Severity::Grave);
        let incident = Document::Incident(Incident { class, severity, noticed_ms: 7, began_ms: None, scene: None });
        let hospital = client.keyring().hospital();
        let told = wire.vault.state(hospital, Some(stored.version), incident.clone()).await.unwrap();
        client.refresh().await.unwrap();
        put(&client, "chart", b"another chart").await;
        let told_again = wire.vault.state(hospital, None, incident.clone()).await.unwrap();
        client.refresh().await.unwrap();
        let acts = client.acts(&[ActKind::Hold, ActKind::Incident]).unwrap();
        let said: Vec<_> = acts.iter().map(|act| (act.id, act.subject, act.document.clone())).collect();
        let subject = Some(stored.version);
        assert_eq!(said, [(stated.id, subject, hold), (told, subject, incident.clone()), (told_again, None, incident)]);
        assert_eq!(client.acts(&[ActKind::Hold]).unwrap().len(), 1);
        assert!(
            client.devices().unwrap().iter().all(|device| device.is_this),
            "the vault is no device of the hospital"
        );
        client.close().await.unwrap();
        wire.vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_of_the_operator_is_not_the_hospitals_to_state() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Off).await;
    let (class, severity) = (IncidentClass::Other, Severity::Notice);
    let incident = Document::Incident(Incident { class, severity, noticed_ms: 7, began_ms: None, scene: None });
    assert!(matches!(client.state(None, incident).await, Err(Error::Invalid { what: "act", .. })));
}
