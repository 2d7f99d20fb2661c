//! What can be typed. Every command's own arguments stand in its module.
use crate::connect::Connection;
use crate::{audit, auth, capabilities, env, kv, login, mounts, operator, policy, token, transit};
use clap::{Parser, Subcommand};

const AFTER_HELP: &str = "\
Settings (a flag comes before COFFER_*, which comes before VAULT_*):
  COFFER_ADDR         the daemon, as https://host:port
  COFFER_CACERT       PEM file of the CA that signed the daemon's certificate
  COFFER_CLIENT_CERT  PEM file of your certificate, which is your identity where
  COFFER_CLIENT_KEY   no token is given, and PEM file of its key
  COFFER_TOKEN        your token; or COFFER_TOKEN_FILE, the file that it lies in
  COFFER_NAMESPACE    the environment to act in: prod, acme/prod; or else the root
  NO_COLOR            no colour, which only terminals get anyway

Tokens and shares are never arguments: they are asked for without echo, or read
from standard input. With --format json, an error is one line of JSON on
standard error: {\"error\", \"next\", \"exit\"}.

Exit codes:
  0  done
  1  a mistake in what was asked, or a refusal: nothing was changed
  2  the daemon is sealed or not initialised
  3  the daemon can't be reached or failed; the message says whether the request
     may have taken effect
  4  a check found an alteration, or a signature that is not valid";

/// Operates a Coffer daemon: unseal it, keep secrets and keys in it, and check its audit log.
#[derive(Parser)]
#[command(name = "coffer", version, after_help = AFTER_HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show whether the daemon is open; the same as `operator status`
    Status,
    /// Initialise, unseal, seal, rotate, back up and restore the daemon
    #[command(subcommand)]
    Operator(operator::Command),
    /// Environments (namespaces): list, create, show, delete
    #[command(subcommand)]
    Env(env::Command),
    /// Get a token by your client certificate
    Login(login::Arguments),
    /// Tokens: create, look up, renew, revoke
    #[command(subcommand)]
    Token(token::Command),
    /// Policies: list, read, write, delete
    #[command(subcommand)]
    Policy(policy::Command),
    /// Show what you may do at a path
    Capabilities(capabilities::Arguments),
    /// Secrets: read, write and their versions
    #[command(subcommand)]
    Kv(kv::Command),
    /// Keys that never leave the daemon: encrypt, decrypt, sign, verify, data keys
    #[command(subcommand)]
    Transit(transit::Command),
    /// Secrets engines: list, enable, disable, tune
    #[command(subcommand)]
    Secrets(mounts::Command),
    /// Auth methods and certificate roles
    #[command(subcommand)]
    Auth(auth::Command),
    /// The audit log: verify and show it offline, disclose one field
    #[command(subcommand)]
    Audit(audit::Command),
}
