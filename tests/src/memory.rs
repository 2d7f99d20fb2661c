//! Looking into a process: its memory as a privileged dump would show it.
use crate::canaries::Search;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

/// Whether this test may do what only root may.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Which of these patterns stand anywhere in the process's readable memory. Only root can look: the daemon is not
/// dumpable. Pages that even root can't read (memfd_secret) are passed over, as a dump passes them over.
#[must_use]
pub fn memory_holds(pid: u32, patterns: &[Vec<u8>]) -> Vec<String> {
    let search = Search::of(patterns.to_vec());
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with('r') || rest.ends_with("[vvar]") || rest.ends_with("[vsyscall]") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.seek(SeekFrom::Start(from)).is_err() || memory.read_exact(&mut bytes).is_err() {
            continue;
        }
        found.extend(search.run(&bytes).into_iter().map(|what| format!("{what} of {line}")));
    }
    found
}

/// What the process holds in memory, in bytes.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
