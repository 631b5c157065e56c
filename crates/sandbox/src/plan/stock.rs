//! How many sandboxes of which kind are kept ready.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use base::clock::Timestamp;

use crate::limits::{
    PREPARED_BURST, PREPARED_KINDS, PREPARED_LATEST, PREPARED_LEAST, PREPARED_LEAST_WAITING, PREPARED_MEMORY,
    PREPARED_MOST, PREPARED_PATIENCE, PREPARED_QUIET, PREPARED_SOON,
};

/// What was asked for of late, by kind.
#[derive(Debug)]
pub struct Stock<K> {
    /// The kind that can stand in for all others; a few are kept whether anybody asked or not.
    plain: K,
    most: usize,
    /// Whether as many as there may be are kept at all times.
    full: bool,
    demands: HashMap<K, Demand>,
    /// When anything was last taken.
    taken: Option<Timestamp>,
}

/// What was asked for of one kind.
#[derive(Debug, Clone, Copy)]
struct Demand {
    /// When it was last asked for.
    last: Timestamp,
    /// The burst under way: its beginning, and how many were asked for.
    burst: (Timestamp, usize),
    /// Since when, and the largest burst since then.
    period: (Timestamp, usize),
    /// The largest burst of the period before.
    before: usize,
}

impl<K: Eq + Hash + Clone> Stock<K> {
    /// `most`: as many are always kept; without it their number follows demand.
    pub fn new(plain: K, most: Option<usize>) -> Self {
        let (full, most) = (most.is_some(), most.unwrap_or(PREPARED_MOST));
        Self { plain, most, full, demands: HashMap::new(), taken: None }
    }

    /// Whether any are kept at all.
    pub const fn is_kept(&self) -> bool {
        self.most > 0
    }

    /// Notes that one was asked for, whether it was ready or not.
    pub fn asked(&mut self, kind: &K, now: Timestamp) {
        self.taken = Some(now);
        self.demand(kind, now).asked(now);
    }

    /// Notes that one may be asked for soon: a few are kept ready as if one had been.
    pub fn expect(&mut self, kind: &K, now: Timestamp) {
        self.demand(kind, now).last = now;
    }

    fn demand(&mut self, kind: &K, now: Timestamp) -> &mut Demand {
        if !self.demands.contains_key(kind) && self.demands.len() >= PREPARED_KINDS {
            let oldest = self.demands.iter().min_by_key(|(_, demand)| demand.last);
            let oldest = oldest.map(|(kind, _)| kind.clone());
            oldest.map(|kind| self.demands.remove(&kind));
        }
        let fresh = || Demand { last: now, burst: (now, 0), period: (now, 0), before: 0 };
        self.demands.entry(kind.clone()).or_insert_with(fresh)
    }

    /// How many of a kind are to be ready.
    pub fn target(&self, kind: &K, now: Timestamp) -> usize {
        let wants = self.wants(now);
        let Some((_, own)) = wants.iter().find(|(other, _)| other == kind) else { return 0 };
        let sum: usize = wants.iter().map(|(_, want)| want).sum();
        if sum > self.most {
            // Rounded up, so that every kind has one; who fills the shelves stops at the most.
            return (own * self.most).div_ceil(sum.max(1));
        }
        if !self.full {
            return *own;
        }
        own + self.share(kind, now, self.most - sum)
    }

    /// What is left over goes where the most was asked for.
    fn share(&self, kind: &K, now: Timestamp, left: usize) -> usize {
        let asked = |demand: &Demand| demand.peak(now);
        let all: usize = self.demands.values().map(asked).sum();
        match self.demands.get(kind) {
            _ if all == 0 => usize::from(*kind == self.plain) * left,
            Some(demand) => left * asked(demand) / all,
            None => 0,
        }
    }

    /// What each kind would have if there were room, which is seldom none.
    fn wants(&self, now: Timestamp) -> Vec<(K, usize)> {
        let of = |kind: &K| {
            let demand = self.demands.get(kind);
            let least = match demand {
                _ if *kind == self.plain => PREPARED_LEAST,
                Some(demand) if now.since(demand.last) < PREPARED_MEMORY => PREPARED_LEAST_WAITING,
                _ => 0,
            };
            (kind.clone(), demand.map_or(0, |demand| demand.peak(now)).max(least))
        };
        let others = self.demands.keys().filter(|kind| **kind != self.plain);
        std::iter::once(&self.plain).chain(others).map(of).collect()
    }

    /// What is to be made ready next; `ready` says how many there are of a kind, and `all` of all.
    pub fn next(&self, now: Timestamp, all: usize, ready: impl Fn(&K) -> usize) -> Option<K> {
        if all >= self.most {
            return None;
        }
        let lacking = self.wants(now).into_iter().filter_map(|(kind, _)| {
            let (target, ready) = (self.target(&kind, now), ready(&kind));
            (ready < target).then(|| (ready * 1_000 / target, kind))
        });
        lacking.min_by_key(|(share, _)| *share).map(|(_, kind)| kind)
    }

    /// How long it should be quiet before that, and whether the processors must be idle, too.
    pub fn patience(&self, kind: &K, ready: usize, now: Timestamp) -> (Duration, bool) {
        let quiet = if ready * 2 < self.target(kind, now) { PREPARED_SOON } else { PREPARED_QUIET };
        (quiet, self.taken.is_some_and(|taken| now.since(taken) < PREPARED_LATEST))
    }
}

