"""Early stopping, and a training that goes on after it was killed as if it had not been."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from edgekit.errors import EdgekitError
from edgekit.keras_models.files.model_files import load_model, save_model
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.qfx.quantize import quantize
from edgekit.keras_models.training.checkpoint import model_variables, remove_checkpoint
from edgekit.keras_models.training.distillation import Teacher
from edgekit.keras_models.training.fit import best_epoch, fit, is_over, learning_rates
from edgekit.keras_models.training.images import Images
from edgekit.keras_models.training.options import Fitted, Options, Step

OPTIONS = Options(4, 0.01, seed=3)


def images(count: int = 96, seed: int = 0) -> Images:
    """Classes are brightnesses, with noise, so that there is something to learn and not everything at once."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    return Images((rng.normal(size=(count, 6, 6, 3)) * 0.7 + labels[:, None, None, None] / 2 - 0.75).astype(np.float32), labels)


def float_model() -> Any:
    """With everything that has a state of its own: batch norm, dropout, moments of the optimizer."""
    keras = import_keras()
    keras.utils.set_random_seed(5)
    layers = keras.layers
    x = inputs = layers.Input((6, 6, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, use_bias=False)(x)))
    return keras.Model(inputs, layers.Dense(4)(layers.Dropout(0.3)(layers.Flatten()(x))))


def qfx_model() -> Any:
    return quantize(float_model(), images().images[:8]).model


def values(model: Any) -> list[Any]:
    return [variable.numpy() for variable in model_variables(model)]


def equal(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(np.array_equal(one, other) for one, other in zip(a, b, strict=True))


class Killed(Exception):
    pass


def killed_after(epoch: int, batch: int) -> Any:
    def on_step(step: Step) -> None:
        if (step.epoch, step.batch) == (epoch, batch):
            raise Killed

    return on_step


def train(model: Any, options: Options = OPTIONS, path: Path | None = None, **more: Any) -> Fitted:
    return fit(model, images(), options, held_out=images(40, 1), checkpoint=path, **more)


# --- early stopping --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "patience", "over", "reason"),
    [
        ([], 1, False, "nothing was measured"),
        ([0.5], 1, False, "the first epoch is the best"),
        ([0.5, 0.5], 1, True, "as good is not better"),
        ([0.5, 0.4], 2, False, "one epoch without a gain"),
        ([0.5, 0.4, 0.49], 2, True, "two epochs; 0.49 is better than 0.4, but not than the best"),
        ([0.5, 0.4, 0.51], 2, False, "a new best starts the count again"),
        ([0.5, 0.4, 0.51, 0.5, 0.5], 2, True, "two after the new best"),
        ([0.5, 0.4, 0.3, 0.2], None, False, "no patience was asked for"),
    ],
)
def test_when_training_is_over(measured: list[float], patience: int | None, over: bool, reason: str) -> None:
    assert is_over(measured, patience) == over, reason


def test_the_best_epoch_is_the_first_of_equals() -> None:
    assert best_epoch([0.3, 0.9, 0.5, 0.9]) == 2


