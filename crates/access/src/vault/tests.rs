use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::Duration;

use super::*;

fn a_vault() -> (tempfile::TempDir, Vault) {
    let directory = tempfile::tempdir().unwrap();
    let vault = Vault::open(&directory.path().join("key"), Dice::system()).unwrap();
    (directory, vault)
}

fn function(name: &str, account: &str) -> FunctionKey {
    let scope = base::arn::Scope { account: account.parse().unwrap(), region: "us-east-1".parse().unwrap() };
    FunctionKey::new(scope, name.parse().unwrap())
}

#[test]
fn what_is_sealed_opens_in_its_own_context_only() {
    let (_directory, vault) = a_vault();
    for plain in [&b""[..], b"x", &[7; 5000]] {
        let sealed = vault.seal(b"here", plain);
        assert_eq!(vault.open_sealed(b"here", &sealed).unwrap(), plain);
        assert_eq!(vault.open_sealed(b"there", &sealed), Err(VaultError::Forged));
        assert_ne!(vault.seal(b"here", plain), sealed, "each record has its own key and nonces");
    }
}

#[test]
fn no_changed_byte_goes_unnoticed() {
    let (_directory, vault) = a_vault();
    let sealed = vault.seal(b"here", b"hello");
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        assert!(vault.open_sealed(b"here", &changed).is_err(), "byte {place}");
        assert!(vault.open_sealed(b"here", &sealed[..place]).is_err(), "cut at {place}");
    }
    assert!(vault.open_sealed(b"here", &[&sealed[..], b"x"].concat()).is_err());
}

#[test]
fn keys_and_ciphertexts_of_two_records_cannot_be_mixed() {
    let (_directory, vault) = a_vault();
    let (one, two) = (vault.seal(b"one", b"first"), vault.seal(b"two", b"second"));
    let mixed = [&one[..HEAD - NONCE], &two[HEAD - NONCE..]].concat();
    for context in [b"one", b"two"] {
        assert_eq!(vault.open_sealed(context, &mixed), Err(VaultError::Forged));
    }
}

#[test]
fn another_master_key_and_a_newer_form_are_told_apart() {
    let ((_a, one), (_b, two)) = (a_vault(), a_vault());
    let mut sealed = one.seal(b"here", b"hello");
    assert_eq!(two.open_sealed(b"here", &sealed), Err(VaultError::OtherKey));
    sealed[0] = 2;
    assert_eq!(one.open_sealed(b"here", &sealed), Err(VaultError::Form));
}

#[test]
fn environment_variables_belong_to_their_function() {
    let (_directory, vault) = a_vault();
    let f = function("f", "000000000000");
    let variables = BTreeMap::from([("KEY".into(), "hunter2 ä".into()), ("EMPTY".into(), String::new())]);
    let sealed = vault.seal_environment(&f, &variables);
    assert!(!sealed.0.windows(7).any(|window| window == b"hunter2"));
    assert_eq!(vault.open_environment(&f, &sealed).unwrap(), variables);
    for other in [function("g", "000000000000"), function("f", "111111111111")] {
        assert_eq!(vault.open_environment(&other, &sealed), Err(VaultError::Forged));
    }
    let none = vault.seal_environment(&f, &BTreeMap::new());
    assert!(vault.open_environment(&f, &none).unwrap().is_empty());
}

#[test]
fn links_are_good_for_one_method_one_path_and_a_while() {
    let (_directory, vault) = a_vault();
    let expires = Timestamp::from_millis(1_000_000);
    let later = expires + Duration::from_micros(1);
    let signature = vault.sign_link("GET", "/code/x", expires);
    let verify =
        |method, path, until, signature: &str, now| vault.verify_link(method, path, until, signature, now);
    assert_eq!(verify("GET", "/code/x", expires, &signature, expires), Ok(()));
    assert_eq!(verify("GET", "/code/x", expires, &signature, later), Err(LinkError::Expired));
    assert_eq!(verify("HEAD", "/code/x", expires, &signature, expires), Err(LinkError::Forged));
    assert_eq!(verify("GET", "/code/y", expires, &signature, expires), Err(LinkError::Forged));
    assert_eq!(verify("GET", "/code/x", later, &signature, expires), Err(LinkError::Forged));
    for forged in ["", "x", "!", &signature[1..], &format!("{signature}A")] {
        assert_eq!(verify("GET", "/code/x", expires, forged, expires), Err(LinkError::Forged), "{forged}");
    }
    assert_ne!(vault.sign("a", b"bc"), vault.sign("ab", b"c"));
}

