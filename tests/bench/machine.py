"""Where it was measured: a figure without its machine says nothing."""

import os
import pathlib
import platform
import subprocess


def first_line(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip().splitlines()[0] if done.stdout + done.stderr else "unknown"


def describe(sshd, rclone):
    """Pairs of a name and a value."""
    cpu = next(
        (line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )  # fmt: skip
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    found = [
        ("processor", f"{cpu}, {os.cpu_count()} cores, shared by servers, client and S3"),
        ("memory", f"{memory:.0f} GiB"),
        ("kernel", platform.release()),
        ("load before", " ".join(f"{load:.2f}" for load in os.getloadavg())),
        ("Towpath", first_line(["git", "describe", "--always", "--dirty", "--abbrev=10"])),
        ("compiler", first_line(["rustc", "--version"])),
        ("client", first_line(["ssh", "-V"])),
    ]
    if sshd:
        found.append(("OpenSSH's server", first_line([sshd, "-V"])))
    if rclone:
        found.append(("rclone", first_line([str(rclone), "version"])))
    return found
