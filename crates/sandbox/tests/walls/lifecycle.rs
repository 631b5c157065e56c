//! How sandboxes and their launcher come and go.

use std::io::{BufRead, BufReader};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use base::clock::Clock;
use base::id::EnvironmentId;
use base::random::Dice;
use rustix::process::{Pid, Signal, kill_process};
use sandbox::protocol::{Exit, FromInit, Snapshot, ToInit};
use sandbox::{BuildError, ServerSide};

use crate::driver::{Boxed, CODE, PATIENCE, Scenario, children, comes_true, groups, groups_of, inside, spec};

pub const SCENARIOS: &[Scenario] = &[
    inside("exits_signals_and_failed_starts_are_told_apart", exits),
    inside("a_reset_kills_everything_and_keeps_tmp", reset),
    inside("orphans_are_reaped_and_a_second_start_is_refused", orphans),
    inside("a_large_environment_arrives", large_environment),
    inside("destroying_leaves_nothing", destroy),
    inside("dropping_the_control_socket_ends_the_sandbox", dropped),
    inside("twenty_sandboxes_rise_at_once", parallel),
    inside("hostile_requests_are_refused", hostile),
    inside("garbage_to_the_launcher_changes_nothing", garbage),
    inside("a_flood_of_requests_keeps_nobody_waiting", flood),
    inside("the_server_has_no_rights", server_rights),
    inside("speed", speed),
    Scenario {
        name: "a_killed_launcher_leaves_no_process_and_the_next_sweeps",
        server: linger,
        outside: Some(killed),
        ahead: 0,
    },
    Scenario {
        name: "a_launcher_killed_at_any_moment_is_swept_up",
        server: churn,
        outside: Some(killed_often),
        ahead: 0,
    },
    Scenario {
        name: "a_killed_server_takes_everything_down",
        server: linger,
        outside: Some(server_killed),
        ahead: 0,
    },
    Scenario {
        name: "a_termination_reaches_the_server_once",
        server: await_term,
        outside: Some(terminated),
        ahead: 0,
    },
    Scenario { name: "a_second_launcher_is_refused", server: linger, outside: Some(second), ahead: 0 },
    Scenario {
        name: "without_root_the_launcher_says_what_to_do",
        server: linger,
        outside: Some(without_root),
        ahead: 0,
    },
    Scenario {
        name: "the_sandboxs_own_root_has_no_power_over_its_walls",
        server: linger,
        outside: Some(own_root),
        ahead: 0,
    },
    Scenario {
        name: "a_directory_with_other_files_is_refused",
        server: linger,
        outside: Some(foreign),
        ahead: 0,
    },
];

fn exits(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    assert_eq!(sandbox.run(&["/bin/sh", "-c", "exit 7"]).0, Exit::Status(7));
    assert_eq!(sandbox.run(&["/bin/sh", "-c", "kill -TERM $$"]).0, Exit::Signal(15));
    assert_eq!(sandbox.run(&["/bin/sh", "-c", "kill -SEGV $$"]).0, Exit::Signal(11));
    assert_eq!(sandbox.start(&["/var/task/none"]), FromInit::StartFailed { errno: libc::ENOENT });
    assert_eq!(sandbox.start(&["/var/task/hello"]), FromInit::StartFailed { errno: libc::EACCES });
    assert_eq!(sandbox.start(&["/var/task/odd"]), FromInit::StartFailed { errno: libc::ENOEXEC });
    assert_eq!(sandbox.start(&[]), FromInit::StartFailed { errno: libc::ENOENT });
    assert_eq!(sandbox.sh("echo still here"), "still here\n");
}

fn reset(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    sandbox.sh("echo kept > /tmp/kept; (sleep 100 &) ; (setsid sleep 100 &)");
    sandbox.start(&["/bin/sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done"]);
    sandbox.reset();
    assert_eq!(sandbox.sh("cat /tmp/kept; ls /proc | grep -cE '^[0-9]+$'"), "kept\n3\n");
    sandbox.reset();
    sandbox.reset();
}

