//! Answers of runtimes that took more than their memory, and gave it back before anybody looked.

use super::*;

/// Holds so many megabytes for itself or for files, as it is told.
fn holder() -> Script {
    script(async |mut runtime| {
        loop {
            let task = runtime.next().await;
            let (what, size) = task.payload.trim_matches('"').split_once(' ').expect("what, and how much");
            runtime.hold(Mib(size.parse().expect("a number")), what == "own");
            runtime.respond(&task.id, &runtime.start.to_string()).await;
        }
    })
}

#[tokio::test(start_paused = true)]
async fn what_took_too_much_has_no_answer_though_it_gave_one() {
    let house = House::of(holder(), Plan::default()).await;
    let version = version("f", 1);
    for (payload, expected) in [
        ("\"own 128\"", "1"),
        ("\"own 129\"", "Unhandled"),
        ("\"files 900\"", "2"),
        ("\"files 900\"", "2"),
        ("\"own 901\"", "Unhandled"),
        // What was vouched for is over with the files.
        ("\"files 900\"", "3"),
        ("\"files 0\"", "3"),
        ("\"own 129\"", "Unhandled"),
    ] {
        let (answer, tail) = house.run(&version, payload).await;
        assert!(answer.starts_with(expected), "{payload}: {answer}");
        let is_full = "Max Memory Used: 128 MB Status: error Error Type: Runtime.OutOfMemory";
        assert_eq!(tail.contains(is_full), expected == "Unhandled", "{payload}: {tail}");
    }
    assert_eq!(house.sandboxes(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_what_took_too_much_does_not_end_well() {
    let runtime = script(async |mut runtime| {
        loop {
            let task = runtime.next().await;
            runtime.begin(&task.id, "text/plain").await;
            runtime.stream("half").await;
            let is_own = task.payload == "1";
            runtime.hold(Mib(300 + u32::from(is_own)), is_own);
            runtime.end("").await;
        }
    });
    let house = House::of(runtime, Plan::default()).await;
    let version = version("f", 1);
    for (payload, is_full) in [("0", false), ("1", true), ("0", false)] {
        let mut reply = house.stream(&version, payload).await;
        assert_eq!(reply.payload.next().await.expect("a piece"), "half");
        assert_eq!(reply.payload.next().await, None);
        let tail = reply.end.await.expect("it ends").tail;
        let tail = String::from_utf8_lossy(&tail);
        assert_eq!(tail.contains("Error Type: Runtime.OutOfMemory"), is_full, "{payload}: {tail}");
    }
}
