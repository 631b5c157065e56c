//! Carrying out [`plan::watch`](crate::plan::watch): the alarm, the figures, and the choice of who must end.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use base::clock::{Clock, Timestamp};
use base::units::Mib;
use rustix::event::{EventfdFlags, PollFlags, eventfd};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitStatus, kill_process};

use crate::limits::{
    FIRST_ALARM, KILL_SPREE, KILLS_BEFORE_ALL, LOOKS_BEFORE_ALARM, QUIET_LOOK, SLOWEST_LOOK, SOONEST_LOOK,
};
use crate::meter::{self, HIGH_MARK, number, value};
use crate::plan::groups::Version;
use crate::plan::watch::{Figures, Held, Step, alarm_above, decide, is_heard, own_memory, pace};
use crate::sys::process::{self, Clerk};
use crate::sys::{Step as _, StepError};

/// Longest file of a group that is read, in bytes.
const FILE_BYTES: usize = 16 * 1024;

/// Looks for which a killed process may take to end before another is killed: a second.
const VICTIM_LOOKS: u32 = 500;

/// Where the function's memory is counted.
pub(crate) struct MemoryGroup {
    /// The group's directory.
    pub(crate) directory: OwnedFd,
    /// Its interface.
    pub(crate) version: Version,
}

/// Watches over the memory of one sandbox.
pub(super) struct Watch {
    version: Version,
    limit: u64,
    usage: OwnedFd,
    /// Version 1's most that the group held since somebody wrote to it.
    high_mark: Option<OwnedFd>,
    /// What files held at the last look, in bytes, as far as it mattered.
    files: u64,
    /// Bytes that the group may hold before its processes can have outgrown their memory.
    vouched: u64,
    stat: OwnedFd,
    /// Version 1's count of the kernel's memory.
    kernel: Option<OwnedFd>,
    /// Tells of the kernel's own kills; in version 2 it rings, too.
    kills: OwnedFd,
    alarm: Alarm,
    clock: Clock,
    /// When to look without an alarm. A moment and no duration: what happens inside must not put it off.
    due: Option<Timestamp>,
    /// How often it was looked since the runtime's start.
    looks: u32,
    /// Until when an alarm may wait, as it was looked just now.
    deaf: Option<Timestamp>,
    /// Who sets the alarm, and above how many bytes.
    clerk: Option<(Clerk, u64)>,
    /// Who was killed last, and how often it was looked at since.
    victim: Option<(Pid, u32)>,
    /// When the latest killing began, and how many died of it.
    spree: Option<(Timestamp, u32)>,
}

/// Who was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    /// The largest process.
    One(Pid),
    /// Everybody: new processes took the memory as fast as old ones gave it back.
    All,
}

enum Alarm {
    /// Rings above so many bytes where it is set, which waits for a grace period of the kernel: some 20 ms.
    Event { event: OwnedFd, register: OwnedFd, above: Vec<u64> },
    /// The kernel slows the group down above this and says so.
    High(OwnedFd),
    /// The kernel has none, and the watch looks the more often.
    None,
}

impl Watch {
    /// Opens the group's files; call while they may be opened for writing. Nothing has a limit yet.
    pub(super) fn open(group: &MemoryGroup) -> Result<Self, StepError> {
        let open = |name: &str, flags| {
            let place = || format!("opening {name} of the function's control group");
            let flags = flags | OFlags::CLOEXEC;
            rustix::fs::openat(&group.directory, name, flags, Mode::empty()).step(place)
        };
        let (read, write) = (OFlags::RDONLY, OFlags::WRONLY);
        let (usage, kernel, kills, alarm) = match group.version {
            Version::V1 => {
                let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
                let event = event.doing("making the alarm for memory")?;
                let register = open("cgroup.event_control", write)?;
                let alarm = Alarm::Event { event, register, above: Vec::new() };
                let kernel = open("memory.kmem.usage_in_bytes", read).ok();
                let kills = open("memory.oom_control", read)?;
                (open("memory.usage_in_bytes", read)?, kernel, kills, alarm)
            }
            Version::V2 => {
                let high = Alarm::High(open("memory.high", write)?);
                (open("memory.current", read)?, None, open("memory.events", read)?, high)
            }
        };
        let stat = open("memory.stat", read)?;
        let high_mark = open(HIGH_MARK, OFlags::RDWR).ok();
        Ok(Self {
            version: group.version,
            limit: u64::MAX,
            usage,
            high_mark,
            files: 0,
            vouched: 0,
            stat,
            kernel,
            kills,
            alarm,
            clock: Clock::system(),
            due: None,
            looks: 0,
            deaf: None,
            clerk: None,
            victim: None,
            spree: None,
        })
    }

    /// Says what the function may have.
    pub(super) const fn limit_to(&mut self, memory: Mib) {
        self.limit = memory.bytes();
    }

