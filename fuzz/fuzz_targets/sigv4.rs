//! Signatures: nobody forges one, and what is signed can be read and verified.
#![no_main]

use base::clock::Timestamp;
use libfuzzer_sys::fuzz_target;
use samovar_fuzz::request;
use wire::sigv4::{Claim, Credentials, Presented, sign};

/// 21 November 2026, as the seeds are signed.
const NOW: i64 = 1_795_262_400_000;

fuzz_target!(|data: &[u8]| {
    let Some((mut head, body)) = request(data) else { return };
    let now = Timestamp::from_millis(NOW);
    if let Ok(presented) = Presented::read(&head) {
        let _ = presented.body(body.clone());
    }
    if let Ok(claim) = Claim::read(&head) {
        assert!(
            claim.verify(&head, body.clone(), "a secret nobody told", now).is_err(),
            "a forged signature"
        );
    }
    let credentials = Credentials { access_key: "AKIAFUZZ", secret: "secret", session_token: None };
    // What it says of its body need not be true.
    for name in ["authorization", "x-amz-content-sha256"] {
        head.headers.remove(name);
    }
    if head.query.contains("X-Amz-")
        || sign(&mut head, &body, credentials, "us-east-1", "lambda", now).is_err()
    {
        return;
    }
    let claim = Claim::read(&head).expect("what we signed can be read");
    let verified = claim.verify(&head, body.clone(), "secret", now);
    assert_eq!(verified, Ok(body), "what we signed holds");
});
