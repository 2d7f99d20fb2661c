//! Bringing a snapshot in: one at a time, no larger than agreed, and only where it is meant to go.
use coffer_tests::{Ask, House, Setup, eventually};
use serde_json::Value;

const RESTORE: &str = "/v1/sys/storage/raft/snapshot-restore";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_bounded_and_alone() {
    let house =
        House::empty(Setup { sections: "[limits]\nsnapshot_mib = 1\n".into(), ..Setup::default() }).await;
    let mut first = house.wire();
    first
        .send(format!("POST {RESTORE} HTTP/1.1\r\nhost: x\r\ncontent-length: 4000000\r\n\r\n").as_bytes())
        .unwrap();
    first.send(&[7; 1000]).unwrap();
    let part = house.data().join("restore.part");
    eventually("the first upload", || async { part.exists().then_some(()) }).await;
    let refused = house.wire().ask("POST", RESTORE, &[], b"another").unwrap();
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("another snapshot is being uploaded"), "{}", refused.text());
    // The daemon answers and closes as soon as it has had enough.
    let rest = first.send(&vec![7; 2 << 20]);
    let reply = first.reply(false).unwrap();
    assert!(reply.text().contains("snapshot_mib"), "{rest:?} {}", reply.text());
    assert!(std::fs::metadata(&part).unwrap().len() <= 1 << 20);
    // And the next one has its turn.
    let next = house.wire().ask("PUT", RESTORE, &[], b"no snapshot").unwrap();
    assert!(next.text().contains("no snapshot of a Coffer store"), "{}", next.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_for_the_root_and_asks_for_no_protection_that_is_not_there() {
    let house = House::empty(Setup::default()).await;
    let counted = || async { requests_counted(&house).await };
    let before = counted().await;
    let elsewhere = house.wire().ask("POST", RESTORE, &[("x-vault-namespace", "prod")], b"x").unwrap();
    assert_eq!(elsewhere.status, 503, "{}", elsewhere.text());
    let wrapped = house.wire().ask("POST", RESTORE, &[("x-vault-wrap-ttl", "60")], b"x").unwrap();
    assert!(wrapped.status == 400 && wrapped.text().contains("response wrapping"), "{}", wrapped.text());
    let taken = house.wire().ask("POST", RESTORE, &[], b"x").unwrap();
    assert!(taken.status == 400 && taken.text().contains("no snapshot"), "{}", taken.text());
    assert!(counted().await >= before + 3, "an upload is not in the metrics");
}

async fn requests_counted(house: &House) -> u64 {
    let answer =
        house.client(&house.operator).call(coffer_sdk::Method::GET, "sys/metrics").send().await.unwrap();
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    text.lines()
        .filter(|line| line.starts_with("coffer_requests_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_kept_for_an_hour_at_least() {
    let house = House::start().await;
    for keep in ["0", "59m", "-1", "100000h", "x"] {
        let answer =
            house.root().ask("GET", &format!("sys/storage/raft/snapshot?keep={keep}"), Value::Null).await;
        assert_eq!(answer.status, 400, "{keep}");
    }
}
