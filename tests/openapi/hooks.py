"""Who calls, for schemathesis: a caller that may, so that more is answered than refusals. Read by `check.py`."""

import base64
import itertools
import json
import os
import threading

import schemathesis

from stack import Api

API = Api(json.loads(os.environ["TOWPATH_STACK"]))
PASSWORD = "a long password for 1 test"
# what ends the tokens of whoever calls it, or asks for another second factor from then on
ENDING = ("/logout", "/totp/save", "/changepwd", "/recoverycodes")
COUNT = itertools.count()
LOCK = threading.Lock()
TOKENS = {}
# accounts that are needed to the end
KEPT = {API.env["TOWPATH_ADMIN_USER"], API.env["TOWPATH_API_KEY"].split(".")[0]}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def new_admin():
    name = f"admin-{next(COUNT)}"
    body = {"username": name, "password": PASSWORD, "permissions": ["*"], "status": 1}
    API.must("POST", "/api/v2/admins", body, bearer(token_of("first")))
    return API.token("/api/v2/token", name, PASSWORD)


def new_user():
    name = f"credential-{next(COUNT)}"
    body = {"UserName": name, "Password": PASSWORD, "Permission": "full"}
    API.must("POST", f"/organizations/{API.organization}/users", body, bearer(token_of("first")))
    return API.token("/api/v2/user/token", name, PASSWORD)


MAKE = {"first": API.admin, "operator": API.operator, "admin": new_admin, "user": new_user}


def token_of(who):
    """A token that counts now: one is asked for again when it does not."""
    if who in TOKENS:
        status, _ = API.call("GET", "/api/v2/version", headers=bearer(TOKENS[who]))
        if status == 200:
            return TOKENS[who]
    TOKENS[who] = MAKE[who]()
    return TOKENS[who]


def caller(operation):
    path, schemes = operation.path, {name for entry in operation.definition.raw.get("security", []) for name in entry}
    if "basic" in schemes:
        return "basic"
    if not schemes:
        return None
    if path.startswith("/api/v2/user/"):
        return "new user" if any(part in path for part in ENDING) else "user"
    if any(part in path for part in ENDING) or path == "/api/v2/admin/profile":
        return "new admin"
    if path == "/organizations" or (operation.method.upper(), path) == ("DELETE", "/organizations/{organization}"):
        return "operator"
    return "admin"


@schemathesis.auth(refresh_interval=None)
class Caller:
    def get(self, case, context):
        with LOCK:
            who = caller(context.operation)
            if who is None:
                return None
            if who == "basic":
                shown = f"{API.env['TOWPATH_ADMIN_USER']}:{API.env['TOWPATH_ADMIN_PASSWORD']}"
                return "Basic " + base64.b64encode(shown.encode()).decode()
            made = {"new admin": new_admin, "new user": new_user}
            return "Bearer " + (made[who]() if who in made else token_of(who))

    def set(self, case, data, context):
        if data:
            case.headers["Authorization"] = data


@schemathesis.hook
def before_call(context, case, kwargs):
    """The caller's organization, but where another one is what is tried; and never the end of who makes all these calls."""
    parameters = case.path_parameters or {}
    if "organization" in parameters and next(COUNT) % 10:
        parameters["organization"] = API.organization
    if case.method.upper() != "GET":
        for name in parameters:
            if parameters[name] in KEPT:
                parameters[name] = "somebody-else"
