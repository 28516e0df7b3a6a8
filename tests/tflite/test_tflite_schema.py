"""LiteRT's schema is loaded where one of its names is used, not where a module of edgekit.tflite is imported."""

from __future__ import annotations

import subprocess
import sys

from edgekit.tflite import schema

WITHOUT_LITERT = """
import importlib, pkgutil, sys
sys.modules["ai_edge_litert"] = None  # importing it raises ImportError
import edgekit.tflite
for module in pkgutil.iter_modules(edgekit.tflite.__path__, "edgekit.tflite."):
    importlib.import_module(module.name)
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)


def test_every_module_can_be_imported_without_litert() -> None:
    done = python(WITHOUT_LITERT)
    assert done.returncode == 0, done.stderr


def test_doctor_runs_without_litert_and_says_how_to_get_it() -> None:
    done = python(WITHOUT_LITERT + "from edgekit.cli.main import main\nmain(['doctor'])")
    assert done.returncode == 0, done.stderr
    assert "ai-edge-litert" in done.stdout


def test_a_file_is_not_called_damaged_where_litert_is_missing() -> None:
    program = "\nfrom edgekit.tflite.reader import parse\ntry: parse(b'0000TFL30000')\nexcept ImportError: print('missing')"
    assert python(WITHOUT_LITERT + program).stdout == "missing\n"


def test_the_names_are_those_of_litert() -> None:
    from ai_edge_litert import schema_py_generated

    assert schema.ModelT is schema_py_generated.ModelT
    assert not hasattr(schema, "NoSuchTable") and not hasattr(schema, "__path__")
