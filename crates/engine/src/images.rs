//! Memory images of initialised functions: each is made by one environment, and the further ones of its version go on
//! from it instead of making an init of their own.
//!
//! An image is the function's word about itself: nothing here reads it, and it goes to environments of the same version
//! alone. It comes through a pipe, so that what holds it is this process's memory and none of the function's, and is
//! sealed before anybody gets it. It holds what the function holds, so it is never on a disk.

pub mod rules;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::limits::{IMAGE_BYTES, IMAGE_PATIENCE, IMAGES_PART};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use sandbox::protocol::Zygote;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

use self::rules::{Offer, Shelf};
use crate::pool::PoolKey;

/// Bytes that travel through the pipe at a time: what a user may have in one.
const PIPE_BYTES: usize = 1 << 20;

/// A file that holds an image, which nobody changes any more.
pub type File = Arc<OwnedFd>;

/// All images of this server.
#[derive(Debug)]
pub struct Images {
    shelf: Mutex<Shelf<File>>,
}

/// What an environment's runtime may do with images.
#[derive(Debug, Default)]
pub struct Gift {
    /// An image to go on from, for a child of this zygote.
    pub image: Option<(Zygote, File)>,
    /// The most bytes of an image of itself, and where it writes that.
    pub capture: Option<(u64, OwnedFd)>,
}

/// An image that is being made.
#[derive(Debug)]
pub struct Capture {
    images: Arc<Images>,
    key: PoolKey,
    collector: JoinHandle<io::Result<(OwnedFd, u64)>>,
}

impl Images {
    /// None yet; all of them together take at most a part of a machine with this much memory, in bytes.
    pub fn new(memory: u64) -> Arc<Self> {
        Arc::new(Self { shelf: Mutex::new(Shelf::new(memory / IMAGES_PART)) })
    }

    /// The word by which environments of a version get their keys; whoever comes first chooses it.
    pub fn word(&self, key: &PoolKey, fresh: impl FnOnce() -> String) -> String {
        self.shelf().word(key, fresh)
    }

    /// Whether a version has an image.
    pub fn has(&self, key: &PoolKey) -> bool {
        self.shelf().has(key)
    }

    /// What a new environment of a version gets. While one makes an image, no other is asked to.
    pub fn offer(self: &Arc<Self>, key: &PoolKey) -> (Gift, Option<Capture>) {
        let Offer { image, wanted } = self.shelf().offer(key);
        let made = if wanted { self.capture(key) } else { None };
        let (pipe, capture) = made.unzip();
        (Gift { image, capture: pipe.map(|pipe| (IMAGE_BYTES, pipe)) }, capture)
    }

    /// The write end of a pipe for an image, and what becomes of it.
    fn capture(self: &Arc<Self>, key: &PoolKey) -> Option<(OwnedFd, Capture)> {
        let made = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from).and_then(|(ours, theirs)| {
            // Where less is allowed, it takes a little longer.
            let _ = fcntl_setpipe_size(&ours, PIPE_BYTES);
            rustix::io::ioctl_fionbio(&ours, true)?;
            Ok((theirs, tokio::spawn(collect(Receiver::from_owned_fd(ours)?))))
        });
        match made {
            Ok((theirs, collector)) => {
                Some((theirs, Capture { images: Arc::clone(self), key: key.clone(), collector }))
            }
            Err(_) => {
                self.shelf().released(key);
                None
            }
        }
    }

    /// A version's image did not restore a child of the zygote that it fits.
    pub fn failed(&self, key: &PoolKey, zygote: &Zygote) {
        self.shelf().unfit(key, zygote);
    }

    /// An environment on this interpreter was borne by this zygote: what fits older ones is of no use any more.
    pub fn seen(&self, key: &PoolKey, interpreter: &str, zygote: &Zygote) {
        self.shelf().seen(key, interpreter, zygote);
    }

    /// Gives up the images of versions that are gone.
    pub fn forget(&self, gone: impl Fn(&PoolKey) -> bool) {
        self.shelf().forget(gone);
    }

    /// The shelf is whole between any two statements that can panic.
    fn shelf(&self) -> MutexGuard<'_, Shelf<File>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Capture {
    /// Keeps what a child of this zygote says that it has written.
    pub async fn keep(mut self, zygote: &Zygote) -> io::Result<u64> {
        // All is written by now; a process that holds the pipe open keeps nobody waiting.
        let collected = tokio::time::timeout(IMAGE_PATIENCE, &mut self.collector).await;
        let collected = collected.map_err(|_| io::ErrorKind::TimedOut)?;
        let (file, bytes) = collected.map_err(io::Error::other)??;
        fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        self.images.shelf().keep(&self.key, zygote, Arc::new(file), bytes);
        Ok(bytes)
    }

    /// No child of this zygote, or of one before it, shall be asked again.
    pub fn give_up(self, zygote: &Zygote) {
        self.images.shelf().unfit(&self.key, zygote);
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.collector.abort();
        self.images.shelf().released(&self.key);
    }
}

/// Reads an image into memory of its own.
async fn collect(mut pipe: Receiver) -> io::Result<(OwnedFd, u64)> {
    let file = memfd_create(c"image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut buffer = Vec::with_capacity(PIPE_BYTES);
    let mut bytes = 0;
    loop {
        buffer.clear();
        if pipe.read_buf(&mut buffer).await? == 0 {
            return Ok((file, bytes));
        }
        bytes += buffer.len() as u64;
        if bytes > IMAGE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut rest = &buffer[..];
        while !rest.is_empty() {
            rest = &rest[rustix::io::write(file.as_fd(), rest)?..];
        }
    }
}
