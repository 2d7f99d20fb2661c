//! A thread for each operation, with a runtime of its own: the caller may stand in another runtime, or in none.
//!
//! Connection, files and token are read and made anew each time: a seal is asked seldom, and so nothing is kept that
//! could be stale. Nobody waits beyond the deadline, whatever hangs: the disk, the resolver or the server.
use super::{config::TransitConfig, session::Session, trouble};
use crate::device::{DeviceError, DeviceTrouble};
use std::{
    future::Future,
    rc::Rc,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Instant,
};

/// Puts a question to the server and waits for the answer, at most until the deadline. Where it went well, the token's
/// life is looked after when the answer has been given.
pub(super) fn ask<T: Send + 'static, F: Future<Output = Result<T, DeviceError>>>(
    config: &Arc<TransitConfig>,
    question: impl FnOnce(Rc<Session>) -> F + Send + 'static,
) -> Result<T, DeviceError> {
    let (answer, answered) = mpsc::sync_channel(1);
    let deadline = Instant::now() + config.deadline;
    let its_config = Arc::clone(config);
    let spawned = thread::Builder::new().name("transit".to_owned()).spawn(move || {
        coffer_secmem::leaving_nothing(move || {
            // Without a worker of its own beside this thread, but for the resolver.
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(_) => return drop(answer.send(Err(no_thread()))),
            };
            let session = Session::open(its_config).map(Rc::new);
            runtime.block_on(async {
                let until = tokio::time::Instant::from_std(deadline);
                let done = match &session {
                    Ok(session) => tokio::time::timeout_at(until, question(Rc::clone(session)))
                        .await
                        .unwrap_or_else(|_| Err(trouble::slow())),
                    Err(error) => Err(error.clone()),
                };
                let went_well = done.is_ok();
                // Nobody may be waiting any more; an answer that holds a key is cleared where it is dropped.
                let _ = answer.send(done);
                if let Ok(session) = session
                    && went_well
                {
                    // Where it fails, `health` says so.
                    let _ = tokio::time::timeout(session.config.deadline, session.keep_token()).await;
                }
            });
            // Without waiting for a resolver that hangs.
            runtime.shutdown_background();
        })
    });
    if spawned.is_err() {
        return Err(no_thread());
    }
    answered.recv_timeout(config.deadline).unwrap_or_else(|why| {
        Err(match why {
            RecvTimeoutError::Timeout => trouble::slow(),
            RecvTimeoutError::Disconnected => DeviceError::new(
                DeviceTrouble::Failed,
                "asking the transit server ended in a fault of the daemon's own",
            ),
        })
    })
}

fn no_thread() -> DeviceError {
    DeviceError::new(DeviceTrouble::Failed, "no thread could be started to ask the transit server")
}
