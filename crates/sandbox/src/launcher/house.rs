//! The data directory: made ready for the server, and guarded against a second launcher.

mod sweep;

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use base::fnv;
use rustix::fs::{AtFlags, FlockOperation, Gid, Mode, OFlags, Uid};

use super::plain;
use crate::identity::{ENVIRONMENT_BLOCK, ENVIRONMENT_BLOCKS, FIRST_ENVIRONMENT_UID, SERVER_UID};
use crate::setup::{Isolation, LaunchError};
use crate::sys::{Step, StepError};

/// What launchers keep outside of data directories.
const RUN: &str = "/run/samovar";

/// Lock files in it are called after their instance and this.
const LOCK: &str = ".lock";

/// How often a lock is tried that somebody holds, [`LOCK_PAUSE`] apart: together longer than one instance is swept.
const LOCK_TRIES: u32 = 20;

/// Pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Lock file in the data directory of a launcher that has no rights elsewhere. It stays, as the directory's mark.
const PLAIN_LOCK: &str = "launcher.lock";

/// Directory of unpacked code in the data directory.
pub(super) const CODE: &str = "code";

/// The network namespace that this process is in.
const OWN_NETWORK: &str = "/proc/self/ns/net";

/// File in it that holds the boot in which it was filled.
const BOOT: &str = ".boot";

/// Lines of the lock file that hold a block of addresses begin so, and those that hold the network namespace in which
/// they were taken; the others are paths.
const EGRESS: &str = "egress ";
const NETWORK: &str = "network ";

/// Directories that are being filled or emptied begin so; no code directory does.
pub(super) const UNFINISHED: &str = ".part-";

/// The same, of those to be removed.
pub(super) const DOOMED: &str = ".gone-";

/// Directories of one former name that may wait for their removal.
const DOOMED_AT_ONCE: u32 = 1_000;

/// A data directory that belongs to this launcher alone while the value lives.
pub(super) struct House {
    /// Names the data directory on this machine.
    pub(super) instance: String,
    /// The data directory.
    pub(super) data: PathBuf,
    /// Empty directory on which the server and the launcher each mount their own view.
    pub(super) run: PathBuf,
    /// The data directory's `code/`.
    pub(super) code: OwnedFd,
    /// The directory that holds the lock, and `run` where that was made.
    above: OwnedFd,
    /// Name of `run` in it, where it was made.
    made: Option<String>,
    lock_name: String,
    lock: fs::File,
}

impl House {
    /// Takes the directory, and clears away what an earlier launcher left.
    pub(super) fn open(data_dir: &Path, isolation: Isolation) -> Result<Self, LaunchError> {
        let place = || format!("opening the data directory {}", data_dir.display());
        fs::create_dir_all(data_dir).step(place)?;
        let data = fs::canonicalize(data_dir).step(place)?;
        let directory = open_directory(&data).step(place)?;
        let identity = rustix::fs::fstat(&directory).step(place)?;
        let instance = format!("{:x}-{:x}", identity.st_dev, identity.st_ino);
        match isolation {
            Isolation::Full => Self::open_as_root(instance, data, &directory, identity.st_uid),
            Isolation::None => Self::open_plain(instance, data, directory, identity.st_uid),
        }
    }

    fn open_as_root(
        instance: String,
        data: PathBuf,
        directory: &OwnedFd,
        owner: u32,
    ) -> Result<Self, LaunchError> {
        fs::create_dir_all(RUN).doing("making the directory of all launchers")?;
        let above = open_directory(Path::new(RUN)).step(|| format!("opening {RUN}"))?;
        let lock_name = format!("{instance}{LOCK}");
        // The lock comes first: what has none is nobody's.
        let mut lock = lock(&Path::new(RUN).join(&lock_name), &data)?;
        let run = Path::new(RUN).join(&instance);
        fs::create_dir_all(&run).step(|| format!("making {}", run.display()))?;
        sweep::own(&mut lock, &instance).doing("sweeping what an earlier run left")?;
        sweep::others(&above, &lock_name);
        if owner != SERVER_UID {
            take_over(&data, directory.as_fd())?;
        }
        let code = open_code(directory.as_fd(), &data, 0)?;
        Ok(Self { made: Some(instance.clone()), instance, data, run, code, above, lock_name, lock })
    }

    /// The same for a user who has no place but this directory.
    fn open_plain(instance: String, data: PathBuf, above: OwnedFd, owner: u32) -> Result<Self, LaunchError> {
        let user = rustix::process::geteuid().as_raw();
        if owner != user {
            return Err(LaunchError::NotOurs(data));
        }
        let lock_path = data.join(PLAIN_LOCK);
        if !lock_path.exists() {
            refuse_foreign(&data)?;
        }
        let lock = lock(&lock_path, &data)?;
        rustix::fs::fchmod(&above, Mode::from_raw_mode(0o700))
            .doing("closing the data directory to others")?;
        plain::sweep(&data.join(CODE))?;
        let code = open_code(above.as_fd(), &data, user)?;
        Ok(Self {
            run: data.clone(),
            made: None,
            instance,
            data,
            code,
            above,
            lock_name: PLAIN_LOCK.into(),
            lock,
        })
    }

