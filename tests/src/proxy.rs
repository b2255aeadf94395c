//! A network between the limiter and its server that does what networks do.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What happens to the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They arrive.
    None,
    /// What the server answers arrives so much later.
    Late(Duration),
    /// The server gets what is sent and does it; what it answers is lost, and the connection with it.
    CutAnswers,
    /// The first half of what the server answers arrives, and the connection is cut.
    HalveAnswers,
    /// What the server answers arrives with some bits turned over, drawn from this seed.
    Garble(u64),
    /// Nothing arrives in either direction, and neither end notices: a cable that was pulled.
    Silence,
    /// Connections are accepted and closed at once.
    Close,
}

/// A TCP proxy on a port of its own, ended with the value.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: AtomicU16,
    fault: Mutex<Fault>,
    stopped: AtomicBool,
    connects: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Starts one in front of the server on this port.
    pub fn start(server: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port for the proxy");
        let port = listener.local_addr().expect("its number").port();
        let shared = Arc::new(Shared {
            server: AtomicU16::new(server),
            fault: Mutex::new(Fault::None),
            stopped: AtomicBool::new(false),
            connects: AtomicUsize::new(0),
            streams: Mutex::new(Vec::new()),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if serving.stopped.load(Ordering::Relaxed) {
                    return;
                }
                serving.connects.fetch_add(1, Ordering::Relaxed);
                if let Ok(client) = client {
                    serving.serve(client);
                }
            }
        });
        Proxy { port, shared }
    }

    /// Its address, as a URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What happens to the bytes from now on, also on connections that are open.
    pub fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Where new connections lead from now on. Those that are open stay.
    pub fn lead_to(&self, server: u16) {
        self.shared.server.store(server, Ordering::Relaxed);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for stream in self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many connections have come in so far.
    pub fn connects(&self) -> usize {
        self.shared.connects.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.cut();
    }
}

impl Shared {
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: &Arc<Shared>, client: TcpStream) {
        if self.fault() == Fault::Close {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server.load(Ordering::Relaxed))) else { return };
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let both = |stream: &TcpStream| stream.try_clone().expect("another handle of a socket");
        {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that have ended are let go.
            streams.retain(|stream| stream.peer_addr().is_ok());
            streams.extend([both(&client), both(&server)]);
        }
        let (there, back) = (Arc::clone(self), Arc::clone(self));
        let (from_client, to_server) = (both(&client), both(&server));
        thread::spawn(move || there.carry(from_client, to_server, false));
        thread::spawn(move || back.carry(server, client, true));
    }

    fn carry(&self, mut from: TcpStream, mut to: TcpStream, is_answer: bool) {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let Some(bytes) = buffer.get_mut(..length) else { break };
            let sent = match self.fault() {
                // Bytes that were acknowledged do not come again, so this one stays silent for good.
                Fault::Silence => {
                    while !self.stopped.load(Ordering::Relaxed) {
                        if from.read(&mut buffer).is_ok_and(|read| read > 0) {
                            continue;
                        }
                        break;
                    }
                    break;
                }
                Fault::CutAnswers if is_answer => break,
                Fault::HalveAnswers if is_answer => {
                    let _ = to.write_all(bytes.get(..length / 2).unwrap_or_default());
                    break;
                }
                Fault::Late(delay) if is_answer => {
                    thread::sleep(delay);
                    to.write_all(bytes)
                }
                Fault::Garble(seed) if is_answer => {
                    let mut random = seed;
                    for byte in &mut *bytes {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        if random >> 61 == 0 {
                            *byte ^= u8::try_from(random >> 53 & 0xff).unwrap_or(0);
                        }
                    }
                    to.write_all(bytes)
                }
                _ => to.write_all(bytes),
            };
            if sent.is_err() {
                break;
            }
        }
        for stream in [&from, &to] {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
