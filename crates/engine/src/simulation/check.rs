//! What must hold whatever happened, counted anew from what the world knows.

use std::collections::HashMap;

use base::arn::Qualifier;
use base::units::Concurrency;
use catalogue::FunctionKey;

use super::world::{ACCOUNT, World};
use crate::admission::AdmitError;
use crate::testing::scope;

/// What one function runs by version, as the jobs tell it.
type Running = HashMap<Qualifier, u64>;

impl World {
    fn running(&self, function: &FunctionKey) -> Running {
        let mut running = Running::new();
        for job in self.jobs.values().filter(|job| job.permit && job.key.function == *function) {
            *running.entry(job.key.version.clone()).or_default() += 1;
        }
        running
    }

    /// What a function runs beyond what it has for itself.
    pub(super) fn beyond(&self, function: &FunctionKey) -> u64 {
        let (running, shares) = (self.running(function), &self.shares[function]);
        let provisioned = |version: &Qualifier| match version {
            Qualifier::Version(number) => u64::from(shares.of_version(*number).0),
            _ => 0,
        };
        match shares.reserved {
            Some(reserved) => running.values().sum::<u64>().saturating_sub(u64::from(reserved.0)),
            None => running.iter().map(|(version, count)| count.saturating_sub(provisioned(version))).sum(),
        }
    }

    fn total(&self) -> u64 {
        self.jobs.values().filter(|job| job.permit).count() as u64
    }

    fn unreserved(&self) -> u64 {
        let claimed: u64 = self.shares.values().map(catalogue::Shares::claimed).sum();
        u64::from(ACCOUNT.0) - claimed
    }

    /// Admission said yes: whoever has nothing for himself took nothing from those who have.
    pub(super) fn admitted(&self, function: &FunctionKey, before: u64) {
        let pooled: u64 = self.shares.keys().map(|function| self.beyond(function)).sum();
        let took = self.beyond(function) > before;
        assert!(!took || self.shares[function].reserved.is_none(), "a reservation was passed");
        assert!(!took || pooled <= self.unreserved(), "the unreserved pool took what others reserved");
        assert!(self.total() <= u64::from(ACCOUNT.0), "more runs than the account may");
    }

    /// Admission said no: there was a reason.
    pub(super) fn refused(&self, function: &FunctionKey, version: &Qualifier, error: AdmitError) {
        let (shares, running) = (&self.shares[function], self.running(function));
        let all: u64 = running.values().sum();
        let full = self.total() >= u64::from(ACCOUNT.0);
        let ready = match version {
            Qualifier::Version(number) => u64::from(shares.of_version(*number).0),
            _ => 0,
        };
        let has_ready = running.get(version).copied().unwrap_or(0) < ready;
        match (error, shares.reserved) {
            (AdmitError::Reserved { .. }, Some(Concurrency(reserved))) => {
                let rest = u64::from(reserved) - shares.provisioned();
                assert!(all >= u64::from(reserved) || !has_ready && all >= rest, "its share was there");
            }
            (AdmitError::Account { .. }, Some(_)) => assert!(full, "a reservation was not honoured"),
            (AdmitError::Account { .. }, None) => {
                let pooled: u64 = self.shares.keys().map(|function| self.beyond(function)).sum();
                assert!(full || !has_ready && pooled >= self.unreserved(), "there was room");
            }
            (error, _) => panic!("{error:?} fits nothing"),
        }
    }

    /// What holds after every step.
    pub(super) fn check(&self) {
        assert_eq!(u64::from(self.ledger.in_use(&scope()).0), self.total(), "the ledger counts what runs");
        assert_eq!(self.places + self.placed(), self.plan.places, "places are where they belong");
    }

    /// What holds when nothing has happened for a long time: everything that was asked for is there.
    pub(super) fn check_calm(&self) {
        for (number, job) in &self.jobs {
            assert_eq!((job.answers, job.permit), (1, false), "job {number} is answered once, and over");
        }
        for (key, roster) in &self.pools {
            let standing = roster.standing();
            assert_eq!(standing.in_use, 0, "{key:?}");
            assert!(standing.allocated <= standing.wanted, "{key:?} keeps too many");
        }
        let wanted: usize = self.pools.values().map(|roster| roster.wanted()).sum();
        if wanted <= self.plan.places {
            for (key, roster) in &self.pools {
                let standing = roster.standing();
                assert_eq!(standing.available, standing.wanted, "{key:?} converges: {standing:?}");
            }
        }
    }

    /// What holds when everything was closed.
    pub(super) fn check_empty(&self) {
        assert_eq!(self.ledger.in_use(&scope()), Concurrency(0), "a permit is lost");
        assert_eq!(self.places, self.plan.places, "a place is lost");
        assert!(self.environments.is_empty(), "an environment is left");
        assert!(self.pools.is_empty(), "a pool is left: {:?}", self.pools.keys());
    }
}
