//! What a house is made with, and small things that every story needs.
use coffer_sdk::{Client, Error, Method};
use serde_json::Value;
use std::fmt::Write as _;
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What a house differs in from a plain one.
#[derive(Clone, Default)]
pub struct Setup {
    /// Lines below `[listener]`.
    pub listener: String,
    /// Further sections of the configuration.
    pub sections: String,
    /// Where the data lies, if not in the house's own folder.
    pub data: Option<PathBuf>,
    /// Further words of its command line.
    pub options: Vec<String>,
    /// Words before the daemon's own: a program that becomes the daemon.
    pub before: Vec<String>,
    /// Variables of the daemon's process, which has no others.
    pub variables: Vec<(String, String)>,
    /// How many shares there are and how many open the seal; 3 and 2 unless given.
    pub shares: Option<(u64, u64)>,
}

/// An answer with any status.
#[derive(Debug)]
pub struct Asked {
    /// The status.
    pub status: u16,
    /// The body; null where there is none.
    pub body: Value,
}

/// Any request of the API in one line.
#[allow(async_fn_in_trait, reason = "used in tests only, whose futures need not be Send")]
pub trait Ask {
    /// Sends a request; `path` is what follows `/v1/`, with a query where there is one; no body where it is null.
    async fn ask(&self, method: &str, path: &str, body: Value) -> Asked;
}

impl Ask for Client {
    async fn ask(&self, method: &str, path: &str, body: Value) -> Asked {
        match ask(self, method, path, &body).await {
            Ok(asked) => asked,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }
}

/// As [`Ask::ask`], where the connection itself may fail.
///
/// # Errors
/// As every call of the SDK.
pub async fn ask(client: &Client, method: &str, path: &str, body: &Value) -> Result<Asked, Error> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut call = client.call(Method::from_bytes(method.as_bytes()).unwrap(), path);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        call = call.query(name, value);
    }
    if !body.is_null() {
        call = call.json(Zeroizing::new(serde_json::to_vec(body).unwrap()));
    }
    let answer = call.send_any_status().await?;
    Ok(Asked { status: answer.status(), body: serde_json::from_slice(answer.body()).unwrap_or_default() })
}

impl Asked {
    /// This answer, which must be a success.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status < 300, "{} {}", self.status, self.body);
        self
    }

    /// A success whose answer says nothing more.
    #[track_caller]
    pub fn done(self) {
        assert!(self.status < 300, "{} {}", self.status, self.body);
    }

    /// A refusal with this status, that says at most one sentence; gives the sentence.
    #[track_caller]
    pub fn refused(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        let errors = self.body["errors"].as_array().unwrap_or_else(|| panic!("no errors in {}", self.body));
        assert!(errors.len() <= 1, "{}", self.body);
        errors.first().map(|sentence| sentence.as_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// The envelope's `data`.
    #[must_use]
    pub fn data(&self) -> &Value {
        &self.body["data"]
    }

    /// A text below `data`.
    #[must_use]
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        self.body["data"][name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.body)).to_owned()
    }

    /// The token that was made.
    #[must_use]
    #[track_caller]
    pub fn token(&self) -> String {
        self.body["auth"]["client_token"]
            .as_str()
            .unwrap_or_else(|| panic!("no token in {}", self.body))
            .to_owned()
    }

    /// Its accessor.
    #[must_use]
    #[track_caller]
    pub fn accessor(&self) -> String {
        self.body["auth"]["accessor"]
            .as_str()
            .unwrap_or_else(|| panic!("no accessor in {}", self.body))
            .to_owned()
    }
}

/// Asks again and again until the answer is there.
///
/// # Panics
/// After a minute.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "never seen: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Says why a test can't run here: in its own output, and in the file that `COFFER_TESTS_SKIPPED` names, from which the
/// test command says it again and fails where nobody has allowed it.
pub fn skip(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped: {name}: {reason}");
    if let Some(path) = std::env::var_os("COFFER_TESTS_SKIPPED") {
        use std::io::Write as _;
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{name}: {reason}\n").as_bytes()).unwrap();
    }
}

/// A policy's text: lines of a path and its capabilities.
#[must_use]
pub fn policy(rules: &[(&str, &[&str])]) -> String {
    let mut text = String::new();
    for (path, capabilities) in rules {
        let list = serde_json::to_string(capabilities).unwrap();
        writeln!(text, "path \"{path}\" {{ capabilities = {list} }}").unwrap();
    }
    text
}
