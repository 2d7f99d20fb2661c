//! Asking a person: secrets without echo, and the name of what is to be destroyed.
//!
//! Where standard input is no terminal, secrets are its lines and nobody can be asked to confirm.
use crate::page::say;
use crate::words::{Failure, SealFault};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{BufRead, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// A secret: typed without echo, or the next line of standard input. Empty where nothing was typed, `None` at the end.
pub(crate) async fn hidden(prompt: String) -> Result<Option<Zeroizing<String>>, Failure> {
    if is_terminal() {
        take_interrupts().map_err(Failure::Input)?;
        IS_ASKING.store(true, Ordering::SeqCst);
    }
    // On another thread, so that the connection goes on living while a person looks for the envelope with the share.
    let asked = tokio::task::spawn_blocking(move || read(&prompt));
    let read = asked.await.map_err(|_| Failure::Input(std::io::ErrorKind::Other.into()))?;
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Err(Failure::Stopped),
        // Ctrl-D.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(Failure::Input(error)),
        Ok(text) => Ok(text.map(|text| Zeroizing::new(text.trim().to_owned()))),
    }
    .inspect(|_| IS_ASKING.store(false, Ordering::SeqCst))
}

static IS_ASKING: AtomicBool = AtomicBool::new(false);

/// rpassword raises SIGINT for Ctrl-C before it gives the terminal its echo back, which would leave it without. Taken
/// here, that is an error like another while we ask, and the end of the program else.
fn take_interrupts() -> std::io::Result<()> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let mut interrupts = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        while interrupts.recv().await.is_some() {
            if !IS_ASKING.load(Ordering::SeqCst) {
                std::process::exit(128 + SignalKind::interrupt().as_raw_value());
            }
        }
    });
    Ok(())
}

/// A secret that must be there.
pub(crate) async fn required(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    match hidden(prompt.to_owned()).await? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Failure::NothingTyped),
    }
}

/// A secret that is new: typed twice by a person, since nobody sees it.
pub(crate) async fn new_secret(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let first = required(prompt).await?;
    if is_terminal() && *required("The same again: ").await? != *first {
        return Err(SealFault::PinsDiffer.into());
    }
    Ok(first)
}

fn read(prompt: &str) -> std::io::Result<Option<Zeroizing<String>>> {
    if is_terminal() { typed(prompt).map(Some) } else { line() }
}

/// Echo ends before the prompt shows: whoever types ahead of it, or pastes, is not shown either.
fn typed(prompt: &str) -> std::io::Result<Zeroizing<String>> {
    let _quiet = Quiet::begin()?;
    rpassword::prompt_password(prompt).map(Zeroizing::new)
}

/// A terminal without echo and signals, as rpassword has it while it reads, until this is dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn begin() -> std::io::Result<Self> {
        let terminal = File::open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG);
        tcsetattr(&terminal, OptionalActions::Now, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

fn line() -> std::io::Result<Option<Zeroizing<String>>> {
    let mut text = Zeroizing::new(String::new());
    let length = std::io::stdin().lock().read_line(&mut text)?;
    Ok((length > 0).then_some(text))
}

/// Lets a person say yes to what was just listed, unless `--yes` was given.
pub(crate) fn agree(what: &str, is_confirmed: bool) -> Result<(), Failure> {
    match confirm(what, "yes", is_confirmed) {
        Err(Failure::NotConfirmed) => Err(Failure::NotAgreed),
        done => done,
    }
}

/// Lets a person type the name of what is lost for good, unless `--yes` was given.
pub(crate) fn confirm(what: &str, name: &str, is_confirmed: bool) -> Result<(), Failure> {
    if is_confirmed {
        return Ok(());
    }
    if !is_terminal() {
        return Err(Failure::NeedsYes(what.to_owned()));
    }
    say(what);
    let mut err = anstream::stderr();
    let asked = write!(err, "Type {name} to go on: ").and_then(|()| err.flush()).and_then(|()| line());
    match asked.map_err(Failure::Input)? {
        Some(typed) if typed.trim() == name => Ok(()),
        _ => Err(Failure::NotConfirmed),
    }
}