    /// Notes where this launcher makes control groups, for the next one's sweep.
    pub(super) fn note_groups<'a>(&mut self, paths: impl Iterator<Item = &'a Path>) -> Result<(), StepError> {
        let lines: Vec<u8> = paths.flat_map(|path| [path.as_os_str().as_bytes(), b"\n"].concat()).collect();
        self.lock.write_all(&lines).doing("noting the control groups")
    }

    /// Notes which block of addresses this launcher takes, for the next one's sweep.
    pub(super) fn note_egress(&mut self, block: &str) -> Result<(), StepError> {
        let network = fs::metadata(OWN_NETWORK).doing("looking at the network namespace")?.ino();
        let note = format!("{NETWORK}{network}\n{EGRESS}{block}\n");
        self.lock.write_all(note.as_bytes()).doing("noting the sandboxes' addresses")
    }

    /// The directory in which all launchers of this machine keep what they share.
    pub(super) fn runs(&self) -> PathBuf {
        RUN.into()
    }

    /// The descriptors held here, for a fork that shall not have them.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        [self.code.as_raw_fd(), self.above.as_raw_fd(), self.lock.as_raw_fd()].into_iter()
    }

    /// Removes what only a running launcher needs, the lock last.
    pub(super) fn leave(&self) {
        if let Some(made) = &self.made {
            let _ = remove_directory(&self.above, made);
            let _ = rustix::fs::unlinkat(&self.above, self.lock_name.as_str(), AtFlags::empty());
        }
    }

    /// First of the users that this directory's environments get.
    pub(super) fn first_user(&self) -> u32 {
        // The hash spreads directories over the blocks.
        FIRST_ENVIRONMENT_UID + fnv::hash32(&self.instance) % ENVIRONMENT_BLOCKS * ENVIRONMENT_BLOCK
    }
}

fn lock(path: &Path, data_dir: &Path) -> Result<fs::File, LaunchError> {
    let place = || format!("locking {}", path.display());
    let mut tries = 0;
    loop {
        let file =
            fs::File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.step(place)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if tries == LOCK_TRIES => {
                return Err(LaunchError::InUse(data_dir.to_owned()));
            }
            // Another's launcher may be sweeping what this directory's last one left.
            Err(rustix::io::Errno::WOULDBLOCK) => {
                tries += 1;
                sleep(LOCK_PAUSE);
                continue;
            }
            result => result.step(place)?,
        }
        // An earlier launcher may have removed the file between the two calls; then the lock is on nothing.
        let held = rustix::fs::fstat(&file).step(place)?.st_ino;
        if rustix::fs::stat(path).is_ok_and(|named| named.st_ino == held) {
            return Ok(file);
        }
    }
}

/// Gives an empty directory to the server's user.
fn take_over(data: &Path, directory: std::os::fd::BorrowedFd<'_>) -> Result<(), LaunchError> {
    let place = || format!("taking over the data directory {}", data.display());
    refuse_foreign(data)?;
    rustix::fs::fchmod(directory, Mode::from_raw_mode(0o700)).step(place)?;
    let (uid, gid) = (Uid::from_raw(SERVER_UID), Gid::from_raw(SERVER_UID));
    Ok(rustix::fs::fchown(directory, Some(uid), Some(gid)).step(place)?)
}

/// Refuses a directory that holds anything.
fn refuse_foreign(data: &Path) -> Result<(), LaunchError> {
    let place = || format!("looking into the data directory {}", data.display());
    // A fresh volume has this directory and nothing else.
    let is_foreign = |entry: fs::DirEntry| entry.file_name() != "lost+found";
    match fs::read_dir(data).step(place)?.flatten().any(is_foreign) {
        true => Err(LaunchError::ForeignDataDir(data.to_owned())),
        false => Ok(()),
    }
}

/// Opens `code/`, which is the launcher's: where that is root, the server sees it and cannot change it.
fn open_code(
    directory: std::os::fd::BorrowedFd<'_>,
    data: &Path,
    owner: u32,
) -> Result<OwnedFd, LaunchError> {
    let place = || format!("opening {}/{CODE}", data.display());
    match rustix::fs::mkdirat(directory, CODE, Mode::from_raw_mode(0o755)) {
        Err(rustix::io::Errno::EXIST) => {}
        result => result.step(place)?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let code = rustix::fs::openat(directory, CODE, flags, Mode::empty()).step(place)?;
    if rustix::fs::fstat(&code).step(place)?.st_uid != owner {
        // Whoever made it could have put links into it.
        return Err(LaunchError::ForeignDataDir(data.join(CODE)));
    }
    rustix::fs::fchmod(&code, Mode::from_raw_mode(0o755)).step(place)?;
    forget_other_boots(&code).step(place)?;
    Ok(code)
}

/// Dooms everything that was unpacked before the machine's last start: power may have been cut before the files
/// were on the disk, and the archives are kept elsewhere.
fn forget_other_boots(code: &OwnedFd) -> std::io::Result<()> {
    let now = fs::read("/proc/sys/kernel/random/boot_id")?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = fs::File::from(rustix::fs::openat(code, BOOT, flags, Mode::from_raw_mode(0o600))?);
    let mut filled = Vec::new();
    file.read_to_end(&mut filled)?;
    if filled == now {
        return Ok(());
    }
    for name in entries(code)?.iter().filter(|name| !name.starts_with('.')) {
        doom(code, name)?;
    }
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&now)
}

/// Takes a directory's name away from it, so that it can be removed at leisure; the new one, if there was one.
pub(super) fn doom(code: &OwnedFd, name: &str) -> std::io::Result<Option<String>> {
    for number in 0..DOOMED_AT_ONCE {
        let doomed = format!("{DOOMED}{number}-{name}");
        match rustix::fs::renameat_with(code, name, code, &doomed, rustix::fs::RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) => {}
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            result => return Ok(result.map(|()| Some(doomed))?),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

/// Names in a directory, without `.` and `..`; those that are not text are none of ours.
pub(super) fn entries(directory: &OwnedFd) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        if let Ok(name) = entry?.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Removes an empty directory in another; missing is as good.
pub(super) fn remove_directory(parent: &OwnedFd, name: &str) -> std::io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        result => Ok(result?),
    }
}

fn open_directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}
