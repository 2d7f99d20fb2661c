//! The one thread on which a module is used. Its context, sessions and handles never leave it; others send it questions
//! and wait no longer than they want to.
//!
//! There is one for each module and process, because login and initialisation belong to the process: two threads that
//! each initialise the module anew would pull it away under one another. It stays: modules are not made to be unloaded.
use super::module::Module;
use crate::device::{DeviceError, DeviceTrouble};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

type Job = Box<dyn FnOnce(&mut Module) + Send>;

static THREADS: Mutex<BTreeMap<PathBuf, Sender<Job>>> = Mutex::new(BTreeMap::new());

/// Asks the module and waits for the answer, at most until the deadline. A question that has waited for so long in the
/// queue is not put any more.
pub(super) fn ask<T: Send + 'static>(
    module: &Path,
    deadline: Duration,
    question: impl FnOnce(&mut Module) -> Result<T, DeviceError> + Send + 'static,
) -> Result<T, DeviceError> {
    let (answer, answered) = mpsc::sync_channel(1);
    let start = Instant::now();
    tell(module, move |module| {
        if start.elapsed() < deadline {
            // Nobody may be waiting any more; an answer that holds a key is cleared where it is dropped.
            let _ = answer.send(question(module));
        }
    })?;
    answered.recv_timeout(deadline).unwrap_or_else(|why| {
        Err(match why {
            RecvTimeoutError::Timeout => DeviceError::new(
                DeviceTrouble::Unreachable,
                "the PKCS#11 module has not answered within its deadline: the HSM must be reachable and not busy; a \
                 module that hangs for good needs a restart of the daemon",
            ),
            RecvTimeoutError::Disconnected => DeviceError::new(
                DeviceTrouble::Failed,
                "the PKCS#11 module gave an answer that the standard does not allow: try again, or another version of it",
            ),
        })
    })
}

/// Sends a job and does not wait.
pub(super) fn tell(module: &Path, job: impl FnOnce(&mut Module) + Send + 'static) -> Result<(), DeviceError> {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut job: Job = Box::new(job);
    if let Some(jobs) = threads.get(module) {
        match jobs.send(job) {
            Ok(()) => return Ok(()),
            // It ended by a panic; another takes its place.
            Err(unsent) => job = unsent.0,
        }
    }
    let jobs = spawn(module.to_owned())?;
    // Can't fail: the thread has just begun and waits for it.
    let _ = jobs.send(job);
    threads.insert(module.to_owned(), jobs);
    Ok(())
}

fn spawn(path: PathBuf) -> Result<Sender<Job>, DeviceError> {
    let (jobs, queue) = mpsc::channel::<Job>();
    let spawned = thread::Builder::new().name("hsm".to_owned()).spawn(move || {
        let mut module = Module::new(path);
        for job in queue {
            coffer_secmem::leaving_nothing(|| job(&mut module));
        }
    });
    match spawned {
        Ok(_) => Ok(jobs),
        Err(_) => {
            Err(DeviceError::new(DeviceTrouble::Failed, "no thread could be started for the PKCS#11 module"))
        }
    }
}
