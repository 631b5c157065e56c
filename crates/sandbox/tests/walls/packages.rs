//! Code: unpacked, mounted, removed.

use sandbox::{SandboxSpec, ServerSide};

use crate::driver::{Boxed, Scenario, build, comes_true, inside, spec, unpack_into, wait};

pub const SCENARIOS: &[Scenario] = &[
    inside("a_package_is_unpacked_and_mounted", good),
    inside("a_refused_or_crashing_unpack_leaves_nothing", bad),
    inside("the_unpacker_is_confined", confined),
    inside("layers_cover_each_other", layers),
    inside("layers_are_merged_without_walls", merged),
    inside("only_files_are_unpacked", odd_descriptors),
    inside("set_user_id_programs_gain_nothing", set_user_id),
    inside("removed_code_is_gone_whatever_its_modes", removed),
];

fn good(side: ServerSide) {
    let report = unpack_into(&side, "755 bootstrap #!/bin/sh\\necho booted\n644 lib/deep/x y", "good");
    assert_eq!(report, Ok("2 lines".into()));
    let sandbox = Boxed::of(&side, SandboxSpec { code: "good".into(), ..spec() });
    assert_eq!(sandbox.run(&["/var/task/bootstrap"]).1, "booted\n");
    assert_eq!(sandbox.sh("cat lib/deep/x; stat -c ' %U:%G' lib/deep/x"), "y root:root\n");
    assert_eq!(unpack_into(&side, "644 other x", "good"), Err(String::new()), "a taken name");
    assert_eq!(sandbox.sh("cat lib/deep/x"), "y");
}

fn bad(side: ServerSide) {
    let crashes = [
        ("644 half x\nrefuse", "not to my taste"),
        ("644 half x\nabort", ""),
        ("644 half x\npanic", ""),
        ("644 half x\nlong", ""),
    ];
    for (archive, report) in crashes {
        assert_eq!(unpack_into(&side, archive, "bad"), Err(report.to_owned()), "{archive}");
        assert!(!side.data_dir.join("code/bad").exists());
    }
    for name in ["", "..", "a/b", ".part-x", "Bad"] {
        assert_eq!(unpack_into(&side, "644 x y", name), Err(String::new()), "{name}");
    }
    let is_clear = || names(&side).is_empty();
    assert!(comes_true(is_clear), "{:?}", names(&side));
    assert_eq!(unpack_into(&side, "644 x y", "bad"), Ok("1 lines".into()), "the name is free");
}

/// What is in `code/`, but for the launcher's own note.
fn names(side: &ServerSide) -> Vec<String> {
    let entries = std::fs::read_dir(side.data_dir.join("code")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name != ".boot").collect()
}

fn confined(side: ServerSide) {
    let owner = sandbox::identity::CODE_OWNER_UID;
    assert_eq!(
        unpack_into(&side, "prey", "prey"),
        Ok(format!("uid={owner};root=0;passwd!;parent=0;socket!;exec!;thread!;1 lines"))
    );
}

fn layers(side: ServerSide) {
    unpack_into(&side, "644 one 1\n644 both lower", "l1").unwrap();
    unpack_into(&side, "644 two 2\n644 both upper", "l2").unwrap();
    let single = Boxed::of(&side, SandboxSpec { layers: vec!["l1".into()], ..spec() });
    assert_eq!(single.sh("cat /opt/one /opt/both"), "1lower");
    let both = SandboxSpec { layers: vec!["l1".into(), "l2".into()], ..spec() };
    let stacked = Boxed::of(&side, both.clone());
    assert_eq!(
        stacked.sh("cat /opt/one /opt/two /opt/both; touch /opt/x 2>/dev/null || echo refused"),
        "12upperrefused\n"
    );
    let below_opt = SandboxSpec { id: spec().id, interpreter: Some("elsewhere".into()), ..both };
    let with_interpreter = Boxed::of(&side, below_opt);
    assert_eq!(
        with_interpreter.sh("cat /opt/both; ls /opt/elsewhere/tool/UTC"),
        "upper/opt/elsewhere/tool/UTC\n"
    );
    assert!(build(&side.client, SandboxSpec { layers: vec!["none".into()], ..spec() }).is_err());
}

