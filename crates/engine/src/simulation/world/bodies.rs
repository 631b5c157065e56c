//! Environments and their runtimes, played: what their rules decide is done here, and what goes wrong comes from here.

use std::time::Duration;

use base::limits::START_RETRY;

use super::{Happening, IDLE_EXPIRY, World, request};
use crate::environment::rules::{Action, Environment, Event, Limits};
use crate::outcome::{Answer, Exit, Fault};
use crate::pool::rules::{Kind, Leaving, Left, Offered};

impl World {
    // Environments.

    pub(super) fn turn(&mut self, number: u64, event: Event) {
        let Some(body) = self.environments.get_mut(&number) else { return };
        let rules = std::mem::replace(&mut body.rules, Environment::new(Limits::default(), false));
        let (rules, actions) = rules.on(self.now, event);
        body.rules = rules;
        for action in actions {
            self.perform(number, action);
        }
        if self.environments.get(&number).is_some_and(|body| body.rules.is_closed()) {
            self.end(number, Leaving::Ended);
        }
    }

    fn perform(&mut self, number: u64, action: Action) {
        let Some(body) = self.environments.get_mut(&number) else { return };
        match action {
            Action::Start => {
                body.process += 1;
                self.runtime_starts(number);
            }
            Action::Reset => {
                body.process += 1;
                let moment = self.soon(100);
                self.at(moment, Happening::ResetDone(number));
            }
            Action::Timer(moment) => {
                body.timer += 1;
                let timer = body.timer;
                self.at(moment, Happening::TimeUp(number, timer));
            }
            Action::NoTimer => body.timer += 1,
            Action::Deliver => self.runtime_runs(number),
            Action::Reply(_) | Action::Flow => self.answer(number),
            Action::Flowed => {}
            Action::Finish(..) => {
                let (job, answered) = body.running.take().expect("something ran");
                body.ended = Some(answered);
                self.release(job);
            }
            Action::Offer => self.offer(number),
            Action::Abandon | Action::Destroy => self.abandon(number),
            _ => {}
        }
    }

    fn answer(&mut self, number: u64) {
        let body = self.environments.get_mut(&number).expect("it is there");
        let (job, answered) = body.running.as_mut().expect("something runs");
        self.jobs.get_mut(job).expect("it was admitted").answers += 1;
        assert!(!std::mem::replace(answered, true), "a caller is answered twice");
        self.pools.get_mut(&body.key).expect("it has a member").answered();
    }

    fn offer(&mut self, number: u64) {
        let (now, pressed) = (self.now, !self.line.is_empty());
        let body = self.environments.get_mut(&number).expect("it is there");
        let roster = self.pools.get_mut(&body.key).expect("it has a member");
        if body.ended.take() == Some(true) {
            roster.freed();
        }
        let kind = body.kind;
        match roster.offer(body.id, now, pressed) {
            Offered::Run(_, job) => self.call(number, job),
            Offered::Rest => {
                body.resting += 1;
                let resting = body.resting;
                self.at(now + IDLE_EXPIRY, Happening::Expire(number, resting));
            }
            Offered::Stay => {}
            Offered::Close => self.turn(number, Event::Close),
        }
        if kind == Kind::Provisioned {
            self.tend_soon();
        }
    }

    /// The lease goes back, and whoever still waits is told.
    fn abandon(&mut self, number: u64) {
        let body = self.environments.get_mut(&number).expect("it is there");
        let Some((job, answered)) = body.running.take() else { return };
        if answered {
            self.pools.get_mut(&body.key).expect("it has a member").freed();
            self.release(job);
        } else {
            self.refuse(job);
        }
    }

    pub(super) fn end(&mut self, number: u64, why: Leaving) {
        let Some(body) = self.environments.remove(&number) else { return };
        let roster = self.pools.get_mut(&body.key).expect("it has a member");
        if body.ended == Some(true) {
            roster.freed();
        }
        let Left { refused, again, short } = roster.leave(body.id, why, self.now);
        if let Some(job) = refused {
            self.refuse(job);
        }
        if again {
            self.at(self.now + START_RETRY, Happening::StartAgain(body.key.clone()));
        }
        if short {
            self.tend_soon();
        }
        self.forget(&body.key);
        for job in body.mailbox {
            self.submit(body.key.clone(), job);
        }
        if body.placed {
            self.falling += 1;
            let moment = self.soon(50);
            self.at(moment, Happening::TornDown);
        }
    }

    // Runtimes.

    fn says(&mut self, number: u64, millis: u64, event: Event) {
        let process = self.environments[&number].process;
        let moment = self.soon(millis);
        self.at(moment, Happening::Runtime(number, process, event));
    }

    fn runtime_starts(&mut self, number: u64) {
        if !self.goes_wrong() {
            return self.says(number, 500, Event::Next);
        }
        match self.below(5) {
            0 => self.says(number, 500, Event::Exited(Exit::Status(1))),
            1 => self.says(number, 500, Event::InitFailed(Answer::Fault(Fault::ResponseMode))),
            2 => self.says(number, 500, Event::StartFailed(Fault::NoBootstrap(vec![]))),
            3 => self.says(number, 500, Event::SandboxLost),
            // It hangs.
            _ => {}
        }
    }

    fn runtime_runs(&mut self, number: u64) {
        let Some((job, _)) = self.environments[&number].running else { return };
        let id = request(job);
        let answer = Answer::Fault(Fault::ResponseMode);
        if !self.goes_wrong() {
            if self.below(3) == 0 {
                self.says(number, 300, Event::Begun(id));
                self.says(number, 900, Event::Streamed(id, None));
            } else {
                self.says(number, 900, Event::Answered(id, answer));
            }
            // Some ask for the next event before they have answered, and again later.
            self.says(number, 950, Event::Next);
            return self.asks_again(number);
        }
        match self.below(6) {
            0 => self.says(number, 900, Event::Exited(Exit::Signal(9))),
            1 => self.says(number, 900, Event::Exited(Exit::OutOfMemory)),
            2 => self.says(number, 900, Event::SandboxLost),
            3 => {
                self.says(number, 100, Event::Answered(id, answer));
                self.says(number, 2000, Event::Exited(Exit::Status(1)));
            }
            4 => self.says(number, 100, Event::Begun(id)),
            // It hangs.
            _ => {}
        }
    }

    fn asks_again(&mut self, number: u64) {
        let process = self.environments[&number].process;
        self.at(self.now + Duration::from_millis(951), Happening::Runtime(number, process, Event::Next));
    }
}
