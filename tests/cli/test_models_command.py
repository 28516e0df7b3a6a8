"""edgekit models: what it lists, and that it needs no TensorFlow for it."""

from __future__ import annotations

import json
import subprocess
import sys

from edgekit.keras_models import NETWORKS


def models(*words: str) -> str:
    probe = (
        "import sys\nfrom edgekit.cli.main import main\n"
        f"try: main(['models', *{words!r}])\nfinally: assert not {{'tensorflow', 'tf_keras'}} & set(sys.modules)"
    )
    return subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True).stdout


def test_lists_every_network_and_says_what_is_published() -> None:
    shown = models()
    assert all(f"\n{name} " in shown for name in NETWORKS)
    assert "published" in shown and "not measured by edgekit" in shown
    xs, ti = (next(line for line in shown.splitlines() if line.startswith(name)) for name in ("sbcformer_xs", "rapidnet_ti"))
    assert "5,594,161" in xs and "75.8" in xs and "int8, qfx, hls" in xs
    assert "6,627,840" in ti and "int8, int16x8, qfx, hls" in ti


def test_one_network_shows_its_layers_which_add_up() -> None:
    listing = json.loads(models("mnasnet_a1", "--json"))["networks"][0]
    plain = next(row for row in listing["variants"] if row["alpha"] == 1.0)
    assert sum(layer["params"] for layer in listing["layers"]) == plain["params"] == 3_887_038
    assert sum(layer["macs"] for layer in listing["layers"]) == plain["macs"]
    stem = listing["layers"][0]
    assert stem == {"name": "stem", "kind": "conv 3x3/2, relu", "output": [112, 112, 32], "params": 928, "macs": 10_838_016}
    assert "block_3_se_reduce" in models("mnasnet_a1")
