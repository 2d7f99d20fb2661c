//! The offline check of an audit log, on files of any content: it names faults, and never fails by itself.
#![no_main]
use coffer_fuzz::{byte, piece};
use keystore_format::ids::EnvironmentId;
use keystore_format::{frame, logcheck};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The files that a log of environment 11… in incarnation 33… has, at the most.
const PATHS: [&str; 12] = [
    "journal/00000000000000000000.log",
    "journal/00000000000000000001.log",
    "11111111111111111111111111111111/33333333333333333333333333333333/vkey",
    "11111111111111111111111111111111/33333333333333333333333333333333/checkpoint",
    "11111111111111111111111111111111/33333333333333333333333333333333/positions",
    "11111111111111111111111111111111/33333333333333333333333333333333/tile/0/000",
    "11111111111111111111111111111111/33333333333333333333333333333333/tile/0/000.p/1",
    "11111111111111111111111111111111/33333333333333333333333333333333/tile/0/000.p/3",
    "11111111111111111111111111111111/33333333333333333333333333333333/tile/1/000.p/1",
    "11111111111111111111111111111111/33333333333333333333333333333333/tile/entries/000.p/1",
    "11111111111111111111111111111111/33333333333333333333333333333333/tile/entries/000.p/3",
    "00000000000000000000000000000000/33333333333333333333333333333333/vkey",
];

struct Map(BTreeMap<String, Vec<u8>>);

impl logcheck::Files for Map {
    type Error = Infallible;
    fn list(&mut self) -> Result<Vec<String>, Infallible> {
        Ok(self.0.keys().cloned().collect())
    }
    fn read(&mut self, path: &str, offset: u64, limit: usize) -> Result<Vec<u8>, Infallible> {
        let file = self.0.get(path).map(Vec::as_slice).unwrap_or_default();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
        Ok(file[from..].iter().copied().take(limit).collect())
    }
}

// Each part is an op, then a piece: bytes for one of the files, or a leaf that is put into a whole frame of the journal.
fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    let mut files = Map(BTreeMap::new());
    while !rest.is_empty() {
        let op = usize::from(byte(&mut rest));
        let Some(content) = piece(&mut rest) else { break };
        match PATHS.get(op) {
            Some(path) => files.0.entry((*path).into()).or_default().extend_from_slice(content),
            None if op == PATHS.len() => {
                let path = String::from_utf8_lossy(content).into_owned();
                files.0.entry(path).or_default();
            }
            None => {
                let Some((id, leaf)) = content.split_first_chunk() else { continue };
                let environment = EnvironmentId([if op % 2 == 0 { 0x11 } else { 0 }; 16]);
                let framed =
                    frame::Frame { environment, leaf_id: u64::from_be_bytes(*id), leaf, openings: b"" };
                let _ = frame::encode(&framed, files.0.entry(PATHS[0].into()).or_default());
            }
        }
    }
    let Ok(report) = logcheck::check(&mut files, &[], |_, _, _| true);
    for finding in &report.findings {
        assert!(!finding.fault.message().is_empty());
    }
    for log in &report.logs {
        assert!(log.covered <= log.leaves);
    }
    let Ok(_) = logcheck::frames(&mut files, |_, _, frame, leaf| {
        assert_eq!(leaf.encode().as_deref(), Ok(frame.leaf))
    });
});
