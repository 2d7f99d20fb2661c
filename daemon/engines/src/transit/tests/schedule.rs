//! Rotation by time.
use super::lab::*;
use crate::transit;
use coffer_types::CanonicalPath;

const HOUR: u64 = 3600;

async fn latest(lab: &Lab, name: &str) -> u64 {
    lab.get(&format!("keys/{name}")).await["latest_version"].as_u64().unwrap()
}

#[tokio::test]
async fn a_key_rotates_when_its_period_is_over_and_not_before() {
    let lab = Lab::new().await;
    lab.post("keys/hourly", r#"{"auto_rotate_period":"1h"}"#).await;
    lab.post("keys/daily", r#"{"auto_rotate_period":"24h"}"#).await;
    lab.post("keys/never", "").await;
    let old = lab.encrypt("hourly", "a").await;
    assert_eq!(lab.round().await, 0);
    lab.forward(HOUR - 1);
    assert_eq!(lab.round().await, 0);
    lab.forward(1);
    assert_eq!((lab.round().await, latest(&lab, "hourly").await), (1, 2));
    assert_eq!(lab.round().await, 0, "twice for one period");
    assert_eq!(lab.decrypt("hourly", &old).await.unwrap(), "a");
    // Long switched off: one version, not one for each hour.
    lab.forward(48 * HOUR);
    assert_eq!(lab.round().await, 2);
    assert_eq!((latest(&lab, "hourly").await, latest(&lab, "daily").await), (3, 2));
    assert_eq!((lab.round().await, latest(&lab, "never").await), (0, 1));
}

#[tokio::test]
async fn a_period_set_later_counts_from_the_newest_version_at_once() {
    let lab = Lab::new().await;
    lab.post("keys/k", "").await;
    assert_eq!(lab.round().await, 0);
    lab.forward(2 * HOUR);
    assert_eq!(lab.round().await, 0);
    lab.post("keys/k/config", r#"{"auto_rotate_period":"1h"}"#).await;
    assert_eq!((lab.round().await, latest(&lab, "k").await), (1, 2));
    // By hand in between: the period begins anew.
    lab.forward(HOUR / 2);
    lab.post("keys/k/rotate", "").await;
    lab.forward(HOUR / 2);
    assert_eq!((lab.round().await, latest(&lab, "k").await), (0, 3));
    lab.post("keys/k/config", r#"{"auto_rotate_period":0}"#).await;
    lab.forward(100 * HOUR);
    assert_eq!((lab.round().await, latest(&lab, "k").await), (0, 3));
    // And it is remembered.
    lab.post("keys/k/config", r#"{"auto_rotate_period":"1h"}"#).await;
    let lab = lab.restarted().await;
    assert_eq!((lab.round().await, latest(&lab, "k").await), (1, 4));
}

#[tokio::test]
async fn a_key_that_changes_before_its_rotation_is_recorded_is_left_alone() {
    let lab = Lab::new().await;
    lab.post("keys/k", r#"{"auto_rotate_period":"1h"}"#).await;
    lab.forward(HOUR);
    let name = CanonicalPath::parse("k").unwrap();
    let mut change = transit::rotation(&lab.room(), &name).await.ok().unwrap().unwrap();
    lab.post("keys/k/rotate", "").await;
    lab.barrier.commit(move |batch| change.run(batch)).await.ok().unwrap();
    assert_eq!(latest(&lab, "k").await, 2);
    lab.forward(HOUR);
    let mut change = transit::rotation(&lab.room(), &name).await.ok().unwrap().unwrap();
    lab.post("keys/k/config", r#"{"deletion_allowed":true}"#).await;
    lab.delete("keys/k").await.ok().unwrap();
    assert!(transit::rotation(&lab.room(), &name).await.ok().unwrap().is_none());
    lab.barrier.commit(move |batch| change.run(batch)).await.ok().unwrap();
    assert_eq!(lab.round().await, 0);
}

#[tokio::test]
async fn a_key_that_was_altered_on_disk_keeps_no_other_from_rotating() {
    let lab = Lab::new().await;
    lab.post("keys/good", r#"{"auto_rotate_period":"1h"}"#).await;
    lab.damaged(lab.post("keys/bad", r#"{"auto_rotate_period":"1h"}"#)).await;
    lab.forward(HOUR);
    assert_eq!((lab.round().await, latest(&lab, "good").await), (1, 2));
    assert_eq!(lab.round().await, 0);
}
