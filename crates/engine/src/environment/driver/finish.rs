//! The end of an invocation: its report, its figures, and what it leaves behind.

use base::units::Mib;

use super::{Driver, READING_AGE, Run};
use crate::environment::output::Figures;
use crate::environment::rules::{Spent, Status};
use crate::invoke::Ended;
use crate::outcome::{Exit, Fault};

impl Driver {
    pub(super) async fn finish(&mut self, spent: Spent) {
        let Some(Run { job, lease, .. }) = self.run.take() else { return };
        let Spent { took, init, status, extensions } = &spent;
        self.output.drain().await;
        let used = self.max_memory(status);
        self.output.end(job.invocation.id, &Figures { spent: &spent, used });
        let tail = self.output.cut_tail();
        self.output.flush().await;
        self.counted.finished(&job.watch, &spent, used);
        tracing::debug!(parent: &job.span, ?took, ?init, ?status, ?extensions, "ended");
        job.finish(Ended { tail });
        self.ended = Some(lease);
    }

    /// The process that filled its memory is gone before anybody can measure it.
    fn max_memory(&mut self, status: &Status) -> Mib {
        let memory = self.recipe.memory;
        let full = Fault::Exit(Exit::OutOfMemory).error_type();
        match status {
            Status::Error(kind) if kind == full => memory,
            _ => Mib::holding(self.reading()).min(memory),
        }
    }

    fn reading(&mut self) -> u64 {
        let now = self.clock.now();
        if let Some((when, bytes)) = self.reading
            && now.since(when) < READING_AGE
        {
            return bytes;
        }
        let bytes = self.meter.max_memory();
        self.reading = Some((now, bytes));
        self.membership.held(bytes);
        bytes
    }
}
