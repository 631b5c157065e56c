//! Whether an answer counts: a runtime that took more than its function's memory gets none out.
//!
//! Its init watches over the memory, and kills who takes too much. On a busy machine it may come to that late, when
//! an answer is there already. The mark that the kernel keeps tells so, and costs a warm invocation one short reading.

use super::{Asker, Driver};
use crate::environment::rules::Event;
use crate::flow::Sink;

/// What is known of the runtime's memory, and the answer that waits to hear more.
#[derive(Default)]
pub(super) struct Audit {
    /// Bytes up to which the mark may stand.
    vouched: u64,
    held: Option<Held>,
}

/// An answer, with whoever is to hear what became of it.
struct Held {
    event: Event,
    asker: Option<Asker>,
    sink: Option<Sink>,
}

impl Audit {
    /// The runtime is gone.
    pub(super) fn forget(&mut self) {
        self.held = None;
    }
}

impl Driver {
    /// Lets an answer pass, or holds it until the init has looked.
    pub(super) fn audit(&mut self, answer: Event) -> Option<Event> {
        let (memory, mark) = (self.recipe.memory.bytes(), self.meter.high_mark().unwrap_or(0));
        // Below the memory nothing is left of what was vouched for.
        self.audit.vouched = if mark <= memory { memory } else { self.audit.vouched.max(memory) };
        if mark <= self.audit.vouched && self.audit.held.is_none() {
            return Some(answer);
        }
        self.audit.held = Some(Held { event: answer, asker: self.asker.take(), sink: self.sink.take() });
        self.sandbox_says(|control| control.audit());
        None
    }

    /// Lets the answer pass that was held.
    pub(super) fn audited(&mut self, vouched: u64) -> Option<Event> {
        self.audit.vouched = vouched;
        let Held { event, asker, sink } = self.audit.held.take()?;
        (self.asker, self.sink) = (asker, sink);
        Some(event)
    }
}
