//! A way to a server that can be cut and can lead to another, at an address that stays.
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Where the way leads; nowhere where nothing listens.
type Way = Arc<Mutex<Option<SocketAddr>>>;

pub(super) struct Relay {
    address: SocketAddr,
    way: Way,
    listening: Option<JoinHandle<()>>,
}

impl Relay {
    pub(super) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(Mutex::new(Some(at(server))));
        let listening = Some(listen(listener, Arc::clone(&way)));
        Self { address, way, listening }
    }

    pub(super) fn address(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Leads to this server from now on.
    pub(super) fn lead(&mut self, server: &str) {
        *self.way.lock().unwrap() = Some(at(server));
        if self.listening.is_none() {
            let listener = TcpListener::bind(self.address).unwrap();
            self.listening = Some(listen(listener, Arc::clone(&self.way)));
        }
    }

    /// Nothing listens any more.
    pub(super) fn cut(&mut self) {
        *self.way.lock().unwrap() = None;
        // Woken, it sees that there is no way.
        let _refused_or_closed = TcpStream::connect(self.address);
        self.listening.take().unwrap().join().unwrap();
    }
}

fn at(server: &str) -> SocketAddr {
    server.strip_prefix("https://").unwrap().parse().unwrap()
}

fn listen(listener: TcpListener, way: Way) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Some(server) = *way.lock().unwrap() else { return };
            let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
            for (from, to) in [(&client, &server), (&server, &client)] {
                pass_on(from.try_clone().unwrap(), to.try_clone().unwrap());
            }
        }
    })
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        // Either side may go at any time.
        let _gone = std::io::copy(&mut from, &mut to);
        let _gone = to.shutdown(Shutdown::Write);
    });
}
