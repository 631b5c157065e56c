"""What a function learns of the machine, and whom it reaches on it."""

from . import Attempt, refused

HOST = [
    Attempt(
        "the host's names",
        "host name, machine id, users, name servers and search domains of the machine",
        "none of them is there",
        r"""
told = {'host name': [socket.gethostname(), os.uname().nodename, read('/etc/hostname'), read('/proc/sys/kernel/hostname'), read('/etc/hosts')],
        'machine id': [read('/etc/machine-id'), read('/var/lib/dbus/machine-id')],
        'name servers': [read('/etc/resolv.conf')], 'domain': [read('/proc/sys/kernel/domainname'), libc.getenv(b'LOCALDOMAIN') and 'set']}
users = [line.split(':')[0] for line in read('/etc/passwd').splitlines()]
leaks = [what for what, words in event['host'].items() for word in words if any(word in (text or '') for text in told.get(what, []))]
return [leaks, users]
""",
        [[], ["root", "sbx_user1051", "nobody"]],
    ),
    Attempt(
        "the host's place and language",
        "time zone and locale of the machine",
        "it is UTC and plain",
        r"""
return [time.timezone, time.tzname[0], os.path.realpath('/etc/localtime').rsplit('/', 1)[-1] in ('UTC', 'Etc/UTC', 'UCT', 'Universal', 'Zulu'),
        os.environ.get('TZ'), {name: value for name, value in os.environ.items() if name.startswith('LC_') and value != 'C.UTF-8'}, read('/etc/timezone'), read('/etc/default/locale')]
""",
        [0, "UTC", True, ":UTC", {}, "", ""],
    ),
    Attempt(
        "the launcher's variables",
        "variables that the launcher was started with, in its own and in every other process's environment",
        "only what AWS gives a function is set",
        r"""
known = ('AWS_', '_AWS_', '_HANDLER', '_X_AMZN', 'LAMBDA_', 'PATH', 'LD_LIBRARY_PATH', 'LANG', 'LC_CTYPE', 'TZ', 'PYTHON', 'PWD', 'SHLVL', '_', 'NODE_', 'HOME')
everywhere = [variable for pid in os.listdir('/proc') if pid.isdigit() for variable in read(f'/proc/{pid}/environ', 1 << 16).split('\0') if variable]
names = {variable.split('=')[0] for variable in everywhere} | set(os.environ)
return [sorted(name for name in names if not name.startswith(known)), [word for word in event['environment'] if any(word in each for each in everywhere)]]
""",
        [[], []],
    ),
    Attempt(
        "the kernel's messages",
        "read dmesg, /dev/kmsg, /proc/kmsg, addresses in kallsyms, modules and iomem, /proc/kcore",
        "no message and no address is shown",
        r"""
addresses = [line.split()[0] for line in read('/proc/kallsyms', 100_000).splitlines() if line]
modules = [line.split()[-1] for line in read('/proc/modules', 100_000).splitlines() if '0x' in line.split()[-1]]
memory = [line.split('-')[0] for line in read('/proc/iomem', 100_000).splitlines()]
return [call(103, 3, ctypes.create_string_buffer(4096), 4096), call(103, 10, None, 0), read('/proc/kmsg'), read('/dev/kmsg'), read('/proc/kcore'),
        [one for one in addresses + modules + memory if int(one.strip(), 16)][:3], act(open, f'/proc/{os.getpid()}/stack')]
""",
        lambda seen: seen[:2] == ["EPERM"] * 2 and seen[2:6] == ["", "", "", []] and seen[6] != "",
    ),
    Attempt(
        "serial numbers",
        "serials of board, processor, disks and network cards; firmware tables; keys and timers in /proc",
        "none is shown",
        r"""
there = [path for path in ('/sys/class/dmi/id', '/sys/firmware', '/sys/class/net', '/sys/block', '/sys/devices/pci0000:00', '/sys/devices/platform', '/sys/devices/virtual', '/proc/scsi', '/proc/acpi', '/proc/config.gz',
                           '/sys/module', '/proc/device-tree', '/proc/driver')
         if os.path.exists(path) and os.path.isdir(path) and os.listdir(path)]
said = [name for name in ('keys', 'key-users', 'timer_list', 'interrupts', 'sched_debug', 'latency_stats', 'sysrq-trigger') if read(f'/proc/{name}')]
return [there, said, 'serial' in read('/proc/cpuinfo', 1 << 20).lower()]
""",
        [[], [], False],
    ),
    Attempt(
        "other processes' numbers",
        "count the machine's processes by the next number, thread groups and /proc/loadavg",
        "numbers are the sandbox's own",
        "return int(read('/proc/loadavg').split()[-1]) < 100_000 and os.getpid() < 100_000 and os.getppid() in (0, 1)",
        True,
    ),
    Attempt(
        "shared memory and queues",
        "attach System V memory, semaphores and messages, and POSIX queues, that the host and another function made",
        "none of them is there",
        r"""
tables = {name: len(read(f'/proc/sysvipc/{name}').splitlines()) - 1 for name in ('shm', 'sem', 'msg')}
return [[call(29, event['key'], 0, 0), call(64, event['key'], 0, 0), call(68, event['key'], 0), call(240, event['queue'].encode(), 0, 0, None)],
        {name: count for name, count in tables.items() if count > 0}, os.listdir('/dev/shm')]
""",
        [["ENOENT"] * 4, {}, []],
        own={},
    ),
    Attempt(
        "abstract sockets",
        "connect to and send to abstract and named Unix sockets of the host and of another function",
        "nobody is there, and the table of sockets is empty",
        r"""
tries = {}
for name in event['abstract']:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as one:
            tries[f'{name} {kind}'] = act(one.connect, '\0' + name)
for path in ('/run/systemd/private', '/run/docker.sock', '/var/run/docker.sock', '/run/dbus/system_bus_socket', '/run/containerd/containerd.sock', event['unix']):
    tries[path] = act(socket.socket(socket.AF_UNIX).connect, path)
tries['table'] = 'worked' if any('@' in line for line in open('/proc/net/unix')) else 'empty'
return tries
""",
        refused,
    ),
    Attempt(
        "the host's listeners",
        "connect and send to what listens on the host: loopback, its addresses, by IPv4 and IPv6",
        "nothing arrives",
        r"""
tries = {}
for host in event['addresses']:
    for port in event['ports']:
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        with socket.socket(family) as one:
            one.settimeout(0.3)
            tries[f'{host} {port}'] = act(one.connect, (host, port))
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            act(one.sendto, event['word'].encode(), (host, port))
return tries
""",
        refused,
    ),
    Attempt(
        "the host's connections",
        "read who talks to whom on the machine from /proc/net, and its links, routes and neighbours",
        "only the sandbox's own are there",
        r"""
def ports(path):
    return {int(line.split()[1].rsplit(':', 1)[1], 16) for line in read(path, 1 << 20).splitlines()[1:] if len(line.split()) > 1}
seen = set().union(*(ports(f'/proc/net/{name}') for name in ('tcp', 'tcp6', 'udp', 'udp6')))
text = ''.join(read(f'/proc/net/{name}', 1 << 20) for name in ('route', 'arp', 'dev', 'if_inet6', 'fib_trie', 'dev_mcast'))
return [sorted(seen & set(event['ports'])), [card for card in event['cards'] if card in text]]
""",
        [[], []],
    ),
    Attempt(
        "another's Runtime API",
        "find other environments' Runtime APIs and endpoints at link-local and host addresses",
        "only addresses of its own answer",
        r"""
def is_its_own(host):
    with socket.socket() as one:
        return act(one.bind, (host, 0)) == 'worked'
found, own = [], 0
for host in ['169.254.100.1'] + [f'169.254.{third}.{last}' for third in (0, 1, 99, 100, 101, 255) for last in (0, 1, 2, 3, 254)] + event['addresses']:
    for port in (9001, 4566):
        with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET) as one:
            one.setblocking(False)
            one.connect_ex((host, port))
            select.select([], [one], [], 0.02)
            arrived = act(one.getpeername) == 'worked'
            if arrived and is_its_own(host):
                own += 1
            elif arrived:
                found.append([host, port])
return [found, own >= 2]
""",
        [[], True],
    ),
    Attempt(
        "the server's own paths",
        "call /_samovar/* through the function's endpoint, also encoded, doubled, with other hosts and methods",
        "none answers, and nothing is reset",
        r"""
tries = {}
key = 'Authorization: AWS4-HMAC-SHA256 Credential=000000000000/20261121/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00\r\n'
for path in ('/_samovar/health', '/_samovar/reset', '/_samovar/', '/%5fsamovar/health', '//_samovar/health', '/x/../_samovar/health', '/_samovar/code/x', '/_SAMOVAR/health',
             'http://localhost/_samovar/health', '/_samovar/status', '/_samovar/metrics'):
    for method in ('GET', 'POST', 'DELETE', 'PUT', 'OPTIONS'):
        for more in ('', key, 'Origin: http://localhost\r\nX-Samovar-Reset: yes\r\n', 'X-Forwarded-For: 127.0.0.1\r\n' + key):
            request = f'{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n{more}\r\n'
            status = ask(ENDPOINT, request.encode())
            if not 400 <= status < 600:
                tries[f'{method} {path} {more}'] = status
return tries
""",
        {},
    ),
    Attempt(
        "another account's functions",
        "call its endpoint with the keys of another account and of nobody, by name and by ARN",
        "it stays itself: others' functions are not found or denied",
        r"""
import boto3
def refusal(act):
    try:
        return act() and 'worked'
    except Exception as error:
        return getattr(error, 'response', {}).get('Error', {}).get('Code', type(error).__name__)
arn = f"arn:aws:lambda:us-east-1:{event['account']}:function:{event['other']}"
tries = {}
for key in (event['account'], 'AKIAIOSFODNN7EXAMPLE', os.environ.get('AWS_ACCESS_KEY_ID')):
    for token in (None, os.environ.get('AWS_SESSION_TOKEN'), 'forged'):
        one = boto3.client('lambda', aws_access_key_id=key, aws_secret_access_key='x', aws_session_token=token)
        for name in (event['other'], arn):
            tries[f'get {key} {token} {name}'] = refusal(lambda: one.get_function(FunctionName=name))
            tries[f'invoke {key} {token} {name}'] = refusal(lambda: one.invoke(FunctionName=name))
            tries[f'delete {key} {token} {name}'] = refusal(lambda: one.delete_function(FunctionName=name))
return tries
""",
        refused,
    ),
]
