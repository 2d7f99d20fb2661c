//! Ten thousand random alterations of a log's files, each of which the offline check must name.
use super::world::*;
use crate::journal::{Prepared, Tree};
use crate::{NodeEvent, NodeField};
use coffer_room::Outcome;
use coffer_types::EnvironmentId;
use keystore_format::error::{Fault, FormatError};
use keystore_format::frame::{self, Frame};
use keystore_format::leaf::{Leaf, Plain};
use keystore_format::logcheck::{Finding, LogFault, Report, segment_path, tree_path};
use keystore_format::note::VerifierKey;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

const ALTERATIONS: u64 = 10_000;

/// Where each frame of a whole journal lies, and which leaf it is.
#[derive(Clone, Debug)]
struct Known {
    start: usize,
    end: usize,
    environment: EnvironmentId,
    index: u64,
}

struct Log {
    files: Map,
    frames: Vec<Known>,
}

/// A log of two environments and the node: full and partial tiles, many rounds, changes, reads and node events.
async fn make(seed: u64) -> Log {
    let mut world = World::new();
    world.entropy = std::sync::Arc::new(Seeded(AtomicU64::new(seed)));
    let store = memory();
    let (journal, node) = world.open();
    let (first, second) = (world.create(&store, 3).await, world.create(&store, 4).await);
    let books = [book(&journal, &first).await, book(&journal, &second).await];
    for number in 0..330 {
        world.clock.0.fetch_add(97, std::sync::atomic::Ordering::Relaxed);
        let book = &books[usize::from(number % 6 == 0)];
        let secret = format!("s{number}");
        let outcome = match number % 9 {
            0 => Ok(Outcome::Change(put("k", &secret))),
            1 => Err(coffer_room::Fault::NotFound),
            _ => Ok(answer()),
        };
        book.record(book.intend(facts("any", &secret)), outcome, None).await.unwrap();
        if number % 37 == 0 {
            node.event(NodeEvent::UnsealProgress, &[(NodeField::Progress, "1")]).unwrap();
        }
        if number % 23 == 0 {
            journal.round().unwrap();
        }
    }
    for book in &books {
        book.close().await.unwrap();
    }
    journal.close().unwrap();
    world.demand_whole();
    let files = Map::of(&world.directory());
    let frames = frames(&files.0[&segment_path(0)]);
    Log { files, frames }
}

fn frames(journal: &[u8]) -> Vec<Known> {
    let (mut known, mut sizes) = (Vec::new(), std::collections::BTreeMap::new());
    let mut start = 0;
    while start < journal.len() {
        let (frame, length) = frame::parse(&journal[start..]).unwrap();
        let index = sizes.entry(frame.environment).or_insert(0);
        known.push(Known { start, end: start + length, environment: frame.environment, index: *index });
        *index += 1;
        start += length;
    }
    known
}

/// What an alteration must be named as.
enum Expected {
    /// In the journal, at the first byte that differs.
    Journal,
    /// Leaves and tiles were forged to fit each other: the tree, and an index at or before the forged leaf.
    Forged(EnvironmentId, u64),
    /// This file.
    File(String),
}

struct Alteration {
    what: String,
    files: Map,
    expected: Expected,
}

