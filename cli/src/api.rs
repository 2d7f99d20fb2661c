//! Requests as JSON, each with the path that it was for: what went wrong is said together with where.
use crate::words::Failure;
use coffer_sdk::{Answer, Client, Error, Method};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// One daemon in one environment.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) client: Client,
    /// As the operator gave it.
    pub(crate) address: String,
}

/// Where something was done, in words for people.
pub(crate) struct Place {
    /// As in "the root environment".
    pub(crate) environment: String,
    /// What else a command takes that is to act there: empty for the root, or ` -n acme/prod`.
    pub(crate) flags: String,
}

/// An answer that was no refusal.
pub(crate) struct Answered(Value);

impl Api {
    pub(crate) async fn get(&self, path: &str) -> Result<Answered, Failure> {
        let answer = self.client.call(Method::GET, path).send().await;
        answered(answer, path)
    }

    /// What is there after a change that is done: nothing where the caller may not look. The change stands either way.
    pub(crate) async fn look(&self, path: &str) -> Value {
        self.get(path).await.map(|answered| answered.data().clone()).unwrap_or_default()
    }

    /// The names below a path, with what else the answer says; empty where there is nothing.
    pub(crate) async fn list(&self, path: &str) -> Result<Value, Failure> {
        let call = self.client.call(Method::GET, path.trim_end_matches('/')).query("list", "true");
        match call.send().await {
            Err(Error::Refused(refusal)) if refusal.status == 404 && refusal.sentences.is_empty() => {
                Ok(json!({ "keys": [] }))
            }
            answer => Ok(answered(answer, path)?.data().clone()),
        }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Answered, Failure> {
        self.send(Method::POST, path, body).await
    }

    /// A ceremony of the node itself, which answers without an envelope.
    pub(crate) async fn ceremony(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.post(path, body).await.map(|answered| answered.0)
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Answered, Failure> {
        self.send(Method::PATCH, path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Answered, Failure> {
        let answer = self.client.call(Method::DELETE, path).send().await;
        answered(answer, path)
    }

    /// The same daemon in an environment below this one.
    pub(crate) fn below(&self, child: &str) -> Result<Self, Failure> {
        let own = self.client.namespace();
        let path = if own.is_empty() { child.to_owned() } else { format!("{own}/{child}") };
        Ok(Self { client: self.client.with_namespace(&path)?, address: self.address.clone() })
    }

    /// Where this acts, for pages.
    pub(crate) fn place(&self) -> Place {
        let flags = match self.client.namespace() {
            "" => String::new(),
            path => format!(" -n {path}"),
        };
        Place { environment: self.environment(), flags }
    }

    /// Where this acts, in words.
    pub(crate) fn environment(&self) -> String {
        match self.client.namespace() {
            "" => "the root environment".to_owned(),
            path => format!("environment {path}"),
        }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Answered, Failure> {
        let text = Zeroizing::new(body.to_string().into_bytes());
        let answer = self.client.call(method, path).json(text).send().await;
        answered(answer, path)
    }
}

fn answered(answer: coffer_sdk::Result<Answer>, path: &str) -> Result<Answered, Failure> {
    let read = answer.and_then(|answer| match answer.body() {
        [] => Ok(Value::Null),
        _ => answer.json(),
    });
    read.map(Answered).map_err(|error| Failure::at(path, error))
}

impl Answered {
    /// The envelope's `data`, or `null`.
    pub(crate) fn data(&self) -> &Value {
        self.0.get("data").unwrap_or(&Value::Null)
    }

    /// The envelope's `auth`: a token and what belongs to it.
    pub(crate) fn auth(&self) -> &Value {
        self.0.get("auth").unwrap_or(&Value::Null)
    }

    /// The server's sentences for people.
    pub(crate) fn warnings(&self) -> Vec<String> {
        crate::shapes::texts(&self.0, "warnings")
    }
}
