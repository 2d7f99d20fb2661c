//! Asking a person: secrets without echo, and the name of what is to be destroyed.
//!
//! Where standard input is no terminal, secrets are its lines and nobody can be asked to confirm.
use crate::page::say;
use crate::words::Failure;
use std::io::{BufRead, IsTerminal, Write};
use zeroize::Zeroizing;

pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// A secret: typed without echo, or the next line of standard input. Empty where nothing was typed, `None` at the end.
pub(crate) async fn hidden(prompt: String) -> Result<Option<Zeroizing<String>>, Failure> {
    // On another thread, so that the connection goes on living while a person looks for the envelope with the share.
    let asked = tokio::task::spawn_blocking(move || {
        if is_terminal() {
            rpassword::prompt_password(prompt).map(|text| Some(Zeroizing::new(text)))
        } else {
            line()
        }
    });
    let read = asked.await.map_err(|_| Failure::Input(std::io::ErrorKind::Other.into()))?;
    match read {
        Ok(text) => Ok(text.map(|text| Zeroizing::new(text.trim().to_owned()))),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(Failure::Stopped),
        Err(error) => Err(Failure::Input(error)),
    }
}

/// A secret that must be there.
pub(crate) async fn required(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    match hidden(prompt.to_owned()).await? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Failure::NothingTyped),
    }
}

fn line() -> std::io::Result<Option<Zeroizing<String>>> {
    let mut text = Zeroizing::new(String::new());
    let length = std::io::stdin().lock().read_line(&mut text)?;
    Ok((length > 0).then_some(text))
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
