"""ssh sessions against a real sshd on loopback; and what the user is told when something is wrong."""

from __future__ import annotations

import getpass
import json
import os
import platform
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekit.bench import bench
from edgekit.connections.address import session_on, ssh_address
from edgekit.connections.session import DeviceLost
from edgekit.connections.ssh import FOLDER, SshAddress
from edgekit.errors import EdgekitError
from edgekit.jobs import evaluate_models
from edgekit.targets.devices import DEVICES
from edgekit.verify import verify
from edgekit.verify.devices import executors_on

PC = DEVICES["linux-x86_64"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`ssh://user@127.0.0.1:port` of an sshd of its own, with its own keys, known hosts and home folder."""
    sshd, keygen, ssh = (shutil.which(name) or shutil.which(name, path="/usr/sbin") for name in ("sshd", "ssh-keygen", "ssh"))
    if not (sshd and keygen and ssh):
        pytest.skip("sshd is not installed: apt install openssh-server")
    if os.geteuid() != 0 and not Path("/run/sshd").exists():
        pytest.skip("sshd needs root, or the folder /run/sshd")
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = folder / "home"
    home.mkdir()
    python = home / ".edgekit-venv" / "bin" / "python"  # where a device's Python with a runtime is expected
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shutil.which("env")} "$EDGEKIT_TEST_PYTHON" "$@"\n')
    python.chmod(0o755)
    public = (folder / "user.pub").read_text()
    (folder / "authorized").write_text(public)
    enter = folder / "enter"  # every session starts in the test's home folder
    import sys

    enter.write_text(f'#!/bin/sh\ncd {home}\nexport EDGEKIT_TEST_PYTHON={sys.executable}\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n')
    enter.chmod(0o755)
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nPidFile none\n"
        f"StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nForceCommand {enter}\n"
    )
    host_key = (folder / "host.pub").read_text().rsplit(maxsplit=1)[0]
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (folder / "config").write_text(f"IdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\n")
    client = folder / "client"
    client.write_text(f'#!/bin/sh\nexec {ssh} -F {folder}/config "$@"\n')
    client.chmod(client.stat().st_mode | stat.S_IXUSR)
    process = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL)
    before = os.environ.get("EDGEKIT_SSH")
    os.environ["EDGEKIT_SSH"] = str(client)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)
        if before is None:
            del os.environ["EDGEKIT_SSH"]
        else:
            os.environ["EDGEKIT_SSH"] = before


@pytest.fixture
def home(server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(os.environ["EDGEKIT_SSH"]).parent / "home"


def test_files_come_back_as_they_went_and_nothing_is_left(server, home, rng):
    content = rng.integers(0, 256, 300_000).astype(np.uint8).tobytes()  # every byte value: no shell or terminal may touch them
    with session_on(server, PC) as session:
        assert session.arch == platform.machine() and session.cpus >= 1
        session.push({"a/b.bin": content, "odd ' name": b"x", "hello": b'#!/bin/sh\necho $0 "$1"; exit 3\n'})
        assert session.pull("a/b.bin") == content and session.pull("odd ' name") == b"x"
        finished = session.run([*session.program("hello"), "$(touch oops); 'x"], 10)
        assert (finished.code, finished.stdout) == (3, "./hello $(touch oops); 'x\n")
        assert not (home / FOLDER / "oops").exists()
    assert not (home / FOLDER).exists()


def test_what_a_broken_session_left_is_gone_in_the_next(server, home):
    (home / FOLDER).mkdir()
    (home / FOLDER / "leftover").write_text("x")
    with session_on(server, PC):
        assert list((home / FOLDER).iterdir()) == []


def test_a_program_that_does_not_end_is_stopped(server):
    with session_on(server, PC) as session, pytest.raises(EdgekitError, match="did not end within 1 s"):
        session.run(["sleep", "60"], 1)


def test_a_crash_is_named(server):
    with session_on(server, PC) as session:
        assert session.run(["sh", "-c", "kill -SEGV $$"], 10).code == -11


def test_no_permission_full_disk_and_a_missing_file_are_told(server, home):
    with session_on(server, PC) as session:
        (home / FOLDER).rmdir()
        (home / FOLDER).symlink_to("/proc/self")  # where nobody may write, root neither
        with pytest.raises(EdgekitError, match=r"did not take the files|does not let this user write"):
            session.push({"a": b"x"})
        with pytest.raises(EdgekitError, match="gave no nothing"):
            session.pull("nothing")
        (home / FOLDER).unlink()


def test_a_device_that_vanishes_is_named_with_what_to_do(server):
    with session_on(server, PC) as session, pytest.raises(DeviceLost, match=r"connection to .* failed.*switched on"):
        session.run(["sh", "-c", "kill -9 $(ps -o ppid= -p $(ps -o ppid= -p $PPID))"], 10)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ssh://nobody-there@{place}", "ssh-copy-id"),
        ("ssh://127.0.0.1:1", "ssh server switched on"),
    ],
)
def test_a_device_that_does_not_let_us_in(address, message, server):
    with pytest.raises(DeviceLost, match=message), session_on(address.format(place=server.split("@")[1]), PC):
        pass


@pytest.mark.parametrize(
    "text",
    [
        "ssh://-oProxyCommand=x",
        "ssh://-l@host",
        "ssh://user@-host",
        "ssh://user@host:0",
        "ssh://user@host:70000",
        "ssh://a b@host",
        "ssh://user@host;reboot",
        "ssh://user@host/$(reboot)",
        "ssh://user@host\n",
        "ssh://",
    ],
)
def test_an_address_that_could_be_an_option_or_a_command_is_refused(text):
    assert ssh_address(text) is None
    with pytest.raises(EdgekitError, match="names no device"):
        session_on(text, PC)


def test_addresses_that_are_taken():
    assert ssh_address("ssh://pi@raspberrypi.local:2222") == SshAddress("raspberrypi.local", "pi", 2222)
    assert ssh_address("ssh://10.0.0.5") == SshAddress("10.0.0.5")


def test_verify_and_bench_on_a_device_over_ssh(server, home, make_bundle):
    if platform.machine() != "x86_64":
        pytest.skip("the bundle is for x86-64")
    bundle = make_bundle("linux-x86_64", runtimes=("ai-edge-litert 2.1.6",))
    names, also = executors_on(server, bundle)
    report = verify(bundle, count=4, executors=names, also=also)
    assert report.passed and [one.name.split("litert-")[1] for one in report.results] == ["reference", "optimized", "xnnpack"]
    measured = bench(bundle, server, iterations=5)
    assert measured.problem is None and measured.report["latency_ms"]["runs"] == 5
    assert measured.report["golden"]["outputs_crc32"] == bundle.manifest.golden.crc32
    assert not (home / FOLDER).exists()
    assert json.dumps(measured.report)


def test_another_architecture_is_refused_before_anything_is_copied(server, make_bundle):
    with pytest.raises(EdgekitError, match="is x86_64; the bundle is for Raspberry Pi 4, aarch64"):
        bench(make_bundle("rpi4"), server)


def test_accuracy_on_a_device_is_that_of_this_machine(server, make_bundle):
    folder = str(make_bundle().folder)
    here = evaluate_models([folder], data="digits", limit=20)
    there = evaluate_models([folder], data="digits", limit=20, on=server, executors=["tflite-reference", "tflite-xnnpack"])
    assert len(there.rows) == 2 and {row.top1 for row in there.rows} == {here.rows[0].top1}
    assert there.rows[1].differing == 0 and there.passed
