//! A daemon with every kind of seal, and people who use it.
use coffer_sdk::Client;
use coffer_tests::{Ask, Asked, HSM_PIN, House, Hsm, Person, Setup, TPM_OWNER, Tpm, find, furnish};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What stands around one daemon. The daemon is looked into, the rest is scenery.
pub(super) struct World {
    pub(super) house: House,
    pub(super) pin: String,
    /// The keys that shares are of, of today and of before, and those of key files.
    pub(super) keks: Vec<[u8; 32]>,
    /// The shares of an environment that has its own.
    pub(super) own_shares: Vec<String>,
    owner: String,
    // These end after the house.
    _afar: House,
    _hsm: Hsm,
    _tpm: Tpm,
    folder: TempDir,
}

impl World {
    /// With `hides_nothing` the kernel gives the daemon no memory that root can't read: then its keys lie where they are
    /// found, and it is seen whether they are cleared.
    pub(super) async fn new(hides_nothing: bool) -> Self {
        let (hsm, tpm, folder) = (Hsm::new(), Tpm::new(), tempfile::tempdir().unwrap());
        let mut setup = Setup::default();
        if hides_nothing {
            setup.before = without_secret_memory();
        }
        hsm.configure(&mut setup, "hsm", "");
        tpm.configure(&mut setup, "tpm2", "counter_index = 0x01500001");
        for (name, of) in [("disk", "root"), ("vault-disk", "vault")] {
            let path = folder.path().join(name);
            setup.sections += &format!(
                "[[seal]]\nname = \"{name}\"\ntype = \"file\"\npath = {path:?}\nenvironments = [\"{of}\"]\n"
            );
        }
        let (afar, token) = transit_server(&mut setup).await;
        let house = House::with(setup).await;
        house.canaries.add(HSM_PIN);
        house.canaries.add(token);
        let (pin, owner) = (house.canaries.plant_random(), house.canaries.plant_random());
        tpm.tool("tpm2_changeauth", &["-c", "owner", "-p", TPM_OWNER, &owner]);
        let keks = vec![crate::stored::joined(&house.shares)];
        Self { house, pin, keks, own_shares: Vec::new(), owner, _afar: afar, _hsm: hsm, _tpm: tpm, folder }
    }

    /// Root's client in an environment.
    pub(super) fn at(&self, path: &str) -> Client {
        self.house.root().with_namespace(path).unwrap()
    }

    pub(super) fn canary(&self) -> String {
        self.house.canaries.plant_random()
    }

    /// Every seal, and environments with seals of their own.
    pub(super) async fn seals(&mut self) {
        let root = self.house.root();
        for add in [
            json!({ "add": "hsm" }),
            json!({ "add": "disk" }),
            json!({ "add": "afar" }),
            json!({ "add": "tpm2", "pin": self.pin, "owner_password": self.owner, "pcrs": "sha256:7,11" }),
        ] {
            self.change(&root, add).await.done();
        }
        root.ask("POST", "sys/seals/counter", json!({ "owner_password": self.owner })).await.done();
        for seal in ["hsm", "disk", "afar"] {
            root.ask("POST", "sys/seals/verify", json!({ "seal": seal })).await.done();
        }
        root.ask("POST", "sys/seals/verify", json!({ "seal": "tpm2", "pin": self.pin })).await.done();
        root.ask("POST", "sys/seals/approve", json!({ "seal": "tpm2", "owner_password": self.owner }))
            .await
            .done();
        // A wrong PIN, once.
        let wrong = json!({ "seal": "tpm2", "pin": self.canary() });
        root.ask("POST", "sys/seals/verify", wrong).await.refused(400);
        self.change(&root, json!({ "remove": "disk" })).await.done();
        self.key_file("disk");

        for (name, how) in [
            ("prod", json!({})),
            ("acme", json!({ "secret_shares": 3, "secret_threshold": 2 })),
            ("vault", json!({ "seals": ["vault-disk"] })),
        ] {
            let made = root.ask("POST", &format!("sys/namespaces/{name}"), how).await.ok();
            for share in made.data()["shares"].as_array().into_iter().flatten() {
                self.own_shares.push(self.share(share));
            }
            furnish(&self.at(name)).await;
        }
        self.keks.push(crate::stored::joined(&self.own_shares));
        self.key_file("vault-disk");
        self.house.environment("acme/team").await;
        // Each is sealed alone, and opened again.
        for (name, parts) in [("acme", self.own_shares.clone()), ("vault", vec![])] {
            root.ask("POST", &format!("sys/namespaces/{name}/seal"), json!({})).await.done();
            let unseal = format!("sys/namespaces/{name}/unseal");
            if parts.is_empty() {
                root.ask("POST", &unseal, json!({})).await.done();
            }
            for key in &parts[..parts.len().min(2)] {
                root.ask("POST", &unseal, json!({ "key": key })).await.done();
            }
        }
    }

