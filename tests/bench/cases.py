"""What is measured. A case runs its contenders one after the other, round after round, so that a change of the machine's
load meets all of them alike. A contender is a name and a function that answers one run as a dict of numbers."""

import contextlib
import multiprocessing
import statistics
import time

from clients import sftp
from process import Cost, cpu_seconds, memory_kib, pss_kib, children
from s3 import S3

GCM, CHACHA = "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"
MIB = 1024 * 1024

PLAIN = {}
SHAPED = {
    "s3": {"latency_ms": 30, "bandwidth_mib_s": 90.0},
    "dynamodb": {"latency_ms": 5},
    "sqs": {"latency_ms": 10},
}


def medians(runs):
    """Of each number that the runs have."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


class Bench:
    def __init__(self, args, folder, key, load):
        self.args, self.folder, self.key, self.load = args, folder, key, load
        self.results, self.number = {}, 0

    def unique(self, stem):
        """A name that no run has written yet."""
        self.number += 1
        return f"{stem}-{self.number}"

    def case(self, title, contenders):
        runs = {name: [] for name, _ in contenders}
        for turn in range(self.args.rounds):
            for name, run in contenders:
                one = run()
                runs[name].append(one)
                shown = ", ".join(f"{key} {value:.4g}" for key, value in one.items())
                print(f"  {title} · round {turn + 1} · {name}: {shown}", flush=True)
        self.results[title] = {name: medians(all_runs) for name, all_runs in runs.items()}

    # one stream

    def transfer(self, server, cipher, batch, mebibytes, aws_pid=None):
        """One file in one session, from connecting to the end of the client."""
        aws = cpu_seconds(aws_pid) if aws_pid else 0
        with Cost(server.pid, server.forks) as cost:
            client = sftp(server, self.key, cipher, [batch])
        gib = mebibytes / 1024
        run = {"seconds": cost.wall, "MiB/s": mebibytes / cost.wall, "CPU s/GiB": cost.cpu / gib}
        run |= {"client CPU s/GiB": client / gib, "peak MiB": cost.peak_mib}
        return run | ({"S3 CPU s/GiB": (cpu_seconds(aws_pid) - aws) / gib} if aws_pid else {})

    def streams_null(self, null, sshd, source, mebibytes):
        """(a): nothing behind the engine; OpenSSH's server on a RAM disk, and on /dev/null where that can be."""
        if sshd:
            (sshd.files / "down").symlink_to(source)
        for cipher, short in [(GCM, "aes128-gcm"), (CHACHA, "chacha20-poly1305")]:
            up, down = f"put {source} {{}}\n", "get {} /dev/null\n"
            run = self.transfer
            self.case(f"up, null storage, {short}", [
                ("Towpath", lambda: run(null, cipher, up.format("/sink"), mebibytes)),
                *([("OpenSSH, RAM disk", lambda: run(sshd, cipher, up.format(sshd.place("up")), mebibytes)),
                   ("OpenSSH, /dev/null", lambda: run(sshd, cipher, up.format("/dev/null"), mebibytes))] if sshd else []),
            ])  # fmt: skip
            self.case(f"down, null storage, {short}", [
                ("Towpath", lambda: run(null, cipher, down.format(f"/zero.{mebibytes}M"), mebibytes)),
                *([("OpenSSH, RAM disk", lambda: run(sshd, cipher, down.format(sshd.place("down")), mebibytes))]
                  if sshd else []),
            ])  # fmt: skip

    def streams_s3(self, stack, rclone, source, mebibytes, profile):
        """(b), (c): the same S3 behind both."""
        s3, body = S3(stack.env), source.read_bytes()
        stored = f"{stack.prefix}/stored-{mebibytes}"
        s3.upload_seconds(stored, body)
        stack.faults(SHAPED if profile == "shaped" else PLAIN)
        for cipher, short in [(GCM, "aes128-gcm"), (CHACHA, "chacha20-poly1305")]:
            def up(server):
                name = self.unique("up")
                batch = f"put {source} {server.place(name)}\n"
                run = self.transfer(server, cipher, batch, mebibytes, stack.aws_pid)
                s3.delete(f"{stack.prefix}/{name}")
                return run

            def down(server):
                batch = f"get {server.place(f'stored-{mebibytes}')} /dev/null\n"
                return self.transfer(server, cipher, batch, mebibytes, stack.aws_pid)

            def alone(seconds):
                return {"seconds": seconds, "MiB/s": mebibytes / seconds}

            def up_alone():
                name = self.unique("alone")
                seconds = s3.upload_seconds(name, body)
                s3.delete(name)
                return alone(seconds)

            plain_up = ("S3 alone", up_alone)
            plain_down = ("S3 alone", lambda: alone(s3.download_seconds(stored, mebibytes * MIB)))
            only_once = cipher == GCM
            self.case(f"up, {profile} S3, {short}", [
                ("Towpath", lambda: up(stack)), ("rclone", lambda: up(rclone)), *([plain_up] if only_once else []),
            ])  # fmt: skip
            self.case(f"down, {profile} S3, {short}", [
                ("Towpath", lambda: down(stack)), ("rclone", lambda: down(rclone)), *([plain_down] if only_once else []),
            ])  # fmt: skip
        stack.faults(PLAIN)

    # many small files

    def small_files(self, stack, rclone, count, sessions):
        """So many files of 4 KiB, in folders of their own, by so many sessions."""
        folders, each = [], count // sessions
        for session in range(sessions):
            folder = self.folder / f"small-{count}-{sessions}-{session}"
            folder.mkdir()
            for number in range(each):
                (folder / f"{number:05}.dat").write_bytes(number.to_bytes(4, "big") * 1024)
            folders.append(folder)
        stack.faults(SHAPED)

        def run(server):
            names = [server.place(self.unique("small")) for _ in folders]
            batches = [f"mkdir {name}\nput {folder}/* {name}/\n" for folder, name in zip(folders, names)]
            aws = cpu_seconds(stack.aws_pid)
            with Cost(server.pid) as cost:
                client = sftp(server, self.key, GCM, batches)
            files = each * sessions
            return {
                "seconds": cost.wall, "files/s": files / cost.wall, "CPU ms/file": cost.cpu * 1000 / files,
                "AWS CPU ms/file": (cpu_seconds(stack.aws_pid) - aws) * 1000 / files,
                "client CPU ms/file": client * 1000 / files, "peak MiB": cost.peak_mib,
            }  # fmt: skip

        plural = "s" if sessions > 1 else ""
        title = f"{each * sessions} × 4 KiB, shaped S3, {sessions} session{plural}"
        self.case(title, [("Towpath", lambda: run(stack)), ("rclone", lambda: run(rclone))])
        stack.faults(PLAIN)

    # listings

    def listing(self, stack, new_rclone, count):
        """rclone may take S3's times for the files' (`--use-server-modtime`): without it, it asks for each object by itself."""
        print(f"  filling a folder with {count} objects …", flush=True)
        started, workers = time.monotonic(), 4
        steps = [count * worker // workers for worker in range(workers + 1)]
        filling = [
            multiprocessing.Process(target=S3(stack.env).fill, args=(f"{stack.prefix}/list", first, last))
            for first, last in zip(steps, steps[1:])
        ]
        for process in filling:
            process.start()
        for process in filling:
            process.join()
            if process.exitcode != 0:
                raise RuntimeError("the bucket could not be filled")
        print(f"  … in {time.monotonic() - started:.0f} s", flush=True)

        def run(server):
            before = memory_kib(server.pid, "VmRSS") / 1024
            with Cost(server.pid) as cost:
                seen = self.load.listing(server, server.place("list"))
            if seen["entries"] != count:
                raise RuntimeError(f"{server.name} listed {seen['entries']} of {count} entries")
            return {
                "first s": seen["first_s"], "total s": seen["total_s"], "CPU s": cost.cpu, "peak MiB": cost.peak_mib,
                "grown by MiB": cost.peak_mib - before,
            }  # fmt: skip

        def fresh():
            # rclone remembers a listing: a new process for each
            with contextlib.closing(Stopping(new_rclone())) as rclone:
                return run(rclone.server)

        for profile, plan in [("plain", PLAIN), ("shaped", SHAPED)]:
            stack.faults(plan)
            self.case(f"list {count} entries, {profile} S3", [("Towpath", lambda: run(stack)), ("rclone", fresh)])
        stack.faults(PLAIN)

    # sessions

    def idle(self, server, count):
        """What a session costs that has logged in and asks nothing."""

        def memory():
            return pss_kib([server.pid, *children(server.pid)])

        # once: what a round has freed stays with the process, and the next would seem to cost nothing
        before = memory()

        def run():
            with self.load.idle(server, count):
                time.sleep(1)  # buffers of the last answers are freed
                grown = memory() - before
            time.sleep(1)
            return {"KiB a session": grown / count}

        self.case(f"{count} idle sessions, {server.name}", [(server.name, run)])

    def handshakes(self, server, kex, count, at_a_time):
        def run():
            with Cost(server.pid, server.forks) as cost:
                seen = self.load.handshakes(server, kex, count, at_a_time)
            return {"a second for each core": count / cost.cpu, "a second, wall": count / seen["seconds"]}

        return run


class Stopping:
    """For `contextlib.closing`."""

    def __init__(self, server):
        self.server = server

    def close(self):
        self.server.stop()
