//! The TPM's counter against an older store.
//!
//! The head says what the counter is. It is written before the counter is raised, so a crash in between leaves the head one
//! ahead, never behind: a head that is behind belongs to an older store. Counted at what an attacker would like to undo, at
//! most every 30 seconds: a copy taken since the last count is not told from the present store by it, but by the audit log.
use crate::environment::Environment;
use crate::registry::Registry;
use crate::work::recorded;
use coffer_barrier::Barrier;
use coffer_room::{Answer, Change, Fault};
use coffer_seal::device::{Count, DeviceError, DeviceTrouble};
use coffer_seal::devices::NamedDevice;
use coffer_seal::seals::listed;
use coffer_secmem::Key32;
use coffer_types::EnvironmentPath;
use coffer_wire::Object;
use keystore_format::seal_record::SealRecord;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a seal waits for the TPM, when the keys are gone.
const AT_SEAL: Duration = Duration::from_secs(2);

/// [`Count`], for a thread of its own.
pub(crate) enum Ask {
    Define(Zeroizing<String>),
    Read,
    RaiseTo(u64),
}

/// What the counter is asked with, beyond the life of the environment's keys: its authorisation opens nothing.
pub(crate) struct Counting {
    record: SealRecord,
    auth: Key32,
    /// What the head says.
    promised: u64,
}

impl Registry {
    /// Asks the counter of the TPM that is a seal of the root environment.
    pub(crate) async fn counter(self: &Arc<Self>, root: &Barrier, ask: Ask) -> Result<u64, DeviceError> {
        let counting = self.counting(root).await?;
        self.ask_counter(counting, ask).await
    }

    async fn counting(&self, root: &Barrier) -> Result<Counting, DeviceError> {
        let record = root.seal_record().await.map_err(|error| trouble(&error.to_string()))?;
        let auth = root.counter_auth().map_err(|error| trouble(&error.to_string()))?;
        Ok(Counting { record, auth, promised: root.tpm_counter() })
    }