fn orphans(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    let started = sandbox.start(&[
        "/bin/sh",
        "-c",
        "for i in 1 2 3 4 5; do (sleep 0.05 &); done; sleep 0.3; echo; exec sleep 100",
    ]);
    assert!(matches!(started, FromInit::Started { .. }));
    assert!(comes_true(|| sandbox.log().contains('\n')));
    assert_eq!(sandbox.start(&["/bin/true"]), FromInit::StartFailed { errno: libc::EBUSY });
    sandbox.reset();
    assert_eq!(sandbox.run(&["/bin/true"]).0, Exit::Status(0));
}

fn large_environment(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    let big = "x".repeat(100 * 1024);
    sandbox.send(&ToInit::Start {
        argv: vec!["/bin/sh".into(), "-c".into(), "echo ${#BIG}".into()],
        env: vec![("BIG".into(), big)],
        cwd: "/tmp".into(),
        snapshot: Snapshot::default(),
    });
    assert!(matches!(sandbox.hear(), FromInit::Started { .. }));
    assert_eq!(sandbox.hear(), FromInit::Exited(Exit::Status(0)));
    assert_eq!(sandbox.log(), "102400\n");
}

fn destroy(side: ServerSide) {
    let launcher = rustix::process::getppid().unwrap().as_raw_nonzero().get();
    let sandbox = Boxed::new(&side);
    sandbox.start(&["/bin/sleep", "100"]);
    assert!(!groups(&side).is_empty());
    assert_eq!(children(launcher).len(), 2, "the server and the init");
    sandbox.destroy(&side);
    assert_eq!(children(launcher).len(), 1);
    assert!(comes_true(|| groups(&side).is_empty()), "{:?}", groups(&side));
    let unknown = EnvironmentId::fresh(&Dice::system());
    crate::driver::wait(|done: Box<dyn FnOnce(()) + Send>| side.client.destroy(unknown, || done(())));
}

fn dropped(side: ServerSide) {
    let launcher = rustix::process::getppid().unwrap().as_raw_nonzero().get();
    let sandbox = Boxed::new(&side);
    sandbox.start(&["/bin/sleep", "100"]);
    drop(sandbox);
    assert!(comes_true(|| children(launcher).len() == 1 && groups(&side).is_empty()));
}

fn parallel(side: ServerSide) {
    let first = Boxed::new(&side);
    let (sender, receiver) = mpsc::channel();
    for _ in 0..20 {
        let (sender, spec) = (sender.clone(), spec());
        side.client.build(spec.clone(), move |built| sender.send((spec.id, built.unwrap())).unwrap());
    }
    let sandboxes: Vec<_> = (0..20)
        .map(|_| receiver.recv_timeout(PATIENCE).unwrap())
        .map(|(id, built)| Boxed { id, built })
        .collect();
    for sandbox in &sandboxes {
        sandbox.start(&["/bin/sh", "-c", "echo mine > /tmp/mine; cat hello"]);
    }
    for sandbox in &sandboxes {
        assert_eq!(sandbox.hear(), FromInit::Exited(Exit::Status(0)));
        assert_eq!(sandbox.log(), "hello from the code");
    }
    sandboxes.into_iter().chain([first]).for_each(|sandbox| sandbox.destroy(&side));
    assert!(comes_true(|| groups(&side).is_empty()));
}

fn hostile(side: ServerSide) {
    let refused = |change: &dyn Fn(&mut sandbox::SandboxSpec)| {
        let mut spec = spec();
        change(&mut spec);
        crate::driver::build(&side.client, spec).unwrap_err()
    };
    for name in ["../..", "/etc", "", "none", ".part-x"] {
        let error = refused(&|spec| spec.code = name.into());
        let expected = matches!(error, BuildError::Refused(_) | BuildError::Step { .. });
        assert!(expected, "{name}: {error}");
    }
    assert!(matches!(refused(&|spec| spec.interpreter = Some("/usr".into())), BuildError::Refused(_)));
    assert!(matches!(refused(&|spec| spec.code = "x".repeat(70_000)), BuildError::Refused(_)));
    assert!(comes_true(|| groups(&side).is_empty()));
    let sandbox = Boxed::new(&side);
    let own = groups(&side);
    assert!(matches!(refused(&|spec| spec.id = sandbox.id), BuildError::Refused(_)));
    assert_eq!(groups(&side), own);
}

