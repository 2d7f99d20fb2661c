//! Looking into a process: its memory as root sees it, and as a core dump shows it.
use crate::search::{Hit, Search};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PAGE: usize = 4096;
/// Of so many hits of a kind at most the place is told.
const TOLD: usize = 40;
/// How long the kernel may take to stop all threads of a process.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether this test may do what only root may.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A process all of whose threads stand still. It goes on when this is dropped.
pub struct Frozen {
    pid: u32,
}

/// What was found in a memory.
#[derive(Default)]
pub struct Scan {
    /// Bytes that were looked at.
    pub bytes: u64,
    /// How many secrets were found, by kind.
    pub hits: BTreeMap<&'static str, usize>,
    /// The first of them, with the place where each stood.
    pub found: Vec<Found>,
    /// The mappings that not even root can read, or parts of which.
    pub unread: Vec<String>,
}

/// A secret in a memory.
#[derive(Debug)]
pub struct Found {
    /// What it is.
    pub hit: Hit,
    /// The mapping's line in `/proc/PID/maps`, or the part of a core dump.
    pub place: String,
    /// Where in the process's memory; in the file for what belongs to no address.
    pub address: u64,
    /// What stands around it, for who wants to know how it came there.
    pub around: String,
}

impl Frozen {
    /// Stops the process and waits until each of its threads stands.
    #[must_use]
    pub fn now(pid: u32) -> Self {
        let frozen = Self { pid };
        kill_process(frozen.id(), Signal::STOP).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !is_stopped(pid) {
            assert!(Instant::now() < deadline, "the process does not stop");
            std::thread::yield_now();
        }
        frozen
    }

    /// Looks through all memory that root can read: heap, stacks, anonymous pages, mapped files.
    #[must_use]
    pub fn memory(&self, search: &Search) -> Scan {
        memory(self.pid, search)
    }

    /// Writes a core dump with all that a debugger run by root can read, also what is marked as not to be dumped.
    pub fn dump(&self, to: &Path) {
        let mut gdb = Command::new("gdb");
        gdb.args(["-q", "-nx", "-batch", "-iex", "set auto-solib-add off", "-p", &self.pid.to_string()]);
        gdb.args(["-ex", "set use-coredump-filter off", "-ex", "set dump-excluded-mappings on"]);
        let output = gdb.arg("-ex").arg(format!("gcore {}", to.display())).output();
        let output = output.unwrap_or_else(|error| panic!("gdb is not here (Debian: gdb): {error}"));
        assert!(to.exists(), "no core dump: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Its threads, one a line, with the system call that each is in: for who wants to know which it was.
    #[must_use]
    pub fn threads(&self) -> String {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let line = |task: &Path| {
            let id = task.file_name().unwrap_or_default().display();
            format!("thread {id}: {} in {}\n", read(&task.join("comm")), read(&task.join("syscall")))
        };
        tasks.flatten().map(|task| line(&task.path())).collect()
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.pid).unwrap()).unwrap()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        let _gone = kill_process(self.id(), Signal::CONT);
    }
}

fn is_stopped(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.flatten().all(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // The name before it, in parentheses, may hold anything.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}

/// Looks through all memory of a process that root can read, while it runs.
#[must_use]
pub fn memory(pid: u32, search: &Search) -> Scan {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut scan = Scan::default();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with('r')
            || rest.ends_with("[vvar]")
            || rest.ends_with("[vvar_vclock]")
            || rest.ends_with("[vsyscall]")
        {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if memory.read_exact_at(&mut bytes, from).is_err() {
            scan.unread.push(line.to_owned());
            // A file that is shorter than its mapping ends with pages that can't be read.
            for (page, at) in bytes.chunks_mut(PAGE).zip((from..).step_by(PAGE)) {
                if memory.read_exact_at(page, at).is_err() {
                    page.fill(0);
                }
            }
        }
        scan.bytes += bytes.len() as u64;
        for hit in search.run(&bytes) {
            scan.add(hit, &bytes, line, from);
        }
    }
    scan
}

/// Looks through a core dump: all that it holds, the registers of the threads included.
#[must_use]
pub fn core_dump(file: &Path, search: &Search) -> Scan {
    let bytes = std::fs::read(file).unwrap();
    let (parts, threads) = (parts(&bytes, LOAD), threads(&bytes));
    let mut scan = Scan { bytes: bytes.len() as u64, ..Scan::default() };
    for hit in search.run(&bytes) {
        let part = parts.range(..=hit.at).next_back();
        let (place, start) = match part {
            Some((from, (address, length))) if hit.at < from + length => {
                ("a page of the core dump".to_owned(), address.wrapping_sub(*from as u64))
            }
            _ => {
                let thread = threads.range(..=hit.at).next_back().map_or(0, |(_, thread)| *thread);
                (format!("the registers of thread {thread}"), 0)
            }
        };
        scan.add(hit, &bytes, &place, start);
    }
    scan
}

impl Scan {
    fn add(&mut self, hit: Hit, bytes: &[u8], place: &str, start: u64) {
        let count = self.hits.entry(hit.kind).or_default();
        *count += 1;
        if *count <= TOLD {
            let (from, to) = (hit.at.saturating_sub(64) & !7, (hit.at + 128).min(bytes.len()));
            let around = bytes[from..to].chunks(8).map(hex::encode).collect::<Vec<_>>().join(" ");
            let address = start.wrapping_add(hit.at as u64);
            self.found.push(Found { hit, place: place.to_owned(), address, around });
        }
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Hit { kind, name, pattern, .. } = &self.hit;
        let spelt = String::from_utf8_lossy(pattern);
        writeln!(f, "{kind}: {name} as {spelt:?}\n  at {:#x} of {}", self.address, self.place)?;
        write!(f, "  {}", self.around)
    }
}

const LOAD: u64 = 1;
const NOTE: u64 = 4;

/// The parts of a core dump (ELF-64, little-endian) of a type: by their place in the file, address and length.
fn parts(core: &[u8], of: u64) -> BTreeMap<usize, (u64, usize)> {
    let (table, size, count) = (number(core, 32, 8), number(core, 54, 2), number(core, 56, 2));
    let headers = (0..count).map(|at| (table + at * size) as usize).filter(|at| number(core, *at, 4) == of);
    headers
        .map(|at| {
            let [place, address, length] = [8, 16, 32].map(|field| number(core, at + field, 8));
            (place as usize, (address, length as usize))
        })
        .collect()
}

/// Where the registers of each thread begin (`NT_PRSTATUS`), and its id.
fn threads(core: &[u8]) -> BTreeMap<usize, u64> {
    let mut threads = BTreeMap::new();
    for (from, (_, length)) in parts(core, NOTE) {
        let mut at = from;
        while at + 12 <= from + length {
            let [name, contents, kind] = [0, 4, 8].map(|field| number(core, at + field, 4) as usize);
            let start = at + 12 + name.next_multiple_of(4);
            if kind == 1 {
                threads.insert(start, number(core, start + 32, 4));
            }
            at = start + contents.next_multiple_of(4);
        }
    }
    threads
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What the process holds in memory, in bytes.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