    async fn ask_counter(self: &Arc<Self>, counting: Counting, ask: Ask) -> Result<u64, DeviceError> {
        let registry = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || {
            let Counting { record, auth, .. } = &counting;
            let named = listed(record).into_iter().zip(&record.wraps).find_map(|(listed, wrap)| {
                let device = registry.devices.find(&listed.name, &EnvironmentPath::root()).ok()?;
                device.has_counter().then_some((device, wrap))
            });
            let (device, wrap) = named
                .ok_or_else(|| trouble("no seal of the store has a `counter_index` in the configuration"))?;
            let count = match &ask {
                Ask::Define(owner) => Count::Define(owner.as_bytes()),
                Ask::Read => Count::Read,
                Ask::RaiseTo(value) => Count::RaiseTo(*value),
            };
            let value = device.counter(wrap, auth, &count)?;
            // Here, since nobody may be waiting any more.
            registry.counted.store(value, Ordering::Release);
            Ok(value)
        });
        asked.await.unwrap_or_else(|_| Err(trouble("the TPM's thread did not come to its end")))
    }

    /// Holds the store's head against the counter, before anything is served.
    pub(crate) async fn check_counter(self: &Arc<Self>, root: &Barrier) -> Result<(), String> {
        let head = root.tpm_counter();
        if head == 0 {
            // A store of the time before the counter knows nothing of it; the TPM does.
            let is_counting = self.devices.iter().any(NamedDevice::has_counter)
                && self.counter(root, Ask::Read).await.is_ok();
            return match is_counting {
                false => Ok(()),
                true => Err(
                    "the TPM counts, and the store knows nothing of it: it is of the time before, or the counting was ended and the configuration still has `counter_index`"
                        .to_owned(),
                ),
            };
        }
        match self.counter(root, Ask::Read).await {
            // One ahead: a crash came between the head and the counter.
            Ok(counter) if counter == head || counter.checked_add(1) == Some(head) => Ok(()),
            Ok(counter) if counter > head => Err(format!(
                "the store is older than the TPM's counter: that is at {counter}, and the store was written at {head}"
            )),
            Ok(counter) => Err(format!(
                "the TPM's counter is behind the store: it is at {counter}, and the store was written at {head}"
            )),
            Err(error) => {
                Err(format!("the store's age can't be held against the TPM's counter: {}", error.sentence))
            }
        }
    }

    /// Something was done that nobody shall undo by an older store.
    pub fn count(&self) {
        self.is_count_due.store(true, Ordering::Release);
    }

    /// Counts on, where something was done since the last time. The caller sees to it that it is not often.
    pub async fn count_if_due(self: &Arc<Self>) {
        let root = self.open().and_then(|open| open.at(&EnvironmentPath::root()).cloned());
        let Some(root) = root.filter(|root| root.barrier().tpm_counter() > 0) else { return };
        if !self.is_count_due.swap(false, Ordering::AcqRel) {
            return;
        }
        if let Err(cause) = self.count_on(&root).await {
            self.count();
            tracing::error!(cause, "the TPM's counter could not be raised; it is tried again");
        }
    }

    /// Writes into the head that the counter is one further, while there are keys to write it with. [`Registry::count_at_seal`]
    /// then sees to it, without any.
    pub(crate) async fn promise_count(self: &Arc<Self>, root: &Arc<Environment>) -> Option<Counting> {
        let head = root.barrier().tpm_counter();
        if head == 0 {
            return None;
        }
        // The head may be one ahead of the counter, and never two: so only where it is not ahead already. It is behind where
        // holders have accepted an older store.
        let counted = self.counted.load(Ordering::Acquire);
        if counted >= head
            && let Err(cause) = write(root, counted.saturating_add(1)).await
        {
            tracing::error!(cause, "sealed without raising the TPM's counter");
            return None;
        }
        match self.counting(root.barrier()).await {
            Ok(counting) => Some(counting),
            Err(error) => {
                tracing::error!(%error, "sealed without raising the TPM's counter");
                None
            }
        }
    }

    /// Counts as far as the head says, unless the TPM takes its time: sealing waits for nobody.
    pub(crate) async fn count_at_seal(self: &Arc<Self>, counting: Counting) {
        let promised = counting.promised;
        match tokio::time::timeout(AT_SEAL, self.ask_counter(counting, Ask::RaiseTo(promised))).await {
            Ok(Ok(value)) if value == promised => {}
            Ok(Ok(_)) => tracing::error!("sealed, and the TPM's counter is not where the store says"),
            Ok(Err(error)) => tracing::error!(%error, "sealed without raising the TPM's counter"),
            Err(_) => tracing::error!("sealed without raising the TPM's counter: it takes its time"),
        }
    }

    /// What the root environment is guarded by from now on.
    pub(crate) async fn define_counter(
        self: &Arc<Self>,
        root: &Arc<Environment>,
        owner: Zeroizing<String>,
    ) -> Result<Change, DeviceError> {
        let value = self.counter(root.barrier(), Ask::Define(owner)).await?;
        Ok(Change::new(move |batch| {
            batch.set_tpm_counter(value);
            Ok(Answer::system(Object::new().number("counter", value)))
        }))
    }

    async fn count_on(self: &Arc<Self>, root: &Arc<Environment>) -> Result<(), String> {
        let asked = |error: DeviceError| error.sentence;
        let next = self.counter(root.barrier(), Ask::Read).await.map_err(asked)?.saturating_add(1);
        write(root, next).await?;
        let now = self.counter(root.barrier(), Ask::RaiseTo(next)).await.map_err(asked)?;
        // Whoever else may raise it has done so in between.
        if now == next { Ok(()) } else { write(root, now).await }
    }
}

fn trouble(sentence: &str) -> DeviceError {
    DeviceError::new(DeviceTrouble::Configuration, sentence)
}

async fn write(root: &Arc<Environment>, value: u64) -> Result<(), String> {
    let change = Change::new(move |batch| {
        batch.set_tpm_counter(value);
        Ok(Answer::empty())
    });
    let written: Result<(), Fault> = recorded(root, "job/counter", change).await;
    written.map_err(|fault| coffer_audit::fault_name(&fault).to_owned())
}
