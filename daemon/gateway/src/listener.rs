//! Accepting connections: a deadline on each, a limit on all, and a stop that lets requests finish.
use crate::activity::{Activity, Attended, Busy};
use crate::peer::Peer;
use crate::pipeline::Gateway;
use crate::{Limits, Tls, pipeline};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustix::net::sockopt::set_tcp_user_timeout;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// A bound listener that does not accept yet.
pub struct Listener {
    socket: TcpListener,
    tls: Arc<Tls>,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// Where the address can't be bound.
    pub async fn bind(address: SocketAddr, tls: Arc<Tls>) -> std::io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, tls })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// Where the socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Serves until `stop` resolves, then lets open requests finish within the limit.
pub async fn serve(listener: Listener, gateway: Arc<Gateway>, stop: impl Future<Output = ()>) {
    let limits = gateway.limits;
    let slots = Arc::new(Semaphore::new(limits.connections));
    let http = Arc::new(http(&limits));
    let stopping = watch::Sender::new(());
    tokio::pin!(stop);
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot,
            () = &mut stop => break,
        };
        let accepted = tokio::select! {
            accepted = listener.socket.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((socket, address)) = accepted else {
            // Out of descriptors or the like: give the kernel a moment rather than spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (gateway, http, config) = (Arc::clone(&gateway), Arc::clone(&http), listener.tls.current());
        let endings = Endings { seals: gateway.registry.seals(), stop: stopping.subscribe() };
        tokio::spawn(async move {
            let _slot = slot;
            gateway.metrics.connections.fetch_add(1, Ordering::Relaxed);
            let served = connection(socket, address, config, &http, Arc::clone(&gateway), endings).await;
            if served.is_none() {
                gateway.metrics.handshakes_failed.fetch_add(1, Ordering::Relaxed);
            }
            gateway.metrics.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
    // Nobody is kept waiting at a door that does not open again.
    drop(listener);
    stopping.send_replace(());
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    if tokio::time::timeout(limits.drain, slots.acquire_many(all)).await.is_err() {
        tracing::warn!("stopped with requests still open after the time to drain");
    }
}

fn http(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_headers(limits.header_lines)
        .max_buf_size(limits.header_bytes as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .keep_alive_interval(limits.idle_ping)
        .keep_alive_timeout(limits.idle_ping);
    http
}

/// One connection, from the handshake to its end. None where there was no valid handshake.
async fn connection(
    socket: TcpStream,
    address: SocketAddr,
    config: Arc<rustls::ServerConfig>,
    http: &auto::Builder<TokioExecutor>,
    gateway: Arc<Gateway>,
    mut endings: Endings,
) -> Option<()> {
    // Answers are small and awaited: waiting to fill a packet only delays them.
    socket.set_nodelay(true).ok()?;
    // Who does not read what was asked for is shown out by the kernel, whatever layer is writing (tcp(7)).
    let unread = u32::try_from(gateway.limits.body.as_millis()).unwrap_or(u32::MAX);
    set_tcp_user_timeout(&socket, unread).ok()?;
    let accept = TlsAcceptor::from(config).accept(socket);
    let stream = tokio::time::timeout(gateway.limits.handshake, accept).await.ok()?.ok()?;
    let peer = Peer::of(address, stream.get_ref().1)?;
    let (activity, silence) = (Arc::new(Activity::begin()), gateway.limits.header);
    let (asked, seals) = (Arc::clone(&activity), endings.seals.clone());
    let service = service_fn(move |request| {
        let (gateway, peer, mut busy) = (Arc::clone(&gateway), peer.clone(), Busy::begin(&asked));
        let seals = seals.clone();
        async move {
            let reply = pipeline::serve(&gateway, &peer, request, seals).await;
            busy.answered();
            Ok::<_, Infallible>(reply.map(|body| Attended { body, _busy: busy }))
        }
    });
    // How a connection ends (reset, silence, a broken frame) is the client's affair; its requests were answered one by one.
    let served = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    tokio::select! {
        _ended = served.as_mut() => return Some(()),
        () = activity.idle_for(silence) => return Some(()),
        () = endings.first() => served.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        // First, so that what is to be written is written.
        biased;
        _ended = served => {}
        () = activity.idle_for(silence) => {}
        () = endings.sealed(&activity) => {}
    }
    Some(())
}

/// How long a connection has to end well, when the daemon is sealed and nothing asked over it is unanswered. Then it is
/// dropped, with what lies in its buffers: half a request, or an answer that its client does not read.
const AFTER_SEAL: Duration = Duration::from_millis(10);

/// What ends a connection once that is answered which was asked over it: the daemon stops; or it is sealed, and what
/// clients sent last would stay in the connections' buffers.
struct Endings {
    seals: watch::Receiver<u64>,
    stop: watch::Receiver<()>,
}

impl Endings {
    async fn first(&mut self) {
        // A sender that is gone is an end as well.
        tokio::select! {
            _sealed = self.seals.changed() => {}
            _stopped = self.stop.changed() => {}
        }
    }

    /// Resolves when a seal is done and nothing is left to answer.
    async fn sealed(&mut self, activity: &Activity) {
        if self.seals.wait_for(|seals| *seals > 0 && seals.is_multiple_of(2)).await.is_ok() {
            tokio::time::sleep(AFTER_SEAL).await;
            activity.answered_for(AFTER_SEAL).await;
        }
    }
}