    /// What to wait for.
    pub(super) fn alarm(&self) -> (BorrowedFd<'_>, PollFlags) {
        let (alarm, rings) = match &self.alarm {
            Alarm::Event { event, .. } => (event.as_fd(), PollFlags::IN),
            Alarm::High(_) => (self.kills.as_fd(), PollFlags::PRI),
            Alarm::None => (self.kills.as_fd(), PollFlags::empty()),
        };
        (alarm, if self.deaf_for().is_some() { PollFlags::empty() } else { rings })
    }

    /// How long to wait for it.
    pub(super) fn after(&self) -> Option<Duration> {
        let due = self.due.map(|due| due.since(self.clock.now()));
        self.deaf_for().into_iter().chain(due).min()
    }

    /// How long an alarm is not heard; none while it is.
    fn deaf_for(&self) -> Option<Duration> {
        let now = self.clock.now();
        self.deaf.filter(|deaf| now < *deaf).map(|deaf| deaf.since(now))
    }

    /// Whether it is time to look without it.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= self.clock.now())
    }

    /// Does not look again before the next alarm or [`Self::look`].
    pub(super) fn rest(&mut self) {
        self.look_after(None);
    }

    fn look_after(&mut self, time: Option<Duration>) {
        self.due = time.map(|time| self.clock.now() + time);
    }

    /// Begins to watch a process that was started.
    pub(super) const fn begin(&mut self) {
        self.spree = None;
        self.looks = 0;
    }

    /// Sets the alarm before anybody knows what the function may have.
    pub(super) fn set_ahead(&mut self) {
        self.set_alarm(FIRST_ALARM.bytes());
    }

    /// Has a child set the alarm, for it waits and this process must not.
    fn set_alarm(&mut self, above: u64) {
        let Alarm::Event { event, register, .. } = &self.alarm else { return };
        if self.clerk.is_some() {
            return;
        }
        let order = format!("{} {} {}", event.as_raw_fd(), self.usage.as_raw_fd(), alarm_above(above));
        match register.try_clone().and_then(|register| Clerk::write(register, order)) {
            Ok(clerk) => self.clerk = Some((clerk, above)),
            Err(_) => self.alarm = Alarm::None,
        }
    }

    /// Whether a child of this watch is at work.
    pub(super) const fn has_clerk(&self) -> bool {
        self.clerk.is_some()
    }

    /// Hears that a child ended; whether to look now, because the alarm is set since then.
    pub(super) fn ended(&mut self, child: Pid, status: WaitStatus) -> bool {
        let Some((clerk, set)) = self.clerk.take_if(|(clerk, _)| clerk.pid() == child) else { return false };
        clerk.ended();
        match (&mut self.alarm, status.exit_status()) {
            (Alarm::Event { above, .. }, Some(0)) => above.push(set),
            // A reset came first, and it will be set anew.
            (_, None) => {}
            // The kernel has no alarms.
            (alarm, Some(_)) => *alarm = Alarm::None,
        }
        true
    }

    /// Processes that the kernel itself killed, at the hard limit.
    pub(super) fn kernel_kills(&self) -> u64 {
        read(&self.kills).ok().and_then(|text| value(&text, "oom_kill")).unwrap_or(0)
    }

    /// Bytes that the group may hold before its processes can have outgrown their memory: what the last look vouched
    /// for.
    pub(super) const fn vouched(&self) -> u64 {
        self.vouched
    }

    /// Looks, and does what must be done; who was killed.
    pub(super) fn look(&mut self) -> Option<Victim> {
        self.looks = self.looks.saturating_add(1);
        self.deaf = Some(self.clock.now() + SOONEST_LOOK);
        self.silence();
        let found = self.figures();
        let (step, late) = match decide(self.limit, found) {
            Step::Search => {
                let late = self.kill_who_outgrew();
                (decide(self.limit, Figures { highest: found.usage, ..found }), late)
            }
            step => (step, None),
        };
        self.vouched = match step {
            Step::Follow { alarm, .. } => alarm,
            _ => self.limit,
        };
        if let Alarm::High(high) = &self.alarm {
            let _ = rustix::io::pwrite(high, self.vouched.to_string().as_bytes(), 0);
        }
        let (after, victim) = match step {
            Step::Kill => self.kill(),
            Step::Follow { after, .. } => (Some(after), None),
            Step::Rest | Step::Search => (self.rest_from(found.usage), None),
        };
        self.look_after(after);
        late.or(victim)
    }

    /// What the group holds; of more than the limit also whose it is, and then the highest mark begins anew.
    fn figures(&mut self) -> Figures {
        let usage = number(&self.usage);
        let highest = self.high_mark.as_ref().map_or(usage, number).max(usage);
        if highest <= self.limit {
            self.files = 0;
            return Figures { usage, highest, own: 0, files: 0 };
        }
        if let Some(mark) = &self.high_mark {
            let _ = rustix::io::pwrite(mark, b"0", 0);
        }
        let own = self.own_memory();
        let files = usage.saturating_sub(own);
        Figures { usage, highest, own, files: files.max(std::mem::replace(&mut self.files, files)) }
    }

    /// When to look again without an alarm while the group holds `usage` bytes, which is no more than it may.
    fn rest_from(&mut self, usage: u64) -> Option<Duration> {
        let pace = pace(self.limit.saturating_sub(usage));
        match &self.alarm {
            // Deaf to the kernel's own memory, as in pipes and sockets.
            Alarm::Event { above, .. } if is_heard(above, usage, self.limit) => Some(QUIET_LOOK),
            Alarm::Event { above, .. } => {
                // One that rang below the limit was set in time for another.
                if self.looks > LOOKS_BEFORE_ALARM || !above.is_empty() {
                    self.set_alarm(self.limit);
                }
                Some(pace)
            }
            // The kernel says when the limit is reached.
            Alarm::High(_) => None,
            Alarm::None => Some(pace),
        }
    }

    /// What rang shall ring for news alone.
    fn silence(&self) {
        match &self.alarm {
            Alarm::Event { event, .. } => drop(rustix::io::read(event, &mut [0; 8])),
            Alarm::High(_) => drop(read(&self.kills)),
            Alarm::None => {}
        }
    }

    /// Makes room; when to look again.
    fn kill(&mut self) -> (Option<Duration>, Option<Victim>) {
        if self.is_dying() {
            return (Some(SOONEST_LOOK), None);
        }
        let now = self.clock.now();
        let (began, kills) =
            self.spree.filter(|(began, _)| now.since(*began) < KILL_SPREE).unwrap_or((now, 0));
        self.spree = Some((began, kills + 1));
        if kills >= KILLS_BEFORE_ALL {
            process::kill_all_others();
            return (Some(SOONEST_LOOK), Some(Victim::All));
        }
        match self.kill_largest() {
            Some(victim) => (Some(SOONEST_LOOK), Some(Victim::One(victim))),
            // Nobody is left whose end would free any.
            None => (Some(SLOWEST_LOOK), None),
        }
    }

    /// Whether the last victim is still on its way out: it holds its memory until it is gone, and no other shall die
    /// for that.
    fn is_dying(&mut self) -> bool {
        let Some((victim, looks)) = &mut self.victim else { return false };
        *looks += 1;
        *looks <= VICTIM_LOOKS && is_dying(*victim)
    }

    /// Ends the process that holds the most memory, as the kernel's killer would.
    fn kill_largest(&mut self) -> Option<Pid> {
        let (_, largest) = largest_by(size)?;
        self.end(largest)
    }

    /// Ends the process that held the most memory, if that was more than the function's.
    fn kill_who_outgrew(&mut self) -> Option<Victim> {
        let most = |pid: Pid| meter::own_memory(&pid.as_raw_nonzero().to_string()).unwrap_or(0);
        let (_, largest) = largest_by(most).filter(|(held, _)| *held > self.limit)?;
        self.end(largest).map(Victim::One)
    }

    fn end(&mut self, pid: Pid) -> Option<Pid> {
        kill_process(pid, Signal::KILL).ok()?;
        self.victim = Some((pid, 0));
        Some(pid)
    }

    fn own_memory(&self) -> u64 {
        let stat = read(&self.stat).unwrap_or_default();
        let kernel = self.kernel.as_ref().map_or(0, number);
        own_memory(self.version, &stat, kernel, held(Path::new("/tmp")))
    }
}

