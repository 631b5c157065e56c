//! Compiles the library that makes a Python interpreter a zygote; `src/interpreters.rs` embeds it.

use std::env;
use std::path::PathBuf;

const SOURCE: &str = "zygote/fork.c";

/// No C library is named: the interpreter's own serves, whichever it was built with.
const FLAGS: [&str; 9] = [
    "-O2",
    "-Wall",
    "-shared",
    "-fPIC",
    "-nostdlib",
    "-nostartfiles",
    "-Wl,-z,relro,-z,now,-z,noexecstack",
    "-Wl,--build-id=none",
    "-s",
];

fn main() {
    println!("cargo:rerun-if-changed={SOURCE}");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("zygote.so");
    let mut compiler = cc::Build::new().opt_level(2).get_compiler().to_command();
    let status = compiler.args(FLAGS).arg("-o").arg(out).arg(SOURCE).status().expect("a C compiler");
    assert!(status.success(), "{SOURCE} does not compile");
}
