//! What a function's processes may do with files, for the kernel's Landlock: a second wall behind mounts and users.

use std::path::Path;

/// What may be done with files, as the kernel numbers it; see `landlock(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(pub u64);

/// Executing, reading files, listing directories.
const READ: u64 = 0b1101;
/// Writing to files that are there.
const WRITE: u64 = 0b10;
/// Removing and making directories, files, sockets, pipes, links.
const MAKE: u64 = 0b1_0111_1011_0000;
/// Making character and block devices.
const MAKE_DEVICES: u64 = 0b1000_0100_0000;
/// Linking and renaming from one directory to another (version 2).
const REFER: u64 = 1 << 13;
/// Truncating (version 3).
const TRUNCATE: u64 = 1 << 14;
/// Commands to devices (version 5).
const DEVICE_COMMANDS: u64 = 1 << 15;

/// The first version that lets a file be renamed from one directory to another; with the one before, too many
/// programs break.
const OLDEST: i64 = 2;

/// The first version that keeps signals and abstract sockets inside.
const SCOPES_SINCE: i64 = 6;

/// A set of rules, as far as the kernel knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// What is refused where no rule allows it.
    pub handled: Access,
    /// Whether signals and connections to abstract sockets stay among the function's processes.
    pub scoped: bool,
    /// What is allowed, at and below a path inside the sandbox.
    pub allowed: Vec<(&'static Path, Access)>,
}

/// The rules for a kernel with this version of Landlock; none where it is too old to be of use.
pub fn rules(version: i64) -> Option<Rules> {
    if version < OLDEST {
        return None;
    }
    let since = |first: i64, access: u64| if version >= first { access } else { 0 };
    let known = READ | WRITE | MAKE | MAKE_DEVICES | REFER | since(3, TRUNCATE) | since(5, DEVICE_COMMANDS);
    let allow = |path: &'static str, access: u64| (Path::new(path), Access(access & known));
    Some(Rules {
        handled: Access(known),
        scoped: version >= SCOPES_SINCE,
        allowed: vec![
            allow("/", READ),
            allow("/tmp", READ | WRITE | MAKE | REFER | TRUNCATE),
            allow("/dev", WRITE | TRUNCATE | DEVICE_COMMANDS),
            allow("/dev/shm", WRITE | MAKE | REFER | TRUNCATE),
            // A process may change its own name, and how soon it is chosen when memory ends.
            allow("/proc", WRITE | TRUNCATE),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_handles_what_it_knows_and_the_first_is_not_used() {
        for (version, handled, scoped) in
            [(2, 0x3fff, false), (3, 0x7fff, false), (5, 0xffff, false), (6, 0xffff, true), (9, 0xffff, true)]
        {
            let rules = rules(version).unwrap();
            assert_eq!((rules.handled, rules.scoped), (Access(handled), scoped), "version {version}");
            assert!(rules.allowed.iter().all(|(_, access)| access.0 & !handled == 0));
        }
        assert_eq!((rules(1), rules(-1)), (None, None));
    }

    #[test]
    fn files_are_made_in_tmp_and_shared_memory_alone_and_devices_nowhere() {
        for (path, access) in rules(6).unwrap().allowed {
            let made = access.0 & MAKE != 0;
            assert_eq!(made, ["/tmp", "/dev/shm"].contains(&path.to_str().unwrap()), "{path:?}");
            assert_eq!(access.0 & MAKE_DEVICES, 0);
        }
        assert_eq!(READ | WRITE | MAKE | MAKE_DEVICES, 0x1fff, "no right is forgotten");
    }
}