def test_the_best_epochs_weights_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a made-up history: 3 epochs, the second one is the best, and after it comes one that is worse."""
    from edgekit.keras_models.training import fit as training

    def run(options: Options, measured: list[float]) -> tuple[Fitted, list[Any]]:
        made_up = iter(measured)
        monkeypatch.setattr(training, "accuracy", lambda *_: next(made_up))
        model = float_model()
        return train(model, options), values(model)

    # The learning rate falls over the epochs that were asked for, so 4 epochs are asked for in both.
    patient, kept = run(replace(OPTIONS, patience=1), [0.2, 0.9, 0.8])
    assert ([step.held_out for step in patient.history], patient.kept) == ([0.2, 0.9, 0.8], 2)
    whole: list[list[Any]] = []
    made_up = iter([0.2, 0.9, 0.8, 0.95])
    monkeypatch.setattr(training, "accuracy", lambda *_: next(made_up))
    model = float_model()
    done = train(model, OPTIONS, on_step=lambda step: whole.append(values(model)) if step.batch == step.batches else None)
    assert (done.kept, len(whole)) == (4, 4)
    assert equal(kept, whole[1]) and not equal(kept, whole[2])


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [float(learning_rates(Options(10, 0.4), 10)(step)) for step in range(101)]  # 100 steps, 5 of them rising
    assert rates[0] == pytest.approx(0.08)
    assert rates[5] == pytest.approx(0.4) and max(rates) == rates[5]
    assert rates[5 + 95 // 2 + 1] == pytest.approx(0.2, rel=0.02)
    assert rates[100] == pytest.approx(0, abs=1e-6)
    assert all(a > b for a, b in pairwise(rates[5:101]))
    assert float(learning_rates(Options(1, 0.4), 3)(0)) == pytest.approx(0.4)  # too few steps to rise over


# --- resume ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [float_model, qfx_model])
@pytest.mark.parametrize(("epoch", "batch"), [(1, 3), (3, 2)])
def test_a_training_that_was_stopped_ends_with_the_same_weights(make: Any, epoch: int, batch: int, tmp_path: Path) -> None:
    whole, path = make(), tmp_path / "m.checkpoint"
    untrained = values(whole)
    history = train(whole).history
    with pytest.raises(Killed):
        train(make(), path=path, on_step=killed_after(epoch, batch))
    resumed = make()
    done = train(resumed, path=path)
    assert done.resumed_after == (epoch if batch == 3 else epoch - 1)  # 3 batches make an epoch
    assert done.history == history
    assert equal(values(whole), values(resumed)) and not equal(values(whole), untrained)


def test_a_teacher_and_patience_are_resumed_too(tmp_path: Path) -> None:
    teacher, options = Teacher(float_model()), replace(OPTIONS, patience=3)
    whole, resumed, path = float_model(), float_model(), tmp_path / "m.checkpoint"
    train(whole, options, teacher=teacher)
    with pytest.raises(Killed):
        train(float_model(), options, path, teacher=teacher, on_step=killed_after(2, 3))
    assert train(resumed, options, path, teacher=teacher).resumed_after == 2
    assert equal(values(whole), values(resumed))


def test_a_training_that_had_ended_trains_no_more(tmp_path: Path) -> None:
    whole, again, steps = float_model(), float_model(), []
    train(whole, path=tmp_path / "m.checkpoint")
    assert train(again, path=tmp_path / "m.checkpoint", on_step=steps.append).resumed_after == 4
    assert steps == [] and equal(values(whole), values(again))


def test_each_epoch_draws_its_own_order_and_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a learning rate of nearly nothing, the same epoch twice would show the same losses."""
    model = float_model()
    losses = [step.loss for step in fit(model, images(), Options(3, 1e-12)).history]
    assert len(set(losses)) == 3


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    with pytest.raises(Killed):
        train(float_model(), path=tmp_path / "m.checkpoint", on_step=killed_after(2, 3))
    return tmp_path / "m.checkpoint"


