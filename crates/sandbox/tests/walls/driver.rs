//! Drives launchers and sandboxes, blocking.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use base::clock::Clock;
use base::id::EnvironmentId;
use base::random::Dice;
use base::units::Mib;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::thread::CapabilitySet;
use sandbox::plan::egress::{self, Wishes};
use sandbox::protocol::{Exit, FromInit, Snapshot, ToInit};
use sandbox::{BuildError, Built, LauncherClient, LauncherSetup, SandboxSpec, ServerSide};

/// One thing to show.
#[derive(Clone)]
pub struct Scenario {
    pub name: &'static str,
    /// What the server does.
    pub server: fn(ServerSide),
    /// What is done around the launcher's process, when the scenario is about that.
    pub outside: Option<fn(&Scenario, &Path)>,
    /// Sandboxes that the launcher keeps ready; the scenario begins when they are.
    pub ahead: usize,
}

/// A scenario that plays in the server.
pub const fn inside(name: &'static str, server: fn(ServerSide)) -> Scenario {
    Scenario { name, server, outside: None, ahead: 0 }
}

/// The same with sandboxes that were built ahead.
pub const fn ahead(name: &'static str, ahead: usize, server: fn(ServerSide)) -> Scenario {
    Scenario { name, server, outside: None, ahead }
}

/// Ends the names of scenarios whose launcher may not go to other mounts, as none can before Linux 5.12.
const LEFT_TREE: &str = "_leaving_the_launchers_tree";

/// Every scenario, and again with sandboxes that were built ahead, and with such that have no shell to copy.
pub fn all_ways(scenarios: &[Scenario]) -> Vec<Scenario> {
    let walled: Vec<_> =
        scenarios.iter().filter(|scenario| !scenario.name.ends_with("_without_walls")).collect();
    let again = |ending: &str, ahead: usize| {
        let name = |scenario: &Scenario| format!("{}{ending}", scenario.name).leak();
        walled
            .iter()
            .map(|scenario| Scenario { name: name(scenario), ahead, ..(*scenario).clone() })
            .collect::<Vec<_>>()
    };
    [scenarios, &again("_built_ahead", 3), &again(LEFT_TREE, 0)].concat()
}

/// Becomes a launcher whose server plays the scenario.
pub fn play(scenario: &Scenario, data_dir: &Path) -> ExitCode {
    let (server, ahead) = (scenario.server, scenario.ahead);
    let mut setup = LauncherSetup { prepared: Some(ahead), ..setup(data_dir) };
    if scenario.name.ends_with("_without_walls") {
        setup.isolation = sandbox::Isolation::None;
    }
    if scenario.name.ends_with(LEFT_TREE) {
        let mut held = rustix::thread::capabilities(None).unwrap();
        held.effective.remove(CapabilitySet::SYS_CHROOT);
        held.permitted.remove(CapabilitySet::SYS_CHROOT);
        rustix::thread::set_capabilities(None, held).unwrap();
    }
    let code = sandbox::launch(setup, |side| {
        let play = || {
            await_ready(ahead);
            server(side);
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(play)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }
    });
    code.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(77)
    })
}

/// None, so that the tests change nothing on the host. To measure with a way out, set WALLS_EGRESS in a network
/// namespace of your own: `unshare -n sh -c 'ip link set lo up; WALLS_EGRESS=nat cargo test --test walls speed'`.
fn wishes() -> Wishes {
    match std::env::var_os("WALLS_EGRESS") {
        Some(_) => Wishes { mode: egress::Mode::Nat, may_forward: true, ..Wishes::default() },
        None => Wishes { mode: egress::Mode::None, ..Wishes::default() },
    }
}

pub fn setup(data_dir: &Path) -> LauncherSetup {
    let runtime_file = sandbox::RuntimeFile {
        path: "python/bootstrap.py".into(),
        contents: b"print('hello from the runtime')\n".as_slice().into(),
        executable: true,
    };
    LauncherSetup {
        data_dir: data_dir.to_owned(),
        interpreters: vec![sandbox::InterpreterRoot {
            id: "elsewhere".into(),
            mounts: vec![sandbox::HostMount {
                host: "/usr/share/zoneinfo".into(),
                inside: "/opt/elsewhere/tool".into(),
            }],
            zygote: None,
        }],
        runtime_files: vec![runtime_file],
        sdk_dir: None,
        unpack,
        cpu_policy: sandbox::CpuPolicy::Shares,
        prepared: None,
        egress: wishes(),
        isolation: sandbox::Isolation::Full,
    }
}

