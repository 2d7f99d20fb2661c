//! Killing the daemon at a call that changes its disk: before or after the first, the second, the hundredth.
//!
//! `kills/points.c` is loaded into the daemon, counts such calls from the moment on at which it is told to, and kills it
//! at the one that was asked for. It sees what goes through libc. That is all but `fallocate` and `syncfs`, which change no
//! byte: compared with `strace -f` over all ceremonies of `kill_storm`, call by call for that of `init`.
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kills/points.c");

/// What kills a daemon that was started with [`Kills::variables`].
pub struct Kills {
    folder: TempDir,
    control: File,
}

/// A place at which the daemon was, or could have been, killed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Counted over all threads, from one.
    pub number: u64,
    /// `before` or `after`.
    pub side: String,
    /// The call's name.
    pub call: String,
    /// The file, below the folder that is watched.
    pub file: String,
}

impl Kills {
    /// Builds what is loaded into the daemon.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("coffer-kills-").tempdir().unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]);
        cc.arg(folder.path().join("points.so")).arg(SOURCE).arg("-ldl");
        assert!(cc.status().unwrap().success(), "points.c does not build");
        let control = File::create_new(folder.path().join("control")).unwrap();
        control.set_len(4096).unwrap();
        std::fs::write(folder.path().join("list"), "").unwrap();
        Self { folder, control }
    }

    /// The variables of a daemon's process that is to be killed at a change of what lies below a folder.
    #[must_use]
    pub fn variables(&self, below: &Path) -> Vec<(String, String)> {
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        vec![
            ("LD_PRELOAD".into(), text(self.folder.path().join("points.so"))),
            ("KILL_CONTROL".into(), text(self.folder.path().join("control"))),
            ("KILL_LIST".into(), text(self.folder.path().join("list"))),
            ("KILL_BELOW".into(), text(below.join(""))),
        ]
    }

    /// From now on points are counted and listed, and the daemon dies at this one.
    pub fn arm(&self, at: u64) {
        std::fs::write(self.folder.path().join("list"), "").unwrap();
        // The count first: with the other number it begins.
        self.control.write_all_at(&0_u64.to_ne_bytes(), 8).unwrap();
        self.control.write_all_at(&at.to_ne_bytes(), 0).unwrap();
    }

    /// Counts and kills no more.
    pub fn disarm(&self) {
        self.control.write_all_at(&0_u64.to_ne_bytes(), 0).unwrap();
    }

    /// What was met since [`Kills::arm`].
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        let list = std::fs::read_to_string(self.folder.path().join("list")).unwrap();
        let mut points: Vec<Point> = list.lines().map(point).collect();
        points.sort();
        points
    }
}

impl Default for Kills {
    fn default() -> Self {
        Self::new()
    }
}

fn point(line: &str) -> Point {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().unwrap().to_owned();
    Point { number: word().parse().unwrap(), side: word(), call: word(), file: word() }
}