/// What a server that was taken over could send.
fn garbage(side: ServerSide) {
    use rustix::net::{SendFlags, SocketType, send, sockopt};
    let sandbox = Boxed::new(&side);
    let control = std::os::fd::AsRawFd::as_raw_fd(&sandbox.built.control);
    // SAFETY: descriptors that are not open are refused by each call below; none is closed here.
    let open = (3..64).filter(|fd| *fd != control).map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    let launcher: Vec<_> =
        open.filter(|fd| sockopt::socket_type(fd).is_ok_and(|kind| kind == SocketType::SEQPACKET)).collect();
    assert_eq!(launcher.len(), 1);
    let dice = Dice::seeded(3);
    let mut packets: Vec<Vec<u8>> = (0..2_000).map(|_| dice.bytes::<64>().to_vec()).collect();
    packets.extend([vec![b'x'; 100_000], b"\n".to_vec(), b"{}\n".to_vec()]);
    packets.push(b"{\"ticket\":1,\"work\":{\"Unpack\":\"no-archive\"}}\n".to_vec());
    for packet in packets {
        send(launcher[0], &packet, SendFlags::empty()).unwrap();
    }
    assert_eq!(sandbox.sh("echo unmoved"), "unmoved\n");
    Boxed::new(&side).destroy(&side);
}

fn server_rights(side: ServerSide) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let uid = sandbox::identity::SERVER_UID;
    assert!(status.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n")), "{status}");
    for line in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{line}:\t0000000000000000")), "{status}");
    }
    assert!(Command::new("/bin/true").status().is_err(), "the server starts programs");
    assert!(std::fs::read("/etc/shadow").is_err());
    std::fs::write(side.data_dir.join("mine"), b"x").unwrap();
    assert!(std::fs::write(side.data_dir.join("code/x"), b"x").is_err());
    let _sandbox = Boxed::new(&side);
    assert!(std::fs::write(side.data_dir.join("code").join(CODE).join("hello"), b"x").is_err());
    assert_eq!(
        std::fs::read(side.data_dir.join("code").join(CODE).join("hello")).unwrap(),
        b"hello from the code"
    );
}

/// Informational: the target is a few milliseconds.
fn speed(side: ServerSide) {
    let clock = Clock::system();
    drop(Boxed::new(&side));
    let mut rounds: Vec<[Duration; 3]> = (0..100)
        .map(|_| {
            let begin = clock.now();
            let sandbox = Boxed::new(&side);
            let built = clock.now();
            assert!(matches!(sandbox.start(&["/bin/true"]), FromInit::Started { .. }));
            let started = clock.now();
            sandbox.destroy(&side);
            [built.since(begin), started.since(built), clock.now().since(started)]
        })
        .collect();
    let mut median = |part: usize| {
        rounds.sort_by_key(|round| round[part]);
        rounds[rounds.len() / 2][part].as_micros()
    };
    let (build, start, destroy) = (median(0), median(1), median(2));
    println!("note: p50 build {build} us, start /bin/true {start} us, destroy {destroy} us");

    let (sender, receiver) = mpsc::channel();
    let begin = clock.now();
    for _ in 0..200 {
        let sender = sender.clone();
        side.client.build(spec(), move |built| sender.send(built.unwrap()).unwrap());
    }
    let all: Vec<_> = (0..200).map(|_| receiver.recv_timeout(PATIENCE).unwrap()).collect();
    let each = clock.now().since(begin).as_micros() / 200;
    println!("note: 200 at once, {each} us each");
    drop(all);
}

/// Stands with one busy sandbox until somebody ends it.
pub fn linger(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    sandbox.start(&["/bin/sh", "-c", "sleep 1000 & exec sleep 1000"]);
    println!("ready {} {}", side.data_dir.file_name().unwrap().to_str().unwrap(), std::process::id());
    std::thread::sleep(Duration::from_secs(60));
}

