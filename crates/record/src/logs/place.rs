//! Where events stand in the order of time, the ids made of that, and the tokens that continue a listing.

use std::fmt;

use base::clock::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::LogPosition;

use super::LogError;

/// A place between or at events, in order of time and, within a millisecond, of ingestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(pub u128);

impl Place {
    /// Before everything.
    pub(super) const START: Self = Self(0);
    /// After everything.
    pub(super) const END: Self = Self(u128::MAX);

    /// Where the event is that was appended at `position`.
    pub(super) fn of(timestamp: Timestamp, position: LogPosition) -> Self {
        // Flipping the sign bit makes signed times order as unsigned numbers do.
        let time = timestamp.as_millis().cast_unsigned() ^ (1 << 63);
        Self(u128::from(time) << 64 | u128::from(position.0))
    }

    /// Before all events of a moment's millisecond.
    pub(super) fn at(timestamp: Timestamp) -> Self {
        Self::of(timestamp, LogPosition::START)
    }

    /// Directly after the event here.
    pub(super) const fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What tells an event from all others, in all groups. Shown as 56 digits, which order as events do within their
/// group; kept as numbers, because most events that are read are never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    timestamp: Timestamp,
    position: LogPosition,
    group: u64,
}

impl EventId {
    pub(super) const fn new(timestamp: Timestamp, position: LogPosition, group: u64) -> Self {
        Self { timestamp, position, group }
    }

    /// Of an event that is not in the log yet.
    pub(super) const fn without_place(timestamp: Timestamp, group: u64) -> Self {
        Self { timestamp, position: LogPosition::START, group }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Thirteen digits of milliseconds last until the year 2286.
        let millis = self.timestamp.as_millis().clamp(0, 9_999_999_999_999);
        write!(f, "3{millis:013}{:020}{:022}", self.position.0, self.group)
    }
}

/// Which listing a token continues; a token is good for that one only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose<'a> {
    /// The operation.
    pub operation: &'static str,
    /// What is listed.
    pub subject: &'a str,
}

impl Purpose<'_> {
    /// A token that carries `content`. Opaque to clients; the checksum finds altered and foreign ones.
    pub(super) fn seal(&self, content: &[u8]) -> String {
        let check = self.check(content).to_be_bytes();
        URL_SAFE_NO_PAD.encode([&check, content].concat())
    }

    /// The content of a token that [`Purpose::seal`] made.
    pub(super) fn open(&self, token: &str) -> Result<Vec<u8>, LogError> {
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| LogError::InvalidToken)?;
        let (check, content) = bytes.split_first_chunk().ok_or(LogError::InvalidToken)?;
        if u32::from_be_bytes(*check) == self.check(content) {
            Ok(content.to_vec())
        } else {
            Err(LogError::InvalidToken)
        }
    }

    /// A token that carries a place, and whether the listing goes back from there.
    pub(super) fn seal_place(&self, backward: bool, place: Place) -> String {
        self.seal(&[&[u8::from(backward)], place.0.to_be_bytes().as_slice()].concat())
    }

    /// What [`Purpose::seal_place`] put into a token.
    pub(super) fn open_place(&self, token: &str) -> Result<(bool, Place), LogError> {
        let content: [u8; 17] = self.open(token)?.try_into().map_err(|_| LogError::InvalidToken)?;
        let [backward, place @ ..] = content;
        Ok((backward != 0, Place(u128::from_be_bytes(place))))
    }

    /// A place as 56 digits, as the tokens of GetLogEvents look.
    pub(super) fn seal_digits(&self, place: Place) -> String {
        format!("{:039}{:017}", place.0, self.check(&place.0.to_be_bytes()))
    }

    /// The place in 56 digits.
    pub(super) fn open_digits(&self, digits: &str) -> Result<Place, LogError> {
        if digits.len() != 56 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(LogError::InvalidToken);
        }
        let (place, check) = digits.split_at(39);
        let place: u128 = place.parse().map_err(|_| LogError::InvalidToken)?;
        let check: u64 = check.parse().map_err(|_| LogError::InvalidToken)?;
        if check == u64::from(self.check(&place.to_be_bytes())) {
            Ok(Place(place))
        } else {
            Err(LogError::InvalidToken)
        }
    }

    fn check(&self, content: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        for part in [self.operation.as_bytes(), self.subject.as_bytes(), content] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_ids_order_by_time_and_then_position() {
        let at = |millis, position| (Timestamp::from_millis(millis), LogPosition(position));
        let ascending = [at(0, 7), at(1, 0), at(1, 1), at(1, u64::MAX), at(1_700_000_000_000, 0)];
        for pair in ascending.windows(2) {
            let [(t1, p1), (t2, p2)] = [pair[0], pair[1]];
            assert!(Place::of(t1, p1) < Place::of(t2, p2));
            assert!(Place::of(t1, p1).after() <= Place::of(t2, p2));
            assert!(EventId::new(t1, p1, 9).to_string() < EventId::new(t2, p2, 9).to_string());
        }
        assert!(Place::at(Timestamp::from_millis(-1)) < Place::at(Timestamp::from_millis(0)));
        assert_eq!(
            EventId::new(Timestamp::from_millis(1_700_000_000_000), LogPosition(42), u64::MAX)
                .to_string()
                .len(),
            56
        );
    }

    #[test]
    fn tokens_are_good_only_unchanged_and_for_their_listing() {
        let mine = Purpose { operation: "filter", subject: "g" };
        let place = Place::of(Timestamp::from_millis(1_700_000_000_000), LogPosition(42));
        assert!(mine.open_place(&mine.seal_place(true, place)).is_ok_and(|opened| opened == (true, place)));
        assert!(mine.open_digits(&mine.seal_digits(place)).is_ok_and(|opened| opened == place));
        assert_eq!(mine.seal_digits(Place::END).len(), 56);
        let token = mine.seal_place(false, place);
        let altered = token.replace(token.chars().last().unwrap(), "_");
        let other = Purpose { operation: "filter", subject: "h" };
        for (purpose, token) in
            [(mine, ""), (mine, "x y"), (mine, "AAAA"), (mine, altered.as_str()), (other, &token)]
        {
            assert!(matches!(purpose.open_place(token), Err(LogError::InvalidToken)), "{token}");
        }
        let digits = mine.seal_digits(place).replace('7', "8");
        assert!(matches!(mine.open_digits(&digits), Err(LogError::InvalidToken)));
        assert!(matches!(mine.open_digits(&"9".repeat(56)), Err(LogError::InvalidToken)));
    }
}
