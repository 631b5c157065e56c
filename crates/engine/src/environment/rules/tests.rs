//! Life cycles as sentences: what happens when (in milliseconds), and what is decided.

mod extensions;
mod shown;

use expect_test::{Expect, expect};
use uuid::Uuid;

use self::shown::shown;
use super::*;

const LIMITS: Limits = Limits {
    timeout: Duration::from_secs(3),
    init: INIT_TIMEOUT,
    kept_ready: false,
    restored: false,
    imaged: false,
};

fn id(number: u128) -> RequestId {
    RequestId(Uuid::from_u128(number))
}

/// The id of the extension with a name of one letter.
fn known(name: &str) -> ExtensionId {
    ExtensionId(Uuid::from_u128(name.bytes().next().unwrap_or_default().into()))
}

fn names(ids: &[ExtensionId]) -> String {
    let name = |id: &ExtensionId| char::from(id.0.as_u128() as u8);
    ids.iter().map(name).collect()
}

fn error(kind: &str) -> Answer {
    Answer::Error { kind: kind.into(), body: "{}".into() }
}

fn event(words: &[&str]) -> Event {
    match *words {
        ["built"] => Event::Built,
        ["began"] => Event::Began(false),
        ["goes-on"] => Event::Began(true),
        ["next"] => Event::Next,
        ["call", number] => Event::Called(id(number.parse().expect("a number"))),
        ["response", number] => {
            let response = Answer::Response { content_type: None, body: "1".into() };
            Event::Answered(id(number.parse().expect("a number")), response)
        }
        ["begun", number] => Event::Begun(id(number.parse().expect("a number"))),
        ["streamed", number] => Event::Streamed(id(number.parse().expect("a number")), None),
        ["broken", number] => {
            Event::Streamed(id(number.parse().expect("a number")), Some(Fault::TruncatedResponse))
        }
        ["error", number] => Event::Answered(id(number.parse().expect("a number")), error("Function.Boom")),
        ["oversize", number] => {
            Event::Answered(id(number.parse().expect("a number")), Answer::Fault(Fault::ResponseTooLarge))
        }
        ["init-error"] => Event::InitFailed(error("Runtime.ImportModuleError")),
        ["restore"] => Event::RestoreNext,
        ["restore-error"] => Event::RestoreFailed(error("Runtime.AfterRestoreError")),
        ["rested"] => Event::Rested,
        ["exit", status] => Event::Exited(Exit::Status(status.parse().expect("a number"))),
        ["signal", signal] => Event::Exited(Exit::Signal(signal.parse().expect("a number"))),
        ["oom"] => Event::Exited(Exit::OutOfMemory),
        ["no-bootstrap"] => Event::StartFailed(Fault::NoBootstrap(vec!["/var/task/bootstrap".into()])),
        ["found", ref names @ ..] => Event::Found(names.iter().map(|name| Name::from(*name)).collect()),
        ["not-launched", number] => {
            Event::NotLaunched(number.parse().expect("a number"), 13, "permission denied".into())
        }
        ["ext-exit", number, status] => Event::ExtensionEnded(
            number.parse().expect("a number"),
            Exit::Status(status.parse().expect("a number")),
        ),
        ["register", name, ref events @ ..] => {
            let events = events.iter().map(|event| (*event).to_owned()).collect();
            Event::Extension(ExtensionCall::Register { name: name.into(), events, id: known(name) })
        }
        ["ext-next", name] => Event::Extension(ExtensionCall::Next(known(name))),
        ["ext-init-error", name] => {
            Event::Extension(ExtensionCall::InitError(known(name), "Extension.Mine".into()))
        }
        ["ext-exit-error", name] => {
            Event::Extension(ExtensionCall::ExitError(known(name), "Extension.Mine".into()))
        }
        ["subscribe", name] => Event::Extension(ExtensionCall::Subscribe(known(name))),
        ["reset"] => Event::ResetDone,
        ["time"] => Event::TimeUp,
        ["close"] => Event::Close,
        ["lost"] => Event::SandboxLost,
        _ => panic!("{words:?} is no event"),
    }
}

