//! Volumes that are absent at a start are waited for before what they hold is rebuilt.

mod common;

use common::{Site, accept, as_media, assert_holds, enrolled, memory_volumes};
use shosoin_protocol::Suite;
use shosoin_store::{IndexKind, JobKind, JobOptions, OpenOptions, Vault};

const MINUTE_MS: u64 = 60_000;

#[tokio::test]
async fn absent_volumes_are_waited_for_an_hour_and_an_operator_need_not_wait() {
    let media = memory_volumes(7);
    let site = Site::on_media(IndexKind::Memory, as_media(&media)).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 7).await;
    let (parcel, request) = hospital.small("one");
    accept(&vault, &mut hospital, [request]).await;
    vault.close().await.unwrap();
    drop(vault);
    let holds_shards = |no: &usize| media[*no].paths().iter().any(|path| path.ends_with(".shard"));
    let gone = (0..7).find(holds_shards).unwrap();
    let rest: Vec<_> = media.iter().enumerate().filter(|(no, _)| *no != gone).map(|(_, one)| one.clone()).collect();
    for by_operator in [true, false] {
        let images: Vec<_> = media.iter().map(shosoin_tiers::media::MemoryMedia::image).collect();
        let options = OpenOptions { media: Some(as_media(&rest)), ..site.options.clone() };
        let vault = Vault::open(&site.path(), options).await.unwrap();
        let repair = async || {
            let jobs = vault.jobs().await.unwrap();
            let repair = jobs.jobs.into_iter().find(|job| job.job == JobKind::Repair).unwrap();
            (repair.next_ms, repair.due)
        };
        let until_ms = vault.jobs().await.unwrap().repair_waits_until_ms.unwrap();
        assert_eq!(until_ms, shosoin_tiers::Clock::now_ms(&*site.clock) + 60 * MINUTE_MS);
        let status = vault.status().await.unwrap();
        assert_eq!((status.repair_waits_until_ms, status.volumes_absent.len()), (Some(until_ms), 1));
        assert_eq!(repair().await, (Some(until_ms), false), "a cable is no reason to write a volume anew");
        site.clock.advance(59 * MINUTE_MS);
        assert_eq!(repair().await, (Some(until_ms), false));
        let report = if by_operator {
            vault.run_job(JobKind::Repair, JobOptions::default()).await.unwrap()
        } else {
            site.clock.advance(MINUTE_MS);
            assert_eq!(vault.jobs().await.unwrap().repair_waits_until_ms, None);
            assert!(repair().await.1, "it was waited for long enough");
            vault.run_due_jobs().await.unwrap().into_iter().find(|report| report.job == JobKind::Repair).unwrap()
        };
        assert!(report.figures.rebuilt > 0, "{report:?}");
        assert_holds(&vault, &hospital, std::slice::from_ref(&parcel)).await;
        vault.close().await.unwrap();
        drop(vault);
        for (media, image) in media.iter().zip(images) {
            use shosoin_tiers::media::Media as _;
            media.paths().iter().for_each(|path| media.remove(path).unwrap());
            image.iter().for_each(|(path, bytes)| shosoin_tiers::durable::replace(media, path, bytes).unwrap());
        }
    }
}
