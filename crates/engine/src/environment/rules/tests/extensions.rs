//! Lives with extensions: inits and invokes that wait for them, their ends, and the phases of a shutdown.

use expect_test::expect;

use super::check_extensible as check;

#[test]
fn the_runtime_starts_when_all_have_registered_and_init_ends_when_all_are_ready() {
    check(
        "0 built; 1 found a b; 10 register a INVOKE SHUTDOWN; 20 register b; 100 next; 101 register c; \
         110 ext-next a; 120 ext-next b; 130 call 1; 140 response 1; 150 next; 160 ext-next a",
        &expect![[r#"
            0 built: initstart(init), discover, timer@10000
            1 found a b: launch(0 a), launch(1 b)
            10 register a INVOKE SHUTDOWN: registered(a)
            20 register b: registered(b), start
            100 next: park, init-runtime-done(Init Success)
            101 register c: refuse(RegistrationClosed)
            110 ext-next a: hold(a)
            120 ext-next b: hold(b), line(a Ready), line(b Ready), notimer, init-report(Init 120 Success), offer
            130 call 1: startline, deliver, timer@3130, invoke(a)
            140 response 1: reply(result), accept
            150 next: park, runtime-done(20 Success)
            160 ext-next a: hold(a), notimer, finish(30 init 120 extensions 10 Success), offer
        "#]],
    );
}

#[test]
fn an_invoke_ends_with_the_last_of_runtime_and_extensions() {
    check(
        "0 built; 1 found a; 10 register a INVOKE; 20 ext-next a; 100 next; 130 call 1; 135 ext-next a; 140 response 1; \
         150 next; 200 call 2; 210 response 2; 220 next; 3200 time; 3800 time; 3801 exit 0; 3810 ext-exit 0 1; 3820 reset",
        &expect![[r#"
            0 built: initstart(init), discover, timer@10000
            1 found a: launch(0 a)
            10 register a INVOKE: registered(a), start
            20 ext-next a: hold(a)
            100 next: park, init-runtime-done(Init Success), line(a Ready), notimer, init-report(Init 100 Success), offer
            130 call 1: startline, deliver, timer@3130, invoke(a)
            135 ext-next a: hold(a)
            140 response 1: reply(result), accept
            150 next: park, runtime-done(20 Success), notimer, finish(20 init 100 extensions 0 Success), offer
            200 call 2: startline, deliver, timer@3200, invoke(a)
            210 response 2: reply(result), accept
            220 next: park, runtime-done(20 Success)
            3200 time: term(runtime), timer@3800
            3800 time: kill(runtime), timer@5200
            3801 exit 0: kill(extension(0)), reset, timer@8801
            3810 ext-exit 0 1: 
            3820 reset: finish(3000 Timeout), notimer, offer
        "#]],
    );
}

#[test]
fn an_environment_that_is_not_wanted_shuts_down_in_phases() {
    check(
        "0 built; 1 found a b; 10 register a INVOKE SHUTDOWN; 20 register b; 100 next; 110 ext-next a; 120 ext-next b; \
         1000 close; 1600 time; 1605 signal 9; 1700 ext-exit 0 0",
        &expect![[r#"
            0 built: initstart(init), discover, timer@10000
            1 found a b: launch(0 a), launch(1 b)
            10 register a INVOKE SHUTDOWN: registered(a)
            20 register b: registered(b), start
            100 next: park, init-runtime-done(Init Success)
            110 ext-next a: hold(a)
            120 ext-next b: hold(b), line(a Ready), line(b Ready), notimer, init-report(Init 120 Success), offer
            1000 close: abandon, term(runtime), timer@1600
            1600 time: kill(runtime), timer@3000
            1605 signal 9: kill(extension(1)), shutdown(a spindown @3000), timer@3000
            1700 ext-exit 0 0: destroy
        "#]],
    );
    check(
        "0 built; 1 found a; 10 register a SHUTDOWN; 100 next; 110 ext-next a; 1000 close; 1010 exit 0; 3000 time",
        &expect![[r#"
            0 built: initstart(init), discover, timer@10000
            1 found a: launch(0 a)
            10 register a SHUTDOWN: registered(a), start
            100 next: park, init-runtime-done(Init Success)
            110 ext-next a: hold(a), line(a Ready), notimer, init-report(Init 110 Success), offer
            1000 close: abandon, term(runtime), timer@1600
            1010 exit 0: shutdown(a spindown @3000), timer@3000
            3000 time: destroy
        "#]],
    );
    check(
        "0 built; 1 found; 2 register i INVOKE; 100 next; 110 ext-next i; 1000 close; 1150 time; 1500 time",
        &expect![[r#"
        0 built: initstart(init), discover, timer@10000
        1 found: start
        2 register i INVOKE: registered(i)
        100 next: park, init-runtime-done(Init Success)
        110 ext-next i: hold(i), line(i Ready), notimer, init-report(Init 110 Success), offer
        1000 close: abandon, term(runtime), timer@1150
        1150 time: kill(runtime), timer@1500
        1500 time: destroy
    "#]],
    );
    check(
        "0 built; 1 found; 100 next; 1000 close",
        &expect![[r#"
        0 built: initstart(init), discover, timer@10000
        1 found: start
        100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
        1000 close: abandon, destroy
    "#]],
    );
}

#[test]
fn a_timeout_and_a_failure_are_told_before_the_reset() {
    check(
        "0 built; 1 found a; 10 register a SHUTDOWN; 100 next; 110 ext-next a; 1000 call 1; 4000 time; 4020 exit 0; \
         4100 ext-exit 0 0; 4110 reset; 5000 call 2; 5010 register a SHUTDOWN; 5100 next; 5101 ext-next a",
        &expect![[r#"
            0 built: initstart(init), discover, timer@10000
            1 found a: launch(0 a)
            10 register a SHUTDOWN: registered(a), start
            100 next: park, init-runtime-done(Init Success)
            110 ext-next a: hold(a), line(a Ready), notimer, init-report(Init 110 Success), offer
            1000 call 1: startline, deliver, timer@4000
            4000 time: reply(fault Sandbox.Timedout), runtime-done(3000 Timeout), term(runtime), timer@4600
            4020 exit 0: shutdown(a timeout @6000), timer@6000
            4100 ext-exit 0 0: reset, timer@9100
            4110 reset: finish(3000 init 110 Timeout), notimer, offer
            5000 call 2: initstart(invoke), launch(0 a), timer@8000
            5010 register a SHUTDOWN: registered(a), start
            5100 next: park, init-runtime-done(Invoke Success)
            5101 ext-next a: hold(a), line(a Ready), init-report(Invoke 101 Success), startline, deliver
        "#]],
    );
    check(
        "0 built; 1 found a; 10 register a SHUTDOWN; 100 next; 110 ext-next a; 1000 call 1; 1100 exit 1; 1101 ext-next a; \
         1200 ext-exit 0 0; 1210 reset",
        &expect![[r#"
            0 built: initstart(init), discover, timer@10000
            1 found a: launch(0 a)
            10 register a SHUTDOWN: registered(a), start
            100 next: park, init-runtime-done(Init Success)
            110 ext-next a: hold(a), line(a Ready), notimer, init-report(Init 110 Success), offer
            1000 call 1: startline, deliver, timer@4000
            1100 exit 1: reply(fault Runtime.ExitError), runtime-done(100 Error("Runtime.ExitError")), shutdown(a failure @3100), timer@3100
            1101 ext-next a: hold(a)
            1200 ext-exit 0 0: reset, timer@6200
            1210 reset: fault-line(Runtime exited with error: exit status 1), finish(100 init 110 Error("Runtime.ExitError")), notimer, offer
        "#]],
    );
}

#[test]
fn a_crash_ends_what_is_under_way() {
    check(
        "0 built; 1 found a; 10 register a INVOKE; 100 next; 110 ext-next a; 1000 call 1; 1100 ext-exit 0 17; 1110 exit 0; \
         1120 reset",
        &expect![[r#"
            0 built: initstart(init), discover, timer@10000
            1 found a: launch(0 a)
            10 register a INVOKE: registered(a), start
            100 next: park, init-runtime-done(Init Success)
            110 ext-next a: hold(a), line(a Ready), notimer, init-report(Init 110 Success), offer
            1000 call 1: startline, deliver, timer@4000, invoke(a)
            1100 ext-exit 0 17: reply(fault Extension.Crash), runtime-done(100 Error("Extension.Crash")), term(runtime), timer@1700
            1110 exit 0: reset, timer@6110
            1120 reset: fault-line(exit status 17), finish(100 init 110 Error("Extension.Crash")), notimer, offer
        "#]],
    );
    check(
        "0 built; 1 found a; 10 ext-exit 0 3; 20 reset",
        &expect![[r#"
        0 built: initstart(init), discover, timer@10000
        1 found a: launch(0 a)
        10 ext-exit 0 3: init-runtime-done(Init Error("Extension.Crash")), line(a Started), reset, timer@5010
        20 reset: init-report(Init 10 Error("Extension.Crash")), notimer, offer
    "#]],
    );
    check(
        "0 built; 1 found a; 10 register a; 11 ext-init-error a; 12 ext-exit 0 3; 13 exit 0; 20 reset",
        &expect![[r#"
        0 built: initstart(init), discover, timer@10000
        1 found a: launch(0 a)
        10 register a: registered(a), start
        11 ext-init-error a: taken
        12 ext-exit 0 3: init-runtime-done(Init Error("Extension.InitError")), line(a InitError Extension.Mine), term(runtime), timer@612
        13 exit 0: reset, timer@5013
        20 reset: init-report(Init 12 Error("Extension.InitError")), notimer, offer
    "#]],
    );
    check(
        "0 built; 1 found a; 5 not-launched 0; 20 reset",
        &expect![[r#"
        0 built: initstart(init), discover, timer@10000
        1 found a: launch(0 a)
        5 not-launched 0: init-runtime-done(Init Error("Extension.LaunchError")), line(a LaunchError PermissionDenied), reset, timer@5005
        20 reset: init-report(Init 5 Error("Extension.LaunchError")), notimer, offer
    "#]],
    );
    check(
        "0 built; 1 found 0 1 2 3 4 5 6 7 8 9 10; 20 reset",
        &expect![[r#"
        0 built: initstart(init), discover, timer@10000
        1 found 0 1 2 3 4 5 6 7 8 9 10: init-runtime-done(Init Error("Extension.LaunchError")), line(0 Started), line(1 Started), line(2 Started), line(3 Started), line(4 Started), line(5 Started), line(6 Started), line(7 Started), line(8 Started), line(9 Started), line(10 LaunchError TooManyExtensions), reset, timer@5001
        20 reset: init-report(Init 1 Error("Extension.LaunchError")), notimer, offer
    "#]],
    );
}

#[test]
fn calls_out_of_place_are_refused_by_their_states() {
    check(
        "0 built; 1 found a; 2 register a NEVER; 3 ext-next a; 4 register a INVOKE; 5 register a; 6 register i SHUTDOWN; \
         7 register i; 8 register i; 9 subscribe i; 10 ext-next a; 11 ext-init-error a; 12 ext-next i; 13 next; 14 register j; \
         15 subscribe a; 16 ext-exit-error a; 17 ext-next a",
        &expect![[r#"
            0 built: initstart(init), discover, timer@10000
            1 found a: launch(0 a)
            2 register a NEVER: refuse(UnknownEvent("NEVER"))
            3 ext-next a: unknown(a)
            4 register a INVOKE: registered(a), start
            5 register a: refuse(Registered to Registered)
            6 register i SHUTDOWN: refuse(ShutdownOfInternal)
            7 register i: registered(i)
            8 register i: refuse(NameTaken)
            9 subscribe i: subscribe(i)
            10 ext-next a: hold(a)
            11 ext-init-error a: refuse(Ready to InitError)
            12 ext-next i: hold(i)
            13 next: park, init-runtime-done(Init Success), line(a Ready), line(i Ready), notimer, init-report(Init 13 Success), offer
            14 register j: refuse(RegistrationClosed)
            15 subscribe a: refuse(SubscriptionClosed)
            16 ext-exit-error a: taken
            17 ext-next a: refuse(ExitError to Ready)
        "#]],
    );
}
