"""Extensions for the tests: an external one in plain Python, what it is told, and how it is packed."""

import json

from samovar import PYTHON, create, messages, until, zip_of

# An external extension. What it does is told by the function's variable PLAN, by the extension's own name.
EXTERNAL = '''#!/usr/bin/python3
import http.client, json, os, signal, sys, time
NAME = os.path.basename(sys.argv[0])
PLAN = json.loads(os.environ.get("PLAN", "{}")).get(NAME, {})
LOG = []

def say(what, **more):
    print(json.dumps({"from": NAME, "at": time.time(), "what": what, **more}), flush=True)

connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

def call(method, path, body=None, **headers):
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text

def post(path, **headers):
    return call("POST", "/2020-01-01/extension/" + path, **headers)

signal.signal(signal.SIGTERM, lambda *_: say("sigterm"))
if "exit" in PLAN:
    say("exits"); sys.exit(PLAN["exit"])
say("started", env=sorted(os.environ), cwd=os.getcwd())
status, headers, body = call("POST", "/2020-01-01/extension/register", {"events": PLAN.get("events", ["INVOKE", "SHUTDOWN"])},
                             **{"Lambda-Extension-Name": NAME, **PLAN.get("headers", {})})
say("registered", status=status, id=headers.get("lambda-extension-identifier"), body=body)
ME = {"Lambda-Extension-Identifier": headers.get("lambda-extension-identifier", "")}
exec(PLAN.get("registered", ""))
if "init_error" in PLAN:
    say("init error", answer=post("init/error", **ME, **{"Lambda-Extension-Function-Error-Type": PLAN["init_error"]})[::2])
    sys.exit(PLAN.get("status", 1))
while True:
    status, headers, body = call("GET", "/2020-01-01/extension/event/next", **ME)
    event = json.loads(body)
    say("event", status=status, event=event, id=headers.get("lambda-extension-event-identifier"))
    exec(PLAN.get(event.get("eventType"), ""))
    if event.get("eventType") == "SHUTDOWN" or status != 200:
        say("ends")
        sys.exit(0)
'''

FUNCTION = '''import json, os, signal, sys, time
def say(what, **more):
    print(json.dumps({"from": "function", "at": time.time(), "what": what, **more}), flush=True)
say("init")
def handler(event, context):
    say("handler", event=event)
    exec(event.get("do", ""))
    return event.get("answer", {"did": True})
'''


def layer(lam, name, files=None, modes=None, **extensions):
    """Publishes a layer with these files in extensions/; gives its ARN."""
    content = {f"extensions/{file}": text for file, text in {**(files or {}), **extensions}.items()}
    modes = {path: 0o755 for path in content} | {f"extensions/{file}": mode for file, mode in (modes or {}).items()}
    return lam.publish_layer_version(LayerName=name, Content={"ZipFile": zip_of(content, modes)})["LayerVersionArn"]


def function(lam, name, plan=None, names=("one",), code=FUNCTION, runtime=PYTHON, files=None, modes=None, **more):
    """A function with external extensions of these names that do as planned."""
    files = files if files is not None else {one: EXTERNAL for one in names}
    variables = {"PLAN": json.dumps(plan or {}), **more.pop("variables", {})}
    layers = [layer(lam, f"{name}-layer", files, modes)]
    return create(lam, name, code, runtime=runtime, Layers=layers, Environment={"Variables": variables}, **more)


def said(logs, name, who=None, what=None):
    """What extensions and function said, in the order of the log."""
    lines = [json.loads(line) for line in messages(logs, name) if line.startswith('{"from":')]
    return [line for line in lines if who in (None, line["from"]) and what in (None, line["what"])]


def heard(logs, name, who, what, count=1):
    """Waits until somebody has said something so often; gives all of it."""
    return until(lambda: (lines := said(logs, name, who, what)) and len(lines) >= count and lines)


def lines(logs, name, word):
    """The platform's lines of one kind."""
    return [line for line in messages(logs, name) if line.startswith(word)]
