//! The extensions of an environment: who registered for what, who waits, and whose calls have no place.
//!
//! External extensions are the files that the sandbox found; internal ones are whatever the runtime's process registers
//! under other names. Source: Lambda Developer Guide, "Lambda Extensions API"; states, transitions and refusals are
//! those of AWS's published runtime interface emulator.

use std::fmt;
use std::sync::Arc;

use base::limits::EXTENSIONS;
use uuid::Uuid;

use super::Action;
use crate::outcome::{Exit, ExtensionFault, Fault};

/// An extension's name: of an external one, its file's.
pub type Name = Arc<str>;

/// By which an extension makes itself known after it registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionId(pub Uuid);

impl fmt::Display for ExtensionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an extension asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtensionCall {
    /// To be told of these events, and to be known by this id.
    Register {
        /// Who it says it is.
        name: Name,
        /// Names of events, as it wrote them.
        events: Vec<String>,
        /// What it will be known by.
        id: ExtensionId,
    },
    /// The next event.
    Next(ExtensionId),
    /// It could not initialise, for an error of this type.
    InitError(ExtensionId, String),
    /// It is about to end, for an error of this type.
    ExitError(ExtensionId, String),
    /// Telemetry.
    Subscribe(ExtensionId),
}

/// Why an extension's call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtensionRefusal {
    /// There is no such event.
    UnknownEvent(String),
    /// Internal extensions end with the runtime.
    ShutdownOfInternal,
    /// The extension is in a state in which the call has no place.
    Transition {
        /// The state it is in.
        from: Stage,
        /// The state the call would lead to.
        to: Stage,
        /// Its name, or its id where it is known by that.
        who: String,
    },
    /// Another has the name.
    NameTaken,
    /// The runtime has initialised.
    RegistrationClosed,
    /// There are [`EXTENSIONS`] already.
    TooMany,
    /// The init is over.
    SubscriptionClosed,
    /// Nobody is known by this id.
    Unknown(ExtensionId),
}

/// An extension's state, by the names that messages and log lines carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Started, has not registered.
    Started,
    /// Registered, has not asked for an event.
    Registered,
    /// Asked for an event.
    Ready,
    /// Has an event.
    Running,
    /// Reported that it could not initialise.
    InitError,
    /// Reported that it is about to end.
    ExitError,
    /// Could not be started.
    LaunchError,
}

/// The events that an extension wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `INVOKE`.
    pub invoke: bool,
    /// `SHUTDOWN`.
    pub shutdown: bool,
}

/// How an extension came out of an init.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub name: Name,
    /// Its state.
    pub stage: Stage,
    /// What it registered for.
    pub wanted: Wanted,
    /// What it, or the system, says is wrong with it.
    pub error: Option<String>,
}

