//! AWS's rates, as pure counting: how many requests a second, and how many new environments.
//!
//! Sources: Lambda Developer Guide, "Lambda function scaling" and "Lambda quotas".

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use base::arn::{FunctionName, Qualifier, Scope};
use base::clock::Timestamp;
use base::units::Concurrency;
use catalogue::{FunctionKey, Shares};

use super::AdmitError;

/// Requests a second for each unit of concurrency.
const REQUESTS_A_UNIT: u64 = 10;

/// New environments of a function that may come at once.
const STARTS: u64 = 1000;

/// New environments a second by which what was used up comes back: as many as that in ten seconds.
const STARTS_A_SECOND: u64 = STARTS / 10;

/// Buckets of one kind beyond which those that are full are forgotten. Ours.
const BUCKETS: usize = 4096;

/// One drop, of which a bucket gets so many a second for each unit of its rate.
const DROPS: u64 = 1_000_000;

/// What has been used of AWS's rates.
#[derive(Debug, Default)]
pub struct Rates {
    accounts: HashMap<Scope, Bucket>,
    reserved: HashMap<FunctionKey, Bucket>,
    provisioned: HashMap<(FunctionKey, Qualifier), Bucket>,
    starts: HashMap<FunctionKey, Bucket>,
}

/// Holds what may come at once, and fills again steadily.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    rate: Rate,
    /// Drops that are missing.
    missing: u64,
    at: Timestamp,
}

impl Rates {
    /// Counts a request that somebody waits for, or refuses it.
    pub fn request(
        &mut self,
        function: &FunctionKey,
        version: &Qualifier,
        shares: &Shares,
        account: Concurrency,
        now: Timestamp,
    ) -> Result<(), AdmitError> {
        let provisioned = match version {
            Qualifier::Version(number) => shares.of_version(*number),
            Qualifier::Latest | Qualifier::Alias(_) => Concurrency(0),
        };
        let reserved = shares.reserved.is_some();
        let refused = |(per_second, after)| AdmitError::Requests { per_second, reserved, after };
        if provisioned.0 > 0 {
            let key = (function.clone(), version.clone());
            return take(&mut self.provisioned, key, requests(provisioned), now).map_err(refused);
        }
        match shares.reserved {
            Some(reserved) => take(&mut self.reserved, function.clone(), requests(reserved), now),
            None => take(&mut self.accounts, function.scope.clone(), requests(account), now),
        }
        .map_err(refused)
    }

    /// Counts a new environment, or refuses it.
    pub fn start(&mut self, scope: &Scope, name: &FunctionName, now: Timestamp) -> Result<(), AdmitError> {
        let rate = Rate { most: STARTS, per_second: STARTS_A_SECOND };
        let key = FunctionKey::new(scope.clone(), name.clone());
        take(&mut self.starts, key, rate, now)
            .map_err(|(_, after)| AdmitError::Starts { most: STARTS, after })
    }
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    most: u64,
    per_second: u64,
}

const fn requests(of: Concurrency) -> Rate {
    let per_second = of.0 as u64 * REQUESTS_A_UNIT;
    Rate { most: per_second, per_second }
}

/// Takes one, or says how many a second there are and when there will be one.
fn take<K: Hash + Eq>(
    buckets: &mut HashMap<K, Bucket>,
    key: K,
    rate: Rate,
    now: Timestamp,
) -> Result<(), (u64, Duration)> {
    if buckets.len() >= BUCKETS {
        buckets.retain(|_, bucket| bucket.filled(now).missing > 0);
    }
    let bucket = buckets.entry(key).or_insert(Bucket { rate, missing: 0, at: now });
    *bucket = Bucket { rate, ..bucket.filled(now) };
    let capacity = rate.most * DROPS;
    if bucket.missing + DROPS <= capacity {
        bucket.missing += DROPS;
        return Ok(());
    }
    let micros = (bucket.missing + DROPS - capacity).div_ceil(rate.per_second.max(1));
    Err((rate.per_second, Duration::from_micros(micros)))
}

impl Bucket {
    /// A rate of one a second fills one drop in a microsecond.
    fn filled(self, now: Timestamp) -> Self {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        Self {
            missing: self.missing.saturating_sub(micros.saturating_mul(self.rate.per_second)),
            at: now,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::scope;

    const ACCOUNT: Concurrency = Concurrency(10);

    fn function(name: &str) -> FunctionKey {
        FunctionKey::new(scope(), name.parse().expect("a name"))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// How many of 1,000 requests pass at a moment.
    fn passing(rates: &mut Rates, version: &Qualifier, shares: &Shares, millis: i64) -> usize {
        let one =
            |rates: &mut Rates| rates.request(&function("f"), version, shares, ACCOUNT, at(millis)).is_ok();
        (0..1000).filter(|_| one(rates)).count()
    }

    #[test]
    fn an_account_gets_ten_requests_a_second_for_each_unit() {
        let (mut rates, none) = (Rates::default(), Shares::default());
        assert_eq!(passing(&mut rates, &Qualifier::Latest, &none, 0), 100);
        assert_eq!(passing(&mut rates, &Qualifier::Latest, &none, 500), 50);
        assert_eq!(passing(&mut rates, &Qualifier::Latest, &none, 60_000), 100, "what was not used is lost");
        let refused = rates.request(&function("g"), &Qualifier::Latest, &none, ACCOUNT, at(60_000));
        let after = Duration::from_millis(10);
        assert_eq!(refused, Err(AdmitError::Requests { per_second: 100, reserved: false, after }));
    }

    #[test]
    fn what_is_reserved_and_what_is_provisioned_have_rates_of_their_own() {
        let mut rates = Rates::default();
        let shares = Shares {
            reserved: Some(Concurrency(5)),
            provisioned: [(1, Concurrency(2))].into_iter().collect(),
        };
        assert_eq!(passing(&mut rates, &Qualifier::Latest, &shares, 0), 50);
        assert_eq!(passing(&mut rates, &Qualifier::Version(1), &shares, 0), 20);
        assert_eq!(
            passing(&mut rates, &Qualifier::Version(2), &shares, 0),
            0,
            "the reservation's are used up"
        );
        assert_eq!(
            passing(&mut rates, &Qualifier::Latest, &Shares::default(), 0),
            100,
            "the account's are not"
        );
        let stopped = Shares { reserved: Some(Concurrency(0)), ..Shares::default() };
        assert_eq!(passing(&mut rates, &Qualifier::Latest, &stopped, 10_000), 0);
    }

    #[test]
    fn a_thousand_environments_may_start_and_then_a_hundred_a_second() {
        let mut rates = Rates::default();
        let starts = |rates: &mut Rates, name: &str, millis| {
            let function = function(name);
            (0..2000).filter(|_| rates.start(&function.scope, &function.name, at(millis)).is_ok()).count()
        };
        assert_eq!(starts(&mut rates, "f", 0), 1000);
        assert_eq!(starts(&mut rates, "f", 1000), 100);
        assert_eq!(starts(&mut rates, "g", 1000), 1000);
        assert_eq!(starts(&mut rates, "f", 11_000), 1000);
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let mut rates = Rates::default();
        for number in 0..3 * BUCKETS {
            let function = function(&format!("f{number}"));
            rates.start(&function.scope, &function.name, at(1000 * number as i64)).expect("the first");
        }
        assert!(rates.starts.len() <= BUCKETS);
    }
}