/// Unpacks this test's archives: a line for each file with mode, path and text, or an order to misbehave.
fn unpack(archive: &File, into: BorrowedFd<'_>) -> Result<Vec<u8>, Vec<u8>> {
    let mut text = String::new();
    let mut archive = archive;
    archive.read_to_string(&mut text).map_err(|error| error.to_string().into_bytes())?;
    let mut report = Vec::new();
    for line in text.lines() {
        match line {
            "refuse" => return Err(b"not to my taste".to_vec()),
            "abort" => std::process::abort(),
            "panic" => panic!("an unpacker that panics"),
            "long" => return Ok(vec![b'x'; 1 << 20]),
            "prey" => report.extend(prey().into_bytes()),
            _ => {
                let [mode, path, contents] = line.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
                write_file(into, u32::from_str_radix(mode, 8).unwrap(), path, contents);
            }
        }
    }
    report.extend(format!("{} lines", text.lines().count()).into_bytes());
    Ok(report)
}

fn write_file(into: BorrowedFd<'_>, mode: u32, path: &str, contents: &str) {
    for (end, _) in path.match_indices('/') {
        let _ = rustix::fs::mkdirat(into, &path[..end], Mode::from_raw_mode(0o755));
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    let file = rustix::fs::openat(into, path, flags, Mode::from_raw_mode(mode)).unwrap();
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).unwrap();
    File::from(file).write_all(contents.replace("\\n", "\n").as_bytes()).unwrap();
}

/// Everything an unpacker finds when it looks around.
fn prey() -> String {
    let tried = [
        ("root", std::fs::read_dir("/").map(|entries| entries.count().to_string())),
        ("passwd", std::fs::read_to_string("/etc/passwd")),
        ("parent", std::fs::read_dir("/..").map(|entries| entries.count().to_string())),
        ("socket", std::net::TcpListener::bind("127.0.0.1:0").map(|_| "bound".into())),
        ("exec", std::process::Command::new("/bin/true").status().map(|_| "ran".into())),
        ("thread", std::thread::Builder::new().spawn(|| ()).map(|_| "ran".into())),
    ];
    let shown = tried.map(|(what, result)| match result {
        Ok(text) => format!("{what}={text};"),
        Err(_) => format!("{what}!;"),
    });
    format!("uid={};{}", rustix::process::getuid().as_raw(), shown.concat())
}

/// A directory of one scenario; removed with all in it.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> Self {
        let unique = Dice::system().hex::<4>();
        Self(std::env::temp_dir().join(format!("samovar-{name}-{unique}")))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Longest that anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until as many sandboxes wait for a function.
pub fn await_ready(count: usize) {
    assert!(comes_true(|| ready().len() >= count), "{} of {count} are ready", ready().len());
}

/// The inits of the launcher's sandboxes that have given up their rights.
pub fn ready() -> Vec<i32> {
    let launcher = rustix::process::getppid().unwrap().as_raw_nonzero().get();
    let has_settled = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("CapEff:\t00000000002001e0\n")
    };
    children(launcher).into_iter().filter(has_settled).collect()
}

/// Waits for a callback.
pub fn wait<T: Send + 'static>(ask: impl FnOnce(Box<dyn FnOnce(T) + Send>)) -> T {
    let (sender, receiver) = mpsc::channel();
    ask(Box::new(move |answer| sender.send(answer).unwrap()));
    receiver.recv_timeout(PATIENCE).unwrap()
}

