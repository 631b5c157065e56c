//! Bounds of the launcher and of a sandbox that no AWS document gives. All are ours unless a source is named.

use std::time::Duration;

use base::units::Mib;

/// Sandboxes under construction at once; more wait in the launcher. Each holds five descriptors there.
pub const BUILDS_AT_ONCE: usize = 16;

/// Archives being unpacked or directories being removed at once; more wait in the launcher.
pub const CHORES_AT_ONCE: usize = 4;

/// Requests that may wait in the launcher beyond those being worked on.
pub const REQUESTS_WAITING: usize = 4_096;

/// Requests that are taken before signals, ended children and new sandboxes have their turn.
pub const REQUESTS_A_TURN: usize = 64;

/// Archives that may wait in the launcher, where each holds a descriptor.
pub const ARCHIVES_WAITING: usize = 64;

/// Requests that may wait for the end of one sandbox; our own server makes one.
pub const MOURNERS: usize = 16;

/// Time for a sandbox to come up before it is given up, from the moment at which it is begun. On an idle machine it takes
/// two milliseconds; on one that hundreds of starting runtimes keep busy, seconds.
pub const BUILD_TIME: Duration = Duration::from_secs(30);

/// Time to unpack one archive, or to remove one directory.
pub const CHORE_TIME: Duration = Duration::from_secs(120);

/// Pause between attempts to remove a control group that the kernel still calls busy.
pub const CGROUP_RETRY: Duration = Duration::from_millis(10);

/// Attempts to remove a busy control group before it is left to the next start's sweep.
pub const CGROUP_RETRIES: u32 = 500;

/// Time the launcher gives its sandboxes to disappear when it ends.
pub const TEARDOWN_TIME: Duration = Duration::from_secs(5);

/// Largest packet between server and launcher, in bytes.
pub const REQUEST_BYTES: usize = 64 * 1024;

/// Largest report that an unpacking helper may return, in bytes; it must fit a reply.
pub const UNPACK_REPORT_BYTES: usize = 48 * 1024;

/// Largest packet between server and init, in bytes. Environment variables are at most 4 KB of it.
pub const CONTROL_BYTES: usize = 128 * 1024;

/// Descriptors that travel with one packet.
pub const PACKET_DESCRIPTORS: usize = 9;

/// Longest name of a code directory or interpreter, in bytes.
pub const NAME_BYTES: usize = 80;

/// Layers of one sandbox: a function's, and as many of our own.
pub const LAYERS: usize = 2 * base::limits::FUNCTION_LAYERS;

/// Arguments of a runtime that is started ahead, its program among them.
pub const WAITING_ARGUMENTS: usize = 16;

/// Bytes of them all.
pub const WAITING_BYTES: usize = 4_096;

/// Rounds in which what functions without walls started is killed, [`PLAIN_KILL_PAUSE`] apart.
pub const PLAIN_KILL_ROUNDS: u32 = 3_000;

/// Pause between two such rounds: those who die are soon gone, and may have started others before.
pub const PLAIN_KILL_PAUSE: Duration = Duration::from_millis(1);

/// Size of `/dev/shm`, further limited by the function's memory.
pub const SHARED_MEMORY: Mib = Mib(64);

/// What the smallest `/tmp`, 512 MB, holds beyond its name, in bytes. Source: recorded by filling it.
pub const SMALLEST_TMP_EXTRA: u64 = 538_333_184 - 512 * 1024 * 1024;

/// What the largest `/tmp`, 10,240 MB, holds beyond its name, in bytes. Source: recorded by filling it.
pub const LARGEST_TMP_EXTRA: u64 = 10_738_335_744 - 10_240 * 1024 * 1024;

/// Bytes of `/tmp` for which one inode is granted, as mkfs does for a general-purpose file system.
pub const TMP_BYTES_PER_INODE: u64 = 8 * 1024;

/// Kernel memory of one file in `/tmp`: its inode and its name, in bytes, rounded up. Measured on Linux 6.18.
pub const TMP_INODE_COST: u64 = 1280;

/// Bytes of files in `/tmp` for which the kernel keeps one of its own: a node of 576 for 64 pages, rounded up.
pub const TMP_PAGES_COST: u64 = 256;

/// Fastest that one sandbox's processes are expected to fill memory, in bytes a second: half again what touching huge
/// pages took on two processors, 5.5 GB/s; ordinary pages took 1.4.
pub const MEMORY_GROWTH: u64 = 8_000_000_000;

