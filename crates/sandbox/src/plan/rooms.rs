//! What is mounted in one sandbox on top of the shared root.

use std::path::{Path, PathBuf};

use base::limits::FUNCTION_TMP;
use base::units::Mib;

use crate::identity::CODE_OWNER_UID;
use crate::limits::{LARGEST_TMP_EXTRA, SHARED_MEMORY, SMALLEST_TMP_EXTRA, TMP_BYTES_PER_INODE};
use crate::plan::root::is_already_shown;
use crate::plan::views::{Machine, VIEWS};
use crate::setup::HostMount;
use crate::spec::SandboxSpec;

/// One mount, in the launcher's small tree; see [`ROOT`], [`CODE`] and [`HOST`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomStep {
    /// Shows a directory or file read-only, without set-user-id programs and devices.
    Show {
        /// What is shown.
        source: PathBuf,
        /// Where.
        at: PathBuf,
    },
    /// Lays directories over each other, read-only.
    Stack {
        /// The option text: directories from top to bottom.
        lower: String,
        /// Where.
        at: PathBuf,
    },
    /// An empty file system in memory that everybody inside may write.
    Memory {
        /// Where.
        at: PathBuf,
        /// The option text.
        options: String,
        /// Whether programs may be executed from it.
        executable: bool,
    },
    /// Gives one of those another size.
    Resize {
        /// Where.
        at: PathBuf,
        /// The option text.
        options: String,
    },
    /// The process file system of the sandbox.
    Processes {
        /// Where.
        at: PathBuf,
    },
    /// Shows one of the launcher's own files or directories, which nobody inside may write.
    Cover {
        /// What is shown.
        source: PathBuf,
        /// What it covers.
        at: PathBuf,
    },
}

/// The shared root, in the launcher's tree.
pub const ROOT: &str = "/root";

/// The data directory's `code/`, in the launcher's tree.
pub const CODE: &str = "/code";

/// Directory of numbered stacks of layers, in the launcher's tree.
pub const STACKS: &str = "/stacks";

/// Directory of numbered interpreter mounts, in the launcher's tree.
pub const HOST: &str = "/host";

/// An interpreter's mount with its place under [`HOST`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedMount {
    /// What the set-up says.
    pub mount: HostMount,
    /// Its number under [`HOST`].
    pub number: usize,
}

/// What to mount in any sandbox with this interpreter, in order.
pub fn ahead(interpreter: &[PlacedMount], machine: &Machine) -> Vec<RoomStep> {
    shown(interpreter).chain(own(machine)).collect()
}

/// What to mount in the shell of sandboxes with this interpreter: where all that they have in common is mounted once. The
/// machine's views come where the sandbox's own process file system hides them.
pub fn shell(interpreter: &[PlacedMount]) -> Vec<RoomStep> {
    let views = RoomStep::Show { source: VIEWS.into(), at: inside("proc") };
    shown(interpreter).chain([views]).collect()
}

/// What to mount in each sandbox within a shell, in order, from the directory of the views.
pub fn within_shell(machine: &Machine) -> Vec<RoomStep> {
    let seen = |step| match step {
        RoomStep::Memory { at, options, executable } => {
            RoomStep::Memory { at: seen_inside(&at), options, executable }
        }
        RoomStep::Processes { at } => RoomStep::Processes { at: seen_inside(&at) },
        RoomStep::Cover { source, at } => {
            let source = source.strip_prefix(VIEWS).map(Path::to_owned).unwrap_or(source);
            RoomStep::Cover { source, at: seen_inside(&at) }
        }
        step => step,
    };
    own(machine).into_iter().map(seen).collect()
}

/// What each sandbox has for itself: the smallest that a function may have.
fn own(machine: &Machine) -> Vec<RoomStep> {
    let tmp = memory_options(tmp_bytes(FUNCTION_TMP.0));
    // No function has less memory than that.
    let shared = memory_options(SHARED_MEMORY.bytes());
    let mut steps = vec![
        RoomStep::Memory { at: inside("tmp"), options: tmp, executable: true },
        RoomStep::Memory { at: inside("dev/shm"), options: shared, executable: false },
    ];
    steps.push(RoomStep::Processes { at: inside("proc") });
    steps.extend(covers(machine.covers()));
    steps
}

