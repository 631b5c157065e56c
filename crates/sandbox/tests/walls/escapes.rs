//! What a function sees and cannot do.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use base::random::Dice;
use base::units::Mib;
use sandbox::identity::FIRST_ENVIRONMENT_UID;
use sandbox::protocol::{Exit, FromInit};
use sandbox::{SandboxSpec, ServerSide};

use crate::driver::{Boxed, Scenario, comes_true, inside, spec};

pub const SCENARIOS: &[Scenario] = &[
    inside("a_function_is_the_recorded_user_without_rights", identity),
    inside("host_files_are_out_of_sight", host_files),
    inside("only_tmp_and_shared_memory_are_writable", writable),
    inside("only_loopback_is_there_and_the_listeners_answer_inside_alone", network),
    inside("escape_calls_are_refused", calls),
    inside("files_move_within_tmp_and_pipes_reopen", file_work),
    inside("other_processes_are_invisible", processes),
    inside("no_descriptor_or_variable_is_inherited", descriptors),
    inside("a_fork_bomb_hits_its_limit", forks),
    inside("two_environments_are_two_users", two_users),
    inside("interpreters_and_their_threads_run", interpreters),
    inside("root_inside_has_no_power_over_the_walls", root_inside),
];

fn identity(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    assert_eq!(
        sandbox.sh("id -u; id -g; id -un; id -G; pwd; hostname; umask"),
        "993\n990\nsbx_user1051\n990\n/var/task\n169-254-100-1\n0022\n"
    );
    let status = sandbox.sh("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
    for line in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{line}:\t0000000000000000")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    let limits = "ulimit -n; ulimit -u; ulimit -s; ulimit -l; ulimit -c";
    assert_eq!(sandbox.run(&["/bin/bash", "-c", limits]).1, "1024\n742\n8192\n64\n0\n");
    assert_eq!(sandbox.sh("cat /proc/self/cgroup | cut -d: -f3 | sort -u"), "/\n");
}

fn host_files(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    for path in ["/root", "/work", "/etc/shadow", "/etc/ssh", "/sys/kernel", "/run/samovar", "/host", "/code"]
    {
        let (exit, output) = sandbox.run(&["/bin/ls", path]);
        assert_ne!(exit, Exit::Status(0), "{path}: {output}");
    }
    assert_eq!(sandbox.sh("cat hello"), "hello from the code");
    assert_eq!(sandbox.sh("stat -c %U:%a /var/task"), "root:755\n");
    assert_eq!(sandbox.sh("python3 /var/runtime/python/bootstrap.py"), "hello from the runtime\n");
    assert_eq!(sandbox.sh("getent hosts sandbox.localdomain | cut -d' ' -f1"), "169.254.100.1\n");
    assert_eq!(sandbox.sh("cat /proc/keys /proc/timer_list /proc/interrupts 2>/dev/null | wc -c"), "0\n");
    assert_eq!(sandbox.sh("ls -A /opt /sys /run"), "/opt:\nelsewhere\n\n/run:\n\n/sys:\ndevices\n");
}

fn writable(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    for path in ["/x", "/usr/x", "/var/task/x", "/opt/x", "/etc/x", "/dev/x", "/var/runtime/x", "/proc/x"] {
        let (exit, output) = sandbox.run(&["/usr/bin/touch", path]);
        assert_ne!(exit, Exit::Status(0), "{path}: {output}");
    }
    assert_eq!(sandbox.sh("echo a > /tmp/a && echo b > /dev/shm/b && cat /tmp/a /dev/shm/b"), "a\nb\n");
    assert_eq!(sandbox.sh("stat -c %a /tmp /dev/shm"), "1777\n1777\n");
    assert_eq!(sandbox.sh("cp /bin/true /tmp/true && /tmp/true && echo ran"), "ran\n");
    assert_eq!(
        sandbox.sh("echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 9 /dev/urandom | wc -c"),
        "3\n9\n"
    );
    assert_eq!(
        sandbox.sh("echo out > /dev/stdout; echo err > /dev/stderr; exec /bin/bash -c 'echo frame >&62'"),
        "out\nerr\nframe\n"
    );
    let semaphore = "import multiprocessing as m; l = m.Lock(); l.acquire(); print('locked')";
    assert_eq!(sandbox.python(semaphore), "locked\n");
}

fn network(side: ServerSide) {
    let sandbox = Boxed::of(&side, SandboxSpec { endpoint: true, ..spec() });
    let interfaces = "import socket; print([name for _, name in socket.if_nameindex()])";
    assert_eq!(sandbox.python(interfaces), "['lo']\n");
    let outside = "
import socket
for family, address in ((socket.AF_INET, ('1.1.1.1', 53)), (socket.AF_INET, ('169.254.169.254', 80)),
                        (socket.AF_INET6, ('2606:4700::1', 53))):
    try:
        socket.socket(family).connect(address)
        print('connected', address)
    except OSError as error:
        print(error.errno)
";
    assert_eq!(sandbox.python(outside), "101\n101\n101\n");

    let listeners = [
        sandbox.built.runtime_api.try_clone().unwrap(),
        sandbox.built.endpoint.as_ref().unwrap().try_clone().unwrap(),
    ];
    let servers = listeners.map(|listener| {
        listener.set_nonblocking(false).unwrap();
        std::thread::spawn(move || {
            let (mut stream, from) = listener.accept().unwrap();
            let mut request = [0; 5];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"world").unwrap();
            (from.ip().to_string(), request)
        })
    });
    let call = "
import socket
for port in (9001, 4566):
    s = socket.create_connection(('169.254.100.1', port)); s.sendall(b'hello'); print(s.recv(5))
";
    assert_eq!(sandbox.python(call), "b'world'\nb'world'\n");
    for server in servers {
        assert_eq!(server.join().unwrap(), ("169.254.100.1".to_owned(), *b"hello"));
    }
    // Some networks answer for every address, so what counts is that nobody arrives here.
    let address: SocketAddr = "169.254.100.1:9001".parse().unwrap();
    let _ = TcpStream::connect_timeout(&address, Duration::from_millis(300));
    sandbox.built.runtime_api.set_nonblocking(true).unwrap();
    assert_eq!(sandbox.built.runtime_api.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

fn calls(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    let script = r#"
import ctypes, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*arguments)
    print(name, ctypes.get_errno() if result < 0 else 'worked')
call('unshare user', 272, 0x10000000)
call('unshare mount', 272, 0x20000)
call('setns', 308, 0, 0)
call('mount', 165, b'none', b'/tmp', b'tmpfs', 0, None)
call('umount', 166, b'/tmp', 0)
call('pivot_root', 155, b'.', b'.')
call('ptrace', 101, 0, 0, 0, 0)
call('bpf', 321, 0, 0, 0)
call('perf', 298, 0, 0, -1, -1, 0)
call('keyctl', 250, 0, -3, 0)
call('userfaultfd', 323, 0)
call('open_by_handle_at', 304, -100, 0, 0)
call('io_uring', 425, 1, 0)
call('clone3', 435, 0, 0)
call('unknown', 480)
call('clone newuser', 56, 0x10000000 | 17, 0, 0, 0, 0)
call('personality', 135, 0x40000)
call('setuid', 105, 0)
call('setgroups', 116, 0, 0)
call('chroot', 161, b'/tmp')
call('mknod', 259, -100, b'/tmp/node', 0o20666, 0x103)
call('whiteout', 259, -100, b'/tmp/node', 0o20666, 0)
for name, family, kind, protocol in (
    ('packet', socket.AF_PACKET, socket.SOCK_RAW, 0), ('raw', socket.AF_INET, socket.SOCK_RAW, 1),
    ('vsock', 40, socket.SOCK_STREAM, 0), ('alg', 38, socket.SOCK_SEQPACKET, 0)):
    try:
        socket.socket(family, kind, protocol); print(name, 'worked')
    except OSError as error:
        print(name, error.errno)
"#;
    let expected = "unshare user 1\nunshare mount 1\nsetns 1\nmount 1\numount 1\npivot_root 1\nptrace 1\nbpf 1\nperf 1\n\
        keyctl 1\nuserfaultfd 1\nopen_by_handle_at 1\nio_uring 38\nclone3 38\nunknown 38\nclone newuser 1\n\
        personality 1\nsetuid 1\nsetgroups 1\nchroot 1\nmknod 13\nwhiteout 13\npacket 97\nraw 1\nvsock 97\nalg 97\n";
    assert_eq!(sandbox.python(script), expected);
}

/// What a second wall about files must not stand in the way of.
fn file_work(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    let script = "
import os, socket, mmap, multiprocessing, signal, subprocess, tempfile
os.makedirs('/tmp/a/b'); os.mkdir('/tmp/c'); open('/tmp/a/b/f', 'w').write('text')
os.rename('/tmp/a/b/f', '/tmp/c/f'); os.link('/tmp/c/f', '/tmp/a/l'); os.symlink('/tmp/c/f', '/tmp/s'); os.truncate('/tmp/c/f', 2)
os.mkfifo('/tmp/p'); u = socket.socket(socket.AF_UNIX); u.bind('/tmp/u'); u.listen(); socket.socket(socket.AF_UNIX).connect('/tmp/u')
a = socket.socket(socket.AF_UNIX); a.bind('\\0own'); a.listen(); socket.socket(socket.AF_UNIX).connect('\\0own')
open('/dev/stdout', 'w').write('out '); open('/proc/self/fd/2', 'w').write('err '); open('/dev/null', 'w').write('x')
m = os.memfd_create('m'); os.write(m, b'memfd '); os.write(1, open(f'/proc/self/fd/{m}', 'rb').read())
open('/proc/self/comm', 'w').write('renamed'); open('/proc/self/oom_score_adj', 'w').write('900')
child = subprocess.Popen(['/bin/sleep', '60']); child.send_signal(signal.SIGTERM); print(-child.wait(), end=' ')
with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]), end=' ')
print(open('/tmp/s').read(), open('/proc/self/comm').read().strip(), tempfile.gettempdir(), os.isatty(0))
os.unlink('/tmp/u'); os.unlink('/tmp/p'); os.unlink('/tmp/s'); os.rmdir('/tmp/a/b')
";
    assert_eq!(sandbox.python(script), "out err memfd 15 [1, 2] te renamed /tmp False\n");
}

