//! Which runtimes may be started before it is known for which function, and with what.

use crate::interpreters::Family;

use super::{Interpreter, StartCommand, launch_command};

/// The variable that tells our clients to wait, and on which descriptor.
pub const WAIT: (&str, &str) = ("_SAMOVAR_WAIT", "3");

/// The descriptor that [`WAIT`] names.
pub const HANDOVER_FD: i32 = 3;

/// The variable that makes a waiting Python a zygote; the library at [`ZYGOTE_LIBRARY`] reads it, too.
pub const ZYGOTE: (&str, &str) = ("_SAMOVAR_ZYGOTE", "1");

/// The file below `/var/runtime` that makes `fork` bear children into sandboxes.
pub const ZYGOTE_LIBRARY: &str = "_zygote.so";

/// Locale of a function that sets none. Source: recorded inside a function.
pub const LANG: &str = "en_US.UTF-8";

/// Where a function's libraries are looked for. Source: recorded inside a function.
pub const LIBRARIES: &str =
    "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";

/// Time zone of a function that sets none. Source: recorded inside a function.
pub const TIME_ZONE: &str = ":UTC";

/// What a waiting runtime's dynamic linker, C library and interpreter read as they start, and later never again.
const AT_START: [(&str, &str); 2] = [("LANG", LANG), ("LD_LIBRARY_PATH", LIBRARIES)];

/// Beginnings of names that they read as well; no waiting runtime has any of them.
const READ_AT_START: [&str; 10] =
    ["LD_", "LC_", "GLIBC_", "MALLOC_", "LOCPATH", "GCONV_PATH", "OPENSSL_", "PYTHON", "NODE_", "UV_"];

/// Names that begin so and are read later.
const READ_LATER: [&str; 5] =
    ["PYTHONPATH", "NODE_ENV", "NODE_PATH", "NODE_TLS_REJECT_UNAUTHORIZED", "NODE_CONFIG"];

/// A variable of spaces: as much room as a function's whole environment takes, with what the platform adds to it. The
/// kernel shows the environment where a process had it at its start, and a client writes its function's own there.
const ROOM: (&str, usize) = ("_SAMOVAR_ROOM", 12 * 1024);

/// The environment with which every waiting runtime starts: what nobody can give it later, and that it waits.
pub fn environment() -> Vec<(String, String)> {
    let fixed = [("PATH", super::SYSTEM_PATH), ("PYTHONPATH", super::CLIENTS), ("TZ", TIME_ZONE), WAIT];
    let known = AT_START.into_iter().chain(fixed).map(|(name, value)| (name.to_owned(), value.to_owned()));
    known.chain([(ROOM.0.to_owned(), " ".repeat(ROOM.1))]).collect()
}

/// The same for a zygote.
pub fn zygote_environment() -> Vec<(String, String)> {
    let library = ("LD_PRELOAD".to_owned(), format!("{}/{ZYGOTE_LIBRARY}", super::CLIENTS));
    let zygote = (ZYGOTE.0.to_owned(), ZYGOTE.1.to_owned());
    environment().into_iter().chain([library, zygote]).collect()
}

/// Whether a runtime with this command and environment is the same when it learns its environment as late as that:
/// one of our clients that can wait, and no variable that matters at the start but in the way it is for everybody.
pub fn may_wait(argv: &[String], env: &[(String, String)]) -> bool {
    let waits =
        argv.last().is_some_and(|file| [super::PYTHON_CLIENT, super::NODE_CLIENT].contains(&file.as_str()));
    let given = |wanted: &(&str, &str)| env.iter().any(|(name, value)| (&**name, &**value) == *wanted);
    let is_free = |name: &str| {
        AT_START.iter().any(|(known, _)| *known == name)
            || READ_LATER.contains(&name)
            || !READ_AT_START.iter().any(|beginning| name.starts_with(beginning))
    };
    waits && AT_START.iter().all(given) && env.iter().all(|(name, _)| is_free(name))
}

/// The command of an interpreter's zygote, which is that of all its runtimes; none where it has none.
pub fn zygote_command(interpreter: &Interpreter) -> Option<Vec<String>> {
    let StartCommand { argv, .. } = launch_command("", interpreter);
    (interpreter.family == Family::Python).then_some(argv)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(file: &str) -> Vec<String> {
        vec!["/usr/bin/x".into(), file.into()]
    }

    fn env(more: &[(&str, &str)]) -> Vec<(String, String)> {
        let common = [("LANG", LANG), ("LD_LIBRARY_PATH", LIBRARIES), ("TZ", TIME_ZONE), ("_HANDLER", "a.b")];
        let mut env = std::collections::BTreeMap::from(common);
        env.extend(more.iter().copied());
        env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn our_clients_for_python_and_node_may_wait_and_no_other_program() {
        for (file, may) in [
            ("/var/runtime/bootstrap.py", true),
            ("/var/runtime/bootstrap.js", true),
            ("/var/runtime/bootstrap.rb", false),
            ("/var/task/bootstrap", false),
        ] {
            assert_eq!(may_wait(&argv(file), &env(&[])), may, "{file}");
        }
        assert!(!may_wait(&[], &env(&[])));
    }

    #[test]
    fn who_sets_what_is_read_at_the_start_gets_a_start_of_their_own() {
        for (variable, may) in [
            (("COLOUR", "blue"), true),
            (("TZ", "Europe/Berlin"), true),
            (("PATH", "/opt/bin"), true),
            (("PYTHONPATH", "/opt/more"), true),
            (("NODE_ENV", "production"), true),
            (("NODE_PATH", "/opt/x"), true),
            (("UV_THREADPOOL_SIZE", "8"), false),
            (("NODE_DEBUG", "http"), false),
            (("LANG", "C.UTF-8"), false),
            (("LC_ALL", "C.UTF-8"), false),
            (("LD_LIBRARY_PATH", "/opt/lib"), false),
            (("LD_PRELOAD", "/opt/x.so"), false),
            (("PYTHONHASHSEED", "0"), false),
            (("PYTHONUNBUFFERED", "1"), false),
            (("NODE_OPTIONS", "--require /opt/x.js"), false),
            (("NODE_EXTRA_CA_CERTS", "/opt/ca.pem"), false),
            (("MALLOC_ARENA_MAX", "2"), false),
            (("GLIBC_TUNABLES", "x"), false),
        ] {
            assert_eq!(may_wait(&argv("/var/runtime/bootstrap.py"), &env(&[variable])), may, "{variable:?}");
        }
        let without: Vec<_> = env(&[]).into_iter().filter(|(name, _)| name != "LANG").collect();
        assert!(!may_wait(&argv("/var/runtime/bootstrap.py"), &without));
    }

    #[test]
    fn what_a_waiting_runtime_starts_with_lets_a_function_without_variables_use_it() {
        assert!(may_wait(&argv("/var/runtime/bootstrap.js"), &environment()));
        let zygote = zygote_environment();
        assert!(zygote.contains(&("LD_PRELOAD".into(), "/var/runtime/_zygote.so".into())));
        assert!(!may_wait(&argv("/var/runtime/bootstrap.py"), &zygote));
    }
}