    /// Other keys in place of those that were: data keys, root keys, shares.
    pub(super) async fn rotations(&mut self) {
        let (root, prod) = (self.house.root(), self.at("prod"));
        for here in [&root, &prod, &self.at("acme")] {
            here.sys().rotate().await.unwrap();
        }
        prod.ask("POST", "sys/rotate/root", json!({})).await.done();
        root.ask("POST", "sys/rotate/root", json!({ "pin": self.pin })).await.done();
        for how in [json!({ "refresh": true }), json!({ "pin": self.pin, "require_verification": true })] {
            self.rekey(&root, how).await;
        }
        self.generate_root(&root).await;
    }

    async fn rekey(&mut self, root: &Client, mut how: Value) {
        how["secret_shares"] = json!(3);
        how["secret_threshold"] = json!(2);
        let mut answer = root.ask("POST", "sys/rekey/init", how.clone()).await.ok();
        let nonce = answer.text("nonce");
        for share in &self.house.shares[..2] {
            let body = json!({ "key": share, "nonce": nonce });
            answer = root.ask("POST", "sys/rekey/update", body).await.ok();
        }
        let made = answer.body["shares"].as_array().unwrap_or_else(|| panic!("no shares in {}", answer.body));
        self.house.shares = made.iter().map(|share| self.share(share)).collect();
        self.keks.push(crate::stored::joined(&self.house.shares));
        if how["require_verification"] == true {
            let nonce = answer.body["verification_nonce"].clone();
            for share in &self.house.shares[..2] {
                root.ask("POST", "sys/rekey/verify", json!({ "key": share, "nonce": nonce })).await.done();
            }
        }
    }

    async fn generate_root(&self, root: &Client) {
        let begun = root.ask("POST", "sys/generate-root/attempt", json!({})).await.ok();
        let (nonce, otp) = (begun.text("nonce"), begun.text("otp"));
        self.house.canaries.add(&otp);
        for share in &self.house.shares[..2] {
            let body = json!({ "key": share, "nonce": nonce });
            root.ask("POST", "sys/generate-root/update", body).await.done();
        }
    }

    /// Opens it as people do: two shares, and a wrong one before.
    pub(super) async fn unseal(&self) {
        let client = self.house.client(&self.house.operator);
        client.ask("POST", "sys/unseal", json!({ "key": self.own_shares[0] })).await.refused(400);
        self.house.unseal().await;
        for share in &self.own_shares[..2] {
            self.house.root().ask("POST", "sys/namespaces/acme/unseal", json!({ "key": share })).await.done();
        }
    }

    /// A change of the root's seals by the holders of shares, to its end.
    async fn change(&self, client: &Client, body: Value) -> Asked {
        let mut answer = client.ask("POST", "sys/seals/change", body).await;
        let nonce = answer.data()["nonce"].clone();
        for share in &self.house.shares[..2] {
            if answer.status < 300 && answer.data()["complete"] != true {
                answer =
                    client.ask("POST", "sys/seals/update", json!({ "key": share, "nonce": nonce })).await;
            }
        }
        answer
    }

    /// A share that was handed out: as text, and its bytes.
    fn share(&self, share: &Value) -> String {
        let text = share.as_str().unwrap().to_owned();
        self.house.canaries.add(&text);
        let bytes = keystore_format::share::Share::parse_any(&text).unwrap();
        self.house.canaries.add(*bytes.y);
        text
    }

    fn key_file(&mut self, name: &str) {
        let key: [u8; 32] = std::fs::read(self.folder.path().join(name)).unwrap().try_into().unwrap();
        self.keks.push(key);
    }
}

/// Another daemon whose transit key is a seal, with a token for it.
async fn transit_server(setup: &mut Setup) -> (House, String) {
    let afar = House::start().await;
    let there = afar.environment("seals").await;
    there.ask("POST", "transit/keys/root-of-ours", json!({})).await.done();
    let rules: &[(&str, &[&str])] =
        &[("transit/encrypt/root-of-ours", &["update"]), ("transit/decrypt/root-of-ours", &["update"])];
    let token = afar.token_for(&there, "seal", rules).await;
    let (certificate, key) = afar.files("ours", &afar.issue(&Person::named("ours")));
    for file in [&key, &afar.at("token")] {
        if !file.exists() {
            std::fs::write(file, &token).unwrap();
        }
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    setup.sections += &format!(
        "[[seal]]\nname = \"afar\"\ntype = \"transit\"\naddress = \"https://{}\"\nca = {:?}\ncertificate = {certificate:?}\nkey = {key:?}\ntoken_file = {:?}\nnamespace = \"seals\"\nkey_name = \"root-of-ours\"\n",
        afar.address(),
        afar.at("ca.pem"),
        afar.at("token"),
    );
    (afar, token)
}

/// Root without the right to lock memory, and with no allowance of it: every page that the daemon asks for is a plain one.
pub(super) fn without_secret_memory() -> Vec<String> {
    let program = |name: &str| find(name).expect("util-linux").display().to_string();
    let words = ["--bounding-set", "-ipc_lock", &program("prlimit"), "--memlock=0:0"];
    std::iter::once(program("setpriv")).chain(words.map(str::to_owned)).collect()
}
