"""The functions' archives: each program as `bootstrap`, into infra/build. Prints what they weigh.

    python3 infra/package.py <folder of the programs> [<folder of the archives>]

What Lambda would only say when a function starts is checked here: the program is an x86_64 ELF, it needs no newer glibc than
Amazon Linux 2023 has, and nobody is without a right to run it. The same programs give the same archives, byte for byte, so that a
deployment without a change changes nothing.
"""

import pathlib
import re
import subprocess
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
FUNCTIONS = ["management", "token", "files", "share", "webhook", "housekeeping", "setup"]
SOURCES = [path.stem for path in (HERE.parent / "functions/src/bin").glob("*.rs")]
GLIBC = (2, 34)
AIM = 6_000_000


def glibc_of(program):
    """The newest version of glibc that it asks for."""
    text = subprocess.run(["objdump", "-T", program], check=True, capture_output=True, text=True).stdout
    return max((tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([0-9.]+)", text)), default=(0, 0))


def write(archive, name, content):
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(entry, content, compresslevel=9)


def package(name, programs, build):
    program, archive = programs / name, build / f"{name}.zip"
    if name not in SOURCES:
        # `sam deploy` uploads every archive that a template names, also of functions that are off. Lambda cannot start this one.
        write(archive, "absent.txt", f"{name} is not part of this version of Towpath.\n")
        print(f"{name:14} not part of this version")
        return
    if not program.exists():
        sys.exit(f"{program} is not built")
    content = program.read_bytes()
    if content[:5] != b"\x7fELF\x02" or content[18:20] != b"\x3e\x00":
        sys.exit(f"{program} is no x86_64 program; the template says x86_64")
    if glibc_of(program) > GLIBC:
        sys.exit(f"{program} needs glibc {glibc_of(program)}, Amazon Linux 2023 has {GLIBC}: build it on an older system")
    write(archive, "bootstrap", content)
    size = archive.stat().st_size
    over = "" if size <= AIM else f"  ({size / AIM:.2f} of what it should be at most)"
    print(f"{name:14} {len(content) / 1e6:6.2f} MB, archive {size / 1e6:5.2f} MB{over}")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    build = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else HERE / "build"
    build.mkdir(exist_ok=True)
    for name in FUNCTIONS:
        package(name, pathlib.Path(sys.argv[1]), build)


if __name__ == "__main__":
    main()
