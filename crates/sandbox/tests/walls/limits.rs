//! What a function may use: memory, `/tmp`, processors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base::units::Mib;
use sandbox::protocol::{Exit, FromInit};
use sandbox::{SandboxSpec, ServerSide};

use crate::driver::{Boxed, Scenario, ahead, comes_true, groups, inside, ready, spec};

pub const SCENARIOS: &[Scenario] = &[
    inside("memory_is_limited_and_the_kill_is_told", memory),
    inside("a_busy_machine_gives_no_memory", busy),
    inside("tmp_has_its_size_and_ends_in_enospc", tmp_size),
    inside("tmp_is_charged_to_nobody", tmp_beside_memory),
    inside("a_full_tmp_hides_no_memory", full_tmp),
    inside("shared_memory_is_the_functions_own", shared_memory),
    inside("the_largest_process_goes_first", largest_first),
    inside("swap_gives_no_memory", swap),
    inside("a_function_sees_its_share_of_the_machine", share),
    inside("nothing_in_proc_tells_of_the_machine", proc_files),
];

/// What looks at every group there is.
pub const ALONE: &[Scenario] = &[inside("every_group_has_its_figures_and_its_process", groups_hold)];

/// What looks at the inits themselves.
pub const SERVED: &[Scenario] = &[ahead("an_init_that_was_ready_is_served_first", 1, served_first)];

const HOARD: &str = "x = bytearray(300 << 20); print('held')";

fn small() -> SandboxSpec {
    SandboxSpec { memory: Mib(128), ..spec() }
}

fn memory(side: ServerSide) {
    let sandbox = Boxed::of(&side, small());
    for _ in 0..3 {
        let (exit, output) = sandbox.run(&["/usr/bin/python3", "-c", HOARD]);
        assert_eq!((exit, output.as_str()), (Exit::OutOfMemory, ""));
    }
    println!("note: at most {} MB were held before a kill", peak(&side) >> 20);
    // The init lives, and so may the next process.
    let held = sandbox.start(&[
        "/usr/bin/python3",
        "-c",
        "x = b'x' * (60 << 20); print('held', flush=True); import time; time.sleep(60)",
    ]);
    assert!(matches!(held, FromInit::Started { .. }));
    assert!(comes_true(|| sandbox.log().contains("held")));
    let memory = sandbox.built.meter.max_memory() >> 20;
    assert!((60..90).contains(&memory), "{memory} MB");
    sandbox.reset();
    assert_eq!(sandbox.built.meter.max_memory() >> 20, memory);
    // A signal of its own is nothing else.
    assert_eq!(sandbox.run(&["/bin/sh", "-c", "kill -9 $$"]).0, Exit::Signal(9));
}

