"""FTPS: Towpath beside proftpd and vsftpd on a RAM disk, and beside `rclone serve ftp` on the same S3. The client is curl, the
cipher AES-128-GCM, TLS 1.3 where the server has it."""

import os
import pathlib
import pwd
import resource
import shutil
import subprocess

from process import Cost, Server, cpu_seconds
from servers import free_port, wait_for_port

USER, PASSWORD = "bench", "bench-password"

# Debian's servers, and what a plain installation lacks for them. They are unpacked and not installed: that would start them.
PACKAGES = [
    "proftpd-core", "proftpd-mod-crypto", "vsftpd",
    "libhiredis0.14", "libmemcached11", "libmemcachedutil2", "libpcre2-posix3", "libhashkit2",
]  # fmt: skip


def certificate(folder):
    """A self-signed certificate and its key."""
    cert, key = folder / "ftps.pem", folder / "ftps.key"
    if not cert.exists():
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
        subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def find_peers():
    """Where proftpd and vsftpd are; `None` without Debian's package tools."""
    root = pathlib.Path(".towpath/tools/ftpd").resolve()
    if not (root / "usr/sbin/vsftpd").exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            return None
        print("fetching proftpd and vsftpd from Debian into .towpath/tools/ftpd …", flush=True)
        root.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=root, capture_output=True, text=True)
        if done.returncode != 0:
            print(f"not to be had: {done.stderr[-300:]}", flush=True)
            return None
        for package in root.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, root], check=True)
            package.unlink()
    return root


def environment(root):
    return {**os.environ, "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib/aarch64-linux-gnu"}


class Null:
    """Towpath's door and engine with null storage."""

    name, forks, scheme, user, password = "Towpath", False, "ftp", USER, PASSWORD

    def __init__(self, programs, folder):
        cert, key = certificate(folder)
        command = [programs / "examples/null-node", "127.0.0.1:0", cert, key]
        self.server = Server(command, ready="listening ftps ", log=folder / "null-node-ftps.log")
        self.pid, self.port = self.server.pid, int(self.server.said.rpartition(":")[2])

    def place(self, name):
        return name


class Files:
    """A folder on the RAM disk that a server's user may write."""

    def __init__(self, folder, name):
        # the way to them, for the user that the server becomes
        folder.chmod(0o711)
        self.files = folder / f"{name}-files"
        (self.files / "in").mkdir(parents=True)
        (self.files / "in").chmod(0o777)

    def place(self, name):
        return f"in/{name}"

    def give(self, source, name):
        os.link(source, self.files / "in" / name)