fn set_user_id(side: ServerSide) {
    // The archive's own walls strip the bit; the mount must hold even if they did not.
    unpack_into(&side, "6755 script #!/bin/sh\\nid -u", "suid").unwrap();
    let sandbox = Boxed::of(&side, SandboxSpec { code: "suid".into(), ..spec() });
    assert_eq!(sandbox.run(&["/var/task/script"]).1, "993\n");
    assert_eq!(sandbox.sh("grep ' /var/task ' /proc/self/mounts | grep -c nosuid,nodev"), "1\n");
}

fn removed(side: ServerSide) {
    unpack_into(&side, "644 a/b/c/d x\n000 a/secret x\n444 e x", "gone").unwrap();
    let sandbox = Boxed::of(&side, SandboxSpec { code: "gone".into(), ..spec() });
    wait(|done: Box<dyn FnOnce(()) + Send>| side.client.remove_code("gone", || done(())));
    assert!(!side.data_dir.join("code/gone").exists());
    let is_clear = || !names(&side).iter().any(|name| name.starts_with('.'));
    assert!(comes_true(is_clear), "{:?}", names(&side));
    assert!(sandbox.sh("echo lives").ends_with("lives\n"));
    wait(|done: Box<dyn FnOnce(()) + Send>| side.client.remove_code("../../etc", || done(())));
    wait(|done: Box<dyn FnOnce(()) + Send>| side.client.remove_code("never-was", || done(())));
    assert_eq!(unpack_into(&side, "644 x y", "gone"), Ok("1 lines".into()));
}

fn merged(side: ServerSide) {
    unpack_into(&side, "644 one 1\n644 both lower\n755 bin/tool #!/bin/sh\\necho tool", "l1").unwrap();
    unpack_into(&side, "644 two 2\n644 both upper", "l2").unwrap();
    let single = Boxed::of(&side, SandboxSpec { layers: vec!["l1".into()], ..spec() });
    assert_eq!(single.sh("cat $SAMOVAR_OPT/one $SAMOVAR_OPT/both"), "1lower");
    let stacked = Boxed::of(&side, SandboxSpec { layers: vec!["l1".into(), "l2".into()], ..spec() });
    assert_eq!(stacked.sh("cat $SAMOVAR_OPT/one $SAMOVAR_OPT/two $SAMOVAR_OPT/both"), "12upper");
    assert_eq!(stacked.run(&["/opt/bin/tool"]).1, "tool\n");
    assert_eq!(stacked.sh("cat hello; touch $TMPDIR/x; ls $TMPDIR"), "hello from the codex\n");
    stacked.reset();
    assert_eq!(stacked.sh("ls $TMPDIR"), "x\n");
    stacked.destroy(&side);
    single.destroy(&side);
    let is_clear = || !names(&side).iter().any(|name| name.starts_with(".room"));
    assert!(comes_true(is_clear), "{:?}", names(&side));
    assert_eq!(std::fs::read_to_string(side.data_dir.join("code/l1/both")).unwrap(), "lower");
    assert!(build(&side.client, SandboxSpec { layers: vec!["none".into()], ..spec() }).is_err());
}

fn odd_descriptors(side: ServerSide) {
    let directory = std::fs::File::open("/").unwrap();
    let (pipe, _write) = rustix::pipe::pipe().unwrap();
    for odd in [directory, std::fs::File::from(pipe)] {
        let result = wait(|done| side.client.unpack(odd, "odd", done));
        assert_eq!(result, Err(Vec::new()));
    }
    assert_eq!(unpack_into(&side, "644 x y", "odd"), Ok("1 lines".into()));
}
