//! What every backend does, a function a rule. A backend's tests run all of them with
//! [`conformance_tests!`](crate::conformance_tests).

use std::sync::Arc;

use async_trait::async_trait;
use base::clock::Timestamp;
use bytes::Bytes;

use crate::{Commit, Document, Enqueue, Key, LeaseToken, Require, Revision, Store};

mod documents;
mod following;
mod logs;
mod queues;

pub use documents::*;
pub use following::*;
pub use logs::*;
pub use queues::*;

/// A backend under test, empty at first.
#[async_trait]
pub trait Subject: Send {
    /// Closes the store, if it is open, and opens it on the same data.
    ///
    /// The caller holds no other reference to an earlier store, nor a watch of it.
    async fn open(&mut self) -> Arc<dyn Store>;
}

/// Makes a test of each rule; the argument is an expression that makes a fresh [`Subject`].
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr) => {
        $crate::conformance_tests! { @rules $subject;
            a_document_is_read_as_it_was_written
            a_commit_whose_requirement_fails_changes_nothing
            a_requirement_is_checked_against_the_state_before_the_commit
            a_commit_is_one_revision_and_only_documents_move_it
            of_two_rivals_one_wins
            a_deletion_wins_over_a_put_of_the_same_key
            a_scan_is_in_byte_order_and_stays_in_its_prefix
            a_scan_goes_on_after_a_key_and_stops_at_its_limit
            what_is_too_large_is_refused
            documents_and_revisions_outlive_a_restart
            put_delete_enqueue_and_settle_happen_together
            a_lost_lease_stops_the_whole_commit
            a_follower_sees_every_change_in_order
            a_follower_resumes_where_it_was_after_a_restart
            a_follower_waits_and_is_woken_by_documents_only
            a_follower_too_far_behind_must_load_again
            a_follower_of_the_future_must_load_again
            clear_leaves_nothing_and_followers_see_it
            a_message_is_claimed_when_it_is_due_and_by_one
            messages_come_longest_due_first_and_no_more_than_asked
            a_lease_that_ran_out_makes_its_token_stale
            a_lease_that_ran_out_is_good_until_somebody_claims
            a_token_settles_once
            a_released_message_comes_back_under_a_new_token
            an_extended_lease_keeps_its_token
            queue_depths_are_kept_for_each_queue
            messages_and_leases_outlive_a_restart
            queues_are_listed_by_prefix_while_they_have_messages
            the_first_due_time_of_a_queue_moves_with_its_messages
            queues_do_not_mix
            records_are_read_in_the_order_of_their_appends
            a_page_is_bounded_and_the_next_goes_on
            a_log_is_read_backwards
            a_log_that_is_not_there_is_empty
            records_are_read_back_after_a_restart
            a_dropped_log_starts_anew
            log_names_are_any_text
            a_long_log_is_read_whole_from_any_position
            a_trimmed_log_keeps_its_positions
        }
    };
    (@rules $subject:expr; $($rule:ident)*) => {
        $(
            #[tokio::test]
            async fn $rule() {
                $crate::conformance::$rule(&mut $subject).await;
            }
        )*
    };
}

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn key(text: &str) -> Key {
    Key::new(text)
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(name: &str, body: &str) -> Commit {
    Commit { put: vec![(key(name), bytes(body))], ..Commit::default() }
}

fn delete(name: &str) -> Commit {
    Commit { delete: vec![key(name)], ..Commit::default() }
}

fn enqueue(queue: &str, body: &str, not_before: Timestamp) -> Commit {
    let message = Enqueue { queue: queue.into(), body: bytes(body), not_before };
    Commit { enqueue: vec![message], ..Commit::default() }
}

fn settle(token: LeaseToken) -> Commit {
    Commit { settle: vec![token], ..Commit::default() }
}

fn requiring(mut commit: Commit, require: Require) -> Commit {
    commit.require.push(require);
    commit
}

async fn commit(store: &Arc<dyn Store>, commit: Commit) -> Revision {
    store.commit(commit).await.expect("the commit happens")
}

async fn get(store: &Arc<dyn Store>, name: &str) -> Option<Document> {
    store.get(&key(name)).await.expect("the store reads")
}