/// The process with the most of something, and how much.
fn largest_by(most: impl Fn(Pid) -> u64) -> Option<(u64, Pid)> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
    pids.filter(|pid| *pid != Pid::INIT).map(|pid| (most(pid), pid)).max_by_key(|(size, _)| *size)
}

/// What a file system in memory holds; nothing when it cannot be asked.
fn held(at: &Path) -> Held {
    let Ok(figures) = rustix::fs::statfs(at) else { return Held::default() };
    let (blocks, inodes) = (figures.f_blocks - figures.f_bfree, figures.f_files - figures.f_ffree);
    Held { bytes: blocks * figures.f_bsize as u64, inodes }
}

/// Whether a process that was killed still runs: its last thread frees its memory before it becomes a zombie.
fn is_dying(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let is_zombie = status.lines().any(|line| line.starts_with("State:\tZ"));
    let is_over = status.is_empty() || (is_zombie && value(&status, "Threads:") == Some(1));
    !is_over
}

/// What ending a process frees, in kilobytes.
fn size(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    ["RssAnon:", "RssShmem:", "VmPTE:"].into_iter().filter_map(|name| value(&status, name)).sum()
}

fn read(file: &OwnedFd) -> io::Result<String> {
    let mut text = vec![0; FILE_BYTES];
    let length = rustix::io::pread(file, &mut text, 0)?;
    Ok(String::from_utf8_lossy(&text[..length]).into_owned())
}
