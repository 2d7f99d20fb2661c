//! Whoever sits between the daemon and its TPM: reads everything, and answers, alters or cuts as a test says.
use super::lab::{Swtpm, free_ports};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What happens to a command.
pub(crate) enum Act {
    /// It goes through.
    Pass,
    /// Another command goes before it, and must succeed.
    First(Vec<u8>),
    /// It goes through, and its answer is altered.
    Alter(Alter),
    /// It doesn't reach the TPM; this is the answer.
    Answer(Vec<u8>),
    /// The connection ends before the command reaches the TPM.
    Cut,
    /// The connection ends before the answer comes back.
    CutAfter,
}

/// What is done to an answer.
type Alter = Box<dyn FnOnce(&mut Vec<u8>)>;
type Rule = Box<dyn FnMut(u32) -> Act + Send>;

/// Listens on a port of its own and goes on to the TPM, control port included.
pub(crate) struct Bus {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Bus {
    pub(crate) fn new(tpm: &Swtpm, rule: impl FnMut(u32) -> Act + Send + 'static) -> Self {
        let (port, target) = (free_ports(), tpm.port);
        let (data, control) = (listen(port), listen(port + 1));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(rule)));
        let log = heard.clone();
        thread::spawn(move || {
            for client in data.incoming() {
                // The TPM takes one client at a time, and so does this.
                let tpm = TcpStream::connect(("127.0.0.1", target)).unwrap();
                serve(client.unwrap(), tpm, &rule, &log);
            }
        });
        thread::spawn(move || {
            for client in control.incoming() {
                let (client, tpm) = (client.unwrap(), TcpStream::connect(("127.0.0.1", target + 1)).unwrap());
                let (mut from, mut to) = (client.try_clone().unwrap(), tpm.try_clone().unwrap());
                thread::spawn(move || {
                    std::io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Both))
                });
                let (mut from, mut to) = (tpm, client);
                thread::spawn(move || {
                    std::io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Both))
                });
            }
        });
        Self { port, heard }
    }

    /// How often these bytes were heard.
    pub(crate) fn heard(&self, bytes: &[u8]) -> usize {
        self.heard.lock().unwrap().windows(bytes.len()).filter(|window| *window == bytes).count()
    }

    pub(crate) fn heard_bytes(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

/// An answer that is nothing but a code.
pub(crate) fn code(code: u32) -> Vec<u8> {
    let mut answer = vec![0x80, 0x01, 0, 0, 0, 10];
    answer.extend_from_slice(&code.to_be_bytes());
    answer
}

fn listen(port: u16) -> TcpListener {
    TcpListener::bind(("127.0.0.1", port)).unwrap()
}

fn serve(mut client: TcpStream, mut tpm: TcpStream, rule: &Mutex<Rule>, heard: &Mutex<Vec<u8>>) {
    client.set_nodelay(true).unwrap();
    tpm.set_nodelay(true).unwrap();
    while let Some(command) = message(&mut client) {
        heard.lock().unwrap().extend_from_slice(&command);
        let act = rule.lock().unwrap()(u32::from_be_bytes(command[6..10].try_into().unwrap()));
        let answer = match act {
            Act::Cut => return,
            Act::Answer(answer) => answer,
            act => {
                if let Act::First(other) = &act {
                    tpm.write_all(other).unwrap();
                    assert_eq!(message(&mut tpm).unwrap()[6..10], [0; 4], "the command in between");
                }
                tpm.write_all(&command).unwrap();
                let Some(mut answer) = message(&mut tpm) else { return };
                heard.lock().unwrap().extend_from_slice(&answer);
                match act {
                    Act::CutAfter => return,
                    Act::Alter(alter) => alter(&mut answer),
                    _ => {}
                }
                answer
            }
        };
        if client.write_all(&answer).is_err() {
            return;
        }
    }
}

fn message(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = vec![0; 10];
    from.read_exact(&mut message).ok()?;
    let size = u32::from_be_bytes(message[2..6].try_into().unwrap());
    message.resize(size as usize, 0);
    from.read_exact(&mut message[10..]).ok()?;
    Some(message)
}
