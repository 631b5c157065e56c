//! Sandboxes that were built before anybody asked for them.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use base::clock::Clock;
use base::id::EnvironmentId;
use base::units::Mib;
use rustix::process::{Pid, Signal, kill_process};
use sandbox::protocol::{Exit, FromInit};
use sandbox::{Built, SandboxSpec, ServerSide};

use crate::driver::{
    Boxed, CODE, PATIENCE, Scenario, ahead, await_ready, build, children, comes_true, groups, inside, ready,
    spec, unpack_into,
};
use crate::lifecycle::{end, is_gone, killed, linger, start};

pub const SCENARIOS: &[Scenario] = &[
    ahead("two_that_were_built_ahead_share_nothing", 2, strangers),
    ahead("one_that_was_built_ahead_has_its_functions_sizes_and_layers", 4, sizes),
    ahead("a_burst_empties_the_shelves_and_all_are_served", 8, burst),
    ahead("code_that_is_not_there_costs_one_sandbox", 2, missing),
    ahead("layers_are_stacked_once_for_all", 4, stacked),
    ahead("speed_built_ahead", 100, speed),
    inside("cycles_leave_nothing", cycles),
    ahead("cycles_leave_nothing_built_ahead", 16, cycles),
    Scenario {
        name: "what_was_built_ahead_goes_with_the_launcher_and_is_replaced_when_it_dies",
        server: linger,
        outside: Some(killed_with_some_ready),
        ahead: 4,
    },
];

fn strangers(side: ServerSide) {
    unpack_into(&side, "644 hello first", "code-one").unwrap();
    unpack_into(&side, "644 hello second", "code-two").unwrap();
    let waited = ready();
    let first = Boxed::of(&side, SandboxSpec { code: "code-one".into(), ..spec() });
    let second = Boxed::of(&side, SandboxSpec { code: "code-two".into(), ..spec() });
    let inits = ready();
    assert!(waited.iter().take(2).all(|init| inits.contains(init)), "both were taken: {waited:?} {inits:?}");
    let look = "cat /var/task/hello; echo; ls -A /tmp /dev/shm /var/task | xargs; echo here > /tmp/mine; \
        echo here > /dev/shm/mine; for kind in ipc mnt net pid user uts; do readlink /proc/self/ns/$kind; done; \
        ls /proc | grep -c '^[0-9]'";
    let (one, two) = (first.sh(look), second.sh(look));
    for (told, own, other) in [(&one, "first", "second"), (&two, "second", "first")] {
        assert!(told.starts_with(&format!("{own}\n/dev/shm: /tmp: /var/task: hello\n")), "{told}");
        assert!(!told.contains(other), "{told}");
    }
    let namespaces =
        |told: &str| told.lines().filter(|line| line.contains(":[")).map(str::to_owned).collect::<Vec<_>>();
    let (one, two) = (namespaces(&one), namespaces(&two));
    assert_eq!(one.len(), 6);
    assert!(one.iter().all(|namespace| !two.contains(namespace)), "{one:?} {two:?}");
    // What was given away does not come back.
    let inits = ready();
    first.destroy(&side);
    second.destroy(&side);
    await_ready(2);
    assert!(waited.iter().take(2).all(|init| is_gone(*init)), "{waited:?} {inits:?}");
}

