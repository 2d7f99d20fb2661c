//! One request, one leaf.
use super::world::*;
use crate::{NodeCount, NodeEvent, NodeField, Opening, PlainField};
use coffer_room::{Answer, Change, Fault, Outcome};
use coffer_types::{Kind, MountId};
use keystore_format::disclosure::Disclosure;
use keystore_format::leaf::Leaf;
use keystore_format::note::VerifierKey;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

#[tokio::test]
async fn every_request_leaves_one_leaf_that_an_auditor_can_check() {
    let world = World::new();
    let store = memory();
    let (journal, node) = world.open();
    node.event(NodeEvent::Start, &[(NodeField::Version, "0.1.0")]).unwrap();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;

    let read = book.record(book.intend(facts("read", CANARY)), Ok(answer()), None).await.unwrap();
    let write = book
        .record(book.intend(facts("write", CANARY)), Ok(Outcome::Change(put("a", "1"))), None)
        .await
        .unwrap();
    let failed = book.record(book.intend(facts("read", "x")), Err(Fault::NotFound), None).await.unwrap();
    let refused = book.refuse(facts("delete", "y"), Fault::PermissionDenied).await.unwrap();
    let indexes =
        [read.receipt(), write.receipt(), failed.receipt(), refused.receipt()].map(|receipt| receipt.index);
    // Leaf 0 says which log this is.
    assert_eq!(indexes, [1, 2, 3, 4]);
    assert!(write.into_inner().is_ok());
    assert!(matches!(refused.into_inner(), Fault::PermissionDenied));
    assert_eq!(get(&barrier, "a").await.as_deref(), Some("1"));

    book.close().await.unwrap();
    journal.close().unwrap();
    world.demand_whole();
    let report = world.verify();
    assert!(
        report.logs.iter().all(|log| log.covered == log.leaves),
        "the last checkpoint covers every leaf: {report:#?}"
    );

    let lines = world.lines().join("\n");
    for part in [
        r#""operation":"read","status":204"#,
        r#""operation":"write","status":204"#,
        r#""status":404"#,
        r#""fault":"permission_denied""#,
        r#""generation":"#,
    ] {
        assert!(lines.contains(part), "{part} in {lines}");
    }
}

#[tokio::test]
async fn no_value_reaches_a_file_or_the_store_in_clear() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;
    book.record(book.intend(facts("read", CANARY)), Ok(answer()), None).await.unwrap();
    book.record(book.intend(facts("write", CANARY)), Ok(Outcome::Change(put("a", CANARY))), None)
        .await
        .unwrap();
    book.close().await.unwrap();
    journal.close().unwrap();
    let holds = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
    let (mut files, mut seen_subject) = (0, false);
    walk(&world.directory(), &mut |path| {
        let bytes = fs::read(path).unwrap();
        assert!(!holds(&bytes), "{}", path.display());
        seen_subject |= bytes.windows(10).any(|window| window == b"accessor-1");
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o077, 0, "{}", path.display());
        files += 1;
    });
    assert!(files > 5 && !seen_subject);
    for entry in store.range(&[], None, usize::MAX).await.unwrap() {
        assert!(!holds(&entry.value) && !holds(&entry.key));
    }
}

#[tokio::test]
async fn a_receipt_is_proved_once_a_checkpoint_covers_it() {
    let world = World::new();
    let (journal, _) = world.open();
    let barrier = world.create(&memory(), 3).await;
    let book = book(&journal, &barrier).await;
    // More than one tile, so that proofs cross tiles.
    let mut last = 0;
    for number in 0..600 {
        let mut facts = facts("read", &number.to_string());
        facts.request_digest = Some([number as u8; 32]);
        last = book.record(book.intend(facts), Ok(answer()), None).await.unwrap().receipt().index;
        if number == 300 {
            journal.round().unwrap();
        }
    }
    assert!(book.receipt(last).await.unwrap().is_none(), "no checkpoint covers it yet");
    let early = book.receipt(5).await.unwrap().unwrap();
    journal.round().unwrap();
    for index in [0, 1, 255, 256, 257, 511, 512, last] {
        let receipt = book.receipt(index).await.unwrap().unwrap();
        let key = key_of(&receipt.proof.checkpoint, &world);
        receipt.proof.verify(&keystore_format::leaf::hash(&receipt.leaf), &key, signed_by).unwrap();
    }
    let receipt = book.receipt(last).await.unwrap().unwrap();
    assert_eq!(Leaf::decode(&receipt.leaf).unwrap().request_digest, Some([(599 % 256) as u8; 32]));
    assert_eq!(early.leaf, book.receipt(5).await.unwrap().unwrap().leaf);
    assert!(book.receipt(last + 1).await.unwrap().is_none());
}