fn processes(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    // The shell, its subshells and programs; neither the init nor anybody of the host.
    let seen = sandbox.sh("ls /proc | grep -E '^[0-9]+$'");
    let pids: Vec<u32> = seen.lines().map(|line| line.parse().unwrap()).collect();
    assert!(!pids.contains(&1) && pids.iter().all(|pid| *pid < 100), "{seen}");
    for attempt in
        ["cat /proc/1/cmdline", "cat /proc/1/environ", "ls /proc/1/fd", "kill -9 1", "readlink /proc/1/exe"]
    {
        let (exit, output) = sandbox.run(&["/bin/sh", "-c", attempt]);
        assert_ne!(exit, Exit::Status(0), "{attempt}: {output}");
    }
}

fn descriptors(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    // 3 is the directory that `ls` reads.
    assert_eq!(sandbox.run(&["/bin/ls", "/proc/self/fd"]).1, "0\n1\n2\n3\n62\n");
    assert_eq!(sandbox.sh("readlink /proc/self/fd/0"), "/dev/null\n");
    assert_eq!(sandbox.run(&["/usr/bin/env"]).1, "PATH=/usr/local/bin:/usr/bin:/bin\nLANG=C.UTF-8\n");
    let status = sandbox.run(&["/bin/cat", "/proc/self/status"]).1;
    for line in ["SigBlk", "SigIgn"] {
        assert!(status.contains(&format!("{line}:\t0000000000000000\n")), "{status}");
    }
}

