"""The command line's manners: fast help, exit codes, one message for an error, one JSON object on stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekit import __version__
from edgekit.cli import main as main_module
from edgekit.cli.main import main
from edgekit.cli.signals import Signalled, signals_raise
from edgekit.errors import EdgekitError

HEAVY = ("tensorflow", "tf_keras", "qkeras", "hls4ml", "onnx", "onnxruntime", "ai_edge_litert", "sklearn", "PIL", "numpy")


def edgekit(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgekit", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=60)


def exit_code(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(words)
    return int(stop.value.code or 0)


def test_help_imports_nothing_heavy_and_is_fast() -> None:
    probe = (
        f"import sys\nfrom edgekit.cli.main import main\ntry: main(['--help'])\nfinally: print([m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60)
    assert "verify" in done.stdout and done.stdout.splitlines()[-1] == "[]"
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        assert edgekit("--help").returncode == 0
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 1


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"edgekit {__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verfy"], "Did you mean 'verify'?"),
        (["verify"], "DIR"),
        (["verify", "nowhere"], "nowhere is no folder"),
        (["verify", "x", "--inputs", "0"], "--inputs"),
        (["verify", "x", "--inptus", "9"], "--inputs"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_exit_code_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(*words) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and message in shown.err and "Traceback" not in shown.err


def test_debug_shows_the_traceback_wherever_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--debug", "verify", "nowhere"], ["verify", "nowhere", "--debug"]):
        assert exit_code(*words) == 2
        assert "Traceback" in capsys.readouterr().err


def test_an_error_is_json_where_json_was_asked_for() -> None:
    for words in (["verify", "nowhere", "--json"], ["verfy", "--json"]):
        done = edgekit(*words)
        assert done.returncode == 2
        assert list(json.loads(done.stdout)) == ["error"]


def test_stdout_is_kept_for_the_json_object() -> None:
    """What a library or a child process prints on stdout comes out on stderr."""
    probe = (
        "import os, sys\nfrom edgekit.cli.output import claimed_stdout, print_json\nwith claimed_stdout():\n"
        "    print('python'); os.write(1, b'library\\n'); os.system('echo child'); print_json({'a': 1})"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == {"a": 1}
    assert {"python", "library", "child"} <= set(done.stderr.split())


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (EdgekitError("no such thing"), 2, "edgekit: no such thing"),
        # A fault of ours must not end with 1, which says that a check failed.
        (IndexError("oops"), 2, "unexpected IndexError: oops"),
    ],
)
def test_errors_of_a_command(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(main_module, "app", app)
    assert exit_code("doctor") == code
    shown = capsys.readouterr()
    assert message in shown.err and "Traceback" not in shown.err


def test_a_closed_pipe_is_no_error() -> None:
    shell = f"{sys.executable} -m edgekit doctor | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and "fault" not in done.stderr


def test_doctor_names_tools_and_how_to_get_them(tmp_path: Path) -> None:
    tool = tmp_path / "my-g++"
    tool.write_text("#!/bin/sh\necho my-g++ 99.1\n")
    tool.chmod(0o755)
    found = json.loads(edgekit("doctor", "--json", EDGEKIT_CXX=str(tool), EDGEKIT_ADB=str(tmp_path / "none")).stdout)
    assert list(found) == ["python", "system", "packages", "tools", "executors", "emulators"]
    tools = {one["name"]: one for one in found["tools"]}
    assert (tools["g++"]["path"], tools["g++"]["version"], tools["g++"]["missing"]) == (str(tool), "my-g++ 99.1", None)
    assert tools["adb"]["path"] is None and "EDGEKIT_ADB is" in tools["adb"]["missing"]
    assert [one["name"] for one in found["executors"]][:2] == ["reference", "keras"]
    text = edgekit("doctor", EDGEKIT_ADB=str(tmp_path / "none"), PATH=str(tmp_path)).stdout
    assert "EDGEKIT_VIVADO" in text and "apt install g++" in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_asks_to_end_is_raised_once(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Signalled, match=f"ended by {number.name}") as raised, signals_raise():
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), number)  # while it cleans up
    assert raised.value.code == 128 + number and signal.getsignal(number) == before


def test_a_command_that_is_asked_to_end_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import edgekit.bundle

    monkeypatch.setattr(edgekit.bundle, "open_bundle", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert exit_code("bench", "nothing") == 143
    assert capsys.readouterr().err == "edgekit: ended by SIGTERM\n"


def test_control_characters_in_names_are_shown_and_not_carried_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("models", "\x1b[2J") == 2
    assert "\x1b" not in (said := capsys.readouterr().err) and "\\x1b[2J" in said
