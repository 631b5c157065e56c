use base::clock::Clock;
use bytes::Bytes;
use http::HeaderValue;
use record::Metrics;
use record::metrics::{Count, Sample, Series};

use super::*;
use crate::admission::AdmitError;
use crate::invoke::InvokeError;
use crate::testing::{House, Plan, scope, script, version};

const MILLI: Duration = Duration::from_millis(1);

/// What a caller is told, and how the invocation ends.
struct Run {
    told: Option<Answer>,
    status: Status,
}

fn response() -> Option<Answer> {
    Some(Answer::Response { content_type: None, body: Bytes::new() })
}

fn error() -> Option<Answer> {
    Some(Answer::Error { kind: "Runtime.Unknown".into(), body: Bytes::new() })
}

fn spent(took: Duration, status: Status, extensions: Option<Duration>) -> Spent {
    Spent { took, init: None, status, extensions }
}

fn shown(series: &Series) -> [u64; 4] {
    [Count::Invocations, Count::Errors, Count::PlatformFailures, Count::ColdStarts]
        .map(|count| series.count(count))
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_was_told_and_how_it_ended_tell_what_counts() {
    let clock = Clock::starting_at(Timestamp::from_millis(1_700_000_000_000));
    let fault = |fault: Fault| Status::Error(fault.error_type().into());
    for (run, expected) in [
        (Run { told: response(), status: Status::Success }, [1, 0, 0, 1]),
        (Run { told: error(), status: Status::Success }, [1, 1, 0, 1]),
        (Run { told: response(), status: Status::Timeout }, [1, 1, 0, 1]),
        (
            Run {
                told: Some(Answer::Fault(Fault::ResponseTooLarge)),
                status: fault(Fault::ResponseTooLarge),
            },
            [1, 1, 0, 1],
        ),
        (Run { told: Some(Answer::Fault(Fault::Sandbox)), status: fault(Fault::Sandbox) }, [0, 0, 1, 0]),
    ] {
        let metrics = Metrics::new(clock);
        let watch = metrics.watch(&scope(), &"f".parse().expect("a name")).begin(clock);
        let mut counted = Counted::building(clock.now());
        counted.assigned(Duration::ZERO);
        if let Some(answer) = &run.told {
            counted.replied(answer);
        }
        counted.finished(&watch, &spent(MILLI, run.status.clone(), None), Mib(1));
        assert_eq!(shown(&metrics.functions()[0].series), expected, "{:?} {:?}", run.told, run.status);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_first_invocation_is_a_cold_start_and_queues_for_what_was_not_building() {
    let clock = Clock::starting_at(Timestamp::from_millis(1_700_000_000_000));
    let metrics = Metrics::new(clock);
    let watch = || metrics.watch(&scope(), &"f".parse().expect("a name")).begin(clock);
    let mut counted = Counted::building(clock.now());
    clock.sleep(20 * MILLI).await;
    counted.built(clock.now());
    counted.initialised(100 * MILLI);
    for waited in [150 * MILLI, 500 * MILLI] {
        counted.assigned(waited);
        counted.replied(&response().expect("one"));
        counted.finished(&watch(), &spent(7 * MILLI, Status::Success, Some(2 * MILLI)), Mib(1));
    }
    let series = &metrics.functions()[0].series;
    assert_eq!(shown(series), [2, 0, 0, 1]);
    let sums = Sample::PHASES.map(|(phase, _)| series.distribution(phase).sum);
    assert_eq!(sums, [30 * MILLI, 20 * MILLI, 100 * MILLI, 5 * MILLI, 2 * MILLI]);
    let after = series.distribution(Sample::PostRuntimeExtensionsDuration);
    assert_eq!((after.count(), after.sum), (2, 4 * MILLI));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_runtime_says_failed_is_an_error() {
    let clock = Clock::starting_at(Timestamp::from_millis(1_700_000_000_000));
    let metrics = Metrics::new(clock);
    for fails in [false, true] {
        let watch = metrics.watch(&scope(), &"f".parse().expect("a name")).begin(clock);
        let mut counted = Counted::building(clock.now());
        let (mut sink, _flow) = crate::flow::flow(HeaderValue::from_static("text/tea"));
        if fails {
            sink.fail();
        }
        counted.assigned(Duration::ZERO);
        counted.flowed(Some(&sink));
        counted.finished(&watch, &spent(MILLI, Status::Success, None), Mib(1));
    }
    assert_eq!(shown(&metrics.functions()[0].series), [2, 1, 0, 2]);
}

#[tokio::test]
async fn the_engine_counts_throttles_failures_and_what_ran() {
    let f = version("f", 1);
    let house = |plan| House::of(script(crate::testing::Runtime::echo), plan);
    let full = house(Plan { account: 0, ..Plan::default() }).await;
    let refused = full.invoke(&f, "{}").await.expect_err("nothing may run");
    assert!(matches!(refused, InvokeError::Throttled { reason: AdmitError::Account { .. } }), "{refused}");
    let series = |house: &House| std::sync::Arc::clone(&house.metrics.functions()[0].series);
    assert_eq!((series(&full).count(Count::Throttles), shown(&series(&full))), (1, [0, 0, 0, 0]));

    let crowded = house(Plan { budget: 0, ..Plan::default() }).await;
    crowded.invoke(&f, "{}").await.expect_err("there is no place");
    assert_eq!((series(&crowded).count(Count::Throttles), shown(&series(&crowded))), (1, [0, 0, 0, 0]));

    let broken = house(Plan::default()).await;
    broken.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    broken.invoke(&f, "{}").await.expect_err("no sandbox");
    broken.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!((series(&broken).running(), shown(&series(&broken))), (0, [0, 0, 1, 0]));
    broken.run(&f, "{}").await;
    broken.run(&f, "{}").await;
    assert_eq!((series(&broken).running(), shown(&series(&broken))), (0, [2, 0, 1, 1]));
    let census = broken.engine.census();
    let there: Vec<_> =
        census.functions.values().map(|there| there.starting + there.idle + there.busy).collect();
    assert_eq!((census.pools, there), (1, vec![1]));
}