fn check(script: &str, expected: &Expect) {
    check_within(LIMITS, script, expected);
}

pub(super) fn check_within(limits: Limits, script: &str, expected: &Expect) {
    play(Environment::new(limits, false), script, expected);
}

fn check_extensible(script: &str, expected: &Expect) {
    play(Environment::new(LIMITS, true), script, expected);
}

fn play(environment: Environment, script: &str, expected: &Expect) {
    let (_, said) = played(environment, script);
    let lines = script.split(';').zip(said);
    let lines: Vec<_> = lines.map(|(step, said)| format!("{}: {said}\n", step.trim())).collect();
    expected.assert_eq(&lines.concat());
}

/// What the environment has become, and what was decided at each step.
pub(super) fn played(mut environment: Environment, script: &str) -> (Environment, Vec<String>) {
    let mut said = Vec::new();
    for step in script.split(';') {
        let words: Vec<&str> = step.split_whitespace().collect();
        let now = Timestamp::from_millis(words[0].parse().expect("a time"));
        let actions;
        (environment, actions) = environment.on(now, event(&words[1..]));
        said.push(actions.iter().map(shown).collect::<Vec<_>>().join(", "));
    }
    (environment, said)
}

#[test]
fn a_cold_start_runs_and_the_environment_is_offered_again() {
    check(
        "0 built; 120 next; 130 call 1; 500 response 1; 510 next; 600 call 2; 601 response 2; 602 next",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            120 next: park, init-runtime-done(Init Success), notimer, init-report(Init 120 Success), offer
            130 call 1: startline, deliver, timer@3130
            500 response 1: reply(result), accept
            510 next: park, runtime-done(380 Success), notimer, finish(380 init 120 Success), offer
            600 call 2: startline, deliver, timer@3600
            601 response 2: reply(result), accept
            602 next: park, runtime-done(2 Success), notimer, finish(2 Success), offer
        "#]],
    );
}

#[test]
fn an_error_that_the_runtime_posts_keeps_the_environment() {
    check(
        "0 built; 100 next; 100 call 1; 200 error 1; 201 next; 300 call 2",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            100 call 1: startline, deliver, timer@3100
            200 error 1: reply(error Function.Boom), accept
            201 next: park, runtime-done(101 Success), notimer, finish(101 init 100 Success), offer
            300 call 2: startline, deliver, timer@3300
        "#]],
    );
}

#[test]
fn an_oversize_response_is_refused_and_the_environment_survives() {
    check(
        "0 built; 100 next; 100 call 1; 200 oversize 1; 201 next",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            100 call 1: startline, deliver, timer@3100
            200 oversize 1: reply(fault Function.ResponseSizeTooLarge), refuse(toolarge)
            201 next: park, runtime-done(101 Error("Function.ResponseSizeTooLarge")), notimer, finish(101 init 100 Error("Function.ResponseSizeTooLarge")), offer
        "#]],
    );
}

#[test]
fn a_timeout_resets_and_the_next_call_pays_for_a_second_init() {
    check(
        "0 built; 100 next; 1000 call 1; 4000 time; 4010 reset; 5000 call 2; 5100 next; 5200 response 2; 5201 next",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            1000 call 1: startline, deliver, timer@4000
            4000 time: reply(fault Sandbox.Timedout), runtime-done(3000 Timeout), reset, timer@9000
            4010 reset: finish(3000 init 100 Timeout), notimer, offer
            5000 call 2: initstart(invoke), start, timer@8000
            5100 next: park, init-runtime-done(Invoke Success), init-report(Invoke 100 Success), startline, deliver
            5200 response 2: reply(result), accept
            5201 next: park, runtime-done(201 Success), notimer, finish(201 Success), offer
        "#]],
    );
}

