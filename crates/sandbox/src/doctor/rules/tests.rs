use super::*;

/// A machine as it was captured: what a text or a place says, over what all have in common.
fn host(texts: &[(&str, &str)], places: &[&str]) -> Facts {
    let common = [
        ("/proc/filesystems", "nodev\ttmpfs\nnodev\toverlay\n\text4\n"),
        (
            "/proc/sys/kernel/seccomp/actions_avail",
            "kill_process kill_thread trap errno user_notif trace log allow\n",
        ),
        ("/proc/sys/user/max_user_namespaces", "63477\n"),
        ("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"),
        ("/proc/sys/net/ipv4/ip_forward", "1\n"),
        ("/proc/sys/net/ipv6/conf/all/disable_ipv6", "0\n"),
        ("/proc/sys/kernel/core_pattern", "core\n"),
    ];
    let texts = common.iter().chain(texts).map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let spaces = PLACES.iter().copied().filter(|path| path.starts_with("/proc/self/ns"));
    Facts {
        release: "6.1.0-18-amd64".into(),
        landlock: Some(3),
        open_files: Some(1_048_576),
        nft: Some("/usr/sbin/nft".into()),
        disk: Some(Disk { at: "/var/lib/samovar".into(), free: 40 << 30 }),
        interpreters: vec!["Python 3.11.2".into()],
        texts: texts.collect(),
        veth: true,
        there: spaces.chain(places.iter().copied()).map(str::to_owned).collect(),
        ..Facts::default()
    }
}

/// Debian 12, everything from one version-2 hierarchy.
fn debian() -> Facts {
    host(
        &[
            (
                "/proc/self/mountinfo",
                "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
                 24 22 0:22 / /proc rw,nosuid - proc proc rw\n\
                 30 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
            ),
            ("/proc/self/cgroup", "0::/user.slice/session-1.scope\n"),
            ("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n"),
            ("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2\tpartition\t998396\t0\t-2\n"),
        ],
        &[],
    )
}

/// A small virtual machine with separate version-1 hierarchies and few descriptors.
fn micro_vm() -> Facts {
    let facts = host(
        &[
            (
                "/proc/self/mountinfo",
                "22 1 254:0 / / rw - ext4 /dev/root rw\n\
                 30 22 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                 33 22 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                 34 22 0:30 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n\
                 38 22 0:34 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                 40 22 0:36 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            ),
            ("/proc/self/cgroup", "8:pids:/\n4:memory:/\n1:cpu:/\n0::/\n"),
            ("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/swap\tfile\t998396\t0\t-2\n"),
            ("/proc/sys/net/ipv4/ip_forward", "0\n"),
        ],
        &["/sys/fs/cgroup/memory/memory.oom_control"],
    );
    Facts { release: "6.18.44-fc".into(), open_files: Some(500), nft: None, landlock: None, ..facts }
}

/// A container without rights: root by name, control groups that offer nothing.
fn container() -> Facts {
    let facts = host(
        &[
            (
                "/proc/self/mountinfo",
                "700 600 0:50 / / rw - overlay overlay rw\n\
                 703 700 0:26 /docker/ab /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
            ),
            ("/proc/self/cgroup", "0::/\n"),
            ("/sys/fs/cgroup/cgroup.controllers", "\n"),
            ("/proc/sys/kernel/core_pattern", "|/usr/share/apport/apport -p%p\n"),
            ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"),
        ],
        &[],
    );
    Facts { lacking: vec!["CAP_NET_ADMIN", "CAP_SYS_ADMIN"], ..facts }
}

fn states(facts: &Facts, isolation: Isolation, state: State) -> Vec<&'static str> {
    let findings = verdicts(facts, isolation);
    findings.into_iter().filter(|finding| finding.state == state).map(|finding| finding.wall).collect()
}

fn detail(facts: &Facts, wall: &str) -> String {
    let findings = verdicts(facts, Isolation::Full);
    findings.into_iter().find(|finding| finding.wall == wall).map(|finding| finding.detail).unwrap()
}

