//! The programs under test: given by `COFFERD` and `COFFER`, or else built once a run.
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The daemon.
#[must_use]
pub fn cofferd() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| given("COFFERD").unwrap_or_else(|| built("cofferd"))).clone()
}

/// The command line.
#[must_use]
pub fn coffer() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| given("COFFER").unwrap_or_else(|| built("coffer"))).clone()
}

fn given(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

/// Builds the package beside this test's own binary. Each test is a process: a stamp with the run's id keeps all but
/// the first from asking cargo again.
fn built(package: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let folder = this.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps").to_owned();
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string());
    let stamp = folder.join(format!(".{package}-built-by"));
    let mut stamp = File::options().create(true).truncate(false).read(true).write(true).open(stamp).unwrap();
    stamp.lock().unwrap();
    let mut last = String::new();
    stamp.read_to_string(&mut last).unwrap();
    if last != run {
        let is_release = folder.ends_with("release");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--quiet", "-p", package])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        cargo.args(is_release.then_some("--release"));
        assert!(cargo.status().unwrap().success(), "{package} does not build");
        stamp.rewind().unwrap();
        stamp.set_len(0).unwrap();
        stamp.write_all(run.as_bytes()).unwrap();
    }
    folder.join(package)
}
