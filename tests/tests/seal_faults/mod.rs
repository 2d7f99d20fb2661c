//! What can go wrong with a seal, each through the daemon and with the real part: SoftHSM 2, swtpm, another Coffer and
//! OpenBao as transit servers, the shares in their holders' hands, and what lies on disk.
//!
//! Each fault is told in one sentence, the same in the daemon's log and in `coffer operator seal list`; whoever may only
//! look learns from `sys/seal-status` that the seal is not well, and not why. Nothing is lost: the shares beside it open the
//! daemon, and the secret is there. When the cause is mended it opens by itself again: at once where it was only waited for,
//! else after the next start. No PIN is tried again by itself.
//!
//! | fault | test |
//! |---|---|
//! | wrong PIN | `hsm::what_an_hsm_refuses`, `tpm::what_a_tpm_refuses`, `hsm::no_pin_is_tried_again` |
//! | wrong PIN that an operator types | `tpm::a_pin_that_an_operator_mistypes` |
//! | locked PIN | `hsm::what_an_hsm_refuses` |
//! | missing module, foreign .so | `hsm::what_an_hsm_refuses` |
//! | absent token, token lost and back | `hsm::a_token_that_is_lost` |
//! | PCR extended, wrong authorisation, TPM lockout, TPM replaced | `tpm::what_a_tpm_refuses` |
//! | TPM restarted, second client on swtpm | `tpm::a_tpm_that_is_away` |
//! | transit server sealed, gone | `transit::a_server_that_is_away`, by Coffer and by OpenBao |
//! | transit server slow, answering garbage or another key | `transit::a_server_that_is_another` |
//! | transit key made anew | `transit::a_server_that_is_away`, by OpenBao |
//! | the key file altered at every byte | `seals::a_key_file_that_was_altered`; and at a start, `record::a_key_file_that_is_another` |
//! | the seal record altered at every byte | `record`; and with the library alone, `coffer-seal`'s `damaged_record` |
//! | shares: typo, too few, other set, older set after rekey, repeated | `shares` |
mod hsm;
mod record;
mod relay;
mod shares;
mod tpm;
mod transit;

use crate::seals::{change, opens_by_itself};
use coffer_tests::{Ask, House, Setup, eventually};
use serde_json::{Value, json};

/// A daemon that opens by a device, or else by its shares, and keeps a secret.
struct Sealed {
    house: House,
    /// The device's name in the configuration.
    seal: &'static str,
    kept: String,
}

impl Sealed {
    /// Open, with the seal in force; `add` says which.
    async fn by(setup: Setup, add: Value, canaries: &[&str]) -> Self {
        let seal = add["add"].as_str().unwrap().to_owned().leak();
        let house = House::with(setup).await;
        canaries.iter().for_each(|canary| house.canaries.add(canary));
        change(&house.root(), add, &house.shares).await.done();
        let prod = house.environment("prod").await;
        let kept = house.canaries.plant("kept");
        prod.ask("POST", "secret/data/kept", json!({ "data": { "k": kept } })).await.done();
        Self { house, seal, kept }
    }

    fn stop(&mut self) {
        assert!(self.house.stop().success(), "{}", self.house.log());
    }

    /// `coffer`, whose words must hold no secret either.
    fn coffer(&self, words: &[&str], input: &str) -> coffer_tests::Output {
        let said = self.house.coffer_with("", words, input);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(self.house.canaries.found_in(all.as_bytes()).is_empty(), "a secret is shown by {words:?}");
        said
    }

    async fn is_all_there(&self) {
        let prod = self.house.root().with_namespace("prod").unwrap();
        let read = prod.ask("GET", "secret/data/kept", Value::Null).await.ok();
        assert_eq!(read.data()["data"]["k"], self.kept);
    }

    /// Starts under a fault: the seal does not open, and the log says why in this sentence.
    async fn starts_sealed(&mut self, sentence: &str) {
        let from = self.house.log().len();
        self.house.start_process().await;
        let said = self.why_sealed(from).await;
        assert_eq!(said, sentence);
        assert!(![".", "\n", "  "].iter().any(|end| said.ends_with(end)) && !said.contains(". "), "{said}");
        let names_what_is_right = [": ", "must", "; if "].iter().any(|right| said.contains(right));
        assert!(names_what_is_right, "what would be right? {said}");
        let status = self.coffer(&["operator", "status"], "");
        let unwell = format!(
            "SEAL {} IS NOT WELL and would not open it now: the daemon's own log says why.",
            self.seal
        );
        assert!(status.code == 2 && status.stdout.contains(&unwell), "{status:?}");
        assert!(!status.stdout.contains(&said), "anybody may ask for the status: {status:?}");
    }

    /// What the log says of the seal, behind `from`.
    async fn why_sealed(&self, from: usize) -> String {
        let (what, seal) = ("a seal does not open the store", format!("seal={:?}", self.seal));
        eventually("the log says why the seal does not open", || async {
            let log = self.house.log();
            let line = log[from..].lines().find(|line| line.contains(what) && line.contains(&seal));
            line.map(|line| line.split_once(" error=").unwrap().1.to_owned())
        })
        .await
    }

    /// The shares open it, all is there, and whoever may ask reads why the seal did not.
    async fn opens_by_shares(&self, sentence: &str) {
        self.coffer(&["operator", "unseal"], &self.house.shares[..2].join("\n")).ok();
        self.is_all_there().await;
        let listed = self.coffer(&["operator", "seal", "list"], "").ok();
        let why = format!("Seal {} would not open the root environment now: {sentence}.", self.seal);
        assert!(listed.contains(&why), "{why}\n{listed}");
    }

    /// Starts under a fault, is told of it and opened by shares.
    async fn is_opened_by_shares(&mut self, sentence: &str) {
        self.stop();
        self.starts_sealed(sentence).await;
        self.opens_by_shares(sentence).await;
    }

    /// With the cause mended, it opens by itself: after a start.
    async fn opens_after_a_start(&mut self) {
        self.house.restart_by_itself().await;
        self.is_well().await;
    }

    /// With the cause mended, it opens by itself: it has waited for that.
    async fn opens_at_once(&self) {
        opens_by_itself(&self.house).await;
        self.is_well().await;
    }

    async fn is_well(&self) {
        self.is_all_there().await;
        let seals = self.house.root().ask("GET", "sys/seals", Value::Null).await.ok();
        let all = seals.data()["seals"].as_array().unwrap();
        let own = all.iter().find(|seal| seal["name"] == self.seal).unwrap();
        assert_eq!((&own["healthy"], &own["trouble"]), (&json!(true), &json!("")), "{own}");
        let status = self.coffer(&["operator", "status"], "");
        assert!(status.code == 0 && !status.stdout.contains("NOT WELL"), "{status:?}");
    }

    /// Asks the seal to open, now: refused with this sentence, and what is open stays open.
    async fn does_not_verify(&self, status: u16, sentence: &str) {
        let asked = json!({ "seal": self.seal });
        let said = self.house.root().ask("POST", "sys/seals/verify", asked).await.refused(status);
        assert_eq!(said, format!("seal \"{}\": {sentence}", self.seal));
        self.is_all_there().await;
    }

    async fn verifies(&self) {
        self.house.root().ask("POST", "sys/seals/verify", json!({ "seal": self.seal })).await.done();
    }

    /// Another configuration, from the next start on.
    fn configure(&mut self, from: &str, to: &str) {
        self.house.configure(|setup| {
            assert!(setup.sections.contains(from), "{from}");
            setup.sections = setup.sections.replace(from, to);
        });
    }
}