/// What to mount on top of that for one function, in order. The request must have passed
/// [`crate::plan::names::refusal`]. `interpreter` is what it has, `mounted` whether [`ahead`] knew of it.
pub fn late(
    spec: &SandboxSpec,
    interpreter: &[PlacedMount],
    mounted: bool,
    machine: &Machine,
) -> Vec<RoomStep> {
    let mut steps = vec![RoomStep::Show { source: code(&spec.code), at: inside("var/task") }];
    if spec.tmp > FUNCTION_TMP.0 {
        steps.push(RoomStep::Resize { at: inside("tmp"), options: size_options(tmp_bytes(spec.tmp)) });
    }
    let within_opt = |placed: &&PlacedMount| placed.mount.inside.starts_with("/opt");
    let opt = opt(&spec.layers, interpreter.iter().any(|placed| within_opt(&placed)));
    let covered = opt.is_some();
    steps.extend(opt);
    // The layers lie on top of what was mounted below /opt.
    let anew = interpreter.iter().filter(|placed| !mounted || (covered && within_opt(placed)));
    steps.extend(shown(anew));
    steps.extend(covers(machine.covers_of(spec.memory)));
    steps
}

/// Where a place in the launcher's tree below [`ROOT`] is for who is in the sandbox.
pub fn seen_inside(at: &Path) -> PathBuf {
    Path::new("/").join(at.strip_prefix(ROOT).unwrap_or(at))
}

/// Shows an interpreter.
pub fn shown<'a>(interpreter: impl IntoIterator<Item = &'a PlacedMount>) -> impl Iterator<Item = RoomStep> {
    let needed = interpreter.into_iter().filter(|placed| !is_already_shown(&placed.mount));
    needed.map(|placed| RoomStep::Show {
        source: Path::new(HOST).join(placed.number.to_string()),
        at: inside(placed.mount.inside.strip_prefix("/").unwrap_or(&placed.mount.inside)),
    })
}

fn covers(covers: Vec<(PathBuf, PathBuf)>) -> impl Iterator<Item = RoomStep> {
    covers.into_iter().map(|(source, at)| RoomStep::Cover { source, at: inside(at) })
}

/// What fits into a `/tmp`, in bytes; sizes between the recorded two follow a line between them.
pub fn tmp_bytes(size: Mib) -> u64 {
    let (least, most) = (Mib(512).bytes(), Mib(10_240).bytes());
    let above = size.bytes().clamp(least, most) - least;
    let extra = SMALLEST_TMP_EXTRA
        - (SMALLEST_TMP_EXTRA - LARGEST_TMP_EXTRA) * (above >> 20) / ((most - least) >> 20);
    size.bytes() + extra
}

/// One layer is shown as it is; several are stacked, the last on top. When the interpreter lives below `/opt`,
/// the shared root's own `/opt`, which has a place for it, goes to the bottom of the stack.
///
/// Layers of one content share a directory, and overlayfs refuses a directory that comes twice (`ELOOP`).
fn opt(layers: &[String], keep_places: bool) -> Option<RoomStep> {
    let at = inside("opt");
    let mut topmost: Vec<&String> = Vec::new();
    for layer in layers.iter().rev() {
        if !topmost.contains(&layer) {
            topmost.push(layer);
        }
    }
    match topmost[..] {
        [] => None,
        [only] if !keep_places => Some(RoomStep::Show { source: code(only), at }),
        _ => {
            let bottom = keep_places.then(|| format!("{ROOT}/opt"));
            let lower: Vec<_> = topmost.iter().map(|layer| format!("{CODE}/{layer}")).chain(bottom).collect();
            Some(RoomStep::Stack { lower: lower.join(":"), at })
        }
    }
}

fn memory_options(bytes: u64) -> String {
    format!("mode=1777,{},uid={CODE_OWNER_UID},gid={CODE_OWNER_UID}", size_options(bytes))
}

fn size_options(bytes: u64) -> String {
    format!("size={bytes},nr_inodes={}", bytes / TMP_BYTES_PER_INODE)
}

fn code(name: &str) -> PathBuf {
    Path::new(CODE).join(name)
}

fn inside(path: impl AsRef<Path>) -> PathBuf {
    Path::new(ROOT).join(path)
}

#[cfg(test)]
mod tests {
    use base::id::EnvironmentId;
    use base::random::Dice;
    use base::units::Mib;

    use super::*;

    fn spec(layers: &[&str]) -> SandboxSpec {
        SandboxSpec {
            id: EnvironmentId::fresh(&Dice::seeded(1)),
            memory: Mib(128),
            tmp: Mib(512),
            interpreter: None,
            code: "c0de".into(),
            layers: layers.iter().map(|layer| (*layer).to_owned()).collect(),
            endpoint: false,
            loopback: false,
            waiting: None,
        }
    }

