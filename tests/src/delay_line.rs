//! A network that is far away: every answer arrives later by the same time, and none waits for another.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A TCP proxy on a port of its own, ended with the value. It has threads of its own, so that no runtime which is measured
/// drives it, and it limits neither how much passes nor how much is in flight.
#[derive(Debug)]
pub struct DelayLine {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: u16,
    delay_nanos: AtomicU64,
    stopped: AtomicBool,
    connects: AtomicUsize,
    /// Where the bytes for each client go; the handle of its socket ends its threads.
    clients: Mutex<Vec<(TcpStream, mpsc::Sender<Chunk>)>>,
}

/// Bytes, and when they are due.
type Chunk = (Instant, Vec<u8>);

impl DelayLine {
    /// Starts one in front of the server on this port.
    pub fn start(server: u16, delay: Duration) -> DelayLine {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port for the proxy");
        let port = listener.local_addr().expect("its number").port();
        let shared = Arc::new(Shared {
            server,
            delay_nanos: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            connects: AtomicUsize::new(0),
            clients: Mutex::default(),
        });
        let line = DelayLine { port, shared: Arc::clone(&shared) };
        line.set(delay);
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(client) = client {
                    shared.connects.fetch_add(1, Ordering::Relaxed);
                    shared.serve(client);
                }
            }
        });
        line
    }

    /// Its address, as a URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How much later answers arrive that the server gives from now on. The order stays.
    pub fn set(&self, delay: Duration) {
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        self.shared.delay_nanos.store(nanos, Ordering::Relaxed);
    }

    /// How many connections have come in so far.
    pub fn connects(&self) -> usize {
        self.shared.connects.load(Ordering::Relaxed)
    }

    /// Sends every client something that the server did not say. Call it while no answer is in flight.
    pub fn inject(&self, bytes: &[u8]) {
        for (_, chunks) in self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // A client that has gone needs nothing.
            let _ = chunks.send((Instant::now(), bytes.to_vec()));
        }
    }
}

impl Drop for DelayLine {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        for (client, _) in self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn serve(self: &Arc<Shared>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else { return };
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let both = |stream: &TcpStream| stream.try_clone().expect("another handle of a socket");
        let (due, late) = mpsc::channel();
        {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that have ended are let go.
            clients.retain(|(client, _)| client.peer_addr().is_ok());
            clients.push((both(&client), due.clone()));
        }
        let (from_client, to_server) = (both(&client), both(&server));
        thread::spawn(move || pass(from_client, to_server));
        let shared = Arc::clone(self);
        thread::spawn(move || shared.stamp(server, &due));
        thread::spawn(move || deliver(client, &late));
    }

    /// Takes what the server says as soon as it is there, whatever waits to be delivered.
    fn stamp(&self, mut server: TcpStream, due: &mpsc::Sender<Chunk>) {
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(length @ 1..) = server.read(&mut buffer) {
            let delay = Duration::from_nanos(self.delay_nanos.load(Ordering::Relaxed));
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            if due.send((Instant::now() + delay, bytes)).is_err() {
                break;
            }
        }
        // Nothing is due after the end: it is delivered as an empty chunk.
        let delay = Duration::from_nanos(self.delay_nanos.load(Ordering::Relaxed));
        let _ = due.send((Instant::now() + delay, Vec::new()));
        let _ = server.shutdown(Shutdown::Both);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(buffer.get(..length).unwrap_or_default()).is_err() {
            break;
        }
    }
    for stream in [&from, &to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn deliver(mut client: TcpStream, late: &mpsc::Receiver<Chunk>) {
    // Without this a thread sleeps 50 µs longer than it means to. Where it cannot be set, it does.
    let _ = std::fs::write("/proc/thread-self/timerslack_ns", "1");
    while let Ok((due, bytes)) = late.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if bytes.is_empty() || client.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}
