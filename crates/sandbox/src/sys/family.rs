//! Which processes descend from which, as the process file system tells it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::Pid;

/// Everybody who descends from `ancestor`, without itself.
pub(crate) fn descendants(ancestor: Pid) -> Vec<Pid> {
    let mut found: Vec<Pid> = Vec::new();
    let mut unseen = vec![ancestor];
    while let Some(parent) = unseen.pop() {
        let children = children(parent);
        unseen.extend_from_slice(&children);
        found.extend(children);
    }
    found
}

/// The children of a process.
pub(crate) fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().get();
    // The kernel may be built without lists of children; then everybody is asked for their parent.
    let numbers = match listed(parent) {
        Ok(numbers) => numbers,
        Err(_) => parents().into_iter().filter(|(_, its)| *its == parent).map(|(pid, _)| pid).collect(),
    };
    numbers.into_iter().filter_map(Pid::from_raw).collect()
}

/// The children of all threads of a process, as the kernel lists them.
fn listed(pid: i32) -> io::Result<Vec<i32>> {
    let mut children = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("children"))?;
        children.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Ok(children)
}

/// Every process with its parent.
fn parents() -> HashMap<i32, i32> {
    let stats =
        everybody().filter_map(|pid| Some((pid, fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)));
    stats.filter_map(|(pid, stat)| Some((pid, parent_in(&stat)?))).collect()
}

/// The parent in a line of `/proc/<pid>/stat`; the program's name before it may hold anything.
fn parent_in(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// This user's processes whose environment sets `name` to a path below `directory`. Whoever may look at all of them
/// is not to be led by what others write into theirs.
pub(crate) fn marked(name: &str, directory: &Path) -> Vec<Pid> {
    let user = rustix::process::geteuid().as_raw();
    let mark = format!("{name}={}/", directory.display());
    let is_own = |pid: &i32| fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == user);
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark.as_bytes()))
    };
    everybody().filter(is_own).filter(is_marked).filter_map(Pid::from_raw).collect()
}

fn everybody() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(parent_in("7 (a) b (c)) S 42 7 7 0"), Some(42));
        assert_eq!(parent_in("odd"), None);
    }

    #[test]
    fn grandchildren_are_descendants_and_marks_are_seen() {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "/bin/sleep 60 & echo $!; wait"])
            .env("SAMOVAR_TEST_MARK", format!("/a/{}/x", std::process::id()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = shell.stdout.take().unwrap();
        io::BufRead::read_line(&mut io::BufReader::new(output), &mut line).unwrap();
        let sleep = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        let ours = descendants(rustix::process::getpid());
        let marked = marked("SAMOVAR_TEST_MARK", Path::new(&format!("/a/{}", std::process::id())));
        rustix::process::kill_process(sleep, rustix::process::Signal::KILL).unwrap();
        shell.wait().unwrap();
        assert!(ours.contains(&sleep));
        assert!(parents().contains_key(&(std::process::id() as i32)));
        assert_eq!(marked.len(), 2, "the shell and the sleep");
    }
}
