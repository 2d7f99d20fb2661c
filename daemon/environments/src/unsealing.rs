//! Opening a sealed store: by shares, or by a device that the configuration names.
//!
//! Devices open by themselves once, after a start. Whoever seals a running daemon has a reason: then it opens by shares,
//! by a PIN that an operator gives, or after the next start.
use crate::node::{Gate, NodeFault, Unsealed, Waiting, uuid};
use crate::open::{self, How};
use crate::registry::State;
use crate::{Environment, Registry, Terms};
use coffer_audit::{KeptCheckpoint, NodeEvent, NodeField};
use coffer_barrier::{Barrier, read_seal_record};
use coffer_room::Fault;
use coffer_seal::device::{DeviceTrouble, Given};
use coffer_seal::devices::{Devices, Opened, Refused};
use coffer_seal::{Offered, Seal, rekey, seals};
use coffer_secmem::Key32;
use coffer_types::{EnvironmentPath, WrapId};
use std::sync::Arc;

/// The most checkpoints that whoever opens the store is told: of the root environment, and of those next below it.
const MAX_TOLD: usize = 256;

impl Registry {
    /// Takes one share, and what its holder says beside it. Opens the node with the last that is needed, and tells that
    /// one's holder what to keep. A store that is older than its audit log or than a kept checkpoint opens only where
    /// every one of these shares comes with leave for it.
    ///
    /// # Errors
    /// Says what is wrong with the share; the progress is kept. Or why the store does not open.
    pub async fn unseal(self: &Arc<Self>, share: &str, said: Terms) -> Result<Option<Unsealed>, NodeFault> {
        let mut gate = self.gate.lock().await;
        let waiting = match &mut *gate {
            Gate::Uninitialized => return Err(not_initialized()),
            Gate::Open => return Ok(None),
            Gate::Sealed(waiting) => waiting,
        };
        let is_first = waiting.shares.count() == 0;
        let offered = waiting.shares.offer(share, &waiting.seal, &*self.entropy);
        if offered.is_ok() {
            waiting.terms.join(said, is_first);
        }
        let terms = waiting.terms.clone();
        let mut status = (*self.seal_status()).clone();
        status.progress = waiting.shares.progress(&waiting.seal).map_or(0, |(have, _)| have);
        status.nonce = waiting.shares.nonce().map_or_else(String::new, |nonce| uuid(&nonce));
        let (progress, threshold) = (status.progress.to_string(), status.threshold.to_string());
        let fields = [(NodeField::Progress, progress.as_str()), (NodeField::Threshold, threshold.as_str())];
        self.status.store(Arc::new(status));
        let joined = match offered {
            Err(refused) => {
                self.node.event(NodeEvent::UnsealRefused, &fields)?;
                return Err(NodeFault::bad(refused.message()));
            }
            Ok(Offered::Progress { .. }) => {
                self.node.event(NodeEvent::UnsealProgress, &fields)?;
                return Ok(None);
            }
            Ok(Offered::Complete(joined)) => joined,
        };
        let held = Some(joined.shared.wrap);
        self.open_store(&mut gate, (joined.root_key, held), &terms, "shamir").await
    }

    /// Tries the devices that wrap the root key, once after a start. Returns whether there is nothing more to try: the
    /// store is open, or no device will open it without an operator.
    pub async fn unseal_by_devices(self: &Arc<Self>) -> bool {
        let waiting = match &*self.gate.lock().await {
            Gate::Sealed(waiting) if !self.was_opened() && !waiting.is_restore => Some(waiting.seal.clone()),
            _ => None,
        };
        let Some(seal) = waiting.filter(Seal::is_by_devices) else { return true };
        // Without the gate: a device that takes its time keeps nobody from opening the store by shares.
        match self.ask_devices(seal, EnvironmentPath::root(), None, Given::default()).await {
            Ok(Opened { root_key, by }) => {
                let mut gate = self.gate.lock().await;
                if self.was_opened() {
                    return true;
                }
                let opened = self.open_store(&mut gate, (root_key, None), &Terms::default(), "device").await;
                if let Err(NodeFault(fault)) = opened {
                    tracing::error!(
                        by,
                        cause = coffer_audit::fault_name(&fault),
                        "the seal opened, and the store does not"
                    );
                }
                true
            }
            Err(refused) => {
                for Refused { name, error } in &refused {
                    tracing::error!(seal = name, %error, "a seal does not open the store");
                }
                refused.iter().all(|refused| !is_passing(refused.error.kind))
            }
        }
    }