/// Most that the kernel counts a group's memory in, in bytes: the largest page of any machine that we run on.
pub const PAGE_BYTES: u64 = 64 * 1024;

/// Least by which a group may grow before the watch over its memory looks again, in bytes.
pub const MEMORY_STEP: u64 = 4 * 1024 * 1024;

/// Least time between two looks at a sandbox's memory. Who takes and gives back around the limit may ring the alarm all
/// the time, and the watch runs before everybody else.
pub const SOONEST_LOOK: Duration = Duration::from_millis(2);

/// Use of memory at which the alarm of version 1 is set before the sandbox is a function's: the smallest there is, so that
/// it is right for many, and time to set another for all others.
pub const FIRST_ALARM: Mib = base::limits::FUNCTION_MEMORY.0;

/// Time that a sandbox waits for its function before that alarm is set: those that come and go at once do without.
pub const FIRST_ALARM_AFTER: Duration = Duration::from_millis(200);

/// Looks at a runtime's memory before the alarm of version 1 is set where it was not set ahead: that costs more than a
/// few of them, and most starts are over by then. At 128 MB they take 0.05 s.
pub const LOOKS_BEFORE_ALARM: u32 = 3;

/// Most time between two looks while a sandbox, with its files, holds more than its memory.
pub const SLOWEST_LOOK: Duration = Duration::from_millis(200);

/// Most time between two looks while an alarm that is deaf to the kernel's own memory (version 1's) is set.
pub const QUIET_LOOK: Duration = Duration::from_secs(1);

/// Processes that the watch over memory ends one by one within [`KILL_SPREE`] before it ends all: whoever forks as fast
/// as it kills would keep more memory than it has, and the watch busy.
pub const KILLS_BEFORE_ALL: u32 = 16;

/// Time in which [`KILLS_BEFORE_ALL`] are counted.
pub const KILL_SPREE: Duration = Duration::from_secs(10);

/// Ended processes that an init collects before it sees to anything else.
pub const REAPED_A_TURN: usize = 64;

/// Names in `/opt/extensions` that an init looks at.
pub const EXTENSION_FILES_SEEN: usize = 1_000;

/// Extensions that it tells of: one more than may run, so that the server learns that there are too many.
pub const EXTENSION_FILES: usize = base::limits::EXTENSIONS + 1;

/// Soft stack limit of a function, in bytes. Source: recorded inside a function.
pub const FUNCTION_STACK: u64 = 8 * 1024 * 1024;

/// Limit of core files, in bytes: the only one at which the kernel starts no collector, and too little for a file.
/// Source: `coredump_pipe` in Linux, by which a collector's own crash starts no other.
pub const FUNCTION_CORE: u64 = 1;

/// Memory a function may lock, in bytes. Source: recorded inside a function.
pub const FUNCTION_LOCKED: u64 = 64 * 1024;

/// Processes and threads that a function's user may have, as `getrlimit` tells it. The documented number, 1,024, bounds
/// the control group. Source: recorded inside a function.
pub const FUNCTION_TASKS: u64 = 742;

/// Address space of the unpacking helper, in bytes.
pub const UNPACK_ADDRESS_SPACE: u64 = 1024 * 1024 * 1024;

/// Processor seconds of the unpacking helper.
pub const UNPACK_CPU_SECONDS: u64 = 60;

/// Largest single file that the unpacking helper may write, in bytes, with room above what a package may hold.
pub const UNPACK_FILE_BYTES: u64 = 2 * base::limits::UNZIPPED_BYTES;

/// Period over which a strict CPU quota is counted.
pub const CPU_PERIOD: Duration = Duration::from_millis(20);

/// Connections that may wait in a sandbox's listeners.
pub const LISTEN_BACKLOG: i32 = 128;

/// Connections that one sandbox may have open through the host, so that none fills the machine's table of them. A
/// function's process has no more descriptors than that.
pub const EGRESS_CONNECTIONS: u64 = base::limits::FUNCTION_FILES;

/// Sandboxes that are kept ready, in which nothing waits, while little happens. Measured on Linux 6.18: each costs 0.4 MB
/// and the launcher ten descriptors.
pub const PREPARED_LEAST: usize = 8;

/// The same, with one runtime waiting in each, for every runtime that was asked for within [`PREPARED_MEMORY`].
pub const PREPARED_LEAST_WAITING: usize = 2;

/// Most sandboxes that are kept ready in all, unless the set-up says otherwise.
pub const PREPARED_MOST: usize = 64;

