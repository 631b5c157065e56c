"""Programs of others that look for holes from inside, as a distribution packages them (`xtask/src/setup.rs`)."""

from . import Attempt

PROBERS = [
    Attempt(
        "captest",
        "the prober of libcap-ng: user, groups, capabilities and securebits, its own and a child's; reading the shadow file",
        "no right is found, and no way to the file",
        r"""
said = []
for flags in ([], ['--drop-all'], ['--lock', '--text']):
    said.append(subprocess.run(['/usr/bin/captest', *flags], capture_output=True, text=True, cwd='/tmp').stdout.splitlines())
return said
""",
        lambda runs: len(runs) == 3 and all(map(probed_nothing, runs)),
    ),
    Attempt(
        "checksec",
        "the prober of process hardening: every process it can see, with its filter and protections",
        "it sees this process alone, behind a filter",
        r"""
said = subprocess.run(['/usr/bin/checksec', '--format=json', '--proc-all'], capture_output=True, text=True, cwd='/tmp').stdout
return [[one['name'].split('.')[0], one['seccomp']] for one in json.loads(said).values()]
""",
        lambda seen: len(seen) >= 1 and all(each == ["python3", "bpf"] for each in seen),
        own={},
    ),
]


def probed_nothing(lines):
    """Each of captest's findings is the harmless one."""
    text = "\n".join(lines)
    users = [word.split(":")[1] for line in lines if "credentials" in line for word in line.split() if ":" in word]
    return (
        bool(users)
        and set(users) <= {"993", "990"}
        and all(line.endswith("none") for line in lines if "apabilities:" in line)
        and "Attempting direct access to shadow...FAILED" in text
        and "Attempting to access shadow by child process...FAILED" in text
        and "SUCCESS" not in text
    )
