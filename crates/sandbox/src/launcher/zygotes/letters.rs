//! What launcher and zygote say to each other, as `zygote/fork.c` lays it out.

use crate::identity::{FUNCTION_GID, FUNCTION_UID, TELEMETRY_FD};
use crate::limits::{FUNCTION_CORE, FUNCTION_LOCKED, FUNCTION_STACK, FUNCTION_TASKS};
use crate::plan::files::Rules;
use crate::seccomp::Program;
use crate::sys::landlock::SCOPES;

/// Rules about files that a letter has room for, and the longest path in one, with the zero at its end.
const RULES: usize = 8;
const PATH_BYTES: usize = 16;

/// What every runtime becomes, as `struct settings` and the filter's instructions: the first letter to a zygote.
pub(super) fn settings(filter: &Program, files: Option<&Rules>) -> Vec<u8> {
    let mut letter = Vec::new();
    let scoped = files.is_some_and(|rules| rules.scoped);
    put(&mut letter, files.map_or(0, |rules| rules.handled.0));
    put(&mut letter, if scoped { SCOPES } else { 0 });
    let allowed = files.map(|rules| rules.allowed.as_slice()).unwrap_or_default();
    for index in 0..RULES {
        let (path, access) = allowed
            .get(index)
            .map_or((&[][..], 0), |(path, access)| (path.as_os_str().as_encoded_bytes(), access.0));
        put(&mut letter, access);
        letter.extend(path.iter().copied().chain(std::iter::repeat(0)).take(PATH_BYTES));
    }
    for limit in
        [base::limits::FUNCTION_FILES, FUNCTION_TASKS, FUNCTION_LOCKED, FUNCTION_CORE, FUNCTION_STACK]
    {
        put(&mut letter, limit);
    }
    let counts =
        [allowed.len(), FUNCTION_UID as usize, FUNCTION_GID as usize, TELEMETRY_FD as usize, filter.0.len()];
    for number in counts.into_iter().chain([usize::from(files.is_some())]) {
        letter.extend((number as u32).to_ne_bytes());
    }
    for instruction in &filter.0 {
        letter.extend(instruction.code.to_ne_bytes());
        letter.extend([instruction.jt, instruction.jf]);
        letter.extend(instruction.k.to_ne_bytes());
    }
    letter
}

fn put(letter: &mut Vec<u8>, number: u64) {
    letter.extend(number.to_ne_bytes());
}

/// A letter from a zygote, `struct reply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply {
    /// Orders that it has carried out.
    pub(super) done: u64,
    /// The system's error of the last one; 0 is none.
    pub(super) error: i32,
}

/// Bytes of a [`Reply`].
pub(super) const REPLY_BYTES: usize = 16;

impl Reply {
    /// The reply in one packet.
    pub(super) fn decode(packet: &[u8]) -> Option<Self> {
        let packet: &[u8; REPLY_BYTES] = packet.try_into().ok()?;
        let (done, rest) = packet.split_first_chunk()?;
        let (error, _) = rest.split_first_chunk()?;
        Some(Self { done: u64::from_ne_bytes(*done), error: i32::from_ne_bytes(*error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::files;
    use crate::seccomp;

    #[test]
    fn settings_are_as_long_as_the_library_expects_and_every_rule_fits() {
        let filter = seccomp::compile(&seccomp::function());
        let rules = files::rules(6).unwrap();
        assert!(rules.allowed.len() <= RULES);
        assert!(rules.allowed.iter().all(|(path, _)| path.as_os_str().len() < PATH_BYTES));
        let letter = settings(&filter, Some(&rules));
        assert_eq!(letter.len(), 272 + 8 * filter.0.len());
        assert!(filter.0.len() <= 4096, "INSTRUCTIONS in fork.c");
        assert_eq!(settings(&filter, None).len(), letter.len());
        assert_eq!(letter[16..24], rules.allowed[0].1.0.to_ne_bytes());
        assert_eq!(letter[24..26], *b"/\0");
        assert_eq!(letter[248..252], 5u32.to_ne_bytes());
    }

    #[test]
    fn replies_count_and_tell_the_last_error() {
        let packet = [7u64.to_ne_bytes(), [1, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(Reply::decode(&packet), Some(Reply { done: 7, error: 1 }));
        assert_eq!(Reply::decode(&packet[1..]), None);
    }
}
