"""What commands make of words that are left out, and of what is said of pixels."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.cli.options import check_channel_order, chosen_model, read_preprocessing
from edgekit.errors import EdgekitError, UnknownName
from edgekit.images.preprocessing import IMAGENET, MINUS_ONE_TO_ONE, RAW, ZERO_TO_ONE, Preprocessing, then


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_model_the_only_file_is_taken_else_mobilenet_v2(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen_model(None) == "mobilenet_v2" and "taking mobilenet_v2, as no model files are here" in capsys.readouterr().err
    (here / "notes.txt").touch()
    (here / "folder.keras").mkdir()
    (here / "mine.keras").touch()
    assert chosen_model(None) == "mine.keras" and "taking mine.keras, the only model file here" in capsys.readouterr().err
    assert chosen_model("mnasnet") == "mnasnet" and not capsys.readouterr().err
    (here / "other.H5").touch()
    assert chosen_model(None) == "mobilenet_v2" and "as 2 model files are here" in capsys.readouterr().err


def test_options_of_a_network_mean_the_network_and_no_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "weights.h5").touch()
    assert chosen_model(None, None, Path("weights.h5")) == "mobilenet_v2"
    assert "whose options were given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-1..1", MINUS_ONE_TO_ONE),
        ("0..1", ZERO_TO_ONE),
        ("0..255", RAW),
        ("imagenet", IMAGENET),
        ("127.5/127.5", MINUS_ONE_TO_ONE),
        ("123.675,116.28,103.53/58.395,57.12,57.375", IMAGENET),
        ("103.9,116.8,123.7/1", Preprocessing((103.9, 116.8, 123.7), (1.0,))),
        ("-128/1e0", Preprocessing((-128.0,), (1.0,))),
    ],
)
def test_preprocessing_in_words_and_numbers(text: str, wanted: Preprocessing) -> None:
    assert read_preprocessing(text) == wanted


@pytest.mark.parametrize("text", ["", "0-1", "127.5", "1/0", "1,2/1", "1,2,3/1,2,3,4", "nan/1", "1/inf", "a/b", "1/2/3"])
def test_anything_else_is_refused_with_the_list(text: str) -> None:
    with pytest.raises(EdgekitError, match=r"-1\.\.1, 0\.\.1, 0\.\.255, imagenet, or .*MEAN/STD or R,G,B/R,G,B"):
        read_preprocessing(text)


def test_nothing_said_and_the_order_of_channels() -> None:
    assert read_preprocessing(None) is None
    assert (check_channel_order("rgb"), check_channel_order("bgr")) == ("rgb", "bgr")
    with pytest.raises(UnknownName):
        check_channel_order("gbr")


def test_a_factor_and_a_summand_behind_a_preprocessing_are_one() -> None:
    assert then(RAW, [1 / 127.5], [-1.0]) == MINUS_ONE_TO_ONE
    assert then(RAW, [1 / 255], [0.0]) == ZERO_TO_ONE
    assert then(ZERO_TO_ONE, [2.0], [-1.0]) == MINUS_ONE_TO_ONE
    assert then(ZERO_TO_ONE, [2.0, 4.0], [0.0, -2.0]) == Preprocessing((0.0, 127.5), (127.5, 63.75))
