//! `cofferd dev`: what it says was done was done, it leaves nothing behind, and the lines that it prints to paste work.
use crate::readme::Background;
use coffer_tests::{Output, coffer, cofferd, find, free_port, run, skip};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

fn dev(temporary: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(cofferd());
    command.env_clear().env("TMPDIR", temporary).args(["dev", "--once"]).args(arguments);
    run(command, "")
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

/// What a failed run says last: one line; what comes before are warnings about the machine.
fn last_word(output: &Output) -> &str {
    let (warnings, said): (Vec<_>, Vec<_>) = output.stderr.lines().partition(|line| line.contains(" WARN "));
    assert_eq!(said.len(), 1, "{output:?}");
    assert!(warnings.len() < 4, "{output:?}");
    said[0]
}

#[test]
fn the_main_job_says_each_step_ends_with_0_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let output = dev(temporary.path(), &[]);
    assert_eq!(output.code, 0, "{output:?}");
    let said: Vec<_> = output.stdout.lines().map(str::trim_start).collect();
    let steps: [&[&str]; 11] = [
        &["A Coffer in ", "coffer-dev-", ", listening on https://127.0.0.1:"],
        &["operator ", "initialised: 5 shares, any 3 of them unseal; unsealed"],
        &[
            "operator ",
            "environments dev, staging, prod: each with keys, policies and an audit log of its own",
        ],
        &["application ", "user app, a password of 29 characters"],
        &["application ", "a file sealed with a data key and opened again"],
        &["operator ", "sealed: the application is refused (503); unsealed with shares 5, 4 and 3"],
        &[
            "rotation job ",
            "transit key, both keyrings, and the password, now version 2; it may write it and not read it",
        ],
        &["auditor ", " leaves in 5 logs, ", ": whole"],
        &["dev's app ", "asks for prod's secret and is refused (403): leaf ", " of prod's log"],
        &["The main job is done."],
        &[],
    ];
    for (line, parts) in said.iter().zip(steps) {
        assert!(
            line.starts_with(parts[0]) && parts.iter().all(|part| line.contains(part)),
            "{line}: {parts:?}"
        );
    }
    assert_eq!(said.len(), steps.len() - 1, "{}", output.stdout);
    assert!(is_empty(temporary.path()), "it leaves files behind");
}

#[test]
fn a_main_job_that_can_not_be_done_ends_with_another_status_and_one_clear_line() {
    let temporary = tempfile::tempdir().unwrap();
    // No folder can be made below a file.
    let file = temporary.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = dev(&file, &[]);
    assert_eq!(output.code, 1, "{output:?}");
    let said = last_word(&output);
    assert!(said.starts_with(&format!("cofferd: {}/coffer-dev-", file.display())), "{said}");
    assert!(said.ends_with(": Not a directory (os error 20)"), "{said}");
    assert_eq!(output.stdout, "");
    std::fs::remove_file(file).unwrap();
    // An address of no machine (RFC 5737): by then the folder is there, and goes.
    let output = dev(temporary.path(), &["--listen", "192.0.2.1:8200"]);
    assert_eq!(output.code, 1, "{output:?}");
    let said = last_word(&output);
    assert!(said.starts_with("cofferd: ") && said.contains("192.0.2.1"), "{said}");
    assert!(is_empty(temporary.path()), "it leaves files behind");
}

#[test]
fn a_step_that_fails_is_named_and_nothing_after_it_is_said() {
    let temporary = tempfile::tempdir().unwrap();
    // No file may be larger than the store's when it is new: what the first step writes finds no room.
    let mut command = Command::new("bash");
    command
        .env("TMPDIR", temporary.path())
        .args(["-c", "trap '' XFSZ; ulimit -f 2500; exec \"$0\" dev --once"]);
    command.arg(cofferd());
    let output = run(command, "");
    assert_eq!(output.code, 1, "{output:?}");
    assert!(last_word(&output).starts_with("cofferd: init: the server answered 507: "), "{output:?}");
    assert_eq!(output.stdout.lines().count(), 1, "{output:?}");
    assert!(is_empty(temporary.path()), "it leaves files behind");
}

#[test]
fn the_lines_that_dev_prints_to_paste_do_what_they_say() {
    let (Some(bao), Some(curl)) = (find("bao"), find("curl")) else {
        return skip("bao and curl are not installed: tests/tools.sh installs them");
    };
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("dev");
    let mut daemon = Command::new(cofferd());
    daemon.args(["dev", "--listen", &format!("127.0.0.1:{}", free_port()), "--dir"]).arg(&folder);
    daemon.env_clear().stdout(Stdio::piped()).stdin(Stdio::null());
    let mut daemon = Background(daemon.spawn().unwrap());
    let said = BufReader::new(daemon.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said =
        said.skip_while(|line| !line.starts_with("It stays up until Ctrl-C. In another terminal:"));
    assert!(said.next().is_some(), "the daemon ended early");
    let lines: Vec<_> = said.take_while(|line| !line.starts_with("The shares are in ")).collect();
    assert!(lines.iter().all(|line| line.is_empty() || line.starts_with("  ")), "{lines:?}");
    let script = lines.join("\n");
    for program in ["coffer kv get", "coffer operator status", "coffer audit verify", "curl ", "bao kv get"] {
        assert!(script.contains(&format!("\n  {program}")), "no line runs {program}:\n{script}");
    }

    let mut path: Vec<_> =
        [coffer(), bao, curl].iter().map(|file| file.parent().unwrap().to_owned()).collect();
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail"]).env_clear().env("HOME", home.path());
    shell.env("PATH", std::env::join_paths(path).unwrap()).current_dir(home.path());
    let output = run(shell, &script);
    let (out, err) = (&output.stdout, &output.stderr);
    assert_eq!(output.code, 0, "{out}\n{err}");
    assert_eq!(
        out.matches("password").count(),
        3,
        "coffer, curl and bao each read the secret:\n{out}\n{err}"
    );
    // As JSON only curl shows it.
    let password = out.split("\"password\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(out.matches(password).count(), 3, "not the same for all:\n{out}");
    assert!(out.contains("Whole: ") && out.contains("open"), "{out}");
    let shares = std::fs::read_to_string(folder.join("shares.txt")).unwrap();
    assert_eq!(shares.lines().count(), 5);
    assert!(!out.contains(shares.lines().next().unwrap()));
}

#[test]
fn a_folder_that_somebody_has_made_before_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
    let there = folder.path().join("there");
    std::fs::create_dir(&there).unwrap();
    for taken in [&there, &link] {
        let output = dev(folder.path(), &["--dir", taken.to_str().unwrap()]);
        assert_ne!(output.code, 0);
        assert!(last_word(&output).contains("is there already"), "{output:?}");
    }
    assert!(is_empty(&there) && !folder.path().join("elsewhere").exists());
}
