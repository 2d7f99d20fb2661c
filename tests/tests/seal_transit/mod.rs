//! Root keys under transit keys of real servers: a second Coffer and OpenBao, and servers that misbehave.
pub(crate) mod bao;
pub(crate) mod coffer;
pub(crate) mod misbehaving;
mod speed;
mod stories;

use coffer_sdk::{Client, Secret};
use coffer_seal::{
    device::{Binding, Device as _, DeviceError, DeviceTrouble, Wrapped},
    secret_source::SecretSource,
    transit::{DEADLINE, Identity, TransitConfig, TransitDevice},
};
use coffer_secmem::Key32;
use coffer_tests::{Ask as _, eventually};
use coffer_types::{EnvironmentId, StoreId, WrapId};
use keystore_format::{
    kdf::Context,
    seal_record::{Wrap, WrapState, WrapType, root_id},
};
use serde_json::{Value, json};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

const CONTEXT: Context = Context { store: StoreId([1; 16]), environment: EnvironmentId([2; 16]) };
/// The key that most stories use, on the mount `transit`.
pub(crate) const KEY: &str = "coffer-seal";

/// A transit server as the stories need it, whichever it is. Its process ends with it.
pub(crate) struct Server {
    /// `https://host:port`.
    pub(crate) address: String,
    /// Its root token's client.
    pub(crate) root: Client,
    /// Files of the device: `ca.pem`, `client.pem`, `client-key.pem`, `token`.
    pub(crate) folder: PathBuf,
    /// Whether it is OpenBao.
    pub(crate) is_bao: bool,
    process: Process,
}

pub(crate) enum Process {
    Coffer(Box<coffer_tests::House>),
    Bao(bao::Bao),
}

impl Server {
    /// A mount with a key, and in `token` a token that may use it and nothing else.
    async fn furnish(&self) {
        self.root.ask("POST", "sys/mounts/transit", json!({ "type": "transit" })).await.done();
        self.root.ask("POST", &format!("transit/keys/{KEY}"), json!({})).await.done();
        self.policy(
            "seal",
            &[
                (&format!("transit/encrypt/{KEY}"), &["update"]),
                (&format!("transit/decrypt/{KEY}"), &["update"]),
                (&format!("transit/keys/{KEY}"), &["read"]),
            ],
        )
        .await;
        self.token(json!({ "policies": ["seal"], "ttl": "1h" })).await;
    }

    async fn policy(&self, name: &str, rules: &[(&str, &[&str])]) {
        self.root.sys().put_policy(name, &coffer_tests::policy(rules)).await.unwrap();
    }

    /// Opens it again after it was sealed.
    pub(crate) async fn unseal(&self) {
        match &self.process {
            Process::Coffer(house) => house.unseal().await,
            Process::Bao(bao) => {
                let share = Secret::new(bao.share.expose().clone());
                self.root.sys().unseal(&share).await.unwrap();
                eventually("OpenBao is active", || async { self.root.sys().mounts().await.ok() }).await;
            }
        }
    }

    /// Puts a token made like this where the device reads it, and gives a client that shows it.
    async fn token(&self, body: Value) -> Client {
        let token = self.new_token(body).await;
        private(&self.folder.join("token"), &format!("{token}\n"));
        self.root.with_token(token).unwrap()
    }

    async fn new_token(&self, body: Value) -> String {
        let token = self.root.ask("POST", "auth/token/create", body).await.ok().token();
        if let Process::Coffer(house) = &self.process {
            house.canaries.add(&token);
        }
        token
    }

    fn config(&self) -> TransitConfig {
        let at = |name: &str| self.folder.join(name);
        TransitConfig {
            address: self.address.clone(),
            server_name: None,
            ca: at("ca.pem"),
            identity: Some(Identity { certificate: at("client.pem"), key: at("client-key.pem") }),
            token: Some(SecretSource::File(at("token"))),
            namespace: None,
            mount: "transit".to_owned(),
            key: KEY.to_owned(),
            associated_data: true,
            deadline: DEADLINE,
        }
    }

    fn device(&self) -> TransitDevice {
        device(self.config())
    }

    fn with(&self, change: impl FnOnce(&mut TransitConfig)) -> TransitDevice {
        let mut config = self.config();
        change(&mut config);
        device(config)
    }

    /// What the next root key of a story is; no log may hold it.
    fn root_key(&self, wrap: u8) -> (Key32, Binding) {
        let (key, binding) = root(wrap);
        if let Process::Coffer(house) = &self.process {
            house.canaries.add(key.expose());
        }
        (key, binding)
    }
}

fn device(config: TransitConfig) -> TransitDevice {
    TransitDevice::new(config).unwrap()
}

fn root(wrap: u8) -> (Key32, Binding) {
    let mut random = [0; 32];
    getrandom::fill(&mut random).unwrap();
    let key = Key32::from_bytes(&mut random);
    let root_id = root_id(key.expose(), &CONTEXT);
    (key, Binding { context: CONTEXT, wrap: WrapId([wrap; 16]), root_id })
}

fn wrap(made: &Wrapped, binding: &Binding) -> Wrap {
    let (parameters, blob) = (made.parameters.clone(), made.blob.clone());
    Wrap { id: binding.wrap, wrap_type: WrapType::Transit, state: WrapState::Current, parameters, blob }
}

/// Wraps a fresh root key, opens it again and gives the wrap.
#[track_caller]
fn works(device: &mut TransitDevice, server: &Server) -> (Wrap, Binding) {
    let (key, binding) = server.root_key(1);
    let made = device.wrap(&key, &binding).unwrap();
    let wrap = wrap(&made, &binding);
    assert_eq!(device.unwrap(&wrap, &binding).unwrap().expose(), key.expose());
    (wrap, binding)
}

/// What a device refuses is refused with this kind and these words, in one sentence that repeats nothing.
#[track_caller]
fn refused<T>(result: Result<T, DeviceError>, kind: DeviceTrouble, says: &str) {
    let error = result.err().unwrap_or_else(|| panic!("was not refused, as it should be: {says}"));
    assert!(error.kind == kind && error.sentence.contains(says), "{error:?} should be {kind:?}: {says}");
    assert!(!error.sentence.contains('\n') && !error.sentence.contains("vault:v"), "{error:?}");
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}
