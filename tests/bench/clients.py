"""The clients: OpenSSH's `sftp` for transfers, `ssh-load` (protocol-node/examples) for the rest."""

import contextlib
import json
import pathlib
import resource
import subprocess

from process import Server

QUIET = ["-F/dev/null", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]


def sftp_command(server, key, cipher):
    """OpenSSH's client as it comes: its own packet size and number of requests."""
    options = [f"-oPort={server.port}", f"-oIdentityFile={key}", "-oIdentitiesOnly=yes", f"-oCiphers={cipher}"]
    return ["sftp", *QUIET, *options, "-b", "-", f"{server.user}@127.0.0.1"]


def sftp(server, key, cipher, batches):
    """Runs one session for each batch of commands, all at the same time; answers the clients' CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = sftp_command(server, key, cipher)
    running = []
    for batch in batches:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        child.stdin.write(batch)
        child.stdin.close()
        running.append(child)
    failed = [(child.wait(), child.stderr.read()) for child in running]
    for code, text in failed:
        if code != 0:
            raise RuntimeError(f"sftp failed at {server.name} ({code}): {text[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Load:
    """`ssh-load`."""

    def __init__(self, programs, key):
        self.program, self.key = pathlib.Path(programs) / "examples/ssh-load", key

    def handshakes(self, server, kex, count, at_a_time):
        return self._run("handshakes", f"127.0.0.1:{server.port}", kex, count, at_a_time)

    def listing(self, server, path):
        return self._run("list", f"127.0.0.1:{server.port}", server.user, self.key, path)

    @contextlib.contextmanager
    def idle(self, server, count):
        """So many sessions, logged in and silent."""
        command = [self.program, "idle", f"127.0.0.1:{server.port}", server.user, self.key, str(count)]
        sessions = Server(command, ready="ready", patience=300)
        try:
            yield
        finally:
            sessions.stop()

    def _run(self, *arguments):
        done = subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"ssh-load {arguments[0]} failed: {done.stderr[-500:]}")
        return json.loads(done.stdout)