/// Builds and destroys without a pause.
fn churn(side: ServerSide) {
    drop(Boxed::new(&side));
    println!("ready {} {}", side.data_dir.file_name().unwrap().to_str().unwrap(), std::process::id());
    let (sender, receiver) = mpsc::channel();
    loop {
        for _ in 0..8 {
            let (sender, spec) = (sender.clone(), spec());
            side.client.build(spec, move |built| drop(sender.send(built)));
        }
        for _ in 0..8 {
            drop(receiver.recv());
        }
    }
}

fn killed_often(scenario: &Scenario, data_dir: &Path) {
    let moments = Dice::seeded(11).bytes::<6>();
    for moment in moments {
        let mut running = start(scenario, data_dir);
        std::thread::sleep(Duration::from_micros(u64::from(moment) * 100));
        let family = running.family();
        signal(running.pid(), Signal::KILL);
        running.launcher.wait().unwrap();
        assert!(comes_true(|| family.iter().all(|pid| is_gone(*pid))), "{family:?}");
    }
    let mut last = start(scenario, data_dir);
    signal(last.server, Signal::KILL);
    last.launcher.wait().unwrap();
    assert_nothing_left(&last.instance);
}

fn await_term(side: ServerSide) {
    let terms = std::fs::read_to_string("/proc/self/status").unwrap();
    assert!(terms.contains("SigBlk:\t0000000000000000"), "{terms}");
    // SAFETY: the handler only counts.
    unsafe { libc::signal(libc::SIGTERM, count as *const () as libc::sighandler_t) };
    linger_briefly(&side);
    assert_eq!(TERMS.load(std::sync::atomic::Ordering::SeqCst), 1);
    std::process::exit(42);
}

static TERMS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

extern "C" fn count(_signal: i32) {
    TERMS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
}

fn linger_briefly(side: &ServerSide) {
    println!("ready {} {}", side.data_dir.file_name().unwrap().to_str().unwrap(), std::process::id());
    assert!(comes_true(|| TERMS.load(std::sync::atomic::Ordering::SeqCst) > 0));
    std::thread::sleep(Duration::from_millis(100));
}

/// A launcher in a process of its own, whose server has said that it is ready.
pub struct Running {
    pub launcher: Child,
    pub instance: String,
    pub server: i32,
}

pub fn start(scenario: &Scenario, data_dir: &Path) -> Running {
    let mut launcher = Command::new(std::env::current_exe().unwrap())
        .args(["--scenario", scenario.name])
        .arg(data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(launcher.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    let [_, instance, server] = words[..] else { panic!("not ready: {line:?}") };
    Running { launcher, instance: instance.to_owned(), server: server.parse().unwrap() }
}

impl Running {
    fn pid(&self) -> i32 {
        self.launcher.id() as i32
    }

    /// The launcher's children and theirs.
    fn family(&self) -> Vec<i32> {
        let children_here = children(self.pid());
        let below: Vec<_> = children_here.iter().flat_map(|child| children(*child)).collect();
        [children_here, below].concat()
    }
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

pub fn is_gone(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ")
}

pub fn killed(scenario: &Scenario, data_dir: &Path) {
    let mut first = start(scenario, data_dir);
    let family = first.family();
    assert!(family.len() >= 3, "server, init and function: {family:?}");
    let old = groups_of(&first.instance);
    assert!(!old.is_empty());
    signal(first.pid(), Signal::KILL);
    first.launcher.wait().unwrap();
    assert!(comes_true(|| family.iter().all(|pid| is_gone(*pid))), "{family:?}");

    let second = start(scenario, data_dir);
    assert_eq!(second.instance, first.instance);
    let new = groups_of(&second.instance);
    assert!(!new.is_empty() && old.iter().all(|group| !group.exists()), "{new:?}");
    end(second);
}

/// Ends a launcher by its server's end.
pub fn end(mut running: Running) {
    signal(running.server, Signal::KILL);
    assert_eq!(running.launcher.wait().unwrap().code(), Some(137));
    assert_nothing_left(&running.instance);
}

fn server_killed(scenario: &Scenario, data_dir: &Path) {
    let mut running = start(scenario, data_dir);
    let family = running.family();
    signal(running.server, Signal::KILL);
    assert_eq!(running.launcher.wait().unwrap().code(), Some(137));
    assert!(family.iter().all(|pid| is_gone(*pid)));
    assert_nothing_left(&running.instance);
}

fn terminated(scenario: &Scenario, data_dir: &Path) {
    let mut running = start(scenario, data_dir);
    signal(running.pid(), Signal::TERM);
    assert_eq!(running.launcher.wait().unwrap().code(), Some(42));
    assert_nothing_left(&running.instance);
}

fn assert_nothing_left(instance: &str) {
    assert!(groups_of(instance).is_empty());
    assert!(!Path::new("/run/samovar").join(instance).exists());
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains(instance), "{mounts}");
}

fn second(scenario: &Scenario, data_dir: &Path) {
    let mut first = start(scenario, data_dir);
    let refused = Command::new(std::env::current_exe().unwrap())
        .args(["--scenario", scenario.name])
        .arg(data_dir)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(77));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("another samovar uses the data directory"), "{text}");
    assert!(!is_gone(first.server) && !groups_of(&first.instance).is_empty(), "the first one suffered");
    signal(first.server, Signal::KILL);
    first.launcher.wait().unwrap();
}

