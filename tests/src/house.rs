//! A daemon in a folder of its own, with people who hold certificates.
use crate::canaries::Canaries;
use crate::people::{Authority, Identity, Person};
use crate::process::Process;
use crate::setup::{Ask, Setup};
use crate::wire::{Tls, Wire};
use coffer_sdk::{Client, NewMount, Secret};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;
use tempfile::TempDir;

/// A daemon and all that belongs to it. When it goes, the daemon is killed, and its log and audit files are searched.
pub struct House {
    folder: TempDir,
    data: PathBuf,
    /// Who signed all certificates here.
    pub authority: Authority,
    /// The operator's certificate, which matches no role.
    pub operator: Identity,
    /// The shares, as people type them.
    pub shares: Vec<String>,
    /// The first token.
    pub root_token: String,
    /// What must not leak.
    pub canaries: Canaries,
    /// Whether a caught panic of the store's library is no failure: where a test damages the store's file.
    pub may_panic: bool,
    process: Option<Process>,
    setup: Setup,
}

impl House {
    /// Initialised and unsealed.
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    /// Initialised and unsealed, made in another way.
    pub async fn with(setup: Setup) -> Self {
        let mut house = Self::empty(setup).await;
        house.init().await;
        house.unseal().await;
        house
    }

    /// Running, with nothing in it.
    pub async fn empty(setup: Setup) -> Self {
        let folder = tempfile::Builder::new().prefix("coffer-house-").tempdir().unwrap();
        let authority = Authority::new("The house's CA");
        let operator = authority.issue(&Person::named("operator"));
        let server = authority.server();
        let at = |name: &str| folder.path().join(name);
        write(&at("ca.pem"), &authority.pem());
        write(&at("server.pem"), &server.certificate);
        write(&at("server-key.pem"), &server.key);
        let data = setup.data.clone().unwrap_or_else(|| at("data"));
        let mut house = Self {
            folder,
            data,
            authority,
            operator,
            shares: Vec::new(),
            root_token: String::new(),
            canaries: Canaries::default(),
            may_panic: false,
            process: None,
            setup,
        };
        house.canaries.add(&server.key);
        house.start_process().await;
        house
    }

    /// Another configuration, from the next start on.
    pub fn configure(&mut self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup);
    }

    /// A path in the house's folder.
    #[must_use]
    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the daemon keeps its data.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Where the audit log lies.
    #[must_use]
    pub fn audit(&self) -> PathBuf {
        self.data.join("audit")
    }

    /// Everything that the daemon has said.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.at("cofferd.log")).unwrap()).into_owned()
    }

    /// Where it listens now; another port after each start.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.process().address
    }

    /// The same; none while it does not run.
    #[must_use]
    pub fn listens_at(&self) -> Option<SocketAddr> {
        self.process.as_ref().map(|process| process.address)
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process().id()
    }

    /// What is below `[listener]` from the next start on.
    pub fn set_listener(&mut self, lines: &str) {
        self.setup.listener = lines.to_owned();
    }

    /// The further sections of the configuration from the next start on.
    pub fn set_sections(&mut self, sections: &str) {
        self.setup.sections = sections.to_owned();
    }

    /// Further words of the command line from the next start on.
    pub fn set_options(&mut self, options: &[&str]) {
        self.setup.options = options.iter().map(|option| (*option).to_owned()).collect();
    }

    /// A certificate of the house's CA.
    #[must_use]
    pub fn issue(&self, person: &Person) -> Identity {
        let identity = self.authority.issue(person);
        self.canaries.add(&identity.key);
        identity
    }

    /// A client with this certificate and no token.
    #[must_use]
    pub fn client(&self, identity: &Identity) -> Client {
        let builder = Client::builder()
            .address(&format!("https://{}", self.address()))
            .ca_pem(self.authority.pem().as_bytes())
            .identity_pem(identity.certificate.as_bytes(), identity.key.as_bytes());
        builder.timeout(Duration::from_secs(60)).retries(0).build().unwrap()
    }

    /// The operator with the root token.
    #[must_use]
    pub fn root(&self) -> Client {
        self.with_token(&self.root_token)
    }

    /// The operator's certificate with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Client {
        self.client(&self.operator).with_token(token).unwrap()
    }

    /// How a connection by hand is made.
    #[must_use]
    pub fn tls(&self, identity: &Identity) -> Tls {
        Tls::new(&self.authority.pem(), identity)
    }

    /// A connection by hand, as the operator.
    #[must_use]
    pub fn wire(&self) -> Wire {
        Wire::connect(self.address(), &self.tls(&self.operator)).unwrap()
    }

    /// Makes root key, shares and root token.
    pub async fn init(&mut self) {
        let (shares, threshold) = self.setup.shares.unwrap_or((3, 2));
        let made = self.client(&self.operator).sys().init(shares, threshold).await.unwrap();
        for (text, bytes) in made.shares.iter().zip(&made.shares_hex) {
            self.canaries.add(text.expose());
            self.canaries.add(hex::decode(bytes.expose()).unwrap());
            self.shares.push(text.expose().clone());
        }
        self.root_token = made.root_token.expose().clone();
        self.canaries.add(&self.root_token);
    }

    /// Gives as many shares as are needed.
    pub async fn unseal(&self) {
        let sys = self.client(&self.operator).sys();
        for share in &self.shares {
            if !sys.unseal(&Secret::new(share.clone())).await.unwrap().sealed {
                return;
            }
        }
        panic!("all shares together do not unseal");
    }

    /// Kills the daemon as a power cut would.
    pub fn kill9(&mut self) {
        self.process.take().unwrap().kill9();
    }

    /// Asks the daemon to end and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        let process = self.process.take().unwrap();
        process.signal(Signal::TERM);
        process.wait()
    }

    /// Sends SIGTERM and does not wait.
    pub fn ask_to_stop(&self) {
        self.process().signal(Signal::TERM);
    }

    /// Waits for the end of a daemon that was asked to stop.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.take().unwrap().wait()
    }

    /// Sends SIGHUP: certificates and lists are to be read again.
    pub fn hang_up(&self) {
        self.process().signal(Signal::HUP);
    }

    /// Starts the daemon again after it ended; sealed.
    pub async fn start_process(&mut self) {
        self.try_start().unwrap_or_else(|said| panic!("the daemon does not start: {said}"));
        self.client(&self.operator).sys().health().await.unwrap();
    }

    /// As [`House::start_process`], for a daemon that may refuse to.
    ///
    /// # Errors
    /// Its last words.
    pub fn try_start(&mut self) -> Result<(), String> {
        write(&self.at("cofferd.toml"), &self.configuration());
        self.process = Some(Process::start(&self.at("cofferd.toml"), &self.at("cofferd.log"), &self.setup)?);
        Ok(())
    }

    /// Stops, starts and unseals.
    pub async fn restart(&mut self) {
        assert!(self.stop().success(), "{}", self.log());
        self.start_process().await;
        self.unseal().await;
    }

    /// Stops and starts, and waits until a seal has opened it.
    pub async fn restart_by_itself(&mut self) {
        assert!(self.stop().success(), "{}", self.log());
        self.start_process().await;
        let sys = self.client(&self.operator).sys();
        crate::setup::eventually("the daemon opens by itself", || async {
            (!sys.seal_status().await.unwrap().sealed).then_some(())
        })
        .await;
    }

    /// Whether the daemon runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_alive)
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("the daemon was ended")
    }

    fn configuration(&self) -> String {
        // The chattiest level: no level may write a secret.
        let log = if self.setup.sections.contains("[log]") { "" } else { "[log]\nlevel = \"debug\"\n" };
        format!(
            "data_dir = {:?}\n[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nkey = \"server-key.pem\"\nclient_ca = \"ca.pem\"\n{}\n{log}{}",
            self.data, self.setup.listener, self.setup.sections
        )
    }

    /// What leaked into the log or the audit files.
    #[must_use]
    pub fn leaks(&self) -> Vec<String> {
        let mut leaks = self.canaries.found_in(self.log().as_bytes());
        leaks.extend(self.canaries.found_below(&self.audit()));
        leaks
    }
}