fn key_of(checkpoint: &str, world: &World) -> VerifierKey {
    let origin = checkpoint.lines().next().unwrap();
    let folder = origin.split_once('/').unwrap().1;
    VerifierKey::parse(fs::read_to_string(world.directory().join(folder).join("vkey")).unwrap().trim())
        .unwrap()
}

#[tokio::test]
async fn one_field_is_disclosed_alone_and_not_after_erasure() {
    let world = World::new();
    let (journal, _) = world.open();
    let barrier = world.create(&memory(), 3).await;
    let book = book(&journal, &barrier).await;
    let index =
        book.record(book.intend(facts("read", CANARY)), Ok(answer()), None).await.unwrap().receipt().index;
    journal.round().unwrap();

    let disclosure = book.disclose(index, "value").await.unwrap().unwrap();
    let text = disclosure.to_text();
    let read = Disclosure::parse(&text).unwrap();
    let key = key_of(&read.proof.checkpoint, &world);
    let (leaf, _) = read.verify(&key, signed_by).unwrap();
    assert_eq!((read.value.as_slice(), leaf.operation.as_str()), (CANARY.as_bytes(), "read"));
    assert!(book.disclose(index, "version").await.unwrap().is_some(), "a field of the answer too");
    assert!(book.disclose(index, "nothing").await.unwrap().is_none());

    // A forged value does not pass.
    let mut forged = Disclosure::parse(&text).unwrap();
    forged.value = zeroize::Zeroizing::new(b"other".to_vec());
    assert!(forged.verify(&key, signed_by).is_err());

    let month = keystore_format::leaf::month_of(1_790_000_000_000);
    let erase = book.erase("token:accessor-1", month);
    book.record(book.intend(facts("delete", "z")), Ok(Outcome::Change(erase)), None)
        .await
        .unwrap()
        .into_inner()
        .map_err(drop)
        .unwrap();
    assert!(book.disclose(index, "value").await.unwrap().is_none());
    // A new key of the same month does not bring the old values back.
    let later =
        book.record(book.intend(facts("read", "new")), Ok(answer()), None).await.unwrap().receipt().index;
    journal.round().unwrap();
    assert!(book.disclose(index, "value").await.unwrap().is_none());
    assert!(book.disclose(later, "value").await.unwrap().is_some());
    book.close().await.unwrap();
    journal.close().unwrap();
    world.demand_whole();
}

