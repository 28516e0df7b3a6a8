"""Making and finding emulated devices: Debian's Python for Arm in a folder, the runtimes' wheels beside it, run by QEMU's user mode.

    CACHE/emulators/rpi4/root/             Debian packages, unpacked; nothing is installed, nothing needs root rights
    CACHE/emulators/rpi4/ai-edge-litert/   a runtime's wheel, unpacked; one folder each
    CACHE/emulators/rpi4/emulator.json     the recipe's SHA-256, and that of every package and wheel

apt checks Debian's signature on its index; every package is then compared with that index, every wheel with the SHA-256 in
edgekit.targets.emulators.
"""

from __future__ import annotations

import json
import os
import re
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from edgekit import children
from edgekit.cache import cache_folder
from edgekit.digest import digest_of_file
from edgekit.errors import EdgekitError
from edgekit.plan import check_name, make_folder
from edgekit.progress import Note
from edgekit.scratch import scratch_folder
from edgekit.targets import Emulator
from edgekit.targets.emulators import PACKAGES, SUITE
from edgekit.tools import APT_GET, DPKG_DEB, find, missing_reason, require

MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
RECORD = "emulator.json"
STEP_SECONDS = 600
URI = re.compile(r"^'(?P<uri>[^']+)' (?P<name>[^ ]+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$")


def emulator_folder(emulator: Emulator) -> Path:
    return cache_folder() / "emulators" / emulator.device


def missing_emulator(emulator: Emulator) -> str | None:
    """Why this emulated device cannot be used here and what to do about it, or None."""
    reason = missing_reason(emulator.qemu)
    if reason is not None:
        return reason
    try:
        record = json.loads((emulator_folder(emulator) / RECORD).read_bytes())
        made = record["recipe"] == emulator.recipe()
    except (OSError, ValueError, TypeError, KeyError):
        return "no emulator; run edgekit doctor --make-emulator"
    return None if made else "the emulator is of another version of edgekit; run edgekit doctor --make-emulator"


def python_command(emulator: Emulator, package: str) -> list[str]:
    """The emulated Python that can import this runtime; a command that takes further words. Raises EdgekitError."""
    return _python(emulator, emulator_folder(emulator), package)


def program_command(emulator: Emulator) -> list[str]:
    """What a program's path is put behind, to run it on the emulated device. Raises EdgekitError."""
    return _qemu(emulator, emulator_folder(emulator) / "root")


def make_emulator(emulator: Emulator, note: Note = lambda _: None) -> Path:
    """Makes the emulated device in the cache, whole or not at all; an earlier one is replaced.

    Raises:
        EdgekitError: a program is missing, nothing can be downloaded, or what came is not what the index says.
    """
    for tool in (emulator.qemu, APT_GET, DPKG_DEB):
        require(tool)
    if not KEYRING.is_file():
        raise EdgekitError(f"{KEYRING} is missing, so Debian's signature cannot be checked: apt install debian-archive-keyring")
    folder = emulator_folder(emulator)
    make_folder(folder, lambda stage: _fill(emulator, stage, note))
    return folder