/// Whether a condition comes true in time.
pub fn comes_true(mut condition: impl FnMut() -> bool) -> bool {
    let clock = Clock::system();
    let deadline = clock.now() + PATIENCE;
    while clock.now() < deadline {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// The code that most scenarios use.
pub const CODE: &str = "code-1";

pub fn archive(side: &ServerSide, text: &str) -> File {
    let path = side.data_dir.join(format!("archive-{}", Dice::system().hex::<4>()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    std::fs::remove_file(&path).unwrap();
    file
}

pub fn unpack_into(side: &ServerSide, text: &str, name: &str) -> Result<String, String> {
    let archive = archive(side, text);
    let result = wait(|done| side.client.unpack(archive, name, done));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    result.map(text).map_err(text)
}

pub fn spec() -> SandboxSpec {
    SandboxSpec {
        id: EnvironmentId::fresh(&Dice::system()),
        memory: Mib(256),
        tmp: Mib(512),
        interpreter: None,
        code: CODE.into(),
        layers: Vec::new(),
        endpoint: false,
        loopback: false,
        waiting: None,
    }
}

pub fn build(client: &LauncherClient, spec: SandboxSpec) -> Result<Built, BuildError> {
    wait(|done| client.build(spec, done))
}

/// A sandbox over [`CODE`].
pub struct Boxed {
    pub id: EnvironmentId,
    pub built: Built,
}

impl Boxed {
    pub fn new(side: &ServerSide) -> Self {
        Self::of(side, spec())
    }

    pub fn of(side: &ServerSide, spec: SandboxSpec) -> Self {
        if !side.data_dir.join("code").join(CODE).exists() {
            unpack_into(side, "644 hello hello from the code\n755 odd no first line", CODE).unwrap();
        }
        Self { id: spec.id, built: build(&side.client, spec).unwrap() }
    }

    pub fn send(&self, message: &ToInit) {
        rustix::io::write(&self.built.control, &message.encode().unwrap()).unwrap();
    }

    pub fn hear(&self) -> FromInit {
        let mut waits = [PollFd::new(&self.built.control, PollFlags::IN)];
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        assert_eq!(poll(&mut waits, Some(&patience)).unwrap(), 1, "the init is silent");
        let mut packet = vec![0; sandbox::limits::CONTROL_BYTES];
        let length = rustix::io::read(&self.built.control, &mut packet[..]).unwrap();
        FromInit::decode(&packet[..length]).unwrap()
    }

    pub fn start(&self, argv: &[&str]) -> FromInit {
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LANG", "C.UTF-8")];
        self.send(&ToInit::Start {
            argv: argv.iter().map(|text| (*text).to_owned()).collect(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            cwd: "/var/task".into(),
            snapshot: Snapshot::default(),
        });
        self.hear()
    }

    /// Starts a program, which must work, and waits for its end.
    pub fn run(&self, argv: &[&str]) -> (Exit, String) {
        let started = self.start(argv);
        assert!(matches!(started, FromInit::Started { .. }), "{argv:?}: {started:?}");
        let mut output = String::new();
        loop {
            // A program may write more than a pipe holds, so the log is read while it runs.
            let mut waits = [
                PollFd::new(&self.built.control, PollFlags::IN),
                PollFd::new(&self.built.log, PollFlags::IN),
            ];
            poll(&mut waits, None).unwrap();
            let ended = !waits[0].revents().is_empty();
            output.push_str(&self.log());
            if ended {
                let FromInit::Exited(exit) = self.hear() else { panic!("something else than an exit") };
                output.push_str(&self.log());
                return (exit, output);
            }
        }
    }

    /// Runs a shell script, which must succeed; its output.
    pub fn sh(&self, script: &str) -> String {
        let (exit, output) = self.run(&["/bin/sh", "-c", script]);
        assert_eq!(exit, Exit::Status(0), "{script}: {output}");
        output
    }

    /// Runs a Python script, which must succeed; its output.
    pub fn python(&self, script: &str) -> String {
        let (exit, output) = self.run(&["/usr/bin/python3", "-I", "-c", script]);
        assert_eq!(exit, Exit::Status(0), "{script}: {output}");
        output
    }

    pub fn reset(&self) {
        self.send(&ToInit::Reset);
        // The end of a process may have been on its way.
        while self.hear() != FromInit::ResetDone {}
    }

    /// What the log holds now.
    pub fn log(&self) -> String {
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = rustix::io::read(self.built.log.as_fd(), &mut buffer) {
            text.extend(&buffer[..length]);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    pub fn destroy(self, side: &ServerSide) {
        wait(|done: Box<dyn FnOnce(()) + Send>| side.client.destroy(self.id, || done(())));
    }
}

/// This launcher's control groups, in all hierarchies.
pub fn groups(side: &ServerSide) -> Vec<PathBuf> {
    let instance = side.data_dir.file_name().unwrap().to_str().unwrap().to_owned();
    groups_of(&instance)
}

pub fn groups_of(instance: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = left.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        let below = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        for entry in below {
            if directory.ends_with(instance) {
                found.push(entry.path());
            } else {
                left.push(entry.path());
            }
        }
    }
    found
}

/// Processes of a parent, on the host.
pub fn children(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        let mut fields = after_name.split(' ');
        // A zombie has ended; only its parent has not looked yet.
        let alive = fields.next().is_some_and(|state| state != "Z");
        alive && fields.next().and_then(|ppid| ppid.parse().ok()) == Some(parent)
    })
    .collect()
}
