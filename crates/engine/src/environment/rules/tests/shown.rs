//! Actions as words.

use super::super::*;
use super::names;

/// An action as a word with what matters of it.
pub(super) fn shown(action: &Action) -> String {
    match action {
        Action::Timer(at) => format!("timer@{}", at.as_millis()),
        Action::InitReport(phase, took, status) => {
            format!("init-report({phase:?} {} {status:?})", took.as_millis())
        }
        Action::RestoreReport { took, billed, status } => {
            format!("restore-report({} {} {status:?})", took.as_millis(), billed.as_millis())
        }
        Action::FaultLine(fault) => format!("fault-line({})", fault.cause()),
        Action::Reply(Answer::Response { .. }) => "reply(result)".into(),
        Action::Reply(Answer::Error { kind, .. }) => format!("reply(error {kind})"),
        Action::Reply(Answer::Fault(fault)) => format!("reply(fault {})", fault.error_type()),
        Action::Finish(Spent { took, init, status, extensions }) => {
            let shown = |name: &str, time: &Option<Duration>| {
                time.map(|time| format!(" {name} {}", time.as_millis())).unwrap_or_default()
            };
            let (init, after) = (shown("init", init), shown("extensions", extensions));
            format!("finish({}{init}{after} {status:?})", took.as_millis())
        }
        Action::InitRuntimeDone(phase, status) => format!("init-runtime-done({phase:?} {status:?})"),
        Action::RuntimeDone(took, status) => format!("runtime-done({} {status:?})", took.as_millis()),
        Action::Launch(number, name) => format!("launch({number} {name})"),
        Action::Signal(who, stop) => format!("{stop:?}({who:?})").to_lowercase(),
        Action::Registered(id) => format!("registered({})", names(&[*id])),
        Action::Hold(id) => format!("hold({})", names(&[*id])),
        Action::Invoke(ids) => format!("invoke({})", names(ids)),
        Action::Shutdown(ids, until, reason) => {
            format!("shutdown({} {} @{})", names(ids), reason.as_str(), until.as_millis())
        }
        Action::Subscribe(name) => format!("subscribe({name})"),
        Action::RefuseExtension(ExtensionRefusal::Transition { from, to, .. }) => {
            format!("refuse({from:?} to {to:?})")
        }
        Action::RefuseExtension(ExtensionRefusal::Unknown(id)) => format!("unknown({})", names(&[*id])),
        Action::RefuseExtension(refusal) => format!("refuse({refusal:?})"),
        Action::ExtensionLine(Standing { name, stage, error, .. }) => {
            format!(
                "line({name} {stage:?}{})",
                error.as_ref().map(|error| format!(" {error}")).unwrap_or_default()
            )
        }
        Action::Refuse(Refusal::Transition { from, to }) => format!("refuse({from:?} to {to:?})"),
        other => format!("{other:?}").to_lowercase(),
    }
}
