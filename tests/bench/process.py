"""Processes: starting and stopping them, and what they cost in CPU and memory.

CPU is what the kernel charged: utime and stime of the process, and of the children that it has waited for. So a server that
forks for each connection is counted whole once its children have ended, which `settle` waits for."""

import os
import pathlib
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")


def fields(pid):
    """The fields of /proc/<pid>/stat from the third on: the second may hold blanks."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def children(pid):
    """Every process below `pid`."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        try:
            tasks = list(pathlib.Path(f"/proc/{one}/task").iterdir())
            below = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
        found += below
        waiting += below
    return found


def cpu_seconds(pid):
    """Of the process and of all its children that have ended."""
    utime, stime, cutime, cstime = (int(field) for field in fields(pid)[11:15])
    return (utime + stime + cutime + cstime) / TICKS


def settle(pid, keep=0, patience=20):
    """Waits until a forking server has no more than `keep` processes below it."""
    end = time.monotonic() + patience
    while len(children(pid)) > keep:
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} keeps its children")
        time.sleep(0.02)


def memory_kib(pid, field):
    """`VmRSS` or `VmHWM` (the peak since `reset_peak`) of one process."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    except OSError:
        pass  # it has just ended
    return 0


def pss_kib(pids):
    """What these processes hold, with pages that several share divided among them."""
    total = 0
    for pid in pids:
        try:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                total += int(line.split()[1]) if line.startswith("Pss:") else 0
        except OSError:
            continue
    return total


def reset_peak(pid):
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


class Cost:
    """What a server spends while the body of a `with` runs. Its peak memory is the sum of the peaks of its processes; a
    server that forks is looked at every 50 ms."""

    def __init__(self, pid, forks=False):
        self.pid, self.forks = pid, forks
        self.wall = self.cpu = self.peak_mib = 0.0
        self._peaks = {}
        self._over = threading.Event()

    def __enter__(self):
        reset_peak(self.pid)
        self._before = cpu_seconds(self.pid)
        if self.forks:
            self._watching = threading.Thread(target=self._watch, daemon=True)
            self._watching.start()
        self._started = time.monotonic()
        return self

    def _watch(self):
        while not self._over.wait(0.05):
            for pid in children(self.pid):
                self._peaks[pid] = max(self._peaks.get(pid, 0), memory_kib(pid, "VmHWM"))

    def __exit__(self, *failure):
        self.wall = time.monotonic() - self._started
        self._over.set()
        if self.forks:
            self._watching.join()
            settle(self.pid)
        self.cpu = cpu_seconds(self.pid) - self._before
        self.peak_mib = (memory_kib(self.pid, "VmHWM") + sum(self._peaks.values())) / 1024


class Server:
    """A process that is stopped by closing its standard input, by SIGTERM after that, and killed if nothing helps."""

    # every one that was started, for `stop_all`
    started = []

    def __init__(self, command, env=None, ready=None, log=None, patience=60):
        out = subprocess.PIPE if ready else subprocess.DEVNULL
        self.log = log
        with open(log, "ab") if log else open(os.devnull, "wb") as errors:
            self.child = subprocess.Popen(
                command, env=env, stdin=subprocess.PIPE, stdout=out, stderr=errors, start_new_session=True
            )
        Server.started.append(self)
        self.pid = self.child.pid
        self.said = ""
        if ready:
            self._wait_for(ready, patience)

    def _wait_for(self, ready, patience):
        killer = threading.Timer(patience, self.child.kill)
        killer.start()
        for line in self.child.stdout:
            self.said = line.decode(errors="replace").strip()
            if self.said.startswith(ready):
                killer.cancel()
                # whatever else it says is read and dropped, so that it never waits for us
                threading.Thread(target=self.child.stdout.read, daemon=True).start()
                return
        said = open(self.log, errors="replace").read()[-500:] if self.log else ""
        raise RuntimeError(f"{self.child.args[0]} did not start: {self.said} {said}")

    def stop(self, patience=70):
        if self.child.poll() is None:
            self.child.stdin.close()
            try:
                self.child.wait(2)
            except subprocess.TimeoutExpired:
                self.child.terminate()
                try:
                    self.child.wait(patience)
                except subprocess.TimeoutExpired:
                    self.child.kill()
                    self.child.wait()

    @classmethod
    def stop_all(cls):
        """Whatever happened: nothing is left. The last first."""
        while cls.started:
            cls.started.pop().stop()