fn alter(log: &Log, donor: &Log, random: &Seeded) -> Option<Alteration> {
    let mut files = log.files.clone();
    let path = segment_path(0);
    let journal = log.files.0[&path].clone();
    let pick = |limit: usize| random.below(limit);
    let known = |at: usize| &log.frames[at];
    let (i, j) = (pick(log.frames.len()), pick(log.frames.len()));
    let bytes = |at: usize| &journal[known(at).start..known(at).end];
    let mut expected = Expected::Journal;
    let kind = pick(14);
    let (what, altered): (String, Vec<u8>) = match kind {
        0 => {
            let mut altered = journal.clone();
            let at = pick(altered.len());
            altered[at] ^= 1 << pick(8);
            (format!("bit of byte {at}"), altered)
        }
        1 => {
            let (forged, what) = forge(bytes(i), random)?;
            (format!("frame {i}: {what}"), replaced(&journal, known(i), &forged))
        }
        2 => (format!("frame {i} deleted"), replaced(&journal, known(i), &[])),
        3 => {
            let (i, j) = (i.min(j), i.max(j));
            let middle = &journal[known(i).end..known(j).start.max(known(i).end)];
            if i == j {
                return None;
            }
            let all =
                [&journal[..known(i).start], bytes(j), middle, bytes(i), &journal[known(j).end..]].concat();
            (format!("frames {i} and {j} exchanged"), all)
        }
        4 => {
            let i = i.min(log.frames.len() - 2);
            let all =
                [&journal[..known(i).start], bytes(i + 1), bytes(i), &journal[known(i + 1).end..]].concat();
            (format!("frame {i} and the next exchanged"), all)
        }
        5 => {
            let all = [&journal[..known(i).start], bytes(j), &journal[known(i).start..]].concat();
            (format!("frame {j} again before frame {i}"), all)
        }
        6 => {
            let foreign = &donor.files.0[&path];
            let other = &donor.frames[pick(donor.frames.len())];
            let all =
                [&journal[..known(i).start], &foreign[other.start..other.end], &journal[known(i).start..]]
                    .concat();
            (format!("a frame of another log before frame {i}"), all)
        }
        7 => {
            let foreign = &donor.files.0[&path];
            let from = &donor.frames[pick(donor.frames.len())];
            let all = [&journal[..known(i).start], &foreign[from.start..]].concat();
            (format!("from frame {i} on another log's"), all)
        }
        8 => {
            let at = pick(journal.len());
            (format!("cut off at {at}"), journal[..at].to_vec())
        }
        9 => {
            let (from, to) = (known(i.min(j)).start, known(i.max(j)).end);
            (format!("bytes {from}..{to} cut out"), [&journal[..from], &journal[to..]].concat())
        }
        10 => {
            let at = pick(journal.len());
            let noise: Vec<u8> = (0..1 + pick(60)).map(|_| random.next() as u8).collect();
            (format!("noise inserted at {at}"), [&journal[..at], &noise, &journal[at..]].concat())
        }
        11 => {
            let (forged, what) = forge_leaf(bytes(i), random)?;
            let altered = replaced(&journal, known(i), &forged);
            remake_tiles(&mut files, &altered, known(i).environment);
            expected = Expected::Forged(known(i).environment, known(i).index);
            (format!("leaf {} and its tiles: {what}", known(i).index), altered)
        }
        _ => {
            let evidence: Vec<_> =
                files.0.keys().filter(|name| name.contains('/') && **name != path).cloned().collect();
            let name = evidence[pick(evidence.len())].clone();
            let what = damage(files.0.get_mut(&name).unwrap(), random);
            if what == "deleted" {
                files.0.remove(&name);
            }
            if files.0.get(&name) == log.files.0.get(&name) {
                return None;
            }
            expected = Expected::File(name.clone());
            (format!("{name} {what}"), journal.clone())
        }
    };
    if altered == journal && !matches!(expected, Expected::File(_)) {
        return None;
    }
    files.0.insert(path, altered);
    Some(Alteration { what, files, expected })
}

fn replaced(journal: &[u8], known: &Known, by: &[u8]) -> Vec<u8> {
    [&journal[..known.start], by, &journal[known.end..]].concat()
}

/// Alters a frame so that its checksums are right again.
fn forge(bytes: &[u8], random: &Seeded) -> Option<(Vec<u8>, &'static str)> {
    let (parsed, _) = frame::parse(bytes).unwrap();
    let (mut leaf, mut openings) = (parsed.leaf.to_vec(), parsed.openings.to_vec());
    let mut frame = parsed;
    let what = match random.below(6) {
        0 => return forge_leaf(bytes, random),
        1 => {
            frame.leaf_id ^= 1 << random.below(64);
            "another leaf id"
        }
        2 => {
            frame.environment = EnvironmentId([[0, 3, 4, 5][random.below(4)]; 16]);
            "another environment"
        }
        3 if !openings.is_empty() => {
            let at = random.below(openings.len());
            openings[at] ^= 1 << random.below(8);
            "openings altered"
        }
        4 if !openings.is_empty() => {
            openings.clear();
            "openings removed"
        }
        _ => {
            let at = random.below(leaf.len());
            leaf[at] ^= 1 << random.below(8);
            "a bit of the leaf"
        }
    };
    Some((encode(&Frame { leaf: &leaf, openings: &openings, ..frame }), what))
}

