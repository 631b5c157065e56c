//! Which runtimes are made ready before anybody invokes a function of theirs.

use std::collections::HashMap;
use std::sync::Arc;

use catalogue::{Catalogue, Configuration, Function};
use sandbox::interpreters::Interpreter;
use sandbox::interpreters::rules::waiting::{environment, may_wait};
use sandbox::interpreters::rules::{Choice, RuntimeMatch, choose, launch_command};
use sandbox::{LauncherClient, Preparation};

/// Kinds of sandboxes that are made ready when the server starts, those of most functions. Each is a process or two that
/// wait, of some 3 MB for Python and 20 MB for Node.js. Ours.
const KINDS_AT_START: usize = 4;

/// Tells the launcher what will be wanted.
pub(crate) struct Expectations {
    pub(crate) launcher: LauncherClient,
    pub(crate) interpreters: Arc<[Interpreter]>,
    pub(crate) runtime_match: RuntimeMatch,
}

impl Expectations {
    /// Who makes or changes a function is about to invoke it.
    pub(crate) fn expect(&self, function: &Function) {
        if let Some(kind) = kind(&function.latest.configuration, &self.interpreters, self.runtime_match) {
            self.launcher.expect(kind);
        }
    }

    /// What most functions need.
    pub(crate) fn expect_all(&self, catalogue: &Catalogue) {
        let mut kinds: HashMap<Preparation, usize> = HashMap::new();
        for function in catalogue.everywhere(|_: &Function| true) {
            let kind = kind(&function.latest.configuration, &self.interpreters, self.runtime_match);
            kind.into_iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_unstable_by_key(|(_, functions)| std::cmp::Reverse(*functions));
        kinds.into_iter().take(KINDS_AT_START).for_each(|(kind, _)| self.launcher.expect(kind));
    }
}

/// The kind of sandbox in which a function's runtime may wait; none where none waits. Its variables and its packages may
/// want otherwise, and are not looked at yet.
fn kind(
    configuration: &Configuration,
    interpreters: &[Interpreter],
    runtime_match: RuntimeMatch,
) -> Option<Preparation> {
    let runtime = configuration.runtime.as_deref()?;
    let Ok(Choice::Interpreter { interpreter, .. }) = choose(runtime, &[], interpreters, runtime_match)
    else {
        return None;
    };
    let argv = launch_command(runtime, interpreter).for_memory(configuration.memory).argv;
    may_wait(&argv, &environment())
        .then(|| Preparation { interpreter: Some(interpreter.id.clone()), waiting: Some(argv) })
}
