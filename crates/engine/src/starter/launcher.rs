//! Sandboxes that the launcher builds when they are asked for, each runtime a process of its own.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram as StdSocket;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use base::id::EnvironmentId;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use sandbox::protocol::{Exit, FromInit, Snapshot, Stop, ToInit, Who};
use sandbox::{BuildError, LauncherClient};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::oneshot;

use super::{Command, Control, Freezer, Meter, Order, Sandbox, StartError, Starter, Told};
use crate::admission::budget::Place;
use crate::images::Gift;
use crate::outcome;

/// Bytes of the longest message that an init sends: a file's name of 255, each of them escaped.
const TOLD_BYTES: usize = 2048;

/// Files that go with a start at most.
const GIFT_FILES: usize = 2;

#[async_trait]
impl Starter for LauncherClient {
    async fn build(&self, order: Order) -> Result<Sandbox, StartError> {
        let Order { spec, place } = order;
        let end = End { launcher: self.clone(), id: spec.id, place: Some(place) };
        let (sender, built) = oneshot::channel();
        LauncherClient::build(self, spec, move |built| drop(sender.send(built)));
        let built = built.await.map_err(|_| BuildError::Gone)??;
        Ok(Sandbox {
            control: Box::new(Link::new(built.control, end)?),
            log: built.log,
            runtime_api: built.runtime_api,
            loopback: built.loopback,
            endpoint: built.endpoint,
            names: built.names,
            meter: Box::new(built.meter),
            freezer: built.freezer.map(|freezer| Box::new(freezer) as Box<dyn Freezer>),
        })
    }
}

/// Ends the sandbox when dropped; its place is free when the launcher says that nothing of it is left.
struct End {
    launcher: LauncherClient,
    id: EnvironmentId,
    place: Option<Place>,
}

impl Drop for End {
    fn drop(&mut self) {
        let place = self.place.take();
        self.launcher.destroy(self.id, move || drop(place));
    }
}

/// The socket to a sandbox's init. It keeps packets apart, as a datagram socket does, and tells its end.
struct Link {
    socket: UnixDatagram,
    /// What came with the last message.
    descriptor: Option<OwnedFd>,
    /// Ends the sandbox when the link goes.
    _end: Box<dyn Send>,
}

impl Link {
    fn new(socket: OwnedFd, end: impl Send + 'static) -> io::Result<Self> {
        let socket = StdSocket::from(socket);
        socket.set_nonblocking(true)?;
        let socket = UnixDatagram::from_std(socket)?;
        Ok(Self { socket, descriptor: None, _end: Box::new(end) })
    }

    /// The init reads each message before it acts, and is sent one at a time: a full buffer means it is stuck.
    fn send(&self, message: &ToInit) -> io::Result<()> {
        self.send_with(message, &[])
    }