def other_model() -> Any:
    model = float_model()
    model.set_weights([value * 1.5 for value in model.get_weights()])
    return model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"options": Options(5, 0.01, 3)}, "differs in: epochs 4, now 5. Give"),
        ({"options": Options(4, 0.02, 4)}, "differs in: learning_rate 0.01, now 0.02, seed 3, now 4. Give"),
        ({"options": replace(OPTIONS, patience=2)}, "differs in: patience None, now 2. Give"),
        ({"model": other_model}, "differs in: other model weights. Give"),
        ({"data": images(96, 7)}, "differs in: other images. Give"),
        ({"held_out": images(40, 7)}, "differs in: other held-out images. Give"),
        ({"teacher": True}, "differs in: other teacher weights, temperature None, now 4.0, weight of the teacher None, now 0.9. Give"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(checkpoint: Path, change: dict[str, Any], message: str) -> None:
    content = checkpoint.read_bytes()
    teacher = Teacher(float_model()) if change.get("teacher") else None
    data, held_out = change.get("data", images()), change.get("held_out", images(40, 1))
    model = change.get("model", float_model)()
    with pytest.raises(EdgekitError, match=message) as refusal:
        fit(model, data, change.get("options", OPTIONS), held_out=held_out, teacher=teacher, checkpoint=checkpoint)
    assert "--restart" in str(refusal.value)
    assert checkpoint.read_bytes() == content


def rewritten(path: Path, change: Any) -> None:
    """The archive with its members, name -> content, changed."""
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def array(value: Any, pickled: bool = False) -> bytes:
    content = BytesIO()
    np.save(content, value, allow_pickle=pickled)
    return content.getvalue()


def history(change: Any) -> Any:
    def rewrite(members: dict[str, bytes]) -> None:
        found = json.loads(members["training.json"])
        change(found)
        members["training.json"] = json.dumps(found).encode()

    return rewrite


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members.pop("training.json"),
        lambda members: members.pop("now_3.npy"),
        lambda members: members.update({"training.json": b"[]"}),
        lambda members: members.update({"training.json": b"{" * 100_000}),
        lambda members: members.update({"now_0.npy": b"no array"}),
        lambda members: members.update({"now_0.npy": array(np.zeros((3, 3, 3, 9), np.float32))}),
        lambda members: members.update({"now_0.npy": array(np.zeros((3, 3, 3, 8)))}),
        lambda members: members.update({"now_0.npy": array(np.full((3, 3, 3, 8), np.nan, np.float32))}),
        lambda members: members.update({"now_0.npy": array(np.array([print], object), pickled=True)}),
        lambda members: members.update({"best_0.npy": array(np.zeros(3, np.float32))}),
        history(lambda found: found.update(schema="edgekit-training/0")),
        history(lambda found: found.update(history=[])),
        history(lambda found: found["history"].reverse()),
        history(lambda found: found["history"][0].update(loss=float("nan"))),
        history(lambda found: found["history"][0].pop("loss")),
        history(lambda found: found["history"][0].update(accuracy=None)),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_refused(checkpoint: Path, change: Any) -> None:
    rewritten(checkpoint, change)
    before = values(model := float_model())
    with pytest.raises(EdgekitError, match=r"m.checkpoint' is no whole checkpoint .* --restart"):
        train(model, path=checkpoint)
    assert equal(before, values(model))


def test_so_is_one_that_is_cut_or_damaged(checkpoint: Path) -> None:
    content = checkpoint.read_bytes()
    for part in (
        b"",
        content[: len(content) // 2],
        b"PK" + content[100:],
        bytes([content[0]]) + content[1:3000] + b"\xff" * 500 + content[3500:],
    ):
        checkpoint.write_bytes(part)
        with pytest.raises(EdgekitError, match=r"is no whole checkpoint .* --restart"):
            train(float_model(), path=checkpoint)


def test_numbers_that_end_end_the_training_and_its_checkpoint(tmp_path: Path) -> None:
    data = images()
    data.images[0] = np.nan
    with pytest.raises(EdgekitError, match="no longer finite after epoch 1"):
        fit(float_model(), data, OPTIONS, checkpoint=tmp_path / "m.checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_refused_and_not_removed(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match=r"cannot read '.*': Is a directory"):
        train(float_model(), path=tmp_path)
    with pytest.raises(EdgekitError, match="cannot remove the checkpoint"):
        remove_checkpoint(tmp_path)
    remove_checkpoint(tmp_path / "none.checkpoint")


def test_patience_needs_images_to_be_measured_on() -> None:
    for options, held_out in ((replace(OPTIONS, patience=1), None), (replace(OPTIONS, patience=0), images(8))):
        with pytest.raises(EdgekitError, match="patience counts epochs"):
            fit(float_model(), images(), options, held_out=held_out)


def test_a_trained_model_is_saved_without_its_generators(tmp_path: Path) -> None:
    model = float_model()
    train(model, replace(OPTIONS, epochs=1))
    save_model(model, tmp_path / "m.keras")
    assert equal(values(model), values(load_model(tmp_path / "m.keras")))