/// Furniture: what most stories begin with.
impl House {
    /// A child environment below the root with `secret/` and `transit/`; gives root's client in it.
    pub async fn environment(&self, path: &str) -> Client {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.root().with_namespace(parent).unwrap();
        parent.sys().create_namespace(name).await.unwrap();
        let here = self.root().with_namespace(path).unwrap();
        furnish(&here).await;
        here
    }

    /// A token of the client's environment with one policy, made of these rules.
    pub async fn token_for(&self, here: &Client, name: &str, rules: &[(&str, &[&str])]) -> String {
        here.sys().put_policy(name, &crate::setup::policy(rules)).await.unwrap();
        self.token(here, json!({ "policies": [name] })).await
    }

    /// A token made as asked.
    pub async fn token(&self, here: &Client, body: Value) -> String {
        let token = here.ask("POST", "auth/token/create", body).await.ok().token();
        self.canaries.add(&token);
        token
    }

    /// A certificate role of the client's environment at `auth/cert`, which is mounted where it is not there.
    pub async fn role(&self, here: &Client, name: &str, mut body: Value) {
        if !here.sys().auth_methods().await.unwrap().contains_key("cert/") {
            here.sys().enable_auth("cert", &NewMount::of("cert")).await.unwrap();
        }
        if body.get("certificate").is_none() {
            body["certificate"] = json!(self.authority.pem());
        }
        here.ask("POST", &format!("auth/cert/certs/{name}"), body).await.done();
    }
}

/// Mounts `secret/` (KV v2) and `transit/`.
pub async fn furnish(here: &Client) {
    here.sys().mount("secret", &NewMount::kv_v2()).await.unwrap();
    here.sys().mount("transit", &NewMount::of("transit")).await.unwrap();
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill9();
        }
        if std::thread::panicking() {
            let log = self.log();
            let said: Vec<_> = log.lines().filter(|line| !line.contains("Connection{")).collect();
            eprintln!("--- the daemon's log\n{}\n---", said.join("\n"));
            return;
        }
        let leaks = self.leaks();
        assert!(leaks.is_empty(), "leaked: {leaks:#?}");
        let log = self.log();
        assert!(self.may_panic || !log.contains("panicked at"), "the daemon panicked: {log}");
    }
}

fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