/// Most that the set-up may say. Together with [`base::limits::ENVIRONMENTS`] they have fewer users than there are.
pub const PREPARED_CEILING: usize = 1_500;

/// Kinds of sandboxes that are kept ready; the one that was asked for least lately makes room.
pub const PREPARED_KINDS: usize = 16;

/// As many are kept ready as were asked for within this time, at the busiest moment of late.
pub const PREPARED_BURST: Duration = Duration::from_secs(1);

/// Time after which a busy moment is late no more; it is forgotten after twice that.
pub const PREPARED_PATIENCE: Duration = Duration::from_secs(60);

/// Time for which a few of a kind are kept ready after one was asked for.
pub const PREPARED_MEMORY: Duration = Duration::from_secs(3_600);

/// Quiet time of the launcher before a sandbox is made ready while half of those wanted are: whoever took one is starting
/// a runtime, which needs the processor more.
pub const PREPARED_QUIET: Duration = Duration::from_millis(20);

/// The same while fewer are.
pub const PREPARED_SOON: Duration = Duration::from_millis(2);

/// Time since one was taken after which more are made ready even though the processors are busy.
pub const PREPARED_LATEST: Duration = Duration::from_secs(10);

/// Pause after a sandbox could not be made ready.
pub const PREPARED_RETRY: Duration = Duration::from_secs(1);

/// Time for which layers stay stacked without a sandbox that shows them.
pub const STACK_GRACE: Duration = Duration::from_secs(60);

/// Stacks of layers that are kept for sandboxes to come.
pub const STACKS_MOST: usize = 64;

/// Network namespaces that are kept ready while little happens. Each costs the launcher five descriptors and the
/// kernel about 200 KB.
pub const NETWORKS_LEAST: usize = 8;

/// Quiet time of the launcher before network namespaces are made ready while half of them are: the sandbox that took
/// one is starting its runtime, which needs the processor more.
pub const NETWORKS_QUIET: Duration = Duration::from_millis(20);

/// Most network namespaces that are kept ready, however many are asked for at once.
pub const NETWORKS_MOST: usize = 64;

/// Time without a new sandbox after which fewer network namespaces are kept ready.
pub const NETWORKS_PATIENCE: Duration = Duration::from_secs(60);

/// Pause after a network namespace could not be made ready in advance.
pub const NETWORKS_RETRY: Duration = Duration::from_secs(1);

/// Time for a runtime that is to wait to say that it does, when its function comes first; after that the runtime is
/// executed. No longer than the time that Lambda gives an init: of hundreds that a zygote is asked for at once on a busy
/// machine the last comes late, and executing it would take several times as long. A zygote that is silent is ended
/// after [`ZYGOTE_TIME`], and then nobody waits for it.
pub const READY_TIME: Duration = Duration::from_secs(10);

/// The same in a sandbox that is built ahead, where nobody waits for it; within [`BUILD_TIME`].
pub const BUILT_AHEAD_TIME: Duration = Duration::from_secs(5);

/// Longest packet in which a runtime says that it waits, in bytes.
pub const READY_BYTES: usize = 128;

/// Time for a zygote to carry out one order. One that takes longer is replaced.
pub const ZYGOTE_TIME: Duration = Duration::from_secs(2);

/// Time for a zygote to come up.
pub const ZYGOTE_START_TIME: Duration = Duration::from_secs(20);

/// Runtimes that a zygote may be asked for and has not borne; more are executed.
pub const ZYGOTE_ORDERS: u64 = 1_024;

/// Bytes of orders that may wait in a zygote's socket, as the kernel counts them: a kilobyte or less for each.
pub const ZYGOTE_ORDERS_BYTES: usize = 1024 * ZYGOTE_ORDERS as usize;

/// Runtimes that one zygote bears before another takes its place: they share where their memory lies, and the secret by
/// which Python orders its dictionaries.
pub const ZYGOTE_CHILDREN: u64 = 1_000;

/// Age at which a zygote that has borne any is replaced, for the same reason.
pub const ZYGOTE_AGE: Duration = Duration::from_secs(15 * 60);

/// Zygotes of one interpreter that fail in a row before it is left without for [`ZYGOTE_RETRY`].
pub const ZYGOTE_FAILURES: u32 = 3;

/// Time after which an interpreter without a zygote is tried again.
pub const ZYGOTE_RETRY: Duration = Duration::from_secs(60);