class Proftpd(Files):
    name, forks, scheme, user, password = "proftpd, RAM disk", True, "ftp", USER, PASSWORD

    def __init__(self, root, folder):
        super().__init__(folder, "proftpd")
        self.port, (cert, key), me = free_port(), certificate(folder), pwd.getpwuid(os.getuid())
        user = pwd.getpwnam("nobody") if os.getuid() == 0 else me
        hashed = subprocess.run(["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True).stdout
        passwd, config = folder / "proftpd.passwd", folder / "proftpd.conf"
        passwd.write_text(f"{USER}:{hashed.strip()}:{user.pw_uid}:{user.pw_gid}::{self.files}:/bin/sh\n")
        passwd.chmod(0o600)
        config.write_text(f"""
            ModulePath {root}/usr/lib/proftpd
            LoadModule mod_tls.c
            ServerType standalone
            Port {self.port}
            DefaultAddress 127.0.0.1
            SocketBindTight on
            UseReverseDNS off
            User {user.pw_name}
            Group {subprocess.run(["id", "-gn", user.pw_name], capture_output=True, text=True).stdout.strip()}
            AuthUserFile {passwd}
            AuthOrder mod_auth_file.c
            RequireValidShell off
            DelayEngine off
            WtmpLog off
            TransferLog none
            SystemLog {folder}/proftpd-system.log
            PidFile {folder}/proftpd.pid
            ScoreboardFile {folder}/proftpd.scoreboard
            AllowOverwrite on
            TLSEngine on
            TLSRequired on
            TLSProtocol TLSv1.2 TLSv1.3
            TLSECCertificateFile {cert}
            TLSECCertificateKeyFile {key}
        """)
        key.chmod(0o600)
        command = [root / "usr/sbin/proftpd", "-n", "-c", config]
        self.server = Server(command, env=environment(root), log=folder / "proftpd.log")
        self.pid = self.server.pid
        wait_for_port(self.port)


class Vsftpd(Files):
    name, forks, scheme, user, password = "vsftpd, RAM disk", True, "ftp", "anonymous", "x"

    def __init__(self, root, folder):
        super().__init__(folder, "vsftpd")
        self.port, (cert, key) = free_port(), certificate(folder)
        settings = {
            "listen": "YES", "background": "NO", "listen_address": "127.0.0.1", "listen_port": self.port,
            "run_as_launching_user": "YES", "anonymous_enable": "YES", "local_enable": "NO", "no_anon_password": "YES",
            "write_enable": "YES", "anon_upload_enable": "YES", "anon_other_write_enable": "YES", "anon_umask": "022",
            "anon_root": self.files, "ftp_username": pwd.getpwuid(os.getuid()).pw_name, "seccomp_sandbox": "NO",
            "xferlog_enable": "NO", "ssl_enable": "YES", "allow_anon_ssl": "YES", "force_anon_logins_ssl": "YES",
            "force_anon_data_ssl": "YES", "rsa_cert_file": cert, "rsa_private_key_file": key, "ssl_ciphers": "HIGH",
            # with TLS 1.3 it never sees a session again
            "require_ssl_reuse": "NO", "secure_chroot_dir": folder,
        }  # fmt: skip
        config = folder / "vsftpd.conf"
        config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self.server = Server([root / "usr/sbin/vsftpd", config], env=environment(root), log=folder / "vsftpd.log")
        self.pid = self.server.pid
        wait_for_port(self.port)


class Stack:
    """FTPS of a whole Towpath."""

    name, forks, scheme = "Towpath", False, "ftp"

    def __init__(self, stack):
        self.pid, self.port = stack.pid, int(stack.env["TOWPATH_FTPS_PORT"])
        self.user, self.password = stack.env["TOWPATH_USER"], stack.env["TOWPATH_PASSWORD"]

    def place(self, name):
        return name


class Rclone:
    """`rclone serve ftp` on the folder of the same bucket that Towpath's user sees."""

    # its TLS begins with the first byte
    name, forks, scheme, user, password = "rclone", False, "ftps", USER, PASSWORD

    def __init__(self, program, folder, stack, env):
        self.port, (cert, key) = free_port(), certificate(folder)
        files = f"s3:{stack.env['TOWPATH_BUCKET']}/{stack.prefix}"
        login = ["--user", USER, "--pass", PASSWORD, "--cert", cert, "--key", key]
        command = [program, "serve", "ftp", files, "--addr", f"127.0.0.1:{self.port}", *login]
        self.server = Server(command, env=env, log=folder / "rclone-ftp.log")
        self.pid = self.server.pid
        wait_for_port(self.port)

    def place(self, name):
        return name


def curl(server, arguments):
    """One transfer; answers the client's CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["curl", "-sS", "-k", *(["--ssl-reqd"] if server.scheme == "ftp" else []), "--tls13-ciphers", "TLS_AES_128_GCM_SHA256", "--ciphers",
               "ECDHE-ECDSA-AES128-GCM-SHA256", "-u", f"{server.user}:{server.password}"]  # fmt: skip
    done = subprocess.run([*command, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"curl failed at {server.name} ({done.returncode}): {done.stderr[-500:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def transfer(server, arguments, mebibytes, aws_pid=None):
    aws = cpu_seconds(aws_pid) if aws_pid else 0
    with Cost(server.pid, server.forks) as cost:
        client = curl(server, arguments)
    gib = mebibytes / 1024
    run = {"seconds": cost.wall, "MiB/s": mebibytes / cost.wall, "CPU s/GiB": cost.cpu / gib}
    run |= {"client CPU s/GiB": client / gib, "peak MiB": cost.peak_mib}
    return run | ({"S3 CPU s/GiB": (cpu_seconds(aws_pid) - aws) / gib} if aws_pid else {})


def up(server, source, name, mebibytes, aws_pid=None):
    url = f"{server.scheme}://127.0.0.1:{server.port}/{server.place(name)}"
    return transfer(server, ["-T", source, url], mebibytes, aws_pid)


def down(server, name, mebibytes, aws_pid=None):
    url = f"{server.scheme}://127.0.0.1:{server.port}/{server.place(name)}"
    return transfer(server, ["-o", "/dev/null", url], mebibytes, aws_pid)


def streams_null(bench, programs, folder, source, mebibytes):
    null, root = Null(programs, folder), find_peers()
    peers = [Proftpd(root, folder), Vsftpd(root, folder)] if root else []
    for peer in peers:
        peer.give(source, "down")

    def sending(server):
        # always the same name: the memory of a new file would be new to the machine
        return server.name, lambda: up(server, source, "up", mebibytes)

    def fetching(server, name):
        return server.name, lambda: down(server, name, mebibytes)

    bench.case("up, FTPS, null storage", [sending(server) for server in [null, *peers]])
    both = [fetching(null, f"zero.{mebibytes}M"), *(fetching(peer, "down") for peer in peers)]
    bench.case("down, FTPS, null storage", both)


def streams_s3(bench, stack, rclone, s3, source, mebibytes):
    """On the shaped S3, whose faults the caller has set."""
    stored = f"stored-{mebibytes}"
    s3.upload_seconds(f"{stack.prefix}/{stored}", source.read_bytes())
    ours = Stack(stack)

    def sending(server):
        def run():
            name = bench.unique("up")
            done = up(server, source, name, mebibytes, stack.aws_pid)
            s3.delete(f"{stack.prefix}/{name}")
            return done

        return server.name, run

    def fetching(server):
        return server.name, lambda: down(server, stored, mebibytes, stack.aws_pid)

    bench.case("up, FTPS, shaped S3", [sending(ours), sending(rclone)])
    bench.case("down, FTPS, shaped S3", [fetching(ours), fetching(rclone)])
