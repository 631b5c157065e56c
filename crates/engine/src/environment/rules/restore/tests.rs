use std::time::Duration;

use expect_test::{Expect, expect};
use record::report::InitializationType;

use super::super::tests::{check_within, played};
use super::super::{Environment, Limits};

fn check(script: &str, expected: &Expect) {
    let timeout = Duration::from_secs(3);
    check_within(Limits::of(timeout, InitializationType::SnapStart), script, expected);
}

fn imaged() -> Limits {
    Limits { imaged: true, ..Limits::of(Duration::from_secs(3), InitializationType::SnapStart) }
}

#[test]
fn what_goes_on_from_an_image_writes_of_no_init() {
    let script = "0 built; 1 goes-on; 4 restore; 5 call 1; 7 next; 90 response 1";
    check_within(
        imaged(),
        script,
        &expect![[r#"
        0 built: start, timer@130000
        1 goes-on: timer@10000
        4 restore: parkrestore, notimer, offer
        5 call 1: restorestart, restore, timer@10005
        7 next: restore-report(7 2 Success), startline, deliver, timer@3007
        90 response 1: reply(result), accept
    "#]],
    );
    check_within(
        imaged(),
        "0 built; 1 goes-on; 4 next; 5 rested; 60 call 1",
        &expect![[r#"
        0 built: start, timer@130000
        1 goes-on: timer@10000
        4 next: park, notimer, offer
        5 rested: 
        60 call 1: restorestart, restore-report(0 0 Success), startline, deliver, timer@3060
    "#]],
    );
}

#[test]
fn an_init_is_written_of_when_it_is_known_to_be_one() {
    check_within(
        imaged(),
        "0 built; 1 began; 900 restore; 901 call 1",
        &expect![[r#"
        0 built: start, timer@130000
        1 began: initstart(init)
        900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
        901 call 1: restorestart, restore, timer@10901
    "#]],
    );
    check_within(
        imaged(),
        "0 built; 130000 time; 130001 reset",
        &expect![[r#"
        0 built: start, timer@130000
        130000 time: initstart(init), init-runtime-done(Init Timeout), reset, timer@135000
        130001 reset: init-report(Init 130000 Timeout), destroy
    "#]],
    );
}

#[test]
fn an_image_that_does_not_restore_is_given_up_and_no_init_is_told_of() {
    for end in ["50 exit 97", "50 signal 11", "50 oom", "50 init-error; 1600 time", "10000 time"] {
        let (environment, said) =
            played(Environment::new(imaged(), false), &format!("0 built; 1 goes-on; {end}"));
        assert!(environment.is_closed(), "{end}");
        assert_eq!(said.last().map(String::as_str), Some("giveupimage, destroy"), "{end}");
    }
}

#[test]
fn what_was_made_before_its_call_is_restored_for_it() {
    check(
        "0 built; 900 restore; 901 rested; 5000 call 1; 5020 next; 5100 response 1; 5110 next; 5200 call 2",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 rested: 
            5000 call 1: restorestart, restore, timer@15000
            5020 next: restore-report(20 20 Success), startline, deliver, timer@8020
            5100 response 1: reply(result), accept
            5110 next: park, runtime-done(90 Success), notimer, finish(90 Success), offer
            5200 call 2: startline, deliver, timer@8200
        "#]],
    );
}

#[test]
fn who_waits_for_an_init_waits_that_long_for_the_restore() {
    check(
        "0 built; 900 restore; 901 call 1; 920 next; 1000 response 1; 1010 next",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 call 1: restorestart, restore, timer@10901
            920 next: restore-report(920 19 Success), startline, deliver, timer@3920
            1000 response 1: reply(result), accept
            1010 next: park, runtime-done(90 Success), notimer, finish(90 Success), offer
        "#]],
    );
}

#[test]
fn a_runtime_without_hooks_asks_for_work_at_once() {
    check(
        "0 built; 900 next; 901 rested; 910 next; 5000 call 1; 5100 response 1",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 next: park, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 rested: 
            910 next: park
            5000 call 1: restorestart, restore-report(0 0 Success), startline, deliver, timer@8000
            5100 response 1: reply(result), accept
        "#]],
    );
}

#[test]
fn hooks_have_ten_seconds() {
    check(
        "0 built; 900 restore; 901 rested; 5000 call 1; 15000 time",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 rested: 
            5000 call 1: restorestart, restore, timer@15000
            15000 time: restore-report(10000 10000 Timeout), refusecall(timedout), destroy
        "#]],
    );
}

#[test]
fn a_posted_error_is_told_when_the_runtime_has_ended() {
    check(
        "0 built; 900 restore; 901 rested; 5000 call 1; 5010 restore-error; 5011 restore-error; 5012 next; \
         5013 exit 65",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 rested: 
            5000 call 1: restorestart, restore, timer@15000
            5010 restore-error: accept, timer@6010
            5011 restore-error: refuse(RestoreError to RestoreError)
            5012 next: refuse(RestoreError to Ready)
            5013 exit 65: restore-report(13 13 Error("Runtime.AfterRestoreError")), refusecall(failed), destroy
        "#]],
    );
}

#[test]
fn a_posted_error_is_told_of_a_runtime_that_stays() {
    check(
        "0 built; 900 restore; 901 call 1; 910 restore-error; 1910 time",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 call 1: restorestart, restore, timer@10901
            910 restore-error: accept, timer@1910
            1910 time: restore-report(1910 1009 Error("Runtime.AfterRestoreError")), refusecall(failed), destroy
        "#]],
    );
}

#[test]
fn a_runtime_that_ends_while_it_waits_runs_nothing() {
    check(
        "0 built; 900 restore; 901 rested; 950 signal 11; 950 close",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 rested: 
            950 signal 11: withdraw
            950 close: abandon, destroy
        "#]],
    );
    check(
        "0 built; 900 restore; 901 rested; 950 signal 11; 951 call 1",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 rested: 
            950 signal 11: withdraw
            951 call 1: restorestart, restore-report(0 0 Error("Runtime.ExitError")), refusecall(failed), destroy
        "#]],
    );
    check(
        "0 built; 900 restore; 901 call 1; 910 exit 1",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 call 1: restorestart, restore, timer@10901
            910 exit 1: restore-report(910 9 Error("Runtime.ExitError")), refusecall(failed), destroy
        "#]],
    );
}

#[test]
fn an_init_that_fails_ends_its_environment() {
    check(
        "0 built; 900 init-error; 901 exit 64; 902 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 init-error: accept, timer@1900
            901 exit 64: init-runtime-done(Init Error("Runtime.ImportModuleError")), reset, timer@5901
            902 reset: init-report(Init 901 Error("Runtime.ImportModuleError")), destroy
        "#]],
    );
    check(
        "0 built; 130000 time; 130001 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            130000 time: init-runtime-done(Init Timeout), reset, timer@135000
            130001 reset: init-report(Init 130000 Timeout), destroy
        "#]],
    );
}

#[test]
fn an_environment_that_failed_is_not_used_again() {
    check(
        "0 built; 900 restore; 901 call 1; 910 next; 3910 time; 3920 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 call 1: restorestart, restore, timer@10901
            910 next: restore-report(910 9 Success), startline, deliver, timer@3910
            3910 time: reply(fault Sandbox.Timedout), runtime-done(3000 Timeout), reset, timer@8910
            3920 reset: finish(3000 Timeout), destroy
        "#]],
    );
    check(
        "0 built; 900 next; 901 call 1; 910 response 1; 911 next; 920 exit 1; 920 close",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 next: park, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 call 1: restorestart, restore-report(901 0 Success), startline, deliver, timer@3901
            910 response 1: reply(result), accept
            911 next: park, runtime-done(10 Success), notimer, finish(10 Success), offer
            920 exit 1: reset, timer@5920, withdraw
            920 close: destroy
        "#]],
    );
}

#[test]
fn calls_without_a_place_are_refused_by_the_names_of_states() {
    check(
        "0 built; 10 restore-error; 900 restore; 910 next; 911 init-error; 912 response 1; 913 restore-error; \
         914 restore; 1000 call 1; 1001 restore; 1002 init-error; 1003 next; 1004 restore; 1005 restore-error; \
         1100 response 1; 1101 restore",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            10 restore-error: refuse(Started to RestoreError)
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            910 next: refuse(RestoreReady to Ready)
            911 init-error: refuse(RestoreReady to InitError)
            912 response 1: refuse(requestid)
            913 restore-error: refuse(RestoreReady to RestoreError)
            914 restore: parkrestore
            1000 call 1: restorestart, restore, timer@11000
            1001 restore: parkrestore, restore
            1002 init-error: refuse(Restoring to InitError)
            1003 next: restore-report(1003 3 Success), startline, deliver, timer@4003
            1004 restore: refuse(Running to RestoreReady)
            1005 restore-error: refuse(Running to RestoreError)
            1100 response 1: reply(result), accept
            1101 restore: refuse(ResponseSent to RestoreReady)
        "#]],
    );
}

#[test]
fn a_lost_sandbox_is_told_to_who_waits() {
    check(
        "0 built; 900 restore; 901 rested; 950 lost",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 rested: 
            950 lost: destroy
        "#]],
    );
    check(
        "0 built; 900 restore; 901 call 1; 950 lost",
        &expect![[r#"
            0 built: initstart(init), start, timer@130000
            900 restore: parkrestore, init-runtime-done(Init Success), notimer, init-report(Init 900 Success), offer
            901 call 1: restorestart, restore, timer@10901
            950 lost: restore-report(950 49 Error("Sandbox.Failure")), refusecall(failed), destroy
        "#]],
    );
}

#[test]
fn the_init_limit_is_between_130_and_900_seconds() {
    for (timeout, expected) in [(3, 130), (131, 131), (900, 900), (1000, 900)] {
        let limits = Limits::of(Duration::from_secs(timeout), InitializationType::SnapStart);
        assert_eq!(limits.init, Duration::from_secs(expected));
    }
}
