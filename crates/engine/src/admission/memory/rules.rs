//! Whether the machine's memory carries one more environment, as pure counting.

/// What the operator keeps from functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// Bytes of the machine's memory that are kept free.
    pub reserve: u64,
    /// Bytes that all environments together may hold; none for as many as there are.
    pub limit: Option<u64>,
}

/// What was measured at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What processes could still have of the machine, or of the control group that all of Samovar is in.
    pub available: u64,
    /// What environments hold, by what each version's reported last.
    pub held: u64,
}

/// Memory that is free for environments.
///
/// What starts between two readings is in neither of them, so each environment pledges what it is expected to hold
/// until it has finished its init and the next reading shows it.
#[derive(Debug)]
pub struct Books {
    wishes: Wishes,
    reading: Option<Reading>,
    pledged: u64,
    /// Pledges of those that have finished their init since the reading.
    settling: u64,
}

impl Books {
    /// Nothing measured yet: everything fits.
    pub const fn new(wishes: Wishes) -> Self {
        Self { wishes, reading: None, pledged: 0, settling: 0 }
    }

    /// Notes a reading; how many bytes are missing from what is to be kept free.
    pub fn read(&mut self, reading: Reading) -> u64 {
        self.reading = Some(reading);
        self.settling = 0;
        let reserve = self.wishes.reserve.saturating_sub(reading.available);
        let beyond = self.wishes.limit.map_or(0, |limit| reading.held.saturating_sub(limit));
        reserve.max(beyond)
    }

    /// Sets `bytes` aside for an environment that is about to start, if they are there.
    pub fn pledge(&mut self, bytes: u64) -> bool {
        let fits = self.free().is_none_or(|free| bytes <= free);
        if fits {
            self.pledged += bytes;
        }
        fits
    }

    /// An environment has finished its init: the next reading shows what it holds.
    pub fn settle(&mut self, bytes: u64) {
        self.pledged -= bytes;
        self.settling += bytes;
    }

    /// An environment has ended before its init did.
    pub fn release(&mut self, bytes: u64) {
        self.pledged -= bytes;
    }

    /// Bytes that further environments may take; none before the first reading.
    fn free(&self) -> Option<u64> {
        let Reading { available, held } = self.reading?;
        let machine = available.saturating_sub(self.wishes.reserve);
        let own = self.wishes.limit.map_or(u64::MAX, |limit| limit.saturating_sub(held));
        Some(machine.min(own).saturating_sub(self.pledged + self.settling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESERVE: Wishes = Wishes { reserve: 100, limit: None };

    fn of(available: u64) -> Reading {
        Reading { available, held: 0 }
    }

    #[test]
    fn before_anything_is_measured_everything_fits() {
        assert!(Books::new(RESERVE).pledge(u64::MAX));
    }

    #[test]
    fn the_reserve_stays_free_and_what_is_missing_from_it_is_told() {
        let mut books = Books::new(RESERVE);
        assert_eq!(books.read(of(150)), 0);
        assert!(!books.pledge(51));
        assert!(books.pledge(50));
        assert!(!books.pledge(1), "it is set aside for the first");
        assert_eq!(books.read(of(70)), 30);
    }

    #[test]
    fn what_starts_counts_until_a_reading_shows_it() {
        let mut books = Books::new(RESERVE);
        books.read(of(200));
        assert!(books.pledge(60));
        books.settle(60);
        assert!(!books.pledge(60), "it holds them, and the reading is older");
        books.read(of(140));
        assert!(books.pledge(40));
        books.release(40);
        assert!(books.pledge(40), "what never came up holds nothing");
    }

    #[test]
    fn environments_hold_no_more_together_than_they_may() {
        let mut books = Books::new(Wishes { reserve: 100, limit: Some(50) });
        assert_eq!(books.read(Reading { available: 10_000, held: 45 }), 0);
        assert!(!books.pledge(6));
        assert!(books.pledge(5));
        assert_eq!(books.read(Reading { available: 10_000, held: 70 }), 20);
    }
}