#[test]
fn an_exit_resets_and_tells_why() {
    check(
        "0 built; 100 next; 1000 call 1; 1500 exit 1; 1510 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            1000 call 1: startline, deliver, timer@4000
            1500 exit 1: reply(fault Runtime.ExitError), runtime-done(500 Error("Runtime.ExitError")), reset, timer@6500
            1510 reset: fault-line(Runtime exited with error: exit status 1), finish(500 init 100 Error("Runtime.ExitError")), notimer, offer
        "#]],
    );
    check(
        "0 built; 100 next; 1000 call 1; 1500 oom; 1510 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            1000 call 1: startline, deliver, timer@4000
            1500 oom: reply(fault Runtime.OutOfMemory), runtime-done(500 Error("Runtime.OutOfMemory")), reset, timer@6500
            1510 reset: fault-line(Runtime exited with error: signal: killed), finish(500 init 100 Error("Runtime.OutOfMemory")), notimer, offer
        "#]],
    );
}

#[test]
fn a_runtime_that_ends_after_its_answer_leaves_the_caller_its_answer() {
    check(
        "0 built; 100 next; 1000 call 1; 1100 response 1; 1200 signal 11; 1210 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            1000 call 1: startline, deliver, timer@4000
            1100 response 1: reply(result), accept
            1200 signal 11: runtime-done(200 Error("Runtime.ExitError")), reset, timer@6200
            1210 reset: fault-line(Runtime exited with error: signal: segmentation fault), finish(200 init 100 Error("Runtime.ExitError")), notimer, offer
        "#]],
    );
    check(
        "0 built; 100 next; 1000 call 1; 1100 response 1; 4000 time; 4010 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            1000 call 1: startline, deliver, timer@4000
            1100 response 1: reply(result), accept
            4000 time: runtime-done(3000 Timeout), reset, timer@9000
            4010 reset: finish(3000 init 100 Timeout), notimer, offer
        "#]],
    );
}

#[test]
fn a_failed_init_is_made_again_inside_the_invoke_and_then_given_up() {
    check(
        "0 built; 50 init-error; 60 exit 1; 70 reset; 70 call 1; 120 init-error; 130 exit 1; 140 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            50 init-error: accept, timer@1050
            60 exit 1: init-runtime-done(Init Error("Runtime.ImportModuleError")), reset, timer@5060
            70 reset: init-report(Init 60 Error("Runtime.ImportModuleError")), notimer, offer
            70 call 1: initstart(invoke), start, timer@3070
            120 init-error: accept, timer@1120
            130 exit 1: reply(error Runtime.ImportModuleError), init-runtime-done(Invoke Error("Runtime.ImportModuleError")), reset, timer@5130
            140 reset: init-report(Invoke 60 Error("Runtime.ImportModuleError")), startline, runtime-done(60 Error("Runtime.ImportModuleError")), finish(60 Error("Runtime.ImportModuleError")), destroy
        "#]],
    );
}

#[test]
fn a_runtime_that_does_not_end_after_an_init_error_is_ended() {
    check(
        "0 built; 50 init-error; 51 next; 1050 time; 1060 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            50 init-error: accept, timer@1050
            51 next: refuse(InitError to Ready)
            1050 time: init-runtime-done(Init Error("Runtime.ImportModuleError")), reset, timer@6050
            1060 reset: init-report(Init 1050 Error("Runtime.ImportModuleError")), notimer, offer
        "#]],
    );
}