#[tokio::test]
async fn a_refused_change_writes_nothing_but_its_leaf() {
    let world = World::new();
    let (journal, _) = world.open();
    let barrier = world.create(&memory(), 3).await;
    let book = book(&journal, &barrier).await;
    let change = Change::new(|batch| {
        batch.mount(MountId([9; 16])).put(Kind::KvV1, &path("half"), None, b"done")?;
        Err(Fault::Conflict("check-and-set".into()))
    });
    let before = barrier.generation();
    let recorded =
        book.record(book.intend(facts("write", "v")), Ok(Outcome::Change(change)), None).await.unwrap();
    assert!(matches!(recorded.into_inner(), Err(Fault::Conflict(_))));
    assert_eq!(get(&barrier, "half").await, None);
    assert!(barrier.generation() <= before + 1, "at most the opening key was committed");
    assert!(world.lines().join("").contains(r#""status":412"#));
}

#[tokio::test]
async fn a_use_is_spent_with_the_read_and_with_the_refusal_and_never_beyond_the_last() {
    let world = World::new();
    let (journal, _) = world.open();
    let barrier = world.create(&memory(), 3).await;
    let book = book(&journal, &barrier).await;
    let spend = || {
        Change::new(|batch| {
            let mut tx = batch.mount(MountId::default());
            let used = tx.get(Kind::Token, &path("t"), None)?.map_or(0, |plain| plain.bytes[0]);
            if used == 2 {
                return Err(Fault::PermissionDenied);
            }
            tx.put(Kind::Token, &path("t"), None, &[used + 1])?;
            Ok(Answer::empty())
        })
    };
    let first = book.record(book.intend(facts("read", "a")), Ok(answer()), Some(spend())).await.unwrap();
    assert!(first.into_inner().is_ok());
    let refusing = Change::new(|batch| {
        batch.mount(MountId([9; 16])).put(Kind::KvV1, &path("half"), None, b"done")?;
        Err(Fault::bad("no"))
    });
    let second = book
        .record(book.intend(facts("write", "b")), Ok(Outcome::Change(refusing)), Some(spend()))
        .await
        .unwrap();
    assert!(matches!(second.into_inner(), Err(Fault::BadRequest(_))));
    assert_eq!(get(&barrier, "half").await, None, "what refused wrote nothing");
    let third = book
        .record(book.intend(facts("write", "c")), Ok(Outcome::Change(put("c", "1"))), Some(spend()))
        .await
        .unwrap();
    assert!(matches!(third.into_inner(), Err(Fault::PermissionDenied)));
    assert_eq!(get(&barrier, "c").await, None);
    assert_eq!(world.lines().iter().filter(|line| line.contains("\"status\":403")).count(), 1);
    book.close().await.unwrap();
    journal.close().unwrap();
    world.demand_whole();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_all_recorded_and_changes_stand_in_commit_order() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let books = [
        book(&journal, &world.create(&store, 3).await).await,
        book(&journal, &world.create(&store, 4).await).await,
    ];
    let mut tasks = Vec::new();
    for worker in 0..16 {
        let book = Arc::clone(&books[worker % 2]);
        tasks.push(tokio::spawn(async move {
            let mut indexes = Vec::new();
            for number in 0..40 {
                let outcome =
                    if number % 2 == 0 { answer() } else { Outcome::Change(put(&format!("{worker}"), "v")) };
                let recorded = book.record(book.intend(facts("any", "v")), Ok(outcome), None).await.unwrap();
                indexes.push((worker % 2, recorded.receipt().index));
                assert!(recorded.into_inner().is_ok());
            }
            indexes
        }));
    }
    let turning = Arc::clone(&journal);
    let rounds = tokio::task::spawn_blocking(move || (0..10).for_each(|_| turning.round().unwrap()));
    let mut all = BTreeSet::new();
    for task in tasks {
        for index in task.await.unwrap() {
            assert!(all.insert(index), "no two requests have one leaf");
        }
    }
    rounds.await.unwrap();
    for book in &books {
        book.close().await.unwrap();
    }
    journal.close().unwrap();
    world.demand_whole();
    for environment in ["0303", "0404"] {
        let generations: Vec<u64> = world
            .lines()
            .iter()
            .filter(|line| line.contains(&format!("{{\"environment\":\"{environment}")))
            .filter_map(|line| line.split("\"generation\":\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(generations.len(), 160, "half of 8 workers' 40");
        assert!(generations.is_sorted(), "{generations:?}");
    }
}

#[tokio::test]
async fn an_idle_log_signs_nothing() {
    let world = World::new();
    let (journal, _) = world.open();
    let barrier = world.create(&memory(), 3).await;
    let book = book(&journal, &barrier).await;
    book.record(book.intend(facts("read", "v")), Ok(answer()), None).await.unwrap();
    (0..3).for_each(|_| journal.round().unwrap());
    let before = Map::of(&world.directory());
    (0..5).for_each(|_| journal.round().unwrap());
    assert_eq!(before.0, Map::of(&world.directory()).0);
}

#[tokio::test]
async fn the_head_learns_what_is_durable() {
    let world = World::new();
    let store = memory();
    let (journal, _) = world.open();
    let barrier = world.create(&store, 3).await;
    let book = book(&journal, &barrier).await;
    book.record(book.intend(facts("write", "v")), Ok(Outcome::Change(put("a", "1"))), None).await.unwrap();
    book.close().await.unwrap();
    // First leaf and write; the outbox is empty again.
    assert_eq!(barrier.promised_audit().0, 2);
    assert!(barrier.outbox().await.unwrap().is_empty());
    let again = world.reopen(&store, 3).await;
    assert_eq!(again.promised_audit(), barrier.promised_audit());
}

#[tokio::test]
async fn a_flood_before_addressing_is_counted_and_not_listed() {
    let world = World::new();
    let (journal, node) = world.open();
    for _ in 0..5000 {
        node.count(NodeCount::Unreadable).unwrap();
    }
    node.count(NodeCount::WhileSealed).unwrap();
    journal.round().unwrap();
    let lines: Vec<_> = world.lines().into_iter().filter(|line| line.contains("counts")).collect();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains(r#""unreadable":"5000""#) && lines[0].contains(r#""while_sealed":"1""#));
}

#[tokio::test]
async fn an_effect_outside_the_store_has_a_durable_intent_and_a_result() {
    let mut world = World::new();
    world.durability = crate::Durability::Checkpoint;
    let (journal, _) = world.open();
    let barrier = world.create(&memory(), 3).await;
    let book = book(&journal, &barrier).await;
    let turning = Arc::clone(&journal);
    let waiting = {
        let book = Arc::clone(&book);
        tokio::spawn(async move { book.intend_durably(facts("write", "v")).await })
    };
    let intent = loop {
        tokio::task::yield_now().await;
        turning.sync().unwrap();
        if waiting.is_finished() {
            break waiting.await.unwrap().unwrap();
        }
    };
    assert_eq!(journal.unfinished_intents(barrier.environment()).len(), 1);
    book.record(intent, Ok(Outcome::Change(put("a", "1"))), None).await.unwrap();
    assert!(journal.unfinished_intents(barrier.environment()).is_empty());
    let lines = world.lines().join("\n");
    assert!(lines.contains(r#""type":"intent""#) && lines.contains(r#""type":"result""#));
}

#[tokio::test]
async fn nothing_is_recorded_after_the_final_checkpoint() {
    let world = World::new();
    let (journal, _) = world.open();
    let barrier = world.create(&memory(), 3).await;
    let book = book(&journal, &barrier).await;
    book.close().await.unwrap();
    let late = book.record(book.intend(facts("write", "v")), Ok(Outcome::Change(put("a", "1"))), None).await;
    assert_eq!(late.err(), Some(crate::Unrecorded::Closed));
    assert_eq!(get(&barrier, "a").await, None);
    // Unsealed again, the log goes on.
    let again =
        crate::Book::open(&journal, Arc::clone(&barrier), Opening::AsPromised(Vec::new())).await.unwrap();
    drop(book);
    let index =
        again.record(again.intend(facts("read", "v")), Ok(answer()), None).await.unwrap().receipt().index;
    journal.round().unwrap();
    assert!(
        again.receipt(index).await.unwrap().is_some(),
        "the old book's end did not take the new one's key away"
    );
}

#[test]
fn control_characters_are_escaped_when_shown() {
    use keystore_format::leaf::{LeafKind, Plain};
    let mut leaf = Leaf::new(LeafKind::NodeEvent, 1, 0, "node", "x\u{1b}[2J\r\n\"\\\u{202e}\u{9b}", 0);
    leaf.plain.insert("f".into(), Plain::Text("\u{7f}\u{0}".into()));
    let line =
        keystore_format::logcheck::json_line((coffer_types::EnvironmentId([0; 16]), [0; 16]), 0, &leaf);
    assert!(line.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{line}");
    assert!(line.contains(r#"x\u001b[2J\u000d\u000a\"\\\u202e\u009b"#), "{line}");
}

#[test]
fn the_list_of_plain_fields_is_the_one_under_review() {
    let mut names: Vec<_> = PlainField::ALL.iter().map(|field| format!("request {}", field.name())).collect();
    names.extend(NodeField::ALL.iter().map(|field| format!("node {}", field.name())));
    assert_eq!(include_str!("../../fields.txt").lines().collect::<Vec<_>>(), names);
}
