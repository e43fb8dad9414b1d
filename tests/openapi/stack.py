"""A stack of `make dev` with ports and a folder of its own, and a client for its API."""

import base64
import contextlib
import json
import pathlib
import shlex
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request


def free_ports(count=10):
    """The first of so many ports in a row that are free now."""
    for base in range(21_000, 40_000, 20):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise SystemExit("there are no ten free ports in a row")


@contextlib.contextmanager
def running(programs):
    """Starts `towpath-dev` of this folder and answers what its dev.env says; ends it."""
    with tempfile.TemporaryDirectory(prefix="towpath-openapi-") as folder:
        state = pathlib.Path(folder) / "state"
        command = [programs / "towpath-dev", "--port-base", str(free_ports())]
        log = (pathlib.Path(folder) / "log").open("w+")
        process = subprocess.Popen(command, env={"TOWPATH_STATE_DIR": str(state), "PATH": "/usr/bin:/bin"},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            for line in process.stdout:
                if line.strip() == "ready":
                    break
            else:
                log.seek(0)
                raise SystemExit("towpath-dev did not start:\n" + log.read()[-3000:])
            lines = (state / "dev.env").read_text().splitlines()
            yield dict(shlex.split(line)[0].split("=", 1) for line in lines)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


class Api:
    """Calls with what dev.env says."""

    def __init__(self, env):
        self.env, self.url = env, env["TOWPATH_API_URL"]
        self.organization = env["TOWPATH_ORGANIZATION_ID"]

    def call(self, method, path, body=None, headers=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def must(self, method, path, body=None, headers=None):
        status, answer = self.call(method, path, body, headers)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer}")
        return answer

    def token(self, path, user, password):
        shown = base64.b64encode(f"{user}:{password}".encode()).decode()
        return self.must("GET", path, headers={"Authorization": f"Basic {shown}"})["access_token"]

    def admin(self):
        return self.token("/api/v2/token", self.env["TOWPATH_ADMIN_USER"], self.env["TOWPATH_ADMIN_PASSWORD"])

    def operator(self):
        return self.token("/api/v2/token", self.env["TOWPATH_OPERATOR_USER"], self.env["TOWPATH_OPERATOR_PASSWORD"])
