//! Steps 4, 5 and 7: who is asking, whether they may, and doing it.
use crate::address::{Addressed, Handler};
use crate::environment::Environment;
use crate::mounts::{Mount, MountKind};
use crate::registry::Registry;
use crate::sys::{self, Desk};
use coffer_audit::{Facts, Intent, PlainField};
use coffer_auth::cert::{self, CertRefusal, PeerChain, PeerIdentity, Visitor};
use coffer_auth::token::{self, Asker, AuthFault, TtlLimits};
use coffer_auth::{Caller, TokenRef, userpass};
use coffer_engines::Engine;
use coffer_policy::{Acl, Permit, PublicRoute, Target};
use coffer_room::{Change, Fault, Outcome, Request};
use coffer_types::{MountId, Operation, Timestamp};
use coffer_wire::Params;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a request shows of its sender.
pub struct Credentials<'a> {
    /// The token header.
    pub token: Option<Zeroizing<String>>,
    /// The client certificate that the handshake verified, and its intermediates.
    pub chain: &'a PeerChain,
}

/// Who is asking.
pub enum Identified {
    /// One who proved to be somebody.
    Caller(Caller),
    /// Anybody, at a path of the public list.
    Public(PublicRoute),
}

impl Registry {
    /// Finds out who is asking: by token in the request's environment and then in those above it; without a token by the
    /// client certificate, in the same order. A wrong token never falls back to the certificate.
    ///
    /// # Errors
    /// 403, and 400 where the certificate matches two roles.
    pub async fn authenticate(
        &self,
        addressed: &Addressed,
        credentials: &Credentials<'_>,
        facts: &mut Facts,
    ) -> Result<Identified, Fault> {
        if let Some(route) = addressed.public_route() {
            facts.plain.push((PlainField::Proof, "none".to_owned()));
            return Ok(Identified::Public(route));
        }
        let now = self.clock.now();
        let open = self.open().ok_or(Fault::Sealed)?;
        let proof = if credentials.token.is_some() { "token" } else { "cert" };
        facts.plain.push((PlainField::Proof, proof.to_owned()));
        for environment in open.upwards(&addressed.environment) {
            let found = match &credentials.token {
                Some(token) => by_token(environment, token, credentials.chain, now).await?,
                None => by_certificate(environment, credentials.chain, now)?,
            };
            if let Some(caller) = found {
                facts.committed.push(("subject", caller.subject().as_bytes().to_vec().into()));
                facts.subject = Some(caller.subject().into());
                facts.caller_home = (caller.home() != addressed.environment.id).then(|| caller.home());
                return Ok(Identified::Caller(caller));
            }
        }
        Err(Fault::PermissionDenied)
    }

    /// Decides, by the policies of the caller's own environment.
    ///
    /// # Errors
    /// 403.
    pub fn authorise(
        &self,
        addressed: &Addressed,
        who: Identified,
        mut params: Params,
    ) -> Result<(Permit, Request), Fault> {
        let target = Target {
            environment: addressed.environment.id,
            environment_path: addressed.environment.path.clone(),
            path: addressed.path.clone(),
            operation: addressed.operation,
            needs_sudo: false,
            wrap_seconds: None,
        };
        let permit = match who {
            Identified::Caller(caller) => {
                coffer_policy::authorise(&*self.acl_of(&caller)?, caller, target, &params)
            }
            Identified::Public(route) => coffer_policy::public(target, route),
        };
        let permit = permit.map_err(|_| Fault::PermissionDenied)?;
        let path = match &addressed.handler {
            Handler::Mount(_, below) => below.clone(),
            _ => addressed.path.clone(),
        };
        if let Some(limit) = permit.page_limit() {
            params.set_number("limit", limit);
        }
        let request =
            Request { operation: addressed.operation, write_mode: permit.write_mode(), path, params };
        Ok((permit, request))
    }

    /// The merged policies of a caller.
    pub(crate) fn acl_of(&self, caller: &Caller) -> Result<Arc<Acl>, Fault> {
        let open = self.open().ok_or(Fault::Sealed)?;
        let home = open
            .at(caller.home_path())
            .filter(|home| home.id == caller.home())
            .ok_or(Fault::PermissionDenied)?;
        Ok(home.policies.acl(caller.policies()))
    }

    /// Taking a use from a token that has only so many: committed together with the request's leaf.
    #[must_use]
    pub fn spend(&self, who: &Identified) -> Option<Change> {
        let Identified::Caller(caller) = who else { return None };
        let token = caller.token().filter(|token: &TokenRef| token.is_use_limited)?;
        let home = self.open().and_then(|open| open.at(caller.home_path()).cloned());
        let home = home.filter(|home| home.id == caller.home());
        Some(Change::new(move |batch| {
            // Closed meanwhile: a use that can't be taken is none.
            let home = home.as_ref().ok_or(Fault::Sealed)?;
            token::spend(&mut batch.within(home.barrier()), token)?;
            Ok(coffer_room::Answer::empty())
        }))
    }

    /// Does what was permitted, now that its record is open: gives an answer, or the change that the recorder makes
    /// together with its leaf.
    ///
    /// # Errors
    /// Whatever the handler refuses with.
    pub async fn act(
        self: &Arc<Self>,
        addressed: &Addressed,
        permit: &Permit,
        _recorded: &Intent,
        credentials: &Credentials<'_>,
        request: Request,
    ) -> Result<Outcome, Fault> {
        let environment = &addressed.environment;
        match &addressed.handler {
            Handler::Nobody => Err(Fault::NoRoute(
                "no handler for route: no environment, mount or system path is there".into(),
            )),
            Handler::System(route, argument) => {
                let caller = permit.caller().ok_or(Fault::PermissionDenied)?;
                let has_sudo = permit.is_sudo();
                let desk = Desk { registry: self, environment, caller, has_sudo, argument };
                sys::handle(*route, &desk, request).await
            }
            Handler::Mount(mount, _) => {
                let outcome = self.act_on_mount(environment, mount, permit, credentials, request).await?;
                Ok(while_mounted(environment, mount.id, outcome))
            }
        }
    }

