"""What an extension of the tests runs to hear telemetry, as source text for its plan."""

# Takes requests or lines on PORT and says each event. Expects `say` and `call` of the extension around it.
HTTP = '''
import http.server, threading
REFUSALS = [{refusals}]
class Listener(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        batch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refused = REFUSALS and REFUSALS.pop()
        self.send_response(500 if refused else 200); self.send_header("Content-Length", "0"); self.end_headers()
        for event in batch if not refused else []:
            if event["type"] != "extension":
                say("telemetry", event=event)
    do_PUT = do_POST
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("sandbox.localdomain", {port}), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()
'''

TCP = '''
import socket, threading
listener = socket.create_server(("0.0.0.0", {port}))
def listen():
    while True:
        for line in listener.accept()[0].makefile():
            say("telemetry", event=json.loads(line))
threading.Thread(target=listen, daemon=True).start()
'''


def subscribes(types, port=8080, api="2022-07-01/telemetry", version="2022-12-13", protocol="HTTP", refusals="", **more):
    """The part of a plan that subscribes once the extension has registered."""
    destination = {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{port}/x"} if protocol == "HTTP" else {"protocol": "TCP", "port": port}
    body = {"schemaVersion": version, "types": types, "destination": destination, "buffering": {"timeoutMs": 25}, **more}
    code = (HTTP if protocol == "HTTP" else TCP).format(port=port, refusals=refusals)
    return code + f'\nsay("subscribed", answer=call("PUT", "/{api}", {body!r}, **ME)[::2])\n'
