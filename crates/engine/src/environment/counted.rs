//! What one environment's invocations come to, for the metrics.

use std::time::Duration;

use base::clock::Timestamp;
use base::units::Mib;
use record::metrics::{ColdStart, Running};

use super::rules::{Spent, Status};
use crate::flow::Sink;
use crate::outcome::{Answer, Fault};

/// Follows one environment from the beginning of its building.
#[derive(Debug)]
pub struct Counted {
    building: Timestamp,
    /// How long the phases took so far; the first invocation takes them.
    start: Option<ColdStart>,
    told: Told,
}

/// What the caller of the current invocation has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    /// The function's result.
    Result,
    /// The function's error.
    Error,
    /// That Samovar failed.
    Broken,
}

impl Counted {
    /// The building begins.
    pub fn building(now: Timestamp) -> Self {
        Self { building: now, start: Some(ColdStart::default()), told: Told::Nothing }
    }

    /// The sandbox stands.
    pub fn built(&mut self, now: Timestamp) {
        if let Some(start) = &mut self.start {
            start.sandbox = now.since(self.building);
        }
    }

    /// An init ended.
    pub fn initialised(&mut self, took: Duration) {
        if let Some(start) = &mut self.start {
            start.init += took;
        }
    }

    /// A restore ended. It takes the place of the init that it goes on from: who calls an environment that was made
    /// before has waited for no more.
    pub fn restored(&mut self, took: Duration) {
        if let Some(start) = &mut self.start {
            if took < start.init {
                start.sandbox = Duration::ZERO;
            }
            start.init = took;
        }
    }

    /// An invocation came, after this time since it was admitted.
    pub fn assigned(&mut self, waited: Duration) {
        self.told = Told::Nothing;
        if let Some(start) = &mut self.start {
            // Who came when the environment was under way waited for less than all of it.
            start.queue = waited.saturating_sub(start.sandbox + start.init);
        }
    }

    /// The caller was answered.
    pub fn replied(&mut self, answer: &Answer) {
        self.told = match answer {
            Answer::Response { .. } => Told::Result,
            Answer::Fault(Fault::Sandbox) => Told::Broken,
            Answer::Error { .. } | Answer::Fault(_) => Told::Error,
        };
    }

    /// The response that flowed has ended.
    pub fn flowed(&mut self, sink: Option<&Sink>) {
        let failed = sink.is_some_and(Sink::has_failed);
        self.told = if failed { Told::Error } else { Told::Result };
    }

    /// An invocation is over.
    pub fn finished(&mut self, watch: &Running, spent: &Spent, used: Mib) {
        if self.told == Told::Broken {
            return watch.failed();
        }
        let Spent { took, status, extensions, .. } = spent;
        watch.invoked(*took, self.told != Told::Result || *status != Status::Success, used);
        if let Some(extensions) = extensions {
            watch.extensions(*extensions);
        }
        if let Some(start) = self.start.take() {
            let extensions = extensions.unwrap_or_default();
            watch.cold(&ColdStart { handler: took.saturating_sub(extensions), ..start });
            watch.cold_extensions(extensions);
        }
    }

    /// The environment was torn down under an invocation; what was answered stays so.
    pub fn abandoned(&mut self, watch: &Running, now: Timestamp) {
        if self.told == Told::Nothing {
            self.told = Told::Broken;
        }
        let took = now.since(watch.began());
        let spent = Spent { took, init: None, status: Status::Success, extensions: None };
        self.finished(watch, &spent, Mib(0));
    }
}

#[cfg(test)]
mod tests;