fn without_root(scenario: &Scenario, data_dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    // The build's directory may be closed to others.
    let program = data_dir.with_extension("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    let output = command.args(["--scenario", scenario.name]).arg(data_dir).uid(65_534).output();
    std::fs::remove_file(&program).unwrap();
    let refused = output.unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(77), "{text}");
    assert!(text.contains("sudo"), "{text}");
}

/// Joins every namespace of a sandbox as root of its user namespace, as a runtime that broke out of its user would.
fn own_root(scenario: &Scenario, data_dir: &Path) {
    let mut running = start(scenario, data_dir);
    let init = children(running.pid()).into_iter().find(|pid| *pid != running.server).unwrap();
    let enter = |script: &str| {
        let output = Command::new("/usr/bin/nsenter")
            .args(["--target", &init.to_string(), "--all", "--setuid", "0", "--setgid", "0"])
            .args(["/bin/sh", "-c", script])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(
        enter("id -u; cat /proc/self/uid_map | wc -l; cat /var/task/hello"),
        "0\n2\nhello from the code"
    );
    for attempt in [
        "mount -o remount,rw /",
        "mount -o remount,rw,bind /var/task",
        "umount /var/task",
        "mount -t tmpfs none /tmp",
        "touch /var/task/x",
        "touch /etc/x",
        "hostname other",
        "ip link set lo down",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo 1 > /proc/sys/kernel/panic",
        "echo b > /proc/sysrq-trigger",
        "mknod /tmp/disk b 254 0",
        "cat /proc/keys | grep .",
        "dd if=/dev/vda of=/dev/null count=1",
        "kill -9 1 && sleep 0.1 && ! kill -0 1",
    ] {
        assert_eq!(enter(&format!("({attempt}) >/dev/null 2>&1 && echo did it")), "", "{attempt}");
    }
    assert!(!is_gone(init));
    signal(running.server, Signal::KILL);
    running.launcher.wait().unwrap();
}

fn foreign(scenario: &Scenario, data_dir: &Path) {
    std::fs::create_dir(data_dir).unwrap();
    std::fs::write(data_dir.join("diary.txt"), "dear diary").unwrap();
    let refused = Command::new(std::env::current_exe().unwrap())
        .args(["--scenario", scenario.name])
        .arg(data_dir)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(77));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("files that samovar did not make"));
}

/// A server that never stops asking keeps the launcher neither from building nor from noticing ends.
fn flood(side: ServerSide) {
    let (answered, answers) = mpsc::channel();
    for _ in 0..30_000 {
        let answered = answered.clone();
        side.client.destroy(EnvironmentId::fresh(&Dice::system()), move || {
            let _ = answered.send(());
        });
    }
    let sandbox = Boxed::new(&side);
    for _ in 0..1_000 {
        side.client.destroy(sandbox.id, || ());
    }
    assert!(comes_true(|| groups(&side).is_empty()), "the end of a sandbox is noticed in the flood");
    for _ in 0..30_000 {
        answers.recv_timeout(PATIENCE).unwrap();
    }
    let after = Boxed::new(&side);
    assert_eq!(after.sh("echo well"), "well\n");
}
