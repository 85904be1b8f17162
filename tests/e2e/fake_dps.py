# SPDX-License-Identifier: Apache-2.0
"""Azure's provisioning service and a hub's module registry in one, honest unless a plan says otherwise: a second opinion on both protocols."""
import base64
import collections
import hashlib
import hmac
import json
import secrets
import time
import urllib.parse

from cryptography import x509
from cryptography.x509.oid import NameOID

from hostile import HostileEst, answer

DPS_VERSION, HUB_VERSION = "2021-06-01", "2017-11-08-preview"
JSON = {"Content-Type": "application/json; charset=utf-8"}


def said(status, value=None, headers=(), raw=None):
    """An answer in JSON; raw: these octets for a body instead."""
    return answer(status, raw if raw is not None else json.dumps(value).encode(), {**JSON, **dict(headers)})


def nothing(_):
    """The connection ends, and no answer came."""
    return iter(())


def half(octets):
    """An answer that breaks off in its middle."""
    return lambda _: iter([octets[:len(octets) - 5]])


def after(seconds, octets):
    """An answer that keeps somebody waiting."""
    def say(_):
        time.sleep(seconds)
        yield octets
    return say


def refusal(code, message, tracking="t-4711"):
    return {"errorCode": code, "trackingId": tracking, "message": message, "timestampUtc": "2026-11-21T03:04:05Z"}


def resource(text):
    """What a token is for, as the services compare it."""
    bad = ' "<>`#?{}='
    return "".join(c if " " < c < "\x7f" and c not in bad else "".join(f"%{b:02X}" for b in c.encode()) for c in text.lower())


class Refused(Exception):
    def __init__(self, status, value):
        super().__init__(status)
        self.status, self.value = status, value


