//! What is due when: time limits, the end of idling, and the frost between calls.

use base::clock::Timestamp;

use super::Driver;
use crate::environment::rules::Event;

impl Driver {
    /// The rules' moment comes first when both have come.
    pub(super) fn rang(&mut self) -> Option<Event> {
        let now = self.clock.now();
        let event = if self.deadline.take_if(|moment| *moment <= now).is_some() {
            Some(Event::TimeUp)
        } else if self.expiry.take_if(|moment| *moment <= now).is_some() {
            self.withdrawn()
        } else {
            self.freeze(now);
            None
        };
        self.set_alarm();
        event
    }

    pub(super) fn set_alarm(&mut self) {
        match self.deadline.into_iter().chain(self.expiry).chain(self.weather.due()).min() {
            Some(moment) => self.alarm.set(moment),
            None => self.alarm.clear(),
        }
    }

    /// Lets everything inside go on; a sandbox that stays frozen is lost.
    pub(super) fn wake(&mut self) {
        let woken =
            self.weather.wake().and_then(|thawed| if thawed { self.control.thawed() } else { Ok(()) });
        if let Err(error) = woken {
            tracing::error!(environment = %self.membership.id(), %error, "sandbox stays frozen");
            self.turns.push_back(Event::SandboxLost);
        }
    }

    pub(super) fn freeze(&mut self, now: Timestamp) {
        if let Err(error) = self.weather.pass(now) {
            tracing::debug!(environment = %self.membership.id(), %error, "not frozen");
        }
    }
}