fn sizes(side: ServerSide) {
    unpack_into(&side, "644 one/a low\n644 both low", "l1").unwrap();
    unpack_into(&side, "644 two/b high\n644 both high", "l2").unwrap();
    let layers = vec!["l1".into(), "l2".into()];
    let look = "df --output=size -m /tmp /dev/shm | tail -2 | tr -d ' '; free -m | awk '/^Mem:/ { print $2 }'; \
        ls -d /opt/* 2>/dev/null; cat /opt/both /opt/elsewhere/tool/UTC 2>/dev/null | head -c 8; nproc";
    let nproc = |most: usize| std::thread::available_parallelism().unwrap().get().min(most);
    let small = Boxed::of(&side, SandboxSpec { memory: Mib(128), ..spec() });
    let (own, places) = (small.sh(look), "/opt/elsewhere\n");
    assert_eq!(own, format!("514\n64\n128\n{places}{}\n", nproc(2)));
    let large = SandboxSpec { memory: Mib(10_240), tmp: Mib(10_240), layers: layers.clone(), ..spec() };
    let large = Boxed::of(&side, large);
    assert_eq!(
        large.sh(look),
        format!("10241\n64\n10240\n/opt/both\n/opt/one\n/opt/two\nhigh{}\n", nproc(6))
    );
    let other = SandboxSpec { interpreter: Some("elsewhere".into()), layers, ..spec() };
    let other = Boxed::of(&side, other);
    let told = other.sh(look);
    assert!(told.contains("/opt/elsewhere\n/opt/one") && told.contains("highTZif"), "{told:?}");
    for sandbox in [&small, &large, &other] {
        assert_ne!(
            sandbox.run(&["/bin/sh", "-c", "echo x > /opt/x || echo x > /var/task/x"]).0,
            Exit::Status(0)
        );
    }
    // Both limits are the function's own: of memory and of processes' time.
    let (exit, _) = small.run(&["/usr/bin/python3", "-c", "x = bytearray(200 << 20)"]);
    assert_eq!(exit, Exit::OutOfMemory);
    assert_eq!(large.python("x = bytearray(200 << 20); print(len(x))"), "209715200\n");
}

fn build_many(side: &ServerSide, count: usize) -> Vec<Boxed> {
    let (sender, receiver) = mpsc::channel();
    for _ in 0..count {
        let (sender, spec) = (sender.clone(), spec());
        side.client.build(spec.clone(), move |built| sender.send((spec.id, built.unwrap())).unwrap());
    }
    let built = (0..count).map(|_| receiver.recv_timeout(PATIENCE).unwrap());
    built.map(|(id, built)| Boxed { id, built }).collect()
}

fn burst(side: ServerSide) {
    unpack_into(&side, "644 hello hello from the code", CODE).unwrap();
    for _ in 0..2 {
        let sandboxes = build_many(&side, 40);
        for sandbox in &sandboxes {
            sandbox.start(&["/bin/sh", "-c", "[ -z \"$(ls /tmp)\" ] && echo mine > /tmp/mine && cat hello"]);
        }
        for sandbox in &sandboxes {
            assert_eq!(sandbox.hear(), FromInit::Exited(Exit::Status(0)));
            assert_eq!(sandbox.log(), "hello from the code");
        }
        sandboxes.into_iter().for_each(|sandbox| sandbox.destroy(&side));
    }
    await_ready(8);
}

fn missing(side: ServerSide) {
    let before = ready();
    assert!(build(&side.client, SandboxSpec { code: "none".into(), ..spec() }).is_err());
    assert!(build(&side.client, SandboxSpec { layers: vec!["none".into()], ..spec() }).is_err());
    assert_eq!(Boxed::new(&side).sh("echo well"), "well\n");
    await_ready(2);
    assert!(comes_true(|| before.iter().any(|init| is_gone(*init))));
}

fn stacked(side: ServerSide) {
    unpack_into(&side, "644 a low", "l1").unwrap();
    unpack_into(&side, "644 a high", "l2").unwrap();
    let of = || Boxed::of(&side, SandboxSpec { layers: vec!["l1".into(), "l2".into()], ..spec() });
    let (first, second) = (of(), of());
    let device = "cat /opt/a; stat -c ' %d' /opt";
    let shown = first.sh(device);
    assert!(shown.starts_with("high "), "{shown}");
    assert_eq!(second.sh(device), shown, "both show one stack");
    first.destroy(&side);
    assert_eq!(second.sh("cat /opt/a"), "high");
    // A new directory of the same name is another one.
    crate::driver::wait(|done: Box<dyn FnOnce(()) + Send>| side.client.remove_code("l2", || done(())));
    unpack_into(&side, "644 a newest", "l2").unwrap();
    assert_eq!(of().sh("cat /opt/a"), "newest");
}