impl Demand {
    fn asked(&mut self, now: Timestamp) {
        let peak = self.peak_of_period(now);
        if now.since(self.period.0) >= PREPARED_PATIENCE {
            self.before = peak;
            self.period = (now, 0);
        }
        if now.since(self.burst.0) >= PREPARED_BURST {
            self.burst = (now, 0);
        }
        self.burst.1 += 1;
        self.period.1 = self.period.1.max(self.burst.1);
        self.last = now;
    }

    /// The largest burst of late.
    fn peak(&self, now: Timestamp) -> usize {
        let age = now.since(self.period.0);
        let before = if age < PREPARED_PATIENCE { self.before } else { 0 };
        before.max(self.peak_of_period(now))
    }

    fn peak_of_period(&self, now: Timestamp) -> usize {
        if now.since(self.period.0) < 2 * PREPARED_PATIENCE { self.period.1 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds as i64 * 1000)
    }

    fn asked(stock: &mut Stock<&'static str>, kind: &'static str, times: usize, now: Timestamp) {
        (0..times).for_each(|_| stock.asked(&kind, now));
    }

    fn targets(stock: &Stock<&'static str>, now: Timestamp) -> [usize; 3] {
        ["plain", "python", "node"].map(|kind| stock.target(&kind, now))
    }

    #[test]
    fn a_few_are_ready_before_anybody_asks() {
        let stock = Stock::new("plain", None);
        assert_eq!(targets(&stock, at(0)), [PREPARED_LEAST, 0, 0]);
    }

    #[test]
    fn as_many_are_kept_as_a_busy_second_took_and_for_two_minutes() {
        let mut stock = Stock::new("plain", None);
        asked(&mut stock, "python", 30, at(0));
        for second in 1..20 {
            asked(&mut stock, "python", 1, at(second));
        }
        assert_eq!(targets(&stock, at(20)), [PREPARED_LEAST, 30, 0]);
        asked(&mut stock, "python", 5, at(70));
        assert_eq!(targets(&stock, at(80)), [PREPARED_LEAST, 30, 0]);
        assert_eq!(targets(&stock, at(131)), [PREPARED_LEAST, 5, 0]);
        assert_eq!(targets(&stock, at(200)), [PREPARED_LEAST, PREPARED_LEAST_WAITING, 0]);
        assert_eq!(targets(&stock, at(3_700)), [PREPARED_LEAST, 0, 0]);
    }

    #[test]
    fn what_all_ask_for_is_shared_out_when_there_is_not_room_for_it() {
        let mut stock = Stock::new("plain", None);
        asked(&mut stock, "python", 500, at(0));
        asked(&mut stock, "node", 100, at(0));
        let [plain, python, node] = targets(&stock, at(1));
        assert!(plain == 1 && node == 11 && python == 53, "{plain} {python} {node}");
        assert_eq!(stock.next(at(1), 63, |_| 0), Some("plain"));
        assert_eq!(stock.next(at(1), 64, |_| 0), None);
    }

    #[test]
    fn a_full_stock_goes_to_those_who_asked() {
        let mut stock = Stock::new("plain", Some(500));
        assert_eq!(targets(&stock, at(0)), [500, 0, 0]);
        asked(&mut stock, "python", 1, at(0));
        assert_eq!(targets(&stock, at(0)), [PREPARED_LEAST, 500 - PREPARED_LEAST, 0]);
        asked(&mut stock, "node", 3, at(0));
        let [plain, python, node] = targets(&stock, at(1));
        assert!(plain + python + node <= 500 && python > 100 && node > 300, "{plain} {python} {node}");
        assert!(!Stock::new("plain", Some(0)).is_kept());
    }

    #[test]
    fn who_lacks_most_comes_first_and_waits_least() {
        let mut stock = Stock::new("plain", None);
        asked(&mut stock, "python", 10, at(0));
        let ready = |kind: &&str| if *kind == "plain" { 7 } else { 2 };
        assert_eq!(stock.next(at(1), 9, ready), Some("python"));
        assert_eq!(stock.patience(&"python", 2, at(1)), (PREPARED_SOON, true));
        assert_eq!(stock.patience(&"plain", 7, at(20)), (PREPARED_QUIET, false));
        assert_eq!(stock.next(at(1), 18, |kind| stock.target(kind, at(1))), None);
    }

    #[test]
    fn what_is_expected_is_ready_before_anybody_asks_and_takes_no_room_from_who_did() {
        let mut stock = Stock::new("plain", None);
        stock.expect(&"node", at(0));
        assert_eq!(targets(&stock, at(1)), [PREPARED_LEAST, 0, PREPARED_LEAST_WAITING]);
        assert_eq!(targets(&stock, at(3_700)), [PREPARED_LEAST, 0, 0]);
        let mut stock = Stock::new("plain", Some(100));
        asked(&mut stock, "python", 10, at(0));
        stock.expect(&"node", at(0));
        let [plain, python, node] = targets(&stock, at(1));
        assert!(node == PREPARED_LEAST_WAITING && python == 100 - plain - node, "{plain} {python} {node}");
    }

    #[test]
    fn kinds_are_bounded() {
        let mut stock = Stock::new(0, None);
        (1..100).for_each(|kind| stock.asked(&kind, at(kind)));
        assert!(stock.demands.len() <= PREPARED_KINDS && stock.demands.contains_key(&99));
    }
}
