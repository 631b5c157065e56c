//! Which names a server may use. It is not trusted: a name is never a path.

use base::limits::{FUNCTION_MEMORY, FUNCTION_TMP};

use crate::limits::{LAYERS, NAME_BYTES, WAITING_ARGUMENTS, WAITING_BYTES};
use crate::spec::{Preparation, SandboxSpec};

/// Whether a code directory may have this name: lower-case letters, digits and hyphens.
pub fn is_code_name(name: &str) -> bool {
    is_made_of(name, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether an interpreter may have this id: as [`is_code_name`], with dots and underscores inside.
pub fn is_interpreter_id(name: &str) -> bool {
    !name.starts_with('.')
        && is_made_of(name, |byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_')
        })
}

fn is_made_of(name: &str, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

/// What is wrong with a request for a sandbox, if anything.
pub fn refusal(spec: &SandboxSpec, interpreters: &[&str]) -> Option<String> {
    let code_names = std::iter::once(&spec.code).chain(&spec.layers);
    if let Some(bad) = code_names.into_iter().find(|name| !is_code_name(name)) {
        return Some(format!("{} does not name a code directory", shown(bad)));
    }
    if spec.layers.len() > LAYERS {
        return Some(format!("{} layers are more than {LAYERS}", spec.layers.len()));
    }
    if !(FUNCTION_MEMORY.0..=FUNCTION_MEMORY.1).contains(&spec.memory) {
        return Some(format!("{} of memory is out of range", spec.memory));
    }
    if !(FUNCTION_TMP.0..=FUNCTION_TMP.1).contains(&spec.tmp) {
        return Some(format!("a /tmp of {} is out of range", spec.tmp));
    }
    unfit(&spec.preparation(), interpreters)
}

/// What is wrong with what is to be made ahead, if anything.
pub fn unfit(preparation: &Preparation, interpreters: &[&str]) -> Option<String> {
    if preparation.waiting.as_deref().is_some_and(|command| !is_command(command)) {
        return Some("that is no command for a runtime that waits".into());
    }
    let interpreter = preparation.interpreter.as_deref()?;
    (!interpreters.contains(&interpreter)).then(|| format!("no interpreter is called {}", shown(interpreter)))
}

/// Whether a runtime may be started ahead by this command.
fn is_command(argv: &[String]) -> bool {
    argv.first().is_some_and(|program| program.starts_with('/'))
        && argv.len() <= WAITING_ARGUMENTS
        && argv.iter().map(String::len).sum::<usize>() <= WAITING_BYTES
        && !argv.iter().any(|argument| argument.contains('\0'))
}

/// A name as an answer shows it: one that is no name may be as long as a packet, and twice that with its escapes.
fn shown(name: &str) -> String {
    if name.len() > NAME_BYTES { format!("a text of {} bytes", name.len()) } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use base::id::EnvironmentId;
    use base::random::Dice;
    use base::units::Mib;

    use super::*;

    fn spec() -> SandboxSpec {
        SandboxSpec {
            id: EnvironmentId::fresh(&Dice::seeded(1)),
            memory: Mib(128),
            tmp: Mib(512),
            interpreter: Some("python-3.11".into()),
            code: "0a1b-code".into(),
            layers: vec!["layer-1".into()],
            endpoint: true,
            loopback: false,
            waiting: None,
        }
    }

    #[test]
    fn an_honest_request_passes() {
        assert_eq!(refusal(&spec(), &["python-3.11"]), None);
    }

    #[test]
    fn a_name_is_never_a_path() {
        for name in ["", ".", "..", "a/b", "../x", "/etc", "A", "a.b", "a\0", "a:b", "ü", &"a".repeat(81)] {
            assert!(!is_code_name(name), "{name:?}");
            assert!(refusal(&SandboxSpec { code: name.into(), ..spec() }, &["python-3.11"]).is_some());
            assert!(
                refusal(&SandboxSpec { layers: vec![name.into()], ..spec() }, &["python-3.11"]).is_some()
            );
        }
    }

    #[test]
    fn a_refusal_is_short_however_long_the_request() {
        let long = "\u{1}".repeat(60_000);
        let refused =
            [SandboxSpec { code: long.clone(), ..spec() }, SandboxSpec { interpreter: Some(long), ..spec() }];
        for spec in refused {
            assert!(refusal(&spec, &[]).unwrap().len() < 200);
        }
    }

    #[test]
    fn a_waiting_runtime_has_a_command_that_can_be_executed() {
        let refused = |argv: &[&str]| {
            let waiting = Some(argv.iter().map(|text| (*text).to_owned()).collect());
            refusal(&SandboxSpec { waiting, ..spec() }, &["python-3.11"]).is_some()
        };
        assert!(!refused(&["/usr/bin/python3", "-S", "/var/runtime/bootstrap.py"]));
        let many = ["/a"; WAITING_ARGUMENTS + 1];
        for argv in [&[][..], &["python3"], &["/a", "b\0c"], &["/a", &"x".repeat(WAITING_BYTES)], &many] {
            assert!(refused(argv), "{argv:?}");
        }
    }

    #[test]
    fn sizes_and_interpreters_are_those_that_exist() {
        let interpreters = ["python-3.11"];
        let refused = [
            SandboxSpec { memory: Mib(127), ..spec() },
            SandboxSpec { memory: Mib(10_241), ..spec() },
            SandboxSpec { tmp: Mib(0), ..spec() },
            SandboxSpec { tmp: Mib(10_241), ..spec() },
            SandboxSpec { layers: vec!["a".into(); LAYERS + 1], ..spec() },
            SandboxSpec { interpreter: Some("node-20".into()), ..spec() },
        ];
        for spec in refused {
            assert!(refusal(&spec, &interpreters).is_some(), "{spec:?}");
        }
    }
}