    async fn act_on_mount(
        &self,
        environment: &Arc<Environment>,
        mount: &Mount,
        permit: &Permit,
        credentials: &Credentials<'_>,
        request: Request,
    ) -> Result<Outcome, Fault> {
        let room = environment.room(mount.id);
        let limits = TtlLimits::default().within(mount.record.default_lease_ttl, mount.record.max_lease_ttl);
        match mount.kind {
            MountKind::KvV1 => Engine::KvV1.handle(&room, request).await,
            MountKind::KvV2 => Engine::KvV2.handle(&room, request).await,
            MountKind::Transit => Engine::Transit.handle(&room, request).await,
            MountKind::Token => {
                let caller = permit.caller().ok_or(Fault::PermissionDenied)?;
                let shown = credentials.token.as_ref().map(|token| token.as_str());
                let asker = Asker { caller, shown, has_sudo: permit.is_sudo(), limits };
                token::handle(&environment.room(MountId::default()), &environment.tokens, asker, request)
                    .await
            }
            MountKind::Cert => {
                let certs = environment.certs.load();
                let state = certs.iter().find(|cert| cert.id() == mount.id).ok_or(Fault::PermissionDenied)?;
                let visitor = Visitor { chain: credentials.chain, tokens: &environment.tokens, limits };
                cert::handle(state, &room, visitor, request).await
            }
            MountKind::Userpass => {
                let (tokens, mount_path) = (&environment.tokens, mount.record.path.as_str());
                userpass::handle(&room, userpass::Visitor { tokens, limits, mount_path }, request).await
            }
        }
    }
}

/// A change happens only while its mount is there: nothing is written behind the erasing of a disabled one.
fn while_mounted(environment: &Arc<Environment>, mount: MountId, outcome: Outcome) -> Outcome {
    let Outcome::Change(mut change) = outcome else { return outcome };
    let environment = Arc::clone(environment);
    Outcome::Change(Change::new(move |batch| {
        if !environment.mounts().has(mount) {
            return Err(Fault::NoRoute("no handler for route: the mount was disabled".into()));
        }
        change.run(batch)
    }))
}

async fn by_token(
    environment: &Environment,
    token: &str,
    chain: &PeerChain,
    now: Timestamp,
) -> Result<Option<Caller>, Fault> {
    let certs = environment.certs.load_full();
    let connection = PeerIdentity { mounts: &certs, chain, now };
    match environment.tokens.authenticate(token, &connection, now).await {
        // What logs in at a mount does not outlive it.
        Ok(caller) if environment.mounts().has_auth(caller.auth_mount()) => Ok(Some(caller)),
        Ok(_) => Err(Fault::PermissionDenied),
        Err(AuthFault::Unknown) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

/// The role's identity that the connection's certificate has in this environment.
fn by_certificate(
    environment: &Environment,
    chain: &PeerChain,
    now: Timestamp,
) -> Result<Option<Caller>, Fault> {
    match cert::identify(&environment.certs.load(), chain, now) {
        Ok(matched) => Ok(Some(matched.caller(environment.id, environment.path.clone()))),
        Err(CertRefusal::NoRole) => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

impl Addressed {
    /// The declared name of the route, for the log: never the path.
    #[must_use]
    pub fn route_name(&self) -> &'static str {
        match &self.handler {
            Handler::System(route, _) => route.pattern(),
            Handler::Nobody => "none",
            Handler::Mount(mount, below) => match mount.kind {
                MountKind::KvV1 => Engine::KvV1.route(below).unwrap_or("none"),
                MountKind::KvV2 => Engine::KvV2.route(below).unwrap_or("none"),
                MountKind::Transit => Engine::Transit.route(below).unwrap_or("none"),
                MountKind::Token => token::route(below).unwrap_or("none"),
                MountKind::Cert => cert::route(below).unwrap_or("none"),
                MountKind::Userpass => userpass::route(below).unwrap_or("none"),
            },
        }
    }

    /// The mount acted upon.
    #[must_use]
    pub fn mount_id(&self) -> Option<MountId> {
        match &self.handler {
            Handler::Mount(mount, _) => Some(mount.id),
            _ => None,
        }
    }

    /// Revocation and sealing: may use the space that is kept back for a full disk.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        let route = self.route_name();
        route == "sys/seal" || route.starts_with("token/revoke")
    }

    /// Whether it does what an attacker would like to undo by an older store: it takes something away.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        let route = self.route_name();
        let changes = !matches!(self.operation, Operation::Read | Operation::List | Operation::Scan);
        let counted =
            ["sys/polic", "sys/rotate", "sys/rekey", "sys/seals", "sys/namespaces", "token/revoke", "cert/"];
        changes && counted.iter().any(|begins| route.starts_with(begins))
    }

    /// The entry of the public list that this is.
    fn public_route(&self) -> Option<PublicRoute> {
        let Handler::Mount(mount, below) = &self.handler else { return None };
        let route = match mount.kind {
            MountKind::Cert => cert::route(below),
            MountKind::Userpass => userpass::route(below),
            _ => None,
        };
        let is_login = matches!(route, Some("cert/login" | "userpass/login"));
        (is_login && self.operation == Operation::Write).then_some(PublicRoute::Login)
    }
}
