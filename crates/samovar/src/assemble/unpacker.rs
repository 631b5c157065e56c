//! The launcher's confined helper, as `artifact` asks for it.

use std::fs::File;

use artifact::{Refusal, Unpacked, Unpacker};
use async_trait::async_trait;
use sandbox::LauncherClient;
use tokio::sync::oneshot;

/// Unpacks in a process of its own that can reach nothing but its target.
pub struct ConfinedUnpacker(pub LauncherClient);

#[async_trait]
impl Unpacker for ConfinedUnpacker {
    async fn unpack(&self, archive: File, into: &str) -> Result<Unpacked, Refusal> {
        let (sender, answer) = oneshot::channel();
        self.0.unpack(archive, into, move |result| drop(sender.send(result)));
        artifact::unzip::read_report(answer.await.map_err(|_| gone())?)
    }

    async fn remove(&self, name: &str) -> Result<(), Refusal> {
        let (sender, removed) = oneshot::channel();
        self.0.remove_code(name, move || {
            let _ = sender.send(());
        });
        removed.await.map_err(|_| gone())
    }
}

/// The launcher answers nothing any more, which says nothing of the archive.
fn gone() -> Refusal {
    Refusal::Io { doing: "asking the launcher".to_owned(), errno: rustix::io::Errno::PIPE.raw_os_error() }
}
