//! Step 1: who holds the other end of the connection, as TLS proved it.
use coffer_auth::cert::PeerChain;
use std::net::SocketAddr;
use std::sync::Arc;

/// The other end of a connection: its address and the certificate chain that the handshake verified against the
/// listener's CA and revocation lists. Only the listener makes one.
#[derive(Clone)]
pub struct Peer {
    address: SocketAddr,
    chain: Arc<PeerChain>,
}

impl Peer {
    /// None where the handshake gave no certificate: then there is no peer, and the connection is closed.
    pub(crate) fn of(address: SocketAddr, connection: &rustls::ServerConnection) -> Option<Self> {
        let chain = connection.peer_certificates()?;
        (!chain.is_empty()).then(|| Self { address, chain: Arc::new(PeerChain::new(chain.to_vec())) })
    }

    /// The socket's other end; never what a header claims.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The client's certificate and its intermediates.
    #[must_use]
    pub fn chain(&self) -> &PeerChain {
        &self.chain
    }
}
