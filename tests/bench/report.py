"""The tables, in Markdown, and the targets that they are held against."""

import os

TITLES = {"CPU s/GiB": "server CPU s/GiB", "peak MiB": "server peak MiB", "CPU ms/file": "server CPU ms/file"}


def shown(value):
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(results, word):
    """One row for each contender of the cases whose titles hold `word`."""
    cases = {title: runs for title, runs in results.items() if word in title}
    if not cases:
        return ""
    columns = []
    for runs in cases.values():
        for numbers in runs.values():
            columns += [name for name in numbers if name not in columns]
    lines = ["| what | server | " + " | ".join(TITLES.get(name, name) for name in columns) + " |"]
    lines.append("|---|---|" + "--:|" * len(columns))
    for title, runs in cases.items():
        for server, numbers in runs.items():
            cells = " | ".join(shown(numbers.get(name)) for name in columns)
            lines.append(f"| {title} | {server} | {cells} |")
    return "\n".join(lines) + "\n"


def ratio(results, title, number, ours, peer, lower_is_better=False):
    runs = results.get(title, {})
    try:
        mine, other = runs[ours][number], runs[peer][number]
        return other / mine if lower_is_better else mine / other
    except (KeyError, ZeroDivisionError):
        return None


class Targets:
    """Rows: what, target, measured, met."""

    def __init__(self, results):
        self.results, self.rows, self.shares, self.cores = results, [], [], os.cpu_count()

    def at_least(self, what, target, value, unit="×"):
        self._row(what, f"≥ {target:g} {unit}", value, unit, value is not None and value >= target)

    def at_most(self, what, target, value, unit):
        self._row(what, f"≤ {target:g} {unit}", value, unit, value is not None and value <= target)

    def _row(self, what, target, value, unit, met):
        if value is not None:
            self.rows.append(f"| {what} | {target} | {shown(value)} {unit} | {'yes' if met else '**no**'} |")

    def number(self, title, server, name):
        return self.results.get(title, {}).get(server, {}).get(name)

    def share(self, way, title):
        """Of our own null storage, of what S3 gives a client that has the machine for itself, and of what it can give beside
        the client and us, who need the same cores."""
        mine = self.number(title, "Towpath", "MiB/s")
        if mine is None:
            return
        null = self.number(f"{way}, null storage, aes128-gcm", "Towpath", "MiB/s")
        alone = self.number(title, "S3 alone", "MiB/s")
        parts = ["CPU s/GiB", "client CPU s/GiB", "S3 CPU s/GiB"]
        seconds = sum(self.number(title, "Towpath", part) or 0 for part in parts)
        cores = self.cores * 1024 / seconds if seconds else None
        for what, most in [("null storage", null), ("S3 alone", alone), ("what the cores can give", cores)]:
            if most:
                self.shares.append((title, what, mine / most * 100))
        best = max((share for at, _, share in self.shares if at == title), default=None)
        self.at_least(f"{title}: share of null storage, S3 alone or what the cores can give", 80, best, "%")

    def all(self):
        for way in ["up", "down"]:
            title = f"{way}, null storage, aes128-gcm"
            self.at_most(f"{title}: CPU", 1.0, self.number(title, "Towpath", "CPU s/GiB"), "s/GiB")
            for peer in ["OpenSSH, RAM disk", "OpenSSH, /dev/null"]:
                per_cpu = ratio(self.results, title, "CPU s/GiB", "Towpath", peer, lower_is_better=True)
                self.at_least(f"{title}: speed for each CPU second, against {peer}", 2, per_cpu)
        for way, target in [("up", 2), ("down", 3)]:
            for cipher in ["aes128-gcm", "chacha20-poly1305"]:
                title = f"{way}, shaped S3, {cipher}"
                faster = ratio(self.results, title, "MiB/s", "Towpath", "rclone")
                self.at_least(f"{title}: speed against rclone", target, faster)
                cpu = ratio(self.results, title, "CPU s/GiB", "Towpath", "rclone", lower_is_better=True)
                self.at_least(f"{title}: CPU against rclone (3 × is a third)", 3, cpu)
            self.share(way, f"{way}, shaped S3, aes128-gcm")
        for way, target in [("up", 2), ("down", 3)]:
            title = f"{way}, FTPS, null storage"
            self.at_most(f"{title}: CPU", 0.9, self.number(title, "Towpath", "CPU s/GiB"), "s/GiB")
            for peer in ["proftpd, RAM disk", "vsftpd, RAM disk"]:
                per_cpu = ratio(self.results, title, "CPU s/GiB", "Towpath", peer, lower_is_better=True)
                self.at_least(f"{title}: speed for each CPU second, against {peer}", 2, per_cpu)
            title = f"{way}, FTPS, shaped S3"
            faster = ratio(self.results, title, "MiB/s", "Towpath", "rclone")
            self.at_least(f"{title}: speed against rclone", target, faster)
        for title in self.results:
            if "× 4 KiB" in title:
                target = 1.8 if title.endswith("1 session") else 3
                faster = ratio(self.results, title, "files/s", "Towpath", "rclone")
                self.at_least(f"{title}: against rclone", target, faster)
            if title.startswith("list "):
                faster = ratio(self.results, title, "total s", "Towpath", "rclone", lower_is_better=True)
                self.at_least(f"{title}: total, against rclone", 3, faster)
            if "idle sessions, Towpath" in title:
                self.at_most(title, 64, self.number(title, "Towpath", "KiB a session"), "KiB")
            if title.startswith("handshakes"):
                for server, numbers in self.results[title].items():
                    if server.startswith("Towpath"):
                        self.at_least(f"{title}: {server}", 1000, numbers["a second for each core"], "/s a core")
        return ["| what | target | measured | met |", "|---|---|---|---|", *self.rows]


SECTIONS = [
    ("One stream, null storage", ", null storage, "),
    ("One stream, plain S3", "plain S3, aes128-gcm"),
    ("", "plain S3, chacha20"),
    ("One stream, shaped S3", "shaped S3, aes128-gcm"),
    ("", "shaped S3, chacha20"),
    ("FTPS, one stream, null storage", "FTPS, null storage"),
    ("FTPS, one stream, shaped S3", "FTPS, shaped S3"),
    ("Small files", "× 4 KiB"),
    ("Listings", "list "),
    ("Idle sessions", "idle sessions"),
    ("Handshakes", "handshakes"),
]


def markdown(results, machine, how):
    lines = ["| machine | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine), "", how, ""]
    targets = Targets(results)
    lines += ["### Targets", "", *targets.all(), ""]
    if targets.shares:
        shares = [f"{share:.0f} % of {what} ({title})" for title, what, share in targets.shares]
        lines += ["The shares: " + "; ".join(shares) + ".", ""]
    tables = []
    for title, word in SECTIONS:
        rows = table(results, word)
        if not rows:
            continue
        if title:
            tables.append(f"### {title}\n\n{rows}")
        elif tables:
            # the same columns, so the rows go on below
            tables[-1] += "\n".join(rows.splitlines()[2:]) + "\n"
    return "\n".join(lines) + "\n" + "\n".join(tables)
