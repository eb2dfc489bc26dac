#!/usr/bin/env python3
"""The Redfish side of a lab host's BMC: HTTPS, sessions and basic authentication, one system, one chassis.

  redfish.py --host NAME --address A --port P --cert PEM --password-file F --watts F --quirks F -- COMMAND...

COMMAND with "get power" or "set power 1" is what switches the host; the BMC's IPMI side asks the same one, so both tell
one truth. `--watts` is what the BMC's meter wrote (tools/bmcmeter.c). Answers are shaped as those of real controllers: the
reset action names what it takes, wrong requests get an ExtendedInfo, resources have ETags. Quirks, read anew each time:
resets=A,B (takes only these), slow=SECONDS, no_environment (an older schema: Power alone), no_power (the newer alone),
no_basic (sessions alone), garbage (no JSON), huge (more than anybody wants).
What sticks, or lies about watts, does so in the chassis and in the meter.
"""
import argparse
import base64
import hashlib
import hmac
import http.server
import json
import secrets
import ssl
import subprocess
import threading
import time

BODY_MAX = 64 << 10
SESSIONS_MAX = 16
SESSION_SECONDS = 300
COMMAND_SECONDS = 150  # the lab's own lock is waited for as long
ROOT = "/redfish/v1"
RESETS = ["On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "PushPowerButton", "PowerCycle"]


class Bmc:
    def __init__(self, options):
        self.options = options
        with open(options.password_file, encoding="utf-8") as file:
            self.password = file.read().strip()
        self.sessions = {}  # token: (id, when used last)
        self.lock = threading.Lock()

    def quirk(self, name):
        try:
            with open(self.options.quirks, encoding="utf-8") as file:
                for line in file:
                    key, _, value = line.strip().partition("=")
                    if key == name:
                        return value or "1"
        except FileNotFoundError:
            pass
        return None

    def chassis(self, *words):
        return subprocess.run([*self.options.command, *words], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=COMMAND_SECONDS, check=True, text=True).stdout

    def is_on(self):
        return "power:1" in self.chassis("get", "power")

    def meter(self):
        """Watts and kWh, as it says."""
        with open(self.options.watts, encoding="utf-8") as file:
            _, _, said, joules, _ = (float(word) for word in file.read().split())
        return round(said), joules / 3.6e6

    def resets(self):
        allowed = self.quirk("resets")
        return allowed.split(",") if allowed else RESETS

    def reset(self, kind):
        on = self.is_on()
        if kind == "On" or (kind == "PushPowerButton" and not on):
            self.chassis("set", "power", "1")
        elif kind in ("ForceOff",):
            self.chassis("set", "power", "0")
        elif kind in ("GracefulShutdown", "PushPowerButton"):
            self.chassis("set", "shutdown", "1")
        elif on:
            self.chassis("set", "reset", "1")
        else:
            return False  # nothing to restart
        return True

    def login(self, user, password):
        right = hmac.compare_digest(password.encode(), self.password.encode())
        return right and user == self.options.user

    def open_session(self):
        token, number = secrets.token_hex(16), secrets.token_hex(4)
        with self.lock:
            now = time.monotonic()
            self.sessions = {t: s for t, s in self.sessions.items() if s[1] > now - SESSION_SECONDS}
            if len(self.sessions) >= SESSIONS_MAX:
                return None
            self.sessions[token] = (number, now)
        return token, number

    def close_session(self, number):
        with self.lock:
            self.sessions = {t: s for t, s in self.sessions.items() if s[0] != number}

    def session_is_open(self, token):
        with self.lock:
            found = self.sessions.get(token)
            if not found or found[1] < time.monotonic() - SESSION_SECONDS:
                return False
            self.sessions[token] = (found[0], time.monotonic())
            return True


def members(path, *items):
    return {"@odata.id": path, "Name": "Collection", "Members": [{"@odata.id": item} for item in items],
            "Members@odata.count": len(items)}


def resources(bmc):
    """Path: a function that makes its answer."""
    system, chassis = f"{ROOT}/Systems/1", f"{ROOT}/Chassis/1"
    action = f"{system}/Actions/ComputerSystem.Reset"

    def power():
        watts = bmc.meter()[0]
        return {"@odata.type": "#Power.v1_5_0.Power", "@odata.id": f"{chassis}/Power", "Id": "Power", "Name": "Power",
                "PowerControl": [{"@odata.id": f"{chassis}/Power#/PowerControl/0", "MemberId": "0",
                                  "Name": "Server Power Control", "PowerConsumedWatts": watts,
                                  "PowerMetrics": {"IntervalInMin": 1, "AverageConsumedWatts": watts}}]}

    def environment():
        watts, kwh = bmc.meter()
        return {"@odata.type": "#EnvironmentMetrics.v1_3_0.EnvironmentMetrics", "Id": "EnvironmentMetrics",
                "@odata.id": f"{chassis}/EnvironmentMetrics", "Name": "Chassis Environment Metrics",
                "PowerWatts": {"Reading": watts}, "EnergykWh": {"Reading": round(kwh, 6)}}

    def one_chassis():
        body = {"@odata.type": "#Chassis.v1_15_0.Chassis", "@odata.id": chassis, "Id": "1", "Name": "Chassis",
                "ChassisType": "RackMount", "PowerState": "On" if bmc.is_on() else "Off"}
        for name, quirk in (("Power", "no_power"), ("EnvironmentMetrics", "no_environment")):
            if not bmc.quirk(quirk):
                body[name] = {"@odata.id": f"{chassis}/{name}"}
        return body

    paths = {
        "/redfish": lambda: {"v1": f"{ROOT}/"},
        ROOT: lambda: {"@odata.type": "#ServiceRoot.v1_9_0.ServiceRoot", "@odata.id": f"{ROOT}/", "Id": "RootService",
                       "Name": "Root Service", "RedfishVersion": "1.14.0", "Vendor": "Chorok lab",
                       "Systems": {"@odata.id": f"{ROOT}/Systems"}, "Chassis": {"@odata.id": f"{ROOT}/Chassis"},
                       "SessionService": {"@odata.id": f"{ROOT}/SessionService"},
                       "Links": {"Sessions": {"@odata.id": f"{ROOT}/SessionService/Sessions"}}},
        f"{ROOT}/SessionService": lambda: {"@odata.id": f"{ROOT}/SessionService", "Id": "SessionService",
                                           "Name": "Sessions", "SessionTimeout": SESSION_SECONDS},
        f"{ROOT}/Systems": lambda: members(f"{ROOT}/Systems", system),
        f"{ROOT}/Chassis": lambda: members(f"{ROOT}/Chassis", chassis),
        system: lambda: {"@odata.type": "#ComputerSystem.v1_16_0.ComputerSystem", "@odata.id": system, "Id": "1",
                         "Name": bmc.options.host, "SystemType": "Physical", "Manufacturer": "Chorok lab",
                         "Model": "namespaces", "PowerState": "On" if bmc.is_on() else "Off",
                         "Links": {"Chassis": [{"@odata.id": chassis}]},
                         "Actions": {"#ComputerSystem.Reset": {"target": action,
                                                               "ResetType@Redfish.AllowableValues": bmc.resets()}}},
        chassis: one_chassis,
    }
    if not bmc.quirk("no_power"):
        paths[f"{chassis}/Power"] = power
    if not bmc.quirk("no_environment"):
        paths[f"{chassis}/EnvironmentMetrics"] = environment
    return paths


class Handler(http.server.BaseHTTPRequestHandler):
    bmc = None
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, format, *args):  # no password is in a request line
        print(self.address_string(), format % args, flush=True)

    def answer(self, status, body=None, **headers):
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("OData-Version", "4.0")
        if body is not None:
            self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status, message_id, text):
        info = [{"MessageId": f"Base.1.8.{message_id}", "Message": text, "Severity": "Warning"}]
        self.answer(status, {"error": {"code": f"Base.1.8.{message_id}", "message": text, "@Message.ExtendedInfo": info}})

    def allowed(self):
        token = self.headers.get("X-Auth-Token")
        if token:
            return self.bmc.session_is_open(token)
        scheme, _, word = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic" or self.bmc.quirk("no_basic"):
            return False
        try:
            user, _, password = base64.b64decode(word, validate=True).decode().partition(":")
        except ValueError:
            return False
        return self.bmc.login(user, password)

    def path_asked(self):
        delay = self.bmc.quirk("slow")
        if delay:
            time.sleep(float(delay))
        return self.path.split("?")[0].rstrip("/")

    def do_GET(self):
        path = self.path_asked()
        if path not in ("/redfish", ROOT) and not self.allowed():
            return self.refuse(401, "NoValidSession", "Log in first.")
        make = resources(self.bmc).get(path)
        if make is None:
            return self.refuse(404, "ResourceMissingAtURI", f"There is nothing at {path}.")
        body = make()
        if self.bmc.quirk("huge"):
            body["Oem"] = "x" * (4 << 20)
        if self.bmc.quirk("garbage"):
            body = ["no", "resource", None]
        tag = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:16]
        if self.headers.get("If-None-Match") == f'"{tag}"':
            return self.answer(304, ETag=f'"{tag}"')
        return self.answer(200, body, ETag=f'"{tag}"')

    do_HEAD = do_GET

    def read_body(self):
        length = int(self.headers.get("Content-Length", "0"))
        if not 0 <= length <= BODY_MAX:
            self.close_connection = True
            return None
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def do_POST(self):
        path, body = self.path_asked(), self.read_body()
        if body is None:
            return self.refuse(400, "MalformedJSON", "The body is not a JSON object.")
        if path == f"{ROOT}/SessionService/Sessions":
            return self.log_in(body)
        if not self.allowed():
            return self.refuse(401, "NoValidSession", "Log in first.")
        if path != f"{ROOT}/Systems/1/Actions/ComputerSystem.Reset":
            return self.refuse(404, "ResourceMissingAtURI", f"There is nothing at {path}.")
        kind = body.get("ResetType")
        if kind not in self.bmc.resets():
            return self.refuse(400, "ActionParameterNotSupported", f"This system takes no ResetType {kind}.")
        if not self.bmc.reset(kind):
            return self.refuse(409, "ActionNotSupported", "The system is off.")
        return self.answer(204)

    def log_in(self, body):
        if not self.bmc.login(str(body.get("UserName")), str(body.get("Password"))):
            return self.refuse(401, "ResourceAtUriUnauthorized", "Wrong user name or password.")
        session = self.bmc.open_session()
        if session is None:
            return self.refuse(503, "SessionLimitExceeded", "Too many sessions are open.")
        token, number = session
        path = f"{ROOT}/SessionService/Sessions/{number}"
        return self.answer(201, {"@odata.id": path, "Id": number, "Name": "Session"}, X_Auth_Token=token, Location=path)

    def do_DELETE(self):
        path = self.path_asked()
        head, _, number = path.rpartition("/")
        if not self.allowed():
            return self.refuse(401, "NoValidSession", "Log in first.")
        if head != f"{ROOT}/SessionService/Sessions":
            return self.refuse(404, "ResourceMissingAtURI", f"There is nothing at {path}.")
        self.bmc.close_session(number)
        return self.answer(204)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context = None

    def finish_request(self, request, client_address):  # the handshake in the connection's own thread
        request.settimeout(Handler.timeout)
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except (ssl.SSLError, OSError) as error:
            print(client_address[0], error, flush=True)


def main():
    parser = argparse.ArgumentParser()
    for name in ("host", "address", "cert", "password-file", "watts", "quirks"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--user", default="admin")
    parser.add_argument("--port-file", help="where the port is written, when 0 lets the machine choose it")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    Handler.bmc = Bmc(options)
    server = Server((options.address, options.port), Handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(options.cert)
    if options.port_file:
        with open(options.port_file, "w", encoding="utf-8") as file:
            file.write(f"{server.server_address[1]}\n")
    server.serve_forever()


if __name__ == "__main__":
    main()
