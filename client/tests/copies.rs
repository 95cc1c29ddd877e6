//! Two states with one device key: a gateway that was copied, and one that was restored from a backup. Whoever does not
//! know the newest entry of its own device in the ledger reads, and signs nothing until a person has confirmed the head.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::*;
use shosoin_client::{Client, ClientOptions, Condition, Error, Part};
use shosoin_protocol::manifest::Versioning;
use shosoin_protocol::{Digest, ErrorKind, Suite};

async fn refused_put(client: &Client, name: &str) -> Error {
    let content = write(client, b"x").await;
    client.put_object(object(name), Part::single(content), Condition::Any).await.unwrap_err()
}

fn is_unconfirmed(error: &Error) -> bool {
    matches!(error.root(), Error::Unconfirmed { .. }) && error.kind() == ErrorKind::Refused
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_copies_that_run_at_once_the_one_that_meets_a_foreign_entry_of_its_device_signs_nothing_more() {
    let (site, wire, first) = ward(Suite::Default, Versioning::Off).await;
    first.close().await.unwrap();
    drop(first);
    let copied = site.dir.path().join("copy");
    copy_folder(&site.state_dir(), &copied);
    let first = site.client(&wire).await;
    let second = Client::open(ClientOptions::new(&copied), site.keyring(), wire.clone()).await.unwrap();
    assert!(!second.device_standing().await.unwrap().read_only, "nothing tells the two apart yet");
    put(&first, "first", b"1").await;

    let refused = refused_put(&second, "second").await;
    assert!(is_unconfirmed(&refused), "{refused}");
    let standing = second.device_standing().await.unwrap();
    assert!(standing.read_only && standing.entries > standing.known, "{standing:?}");
    assert_eq!(get(&second, "first").await.unwrap(), b"1", "reading goes on");
    assert!(is_unconfirmed(&second.delete(BUCKET, "first", Condition::Any).await.unwrap_err()));
    put(&first, "again", b"2").await;

    // a person decides for the second: then the first is the copy
    let head = second.device_standing().await.unwrap().head.unwrap();
    assert!(!second.confirm_head(head.size, head.root).await.unwrap().read_only);
    put(&second, "second", b"3").await;
    let refused = refused_put(&first, "third").await;
    assert!(is_unconfirmed(&refused), "{refused}");
    assert_eq!(get(&first, "second").await.unwrap(), b"3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_restored_from_a_backup_signs_nothing_until_a_head_that_the_ledger_has_was_confirmed() {
    for suite in [Suite::Default, Suite::Cryptrec] {
        let (site, wire, client) = ward(suite, Versioning::Off).await;
        put(&client, "before", b"1").await;
        client.close().await.unwrap();
        drop(client);
        let backup = site.dir.path().join("backup");
        copy_folder(&site.state_dir(), &backup);
        let client = site.client(&wire).await;
        put(&client, "after", b"2").await;
        client.close().await.unwrap();
        let known_elsewhere = client.head().unwrap();
        drop(client);
        std::fs::remove_dir_all(site.state_dir()).unwrap();
        copy_folder(&backup, &site.state_dir());

        let client = site.client(&wire).await;
        let refused = refused_put(&client, "lost").await;
        assert!(is_unconfirmed(&refused), "{refused}");
        assert_eq!(get(&client, "after").await.unwrap(), b"2");
        for (size, root) in [
            (known_elsewhere.size, Digest([7; 32])),
            (known_elsewhere.size - 1, known_elsewhere.root),
            (known_elsewhere.size + 9, known_elsewhere.root),
        ] {
            let refused = client.confirm_head(size, root).await.unwrap_err();
            assert!(matches!(refused, Error::NotTheHead { .. }), "{refused}");
        }
        assert!(client.device_standing().await.unwrap().read_only);
        client.close().await.unwrap();
        drop(client);
        let client = site.client(&wire).await; // neither a restart nor reading confirms anything
        assert!(is_unconfirmed(&refused_put(&client, "lost").await));
        client.confirm_head(known_elsewhere.size, known_elsewhere.root).await.unwrap();
        put(&client, "stored", b"3").await;
        client.close().await.unwrap();
        drop(client);
        let client = site.client(&wire).await;
        put(&client, "stored on", b"4").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_lost_is_one_that_knows_nothing_of_its_device() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    client.close().await.unwrap();
    drop(client);
    std::fs::remove_dir_all(site.state_dir()).unwrap();
    let client = site.client(&wire).await;
    assert!(is_unconfirmed(&refused_put(&client, "lost").await));
    assert_eq!(client.device_standing().await.unwrap().known, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_or_a_head_that_is_older_than_what_was_signed_makes_no_copy_of_a_gateway() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    client.close().await.unwrap();
    let older = site.dir.path().join("older");
    copy_folder(&site.state_dir(), &older);
    drop(client);
    let client = site.client(&wire).await;
    for n in 0..5 {
        put(&client, &format!("n{n}"), b"x").await;
    }
    client.close().await.unwrap();
    drop(client);
    std::fs::remove_dir_all(site.state_dir().join("view")).unwrap();
    std::fs::copy(older.join("head"), site.state_dir().join("head")).unwrap();
    let client = site.client(&wire).await;
    put(&client, "goes on", b"x").await;
}
