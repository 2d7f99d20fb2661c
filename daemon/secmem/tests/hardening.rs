//! One test, in a process of its own: hardening can't be taken back.

use coffer_secmem::harden;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_hardened_process_dumps_no_core_and_gains_no_rights() {
    let before = std::fs::read_to_string("/proc/thread-self/status").expect("status");
    assert_eq!(field(&before, "NoNewPrivs:"), "0", "or the test shows nothing");

    let hardening = harden();

    assert!(hardening.is_complete(), "{hardening:?}");
    let limits = std::fs::read_to_string("/proc/self/limits").expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("core limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("status");
    assert_eq!(field(&status, "NoNewPrivs:"), "1");
    assert_eq!(
        rustix::process::dumpable_behavior().expect("prctl"),
        rustix::process::DumpableBehavior::NotDumpable
    );

    let path = std::env::temp_dir().join(format!("coffer-umask-{}", std::process::id()));
    std::fs::write(&path, b"").expect("file");
    let mode = std::fs::metadata(&path).expect("metadata").permissions().mode();
    std::fs::remove_file(&path).expect("remove");
    assert_eq!(mode & 0o777, 0o600);
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("no such field").trim()
}
