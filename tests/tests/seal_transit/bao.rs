//! OpenBao as the transit server, started as `tests/compare` does it: raft, TLS, client certificates required.
use super::{Process, Server, private};
use coffer_sdk::{Client, Secret};
use coffer_tests::{Authority, Identity, Person, eventually};
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

const COMMAND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compare/openbao");

/// A running OpenBao; it ends with this.
pub(crate) struct Bao {
    process: Child,
    /// To unseal it again.
    pub(super) share: Secret<String>,
    _folder: TempDir,
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

pub(crate) async fn server() -> Server {
    let folder = tempfile::Builder::new().prefix("coffer-transit-").tempdir().unwrap();
    let authority = Authority::new("The CA of an OpenBao");
    let (own, client) = (authority.server(), authority.issue(&Person::named("daemon with a seal")));
    let files = folder.path().join("device");
    std::fs::create_dir(&files).unwrap();
    private(&files.join("ca.pem"), &authority.pem());
    private(&files.join("server.pem"), &own.certificate);
    private(&files.join("server-key.pem"), &own.key);
    private(&files.join("client.pem"), &client.certificate);
    private(&files.join("client-key.pem"), &client.key);
    // Another process may take the free port that it finds before it listens there.
    for _ in 0..3 {
        let (mut process, address) = start(folder.path(), &files);
        let here = as_client(&address, &authority, &client);
        if !listens(&mut process, &here).await {
            continue;
        }
        let made = here.sys().init(1, 1).await.unwrap();
        let share = Secret::new(made.shares_hex[0].expose().clone());
        here.sys().unseal(&share).await.unwrap();
        let root = here.with_token(made.root_token.expose().clone()).unwrap();
        let mounts = || async { root.sys().mounts().await.ok() };
        eventually("OpenBao is active", mounts).await;
        let process = Process::Bao(Bao { process, share, _folder: folder });
        let server = Server { address, root, folder: files, is_bao: true, process };
        server.furnish().await;
        return server;
    }
    panic!("OpenBao does not start");
}

fn start(folder: &Path, pki: &Path) -> (Child, String) {
    let data = folder.join("bao");
    let _gone = std::fs::remove_dir_all(&data);
    let mut command = Command::new(COMMAND);
    command.arg(data).env("CONF_PKI", pki).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("VAULT_ADDR=").unwrap_or_else(|| panic!("no address in {line:?}"));
    (process, address.to_owned())
}

/// Whether it answers before it ends.
async fn listens(process: &mut Child, client: &Client) -> bool {
    let ended = std::cell::Cell::new(false);
    let process = std::cell::RefCell::new(process);
    eventually("OpenBao answers or ends", || async {
        ended.set(process.borrow_mut().try_wait().unwrap().is_some());
        (ended.get() || client.sys().seal_status().await.is_ok()).then_some(())
    })
    .await;
    !ended.get()
}

fn as_client(address: &str, authority: &Authority, client: &Identity) -> Client {
    let builder = Client::builder().address(address).ca_pem(authority.pem().as_bytes());
    builder.identity_pem(client.certificate.as_bytes(), client.key.as_bytes()).retries(0).build().unwrap()
}
