//! Splitting and joining branch on no secret and look nowhere that a secret says, as the optimiser left them: memcheck
//! takes the secrets for undefined (`timing/mark.c`). The statistical side is run by hand; see `timing/README.md`.
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/timing");

/// The programs under `timing/`, and what marks secrets in them.
struct Lab {
    programs: PathBuf,
    folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        let target = std::env::current_exe().unwrap();
        let target = target.ancestors().nth(3).expect("tests lie in target/<profile>/deps").join("timing");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--release", "--locked", "--manifest-path"]);
        cargo.arg(Path::new(SOURCE).join("Cargo.toml")).env("CARGO_TARGET_DIR", &target);
        assert!(cargo.status().unwrap().success(), "tests/timing does not build");
        let folder = tempfile::tempdir().unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(folder.path().join("mark.so"));
        cc.arg(Path::new(SOURCE).join("mark.c")).arg("-ldl");
        assert!(cc.status().unwrap().success(), "mark.c does not build: are Valgrind's headers there?");
        let mut secrets = [0; 32 << 10];
        getrandom::fill(&mut secrets).unwrap();
        fs::write(folder.path().join("secrets"), secrets).unwrap();
        Self { programs: target.join("release"), folder }
    }

    /// Runs `marked` in this mode under memcheck; gives what that says, and how many bytes came out.
    fn checked(&self, mode: &str) -> (Output, u64) {
        let at = |name: &str| self.folder.path().join(name);
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--quiet", "--error-exitcode=9"]).arg(self.programs.join("marked"));
        valgrind.arg(mode).arg(at("out")).stdin(File::open(at("secrets")).unwrap());
        let output = valgrind.env("LD_PRELOAD", at("mark.so")).output().unwrap();
        (output, fs::metadata(at("out")).unwrap().len())
    }
}

#[test]
fn nothing_in_splitting_or_joining_depends_on_a_secret() {
    let lab = Lab::new();
    for (mode, bytes) in [("split", (1 + 3 + 9 + 40) * 32), ("join", 4 * 32)] {
        let (output, written) = lab.checked(mode);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("uninitialised"), "{mode}: {said}");
        assert_eq!(written, bytes, "{mode}");
    }
}

#[test]
fn the_check_finds_a_branch_or_an_address_that_does() {
    let lab = Lab::new();
    let (branch, address) =
        ("Conditional jump or move depends on uninitialised", "Use of uninitialised value");
    for (mode, says, place) in [
        ("steps", branch, "multiply_by_steps"),
        ("tables", address, "multiply_by_tables"),
        // What comes out is still taken for secret: the marks went through all of it.
        ("split-and-look", branch, "look"),
        ("join-and-look", branch, "look"),
    ] {
        let (output, _) = lab.checked(mode);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(9), "{mode}: {said}");
        assert!(said.contains(says) && said.contains(place), "{mode}: {said}");
    }
}

#[test]
fn the_t_test_runs() {
    // What it measures is never asserted here: a busy machine would decide.
    let output = Command::new(Lab::new().programs.join("welch")).arg("2000").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    for line in ["join: |t| ", "split: |t| ", "split by steps, which leaks: |t| "] {
        assert!(said.contains(line), "{said}");
    }
}