fn forks(side: ServerSide) {
    let sandbox = Boxed::of(&side, SandboxSpec { memory: Mib(1024), ..spec() });
    let bomb = "
import os, sys
count = 0
while True:
    try:
        if os.fork() == 0:
            import time; time.sleep(60); os._exit(0)
        count += 1
    except OSError as error:
        print(600 < count < 742, error.errno); sys.stdout.flush(); os._exit(0)
";
    assert_eq!(sandbox.python(bomb), "True 11\n");
    sandbox.reset();
    assert_eq!(sandbox.sh("echo alive"), "alive\n");
}

/// The users of the processes whose command line has this word.
fn users_of(word: &str) -> BTreeSet<u32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter(|process| {
        std::fs::read_to_string(process.path().join("cmdline")).unwrap_or_default().contains(word)
    });
    processes.filter_map(|process| Some(std::fs::metadata(process.path().join("task")).ok()?.uid())).collect()
}

fn two_users(side: ServerSide) {
    let (one, other) = (Boxed::new(&side), Boxed::new(&side));
    one.sh("echo secret > /tmp/secret; echo shared > /dev/shm/shared");
    assert_eq!(other.sh("ls -A /tmp /dev/shm"), "/dev/shm:\n\n/tmp:\n");
    let unique = format!("61.{}", u32::from_ne_bytes(Dice::system().bytes()));
    for sandbox in [&one, &other] {
        assert!(matches!(sandbox.start(&["/bin/sleep", &unique]), FromInit::Started { .. }));
    }
    // A program that has just taken over has no command line yet.
    assert!(comes_true(|| users_of(&unique).len() == 2), "{:?}", users_of(&unique));
    let users = users_of(&unique);
    assert!(users.iter().all(|user| *user >= FIRST_ENVIRONMENT_UID), "{users:?}");
    one.reset();
    one.start(&["/bin/sleep", &unique]);
    other.reset();
    assert_eq!(other.sh("set -- /proc/[0-9]*; echo $#"), "1\n", "the shell");
}

