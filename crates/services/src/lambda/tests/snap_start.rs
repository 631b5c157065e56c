//! Versions with SnapStart are as their inits were.

use std::time::Duration;

use engine::InitError;
use engine::starter::StartError;

use super::*;

/// State, its reason and SnapStart of version 1, once it is not pending any more.
async fn settled(bench: &Bench) -> String {
    loop {
        let answer = bench.ask("GET", &format!("{FUNCTIONS}/f/configuration?Qualifier=1"), Value::Null).await;
        let body: Value = serde_json::from_str(answer.split_once('\n').unwrap().1).unwrap();
        if body["State"] != "Pending" {
            let [state, reason, status] =
                [&body["State"], &body["StateReasonCode"], &body["SnapStart"]["OptimizationStatus"]];
            return format!("{state} {reason} {status}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_version_is_active_or_failed_as_its_init_was() {
    let hindered = |error| Some(Err(InitError::Hindered(error)));
    for (init, expected) in [
        (None, r#""Active" null "On""#),
        // The machine is at fault, and does better when it is asked again.
        (hindered(StartError::Full { limit: 1 }.into()), r#""Active" null "On""#),
        (Some(Err(InitError::Failed("Runtime.ExitError".into()))), r#""Failed" "FunctionError" "Off""#),
        (Some(Err(InitError::TimedOut)), r#""Failed" "FunctionError" "Off""#),
        (hindered(InvokeError::Runtime("no python".into())), r#""Failed" "InvalidRuntime" "Off""#),
        (hindered(InvokeError::Code("gone".into())), r#""Failed" "InternalError" "Off""#),
    ] {
        let bench = Bench::new().await;
        let chosen = json!({ "SnapStart": { "ApplyOn": "PublishedVersions" } });
        bench.ask("POST", FUNCTIONS, with("f", chosen)).await;
        bench.settle("f").await;
        let shown = format!("{init:?}");
        *bench.runner.init.lock().unwrap() = init;
        let answer = bench.ask("POST", &format!("{FUNCTIONS}/f/versions"), json!({})).await;
        assert!(answer.contains(r#""State": "Pending""#), "{answer}");
        assert_eq!(settled(&bench).await, expected, "{shown}");
    }
}