/// When calls for registration and subscription have their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    /// Until the runtime has initialised.
    pub(super) registration: bool,
    /// Until the init is over.
    pub(super) subscription: bool,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extensions {
    /// Names of the external ones' files; none until the sandbox was asked.
    files: Option<Vec<Name>>,
    members: Vec<Extension>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Extension {
    name: Name,
    kind: Kind,
    stage: Stage,
    wanted: Wanted,
    id: Option<ExtensionId>,
    error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Internal,
    /// With a process of its own, under this number, and whether it has ended.
    External {
        number: u32,
        ended: bool,
    },
}

impl Extensions {
    /// Of an environment that has not started; `possible` when there may be external ones.
    pub(super) const fn new(possible: bool) -> Self {
        Self { files: if possible { None } else { Some(Vec::new()) }, members: Vec::new() }
    }

    /// Hears which external ones there are.
    pub(super) fn found(&mut self, files: Vec<Name>) {
        self.files = Some(files);
    }

    /// Begins anew with the external ones that are to be launched: their numbers and names. None when the sandbox must
    /// be asked first; too many are a fault.
    pub(super) fn begin(&mut self) -> Option<Result<Vec<Action>, Fault>> {
        let external = |(number, name): (u32, &Name)| Extension {
            name: Arc::clone(name),
            kind: Kind::External { number, ended: true },
            stage: Stage::Started,
            wanted: Wanted::default(),
            id: None,
            error: None,
        };
        self.members = (0..).zip(self.files.as_ref()?).map(external).collect();
        if let Some(surplus) = self.members.get_mut(EXTENSIONS) {
            return Some(Err(surplus.not_launched("TooManyExtensions", "TooManyExtensions".into())));
        }
        let launch = |extension: &mut Extension| {
            let Kind::External { number, ended } = &mut extension.kind else { return None };
            *ended = false;
            Some(Action::Launch(*number, Arc::clone(&extension.name)))
        };
        Some(Ok(self.members.iter_mut().filter_map(launch).collect()))
    }

    /// One could not be executed: the system's error number and text.
    pub(super) fn not_launched(&mut self, number: u32, errno: i32, reason: &str) -> Option<Fault> {
        let extension = self.external(number)?;
        extension.kind = Kind::External { number, ended: true };
        let cause = format!("fork/exec /opt/extensions/{}: {reason}", extension.name);
        let kind = if errno == NOT_PERMITTED { "PermissionDenied" } else { "UnknownError" };
        Some(extension.not_launched(kind, cause))
    }

    /// One's process ended: what is wrong with that, unless it was to end.
    pub(super) fn ended(&mut self, number: u32, exit: Exit) -> Option<Fault> {
        let extension = self.external(number)?;
        extension.kind = Kind::External { number, ended: true };
        let kind = match extension.stage {
            Stage::InitError => ExtensionFault::Init,
            Stage::ExitError => ExtensionFault::Exit,
            _ => ExtensionFault::Crash,
        };
        Some(Fault::Extension { kind, cause: exit.of_extension() })
    }

    fn external(&mut self, wanted: u32) -> Option<&mut Extension> {
        self.members
            .iter_mut()
            .find(|extension| matches!(extension.kind, Kind::External { number, .. } if number == wanted))
    }

    /// Answers a call.
    pub(super) fn hear(&mut self, call: ExtensionCall, open: Open) -> Action {
        let answer = match call {
            ExtensionCall::Register { name, events, id } => self.register(&name, &events, id, open),
            ExtensionCall::Next(id) => self.change(id, Stage::Ready, None).map(|()| Action::Hold(id)),
            ExtensionCall::InitError(id, kind) => {
                self.change(id, Stage::InitError, Some(kind)).map(|()| Action::Taken)
            }
            ExtensionCall::ExitError(id, kind) => {
                self.change(id, Stage::ExitError, Some(kind)).map(|()| Action::Taken)
            }
            ExtensionCall::Subscribe(id) => match self.known_by(id) {
                Some(_) if !open.subscription => Err(ExtensionRefusal::SubscriptionClosed),
                Some(extension) => Ok(Action::Subscribe(Arc::clone(&extension.name))),
                None => Err(ExtensionRefusal::Unknown(id)),
            },
        };
        answer.unwrap_or_else(Action::RefuseExtension)
    }

    fn register(
        &mut self,
        name: &Name,
        events: &[String],
        id: ExtensionId,
        open: Open,
    ) -> Result<Action, ExtensionRefusal> {
        let known = self.members.iter().position(|extension| extension.name == *name);
        let is_external = |index: &usize| matches!(self.members[*index].kind, Kind::External { .. });
        let external = known.filter(is_external);
        let wanted = wanted(events, external.is_some())?;
        if let Some(index) = external {
            let extension = &mut self.members[index];
            extension.may_become(Stage::Registered, name)?;
            *extension = Extension { stage: Stage::Registered, wanted, id: Some(id), ..extension.clone() };
        } else if !open.registration {
            return Err(ExtensionRefusal::RegistrationClosed);
        } else if known.is_some() {
            return Err(ExtensionRefusal::NameTaken);
        } else if self.members.len() >= EXTENSIONS {
            return Err(ExtensionRefusal::TooMany);
        } else {
            let (name, kind) = (Arc::clone(name), Kind::Internal);
            let stage = Stage::Registered;
            self.members.push(Extension { name, kind, stage, wanted, id: Some(id), error: None });
        }
        Ok(Action::Registered(id))
    }

    fn change(&mut self, id: ExtensionId, to: Stage, error: Option<String>) -> Result<(), ExtensionRefusal> {
        let extension = self.known_by(id).ok_or(ExtensionRefusal::Unknown(id))?;
        extension.may_become(to, &id)?;
        extension.stage = to;
        extension.error = error.or(extension.error.take());
        Ok(())
    }

    fn known_by(&mut self, id: ExtensionId) -> Option<&mut Extension> {
        self.members.iter_mut().find(|extension| extension.id == Some(id))
    }

    /// Whether all external ones have registered, so that the runtime may start.
    pub(super) fn have_registered(&self) -> bool {
        self.files.is_some() && self.members.iter().all(|extension| extension.stage != Stage::Started)
    }

    /// Whether all wait for an event.
    pub(super) fn are_ready(&self) -> bool {
        self.members.iter().all(|extension| extension.stage == Stage::Ready)
    }

    /// Whether one has an invocation to see to.
    pub(super) fn are_busy(&self) -> bool {
        self.members.iter().any(|extension| extension.wanted.invoke && extension.stage != Stage::Ready)
    }

    /// Whether any wants to know of invocations.
    pub(super) fn follow_invokes(&self) -> bool {
        self.members.iter().any(|extension| extension.wanted.invoke)
    }

    /// Gives an invocation to those who want it.
    pub(super) fn begin_invoke(&mut self) -> Vec<ExtensionId> {
        let wanting = self.members.iter_mut().filter(|extension| extension.wanted.invoke);
        let begin = |extension: &mut Extension| {
            extension.stage = Stage::Running;
            extension.id
        };
        wanting.filter_map(begin).collect()
    }

    /// Whether there are none, and whether any has a process of its own.
    pub(super) fn census(&self) -> (bool, bool) {
        let external = |extension: &Extension| matches!(extension.kind, Kind::External { .. });
        (self.members.is_empty(), self.members.iter().any(external))
    }

    /// Those with living processes: those who want to know of the end, and the numbers of the others.
    pub(super) fn begin_shutdown(&self) -> (Vec<ExtensionId>, Vec<u32>) {
        let (mut told, mut killed) = (Vec::new(), Vec::new());
        for extension in &self.members {
            match (extension.kind, extension.id) {
                (Kind::External { ended: false, .. }, Some(id)) if extension.wanted.shutdown => told.push(id),
                (Kind::External { number, ended: false }, _) => killed.push(number),
                _ => {}
            }
        }
        (told, killed)
    }

    /// How each stands.
    pub(super) fn standings(&self) -> Vec<Standing> {
        let standing = |extension: &Extension| Standing {
            name: Arc::clone(&extension.name),
            stage: extension.stage,
            wanted: extension.wanted,
            error: extension.error.clone(),
        };
        self.members.iter().map(standing).collect()
    }
}

/// `EACCES`.
const NOT_PERMITTED: i32 = 13;

impl Extension {
    fn not_launched(&mut self, kind: &str, cause: String) -> Fault {
        self.stage = Stage::LaunchError;
        self.error = Some(kind.to_owned());
        Fault::Extension { kind: ExtensionFault::Launch, cause }
    }

    /// One whose connection broke asks again.
    fn may_become(&self, to: Stage, who: &impl fmt::Display) -> Result<(), ExtensionRefusal> {
        let may = match self.stage {
            Stage::Started => to == Stage::Registered,
            Stage::Registered => to != Stage::Registered,
            Stage::Ready | Stage::Running => matches!(to, Stage::Ready | Stage::ExitError),
            Stage::InitError | Stage::ExitError | Stage::LaunchError => false,
        };
        let refusal = || ExtensionRefusal::Transition { from: self.stage, to, who: who.to_string() };
        if may { Ok(()) } else { Err(refusal()) }
    }
}

fn wanted(events: &[String], external: bool) -> Result<Wanted, ExtensionRefusal> {
    let mut wanted = Wanted::default();
    for event in events {
        match event.as_str() {
            "INVOKE" => wanted.invoke = true,
            "SHUTDOWN" if external => wanted.shutdown = true,
            "SHUTDOWN" => return Err(ExtensionRefusal::ShutdownOfInternal),
            _ => return Err(ExtensionRefusal::UnknownEvent(event.clone())),
        }
    }
    Ok(wanted)
}
