//! What xtask can do, read from its command line.

use crate::bench::TOPICS;
use crate::bench::soak::SECONDS as SOAK_SECONDS;
use crate::fuzz::SECONDS;
use crate::fuzz::api::Plan;

/// One task.
pub enum Task {
    /// Generate the wire types; with `check`, only compare.
    Codegen { check: bool },
    /// Show a real invocation; with `keep`, leave the server up.
    Demo { keep: bool },
    /// Run tests: all, or one part; the rest goes to pytest.
    Test { only: Option<String>, pytest: Vec<String> },
    /// Fuzz all targets or one, each for so many seconds.
    Fuzz { only: Option<String>, seconds: u32 },
    /// Send generated requests to the real binary.
    FuzzApi(Plan),
    /// Measure: all, or one topic.
    Bench { only: Option<String> },
    /// Everything at once for a while, and then exact books.
    Soak { seconds: u32, seed: Option<String> },
    /// Check the invariants of the house.
    Tidy,
}

/// What is printed when the command line is not understood.
pub const USAGE: &str = "\
usage: cargo xtask <task>

  demo [--keep]             set up, build, deploy an example, invoke it, show its log
  test [PART] [-- ARGS]     set up and run every test; PART: tidy, rust, fuzz or e2e; ARGS go to pytest
  fuzz [TARGET] [--seconds N]  drive what reads strangers' bytes with libFuzzer
  fuzz api [--requests N] [--seed S] [--only NUMBER]
                            send generated requests over all operations to the real binary, or one of them again
  bench [TOPIC]             measure, with floors from the same run; TOPIC: invokes, bursts, cycles,
                            imports, scale, catalogue or logs
  bench soak [--seconds N] [--seed S]
                            everything at once for ten minutes or N seconds, and then exact books
  codegen [--check]         generate the wire types from models/
  tidy                      check the invariants of ARCHITECTURE.md";

/// Reads the command line.
pub fn parse(arguments: &[String]) -> Option<Task> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["codegen"] => Some(Task::Codegen { check: false }),
        ["codegen", "--check"] => Some(Task::Codegen { check: true }),
        ["demo"] => Some(Task::Demo { keep: false }),
        ["demo", "--keep"] => Some(Task::Demo { keep: true }),
        ["bench"] => Some(Task::Bench { only: None }),
        ["bench", topic] if TOPICS.contains(&topic) => Some(Task::Bench { only: Some(topic.to_owned()) }),
        ["bench", "soak", ref rest @ ..] => soak(rest),
        ["tidy"] => Some(Task::Tidy),
        ["test", ref rest @ ..] => test(rest),
        ["fuzz", "api", ref rest @ ..] => fuzz_api(rest, Plan::default()).map(Task::FuzzApi),
        ["fuzz", ref rest @ ..] => fuzz(rest),
        _ => None,
    }
}

fn test(rest: &[&str]) -> Option<Task> {
    let split = rest.iter().position(|word| *word == "--").unwrap_or(rest.len());
    let only = match rest[..split] {
        [] => None,
        [part @ ("tidy" | "rust" | "fuzz" | "e2e")] => Some(part.to_owned()),
        _ => return None,
    };
    let pytest = rest.get(split + 1..).unwrap_or_default().iter().map(|word| (*word).to_owned()).collect();
    Some(Task::Test { only, pytest })
}

fn soak(mut rest: &[&str]) -> Option<Task> {
    let (mut seconds, mut seed) = (SOAK_SECONDS, None);
    while let [flag, value, others @ ..] = rest {
        match *flag {
            "--seconds" => seconds = value.parse().ok()?,
            "--seed" => seed = Some((*value).to_owned()),
            _ => return None,
        }
        rest = others;
    }
    rest.is_empty().then_some(Task::Soak { seconds, seed })
}

fn fuzz(rest: &[&str]) -> Option<Task> {
    let (only, seconds) = match *rest {
        [] => (None, SECONDS),
        ["--seconds", number] => (None, number.parse().ok()?),
        [target] => (Some(target), SECONDS),
        [target, "--seconds", number] => (Some(target), number.parse().ok()?),
        _ => return None,
    };
    Some(Task::Fuzz { only: only.map(str::to_owned), seconds })
}

fn fuzz_api(rest: &[&str], plan: Plan) -> Option<Plan> {
    let [flag, number, rest @ ..] = rest else { return rest.is_empty().then_some(plan) };
    let number: u64 = number.parse().ok()?;
    let plan = match *flag {
        "--requests" => Plan { requests: number, ..plan },
        "--seed" => Plan { seed: Some(number), ..plan },
        "--only" => Plan { only: Some(number), ..plan },
        _ => return None,
    };
    fuzz_api(rest, plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bench_takes_a_topic_that_there_is() {
        let parsed = |words: &[&str]| parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert!(matches!(parsed(&["bench"]), Some(Task::Bench { only: None })));
        for topic in TOPICS {
            assert!(
                matches!(parsed(&["bench", topic]), Some(Task::Bench { only: Some(only) }) if only == topic)
            );
            assert!(USAGE.contains(topic), "the usage names {topic}");
        }
        assert!(parsed(&["bench", "tea"]).is_none() && parsed(&["bench", "logs", "scale"]).is_none());
    }

    #[test]
    fn fuzz_api_takes_numbers_in_any_order() {
        let parsed = |text: &str| match parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>()) {
            Some(Task::FuzzApi(plan)) => Some((plan.requests, plan.seed, plan.only)),
            _ => None,
        };
        for (text, expected) in [
            ("fuzz api", Some((crate::fuzz::api::REQUESTS, None, None))),
            ("fuzz api --requests 7", Some((7, None, None))),
            ("fuzz api --only 3 --requests 7 --seed 5", Some((7, Some(5), Some(3)))),
            ("fuzz api --seed", None),
            ("fuzz api --seed tea", None),
            ("fuzz api --tea 1", None),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }
}
