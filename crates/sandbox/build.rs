//! Compiles the library that makes a Python interpreter a zygote; `src/interpreters.rs` embeds it.

use std::env;
use std::path::PathBuf;

const SOURCES: [&str; 4] = ["zygote/fork.c", "zygote/image.c", "zygote/image_save.c", "zygote/image_load.c"];

const HEADER: &str = "zygote/image.h";

/// No C library is named: the interpreter's own serves, whichever it was built with.
///
/// While an image is restored there is neither a C library to call nor memory of a thread to look at.
const FLAGS: [&str; 13] = [
    "-O2",
    "-Wall",
    "-Wextra",
    "-fvisibility=hidden",
    "-fno-stack-protector",
    "-fno-tree-loop-distribute-patterns",
    "-shared",
    "-fPIC",
    "-nostdlib",
    "-nostartfiles",
    "-Wl,-z,relro,-z,now,-z,noexecstack",
    "-Wl,--build-id=none",
    "-s",
];

fn main() {
    for source in SOURCES.iter().chain([&HEADER]) {
        println!("cargo:rerun-if-changed={source}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("zygote.so");
    let mut compiler = cc::Build::new().opt_level(2).get_compiler().to_command();
    let status = compiler.args(FLAGS).arg("-o").arg(out).args(SOURCES).status().expect("a C compiler");
    assert!(status.success(), "{SOURCES:?} do not compile");
}
