//! Memory images of Python processes, without walls: the zygote's library alone, in children of a plain Python.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A parent that stands for a zygote, whose children make an image and become what it is of.
const PARENT: &str = r#"
import gc, json, os, random, resource, signal, sys, time
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location

library, scenario, file = sys.argv[1:]
spec = spec_from_file_location("_samovar_image", library, loader=ExtensionFileLoader("_samovar_image", library))
image = module_from_spec(spec)
spec.loader.exec_module(image)
HEADER = 64
PATIENCE = 20.0


def child(run):
    """What a child ends with: a status, or a signal's negative number. It may not hang."""
    pid = os.fork()
    if pid == 0:
        # One that was damaged may do anything, but not for ever.
        resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            os._exit(run())
        finally:
            os._exit(99)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "it hung"


def made(most=1 << 28):
    """Makes an image of a child that has done something; it is written by a fork of that."""
    state = {number: [number] * 3 for number in range(20_000)}
    text = "init"
    signal.signal(signal.SIGUSR1, lambda *_: state.clear())
    files = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    if os.fork() != 0:
        _, status = os.wait()
        return os.waitstatus_to_exitcode(status)
    said = image.save(files, most)
    if not isinstance(said, bytes):
        os._exit(0 if said is None else 10)
    # From here on this is another process, in which none of this was ever called.
    assert text == "init" and len(state) == 20_000 and state[77] == [77] * 3
    assert said == b"packet %d" % os.getpid(), said
    assert open("/proc/self/stat").read().split()[0] == str(os.getpid())
    grown = [bytearray(1 << 16) for _ in range(500)]
    gc.collect()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert state == {}
    if os.fork() == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
    return 7


def loaded(path=file):
    garbage = [bytearray(index) for index in range(2000)]
    said = image.load(os.open(path, os.O_RDONLY), b"packet %d" % os.getpid())
    sys.stderr.write(said + "\n")
    return 11 if len(garbage) == 2000 else 12


def damaged(original, damage):
    with open(file + ".damaged", "wb") as copy:
        copy.write(damage(bytearray(original)))
    return child(lambda: loaded(file + ".damaged"))


def flipped(at):
    def flip(contents):
        contents[at] ^= 1 << at % 8
        return contents
    return flip


if scenario == "save":
    print(json.dumps([child(made)]))
elif scenario == "small":
    print(json.dumps([child(lambda: made(1 << 16))]))
elif scenario == "load":
    print(json.dumps([child(loaded)]))
elif scenario == "both":
    print(json.dumps([child(made)] + [child(loaded) for _ in range(20)]))
elif scenario == "damaged":
    first = child(made)
    original = open(file, "rb").read()
    ends = [damaged(original, lambda contents: contents[:size]) for size in (0, 1, 8, 500, 4096, len(original) // 2, len(original) - 1)]
    dice = random.Random(5)
    flips = [damaged(original, flipped(dice.randrange(HEADER))) for _ in range(40)]
    tables = [damaged(original, flipped(dice.randrange(1 << 15))) for _ in range(120)]
    print(json.dumps([first, ends, flips, tables, child(loaded)]))
"#;

/// What the scenario printed.
fn run(directory: &Path, scenario: &str) -> serde_json::Value {
    let library = directory.join("_zygote.so");
    let (_, contents) = sandbox::interpreters::files()
        .iter()
        .find(|(name, _)| *name == "_zygote.so")
        .expect("the library is among the clients");
    fs::write(&library, contents).expect("room for the library");
    let script = directory.join("parent.py");
    fs::write(&script, PARENT).expect("room for the script");
    let output = Command::new("/usr/bin/python3")
        .arg(&script)
        .arg(&library)
        .arg(scenario)
        .arg(directory.join("image"))
        .env("LD_PRELOAD", &library)
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    let last = printed.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{scenario}: {error}: {printed}\n{said}"))
}

fn directory(name: &str) -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(format!("samovar-images-{name}-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("room for a directory");
    directory
}

#[test]
fn many_children_go_on_from_one_image() {
    let directory = directory("many");
    let ends: Vec<i32> = serde_json::from_value(run(&directory, "both")).unwrap();
    assert_eq!(ends, [[0].as_slice(), &[7; 20]].concat());
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn an_image_of_another_zygote_changes_nothing() {
    let directory = directory("foreign");
    assert_eq!(run(&directory, "save"), serde_json::json!([0]));
    // What `load` refuses goes on as it was.
    assert_eq!(run(&directory, "load"), serde_json::json!([11]));
    assert_eq!(run(&directory, "small"), serde_json::json!([10]));
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_damaged_image_ends_who_goes_on_from_it_and_nobody_else() {
    let directory = directory("damaged");
    let told = run(&directory, "damaged");
    assert_eq!(told[0], 0);
    let ends: Vec<serde_json::Value> = serde_json::from_value(told[1].clone()).unwrap();
    // A part of its end at most is missing where it was taken for whole.
    assert!(ends[..6].iter().all(|end| *end == 11), "{ends:?}");
    let flips: Vec<serde_json::Value> = serde_json::from_value(told[2].clone()).unwrap();
    let tables: Vec<serde_json::Value> = serde_json::from_value(told[3].clone()).unwrap();
    assert!(flips.iter().chain(&tables).all(serde_json::Value::is_i64), "one hung: {told}");
    assert!(flips.iter().filter(|end| **end == 11).count() > 20, "{flips:?}");
    // The zygote and the image itself are what they were.
    assert_eq!(told[4], 7);
    fs::remove_dir_all(directory).unwrap();
}
