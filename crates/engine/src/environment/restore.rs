//! What the driver does for environments that are restored for their first call.

use std::time::Duration;

use access::Issued;
use base::clock::Clock;
use base::limits::STANDBY_EXPIRY;
use tokio::sync::oneshot;

use super::driver::{Asker, Driver};
use super::recipe::SnapStart;
use super::rules::restore::RestoreError;
use super::rules::{Event, Refusal, RuntimeState, Status};
use crate::host::runtime::{Credentials, Verdict};
use crate::initialize::InitError;

/// What a driver keeps of an environment that is restored.
#[derive(Default)]
pub(super) struct Restore {
    /// The runtime's `/restore/next`, until the first call.
    parked: Option<oneshot::Sender<Verdict>>,
}

impl Restore {
    /// The runtime is gone.
    pub(super) fn forget(&mut self) {
        self.parked = None;
    }
}

/// The keys of an environment, for its runtime to ask for.
pub(super) fn credentials(keys: &Issued, snap_start: &SnapStart, clock: Clock) -> Credentials {
    Credentials {
        authorization: snap_start.authorization.clone(),
        access_key: keys.access_key.to_string(),
        secret: keys.secret.expose().to_owned(),
        token: keys.token.expose().to_owned(),
        clock,
    }
}

impl Driver {
    /// Keeps `/restore/next` waiting; an earlier one came over a connection that broke.
    pub(super) fn park_restore(&mut self) {
        let Some(Asker::Restore(asker)) = self.asker.take() else { return };
        if let Some(stale) = self.restore.parked.replace(asker) {
            let (from, to) = (RuntimeState::RestoreReady, RuntimeState::RestoreReady);
            let _ = stale.send(Err(Refusal::Transition { from, to }));
        }
    }

    /// Lets the runtime go on. One whose connection broke asks again, and goes on then.
    pub(super) fn restore(&mut self) {
        if let Some(parked) = self.restore.parked.take() {
            let _ = parked.send(Ok(()));
        }
    }

    /// The first call has come: the environment writes to its own stream, and the next call finds another one ready.
    pub(super) async fn restore_start(&mut self) {
        self.membership.replace();
        if let Some(SnapStart { writer, stream, .. }) = self.recipe.snap_start.clone() {
            self.output.restore_start(writer, stream).await;
        }
    }

    /// A restored environment whose init failed ends, and who waits for it is told.
    pub(super) fn note_init(&mut self, status: &Status) {
        if self.recipe.snap_start.is_none() {
            return;
        }
        match status {
            Status::Success => {}
            Status::Error(kind) => self.membership.init_failed(InitError::Failed(kind.clone())),
            Status::Timeout => self.membership.init_failed(InitError::TimedOut),
        }
    }

    /// How long the environment waits for its next call. One that was never called may wait longer than others.
    pub(super) fn patience(&mut self) -> Duration {
        if !self.rules.awaits_restore() {
            return self.idle_expiry;
        }
        self.turns.push_back(Event::Rested);
        self.idle_expiry.max(STANDBY_EXPIRY)
    }

    /// Tells the caller that its function did not run.
    pub(super) fn refuse_call(&mut self, error: RestoreError) {
        if let Some(run) = self.run.take() {
            run.job.refuse(error.into());
        }
    }

    /// Ends an environment that idles.
    pub(super) fn withdraw(&mut self) {
        let event = self.withdrawn();
        self.turns.extend(event);
    }

    /// One that was given a job meanwhile finds it among its commands.
    pub(super) fn withdrawn(&self) -> Option<Event> {
        self.membership.withdraw().then_some(Event::Close)
    }
}
