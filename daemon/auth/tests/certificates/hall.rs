//! An environment with one certificate mount at `auth/crt`.
use crate::lab::{Lab, good, json, request};
use coffer_auth::cert::{
    CertMount, CertRefusal, Matched, PeerChain, PeerIdentity, Visitor, handle, identify,
};
use coffer_auth::token::{TokenStore, TtlLimits};
use coffer_room::{Answer, Fault};
use coffer_types::{EnvironmentPath, MountId, Operation, Timestamp};
use std::sync::Arc;

pub const MOUNT: u8 = 9;

pub struct Hall {
    pub lab: Lab,
    pub tokens: TokenStore,
    pub mounts: Vec<Arc<CertMount>>,
}

impl Hall {
    pub async fn new() -> Self {
        let lab = Lab::new();
        let tokens = TokenStore::new(Arc::clone(&lab.barrier), EnvironmentPath::root());
        let mut hall = Self { lab, tokens, mounts: Vec::new() };
        hall.reopen().await;
        hall
    }

    /// As after a restart: everything in memory is read anew.
    pub async fn reopen(&mut self) {
        let view = self.lab.barrier.view(MountId([MOUNT; 16]));
        self.mounts = vec![Arc::new(CertMount::load(&view, "crt", self.lab.now()).await.unwrap())];
    }

    pub async fn ask(
        &self,
        peer: &PeerChain,
        operation: Operation,
        path: &str,
        body: &str,
    ) -> Result<Answer, Fault> {
        let visitor = Visitor { chain: peer, tokens: &self.tokens, limits: TtlLimits::default() };
        let outcome =
            handle(&self.mounts[0], &self.lab.room(MOUNT), visitor, request(operation, path, body)).await;
        self.lab.run(outcome).await
    }

    pub async fn write(&self, path: &str, body: &str) -> Result<Answer, Fault> {
        self.ask(&PeerChain::none(), Operation::Write, path, body).await
    }

    pub async fn read(&self, path: &str) -> Result<Answer, Fault> {
        self.ask(&PeerChain::none(), Operation::Read, path, "").await
    }

    /// Writes a role over `pem` with more members, as `"a":1,"b":2`.
    pub async fn role(&self, name: &str, pem: &str, more: &str) {
        let comma = if more.is_empty() { "" } else { "," };
        let pem = serde_json::to_string(pem).unwrap();
        good(self.write(&format!("certs/{name}"), &format!(r#"{{"certificate":{pem}{comma}{more}}}"#)).await);
    }

    pub async fn crl(&self, name: &str, text: &str) -> Result<Answer, Fault> {
        self.write(&format!("crls/{name}"), &format!(r#"{{"crl":{}}}"#, serde_json::to_string(text).unwrap()))
            .await
    }

    pub async fn login(&self, peer: &PeerChain, body: &str) -> Result<Answer, Fault> {
        self.ask(peer, Operation::Write, "login", body).await
    }

    pub async fn token(&self, peer: &PeerChain) -> String {
        json(&good(self.login(peer, "").await))["client_token"].as_str().unwrap().to_owned()
    }

    pub async fn takes_token(&self, token: &str, chain: &PeerChain) -> bool {
        let peer = PeerIdentity { mounts: &self.mounts, chain, now: self.lab.now() };
        self.tokens.authenticate(token, &peer, self.lab.now()).await.is_ok()
    }

    pub fn who(&self, peer: &PeerChain) -> Result<Arc<Matched>, CertRefusal> {
        identify(&self.mounts, peer, self.lab.now())
    }

    pub fn why_not(&self, peer: &PeerChain) -> Option<CertRefusal> {
        self.who(peer).err()
    }

    /// Midnight UTC on 1 January.
    pub fn turn_to(&self, year: u64) {
        let days = (1970..year).map(|year| if year % 4 == 0 { 366 } else { 365 }).sum::<u64>();
        self.lab.clock.set(Timestamp(days * 86_400_000));
    }
}
