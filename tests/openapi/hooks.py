"""Who calls, and about what, for schemathesis: a caller that may, and things that are there, so that more is answered than
refusals. Read by what `check.py` starts."""

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
OURS = f"/organizations/{API.organization}"
COUNT = itertools.count()
# nobody listens there; nothing may be sent to another machine
NOWHERE = "http://127.0.0.1:9/hook"
LOCK = threading.Lock()
TOKENS = {}
# who is needed to the end
KEPT = {API.env["TOWPATH_USER"], API.env["TOWPATH_ADMIN_USER"], API.env["TOWPATH_API_KEY"].split(".")[0]}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def new_admin():
    name = f"admin-{next(COUNT)}"
    body = {"username": name, "password": PASSWORD, "permissions": ["*"], "status": 1}
    API.must("POST", "/api/v2/admins", body, bearer(token_of("first")))
    return API.token("/api/v2/token", name, PASSWORD)


def new_credential():
    body = {"UserName": f"credential-{next(COUNT)}", "Password": PASSWORD, "Permission": "full", "AllowApiKeyAuth": True}
    return made("POST", OURS + "/users", body)


def new_user():
    return API.token("/api/v2/user/token", new_credential()["UserName"], PASSWORD)


def made(method, path, body):
    return API.must(method, path, body, bearer(token_of("first")))


def new_key():
    return made("POST", OURS + "/api-keys", {"Name": "one"})["Id"]


def new_admin_name():
    body = {"username": f"other-{next(COUNT)}", "password": PASSWORD, "permissions": ["view_users"]}
    return made("POST", "/api/v2/admins", body)["username"]


def new_folder():
    return made("POST", "/api/v2/folders", {"name": f"folder-{next(COUNT)}"})["name"]


def new_webhook():
    return made("POST", OURS + "/webhooks", {"Url": NOWHERE})["Id"]


def new_link():
    return made("POST", OURS + "/portal-links", {"Path": "/shared/", "Permission": "read-write"})


def new_secret():
    """What a link's address holds."""
    return new_link()["Url"].rsplit("/", 1)[1]


def new_user_share():
    API.must("POST", "/api/v2/user/shares", {"scope": 3, "paths": ["/shared/"]}, bearer(token_of("user")))
    return API.must("GET", "/api/v2/user/shares?limit=1", None, bearer(token_of("user")))[0]["id"]


def new_job():
    return made("POST", f"/api/v2/quotas/folders/{new_folder()}/scan", None)["job"]


# What the path of a call names: how one is made that is there. (What happens at the doors, none can make here.)
THINGS = {
    "/organizations/{organization}/users/{id}": ("id", lambda: new_credential()["Id"]),
    "/organizations/{organization}/webhooks/{id}": ("id", new_webhook),
    "/organizations/{organization}/api-keys/{id}": ("id", new_key),
    "/organizations/{organization}/portal-links/{id}": ("id", lambda: new_link()["Id"]),
    "/organizations/{organization}/jobs/{id}": ("id", new_job),
    "/api/v2/users/{username}": ("username", lambda: new_credential()["UserName"]),
    "/api/v2/quotas/users/{username}": ("username", lambda: new_credential()["UserName"]),
    "/api/v2/quotas/folders/{name}": ("name", new_folder),
    "/api/v2/admins/{username}": ("username", new_admin_name),
    "/api/v2/apikeys/{id}": ("id", new_key),
    "/api/v2/folders/{name}": ("name", new_folder),
    "/api/v2/user/shares/{id}": ("id", new_user_share),
    "/api/v2/shares/{id}": ("id", new_secret),
}
THERE = {}


def there(path):
    """One of the things that a path names, while it is there: calls that end it are given one of their own."""
    start = next((start for start in THINGS if path.startswith(start)), None)
    if start is None:
        return None
    name, make = THINGS[start]
    if start not in THERE:
        THERE[start] = make()
    return name, start


def admin_of_settings():
    """An admin of an organization of its own: limits and rules that somebody thought of end no other call."""
    body = {"Name": "Settings", "AdminUserName": f"settings-{next(COUNT)}", "AdminPassword": PASSWORD}
    organization = API.must("POST", "/organizations", body, bearer(token_of("operator")))
    TOKENS["organization of settings"] = organization["Id"]
    return API.token("/api/v2/token", body["AdminUserName"], PASSWORD)


MAKE = {"first": API.admin, "operator": API.operator, "admin": new_admin, "user": new_user, "settings": admin_of_settings}
SETTINGS = ("PATCH", "/organizations/{organization}")


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
    # visitors of share links need nothing
    if not schemes or path.startswith("/api/v2/shares/"):
        return None
    if "basic" in schemes:
        return "basic"
    if path.startswith("/api/v2/user/"):
        return "new user" if any(part in path for part in ENDING) else "user"
    if any(part in path for part in ENDING) or path == "/api/v2/admin/profile":
        return "new admin"
    if (operation.method.upper(), path) == SETTINGS:
        return "settings"
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
                kind = "USER" if "/user/" in context.operation.path else "ADMIN_USER"
                user, password = API.env[f"TOWPATH_{kind}"], API.env[f"TOWPATH_{kind.removesuffix('USER')}PASSWORD"]
                shown = f"{user}:{password}"
                return "Basic " + base64.b64encode(shown.encode()).decode()
            once = {"new admin": new_admin, "new user": new_user}
            return "Bearer " + (once[who]() if who in once else token_of(who))

    def set(self, case, data, context):
        if data:
            case.headers["Authorization"] = data


@schemathesis.hook
def before_call(context, case, kwargs):
    """The caller's organization and a thing that is there, but now and then what was thought of; and never the end of who makes
    all these calls."""
    if isinstance(case.body, dict) and str(case.body.get("Url", "")).startswith("http"):
        case.body["Url"] = NOWHERE
    parameters = case.path_parameters or {}
    if "organization" in parameters and next(COUNT) % 10:
        own = (case.method.upper(), case.operation.path) == SETTINGS
        parameters["organization"] = TOKENS.get("organization of settings") if own else API.organization
    with LOCK:
        found = there(case.operation.path) if next(COUNT) % 4 else None
    if found:
        name, start = found
        parameters[name] = THERE[start]
        if case.method.upper() == "DELETE" or case.operation.path.endswith("/rotations"):
            del THERE[start]
    if case.method.upper() != "GET":
        for name in parameters:
            if parameters[name] in KEPT:
                parameters[name] = "somebody-else"
