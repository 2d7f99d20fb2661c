//! Power cuts at every instant of a run on the real disk store.
use crate::support::*;
use crate::transplants::fsck;
use coffer_barrier::{Barrier, BarrierError};
use coffer_store::{Store, faulty::Disk};
use std::sync::Arc;

async fn write(barrier: &Arc<Barrier>, n: u64) {
    change(barrier, move |batch| {
        for at in ["left", "right"] {
            batch.mount(KV).put(KIND, &path(at), None, n.to_string().as_bytes())?;
        }
        if n.is_multiple_of(3) {
            batch.rotate()?;
        }
        Ok(())
    })
    .await
    .unwrap();
}

#[test]
fn after_any_power_cut_the_environment_opens_and_what_was_acknowledged_is_there_whole() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (lab, disk) = (Lab::new(), Disk::new());
    runtime.block_on(async {
        let store: Arc<dyn Store> = Arc::new(disk.open().unwrap());
        disk.record();
        let prod = lab.create(&store, PROD).await;
        disk.mark(1);
        put(&prod, "bystander", "well").await;
        disk.mark(2);
        for n in 3..=9 {
            write(&prod, n).await;
            disk.mark(n);
            prod.reencrypt_step(2).await.unwrap();
        }
        while !prod.reencrypt_step(2).await.unwrap().done {}
    });
    let found = disk.trace().for_each_cut(3, 1, |disk, mark, survivors| {
        runtime.block_on(async {
            let store: Arc<dyn Store> = match disk.open() {
                Ok(store) => Arc::new(store),
                Err(error) => panic!("mark {mark}, {survivors:?}: {error}"),
            };
            let prod = match lab.open(&store, PROD).await {
                Ok(prod) => prod,
                Err(BarrierError::Absent) if mark == 0 => return,
                Err(error) => panic!("mark {mark}, {survivors:?}: {error}"),
            };
            let (left, right) = (get(&prod, "left").await.unwrap(), get(&prod, "right").await.unwrap());
            assert_eq!(left, right, "mark {mark}, {survivors:?}");
            let reached = left.map_or(2, |left| left.parse::<u64>().unwrap());
            assert!(mark < 3 || reached >= mark, "mark {mark}, {survivors:?}: {reached}");
            assert!(mark < 2 || get(&prod, "bystander").await.unwrap().as_deref() == Some("well"));
            let at_once = fsck(&prod).1;
            assert!(
                at_once.is_empty(),
                "mark {mark}, {survivors:?}: records and index agree not: {at_once:?}"
            );
            // It goes on from there.
            put(&prod, "after", "x").await;
            while !prod.reencrypt_step(50).await.unwrap().done {}
            assert!(fsck(&prod).1.is_empty(), "mark {mark}, {survivors:?}");
            assert_eq!(prod.epoch_status().unwrap().retired, [0_u32; 0]);
        });
    });
    assert!(found > 100, "{found}");
}
