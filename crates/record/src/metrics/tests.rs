use expect_test::expect;

use super::text::{Page, write};
use super::*;

fn scope(account: &str) -> Scope {
    Scope { account: account.parse().unwrap(), region: "us-east-1".parse().unwrap() }
}

fn name(text: &str) -> FunctionName {
    text.parse().unwrap()
}

fn house() -> (Clock, Metrics) {
    let clock = Clock::starting_at(Timestamp::from_millis(1_795_255_200_000));
    (clock, Metrics::new(clock))
}

const ACCOUNT: &str = "000000000000";
const MILLI: Duration = Duration::from_millis(1);

fn lines(metrics: &Metrics, of: &str) -> String {
    let mut page = Page::default();
    write(&mut page, metrics);
    let text = page.into_text();
    text.lines().filter(|line| line.contains(of)).map(|line| format!("{line}\n")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_entered_is_shown() {
    let (clock, metrics) = house();
    let watch = metrics.watch(&scope(ACCOUNT), &name("f"));
    let running = watch.clone().begin(clock);
    running.invoked(3 * MILLI, false, Mib(20));
    running.cold(&ColdStart { queue: MILLI, sandbox: 2 * MILLI, init: 40 * MILLI, handler: 3 * MILLI });
    let failed = watch.clone().begin(clock);
    failed.invoked(700 * MILLI, true, Mib(10));
    drop(failed);
    watch.add(clock.now(), Count::Throttles);
    expect![[r#"
        samovar_function_invocations_total{account="000000000000",region="us-east-1",function="f"} 2
        samovar_account_invocations_total{account="000000000000",region="us-east-1"} 2
    "#]]
    .assert_eq(
        &lines(&metrics, "invocations_total{")
            .lines()
            .filter(|line| !line.contains("provisioned"))
            .map(|line| format!("{line}\n"))
            .collect::<String>(),
    );
    for (line, value) in [
        ("samovar_function_errors_total{", "1"),
        ("samovar_function_throttles_total{", "1"),
        ("samovar_function_cold_starts_total{", "1"),
        ("samovar_function_concurrent_executions{", "1"),
        ("samovar_function_max_memory_used_bytes{", "20971520"),
        ("samovar_function_duration_seconds_sum{", "0.703"),
        ("samovar_function_duration_seconds_count{", "2"),
        ("function=\"f\",le=\"0.002\"}", "0"),
        ("function=\"f\",le=\"0.005\"}", "1"),
        ("function=\"f\",le=\"0.5\"}", "1"),
        ("function=\"f\",le=\"1\"}", "2"),
        ("function=\"f\",le=\"+Inf\"}", "2"),
        ("function=\"f\",phase=\"init\"}", "0.04"),
        ("region=\"us-east-1\",phase=\"queue\",le=\"0.001\"}", "1"),
    ] {
        let shown = lines(&metrics, line);
        assert_eq!(shown.trim_end().rsplit(' ').next(), Some(value), "{line}: {shown}");
    }
    drop(running);
    assert_eq!(metrics.functions()[0].series.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn minutes_hold_what_began_in_them() {
    let (clock, metrics) = house();
    let watch = metrics.watch(&scope(ACCOUNT), &name("f"));
    let long = watch.clone().begin(clock);
    clock.sleep(Duration::from_secs(899)).await;
    let short = watch.clone().begin(clock);
    short.invoked(5 * MILLI, false, Mib(1));
    long.invoked(Duration::from_secs(899), true, Mib(1));
    drop((short, long));
    let series = Arc::clone(&metrics.functions()[0].series);
    let minutes = series.minutes(clock.now());
    let shown: Vec<_> = minutes
        .iter()
        .map(|minute| {
            let Distribution { sum, least, most, .. } = minute.samples[0];
            (
                minute.counts[0],
                minute.counts[1],
                minute.samples[0].count(),
                sum,
                least,
                most,
                minute.concurrent_executions,
            )
        })
        .collect();
    let first = Duration::from_secs(899);
    assert_eq!(shown, [(1, 1, 1, first, first, first, 1), (1, 0, 1, 5 * MILLI, 5 * MILLI, 5 * MILLI, 2)]);
    clock.sleep(Duration::from_secs(3600)).await;
    assert!(series.minutes(clock.now()).is_empty(), "an hour later nothing is left of them");
    series.add(clock.now(), Count::Throttles);
    assert_eq!(series.minutes(clock.now())[0].counts, [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    series.add(Timestamp::from_millis(1_795_255_200_000), Count::Throttles);
    assert_eq!(series.minutes(clock.now()).len(), 1, "what is too late for its minute is in no other");
    assert_eq!(series.count(Count::Throttles), 2);
}

#[tokio::test(start_paused = true)]
async fn functions_beyond_the_bound_are_one_until_others_idle_for_long() {
    let (clock, metrics) = house();
    for number in 0..FUNCTIONS + 5 {
        let watch = metrics.watch(&scope(ACCOUNT), &name(&format!("f{number}")));
        watch.add(clock.now(), Count::Throttles);
    }
    let shown = metrics.functions();
    assert_eq!(shown.len(), FUNCTIONS + 1);
    let last = shown.last().unwrap();
    assert_eq!((&*last.name, last.series.count(Count::Throttles)), (OTHER, 5));
    let account = &metrics.accounts()[0].1;
    assert_eq!(account.count(Count::Throttles), FUNCTIONS as u64 + 5, "accounts count all");

    clock.sleep(IDLE).await;
    metrics.watch(&scope(ACCOUNT), &name("late")).add(clock.now(), Count::Throttles);
    let names: Vec<_> = metrics.functions().into_iter().map(|figures| figures.name).collect();
    assert_eq!(names, ["late".into(), Box::from(OTHER)]);
}

#[tokio::test(start_paused = true)]
async fn accounts_beyond_the_bound_are_one() {
    let (clock, metrics) = house();
    for number in 0..ACCOUNTS + 3 {
        let watch = metrics.watch(&scope(&format!("{number:012}")), &name("f"));
        watch.add(clock.now(), Count::Errors);
    }
    assert_eq!(metrics.accounts().len(), ACCOUNTS);
    let shown = metrics.functions();
    assert_eq!(shown.len(), ACCOUNTS + 1);
    assert_eq!(shown.last().unwrap().series.count(Count::Errors), 3);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_gone_is_shown_no_more() {
    let (clock, metrics) = house();
    for function in ["a", "b", "c"] {
        metrics.watch(&scope(ACCOUNT), &name(function)).add(clock.now(), Count::Invocations);
    }
    metrics.forget(&scope(ACCOUNT), &name("a"));
    metrics.retain(|_, name| name.as_str() != "b");
    let names: Vec<_> = metrics.functions().into_iter().map(|figures| figures.name).collect();
    assert_eq!(names, [Box::from("c")]);
    metrics.of_gone(&scope(ACCOUNT)).add(clock.now(), Count::AsyncEventsDropped);
    assert_eq!(metrics.functions().len(), 1);
    let account = &metrics.accounts()[0].1;
    assert_eq!([Count::Invocations, Count::AsyncEventsDropped].map(|count| account.count(count)), [3, 1]);
}

#[test]
fn quantiles_lie_in_their_buckets() {
    let mut buckets = [0; BUCKETS];
    assert_eq!(quantile(&buckets, 0.5), None);
    buckets[3] = 98;
    buckets[6] = 2;
    assert_eq!(quantile(&buckets, 0.49), Some(Duration::from_micros(750)));
    assert_eq!(quantile(&buckets, 0.99), Some(Duration::from_micros(7500)));
    buckets = [0; BUCKETS];
    buckets[BUCKETS - 1] = 1;
    assert_eq!(quantile(&buckets, 0.5), Some(Duration::from_secs(21600)));
}

#[tokio::test(start_paused = true)]
async fn two_distributions_are_one() {
    let (clock, metrics) = house();
    let of = |function: &str, millis: u32| {
        let watch = metrics.watch(&scope(ACCOUNT), &name(function));
        watch.enter(clock.now(), Sample::Duration, millis * MILLI);
        metrics.functions().last().unwrap().series.distribution(Sample::Duration)
    };
    let (mut one, other) = (of("a", 2), of("b", 9));
    one.merge(&other);
    assert_eq!((one.count(), one.sum, one.least, one.most), (2, 11 * MILLI, 2 * MILLI, 9 * MILLI));
    assert_eq!(metrics.accounts()[0].1.distribution(Sample::Duration), one);
    assert_eq!(one.quantile(1.0), Some(9 * MILLI));
}
