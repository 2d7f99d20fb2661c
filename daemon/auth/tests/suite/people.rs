//! Who asks for tokens in the stories.
use crate::lab::{Lab, good, json, request};
use coffer_auth::Caller;
use coffer_auth::token::{Asker, AuthFault, Bound, NewToken, Peer, TokenStore, TtlLimits, Unbound, handle};
use coffer_room::{Answer, Fault};
use coffer_types::{EnvironmentPath, Kind, MountId, Operation};
use std::sync::Arc;

pub struct Office {
    pub lab: Lab,
    pub tokens: TokenStore,
    pub root: String,
}

impl Office {
    pub async fn new() -> Self {
        Self::over(Lab::new()).await
    }

    pub async fn over(lab: Lab) -> Self {
        let tokens = TokenStore::new(Arc::clone(&lab.barrier), EnvironmentPath::root());
        let maker = tokens.clone();
        let issued = lab.change(move |batch| maker.issue_root(&mut batch.mount(MountId::default()))).await;
        let root = good(issued).token.to_string();
        Self { lab, tokens, root }
    }

    pub async fn who(&self, token: &str) -> Result<Caller, AuthFault> {
        self.over_connection(token, &Unbound).await
    }

    pub async fn over_connection(&self, token: &str, peer: &dyn Peer) -> Result<Caller, AuthFault> {
        self.tokens.authenticate(token, peer, self.lab.now()).await
    }

    pub async fn is_live(&self, token: &str) -> bool {
        self.who(token).await.is_ok()
    }

    /// `token` writes to `auth/token/<path>`.
    pub async fn post(&self, token: &str, path: &str, body: &str) -> Result<Answer, Fault> {
        self.ask(token, Operation::Write, path, body).await
    }

    pub async fn ask(
        &self,
        token: &str,
        operation: Operation,
        path: &str,
        body: &str,
    ) -> Result<Answer, Fault> {
        let caller = self.who(token).await.map_err(Fault::from)?;
        let asker =
            Asker { caller: &caller, shown: Some(token), has_sudo: false, limits: TtlLimits::default() };
        let outcome = handle(&self.lab.room(0), &self.tokens, asker, request(operation, path, body)).await;
        self.lab.run(outcome).await
    }

    /// A new token's text, made by `token` with the parameters in `body`.
    pub async fn create(&self, token: &str, body: &str) -> String {
        let answer = good(self.post(token, "create", body).await);
        json(&answer)["client_token"].as_str().unwrap().to_owned()
    }

    pub async fn lookup(&self, token: &str) -> serde_json::Value {
        json(&good(self.post(&self.root, "lookup", &format!(r#"{{"token":"{token}"}}"#)).await))
    }

    pub async fn issue(&self, new: NewToken) -> String {
        let maker = self.tokens.clone();
        let issued =
            self.lab.change(move |batch| maker.issue(&mut batch.mount(MountId::default()), &new)).await;
        good(issued).token.to_string()
    }

    /// How many records of each of the token tables there are.
    pub async fn records(&self) -> [usize; 4] {
        let view = self.lab.barrier.view(MountId::default());
        let mut counts = [0; 4];
        for (count, kind) in
            counts.iter_mut().zip([Kind::Token, Kind::TokenAccessor, Kind::TokenChild, Kind::TokenExpiry])
        {
            *count = view.scan(kind, &Default::default(), None, usize::MAX).await.unwrap().len();
        }
        counts
    }

    pub async fn sweep(&self) -> usize {
        let due = self.tokens.due(self.lab.now(), 500).await.unwrap();
        let count = due.len();
        let mut change = self.tokens.sweep(due);
        good(self.lab.change(move |batch| change.run(batch)).await);
        count
    }
}

/// A connection that gives one hash for every role.
pub struct Certificate(pub [u8; 32]);

impl Peer for Certificate {
    fn hash_for(&self, _: &Bound) -> Option<[u8; 32]> {
        Some(self.0)
    }
}