#[test]
fn the_key_file_is_made_once_for_the_server_alone_and_survives() {
    let (directory, vault) = a_vault();
    let path = directory.path().join("key");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.len()), (0o600, 32));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no draft is left");
    let sealed = vault.seal(b"here", b"hello");
    let again = Vault::open(&path, Dice::system()).unwrap();
    assert_eq!(again.open_sealed(b"here", &sealed).unwrap(), b"hello");
    assert_eq!(again.sign("p", b"x"), vault.sign("p", b"x"));
    let debug = format!("{again:?}");
    assert!(!debug.contains(&hex::encode(fs::read(&path).unwrap())) && debug.starts_with("Vault(key "));
}

#[test]
fn of_many_that_make_the_key_file_all_read_the_same_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let openers: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Vault::open(&path, Dice::system()).unwrap().current())).collect();
        openers.into_iter().map(|opener| opener.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_key_file_that_cannot_be_trusted_is_refused() {
    let (directory, _vault) = a_vault();
    let path = directory.path().join("key");
    let open = |path: &Path| Vault::open(path, Dice::system()).map(|_| ()).unwrap_err();
    for mode in [0o640, 0o604, 0o620, 0o601, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = open(&path);
        assert!(matches!(error, OpenError::Exposed { .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(open(&link), OpenError::Io { .. }));
    for bytes in [&[1; 31][..], &[1; 33], b""] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(open(&path), OpenError::Shape { .. }));
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(open(&path), OpenError::Shape { .. }));
    assert!(matches!(open(&directory.path().join("no/key")), OpenError::Io { .. }));
}

/// The names in the directory of the key file.
fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_new_master_key_seals_and_the_old_one_still_opens_until_it_is_removed() {
    let (directory, first) = a_vault();
    let path = directory.path().join("key");
    let f = function("f", "000000000000");
    let variables = BTreeMap::from([("KEY".into(), "hunter2".into())]);
    let sealed = first.seal_environment(&f, &variables);
    let expires = Timestamp::from_millis(1_000_000);
    let signature = first.sign_link("GET", "/code/x", expires);

    let second = first.rotate(&path).unwrap();
    assert_ne!(second.current(), first.current());
    let retired = format!("retired-{}.key", first.current());
    assert_eq!(names(directory.path()), ["key", &retired]);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    let ids: Vec<_> = Vault::list(&path).unwrap().into_iter().map(|key| key.id).collect();
    assert_eq!(ids, [second.current(), first.current()]);
    assert_eq!(second.open_environment(&f, &sealed).unwrap(), variables);
    assert_eq!(second.verify_link("GET", "/code/x", expires, &signature, expires), Ok(()));

    let resealed = second.reseal_environment(&f, &sealed).unwrap().expect("it was sealed under the old key");
    assert_eq!(second.reseal_environment(&f, &resealed), Ok(None), "once is enough");
    assert_eq!(second.reseal_environment(&function("g", "000000000000"), &sealed), Err(VaultError::Forged));
    assert_eq!(resealed.0[HEAD..], sealed.0[HEAD..], "what the data key encrypts stays");
    fs::remove_file(directory.path().join(retired)).unwrap();
    let third = Vault::open(&path, Dice::system()).unwrap();
    assert_eq!(third.open_environment(&f, &resealed).unwrap(), variables);
    assert_eq!(third.open_environment(&f, &sealed), Err(VaultError::OtherKey));
    assert_eq!(third.reseal_environment(&f, &sealed), Err(VaultError::OtherKey));
    assert_eq!(third.verify_link("GET", "/code/x", expires, &signature, expires), Err(LinkError::Forged));
}

#[test]
fn a_rotation_that_was_interrupted_loses_nothing_and_can_be_repeated() {
    let (directory, first) = a_vault();
    let path = directory.path().join("key");
    let sealed = first.seal(b"here", b"hello");
    // As far as the second name of the old key.
    let retired = directory.path().join(format!("retired-{}.key", first.current()));
    fs::hard_link(&path, &retired).unwrap();
    let again = Vault::open(&path, Dice::system()).unwrap();
    assert_eq!(again.current(), first.current());
    assert_eq!(Vault::list(&path).unwrap().len(), 1, "it is one key");
    assert_eq!(again.open_sealed(b"here", &sealed).unwrap(), b"hello");
    let second = again.rotate(&path).unwrap();
    let third = second.rotate(&path).unwrap();
    assert_eq!(Vault::list(&path).unwrap().len(), 3);
    assert_eq!(third.open_sealed(b"here", &sealed).unwrap(), b"hello");
    assert!(format!("{third:?}").starts_with("Vault(key "));
}

#[test]
fn a_retired_key_that_cannot_be_trusted_is_refused_too() {
    let (directory, first) = a_vault();
    let path = directory.path().join("key");
    first.rotate(&path).unwrap();
    let retired = directory.path().join(format!("retired-{}.key", first.current()));
    fs::set_permissions(&retired, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Vault::open(&path, Dice::system()), Err(OpenError::Exposed { .. })));
}