    /// Asks every configured device how it is.
    pub async fn look_at_devices(&self) {
        let devices = Arc::clone(&self.devices);
        if tokio::task::spawn_blocking(move || devices.look()).await.is_err() {
            tracing::error!("asking the seals how they are did not come to its end");
        }
    }

    /// The configured devices.
    #[must_use]
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// Opens by one device, with the PIN that an operator gives.
    ///
    /// # Errors
    /// Why it does not open; without a PIN, since whoever sealed a running daemon has a reason.
    pub async fn unseal_by(
        self: &Arc<Self>,
        name: &str,
        given: Given,
        said: Terms,
    ) -> Result<Option<Unsealed>, NodeFault> {
        let seal = match &*self.gate.lock().await {
            Gate::Uninitialized => return Err(not_initialized()),
            Gate::Open => return Ok(None),
            Gate::Sealed(waiting) => waiting.seal.clone(),
        };
        let wrap = seal.wraps().into_iter().find(|wrap| wrap.name == name && is_by_device(wrap));
        let wrap = wrap.ok_or_else(|| {
            NodeFault::bad("the store has no seal of this name: `coffer operator status` names them")
        })?;
        // What asks for no PIN would open by any, for everybody.
        if given.pin.is_none() || !wrap.takes_pin {
            return Err(NodeFault::bad(
                "a seal without a PIN opens by itself after a start only: give shares, or the PIN of one that takes a PIN",
            ));
        }
        // Before the PIN is shown: what is tried is recorded.
        let fields = [(NodeField::Action, "by-pin")];
        self.node.event(NodeEvent::UnsealProgress, &fields)?;
        match self.ask_devices(seal, EnvironmentPath::root(), Some(name.to_owned()), given).await {
            Ok(Opened { root_key, .. }) => {
                let mut gate = self.gate.lock().await;
                self.open_store(&mut gate, (root_key, None), &said.by_device(), "device").await
            }
            Err(refused) => {
                self.node.event(NodeEvent::UnsealRefused, &fields)?;
                let first = refused.into_iter().next();
                Err(NodeFault::bad(first.map_or_else(String::new, |refused| refused.error.sentence)))
            }
        }
    }

    /// Asks the devices on a thread that may wait.
    pub(crate) async fn ask_devices(
        &self,
        seal: Seal,
        environment: EnvironmentPath,
        only: Option<String>,
        given: Given,
    ) -> Result<Opened, Vec<Refused>> {
        let devices = Arc::clone(&self.devices);
        let asked =
            tokio::task::spawn_blocking(move || devices.open(&seal, &environment, only.as_deref(), &given));
        asked.await.unwrap_or_else(|_| Err(Vec::new()))
    }

    /// Opens the store by its root key. `held` is the wrap by shares that gave it.
    async fn open_store(
        self: &Arc<Self>,
        gate: &mut Gate,
        (root_key, held): (Key32, Option<WrapId>),
        terms: &Terms,
        by: &'static str,
    ) -> Result<Option<Unsealed>, NodeFault> {
        let Gate::Sealed(waiting) = &*gate else { return Ok(None) };
        let Waiting { context, is_restore, .. } = **waiting;
        if is_restore {
            self.import(context, &root_key).await?;
        }
        let path = EnvironmentPath::root();
        let root = open::barrier(self, &path, context, root_key.duplicate(), terms).await;
        let root = root.map_err(|error| open::fault("the store", error))?;
        let is_accepted = is_restore || terms.accepts_rollback;
        if let Err(sentence) = self.check_counter(&root).await {
            if !is_accepted && !self.is_restore_unfinished() {
                root.close();
                tracing::error!(sentence, "the store does not open");
                return Err(NodeFault(Fault::Unavailable(open::older("the store", &sentence).into())));
            }
            tracing::warn!(sentence, "accepted by the holders of shares");
        }
        if let Some(held) = held {
            self.settle_shares(&root, root_key, held).await?;
        }
        let is_restored = self.is_restore_unfinished();
        let how = match (is_restored, terms.accepts_rollback) {
            (true, _) => How::Restored,
            (false, true) => How::AcceptingRollback,
            (false, false) => How::AsPromised,
        };
        let opened = open::tree(self, EnvironmentPath::root(), root, how, terms).await;
        let opened = opened.map_err(|error| {
            tracing::error!(%error, "the store does not open");
            NodeFault(Fault::Unavailable(open::why("the store", &error).into()))
        })?;
        let name = context.environment.to_string();
        let recorded = self
            .node
            .event(NodeEvent::Unsealed, &[(NodeField::Environment, &name), (NodeField::Action, by)])
            .map_err(NodeFault::from)
            .and_then(|()| if is_restored { self.forget_restore() } else { Ok(()) });
        if let Err(fault) = recorded {
            for environment in opened.iter().rev() {
                environment.shut().await;
            }
            return Err(fault);
        }
        let unsealed = told(&opened, &terms.kept).await;
        self.set_open(Some(State::with(opened)));
        self.count();
        *gate = Gate::Open;
        let mut status = (*self.seal_status()).clone();
        (status.is_sealed, status.progress, status.is_initialized) = (false, 0, true);
        status.nonce.clear();
        self.status.store(Arc::new(status));
        self.wake_jobs();
        Ok(Some(unsealed))
    }