/// How often each program is tried; more by hand.
fn rounds() -> u32 {
    std::env::var("WALLS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

fn busy(side: ServerSide) {
    let processors = std::thread::available_parallelism().unwrap().get();
    let is_over = Arc::new(AtomicBool::new(false));
    for _ in 0..2 * processors {
        let is_over = is_over.clone();
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
    }
    let sandbox = Boxed::of(&side, small());
    let fresh = "x = bytearray(300 << 20); print('held')";
    let huge =
        "import mmap; x = mmap.mmap(-1, 300 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS); x.madvise(14)
for at in range(0, 300 << 20, 2 << 20): x[at] = 1
print('held')";
    let again = "for _ in range(20): x = bytearray(90 << 20); del x
x = bytearray(300 << 20); print('held')";
    let beside_files = "f = open('/tmp/x', 'wb', 0)
for _ in range(400): f.write(bytes(1 << 20))
x = bytearray(300 << 20); print('held')";
    let honest = "x = bytearray(100 << 20); b = bytes(1 << 20)
for _ in range(2):
    f = open('/tmp/x', 'wb', 0)
    for _ in range(400): f.write(b)
print('held')";
    for round in 0..rounds() {
        for script in [fresh, huge, again, beside_files] {
            let ended = sandbox.run(&["/usr/bin/python3", "-I", "-c", script]);
            assert_eq!(ended, (Exit::OutOfMemory, String::new()), "{round}: {script}");
        }
        assert_eq!(sandbox.python(honest), "held\n", "{round}");
        assert_eq!(sandbox.python(CHILDREN), "True\n", "{round}");
    }
    println!("note: at most {} MB were held with 400 MB of files", peak(&side) >> 20);
    is_over.store(true, Ordering::Relaxed);
}

/// Several processes that go over the limit together; whether any was killed, and not all.
const CHILDREN: &str = "
import os, time
read, write = os.pipe()
def child():
    x = bytearray(60 << 20)
    os.close(write)
    os.read(read, 1)
    os._exit(0)
children = [os.fork() or child() for _ in range(4)]
os.close(read)
killed = 0
for _ in children[:2]:
    killed += os.wait()[1] == 9
os.close(write)
print(killed == 2)
";

fn served_first(side: ServerSide) {
    let sandbox = Boxed::of(&side, small());
    // Policy and nice value; the first policy is that of anybody, the second serves whoever came first, before others.
    let standing = |stat: &str| {
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        [38, 16].map(|field| fields[field].parse::<i32>().unwrap())
    };
    let [policy, nice] = standing(&sandbox.sh("cat /proc/self/stat"));
    assert!(policy == 0 && nice >= 0, "{policy} {nice}");
    let inits = ready();
    assert!(!inits.is_empty());
    for init in inits {
        match standing(&std::fs::read_to_string(format!("/proc/{init}/stat")).unwrap()) {
            [1, _] | [0, -20] => {}
            // Containers may forbid both.
            [0, own] if own == nice => println!("note: this machine serves all alike"),
            other => panic!("{other:?}"),
        }
    }
}

/// The most that the only sandbox held at once, in bytes.
fn peak(side: &ServerSide) -> u64 {
    let files = ["memory.max_usage_in_bytes", "memory.peak"];
    let paths = groups(side).into_iter().flat_map(|group| files.map(|file| group.join(file)));
    let texts = paths.filter_map(|path| std::fs::read_to_string(path).ok());
    texts.filter_map(|text| text.trim().parse().ok()).max().unwrap_or(0)
}

fn tmp_size(side: ServerSide) {
    let sandbox = Boxed::of(&side, small());
    let script = "head -c 600M /dev/zero > /tmp/big 2>/dev/null || stat -c %s /tmp/big; rm /tmp/big; \
        df --output=size -B1 /tmp | tail -1 | tr -d ' '";
    assert_eq!(sandbox.sh(script), "538333184\n538333184\n");
    let many = "import os\ntry:\n  for i in range(100000): os.close(os.open(f'/tmp/{i}', os.O_CREAT))\nexcept OSError as e: print(e.errno)";
    assert_eq!(sandbox.python(many), "28\n");
}

fn tmp_beside_memory(side: ServerSide) {
    let sandbox = Boxed::of(&side, small());
    let script = "head -c 300M /dev/zero > /tmp/big; python3 -c 'x = bytearray(64 << 20); print(len(x))'";
    assert_eq!(sandbox.sh(script), "67108864\n");
    let memory = sandbox.built.meter.max_memory() >> 20;
    assert!(memory < 80, "{memory} MB");
    sandbox.reset();
    assert_eq!(sandbox.sh("stat -c %s /tmp/big"), "314572800\n");
}

fn full_tmp(side: ServerSide) {
    let sandbox = Boxed::of(&side, small());
    sandbox.sh("head -c 300M /dev/zero > /tmp/big");
    // What files held before must not become the processes' own either.
    for script in [
        HOARD.to_owned(),
        format!("import os, time; os.remove('/tmp/big'); {HOARD}; time.sleep(30)"),
        "import mmap; x = mmap.mmap(-1, 300 << 20); x.write(bytes(300 << 20))".into(),
        "import os; f = os.memfd_create('x'); [os.write(f, bytes(1 << 20)) for _ in range(300)]".into(),
    ] {
        let (exit, output) = sandbox.run(&["/usr/bin/python3", "-c", &script]);
        assert_eq!(exit, Exit::OutOfMemory, "{script}: {output}");
        sandbox.reset();
    }
}

fn shared_memory(side: ServerSide) {
    let sandbox = Boxed::of(&side, small());
    let script = "head -c 60M /dev/zero > /dev/shm/x; head -c 60M /dev/zero > /tmp/x; \
        exec python3 -c 'x = bytearray(80 << 20); import time; time.sleep(30)'";
    assert_eq!(sandbox.run(&["/bin/sh", "-c", script]).0, Exit::OutOfMemory);
    assert_eq!(
        sandbox.sh("head -c 100M /dev/zero 2>/dev/null > /dev/shm/y; du -sm /dev/shm | cut -f1"),
        "64\n"
    );
}

fn largest_first(side: ServerSide) {
    let sandbox = Boxed::of(&side, small());
    let script = "
import os
statuses = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        hoard = [bytearray(1 << 20) for _ in range(4096)]
    statuses.append(os.waitpid(child, 0)[1])
print(statuses)
";
    assert_eq!(sandbox.python(script), "[9, 9, 9, 9]\n");
}

fn share(side: ServerSide) {
    let usable = std::thread::available_parallelism().unwrap().get();
    for (memory, processors) in [(128, 2), (3_009, 3), (10_240, 6)] {
        let processors: usize = usable.min(processors);
        let sandbox = Boxed::of(&side, SandboxSpec { memory: Mib(memory), ..spec() });
        let script = "nproc; getconf _NPROCESSORS_ONLN; grep -c ^processor /proc/cpuinfo; \
            grep -cE '^cpu[0-9]' /proc/stat; free -m | awk '/^Mem:/ { print $2, $4 } /^Swap:/ { print $2 }'; \
            cat /sys/devices/system/cpu/online /sys/devices/system/cpu/present";
        let range = if processors == 1 { "0".into() } else { format!("0-{}", processors - 1) };
        let expected = format!(
            "{processors}\n{processors}\n{processors}\n{processors}\n{memory} {memory}\n0\n{range}\n{range}\n"
        );
        assert_eq!(sandbox.sh(script), expected);
    }
}

fn proc_files(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    // Whatever holds a figure of the machine holds none inside; what programs read of it can be read.
    let hidden = "cd /proc; cat partitions diskstats interrupts softirqs zoneinfo buddyinfo kallsyms locks \
        schedstat 2>/dev/null | wc -c; ls bus fs tty pressure 2>/dev/null | grep -v : | grep -c .; \
        cat cmdline loadavg swaps | head -2; true";
    assert_eq!(sandbox.sh(hidden), "0\n0\n\n0.00 0.00 0.00 1/1 1\n");
    for path in ["/proc/meminfo", "/proc/cpuinfo", "/sys/devices/system/cpu/online", "/proc/keys"] {
        let script = format!("echo x > {path} || chmod 777 {path} || rm {path}");
        assert_ne!(sandbox.run(&["/bin/sh", "-c", &script]).0, Exit::Status(0), "{path}");
    }
    let ages = "import os, time; t = int(open('/proc/self/stat').read().split()[21]) / os.sysconf('SC_CLK_TCK'); \
        b = int([l for l in open('/proc/stat') if l.startswith('btime')][0].split()[1]); print(abs(b + t - time.time()) < 5)";
    assert_eq!(sandbox.python(ages), "True\n");
    if std::path::Path::new("/usr/bin/node").exists() {
        let script = "const os = require('os'); console.log(os.cpus().length, os.totalmem() >> 20, os.loadavg().length)";
        let usable = std::thread::available_parallelism().unwrap().get();
        assert_eq!(sandbox.run(&["/usr/bin/node", "-e", script]).1, format!("{} 256 3\n", usable.min(2)));
    }
}

/// Nothing waits on the disk for memory that a function may not have.
fn swap(side: ServerSide) {
    let _sandbox = Boxed::of(&side, small());
    // With swap counted or forbidden, a group cannot hold more than its hard limit in both together.
    let (memory, files) = groups(&side)
        .into_iter()
        .find_map(|group| {
            let read = |file: &str| std::fs::read_to_string(group.join(file)).ok();
            let v1 = || {
                Some((
                    read("memory.limit_in_bytes")?,
                    [read("memory.memsw.limit_in_bytes"), read("memory.swappiness")],
                ))
            };
            let v2 = || Some((read("memory.max")?, [read("memory.swap.max"), None]));
            v1().or_else(v2)
        })
        .unwrap();
    match files {
        [Some(both), Some(swappiness)] => assert_eq!((both, swappiness.as_str()), (memory, "0\n")),
        [Some(swap), None] => assert_eq!(swap, "0\n"),
        other => println!("note: this kernel counts no swap: {other:?}"),
    }
}

/// Joins, weights and bounds as they arrived in the kernel.
fn groups_hold(side: ServerSide) {
    let sandbox = Boxed::of(&side, SandboxSpec { memory: Mib(1_769), ..spec() });
    sandbox.start(&["/bin/sleep", "60"]);
    let read =
        |file: &str| groups(&side).iter().find_map(|group| std::fs::read_to_string(group.join(file)).ok());
    assert_eq!(read("pids.max").as_deref(), Some("1024\n"));
    assert!(read("cpu.shares").is_none_or(|shares| shares == "1024\n"));
    assert!(read("cpu.weight").is_none_or(|weight| weight == "1000\n"));
    assert!(
        groups(&side)
            .iter()
            .all(|group| !std::fs::read_to_string(group.join("cgroup.procs")).unwrap().is_empty())
    );
}
