//! Unpacking without a helper.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;

use async_trait::async_trait;
use rustix::io::Errno;

use crate::unzip::{self, UnzipLimits};
use crate::{Refusal, Unpacked, Unpacker};

/// Unpacks in this process and without its walls: for tests, and for archives that are not hostile.
#[derive(Debug, Clone)]
pub struct InProcess {
    code_root: PathBuf,
}

impl InProcess {
    /// Unpacks below `code_root`, which exists.
    pub fn new(code_root: impl Into<PathBuf>) -> Self {
        Self { code_root: code_root.into() }
    }

    async fn run<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(PathBuf) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let path = self.code_root.join(name);
        tokio::task::spawn_blocking(move || work(path)).await.unwrap_or(Err(Refusal::Died))
    }
}

#[async_trait]
impl Unpacker for InProcess {
    async fn unpack(&self, archive: File, into: &str) -> Result<Unpacked, Refusal> {
        self.run(into, move |path| {
            std::fs::create_dir(&path).map_err(|error| refused(&error))?;
            let into = File::open(&path).map_err(|error| refused(&error))?;
            unzip::unpack(&archive, into.as_fd(), &UnzipLimits::default())
        })
        .await
    }

    async fn remove(&self, name: &str) -> Result<(), Refusal> {
        self.run(name, |path| match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(refused(&error)),
            _ => Ok(()),
        })
        .await
    }
}

fn refused(error: &std::io::Error) -> Refusal {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    Refusal::io("making or removing a code directory", errno)
}
