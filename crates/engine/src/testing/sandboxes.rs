//! Sandboxes in which scripted runtimes run.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use base::units::Mib;
use sandbox::protocol::{Stop, Who};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Runtime, Script};
use crate::admission::budget::Place;
use crate::images::Gift;
use crate::starter::{Command, Control, Freezer, Meter, Order, Sandbox, StartError, Starter, Told};

/// What a runtime took, as the kernel and its init know it.
#[derive(Default)]
pub(super) struct FakeMemory {
    pub(super) mark: AtomicU64,
    pub(super) is_own: AtomicBool,
}

/// Builds fake sandboxes.
pub struct FakeStarter {
    pub(super) script: Script,
    /// Sandboxes that were built.
    pub built: Arc<AtomicUsize>,
    /// Sandboxes that stand.
    pub standing: Arc<AtomicUsize>,
    /// Whether the next sandbox cannot be built.
    pub broken: Arc<AtomicBool>,
    /// Time that building takes.
    pub build_time: Duration,
    pub(super) frosts: Frosts,
}

#[async_trait]
impl Starter for FakeStarter {
    async fn build(&self, order: Order) -> Result<Sandbox, StartError> {
        tokio::time::sleep(self.build_time).await;
        if self.broken.load(Ordering::SeqCst) {
            return Err(StartError::NotTaken("out of clay".into()));
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let (log, stdout) = rustix::pipe::pipe().expect("a pipe");
        let (told, events) = mpsc::unbounded_channel();
        self.standing.fetch_add(1, Ordering::SeqCst);
        let memory = Arc::<FakeMemory>::default();
        let control = FakeControl {
            script: Arc::clone(&self.script),
            address: listener.local_addr().expect("an address"),
            stdout: Arc::new(stdout),
            memory: Arc::clone(&memory),
            sandbox: self.built.fetch_add(1, Ordering::SeqCst) + 1,
            starts: 0,
            process: None,
            told,
            events,
            standing: Arc::clone(&self.standing),
            _place: order.place,
        };
        Ok(Sandbox {
            control: Box::new(control),
            log,
            runtime_api: listener,
            loopback: None,
            endpoint: None,
            names: None,
            meter: Box::new(FakeMeter(memory)),
            freezer: Some(Box::new(FakeFreezer(Arc::clone(&self.frosts)))),
        })
    }
}

pub(super) type Frosts = Arc<Mutex<String>>;

struct FakeFreezer(Frosts);

impl Freezer for FakeFreezer {
    fn freeze(&self) -> std::io::Result<()> {
        self.0.lock().expect("no test panics with it").push('*');
        Ok(())
    }

    fn thaw(&self) -> std::io::Result<()> {
        self.0.lock().expect("no test panics with it").push('~');
        Ok(())
    }
}

struct FakeMeter(Arc<FakeMemory>);

impl Meter for FakeMeter {
    fn max_memory(&self) -> u64 {
        Mib(36).bytes()
    }

    fn high_mark(&self) -> Option<u64> {
        Some(self.0.mark.load(Ordering::SeqCst))
    }
}

struct FakeControl {
    script: Script,
    address: SocketAddr,
    stdout: Arc<OwnedFd>,
    memory: Arc<FakeMemory>,
    sandbox: usize,
    starts: usize,
    process: Option<JoinHandle<()>>,
    told: mpsc::UnboundedSender<Told>,
    events: mpsc::UnboundedReceiver<Told>,
    standing: Arc<AtomicUsize>,
    _place: Place,
}

impl Control for FakeControl {
    fn start(&mut self, _command: Command, _gift: Gift) -> std::io::Result<()> {
        self.starts += 1;
        let runtime = Runtime {
            start: self.starts,
            sandbox: self.sandbox,
            address: self.address,
            stdout: Arc::clone(&self.stdout),
            memory: Arc::clone(&self.memory),
            connection: None,
        };
        let (running, told) = ((self.script)(runtime), self.told.clone());
        self.process = Some(tokio::spawn(async move {
            let ending = running.await;
            let _ = told.send(ending);
        }));
        let _ = self.told.send(Told::Began(None, false));
        Ok(())
    }

    fn discover(&mut self) -> std::io::Result<()> {
        let _ = self.told.send(Told::Discovered);
        Ok(())
    }

    fn launch(&mut self, _number: u32, _command: Command) -> std::io::Result<()> {
        Ok(())
    }

    fn signal(&mut self, _who: Who, _stop: Stop) -> std::io::Result<()> {
        Ok(())
    }

    fn dial(&mut self, number: u32, _port: u16) -> std::io::Result<()> {
        let _ = self.told.send(Told::NotDialed(number));
        Ok(())
    }

    fn descriptor(&mut self) -> Option<OwnedFd> {
        None
    }

    fn reset(&mut self) -> std::io::Result<()> {
        if let Some(process) = self.process.take() {
            process.abort();
        }
        let _ = self.told.send(Told::ResetDone);
        Ok(())
    }

    fn thawed(&mut self) -> std::io::Result<()> {
        Ok(())
    }

    fn audit(&mut self) -> std::io::Result<()> {
        let mark = self.memory.mark.load(Ordering::SeqCst);
        if !self.memory.is_own.swap(false, Ordering::SeqCst) {
            let _ = self.told.send(Told::Audited(mark));
        } else if let Some(process) = self.process.take() {
            process.abort();
            self.memory.mark.store(0, Ordering::SeqCst);
            let _ = self.told.send(Told::OutOfMemory);
        }
        Ok(())
    }

    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Told> {
        self.events.poll_recv(cx).map(|told| told.unwrap_or(Told::Lost))
    }
}

impl Drop for FakeControl {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.abort();
        }
        self.standing.fetch_sub(1, Ordering::SeqCst);
    }
}
