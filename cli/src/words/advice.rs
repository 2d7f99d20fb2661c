//! What to do after a failure that is no answer of the daemon.
use super::{Exit, Failure};
use keystore_format::error::{Fault, FormatError};

pub(super) fn next(failure: &Failure) -> String {
    let fixed = match failure {
        Failure::Usage { help, .. } => return format!("`{help}` shows how it is written."),
        Failure::NoField { present, .. } if present.is_empty() => "The secret has no fields.",
        Failure::NoField { present, .. } => return format!("There are: {}.", present.join(", ")),
        Failure::VersionDeleted { path, version, .. } => {
            return format!("`coffer kv undelete {path} --versions {version}` brings it back.");
        }
        Failure::VersionDestroyed { path, .. } => {
            return format!("`coffer kv metadata get {path}` shows which versions there are.");
        }
        Failure::NoSecretPath(mount) => return format!("`coffer kv list {mount}` shows what there is."),
        Failure::Unwelcome { has_identity: true } => {
            "Check COFFER_CLIENT_CERT and COFFER_CLIENT_KEY: a certificate that has not expired, is not revoked, and is of a CA that the daemon trusts."
        }
        Failure::Unwelcome { has_identity: false } => {
            "Set COFFER_CLIENT_CERT and COFFER_CLIENT_KEY, or give --client-cert and --client-key."
        }
        Failure::NotInitialized => {
            "`coffer operator init` initialises it; `coffer operator snapshot restore FILE` brings a backup back."
        }
        Failure::AlreadyInitialized => "Start a cofferd with an empty data_dir and point --address to it.",
        Failure::Sealed { .. } => "`coffer operator unseal` asks for the shares.",
        Failure::NothingTyped => "Run it again and type it, or send it on standard input.",
        Failure::NeedsYes(_) => "Add --yes where you are sure.",
        Failure::ShareAsArgument => {
            "Clear it there, then run `coffer operator unseal` and type the share when it asks, or send it on standard input."
        }
        Failure::SecretAsArgument => {
            "Clear it there, and if it was a PIN, change it; then run the command without it: it asks, or reads standard input."
        }
        Failure::TokenAsArgument => {
            "Clear it there and revoke that token; then use --ask, --accessor or --token-file."
        }
        Failure::WhichToken => "Use --self for your own, --accessor ACCESSOR, or --ask to type a token.",
        Failure::HalfIdentity => {
            "Set both COFFER_CLIENT_CERT and COFFER_CLIENT_KEY, or give --client-cert and --client-key."
        }
        Failure::FileExists(_) => "Choose another name, or add --overwrite.",
        Failure::NoFileName(_) => "Give the path of the file that is to be written.",
        Failure::NotText(_) => "Values are text: write binary values as base64 (`base64 FILE`).",
        Failure::NoPair => {
            "Write key=value, key=@FILE, or key=- to be asked without echo; @FILE or --stdin-json take a whole JSON object."
        }
        Failure::InputTwice => {
            "Take the others from files (key=@FILE), or give all in one object with --stdin-json."
        }
        Failure::RepeatedKey(_) => "Give it once.",
        Failure::NotAnObject(_) | Failure::NotJson { .. } => "Give one object, such as {\"user\": \"app\"}.",
        Failure::NoEnvironmentName => "Environments are named as in `coffer env create prod` or acme/prod.",
        Failure::NoMountFor(_) => {
            "`coffer secrets list` shows what hangs where; check the token or certificate, and -n for the environment."
        }
        Failure::NotKv { .. } => "`coffer secrets list` shows which mounts are of type kv.",
        Failure::NeedsVersions(_) => {
            "`coffer secrets tune PATH --version 2` lets it keep versions from now on."
        }
        Failure::NothingToChange => "Give one of the options that `--help` lists.",
        Failure::Snapshot { .. } => "Try another backup; nothing was sent.",
        Failure::Share { fault, .. } => fault.next(),
        Failure::Ceremony(fault) => fault.next(),
        Failure::Target { .. } => {
            "Give --target NAME=https://HOST:PORT, or --targets FILE with a table [[target]] for each: name, address, and where they differ environment, ca, certificate, key, server_name."
        }
        Failure::Seal(fault) => fault.next(),
        Failure::SameHolder(_) => "Give each share to another person, under a name and a key of their own.",
        Failure::ShareCount { .. } => "Leave --shares out: there is one share for each recipient.",
        Failure::TooFewHolders { .. } => "Give more recipients, or a smaller --threshold.",
        Failure::NoAuditLog(_) => {
            "Give the folder that holds `journal`: `audit` below the daemon's data_dir, or a copy of it."
        }
        Failure::NoSuchLog(_) | Failure::SeveralLogs(_) => {
            "`coffer audit verify DIR` lists all logs; `coffer env show NAME` shows an environment's id."
        }
        Failure::VerifierKey(_) => {
            "A key is one line such as host/…+1a2b3c4d+AbCd…, or @FILE; the file `vkey` beside a log's checkpoint holds it."
        }
        Failure::NoKeyFor(_) | Failure::NoKeyGiven => {
            "Give --key KEY as somebody whom you trust gave it to you, or --log DIR to take it from a log's folder."
        }
        Failure::Disclosure { error, .. } if disclosure_exit(error) == Exit::Altered => {
            "Do not rely on it; keep the file, and ask for the disclosure again."
        }
        Failure::Disclosure { .. } => "Give a file as `coffer audit disclose` wrote it.",
        _ => "",
    };
    fixed.to_owned()
}

/// A file that was altered is another matter than one that is no disclosure at all.
pub(super) fn disclosure_exit(error: &FormatError) -> Exit {
    match (error.field, error.fault) {
        ("disclosure header", _) => Exit::Mistake,
        (_, Fault::TooLong) if error.field == "disclosure" => Exit::Mistake,
        _ => Exit::Altered,
    }
}
