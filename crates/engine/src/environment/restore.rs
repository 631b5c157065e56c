//! What the driver does for environments that are restored for their first call.

use std::sync::Arc;
use std::time::Duration;

use access::Issued;
use base::clock::Clock;
use base::limits::STANDBY_EXPIRY;
use catalogue::Version;
use sandbox::protocol::Zygote;
use tokio::sync::oneshot;

use super::driver::{Asker, Driver};
use super::recipe::{Kit, Recipe, SnapStart};
use super::rules::restore::RestoreError;
use super::rules::{Event, Refusal, RuntimeState, Status};
use crate::host::runtime::{Credentials, Verdict};
use crate::images::{Capture, Gift, Images};
use crate::initialize::InitError;
use crate::pool::PoolKey;

/// What a runtime says that has written an image of itself; otherwise it says why not.
const IMAGE_TAKEN: &str = "taken";

/// How much of that is written into the server's own log: a runtime may say anything.
const REASON_CHARS: usize = 100;

/// What a driver keeps of an environment that is restored.
pub(super) struct Restore {
    /// The runtime's `/restore/next`, until the first call.
    parked: Option<oneshot::Sender<Verdict>>,
    /// What it has to do with images, where it may have any.
    image: Option<Imaging>,
}

/// An environment and the memory image of its version.
struct Imaging {
    images: Arc<Images>,
    key: PoolKey,
    interpreter: String,
    /// Whether there was an image when the environment was made.
    is_there: bool,
    /// The one that its runtime is asked to make.
    capture: Option<Capture>,
    /// Whether its runtime is being started, and it is not known from what.
    is_beginning: bool,
    /// Who bore its runtime.
    zygote: Option<Zygote>,
}

impl Restore {
    /// That of an environment that is made from this recipe.
    pub(super) fn of(kit: &Kit, version: &Version, recipe: &Recipe) -> Self {
        let key = PoolKey::of(version);
        let image = recipe.may_have_image().then(|| Imaging {
            images: Arc::clone(&kit.images),
            is_there: kit.images.has(&key),
            key,
            interpreter: recipe.interpreter.clone().unwrap_or_default(),
            capture: None,
            is_beginning: false,
            zygote: None,
        });
        Self { parked: None, image }
    }

    /// Whether its runtime may go on from an image.
    pub(super) fn has_image(&self) -> bool {
        self.image.as_ref().is_some_and(|image| image.is_there)
    }

    /// What its runtime gets as it is started.
    pub(super) fn gift(&mut self) -> Gift {
        let Some(imaging) = &mut self.image else { return Gift::default() };
        let (mut gift, capture) = imaging.images.offer(&imaging.key);
        imaging.capture = capture;
        imaging.is_beginning = true;
        gift.image = gift.image.filter(|_| imaging.is_there);
        gift
    }

    /// The runtime runs.
    pub(super) fn began(&mut self, zygote: Option<Zygote>, continues: bool) {
        let Some(imaging) = &mut self.image else { return };
        if let Some(zygote) = &zygote {
            imaging.images.seen(&imaging.key, &imaging.interpreter, zygote);
        }
        // Who was executed makes no image.
        imaging.capture = imaging.capture.take().filter(|_| zygote.is_some() && !continues);
        imaging.zygote = zygote;
        imaging.is_beginning = false;
    }

    /// Whether its runtime is being started, and it is not known whether it goes on from an image.
    pub(super) fn is_beginning(&self) -> bool {
        self.image.as_ref().is_some_and(|image| image.is_beginning)
    }

    /// The runtime is gone.
    pub(super) fn forget(&mut self) {
        self.parked = None;
        if let Some(imaging) = &mut self.image {
            imaging.capture = None;
            imaging.is_beginning = false;
        }
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

    /// Keeps the image that the runtime says it has made.
    pub(super) async fn keep_image(&mut self, note: Option<String>) {
        let (Some(imaging), Some(note)) = (&mut self.restore.image, note) else { return };
        let Some((capture, zygote)) = imaging.capture.take().zip(imaging.zygote.as_ref()) else { return };
        let function = &imaging.key.version;
        if note != IMAGE_TAKEN {
            let reason: String = note.chars().take(REASON_CHARS).collect();
            tracing::info!(%function, ?reason, "environments make an init each: there is no memory image");
            return capture.give_up(zygote);
        }
        match capture.keep(zygote).await {
            Ok(bytes) => tracing::info!(%function, bytes, "environments go on from a memory image"),
            Err(error) => {
                tracing::info!(%function, %error, "environments make an init each: there is no memory image");
                imaging.images.failed(&imaging.key, zygote);
            }
        }
    }

    /// The runtime did not go on from its image. The next environment makes an init of its own.
    pub(super) fn give_up_image(&mut self) {
        if let Some(imaging) = &self.restore.image
            && let Some(zygote) = &imaging.zygote
        {
            let function = &imaging.key.version;
            tracing::warn!(%function, "a memory image did not restore, and is given up");
            imaging.images.failed(&imaging.key, zygote);
        }
        self.membership.gave_up();
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
        self.api.restored();
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
