//! Objects through a real vault: what goes in comes back, in whole, in ranges, in versions, by name.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs, reason = "tests")]

mod common;

use bytes::Bytes;
use common::*;
use futures::TryStreamExt as _;
use shosoin_client::{Condition, Error, ListQuery, NewObject, Part, PartContent, VerifyOptions, VersionsQuery};
use shosoin_protocol::Suite;
use shosoin_protocol::limits::CHUNK_PLAIN_BYTES_MIN;
use shosoin_protocol::manifest::{BucketFacts, Versioning};
use shosoin_protocol::policy::{DepositPolicy, Label};

const CHUNK: usize = CHUNK_PLAIN_BYTES_MIN as usize;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_what_is_read_in_both_suites() {
    for suite in Suite::ALL {
        let (_site, wire, client) = ward(suite, Versioning::Off).await;
        for (name, len) in [("none", 0), ("one", 1), ("small", 70_000), ("chunk", CHUNK), ("many", 9 * CHUNK + 77)] {
            let bytes = noise(len as u64, len);
            let stored = put(&client, name, &bytes).await;
            assert_eq!(get(&client, name).await.unwrap(), bytes, "{name} in {suite:?}");
            let row = client.lookup(BUCKET, name, None).unwrap().unwrap();
            assert_eq!((row.version, row.object().unwrap().1), (stored.version, stored.etag.as_str()));
            assert!(stored.receipt.is_some());
            let proof = client.verify(BUCKET, name, None, VerifyOptions { content: true }).await.unwrap();
            assert_eq!((proof.size_bytes, proof.parts.unwrap().len()), (len as u64, 1));
        }
        client.close().await.unwrap();
        wire.vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_the_bytes_of_the_object_and_fetch_only_what_they_touch() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let bytes = noise(1, 6 * CHUNK + 1000);
    put(&client, "scan", &bytes).await;
    let chunk = CHUNK as u64;
    let ends = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 5 * chunk + 9, 6 * chunk, 6 * chunk + 1000];
    for start in ends {
        for end in ends.into_iter().filter(|end| *end >= start) {
            let before = Counts::get(&wire.counts.records);
            let read = read(&client, "scan", start..end).await.unwrap();
            assert_eq!(read, &bytes[start as usize..end as usize], "{start}..{end}");
            let touched = if start == end { 0 } else { (end - 1) / chunk - start / chunk + 1 };
            assert_eq!(Counts::get(&wire.counts.records) - before, touched as usize, "{start}..{end}");
        }
    }
    let beyond = read(&client, "scan", 5..6 * chunk + 1001).await;
    assert!(matches!(beyond, Err(Error::Invalid { what: "range", .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_objects_deposit_no_chunk_twice() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let bytes = noise(2, 8 * CHUNK);
    put(&client, "first", &bytes).await;
    let sent = Counts::get(&wire.counts.chunks);
    assert_eq!(sent, 8);
    put(&client, "second", &bytes).await;
    assert_eq!(Counts::get(&wire.counts.chunks), sent, "the second is all known");
    put(&client, "zeros", &vec![0; 20 * CHUNK]).await;
    assert_eq!(Counts::get(&wire.counts.chunks), sent + 1, "equal chunks of one object are one chunk");
    for name in ["first", "second"] {
        assert_eq!(get(&client, name).await.unwrap(), bytes);
    }
    assert_eq!(get(&client, "zeros").await.unwrap(), vec![0; 20 * CHUNK]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sensitive_content_never_meets_equal_content() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let (facts, bytes) = (client.bucket(BUCKET).unwrap().unwrap(), noise(3, 6 * CHUNK));
    let policy = DepositPolicy { label: Label::Sensitive, ..DepositPolicy::default() };
    for name in ["first", "second"] {
        let mut writer = client.writer(&facts, Label::Sensitive).unwrap();
        writer.push(Bytes::from(bytes.clone())).await.unwrap();
        let object = NewObject { policy: Some(policy), ..object(name) };
        let parts = Part::single(writer.finish().await.unwrap());
        client.put_object(object, parts, Condition::Any).await.unwrap();
    }
    assert_eq!((Counts::get(&wire.counts.chunks), Counts::get(&wire.counts.repeated_chunks)), (12, 0));
    let ordinary = write(&client, &bytes).await;
    let object = NewObject { policy: Some(policy), ..object("third") };
    let refused = client.put_object(object, Part::single(ordinary), Condition::Any).await;
    assert!(matches!(refused, Err(Error::Invalid { what: "label", .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_object_is_one_request() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let (batches, chunks) = (Counts::get(&wire.counts.batches), Counts::get(&wire.counts.chunks));
    put(&client, "small", &noise(4, 16 * 1024)).await;
    assert_eq!(Counts::get(&wire.counts.batches) - batches, 1);
    assert_eq!(Counts::get(&wire.counts.chunks), chunks);
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_that_wait_together_share_a_batch() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let before = Counts::get(&wire.counts.batches);
    let puts = (0..64u64).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { put(&client, &format!("n{n:02}"), &noise(n, 5000)).await.leaf_index })
    });
    let mut places = Vec::new();
    for put in puts.collect::<Vec<_>>() {
        places.push(put.await.unwrap());
    }
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 64, "every object has its own place");
    assert!(Counts::get(&wire.counts.batches) - before <= 32, "{} batches", Counts::get(&wire.counts.batches));
    for n in 0..64u64 {
        assert_eq!(get(&client, &format!("n{n:02}")).await.unwrap(), noise(n, 5000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_puts_that_expect_no_object_exactly_one_wins() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    for round in 0..5u64 {
        let name = format!("lock{round}");
        let puts = (0..8u64).map(|n| {
            let (client, name) = (client.clone(), name.clone());
            tokio::spawn(async move {
                let content = write(&client, &noise(n, 100)).await;
                client.put_object(object(&name), Part::single(content), Condition::Absent).await
            })
        });
        let mut won = 0;
        for put in puts.collect::<Vec<_>>() {
            match put.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(matches!(error, Error::Precondition), "{error}"),
            }
        }
        assert_eq!(won, 1);
        let query = VersionsQuery { bucket: BUCKET.into(), prefix: name, max: 100, ..VersionsQuery::default() };
        assert_eq!(client.list_versions(&query).unwrap().versions.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_look_at_the_current_object() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Off).await;
    let try_put = async |condition: Condition| {
        let content = write(&client, b"new").await;
        client.put_object(object("scan"), Part::single(content), condition).await
    };
    assert!(matches!(try_put(Condition::Exists).await, Err(Error::NoSuchName { .. })));
    let first = try_put(Condition::Absent).await.unwrap();
    assert!(matches!(try_put(Condition::Absent).await, Err(Error::Precondition)));
    assert!(matches!(try_put(Condition::Etag("0".repeat(32))).await, Err(Error::Precondition)));
    let second = try_put(Condition::Etag(first.etag)).await.unwrap();
    let wrong = client.delete(BUCKET, "scan", Condition::Etag("0".repeat(32))).await;
    assert!(matches!(wrong, Err(Error::Precondition)));
    client.delete(BUCKET, "scan", Condition::Etag(second.etag)).await.unwrap();
    try_put(Condition::Absent).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_come_and_go_as_in_s3() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Off).await;
    let null = put(&client, "scan", b"null").await.version;
    client.update_bucket(bucket(Versioning::Enabled)).await.unwrap();
    let first = put(&client, "scan", b"first").await.version;
    let deleted = client.delete(BUCKET, "scan", Condition::Any).await.unwrap();
    assert!(!deleted.null_version);
    assert!(matches!(get(&client, "scan").await, Err(Error::NoSuchName { .. })));
    assert!(matches!(client.open_object(BUCKET, "scan", deleted.marker).await, Err(Error::IsMarker { .. })));
    assert!(client.withdraw(BUCKET, "scan", deleted.marker.unwrap()).await.unwrap().was_marker);
    assert_eq!(get(&client, "scan").await.unwrap(), b"first");
    assert_eq!(client.lookup_null(BUCKET, "scan").unwrap().unwrap().version, null);
    assert!(!client.withdraw(BUCKET, "scan", first).await.unwrap().was_marker);
    assert_eq!(get(&client, "scan").await.unwrap(), b"null");
    assert!(matches!(client.withdraw(BUCKET, "scan", first).await, Err(Error::NoSuchVersion { .. })));
    assert!(matches!(client.delete_bucket(BUCKET).await, Err(Error::BucketNotEmpty { .. })));
    client.withdraw(BUCKET, "scan", null).await.unwrap();
    client.delete_bucket(BUCKET).await.unwrap();
    assert_eq!(client.bucket(BUCKET).unwrap(), None);
    client.create_bucket(bucket(Versioning::Off)).await.unwrap();
    assert!(matches!(client.create_bucket(bucket(Versioning::Off)).await, Err(Error::BucketExists { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_survive_a_restart_between_their_upload_and_the_object() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let contents = [noise(5, 5 * CHUNK + 3), noise(6, 1000)];
    let mut kept = Vec::new();
    for content in &contents {
        kept.push(write(&client, content).await.encode(client.keyring()).unwrap());
    }
    client.close().await.unwrap();
    drop(client);
    let client = site.client(&wire).await;
    let part = |(number, kept): (u16, &Vec<u8>)| {
        let content = PartContent::decode(client.keyring(), kept).unwrap();
        Part { number, content, checksum: None }
    };
    let parts = [1, 4].into_iter().zip(&kept).map(part).collect();
    let object = NewObject { multipart: true, ..object("scan") };
    let stored = client.put_object(object, parts, Condition::Any).await.unwrap();
    assert!(stored.etag.ends_with("-2"));
    assert_eq!(get(&client, "scan").await.unwrap(), contents.concat());
    let mut flipped = kept[0].clone();
    flipped[100] ^= 1;
    assert!(PartContent::decode(client.keyring(), &flipped).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_move_no_bytes_and_ranges_only_what_is_cut() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let bytes = noise(7, 7 * CHUNK + 5);
    let source = put(&client, "source", &bytes).await;
    let facts = client.bucket(BUCKET).unwrap().unwrap();
    let open = client.open_object(BUCKET, "source", None).await.unwrap();
    let (sent, read) = (Counts::get(&wire.counts.chunks), Counts::get(&wire.counts.records));
    let parts = open.copy_parts(&facts, Label::Ordinary).await.unwrap();
    let copy = client.put_object(object("copy"), parts, Condition::Any).await.unwrap();
    assert_eq!((Counts::get(&wire.counts.chunks), Counts::get(&wire.counts.records)), (sent, read));
    assert_eq!(copy.etag, source.etag);
    assert_eq!(get(&client, "copy").await.unwrap(), bytes);

    let chunk = CHUNK as u64;
    let whole = open.copy_range(chunk..6 * chunk, &facts, Label::Ordinary).await.unwrap();
    assert_eq!(Counts::get(&wire.counts.chunks), sent, "whole chunks are not sent again");
    let cut = open.copy_range(5..6 * chunk, &facts, Label::Ordinary).await.unwrap();
    assert!(Counts::get(&wire.counts.chunks) > sent);
    let parts =
        vec![Part { number: 1, content: whole, checksum: None }, Part { number: 2, content: cut, checksum: None }];
    let object = NewObject { multipart: true, ..object("parts") };
    client.put_object(object, parts, Condition::Any).await.unwrap();
    let wanted = [&bytes[CHUNK..6 * CHUNK], &bytes[5..6 * CHUNK]].concat();
    assert_eq!(get(&client, "parts").await.unwrap(), wanted);
    client.verify(BUCKET, "parts", None, VerifyOptions { content: true }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_many_chunks_has_pages_and_reads_back() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let bytes = noise(8, 300 * CHUNK + 1);
    put(&client, "long", &bytes).await;
    assert_eq!(get(&client, "long").await.unwrap(), bytes);
    client.verify(BUCKET, "long", None, VerifyOptions { content: false }).await.unwrap();
    let asked = Counts::get(&wire.counts.versions);
    read(&client, "long", 5..10).await.unwrap();
    assert_eq!(Counts::get(&wire.counts.versions), asked, "a manifest that was opened is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_writer_leaves_nothing_visible_and_no_memory_in_use() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let facts = client.bucket(BUCKET).unwrap().unwrap();
    let head = client.head().unwrap();
    let mut writer = client.writer(&facts, Label::Ordinary).unwrap();
    writer.push(Bytes::from(noise(9, 12 * CHUNK + 9))).await.unwrap();
    drop(writer);
    while client.upload_bytes_in_use() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.head().unwrap(), head);
    let query = ListQuery { bucket: BUCKET.into(), max: 10, ..ListQuery::default() };
    assert_eq!(client.list(&query).unwrap().objects.len(), 0);
    assert_eq!(wire.vault.checkpoint(wire.hospital).await.unwrap(), client.head_text().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn content_of_another_length_than_announced_is_refused() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Off).await;
    let facts = client.bucket(BUCKET).unwrap().unwrap();
    let mut writer = client.writer(&facts, Label::Ordinary).unwrap().expect_bytes(10);
    assert!(writer.push(Bytes::from_static(b"eleven bytes")).await.is_err());
    let mut writer = client.writer(&facts, Label::Ordinary).unwrap().expect_bytes(10);
    writer.push(Bytes::from_static(b"nine byte")).await.unwrap();
    assert!(matches!(writer.finish().await, Err(Error::Invalid { what: "content", .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_vault_would_be_told_is_refused_before_anything_is_sent() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let sent = Counts::get(&wire.counts.deposits);
    let long = |count: usize| "n".repeat(count);
    let pair = |count: usize| vec![("k".to_owned(), long(count))];
    let wrong = [
        object(&long(1025)),
        object(""),
        NewObject { metadata: pair(2048), ..object("n") },
        NewObject { headers: pair(8192), ..object("n") },
        NewObject { tags: (0..51).map(|n| (n.to_string(), String::new())).collect(), ..object("n") },
        NewObject { metadata: [pair(1), pair(1)].concat(), ..object("n") },
        NewObject { bucket: "absent".into(), ..object("n") },
    ];
    for object in wrong {
        let content = write(&client, b"x").await;
        let refused = client.put_object(object, Part::single(content), Condition::Any).await.unwrap_err();
        let kind = refused.kind();
        assert!(
            matches!(refused, Error::OverLimit { .. } | Error::Invalid { .. } | Error::NoSuchBucket { .. }),
            "{kind:?}"
        );
    }
    assert!(client.create_bucket(BucketFacts::new("b".repeat(64), 1)).await.is_err());
    let longest = object(&long(1024));
    let content = write(&client, b"x").await;
    client.put_object(longest, Part::single(content), Condition::Any).await.unwrap();
    assert_eq!(Counts::get(&wire.counts.deposits), sent + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_stay_within_the_memory_they_were_given() {
    let site = Site::new(Suite::Default).await;
    let wire = site.wire("vault").await;
    let bytes_max = 8 * CHUNK;
    let mut options = shosoin_client::ClientOptions::new(site.state_dir());
    options.upload_memory_bytes = bytes_max;
    let client = shosoin_client::Client::open(options, site.keyring(), wire.clone()).await.unwrap();
    client.create_bucket(bucket(Versioning::Off)).await.unwrap();
    let watched = client.clone();
    let uploads: Vec<_> = (0..12u64)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { put(&client, &format!("n{n}"), &noise(n, 10 * CHUNK)).await })
        })
        .collect();
    let mut peak = 0;
    while uploads.iter().any(|upload| !upload.is_finished()) {
        peak = peak.max(watched.upload_bytes_in_use());
        tokio::task::yield_now().await;
    }
    for upload in uploads {
        upload.await.unwrap();
    }
    assert!(peak > 0 && peak <= bytes_max, "{peak} of {bytes_max}");
    assert_eq!(client.upload_bytes_in_use(), 0);
    for n in 0..12u64 {
        assert_eq!(get(&client, &format!("n{n}")).await.unwrap(), noise(n, 10 * CHUNK));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_early_reads_no_further() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    put(&client, "scan", &noise(11, 40 * CHUNK)).await;
    let open = client.open_object(BUCKET, "scan", None).await.unwrap();
    let before = Counts::get(&wire.counts.records);
    let mut stream = open.read(0..40 * CHUNK as u64);
    stream.try_next().await.unwrap().unwrap();
    drop(stream);
    assert!(Counts::get(&wire.counts.records) - before <= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_machines_that_take_a_version_out_of_view_at_the_same_moment_one_does_and_the_ledger_has_it_once() {
    for suite in Suite::ALL {
        let (site, wire, client) = ward(suite, Versioning::Enabled).await;
        let versions = [put(&client, "n", b"1").await.version, put(&client, "n", b"2").await.version];
        put(&client, "n", b"3").await;
        let other = further_machine(&site, &wire, client.keyring(), "other").await;
        client.refresh().await.unwrap();
        let before = client.head().unwrap().size;
        client.withdraw_once(BUCKET, "n", versions[0]).await.unwrap();
        // what the other one sees is as it was
        assert!(other.lookup(BUCKET, "n", Some(versions[0])).unwrap().is_some());
        let late = other.withdraw_once(BUCKET, "n", versions[0]).await;
        assert!(matches!(late, Err(Error::NoSuchVersion { .. })), "{late:?}");
        // another version of a name that changed meanwhile goes all the same, and what is not there is left alone
        client.withdraw_once(BUCKET, "n", versions[1]).await.unwrap();
        assert!(matches!(other.withdraw_once(BUCKET, "n", versions[1]).await, Err(Error::NoSuchVersion { .. })));
        client.refresh().await.unwrap();
        assert_eq!(client.head().unwrap().size, before + 2, "{suite:?}");
        assert_eq!(get(&other, "n").await.unwrap(), b"3");
    }
}
