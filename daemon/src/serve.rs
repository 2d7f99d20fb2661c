//! Composition: every room is made here, once, and handed what it needs.
use crate::clock::{Behind, SystemClock, SystemEntropy};
use crate::config::{Config, Durability, Format, Level};
use crate::jobs;
use coffer_audit::{Journal, NodeEvent, NodeField, NodeLog, Pace};
use coffer_environments::{Means, Registry, Settings};
use coffer_gateway::{Gateway, Listener, Tls, TlsFiles};
use coffer_secmem::{Backing, Hardening};
use coffer_store::{RedbStore, Store};
use coffer_types::{Clock, Entropy};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// A daemon whose listener is bound, sealed or uninitialised, not serving yet.
pub(crate) struct Daemon {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    listener: Listener,
    gateway: Arc<Gateway>,
    tls: Arc<Tls>,
    journal: Arc<Journal>,
    store: Arc<RedbStore>,
    node: NodeLog,
}

/// Serves until a stop signal.
pub(crate) async fn run(
    config: Config,
    accept_earlier_clock: bool,
    hardening: &Hardening,
) -> Result<(), String> {
    log_to_stderr(config.log.level, config.log.format);
    warn_of_weak_memory(hardening);
    let daemon = Daemon::compose(&config, accept_earlier_clock).await?;
    tracing::info!(address = %daemon.address, "listening; unseal with `coffer operator unseal`");
    daemon.serve(stop_signal()).await
}

/// What a start would need of the files that a configuration names.
pub(crate) fn check(config: &Config) -> Result<(), String> {
    Tls::load(tls_files(config)).map_err(|error| error.to_string())?;
    match config.data_dir.exists() {
        true => private_folder(&config.data_dir),
        false => Ok(()),
    }
}

impl Daemon {
    /// Makes all rooms. What must be there before the listener opens (certificates, revocation lists, the audit log) is
    /// loaded here, or the daemon does not start.
    pub(crate) async fn compose(config: &Config, accept_earlier_clock: bool) -> Result<Self, String> {
        let system_clock = Arc::new(SystemClock::new());
        let clock: Arc<dyn Clock> = Arc::clone(&system_clock) as Arc<dyn Clock>;
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let tls = Arc::new(Tls::load(tls_files(config)).map_err(|error| error.to_string())?);
        let data = &config.data_dir;
        private_folder(data)?;
        let options =
            coffer_store::Options { cache_bytes: config.cache_bytes(), ..coffer_store::Options::default() };
        let store = RedbStore::open(data.join("store").join("coffer.redb"), options)
            .map_err(|error| format!("{}: {error}", data.display()))?;
        let store = Arc::new(store);
        let settings = coffer_audit::Settings {
            directory: data.join("audit"),
            key_file: data.join("node.key"),
            host: config.host.get_ref().clone(),
            durability: match config.audit.durability {
                Durability::Checkpoint => coffer_audit::Durability::Checkpoint,
                Durability::Fsync => coffer_audit::Durability::Fsync,
            },
            pace: Pace::After(Duration::from_millis(500)),
        };
        let (journal, node) = Journal::open(settings, Arc::clone(&clock), Arc::clone(&entropy))
            .map_err(|error| format!("{}: {error}", data.join("audit").display()))?;
        if let Err(Behind { wall, recorded }) = system_clock.go_on_from(journal.recorded_before())
            && !accept_earlier_clock
        {
            return Err(format!(
                "the clock says {}, and the audit log's newest entry is of {}: what has expired since would be valid again. Set the clock; or, where it was the log's time that was wrong, start once with --accept-earlier-clock",
                wall.rfc3339(),
                recorded.rfc3339()
            ));
        }
        node.event(NodeEvent::Start, &[(NodeField::Version, env!("CARGO_PKG_VERSION"))])
            .map_err(|error| error.to_string())?;
        let settings = Settings {
            cluster_name: config.cluster_name.clone(),
            restore_file: data.join("restore.part"),
            rotate_after: coffer_environments::ROTATE_AFTER_ENCRYPTIONS,
        };
        let means = Means {
            store: Arc::clone(&store) as Arc<dyn Store>,
            journal: Arc::clone(&journal),
            node: node.clone(),
            clock: Arc::clone(&clock),
            devices: Arc::new(config.devices(&entropy)?),
            entropy,
        };
        let registry = Registry::start(settings, means)
            .await
            .map_err(|error| format!("the store can't be read: {error}"))?;
        let listener = Listener::bind(config.listener.address, Arc::clone(&tls))
            .await
            .map_err(|error| format!("{} can't be bound: {error}", config.listener.address))?;
        let address = listener.address().map_err(|error| error.to_string())?;
        let gateway = Arc::new(Gateway::new(registry, node.clone(), clock, config.limits()));
        Ok(Self { address, listener, gateway, tls, journal, store, node })
    }

    /// Serves until `stop`, then lets open requests finish, seals, and closes the log.
    pub(crate) async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), String> {
        let registry = Arc::clone(&self.gateway.registry);
        let hangup =
            signal(SignalKind::hangup()).map_err(|error| format!("SIGHUP can't be received: {error}"))?;
        let background = tokio::spawn(jobs::run(
            Arc::clone(&registry),
            Arc::clone(&self.store),
            Arc::clone(&self.tls),
            self.node.clone(),
            hangup,
        ));
        coffer_gateway::serve(self.listener, self.gateway, stop).await;
        background.abort();
        registry.seal().await;
        self.node.event(NodeEvent::Stop, &[]).map_err(|error| error.to_string())?;
        self.journal.close().map_err(|error| error.to_string())
    }
}

/// Resolves at SIGTERM or SIGINT.
pub(crate) async fn stop_signal() {
    let (Ok(mut term), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals can't be received; the daemon stops");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
}

pub(crate) fn log_to_stderr(level: Level, format: Format) {
    use tracing_subscriber::filter::LevelFilter;
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(level)
        .with_target(false)
        .with_ansi(false);
    // Set once per process; a second time there is one already.
    let _ = match format {
        Format::Text => log.try_init(),
        Format::Json => log.json().try_init(),
    };
}

pub(crate) fn warn_of_weak_memory(hardening: &Hardening) {
    for step in &hardening.refused {
        tracing::warn!(?step, "this protection of the process could not be switched on");
    }
    match coffer_secmem::backing() {
        Backing::MemfdSecret => {}
        Backing::Locked => tracing::warn!(
            "memfd_secret is not available: keys lie in locked memory that a privileged dump can read"
        ),
        Backing::Plain => {
            tracing::warn!("memory can't be locked: keys may be swapped to disk; raise RLIMIT_MEMLOCK")
        }
    }
}

fn tls_files(config: &Config) -> TlsFiles {
    let listener = &config.listener;
    TlsFiles {
        certificate: listener.certificate.clone(),
        key: listener.key.clone(),
        client_ca: listener.client_ca.clone(),
        client_crls: listener.client_crls.clone(),
        allow_tls12: listener.allow_tls12,
    }
}

/// Makes a folder that only its owner can read, or refuses one that others can.
pub(crate) fn private_folder(folder: &std::path::Path) -> Result<(), String> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let at = |error: std::io::Error| format!("{}: {error}", folder.display());
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at)?;
    let mode = std::fs::metadata(folder).map_err(at)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!(
            "{}: others than the owner can read this folder: chmod 700 it",
            folder.display()
        ));
    }
    Ok(())
}
