use std::time::Duration;

use expect_test::{Expect, expect};

use super::*;

const EARLIER: &str = "\
samovar_function_invocations_total{account=\"1\",region=\"r\",function=\"tea\"} 100
samovar_function_duration_seconds_bucket{account=\"1\",region=\"r\",function=\"tea\",le=\"0.001\"} 100
samovar_function_duration_seconds_bucket{account=\"1\",region=\"r\",function=\"tea\",le=\"+Inf\"} 100
";

const NEWEST: &str = "\
samovar_function_invocations_total{account=\"1\",region=\"r\",function=\"tea\"} 150
samovar_function_invocations_total{account=\"1\",region=\"r\",function=\"api\"} 7
samovar_function_errors_total{account=\"1\",region=\"r\",function=\"api\"} 3
samovar_function_throttles_total{account=\"1\",region=\"r\",function=\"api\"} 1
samovar_function_cold_starts_total{account=\"1\",region=\"r\",function=\"api\"} 2
samovar_function_cold_start_seconds_total{account=\"1\",region=\"r\",function=\"api\",phase=\"init\"} 0.5
samovar_function_concurrent_executions{account=\"1\",region=\"r\",function=\"api\"} 4
samovar_function_environments{account=\"1\",region=\"r\",function=\"api\",state=\"busy\"} 4
samovar_function_max_memory_used_bytes{account=\"1\",region=\"r\",function=\"api\"} 30000000
samovar_function_duration_seconds_bucket{account=\"1\",region=\"r\",function=\"tea\",le=\"0.001\"} 100
samovar_function_duration_seconds_bucket{account=\"1\",region=\"r\",function=\"tea\",le=\"0.002\"} 150
samovar_function_duration_seconds_bucket{account=\"1\",region=\"r\",function=\"tea\",le=\"+Inf\"} 150
samovar_environments{state=\"busy\"} 4
samovar_environments_limit 500
samovar_account_concurrent_executions{account=\"1\",region=\"r\"} 4
process_resident_memory_bytes 50000000
process_open_fds 70
process_max_fds 4096
";

fn check(earlier: Option<&str>, sort: Sort, filter: &str, expected: Expect) {
    let (newest, earlier) = (Look::read(NEWEST), earlier.map(Look::read));
    let view = View { sort, filter: filter.to_owned(), skip: 0 };
    let earlier = earlier.as_ref().map(|look| (look, Duration::from_secs(10)));
    let Lines { about, head, rows } = lines(&newest, earlier, &view);
    let all: Vec<String> = about.into_iter().chain([head]).chain(rows).collect();
    expected.assert_eq(&all.join("\n"));
}

#[test]
fn once_shows_totals() {
    check(
        None,
        Sort::Invocations,
        "",
        expect![[r#"
        invocations 157   errors 3   throttles 1   running 4
        environments 4 of 500: 4 busy, 0 idle, 0 starting
        server 48MB   launcher -   descriptors 70 of 4096
        FUNCTION  INV  ERR  THR  RUN  BUSY  IDLE  START    P50    P99  COLD  QUEUE  SANDBOX   INIT  HANDLER    EXT   MEM
        tea       150    0    0    0     0     0      0  0.9ms  2.0ms     0      -        -      -        -      -     -
        api         7    3    1    4     4     0      0      -      -     2  0.0ms    0.0ms  250ms    0.0ms  0.0ms  29MB"#]],
    );
}

#[test]
fn rates_and_percentiles_are_of_the_time_between() {
    check(
        Some(EARLIER),
        Sort::Invocations,
        "",
        expect![[r#"
        invocations 5.7/s   errors 0.3/s   throttles 0.1/s   running 4
        environments 4 of 500: 4 busy, 0 idle, 0 starting
        server 48MB   launcher -   descriptors 70 of 4096
        FUNCTION  INV/S  ERR/S  THR/S  RUN  BUSY  IDLE  START    P50    P99  COLD  QUEUE  SANDBOX   INIT  HANDLER    EXT   MEM
        tea         5.0      0      0    0     0     0      0  1.5ms  2.0ms     0      -        -      -        -      -     -
        api         0.7    0.3    0.1    4     4     0      0      -      -     2  0.0ms    0.0ms  250ms    0.0ms  0.0ms  29MB"#]],
    );
}

#[test]
fn functions_are_sorted_and_filtered() {
    check(
        None,
        Sort::Errors,
        "",
        expect![[r#"
        invocations 157   errors 3   throttles 1   running 4
        environments 4 of 500: 4 busy, 0 idle, 0 starting
        server 48MB   launcher -   descriptors 70 of 4096
        FUNCTION  INV  ERR  THR  RUN  BUSY  IDLE  START    P50    P99  COLD  QUEUE  SANDBOX   INIT  HANDLER    EXT   MEM
        api         7    3    1    4     4     0      0      -      -     2  0.0ms    0.0ms  250ms    0.0ms  0.0ms  29MB
        tea       150    0    0    0     0     0      0  0.9ms  2.0ms     0      -        -      -        -      -     -"#]],
    );
    check(
        None,
        Sort::Name,
        "te",
        expect![[r#"
        invocations 150   errors 0   throttles 0   running 4
        environments 4 of 500: 4 busy, 0 idle, 0 starting
        server 48MB   launcher -   descriptors 70 of 4096
        FUNCTION  INV  ERR  THR  RUN  BUSY  IDLE  START    P50    P99  COLD  QUEUE  SANDBOX  INIT  HANDLER  EXT  MEM
        tea       150    0    0    0     0     0      0  0.9ms  2.0ms     0      -        -     -        -    -    -"#]],
    );
}

#[test]
fn scopes_are_told_where_there_are_several() {
    let look = Look::read(
        "samovar_function_invocations_total{account=\"1\",region=\"r\",function=\"f\"} 1\n\
         samovar_function_invocations_total{account=\"2\",region=\"r\",function=\"f\"} 2\n\
         samovar_function_invocations_total{account=\"\",region=\"\",function=\"(other)\u{1b}[2J\"} 3\n",
    );
    let view = View { sort: Sort::Invocations, filter: String::new(), skip: 0 };
    let names: Vec<String> = lines(&look, None, &view)
        .rows
        .iter()
        .map(|row| row.split_whitespace().next().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["(other)?[2J", "2/r/f", "1/r/f"]);
}
