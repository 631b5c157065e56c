use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings(retries: u8, age: u64) -> Settings {
    Settings {
        retries,
        age: secs(age),
        on_success: None,
        on_failure: None,
        dead_letter: None,
        role: "r".into(),
    }
}

/// The life of an event whose attempts each take a second and end as `tried` says, the last of them again and again:
/// what is decided when.
fn life(retries: u8, age: u64, tried: &[Tried]) -> String {
    let settings = settings(retries, age);
    let mut progress = Progress { accepted: NOW, due: NOW, attempts: 0 };
    let (mut now, mut told) = (NOW, Vec::new());
    let last = tried.last().into_iter().cycle();
    for tried in tried.iter().chain(last) {
        if let Some(condition) = stopped(&progress, &settings, None, now) {
            told.push(format!("{}s {}", now.since(NOW).as_secs(), condition.as_str()));
            break;
        }
        now = now + secs(1);
        let second = now.since(NOW).as_secs();
        match after(&progress, &settings, *tried, now) {
            Next::Retry(at) => {
                told.push(format!("{second}s retry at {}s", at.since(NOW).as_secs()));
                progress = Progress { due: at, attempts: progress.attempts + 1, ..progress };
                now = at;
            }
            Next::Wait(at) => {
                told.push(format!("{second}s wait until {}s", at.since(NOW).as_secs()));
                now = at;
            }
            Next::End { condition, attempts } => {
                told.push(format!("{second}s {} after {attempts}", condition.as_str()));
                break;
            }
        }
    }
    told.join("; ")
}

const OK: Tried = Tried::Succeeded;
const NO: Tried = Tried::Failed;
const FULL: Tried = Tried::Hindered;

#[test]
fn failures_are_retried_as_often_as_configured_after_one_and_two_minutes() {
    for (retries, tried, expected) in [
        (2, &[OK][..], "1s Success after 1"),
        (2, &[NO, OK], "1s retry at 61s; 62s Success after 2"),
        (2, &[NO], "1s retry at 61s; 62s retry at 182s; 183s RetriesExhausted after 3"),
        (1, &[NO], "1s retry at 61s; 62s RetriesExhausted after 2"),
        (0, &[NO], "1s RetriesExhausted after 1"),
    ] {
        assert_eq!(life(retries, 21_600, tried), expected, "{retries} {tried:?}");
    }
}

#[test]
fn an_event_whose_retry_could_not_start_in_time_ends_at_once() {
    for (age, expected) in [
        (60, "1s EventAgeExceeded after 1"),
        (61, "1s EventAgeExceeded after 1"),
        (62, "1s retry at 61s; 62s EventAgeExceeded after 2"),
        (182, "1s retry at 61s; 62s EventAgeExceeded after 2"),
        (183, "1s retry at 61s; 62s retry at 182s; 183s RetriesExhausted after 3"),
    ] {
        assert_eq!(life(2, age, &[NO]), expected, "{age}");
    }
}

#[test]
fn an_event_that_finds_no_place_waits_twice_as_long_each_time_and_is_not_counted() {
    for (tried, age, expected) in [
        (
            &[FULL, FULL, FULL, OK][..],
            600,
            "1s wait until 3s; 4s wait until 9s; 10s wait until 21s; 22s Success after 1",
        ),
        (
            &[FULL],
            60,
            "1s wait until 3s; 4s wait until 9s; 10s wait until 21s; 22s wait until 45s; 46s EventAgeExceeded after 0",
        ),
        (&[NO, FULL, OK], 600, "1s retry at 61s; 62s wait until 64s; 65s Success after 2"),
        (
            &[NO, FULL, NO],
            600,
            "1s retry at 61s; 62s wait until 64s; 65s retry at 185s; 186s RetriesExhausted after 3",
        ),
    ] {
        assert_eq!(life(2, age, tried), expected, "{tried:?}");
    }
}

#[test]
fn waits_are_of_five_minutes_at_most_and_last_until_the_event_is_too_old() {
    let lived = life(2, 21_600, &[FULL]);
    let moment =
        |text: &str| -> u64 { text.rsplit(' ').next().unwrap().trim_end_matches('s').parse().unwrap() };
    let waits: Vec<u64> = lived.split("; ").filter(|step| step.contains("wait")).map(moment).collect();
    let gaps: Vec<u64> = waits.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps[..8], [6, 12, 24, 48, 96, 192, 301, 301]);
    assert_eq!(gaps.iter().max(), Some(&301));
    let (_, end) = lived.rsplit_once("; ").unwrap();
    assert!(end.ends_with("EventAgeExceeded after 0"), "{end}");
    assert!(waits.last().unwrap() + 302 >= 21_600);
}

#[test]
fn what_may_not_run_or_is_too_old_ends_before_it_is_tried() {
    let progress = Progress { accepted: NOW, due: NOW, attempts: 1 };
    let settings = settings(2, 60);
    let zero = Some(Concurrency(0));
    for (reserved, second, expected) in [
        (None, 0, None),
        (Some(Concurrency(1)), 59, None),
        (None, 60, Some(Condition::EventAgeExceeded)),
        (zero, 0, Some(Condition::ZeroReservedConcurrency)),
        (zero, 60, Some(Condition::ZeroReservedConcurrency)),
    ] {
        assert_eq!(stopped(&progress, &settings, reserved, NOW + secs(second)), expected);
    }
}

#[test]
fn records_count_the_attempts_of_failures_only() {
    let counts = [Condition::Success, Condition::RetriesExhausted, Condition::EventAgeExceeded];
    assert_eq!(counts.map(|condition| shown_count(condition, 3)), [1, 3, 3]);
}
