//! An environment with two userpass mounts, `auth/up` and `auth/other`.
use crate::lab::{Lab, good, json, refused, request};
use coffer_auth::token::{TokenStore, TtlLimits, Unbound};
use coffer_auth::userpass::{Visitor, handle};
use coffer_room::{Answer, Fault, Outcome};
use coffer_types::{EnvironmentPath, Operation, WriteMode};
use std::sync::Arc;

pub const MOUNT: u8 = 9;
pub const OTHER: u8 = 10;

pub struct Desk {
    pub lab: Lab,
    pub tokens: TokenStore,
    pub limits: TtlLimits,
}

impl Desk {
    /// With the user `bob`, whose password is `right`.
    pub async fn new() -> Self {
        let lab = Lab::new();
        let tokens = TokenStore::new(Arc::clone(&lab.barrier), EnvironmentPath::root());
        let desk = Self { lab, tokens, limits: TtlLimits::default() };
        desk.user("bob", r#"{"password":"right"}"#).await;
        desk
    }

    pub async fn outcome(
        &self,
        mount: u8,
        operation: Operation,
        path: &str,
        body: &str,
        mode: WriteMode,
    ) -> Result<Outcome, Fault> {
        let mount_path = if mount == MOUNT { "up" } else { "other" };
        let visitor = Visitor { tokens: &self.tokens, limits: self.limits, mount_path };
        let mut request = request(operation, path, body);
        request.write_mode = mode;
        handle(&self.lab.room(mount), visitor, request).await
    }

    pub async fn ask_at(
        &self,
        mount: u8,
        operation: Operation,
        path: &str,
        body: &str,
    ) -> Result<Answer, Fault> {
        let outcome = self.outcome(mount, operation, path, body, WriteMode::Any).await;
        self.lab.run(outcome).await
    }

    pub async fn write(&self, path: &str, body: &str) -> Result<Answer, Fault> {
        self.ask_at(MOUNT, Operation::Write, path, body).await
    }

    pub async fn write_as(&self, mode: WriteMode, path: &str, body: &str) -> Result<Answer, Fault> {
        let outcome = self.outcome(MOUNT, Operation::Write, path, body, mode).await;
        self.lab.run(outcome).await
    }

    pub async fn read(&self, path: &str) -> Result<Answer, Fault> {
        self.ask_at(MOUNT, Operation::Read, path, "").await
    }

    pub async fn user(&self, name: &str, body: &str) {
        good(self.write(&format!("users/{name}"), body).await);
    }

    pub async fn login(&self, name: &str, password: &str) -> Result<Answer, Fault> {
        let name = name.replace('%', "%25").replace(' ', "%20");
        self.write(&format!("login/{name}"), &serde_json::json!({ "password": password }).to_string()).await
    }

    /// Status and sentence of a login that fails.
    pub async fn fails(&self, name: &str, password: &str) -> (u16, String) {
        refused(self.login(name, password).await)
    }

    pub async fn token(&self, name: &str, password: &str) -> String {
        json(&good(self.login(name, password).await))["client_token"].as_str().unwrap().to_owned()
    }

    pub async fn is_live(&self, token: &str) -> bool {
        self.tokens.authenticate(token, &Unbound, self.lab.now()).await.is_ok()
    }

    pub fn turn_seconds(&self, seconds: u64) {
        self.lab.clock.turn(seconds * 1000);
    }
}

pub fn wrong() -> (u16, String) {
    (400, "invalid username or password".to_owned())
}

pub fn locked() -> (u16, String) {
    (403, String::new())
}
