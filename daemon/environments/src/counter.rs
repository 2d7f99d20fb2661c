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
use coffer_types::EnvironmentPath;
use coffer_wire::Object;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a seal waits for the TPM.
const AT_SEAL: Duration = Duration::from_secs(2);

/// [`Count`], for a thread of its own.
pub(crate) enum Ask {
    Define(Zeroizing<String>),
    Read,
    Raise,
}

impl Registry {
    /// Asks the counter of the TPM that is a seal of the root environment.
    pub(crate) async fn counter(self: &Arc<Self>, root: &Barrier, ask: Ask) -> Result<u64, DeviceError> {
        let trouble = |sentence: &str| DeviceError::new(DeviceTrouble::Configuration, sentence);
        let record = root.seal_record().await.map_err(|error| trouble(&error.to_string()))?;
        let auth = root.counter_auth().map_err(|error| trouble(&error.to_string()))?;
        let registry = Arc::clone(self);
        let asked = tokio::task::spawn_blocking(move || {
            let named = listed(&record).into_iter().zip(&record.wraps).find_map(|(listed, wrap)| {
                let device = registry.devices.find(&listed.name, &EnvironmentPath::root()).ok()?;
                device.has_counter().then_some((device, wrap))
            });
            let (device, wrap) = named
                .ok_or_else(|| trouble("no seal of the store has a `counter_index` in the configuration"))?;
            device.counter(
                wrap,
                &auth,
                &match &ask {
                    Ask::Define(owner) => Count::Define(owner.as_bytes()),
                    Ask::Read => Count::Read,
                    Ask::Raise => Count::Raise,
                },
            )
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

    /// Counts on once more before the keys go, unless the TPM takes its time: sealing waits for nobody.
    pub(crate) async fn count_at_seal(self: &Arc<Self>, root: &Arc<Environment>) {
        if root.barrier().tpm_counter() == 0 {
            return;
        }
        match tokio::time::timeout(AT_SEAL, self.count_on(root)).await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => tracing::error!(cause, "sealed without raising the TPM's counter"),
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
        let now = self.counter(root.barrier(), Ask::Raise).await.map_err(asked)?;
        // After a lost connection it may have been raised twice.
        if now == next { Ok(()) } else { write(root, now).await }
    }
}

async fn write(root: &Arc<Environment>, value: u64) -> Result<(), String> {
    let change = Change::new(move |batch| {
        batch.set_tpm_counter(value);
        Ok(Answer::empty())
    });
    let written: Result<(), Fault> = recorded(root, "job/counter", change).await;
    written.map_err(|fault| coffer_audit::fault_name(&fault).to_owned())
}