fn interpreters(side: ServerSide) {
    let sandbox = Boxed::of(&side, SandboxSpec { memory: Mib(512), ..spec() });
    let threads = "
import threading, subprocess, json, ssl, socket
ts = [threading.Thread(target=print, args=('thread',)) for _ in range(3)]
[t.start() for t in ts]; [t.join() for t in ts]
print(subprocess.check_output(['echo', 'child']).decode(), end='')
print(len(ssl.create_default_context().get_ca_certs()) > 10, socket.gethostbyname('localhost'))
";
    assert_eq!(sandbox.python(threads), "thread\nthread\nthread\nchild\nTrue 127.0.0.1\n");
    if std::path::Path::new("/usr/bin/node").exists() {
        let script = "const w = require('worker_threads'); new w.Worker('console.log(process.version[0])', {eval: true})";
        assert_eq!(sandbox.run(&["/usr/bin/node", "-e", script]), (Exit::Status(0), "v\n".into()));
    }
}

/// A server that was taken over could ask for nothing worse than what it may ask for; a function that became root
/// inside would still own no wall. The nearest one can come from outside is the code owner's view: files are
/// root's, and nothing of them can be written.
fn root_inside(side: ServerSide) {
    let sandbox = Boxed::new(&side);
    assert_eq!(sandbox.sh("cat /proc/self/uid_map | tr -s ' ' | cut -d' ' -f2,4"), "0 1\n993 1\n");
    assert_eq!(sandbox.sh("grep -c . /proc/net/dev; cat /proc/sys/net/ipv4/ip_forward"), "3\n0\n");
    let (exit, _) = sandbox.run(&["/bin/sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    assert_ne!(exit, Exit::Status(0));
}
