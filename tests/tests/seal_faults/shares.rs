//! The shares in their holders' hands, beside a key file that is away for a while.
use super::Sealed;
use coffer_tests::{Ask, House, Setup};
use serde_json::{Value, json};

const TYPO: &str = "the share is mistyped: some character of it is wrong or missing";
const FOREIGN: &str = "the share belongs to another environment or another store";
const OLD: &str = "the share was replaced by a rekey: use the newer one";

/// One character of it is another.
fn mistyped(share: &str) -> String {
    let other = |(at, letter): (usize, char)| match (at, letter) {
        (40, 'q') => 'p',
        (40, _) => 'q',
        _ => letter,
    };
    share.chars().enumerate().map(other).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wrong_share_is_told_and_the_others_count_until_a_device_or_the_right_one_opens() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, away) = (folder.path().join("disk"), folder.path().join("away"));
    let sections = format!("[[seal]]\nname = \"disk\"\ntype = \"file\"\npath = {disk:?}\n");
    let setup = Setup { sections, ..Setup::default() };
    let mut sealed = Sealed::by(setup, json!({ "add": "disk" }), &[]).await;
    sealed.house.canaries.add(std::fs::read(&disk).unwrap());
    let old = sealed.house.shares.clone();
    let other = House::start().await;
    let foreign = other.shares[0].clone();
    sealed.house.canaries.add(&foreign);

    // Others take the place of the first.
    let root = sealed.house.root();
    let begun = json!({ "secret_shares": 4, "secret_threshold": 3, "require_verification": true });
    let nonce = root.ask("POST", "sys/rekey/init", begun).await.ok().text("nonce");
    let mut made = Value::Null;
    for share in &old[..2] {
        made = root.ask("POST", "sys/rekey/update", json!({ "key": share, "nonce": nonce })).await.ok().body;
    }
    let text = |share: &Value| share.as_str().unwrap().to_owned();
    let shares: Vec<String> = made["shares"].as_array().unwrap().iter().map(text).collect();
    shares.iter().for_each(|share| sealed.house.canaries.add(share));
    for share in &shares[..3] {
        let shown = json!({ "key": share, "nonce": made["verification_nonce"] });
        root.ask("POST", "sys/rekey/verify", shown).await.done();
    }
    sealed.house.shares = shares;

    let missing = "the key file is not there: its path must be that of a file";
    for opens_by_device in [true, false] {
        sealed.stop();
        std::fs::rename(&disk, &away).unwrap();
        sealed.starts_sealed(missing).await;
        let shares = sealed.house.shares.clone();
        let first = sealed.coffer(&["operator", "unseal"], &shares[3]);
        assert!(
            first.code == 2 && first.stdout.contains("Still sealed: 1 of 3 shares are given"),
            "{first:?}"
        );
        for (wrong, sentence) in
            [(mistyped(&shares[0]), TYPO), (foreign.clone(), FOREIGN), (old[0].clone(), OLD)]
        {
            let said = sealed.house.client(&sealed.house.operator);
            let said = said.ask("POST", "sys/unseal", json!({ "key": wrong })).await.refused(400);
            assert_eq!(said, sentence);
            let typed = sealed.coffer(&["operator", "unseal"], &wrong);
            assert!(typed.code == 1 && typed.stderr.contains(sentence), "{typed:?}");
            let log = sealed.house.log();
            assert!(sealed.house.canaries.found_in(log.as_bytes()).is_empty());
        }
        // The same again counts once, and too few open nothing.
        let repeated =
            sealed.coffer(&["operator", "unseal"], &[shares[3].clone(), shares[1].clone()].join("\n"));
        assert!(repeated.stderr.contains("That share was given already: still 1 of 3"), "{repeated:?}");
        assert!(repeated.code == 2 && repeated.stdout.contains("2 of 3 shares are given"), "{repeated:?}");
        let status = sealed.coffer(&["operator", "status"], "");
        assert!(status.code == 2 && status.stdout.contains("2 of 3 shares"), "{status:?}");
        if opens_by_device {
            std::fs::rename(&away, &disk).unwrap();
            sealed.opens_at_once().await;
        } else {
            sealed.coffer(&["operator", "unseal"], &shares[0]).ok();
            sealed.is_all_there().await;
        }
    }
}