    fn send_with(&self, message: &ToInit, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let packet = message.encode().map_err(io::Error::other)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(GIFT_FILES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(files)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(&self.socket, &[IoSlice::new(&packet)], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

impl Control for Link {
    fn start(&mut self, command: Command, gift: Gift) -> io::Result<()> {
        let Command { argv, env, cwd } = command;
        let Gift { image, capture } = &gift;
        let snapshot = Snapshot {
            image: image.as_ref().map(|(zygote, _)| zygote.clone()),
            capture: capture.as_ref().map(|(most, _)| *most),
        };
        let image = image.iter().map(|(_, file)| file.as_fd());
        let files: Vec<_> = image.chain(capture.iter().map(|(_, pipe)| pipe.as_fd())).collect();
        self.send_with(&ToInit::Start { argv, env, cwd, snapshot }, &files)
    }

    fn discover(&mut self) -> io::Result<()> {
        self.send(&ToInit::Discover)
    }

    fn launch(&mut self, number: u32, command: Command) -> io::Result<()> {
        let Command { argv, env, cwd } = command;
        self.send(&ToInit::Launch { id: number, argv, env, cwd })
    }

    fn signal(&mut self, who: Who, stop: Stop) -> io::Result<()> {
        self.send(&ToInit::Signal { who, stop })
    }

    fn dial(&mut self, number: u32, port: u16) -> io::Result<()> {
        self.send(&ToInit::Dial { id: number, port })
    }

    fn descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptor.take()
    }

    fn reset(&mut self) -> io::Result<()> {
        self.send(&ToInit::Reset)
    }

    fn thawed(&mut self) -> io::Result<()> {
        self.send(&ToInit::Thawed)
    }

    fn audit(&mut self) -> io::Result<()> {
        self.send(&ToInit::Audit)
    }

    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Told> {
        loop {
            if ready!(self.socket.poll_recv_ready(cx)).is_err() {
                return Poll::Ready(Told::Lost);
            }
            match self.socket.try_io(Interest::READABLE, || receive(&self.socket)) {
                Ok((told, descriptor)) => {
                    self.descriptor = descriptor;
                    return Poll::Ready(told);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(Told::Lost),
            }
        }
    }
}

/// Receives one message, and the descriptor that came with it.
fn receive(socket: &UnixDatagram) -> io::Result<(Told, Option<OwnedFd>)> {
    let mut packet = [0; TOLD_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut packet)], &mut control, flags)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let is_cut = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    if received.bytes == 0 || is_cut {
        Ok((Told::Lost, None))
    } else {
        Ok((told(&packet[..received.bytes]), descriptor))
    }
}

/// An init that speaks otherwise is no init of ours.
fn told(packet: &[u8]) -> Told {
    match FromInit::decode(packet) {
        Ok(FromInit::Started { zygote, continues, .. }) => Told::Began(zygote, continues),
        Ok(FromInit::StartFailed { errno }) => Told::StartFailed(errno),
        Ok(FromInit::Extension { name }) => Told::Extension(name),
        Ok(FromInit::Discovered) => Told::Discovered,
        Ok(FromInit::Launched { .. }) => Told::Started,
        Ok(FromInit::LaunchFailed { id, errno }) => Told::NotLaunched(id, errno),
        Ok(FromInit::Ended { id, exit }) => Told::ExtensionEnded(id, exit.into()),
        Ok(FromInit::Dialed { id }) => Told::Dialed(id),
        Ok(FromInit::DialFailed { id }) => Told::NotDialed(id),
        Ok(FromInit::Exited(Exit::Status(status))) => Told::Exited(status),
        Ok(FromInit::Exited(Exit::Signal(signal))) => Told::Killed(signal),
        Ok(FromInit::Exited(Exit::OutOfMemory)) => Told::OutOfMemory,
        Ok(FromInit::ResetDone) => Told::ResetDone,
        Ok(FromInit::Audited { vouched }) => Told::Audited(vouched),
        Err(error) => {
            tracing::error!(%error, "an init spoke out of turn");
            Told::Lost
        }
    }
}

impl From<Exit> for outcome::Exit {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Status(status) => Self::Status(status),
            Exit::Signal(signal) => Self::Signal(signal),
            Exit::OutOfMemory => Self::OutOfMemory,
        }
    }
}

impl Freezer for sandbox::Freezer {
    fn freeze(&self) -> io::Result<()> {
        Self::freeze(self)
    }

    fn thaw(&self) -> io::Result<()> {
        Self::thaw(self)
    }
}

impl Meter for sandbox::Meter {
    fn max_memory(&self) -> u64 {
        Self::max_memory(self)
    }

    fn high_mark(&self) -> Option<u64> {
        Self::high_mark(self)
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, send, socketpair};

    use super::*;

    async fn hear(link: &mut Link) -> Told {
        std::future::poll_fn(|cx| link.poll_told(cx)).await
    }

    #[tokio::test]
    async fn packets_stay_apart_and_the_end_is_told() {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a pair");
        let mut link = Link::new(ours, ()).expect("a socket");
        for message in [
            FromInit::Started { pid: 7, zygote: Some("0a".into()), continues: true },
            FromInit::Exited(Exit::Signal(9)),
            FromInit::Exited(Exit::OutOfMemory),
            FromInit::Exited(Exit::Status(1)),
            FromInit::StartFailed { errno: 2 },
        ] {
            let packet = message.encode().expect("small");
            send(&theirs, &packet, SendFlags::NOSIGNAL).expect("room");
        }
        let mut heard = Vec::new();
        for _ in 0..5 {
            heard.push(hear(&mut link).await);
        }
        assert_eq!(
            heard,
            [
                Told::Began(Some("0a".into()), true),
                Told::Killed(9),
                Told::OutOfMemory,
                Told::Exited(1),
                Told::StartFailed(2)
            ]
        );

        link.reset().expect("room");
        let mut packet = [0; TOLD_BYTES];
        let read = rustix::io::read(&theirs, &mut packet[..]).expect("a packet");
        assert_eq!(ToInit::decode(&packet[..read]).expect("a message"), ToInit::Reset);

        send(&theirs, b"nonsense", SendFlags::NOSIGNAL).expect("room");
        assert_eq!(hear(&mut link).await, Told::Lost);
        drop(theirs);
        assert_eq!(hear(&mut link).await, Told::Lost);
        assert!(link.reset().is_err());
    }
}
