//! `cofferd dev`: everything in one folder, the main job done once through the SDK, then a daemon to try out.
//!
//! Nothing here is a shortcut: the daemon is composed and served as in production, its certificates come from a CA made
//! for the folder, and each story speaks to it over mutual TLS. Not for production all the same: shares and root token
//! lie in the folder.
mod auditor;
mod certificates;
mod guide;
mod setup;
mod stories;

use crate::config::{Config, Format, Level};
use crate::serve::{self, Daemon};
use coffer_secmem::Hardening;
use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;

/// Makes the folder, serves, does the main job; ends there with `once`.
pub(crate) async fn run(
    once: bool,
    folder: Option<PathBuf>,
    listen: SocketAddr,
    hardening: &Hardening,
) -> Result<(), String> {
    serve::log_to_stderr(Level::Warn, Format::Text);
    serve::warn_of_weak_memory(hardening);
    let temporary = folder.is_none();
    let folder = match folder {
        Some(folder) => std::path::absolute(folder).map_err(|error| error.to_string())?,
        None => std::env::temp_dir().join(format!("coffer-dev-{}", std::process::id())),
    };
    new_folder(&folder)?;
    let done =
        serve_and_show(once, &folder, if once { SocketAddr::new(listen.ip(), 0) } else { listen }).await;
    if temporary && once {
        std::fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    done
}

/// Makes the folder, which must not be there yet: whoever made it before would own the keys that are put into it.
fn new_folder(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::DirBuilderExt;
    let at = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("{}: is there already; `dev` makes a new folder", folder.display())
        }
        _ => format!("{}: {error}", folder.display()),
    };
    if let Some(above) = folder.parent()
        && !above.exists()
    {
        std::fs::create_dir_all(above).map_err(|error| format!("{}: {error}", above.display()))?;
    }
    std::fs::DirBuilder::new().mode(0o700).create(folder).map_err(at)
}

async fn serve_and_show(once: bool, folder: &Path, listen: SocketAddr) -> Result<(), String> {
    certificates::make(folder)?;
    let file = folder.join("cofferd.toml");
    let text = format!(
        "data_dir = \"data\"\ncluster_name = \"coffer-dev\"\n[listener]\naddress = \"{listen}\"\ncertificate = \"server.pem\"\nkey = \"server-key.pem\"\nclient_ca = \"ca.pem\"\n"
    );
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    let daemon = Daemon::compose(&Config::read(&file)?, false).await?;
    let address = daemon.address;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(daemon.serve(async move {
        tokio::select! {
            _ = stopped => {}
            () = serve::stop_signal() => {}
        }
    }));
    let shown = show(once, folder, address).await;
    if once || shown.is_err() {
        // The receiver is gone only where the daemon has stopped by itself; its result says why.
        let _ = stop.send(());
    }
    let served = serving.await.map_err(|error| error.to_string())?;
    shown.and(served)
}

/// Sets the house up, does the main job, and says how to go on.
async fn show(once: bool, folder: &Path, address: SocketAddr) -> Result<(), String> {
    say("", format_args!("A Coffer in {}, listening on https://{address}", folder.display()));
    let house = setup::set_up(folder, address).await?;
    stories::application(&house).await?;
    stories::operator(&house).await?;
    stories::rotation_job(&house).await?;
    stories::auditor(&house).await?;
    stories::stranger(&house).await?;
    say("", "The main job is done.");
    if !once {
        guide::print(&house);
    }
    Ok(())
}

/// One line for the person who watches; who has stopped watching misses it, and the work goes on.
fn say(who: &str, what: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = if who.is_empty() { writeln!(out, "{what}") } else { writeln!(out, "  {who:<13} {what}") };
}

/// A step's error with the words of the step.
fn step<T, E: Display>(what: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}