class FakeDps(HostileEst):
    """
    plan: {step: [answer, ...]}, used up one by one; the last stays when `last` names the step.  Steps: register, poll, and of
    the hub list, get, create, update, delete.  An answer is octets or a function of the request (None: be honest this once).
    """

    def __init__(self, directory, **kw):
        super().__init__(directory, **kw)
        self.key = secrets.token_bytes(32)  # of the device; None: certificates of `ca` alone are taken
        self.scope, self.registration, self.device = "0ne000A1B2C", "pump-7", "pump-7"
        self.plan, self.stay = collections.defaultdict(list), set()
        self.assigning = 0        # how often the answer is "not yet" before it is "assigned"
        self.pause = 0            # Retry-After of those
        self.payload = None       # that a device gets
        self.skew = 0             # of our clock, seconds
        self.modules, self.operations, self.tokens, self.steps = {}, [], [], []

    @property
    def endpoint(self):
        return f"https://localhost:{self.port}/"

    @property
    def hub(self):
        return f"localhost:{self.port}"

    def count(self, step):
        return self.steps.count(step)

    # --- answers ---

    def say(self, ask):
        path, _, query = ask.path.partition("?")
        parts = [urllib.parse.unquote(p) for p in path.split("/")[1:]]
        step, honest = self._route(ask.method, parts, ask.headers)
        self.steps.append(step)
        planned = self.plan.get(step)
        if planned:
            next_one = planned[0] if step in self.stay and len(planned) == 1 else planned.pop(0)
            told = next_one(ask) if callable(next_one) else next_one
            if told is not None:
                return told
        try:
            version = DPS_VERSION if step in ("register", "poll") else HUB_VERSION
            if query != f"api-version={version}":
                raise Refused(400, refusal(400001, f"version {query}"))
            return honest(ask, *parts)
        except Refused as e:
            return said(e.status, e.value, {"Date": self.date()})

    def _route(self, method, parts, headers):
        if len(parts) == 4 and (method, parts[1], parts[3]) == ("PUT", "registrations", "register"):
            return "register", self.on_register
        if len(parts) == 5 and (method, parts[1], parts[3]) == ("GET", "registrations", "operations"):
            return "poll", self.on_poll
        if len(parts) in (3, 4) and parts[0] == "devices" and parts[2] == "modules":
            if len(parts) == 3:
                return "list", self.on_list
            if method == "PUT":
                return ("update", self.on_update) if headers.get("if-match") == "*" else ("create", self.on_create)
            return {"GET": "get", "DELETE": "delete"}[method], {"GET": self.on_get, "DELETE": self.on_delete}[method]
        return "lost", self.on_lost

    def on_lost(self, ask, *parts):
        raise Refused(404, refusal(404000, f"{ask.method} {ask.path}"))

    def date(self):
        return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + self.skew))

    # --- who asks ---

    def check(self, ask, what, policy):
        """By token or certificate; 401 otherwise."""
        if self.key is None:
            self._check_certificate(ask)
            return
        scheme, _, rest = ask.headers.get("authorization", "").partition(" ")
        fields = dict(f.partition("=")[::2] for f in rest.split("&"))
        expected = resource(what)
        mac = hmac.new(self.key, f"{expected}\n{fields.get('se')}".encode(), hashlib.sha256).digest()
        now = time.time() + self.skew
        good = (scheme == "SharedAccessSignature" and fields.get("sr") == expected and fields.get("skn") == policy and
                base64.b64decode(urllib.parse.unquote(fields.get("sig", ""))) == mac)
        if not good:
            raise Refused(401, refusal(401002, "Unauthorized"))
        if not now < int(fields["se"]) <= now + 3660:
            raise Refused(401, refusal(401003, "The token's time is over"))
        self.tokens.append(ask.headers["authorization"])

    def _check_certificate(self, ask):
        if ask.client is None:
            raise Refused(401, refusal(401002, "Unauthorized"))
        cn = x509.load_der_x509_certificate(ask.client).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        if cn != self.device or "authorization" in ask.headers:
            raise Refused(401, refusal(401002, f"not {cn}"))

    # --- DPS ---

    def _check_registration(self, ask, scope, registration):
        if scope != self.scope:
            raise Refused(404, refusal(404201, "Id scope not found"))
        self.check(ask, f"{scope}/registrations/{registration}", "registration")
        if registration != self.registration:
            raise Refused(404, refusal(404204, "Enrollment not found"))

    def on_register(self, ask, scope, _, registration, __):
        body = json.loads(ask.body)
        self._check_registration(ask, scope, registration)
        if body.pop("registrationId") != registration or ask.headers.get("content-type") != "application/json":
            raise Refused(400, refusal(400004, "body"))
        self.told = body
        self.operations.append(f"4.{secrets.token_hex(8)}.{secrets.token_hex(16)}")
        return said(202, {"operationId": self.operations[-1], "status": "assigning"}, {"Retry-After": self.pause})

    def state(self, **more):
        return {"registrationId": self.registration.lower(), "createdDateTimeUtc": "2026-11-21T03:04:05Z", "assignedHub": self.hub,
                "deviceId": self.device, "status": "assigned", "substatus": "initialAssignment", "lastUpdatedDateTimeUtc": "x",
                "etag": "e", **({"payload": self.payload} if self.payload is not None else {}), **more}

    def assigned(self, **more):
        """The answer of a poll, with other members of the state."""
        return said(200, {"operationId": "o", "status": "assigned", "registrationState": self.state(**more)})

    def on_poll(self, ask, scope, _, registration, __, operation):
        self._check_registration(ask, scope, registration)
        if operation not in self.operations:
            raise Refused(404, refusal(404203, "Operation not found"))
        if self.assigning > 0:
            self.assigning -= 1
            return said(202, {"operationId": operation, "status": "assigning", "registrationState": {
                "registrationId": registration, "status": "assigning"}}, {"Retry-After": self.pause})
        return self.assigned()

    # --- the hub ---

    def _check_hub(self, ask, device):
        self.check(ask, f"{getattr(self, 'behind', self.hub)}/devices/{device}", None)
        if device != self.device:
            raise Refused(404, {"Message": "ErrorCode:DeviceNotFound;no such device", "ExceptionMessage": "Tracking ID:t-4711"})

    def _module(self, module):
        if module not in self.modules:
            raise Refused(404, {"Message": f"ErrorCode:ModuleNotFound;{module}", "ExceptionMessage": "Tracking ID:t-4711"})
        return self.modules[module]

    def on_list(self, ask, _, device, __):
        self._check_hub(ask, device)
        return said(200, list(self.modules.values()))

    def on_get(self, ask, _, device, __, module):
        self._check_hub(ask, device)
        return said(200, self._module(module))

    def on_create(self, ask, _, device, __, module):
        self._check_hub(ask, device)
        body = json.loads(ask.body)
        if module in self.modules:
            raise Refused(409, {"Message": f"ErrorCode:ModuleAlreadyExistsOnDevice;{module}"})
        if body.pop("moduleId") != module or body.pop("deviceId") != device or set(body) - {"managedBy"}:
            raise Refused(400, {"Message": "ErrorCode:ArgumentInvalid;body"})
        self.modules[module] = {"moduleId": module, "deviceId": device, "generationId": secrets.token_hex(9), "etag": "e",
                                "managedBy": body.get("managedBy"), "authentication": {"type": "none"}}
        return said(200, self.modules[module])

    def on_update(self, ask, _, device, __, module):
        self._check_hub(ask, device)
        self._module(module)["authentication"] = json.loads(ask.body)["authentication"]
        return said(200, self.modules[module])

    def on_delete(self, ask, _, device, __, module):
        self._check_hub(ask, device)
        if ask.headers.get("if-match") != "*":
            raise Refused(412, {"Message": "ErrorCode:PreconditionFailed;if-match"})
        self._module(module)
        del self.modules[module]
        return answer(204)
