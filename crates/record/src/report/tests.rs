//! Lines against recordings.

use expect_test::{Expect, expect};

use super::*;
use crate::level::{SystemLevel, system_passes};

fn request() -> RequestId {
    serde_json::from_str("\"79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32\"").unwrap()
}

fn function() -> FunctionArn {
    FunctionArn {
        scope: base::arn::Scope {
            account: "000000000000".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
        },
        name: "f".parse().unwrap(),
        qualifier: None,
    }
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn report(ending: Ending, duration: u64, init: Option<u64>) -> Record {
    Record::Report(Report {
        request: request(),
        ending,
        duration: micros(duration),
        init: init.map(micros),
        restore: None,
        memory: Mib(128),
        used: Mib(36),
        spans: vec![],
    })
}

fn init_start() -> Record {
    Record::InitStart(InitStart {
        initialization_type: InitializationType::OnDemand,
        phase: Phase::Init,
        runtime_version: Some("python:3.13.v64".into()),
        runtime_version_arn: Some("arn:aws:lambda:us-east-1::runtime:00".into()),
        function: function(),
        version: Qualifier::Latest,
        stream: "2026/11/21/[$LATEST]00".into(),
        memory: Mib(256),
    })
}

fn init_report(kind: InitializationType, phase: Phase, ending: Ending) -> Record {
    let initialization_type = kind;
    Record::InitReport(InitReport { initialization_type, phase, ending, duration: micros(10_170) })
}

fn lines(format: Format, records: &[Record], expected: &Expect) {
    let time = Timestamp::from_millis(1_700_000_000_123);
    let lines = records.iter().filter_map(|record| record.message(format, time));
    let text: String = lines.map(|line| String::from_utf8_lossy(&line).replace('\t', "\\t")).collect();
    expected.assert_eq(&text);
}

#[test]
fn text_lines_read_as_recorded() {
    let start = Start { request: request(), function: function(), version: Qualifier::Latest };
    let records = [
        init_start(),
        Record::Start(start),
        Record::End(request()),
        report(Ending::Success, 3_012, Some(110_100)),
        report(Ending::Success, 3_012, None),
        report(Ending::Timeout, 3_000_000, None),
        report(Ending::Error("Runtime.OutOfMemory".into()), 1_000_001, Some(1)),
    ];
    lines(
        Format::Text,
        &records,
        &expect![[r#"
        INIT_START Runtime Version: python:3.13.v64\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:00
        START RequestId: 79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32 Version: $LATEST
        END RequestId: 79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32
        REPORT RequestId: 79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32\tDuration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t
        REPORT RequestId: 79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t
        REPORT RequestId: 79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tStatus: timeout
        REPORT RequestId: 79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32\tDuration: 1000.00 ms\tBilled Duration: 1000 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 0.00 ms\tStatus: error\tError Type: Runtime.OutOfMemory
    "#]],
    );
}

#[test]
fn a_good_init_writes_no_report_in_text() {
    let records = [
        init_report(InitializationType::OnDemand, Phase::Init, Ending::Success),
        init_report(InitializationType::ProvisionedConcurrency, Phase::Init, Ending::Success),
        init_report(InitializationType::OnDemand, Phase::Init, Ending::Error("Runtime.ExitError".into())),
        init_report(InitializationType::OnDemand, Phase::Invoke, Ending::Timeout),
    ];
    lines(
        Format::Text,
        &records,
        &expect![[r#"
        INIT_REPORT Init Duration: 10.17 ms
        INIT_REPORT Init Duration: 10.17 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError
        INIT_REPORT Init Duration: 10.17 ms\tPhase: invoke\tStatus: timeout
    "#]],
    );
}

#[test]
fn json_lines_are_telemetry_envelopes() {
    let start = Start { request: request(), function: function(), version: Qualifier::Version(7) };
    let done = RuntimeDone {
        request: request(),
        ending: Ending::Success,
        duration: micros(1500),
        produced: Some(12),
        spans: vec![],
    };
    let records = [
        init_start(),
        init_report(InitializationType::OnDemand, Phase::Init, Ending::Success),
        Record::Start(start),
        Record::RuntimeDone(done),
        Record::End(request()),
        report(Ending::Success, 3_012, Some(110_100)),
        report(Ending::Error("Runtime.ExitError".into()), 3_012, None),
    ];
    lines(
        Format::Json,
        &records,
        &expect![[r#"
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init","runtimeVersion":"python:3.13.v64","runtimeVersionArn":"arn:aws:lambda:us-east-1::runtime:00","functionName":"f","functionVersion":"$LATEST","instanceId":"2026/11/21/[$LATEST]00","instanceMaxMemory":268435456}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.initReport","record":{"initializationType":"on-demand","phase":"init","status":"success","metrics":{"durationMs":10.17}}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.start","record":{"requestId":"79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f","version":"7"}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.runtimeDone","record":{"requestId":"79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32","status":"success","metrics":{"durationMs":1.5,"producedBytes":12}}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.report","record":{"requestId":"79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32","metrics":{"durationMs":3.012,"billedDurationMs":114,"memorySizeMB":128,"maxMemoryUsedMB":36,"initDurationMs":110.1},"status":"success"}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.report","record":{"requestId":"79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32","metrics":{"durationMs":3.012,"billedDurationMs":4,"memorySizeMB":128,"maxMemoryUsedMB":36},"status":"error","errorType":"Runtime.ExitError"}}
    "#]],
    );
}

#[test]
fn the_init_is_billed_with_the_invocation() {
    for (duration, init, billed) in [
        (3_100, Some(542_010), 546),
        (1_233_960, Some(463_512), 1698),
        (3_010, None, 4),
        (3_000, None, 3),
        (3_004, None, 3),
    ] {
        let Record::Report(report) = report(Ending::Success, duration, init) else { unreachable!() };
        assert_eq!(report.billed_millis(), billed, "{duration} {init:?}");
    }
}

#[test]
fn faults_have_a_line_of_their_own() {
    let crash = crash_line(request(), "Runtime exited with error: exit status 1", "Runtime.ExitError");
    assert_eq!(
        crash,
        "RequestId: 79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32 Error: Runtime exited with error: exit status 1\nRuntime.ExitError\n"
    );
}

#[test]
fn system_levels_keep_failures_longest() {
    let error = || Ending::Error("Runtime.ExitError".into());
    let records = [
        ("initStart", init_start()),
        ("initReport", init_report(InitializationType::OnDemand, Phase::Init, Ending::Success)),
        ("bad initReport", init_report(InitializationType::OnDemand, Phase::Init, error())),
        ("report", report(Ending::Success, 1, None)),
        ("bad report", report(Ending::Timeout, 1, None)),
    ];
    for (level, expected) in [
        (SystemLevel::Debug, "initStart initReport bad initReport report bad report"),
        (SystemLevel::Info, "initStart bad initReport report bad report"),
        (SystemLevel::Warn, "bad initReport bad report"),
    ] {
        let kept = records.iter().filter(|(_, record)| system_passes(level, record));
        assert_eq!(kept.map(|(name, _)| *name).collect::<Vec<_>>().join(" "), expected);
    }
}

#[test]
fn a_restore_is_told_between_init_and_invoke() {
    let start = RestoreStart {
        runtime_version: Some("python:3.13.v64".into()),
        runtime_version_arn: Some("arn:aws:lambda:us-east-1::runtime:00".into()),
        function: function(),
        version: Qualifier::Version(7),
        stream: "2026/11/21/[7]00".into(),
        memory: Mib(256),
    };
    let restore_report = |ending| Record::RestoreReport(RestoreReport { ending, duration: micros(398_970) });
    let restored = Restored { duration: micros(398_970), own: micros(181_300) };
    let report = Report {
        request: request(),
        ending: Ending::Success,
        duration: micros(2_338_660),
        init: None,
        restore: Some(restored),
        memory: Mib(3009),
        used: Mib(173),
        spans: Vec::new(),
    };
    let records = [
        init_report(InitializationType::SnapStart, Phase::Init, Ending::Success),
        init_report(InitializationType::SnapStart, Phase::Init, Ending::Timeout),
        Record::RestoreStart(start),
        Record::RestoreRuntimeDone(Ending::Success),
        restore_report(Ending::Success),
        restore_report(Ending::Timeout),
        restore_report(Ending::Error("Runtime.ExitError".into())),
        Record::Report(report),
    ];
    lines(
        Format::Text,
        &records,
        &expect![[r#"
        INIT_REPORT Init Duration: 10.17 ms
        INIT_REPORT Init Duration: 10.17 ms\tPhase: init\tStatus: timeout
        RESTORE_START Runtime Version: python:3.13.v64\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:00
        RESTORE_REPORT Restore Duration: 398.97 ms
        RESTORE_REPORT Restore Duration: 398.97 ms\tStatus: timeout
        RESTORE_REPORT Restore Duration: 398.97 ms\tStatus: error\tError Type: Runtime.ExitError
        REPORT RequestId: 79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32\tDuration: 2338.66 ms\tBilled Duration: 2521 ms\tMemory Size: 3009 MB\tMax Memory Used: 173 MB\tRestore Duration: 398.97 ms\tBilled Restore Duration: 182 ms\t
    "#]],
    );
    lines(
        Format::Json,
        &records,
        &expect![[r#"
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.initReport","record":{"initializationType":"snap-start","phase":"init","status":"success","metrics":{"durationMs":10.17}}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.initReport","record":{"initializationType":"snap-start","phase":"init","status":"timeout","metrics":{"durationMs":10.17}}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.restoreStart","record":{"runtimeVersion":"python:3.13.v64","runtimeVersionArn":"arn:aws:lambda:us-east-1::runtime:00","functionName":"f","functionVersion":"7","instanceId":"2026/11/21/[7]00","instanceMaxMemory":268435456}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.restoreRuntimeDone","record":{"status":"success"}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.restoreReport","record":{"status":"success","metrics":{"durationMs":398.97}}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.restoreReport","record":{"status":"timeout","metrics":{"durationMs":398.97}}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.restoreReport","record":{"status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":398.97}}}
        {"time":"2023-11-14T22:13:20.123Z","type":"platform.report","record":{"requestId":"79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32","metrics":{"durationMs":2338.66,"billedDurationMs":2521,"memorySizeMB":3009,"maxMemoryUsedMB":173,"restoreDurationMs":398.97,"billedRestoreDurationMs":182},"status":"success"}}
    "#]],
    );
    let passing = |level| records.iter().map(|record| system_passes(level, record)).collect::<Vec<_>>();
    assert_eq!(passing(SystemLevel::Info), [false, true, true, false, true, true, true, true]);
    assert_eq!(passing(SystemLevel::Warn), [false, true, false, false, false, true, true, false]);
    assert!(records[..7].iter().all(|record| !record.in_tail()) && records[7].in_tail());
}