#[test]
fn a_common_server_gives_everything() {
    assert_eq!(states(&debian(), Isolation::Full, State::Missing), [""; 0]);
    assert_eq!(states(&debian(), Isolation::Full, State::Weaker), [""; 0]);
    assert_eq!(detail(&debian(), "memory limit"), "cgroup version 2 at /sys/fs/cgroup");
    assert_eq!(detail(&debian(), "swap"), "on, and forbidden to functions");
}

#[test]
fn a_small_machine_is_ready_and_says_what_is_weaker() {
    let facts = micro_vm();
    assert!(is_ready(&verdicts(&facts, Isolation::Full)));
    let weaker = ["freezer", "swap", "landlock", "egress filter", "forwarding", "open files"];
    assert_eq!(states(&facts, Isolation::Full, State::Weaker), weaker);
    assert_eq!(detail(&facts, "memory limit"), "cgroup version 1 at /sys/fs/cgroup/memory");
    assert_eq!(detail(&facts, "open files"), "a hard limit of 500 makes room for 38 environments");
}

#[test]
fn a_container_without_rights_is_ready_without_walls_only() {
    let facts = container();
    assert_eq!(states(&facts, Isolation::Full, State::Missing), ["launcher's rights", "memory limit"]);
    let weaker = states(&facts, Isolation::Full, State::Weaker);
    assert!(!weaker.contains(&"core dumps") && weaker.contains(&"processor share"), "{weaker:?}");
    assert!(is_ready(&verdicts(&facts, Isolation::None)));
}

#[test]
fn a_socket_that_collects_core_dumps_is_named() {
    let facts = host(&[("/proc/sys/kernel/core_pattern", "@/run/coredump.socket\n")], &[]);
    assert!(states(&facts, Isolation::Full, State::Weaker).contains(&"core dumps"));
    assert!(detail(&facts, "core dumps").ends_with("/run/coredump.socket"));
}

#[test]
fn an_ordinary_user_is_told_of_both_ways_and_of_what_was_out_of_sight() {
    let facts = Facts { uid: 1000, unreadable: vec!["/proc/swaps".into()], ..debian() };
    let findings = verdicts(&facts, Isolation::Full);
    assert!(!is_ready(&findings));
    assert!(findings[0].advice.contains("sudo") && findings[0].advice.contains("--isolation none"));
    assert!(findings.last().unwrap().detail.contains("/proc/swaps"));
    let plain = verdicts(&facts, Isolation::None);
    assert!(is_ready(&plain));
    for (wall, _) in NOT_ENFORCED {
        assert!(
            plain.iter().any(|finding| finding.wall == *wall && finding.state == State::Weaker),
            "{wall}"
        );
    }
}

#[test]
fn nothing_known_is_nothing_promised() {
    let findings = verdicts(&Facts::default(), Isolation::Full);
    assert!(!is_ready(&findings));
    assert!(states(&Facts::default(), Isolation::Full, State::Missing).contains(&"namespaces"));
    assert!(!is_ready(&verdicts(&Facts::default(), Isolation::None)));
}

#[test]
fn releases_are_compared_by_number() {
    assert_eq!(version("6.18.44-fc-v669"), Some((6, 18)));
    assert_eq!(version("5.9"), Some((5, 9)));
    assert!(version("5.9.1") < version("5.12.0"));
    assert_eq!(version("odd"), None);
}

#[test]
fn who_has_no_zygote_is_told_why() {
    let with = |lack: &[&'static str]| Facts {
        zygotes: vec!["python3.11".into()],
        zygotes_lack: lack.to_vec(),
        ..debian()
    };
    assert_eq!(detail(&with(&[]), "zygotes"), "runtimes of python3.11 are forked");
    assert_eq!(states(&with(&["CAP_SYS_PTRACE"]), Isolation::Full, State::Weaker), ["zygotes"]);
    assert_eq!(detail(&with(&["CAP_SYS_PTRACE"]), "zygotes"), "this process lacks CAP_SYS_PTRACE");
    assert!(
        states(&with(&["CAP_SYS_PTRACE"]), Isolation::None, State::Weaker)
            .iter()
            .all(|wall| *wall != "zygotes")
    );
}