    async fn seal_of(&self, root: &Barrier) -> Result<Seal, NodeFault> {
        let copies = read_seal_record(&*self.store, root.context().environment).await.map_err(Fault::from)?;
        Seal::found(root.context(), copies).map_err(|error| NodeFault::bad(error.message()))
    }

    /// Where a rekey has left two sets of shares: the one that opened is held, so the other one ends.
    pub(crate) async fn settle_shares(
        &self,
        root: &Arc<Barrier>,
        root_key: Key32,
        held: WrapId,
    ) -> Result<(), NodeFault> {
        let seal = self.seal_of(root).await?;
        if !seal.status().has_pending {
            return Ok(());
        }
        let name = root.context().environment.to_string();
        self.node.event(
            NodeEvent::Ceremony,
            &[(NodeField::Action, "rekey-settled"), (NodeField::Environment, &name)],
        )?;
        // What the copies say is not proved before now: one that was altered must not keep the store closed.
        let settled = root.commit_urgent(move |batch| {
            if !rekey::is_unsettled(&batch.seal_record()?) {
                return Ok(());
            }
            batch.reseal(|record, escrow| {
                let record = rekey::settled(record, escrow, &root_key, held);
                Ok::<_, Fault>((
                    root_key.duplicate(),
                    record.ok_or(Fault::Internal("a rekey can't be settled"))?,
                ))
            })
        });
        settled.await?;
        // The root environment has the store's id.
        if root.context().environment.0 == root.context().store.0 {
            self.tell_seal(self.seal_of(root).await?.wraps());
        }
        Ok(())
    }
}

/// What whoever opened it is told.
async fn told(opened: &[Arc<Environment>], kept: &[KeptCheckpoint]) -> Unsealed {
    let is_open =
        |kept: &&KeptCheckpoint| opened.iter().any(|environment| environment.id == kept.environment());
    let compared = kept.iter().filter(is_open).count();
    let mut checkpoints = Vec::new();
    for (at, environment) in opened.iter().take(MAX_TOLD).enumerate() {
        let book = environment.book();
        // One round makes those of all.
        let newest = if at == 0 { book.checkpoint_now().await.map(Some) } else { book.checkpoint().await };
        match newest {
            Ok(newest) => checkpoints.extend(newest.filter(|newest| !newest.is_empty())),
            Err(error) => tracing::warn!(environment = %environment.path, %error, "no checkpoint to keep"),
        }
    }
    Unsealed { checkpoints, compared }
}

fn is_by_device(wrap: &seals::ListedWrap) -> bool {
    wrap.is_current && coffer_seal::devices::is_by_device(wrap.wrap_type)
}

/// Whether it may be gone the next time, without anybody doing anything about it here.
pub(crate) const fn is_passing(trouble: DeviceTrouble) -> bool {
    matches!(trouble, DeviceTrouble::Unreachable | DeviceTrouble::Failed)
}

fn not_initialized() -> NodeFault {
    NodeFault::bad("Coffer is not initialized: run `coffer operator init` first")
}