/// Alters what a leaf says.
fn forge_leaf(bytes: &[u8], random: &Seeded) -> Option<(Vec<u8>, &'static str)> {
    let (frame, _) = frame::parse(bytes).unwrap();
    let mut leaf = Leaf::decode(frame.leaf).unwrap();
    let what = match random.below(4) {
        0 => {
            leaf.status ^= 1 << random.below(9);
            "another status"
        }
        1 => {
            leaf.time_ms += 1;
            "another time"
        }
        2 => {
            leaf.actor = Some([random.next() as u8; 16]);
            "another actor"
        }
        _ => {
            leaf.plain.insert("fault".into(), Plain::Text("forged".into()));
            "another fault"
        }
    };
    let leaf = leaf.encode().unwrap();
    Some((encode(&Frame { leaf: &leaf, ..frame }), what))
}

fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame::encode(frame, &mut out).unwrap();
    out
}

/// What a forger does who has the files and not the key: all tiles of the tree anew.
fn remake_tiles(files: &mut Map, journal: &[u8], environment: EnvironmentId) {
    let mut tree: Option<Tree> = None;
    let mut at = 0;
    while at < journal.len() {
        let prepared = Prepared::parse(&journal[at..]).unwrap();
        if prepared.environment == environment {
            let begun = prepared.marks.begins.map(|incarnation| Tree::new(environment, incarnation));
            let tree = tree.get_or_insert_with(|| begun.unwrap());
            tree.append(&prepared, 0, at as u64);
        }
        at += prepared.frame.len();
    }
    let snapshot = tree.unwrap().snapshot();
    let folder = tree_path(snapshot.log);
    for (tile, bytes) in snapshot.full {
        files.0.insert(format!("{folder}/{}", tile.path()), bytes.to_vec());
    }
    for (tile, bytes) in snapshot.partial {
        files.0.insert(format!("{folder}/{}", tile.path()), bytes);
    }
    let positions = snapshot
        .positions
        .iter()
        .flat_map(|(segment, offset)| [segment.to_be_bytes(), offset.to_be_bytes()].concat());
    files.0.insert(format!("{folder}/positions"), positions.collect());
}

fn damage(bytes: &mut Vec<u8>, random: &Seeded) -> &'static str {
    let at = random.below(bytes.len());
    match random.below(5) {
        0 => {
            bytes.truncate(at);
            "cut off"
        }
        1 => "deleted",
        2 => {
            bytes.insert(at, random.next() as u8);
            "with a byte more"
        }
        3 => {
            bytes.remove(at);
            "with a byte less"
        }
        _ => {
            bytes[at] ^= 1 << random.below(8);
            "with another bit"
        }
    }
}

/// Why an alteration is not named as it must be.
fn judge(log: &Log, alteration: &Alteration, report: &Report) -> Result<(), &'static str> {
    let findings = &report.findings;
    if findings.is_empty() {
        return Err("nothing was found");
    }
    let path = segment_path(0);
    match &alteration.expected {
        Expected::File(name) => {
            if findings.iter().any(|finding| finding.file == path) {
                return Err("the journal is accused");
            }
            if findings.iter().any(|finding| finding.file == *name) {
                Ok(())
            } else {
                Err("the file is not named")
            }
        }
        Expected::Forged(environment, index) => {
            let names_it = |finding: &&Finding| {
                finding.log.is_some_and(|log| log.0 == *environment)
                    && finding.index.is_some_and(|found| found <= *index)
            };
            if findings.iter().any(|finding| names_it(&finding)) {
                Ok(())
            } else {
                Err("the tree is not named")
            }
        }
        Expected::Journal => {
            let (before, after) = (&log.files.0[&path], &alteration.files.0[&path]);
            let at = before.iter().zip(after).take_while(|(before, after)| before == after).count();
            let end = before.len();
            let here = log.frames.iter().find(|known| (known.start..known.end).contains(&at));
            let start = here.map_or(end, |known| known.start) as u64;
            if findings[0].file != path {
                return Err("the journal is not named first");
            }
            let is_place =
                |finding: &Finding| finding.offset == start || is_range(finding) && finding.offset <= start;
            let is_leaf = |finding: &Finding| {
                here.is_some_and(|known| {
                    finding.log.is_some_and(|log| log.0 == known.environment)
                        && finding.index == Some(known.index)
                })
            };
            if !findings.iter().any(|finding| is_place(finding) || is_leaf(finding)) {
                return Err("neither the place nor the leaf is named");
            }
            let accuses =
                |finding: &Finding| finding.file == path && finding.offset < start && !is_range(finding);
            if findings.iter().any(accuses) { Err("an unaltered frame is accused") } else { Ok(()) }
        }
    }
}