    fn placed(inside: &str) -> PlacedMount {
        PlacedMount { mount: HostMount { host: "/h".into(), inside: inside.into() }, number: 7 }
    }

    #[test]
    fn code_tmp_and_shared_memory_are_always_there() {
        let machine = Machine { masked: vec![("kcore", false)], ..Machine::default() };
        let late = late(&spec(&[]), &[], true, &machine);
        assert_eq!(late, [RoomStep::Show { source: "/code/c0de".into(), at: "/root/var/task".into() }]);
        let steps = ahead(&[], &machine);
        let owner = "uid=1879048193,gid=1879048193";
        let tmp = format!("mode=1777,size=538333184,nr_inodes=65714,{owner}");
        assert_eq!(steps[0], RoomStep::Memory { at: "/root/tmp".into(), options: tmp, executable: true });
        let shared = format!("mode=1777,size=67108864,nr_inodes=8192,{owner}");
        assert_eq!(
            steps[1],
            RoomStep::Memory { at: "/root/dev/shm".into(), options: shared, executable: false }
        );
        let mask = RoomStep::Cover { source: "/views/empty-file".into(), at: "/root/proc/kcore".into() };
        assert!(steps.contains(&mask));
    }

    #[test]
    fn tmp_holds_what_was_recorded() {
        for (size, bytes) in
            [(512, 538_333_184), (10_240, 10_738_335_744), (513, 539_381_704), (5_376, 5_638_334_464)]
        {
            assert_eq!(tmp_bytes(Mib(size)), bytes, "{size} MB");
        }
    }

    #[test]
    fn one_layer_is_shown_and_several_are_stacked_the_last_on_top() {
        let at = PathBuf::from("/root/opt");
        assert_eq!(
            opt(&spec(&["a"]).layers, false),
            Some(RoomStep::Show { source: "/code/a".into(), at: at.clone() })
        );
        assert_eq!(
            opt(&spec(&["a", "b"]).layers, false),
            Some(RoomStep::Stack { lower: "/code/b:/code/a".into(), at })
        );
    }

    #[test]
    fn layers_of_one_content_lie_in_the_stack_once_where_they_hide_the_most() {
        let at = PathBuf::from("/root/opt");
        for (layers, expected) in [
            (&["a", "a"][..], RoomStep::Show { source: "/code/a".into(), at: at.clone() }),
            (&["a", "b", "a"], RoomStep::Stack { lower: "/code/a:/code/b".into(), at: at.clone() }),
            (&["a", "b", "b"], RoomStep::Stack { lower: "/code/b:/code/a".into(), at: at.clone() }),
        ] {
            assert_eq!(opt(&spec(layers).layers, false), Some(expected), "{layers:?}");
        }
    }

    #[test]
    fn a_larger_tmp_grows_late() {
        let spec = SandboxSpec { tmp: Mib(10_240), ..spec(&[]) };
        let options = "size=10738335744,nr_inodes=1310832".to_owned();
        let resize = RoomStep::Resize { at: "/root/tmp".into(), options };
        assert!(late(&spec, &[], true, &Machine::default()).contains(&resize));
    }

    #[test]
    fn an_interpreter_below_opt_keeps_its_place_under_the_layers() {
        let stack = RoomStep::Stack { lower: "/code/a:/root/opt".into(), at: "/root/opt".into() };
        let shown = |number: usize, at: &str| RoomStep::Show {
            source: format!("/host/{number}").into(),
            at: format!("/root{at}").into(),
        };
        let below = PlacedMount { number: 8, ..placed("/opt/python") };
        let interpreter = [placed("/srv/python"), below];
        let of = |mounted, layers: &[&str]| {
            let steps = late(&spec(layers), &interpreter, mounted, &Machine::default());
            steps.into_iter().skip(1).collect::<Vec<_>>()
        };
        let [other, below] = [shown(7, "/srv/python"), shown(8, "/opt/python")];
        assert_eq!(of(true, &[]), []);
        assert_eq!(of(true, &["a"]), [stack.clone(), below.clone()]);
        assert_eq!(of(false, &[]), [other.clone(), below.clone()]);
        assert_eq!(of(false, &["a"]), [stack, other.clone(), below.clone()]);
        let ahead = ahead(&interpreter, &Machine::default());
        assert!(ahead.contains(&other) && ahead.contains(&below));
        assert_eq!(seen_inside(Path::new("/root/var/task")), Path::new("/var/task"));
    }
}