#[test]
fn an_init_that_is_too_slow_gets_the_functions_own_time() {
    check(
        "0 built; 10000 time; 10010 reset; 10011 call 1; 12000 next; 12500 response 1; 12501 next",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            10000 time: init-runtime-done(Init Timeout), reset, timer@15000
            10010 reset: init-report(Init 10000 Timeout), notimer, offer
            10011 call 1: initstart(invoke), start, timer@13011
            12000 next: park, init-runtime-done(Invoke Success), init-report(Invoke 1989 Success), startline, deliver
            12500 response 1: reply(result), accept
            12501 next: park, runtime-done(2490 Success), notimer, finish(2490 Success), offer
        "#]],
    );
    check(
        "0 built; 10000 time; 10010 reset; 10011 call 1; 13011 time; 13020 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            10000 time: init-runtime-done(Init Timeout), reset, timer@15000
            10010 reset: init-report(Init 10000 Timeout), notimer, offer
            10011 call 1: initstart(invoke), start, timer@13011
            13011 time: reply(fault Sandbox.Timedout), init-runtime-done(Invoke Timeout), reset, timer@18011
            13020 reset: init-report(Invoke 3000 Timeout), startline, runtime-done(3000 Timeout), finish(3000 Timeout), notimer, offer
        "#]],
    );
}