def _fill(emulator: Emulator, stage: Path, note: Note) -> None:
    with scratch_folder("emulator") as temporary:
        hashes = _add_packages(emulator, stage / "root", temporary, note)
        hashes |= _add_wheels(emulator, stage, temporary, note)
    for wheel in emulator.wheels:  # proves that it works, and leaves compiled modules behind: later starts are faster
        package = wheel.runtime.package
        note(f"starting {wheel.runtime.title} on the emulated {emulator.cpu}")
        _call(
            [*_python(emulator, stage, package), "-c", f"import {package.replace('-', '_')}.interpreter, ctypes, zlib, argparse, hashlib"]
        )
    record = {"device": emulator.device, "recipe": emulator.recipe(), "files": dict(sorted(hashes.items()))}
    (stage / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def _add_packages(emulator: Emulator, root: Path, temporary: Path, note: Note) -> dict[str, str]:
    """Downloads and unpacks; name -> SHA-256. An apt of its own: empty status, own lists, own sources."""
    apt = _apt(emulator, temporary)
    note(f"reading Debian {SUITE}'s index for {emulator.debian_arch}")
    _call([*apt, "update"])
    install = [*apt, "-y", "install", *PACKAGES]
    wanted = [found for line in _call([*install, "--print-uris"]).splitlines() if (found := URI.match(line))]
    if not wanted:
        raise EdgekitError("apt-get names no package with its SHA-256; is apt older than 1.1?")
    megabytes = sum(int(one["size"]) for one in wanted) / 1e6
    note(f"downloading {len(wanted)} Debian packages, {megabytes:.0f} MB")
    _call([*install, "--download-only"])
    hashes = {}
    for count, one in enumerate(wanted, start=1):
        note(f"unpacking package {count} of {len(wanted)}: {one['name']}")
        check_name(one["name"])
        path = temporary / "archives" / one["name"]
        hashes[one["name"]] = _checked_digest(path, one["sha256"])
        _call([str(require(DPKG_DEB)), "-x", str(path), str(root)])
    return hashes


def _apt(emulator: Emulator, folder: Path) -> list[str]:
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {SUITE} main\n")
    options = {
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Architecture": emulator.debian_arch,
        "APT::Architectures": emulator.debian_arch,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "APT::Get::List-Cleanup": "false",
        "Acquire::Languages": "none",
        "Acquire::ForceHash": "sha256",
        "Acquire::Retries": "3",
    }
    return [str(require(APT_GET)), "-q", *(f"-o{name}={value}" for name, value in options.items())]


def _add_wheels(emulator: Emulator, stage: Path, temporary: Path, note: Note) -> dict[str, str]:
    hashes = {}
    for wheel in emulator.wheels:
        note(f"downloading {wheel.runtime.title}")
        folder = temporary / wheel.runtime.package
        folder.mkdir()
        wanted = temporary / f"{wheel.runtime.package}.txt"
        wanted.write_text(f"{wheel.runtime.package}=={wheel.runtime.version} --hash=sha256:{wheel.sha256}\n")
        options = ["--only-binary=:all:", "--platform", wheel.platform, "--python-version", "3.11", "--implementation", "cp"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *options]
        _call([*command, "--dest", str(folder), "--requirement", str(wanted)])
        (path,) = folder.iterdir()
        hashes[path.name] = _checked_digest(path, wheel.sha256)
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                check_name(name.rstrip("/"))
            archive.extractall(stage / wheel.runtime.package)
    return hashes


def _checked_digest(path: Path, expected: str) -> str:
    try:
        found = digest_of_file(path)
    except OSError as error:
        raise EdgekitError(f"{path.name} was not downloaded: {error.strerror}") from error
    if found != expected:
        raise EdgekitError(f"{path.name} has SHA-256 {found}, not {expected} as its index says; nothing was changed, try again")
    return found


def _python(emulator: Emulator, folder: Path, package: str) -> list[str]:
    root = folder / "root"
    libraries = root / "usr" / "lib" / emulator.triplet  # where Debian's alternatives, which only an installation sets, would point
    variables = {
        "PYTHONPATH": str(folder / package),
        "LD_LIBRARY_PATH": f"{libraries}/blas:{libraries}/lapack",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHOME": str(root / "usr"),
    }
    setting = [word for name, value in variables.items() for word in ("-E", f"{name}={value}")]
    return [*_qemu(emulator, root), *setting, str(root / "usr/bin/python3.11")]


def _qemu(emulator: Emulator, root: Path) -> list[str]:
    return [str(require(emulator.qemu)), "-cpu", emulator.cpu, "-L", str(root)]


def _call(command: Sequence[str]) -> str:
    """Its stdout. Raises EdgekitError with the last lines of what it said."""
    name = Path(command[0]).name if "pip" not in command else "pip"
    try:
        done = children.call(command, STEP_SECONDS, variables={**os.environ, "LC_ALL": "C"})
    except children.TookTooLong as error:
        raise EdgekitError(f"{name} did not end within {STEP_SECONDS} s; is the network up?") from error
    if done.code:
        said = [line.strip() for line in (done.messages_text or done.output_text).splitlines() if line.strip()]
        raise EdgekitError(f"{name} failed, exit code {done.code}: {' | '.join(said[-4:])}")
    return done.output_text


def emulator_state(emulator: Emulator) -> dict[str, str | None]:
    """For `edgekit doctor`: the device, its folder if it is ready, or why it is not."""
    missing = missing_emulator(emulator)
    qemu = find(emulator.qemu)
    return {
        "device": emulator.device,
        "cpu": emulator.cpu,
        "qemu": str(qemu) if qemu else None,
        "path": None if missing else str(emulator_folder(emulator)),
        "missing": missing,
    }