/// Findings whose place is the beginning of a range.
fn is_range(finding: &Finding) -> bool {
    matches!(finding.fault, LogFault::Order | LogFault::Round)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_random_alterations_are_all_named() {
    let (log, donor) = (make(1).await, make(2).await);
    let next = AtomicU64::new(0);
    let kinds = std::sync::Mutex::new(std::collections::BTreeMap::<String, u32>::new());
    let failure: OnceLock<String> = OnceLock::new();
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while failure.get().is_none() {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= ALTERATIONS {
                        return;
                    }
                    let random = Seeded(AtomicU64::new(number.wrapping_mul(0x51ed_270b)));
                    let altered =
                        std::iter::repeat_with(|| alter(&log, &donor, &random)).flatten().next().unwrap();
                    let report = check(&mut altered.files.clone());
                    if let Err(why) = judge(&log, &altered, &report) {
                        let text =
                            format!("alteration {number} ({}): {why}: {:#?}", altered.what, report.findings);
                        failure.get_or_init(|| text);
                    }
                    for finding in report.findings.iter().take(1) {
                        let name =
                            format!("{:?}", finding.fault).split('(').next().unwrap_or_default().to_owned();
                        *kinds.lock().unwrap().entry(name).or_default() += 1;
                    }
                }
            });
        }
    });
    assert!(failure.get().is_none(), "{}", failure.get().unwrap());
    // The alterations reach every witness, not one of them ten thousand times.
    let kinds = kinds.into_inner().unwrap();
    assert!(kinds.len() >= 8, "{kinds:?}");
}

#[tokio::test]
async fn openings_that_were_exchanged_are_named_to_the_leaf() {
    let log = make(1).await;
    let path = segment_path(0);
    let journal = log.files.0[&path].clone();
    let parsed = |known: &Known| frame::parse(&journal[known.start..known.end]).unwrap().0;
    let known = log.frames.iter().find(|known| !parsed(known).openings.is_empty()).unwrap();
    let mut openings = parsed(known).openings.to_vec();
    openings[50] ^= 1;
    let mut files = log.files.clone();
    files.0.insert(path, replaced(&journal, known, &encode(&Frame { openings: &openings, ..parsed(known) })));
    let findings = check(&mut files).findings;
    let named = (findings[0].fault, findings[0].index, findings[0].offset);
    assert_eq!(named, (LogFault::Openings, Some(known.index), known.start as u64), "{findings:#?}");
}

#[tokio::test]
async fn a_known_key_is_demanded() {
    let log = make(1).await;
    let name = log.files.0.keys().find(|name| name.ends_with("/vkey")).unwrap();
    let ours = VerifierKey::parse(std::str::from_utf8(&log.files.0[name]).unwrap().trim()).unwrap();
    let other = VerifierKey::new(ours.name(), [7; 32]).unwrap();
    let report =
        |known| keystore_format::logcheck::check(&mut log.files.clone(), &[known], signed_by).unwrap();
    assert!(report(ours).findings.is_empty());
    assert!(matches!(report(other).findings[..], [Finding { fault: LogFault::OtherKey, .. }]));
}

#[tokio::test]
async fn a_file_or_a_tree_that_no_log_has_is_named() {
    let log = make(1).await;
    for (name, fault) in [
        ("stray", LogFault::UnknownFile),
        ("journal/1.log", LogFault::UnknownFile),
        ("journal/00000000000000000002.log", LogFault::MissingSegment),
    ] {
        let mut files = log.files.clone();
        files.0.insert(name.into(), b"x".to_vec());
        let report = check(&mut files);
        assert!(
            report.findings.iter().any(|finding| finding.fault == fault),
            "{name}: {:#?}",
            report.findings
        );
    }
    let mut files = log.files.clone();
    let folder = files.0.keys().find_map(|name| name.strip_suffix("/vkey")).unwrap().to_owned();
    files.0.insert(format!("{folder}/tile/0/009"), vec![0; 8192]);
    assert!(check(&mut files).findings.iter().any(|finding| finding.fault == LogFault::AlteredTile));
}

#[test]
fn an_empty_folder_has_nothing_wrong_and_nothing_in_it() {
    assert_eq!(check(&mut Map::default()), Report::default());
    let mut torn = Map::default();
    torn.0.insert(segment_path(0), b"CoJf".to_vec());
    let truncated = LogFault::Frame(FormatError::new("frame header", 0, Fault::Truncated));
    assert_eq!(check(&mut torn).findings[0].fault, truncated);
}