#[test]
fn a_package_without_bootstrap_fails_at_each_invoke() {
    check(
        "0 built; 1 no-bootstrap; 2 reset; 2 call 1; 3 no-bootstrap; 4 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            1 no-bootstrap: init-runtime-done(Init Error("Runtime.InvalidEntrypoint")), reset, timer@5001
            2 reset: init-report(Init 1 Error("Runtime.InvalidEntrypoint")), notimer, offer
            2 call 1: initstart(invoke), start, timer@3002
            3 no-bootstrap: reply(fault Runtime.InvalidEntrypoint), init-runtime-done(Invoke Error("Runtime.InvalidEntrypoint")), reset, timer@5003
            4 reset: init-report(Invoke 1 Error("Runtime.InvalidEntrypoint")), startline, runtime-done(1 Error("Runtime.InvalidEntrypoint")), fault-line(Couldn't find valid bootstrap(s): [/var/task/bootstrap]), finish(1 Error("Runtime.InvalidEntrypoint")), destroy
        "#]],
    );
}

#[test]
fn a_runtime_that_ends_while_idle_is_started_by_the_next_call() {
    check(
        "0 built; 100 next; 200 exit 0; 201 call 1; 202 reset; 300 next",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            200 exit 0: reset, timer@5200
            201 call 1: 
            202 reset: initstart(invoke), start, timer@3201
            300 next: park, init-runtime-done(Invoke Success), init-report(Invoke 98 Success), startline, deliver
        "#]],
    );
    check(
        "0 built; 100 next; 200 exit 0; 202 reset; 210 call 1",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            200 exit 0: reset, timer@5200
            202 reset: notimer
            210 call 1: initstart(invoke), start, timer@3210
        "#]],
    );
}

#[test]
fn calls_out_of_place_are_refused() {
    check(
        "0 built; 1 response 1; 2 error 1; 3 next; 4 response 1; 5 init-error; 6 call 1; 7 response 2; \
         8 init-error; 9 next; 10 response 1; 11 response 1; 12 error 1; 13 response 2; 14 init-error; 15 next; \
         16 response 1",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            1 response 1: refuse(Started to InvocationResponse)
            2 error 1: refuse(Started to InvocationErrorResponse)
            3 next: park, init-runtime-done(Init Success), notimer, init-report(Init 3 Success), offer
            4 response 1: refuse(requestid)
            5 init-error: refuse(Ready to InitError)
            6 call 1: startline, deliver, timer@3006
            7 response 2: refuse(requestid)
            8 init-error: refuse(Running to InitError)
            9 next: deliver
            10 response 1: reply(result), accept
            11 response 1: refuse(ResponseSent to InvocationResponse)
            12 error 1: refuse(ResponseSent to InvocationErrorResponse)
            13 response 2: refuse(requestid)
            14 init-error: refuse(ResponseSent to InitError)
            15 next: park, runtime-done(9 Success), notimer, finish(9 init 3 Success), offer
            16 response 1: refuse(requestid)
        "#]],
    );
}

#[test]
fn a_sandbox_that_breaks_answers_whoever_waits() {
    check(
        "0 built; 100 next; 1000 call 1; 1100 lost; 1101 next",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            1000 call 1: startline, deliver, timer@4000
            1100 lost: reply(fault Sandbox.Failure), runtime-done(100 Error("Sandbox.Failure")), finish(100 init 100 Error("Sandbox.Failure")), destroy
            1101 next: refuse(requestid)
        "#]],
    );
    check(
        "0 built; 100 next; 1000 call 1; 1100 response 1; 1101 lost",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            1000 call 1: startline, deliver, timer@4000
            1100 response 1: reply(result), accept
            1101 lost: runtime-done(101 Error("Sandbox.Failure")), finish(101 init 100 Error("Sandbox.Failure")), destroy
        "#]],
    );
    check(
        "0 built; 100 next; 1000 call 1; 4000 time; 9000 time",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            1000 call 1: startline, deliver, timer@4000
            4000 time: reply(fault Sandbox.Timedout), runtime-done(3000 Timeout), reset, timer@9000
            9000 time: finish(3000 init 100 Timeout), destroy
        "#]],
    );
}

#[test]
fn an_environment_that_is_closed_does_nothing_more() {
    check(
        "0 built; 100 next; 200 close; 201 next; 202 call 1; 203 time",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            200 close: abandon, destroy
            201 next: refuse(requestid)
            202 call 1: 
            203 time: 
        "#]],
    );
}

#[test]
fn a_streamed_response_ends_before_its_call_does() {
    check(
        "0 built; 100 next; 100 call 1; 200 begun 1; 300 streamed 1; 301 next",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            100 call 1: startline, deliver, timer@3100
            200 begun 1: flow
            300 streamed 1: flowed, accept
            301 next: park, runtime-done(201 Success), notimer, finish(201 init 100 Success), offer
        "#]],
    );
    check(
        "0 built; 100 next; 100 call 1; 200 begun 1; 300 broken 1; 301 next",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            100 call 1: startline, deliver, timer@3100
            200 begun 1: flow
            300 broken 1: flowed, refuse(truncated)
            301 next: park, runtime-done(201 Error("Runtime.TruncatedResponse")), notimer, finish(201 init 100 Error("Runtime.TruncatedResponse")), offer
        "#]],
    );
}

#[test]
fn a_fault_while_a_response_streams_cuts_it() {
    check(
        "0 built; 100 next; 100 call 1; 200 begun 1; 3100 time; 3101 streamed 1; 3110 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            100 call 1: startline, deliver, timer@3100
            200 begun 1: flow
            3100 time: flowed, runtime-done(3000 Timeout), reset, timer@8100
            3101 streamed 1: 
            3110 reset: finish(3000 init 100 Timeout), notimer, offer
        "#]],
    );
    check(
        "0 built; 100 next; 100 call 1; 200 begun 1; 300 broken 1; 301 exit 1; 310 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            100 call 1: startline, deliver, timer@3100
            200 begun 1: flow
            300 broken 1: flowed, refuse(truncated)
            301 exit 1: runtime-done(201 Error("Runtime.ExitError")), reset, timer@5301
            310 reset: fault-line(Runtime exited with error: exit status 1), finish(201 init 100 Error("Runtime.ExitError")), notimer, offer
        "#]],
    );
    check(
        "0 built; 100 next; 100 call 1; 200 begun 1; 300 oom; 310 reset",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            100 call 1: startline, deliver, timer@3100
            200 begun 1: flow
            300 oom: flowed, runtime-done(200 Error("Runtime.OutOfMemory")), reset, timer@5300
            310 reset: fault-line(Runtime exited with error: signal: killed), finish(200 init 100 Error("Runtime.OutOfMemory")), notimer, offer
        "#]],
    );
    check(
        "0 built; 100 next; 100 call 1; 200 begun 1; 300 lost",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            100 next: park, init-runtime-done(Init Success), notimer, init-report(Init 100 Success), offer
            100 call 1: startline, deliver, timer@3100
            200 begun 1: flow
            300 lost: flowed, runtime-done(200 Error("Sandbox.Failure")), finish(200 init 100 Error("Sandbox.Failure")), destroy
        "#]],
    );
}

#[test]
fn a_response_streams_in_its_place_only() {
    check(
        "0 built; 1 begun 1; 3 next; 4 begun 1; 6 call 1; 7 begun 2; 8 begun 1; 9 begun 1; 10 begun 2; \
         11 response 1; 12 error 1; 13 init-error; 14 next; 15 streamed 2; 16 streamed 1; 17 begun 1; 18 streamed 1; \
         19 next; 20 begun 1; 21 close; 22 begun 1",
        &expect![[r#"
            0 built: initstart(init), start, timer@10000
            1 begun 1: refuse(Started to InvocationResponse)
            3 next: park, init-runtime-done(Init Success), notimer, init-report(Init 3 Success), offer
            4 begun 1: refuse(requestid)
            6 call 1: startline, deliver, timer@3006
            7 begun 2: refuse(requestid)
            8 begun 1: flow
            9 begun 1: refuse(InvocationResponse to InvocationResponse)
            10 begun 2: refuse(requestid)
            11 response 1: refuse(InvocationResponse to InvocationResponse)
            12 error 1: refuse(InvocationResponse to InvocationErrorResponse)
            13 init-error: refuse(InvocationResponse to InitError)
            14 next: refuse(InvocationResponse to Ready)
            15 streamed 2: 
            16 streamed 1: flowed, accept
            17 begun 1: refuse(ResponseSent to InvocationResponse)
            18 streamed 1: 
            19 next: park, runtime-done(13 Success), notimer, finish(13 init 3 Success), offer
            20 begun 1: refuse(requestid)
            21 close: abandon, destroy
            22 begun 1: refuse(requestid)
        "#]],
    );
}

#[test]
fn random_lives_never_lose_or_double_an_answer() {
    let events = [
        "next",
        "next",
        "next",
        "response 1",
        "response 1",
        "error 1",
        "begun 1",
        "streamed 1",
        "broken 1",
        "oversize 1",
        "init-error",
        "exit 0",
        "signal 9",
        "time",
        "reset",
        "reset",
        "call",
        "call",
        "lost",
        "close",
    ];
    for seed in 0..20_000_u64 {
        let dice = base::random::Dice::seeded(seed);
        let mut environment = Environment::new(LIMITS, false);
        let (mut running, mut replied, mut flows, mut free, mut now) = (false, false, false, false, 0_i64);
        let mut step = vec!["built"];
        for _ in 0..60 {
            now += i64::from(dice.bytes::<1>()[0]);
            let actions;
            (environment, actions) = environment.on(Timestamp::from_millis(now), event(&step));
            for action in &actions {
                match action {
                    Action::Offer => {
                        assert!(!free && !running, "seed {seed}: offered while it runs or twice");
                        free = true;
                    }
                    Action::Reply(_) => {
                        assert!(running && !replied, "seed {seed}: nobody waits for a reply");
                        replied = true;
                    }
                    Action::Flow => {
                        assert!(running && !replied, "seed {seed}: nobody waits for a response");
                        (replied, flows) = (true, true);
                    }
                    Action::Flowed => {
                        assert!(flows, "seed {seed}: nothing flows");
                        flows = false;
                    }
                    Action::Deliver | Action::StartLine => assert!(running, "seed {seed}: {action:?}"),
                    Action::Finish(..) => {
                        assert!(running && replied && !flows, "seed {seed}: finished without a reply");
                        (running, replied) = (false, false);
                    }
                    _ => {}
                }
            }
            if environment.is_closed() {
                break;
            }
            let draw = || events[usize::from(dice.bytes::<1>()[0]) % events.len()];
            let mut next = draw();
            // The pool calls only an environment that was offered, and only once.
            while next == "call" && !free {
                next = draw();
            }
            step = match next {
                "call" => {
                    (free, running) = (false, true);
                    vec!["call", "1"]
                }
                other => other.split(' ').collect(),
            };
        }
    }
}
