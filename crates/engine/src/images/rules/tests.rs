use base::arn::FunctionArn;

use super::*;
use crate::testing::scope;

const OLD: &str = "01";
const NEW: &str = "02";
const PYTHON: &str = "python3.12";

fn key(name: &str) -> PoolKey {
    PoolKey { version: FunctionArn::new(scope(), name.parse().expect("a name")), generation: 1 }
}

fn zygote(name: &str) -> Zygote {
    name.to_owned()
}

/// A shelf on which these versions have images of ten bytes, made in this order.
fn with(most: u64, names: &[&str]) -> Shelf<char> {
    let mut shelf = Shelf::new(most);
    for name in names {
        assert!(shelf.offer(&key(name)).wanted);
        shelf.seen(&key(name), PYTHON, &zygote(OLD));
        shelf.keep(&key(name), &zygote(OLD), 'i', 10);
        shelf.released(&key(name));
    }
    shelf
}

fn kept(shelf: &Shelf<char>) -> String {
    let names = ["a", "b", "c"].into_iter().filter(|name| shelf.has(&key(name)));
    assert_eq!(shelf.bytes, 10 * names.clone().count() as u64);
    names.collect()
}

#[test]
fn one_environment_makes_the_image_and_the_next_ones_have_it() {
    let mut shelf = Shelf::new(100);
    assert_eq!(shelf.offer(&key("a")), Offer { image: None, wanted: true });
    // The first one is at it.
    assert_eq!(shelf.offer(&key("a")), Offer { image: None, wanted: false });
    shelf.seen(&key("a"), PYTHON, &zygote(OLD));
    shelf.keep(&key("a"), &zygote(OLD), 'i', 10);
    shelf.released(&key("a"));
    assert_eq!(shelf.offer(&key("a")), Offer { image: Some((zygote(OLD), 'i')), wanted: false });
    assert_eq!(shelf.offer(&key("b")), Offer { image: None, wanted: true });
}

#[test]
fn whoever_is_asked_and_makes_none_leaves_it_to_the_next() {
    let mut shelf = Shelf::<char>::new(100);
    assert!(shelf.offer(&key("a")).wanted);
    shelf.released(&key("a"));
    assert!(shelf.offer(&key("a")).wanted);
}

#[test]
fn the_image_that_was_not_used_for_longest_makes_room() {
    let mut shelf = with(20, &["a", "b"]);
    assert_eq!(kept(&shelf), "ab");
    shelf.offer(&key("a"));
    shelf.offer(&key("c"));
    shelf.keep(&key("c"), &zygote(OLD), 'i', 10);
    assert_eq!(kept(&shelf), "ac");
    // What is larger than all of them may be is none, and drives nobody out.
    shelf.offer(&key("b"));
    shelf.keep(&key("b"), &zygote(OLD), 'i', 21);
    assert_eq!(kept(&shelf), "ac");
}

#[test]
fn images_go_with_their_zygote_and_their_version() {
    let mut shelf = with(100, &["a", "b", "c"]);
    shelf.forget(|gone| *gone == key("b"));
    assert_eq!(kept(&shelf), "ac");
    shelf.offer(&key("d"));
    shelf.seen(&key("d"), "python3.13", &zygote(NEW));
    assert_eq!(kept(&shelf), "ac", "another interpreter's");
    shelf.seen(&key("c"), PYTHON, &zygote(NEW));
    assert_eq!(kept(&shelf), "");
    // A child of the old one is late.
    shelf.keep(&key("c"), &zygote(OLD), 'i', 10);
    assert_eq!(kept(&shelf), "");
    shelf.keep(&key("c"), &zygote(NEW), 'i', 10);
    assert_eq!(kept(&shelf), "c");
}

#[test]
fn what_cannot_have_an_image_is_asked_again_when_there_is_a_new_zygote() {
    let mut shelf = with(100, &["a"]);
    shelf.unfit(&key("a"), &zygote(OLD));
    assert_eq!(kept(&shelf), "");
    assert_eq!(shelf.offer(&key("a")), Offer { image: None, wanted: false });
    shelf.seen(&key("a"), PYTHON, &zygote(NEW));
    assert_eq!(shelf.offer(&key("a")), Offer { image: None, wanted: true });
}

#[test]
fn all_environments_of_a_version_have_one_word() {
    let mut shelf = Shelf::<char>::new(0);
    assert_eq!(shelf.word(&key("a"), || "x".into()), "x");
    assert_eq!(shelf.word(&key("a"), || unreachable!()), "x");
    assert_eq!(shelf.word(&key("b"), || "y".into()), "y");
    shelf.forget(|_| true);
    assert_eq!(shelf.word(&key("a"), || "z".into()), "z");
}
