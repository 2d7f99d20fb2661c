//! The command as a process, where no daemon is: help, mistakes, and what scripts see.
#![allow(clippy::unwrap_used, reason = "a test")]
mod support;

use serde_json::Value;
use std::path::Path;
use support::{coffer, outcome};

/// Compares with a text that people review. `COFFER_WRITE_GOLDEN=1` writes it anew.
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("COFFER_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{} differs", path.display());
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    outcome(coffer(arguments).env("COLUMNS", "100").output().unwrap())
}

#[test]
fn the_help_lists_commands_settings_and_exit_codes() {
    let (code, out, err) = run(&["--help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    golden("help.txt", &out);
}

#[test]
fn mistakes_end_with_1_and_one_line_on_standard_error() {
    for arguments in [
        &["operater"][..],
        &["kv", "get"],
        &["status"],
        &["operator", "unseal", "coffer1hunter2"],
        &["token", "revoke", "s.hunter2"],
        &["kv", "put", "secret/a", "hunter2", "--address", "https://127.0.0.1:1"],
        &["operator", "snapshot", "inspect", "/nowhere/at/all"],
        &["audit", "verify", "/nowhere/at/all"],
        &["--client-cert", "only.pem", "--address", "https://127.0.0.1:1", "status"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.starts_with("error: ") && !err.contains("hunter2"), "{err}");
    }
}

#[test]
fn a_script_gets_its_errors_as_json() {
    let (code, _, err) = run(&["--format", "json", "operator", "unseal", "coffer1x"]);
    let told: Value = serde_json::from_str(&err).unwrap();
    assert_eq!((code, &told["exit"]), (1, &Value::from(1)));
    assert!(told["next"].as_str().unwrap().contains("coffer operator unseal"));
}

#[test]
fn a_daemon_that_is_not_there_is_3_and_its_address_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, CA).unwrap();
    // Port 1 of this machine: nobody listens there.
    let arguments = ["--address", "https://127.0.0.1:1", "--cacert", ca.to_str().unwrap(), "status"];
    let (code, out, err) = run(&arguments);
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.contains("no connection to the server at https://127.0.0.1:1: "), "{err}");
}

#[test]
fn there_is_no_colour_where_the_output_is_no_terminal() {
    let (_, out, err) = run(&["operator", "nothing"]);
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'));
}

/// A self-signed certificate, valid until 2126; its key is nowhere.
const CA: &str = include_str!("support/ca.pem");