fn killed_with_some_ready(scenario: &Scenario, data_dir: &Path) {
    killed(scenario, data_dir);
    // One that somebody else kills is replaced.
    let running = start(scenario, data_dir);
    let (launcher, server) = (running.launcher.id() as i32, running.server);
    let inits = || children(launcher).into_iter().filter(|pid| *pid != server).collect::<Vec<_>>();
    let victim = inits()[0];
    let count = inits().len();
    kill_process(Pid::from_raw(victim).unwrap(), Signal::KILL).unwrap();
    assert!(comes_true(|| is_gone(victim) && inits().len() >= count), "{victim} of {count}");
    end(running);
}

/// Informational.
fn speed(side: ServerSide) {
    let clock = Clock::system();
    unpack_into(&side, "644 hello hello from the code", CODE).unwrap();
    let mut builds = Vec::new();
    let taken: Vec<_> = (0..50)
        .map(|_| {
            let begin = clock.now();
            let sandbox = Boxed::new(&side);
            builds.push(clock.now().since(begin));
            sandbox
        })
        .collect();
    builds.sort();
    println!("note: p50 claim {} us", builds[builds.len() / 2].as_micros());
    taken.into_iter().for_each(|sandbox| sandbox.destroy(&side));
    await_ready(100);
    let (begin, worked) = (clock.now(), launchers_work());
    let all = build_many(&side, 100);
    let (took, worked) = (clock.now().since(begin), launchers_work() - worked);
    println!("note: 100 at once, {} us each, {} of the launcher", took.as_micros() / 100, worked / 100);
    all.into_iter().for_each(|sandbox| sandbox.destroy(&side));
}

/// Processor time that the launcher has had, in microseconds.
fn launchers_work() -> u64 {
    let launcher = rustix::process::getppid().unwrap().as_raw_nonzero();
    let text = std::fs::read_to_string(format!("/proc/{launcher}/schedstat")).unwrap();
    text.split(' ').next().unwrap().parse::<u64>().unwrap() / 1_000
}

/// As many sandboxes come and go at once.
const AT_ONCE: usize = 16;

/// Builds and destroys; to measure, set WALLS_CYCLES to 20000.
fn cycles(side: ServerSide) {
    let count = std::env::var("WALLS_CYCLES").map_or(300, |count| count.parse().unwrap());
    unpack_into(&side, "644 hello hello from the code", CODE).unwrap();
    let launcher = rustix::process::getppid().unwrap().as_raw_nonzero().get();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let (sender, events) = mpsc::channel::<Option<(EnvironmentId, Built)>>();
    let begin_one = || {
        let (sender, spec) = (sender.clone(), spec());
        side.client.build(spec.clone(), move |built| sender.send(Some((spec.id, built.unwrap()))).unwrap());
    };
    let (before, clock) = (open(), Clock::system());
    let (begin, worked) = (clock.now(), launchers_work());
    let (mut begun, mut ended) = (AT_ONCE.min(count), 0);
    (0..begun).for_each(|_| begin_one());
    while ended < count {
        match events.recv_timeout(PATIENCE).unwrap() {
            Some((id, built)) => {
                drop(built);
                let sender = sender.clone();
                side.client.destroy(id, move || sender.send(None).unwrap());
            }
            None => {
                ended += 1;
                if begun < count {
                    begun += 1;
                    begin_one();
                }
            }
        }
    }
    let took = clock.now().since(begin).max(Duration::from_micros(1));
    let (rate, worked) = (count as f64 / took.as_secs_f64(), (launchers_work() - worked) / count as u64);
    println!("note: {rate:.0} sandboxes a second, {worked} us of the launcher each");
    let is_clean = || {
        let (inits, known) = (children(launcher).len() - 1, ready().len());
        inits == known && groups(&side).len().is_multiple_of(inits.max(1)) && open() <= before
    };
    assert!(comes_true(is_clean), "{} processes, {:?}", children(launcher).len(), groups(&side));
}
