//! C14: code, file paths, permissions. Sinks, plugins and file names over the API: rule_6_and_7.rs.
use coffer_tests::{Ask, House, run};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

absent!(cve_2026_5051_an_older_option_skips_the_guard, "no audit devices by API");
absent!(cve_2025_24364_admin_sets_a_command, "nothing is run: rule_6_and_7 asks the process for children");
absent!(cve_2026_8715_a_tenant_names_a_file, "no file names over the API: rule_6_and_7.rs");
absent!(cve_2020_8567_path_traversal_of_a_file_sink, "no file sinks");
absent!(rustsec_2026_0067_extraction_escapes, "a backup is one stream of records: no archive, no file names");
absent!(cve_2025_0377_zip_slip, "no archives");
absent!(cve_2020_35192_blank_root_password, "no image yet");
absent!(rustsec_2026_0260_malicious_build_script, "held by Cargo.lock, cargo deny and review");

/// CVE-2025-6000, CVE-2026-105816, CVE-2025-49828, CVE-2025-49830: what is stored is never run, included or evaluated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2025_49828_stored_texts_are_texts() {
    let house = House::start().await;
    let root = house.root();
    coffer_tests::furnish(&root).await;
    for text in [
        "{{ env \"HOME\" }}",
        "${env:HOME}",
        "<%= `id` %>",
        "$(id)",
        "`id`",
        "!include /etc/passwd",
        "!!python/object/apply:os.system [id]",
        "{{7*7}}",
        "%(id)s",
    ] {
        root.ask("POST", "secret/data/t", json!({ "data": { "k": text, text: "v" } })).await.done();
        let read = root.ask("GET", "secret/data/t", Value::Null).await.ok();
        assert_eq!((&read.data()["data"]["k"], &read.data()["data"][text]), (&json!(text), &json!("v")));
        root.ask("POST", "secret/metadata/t", json!({ "custom_metadata": { "k": text } })).await.done();
        let read = root.ask("GET", "secret/metadata/t", Value::Null).await.ok();
        assert_eq!(read.data()["custom_metadata"]["k"], text);
    }
}

/// CVE-2021-38553, CVE-2020-15113: whatever the umask, what the daemon makes is its owner's alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2021_38553_an_open_umask_opens_nothing() {
    let mut house = House::start().await;
    house.environment("prod").await;
    assert!(house.stop().success());
    let config = std::fs::read_to_string(house.at("cofferd.toml")).unwrap();
    let fresh = house.at("fresh/deeper");
    std::fs::write(
        house.at("fresh.toml"),
        config.replace(house.data().to_str().unwrap(), fresh.to_str().unwrap()),
    )
    .unwrap();
    let mut command = Command::new("sh");
    let script = format!(
        "umask 000; timeout -s TERM 2 {} serve --config {}",
        coffer_tests::cofferd().display(),
        house.at("fresh.toml").display()
    );
    command.args(["-c", &script]);
    let said = run(command, "");
    assert!(said.stderr.contains("listening"), "{said:?}");
    let mut seen = 0;
    let mut folders = vec![fresh];
    while let Some(path) = folders.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        assert_eq!(meta.permissions().mode() & 0o077, 0, "{}", path.display());
        seen += 1;
        if meta.is_dir() {
            folders.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(seen > 5);
}

/// A link in the place of the daemon's own files is not followed to somebody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_in_place_of_the_data_is_not_followed_to_a_file_that_others_read() {
    let mut house = House::start().await;
    assert!(house.stop().success());
    let store = house.data().join("store/coffer.redb");
    let elsewhere = house.at("elsewhere");
    std::fs::rename(&store, &elsewhere).unwrap();
    std::fs::set_permissions(&elsewhere, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &store).unwrap();
    let said = house.try_start().expect_err("it opens a file that others can read");
    assert!(!said.contains("panicked"), "{said}");
}
