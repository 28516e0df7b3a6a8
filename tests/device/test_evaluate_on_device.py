"""The accuracy that a device has, beside this machine's."""

from __future__ import annotations

import pytest

from edgekit.jobs import evaluate_models


@pytest.mark.emulator
def test_the_emulated_device_has_the_same_accuracy(make_bundle):
    folder = str(make_bundle().folder)
    here = evaluate_models([folder], data="digits", limit=30)
    there = evaluate_models([folder], data="digits", limit=30, on="emulated", executors=["tflite-reference", "tflite-xnnpack"])
    assert [row.executor for row in there.rows] == ["rpi4-ai-edge-litert-reference", "rpi4-ai-edge-litert-xnnpack"]
    assert {row.top1 for row in there.rows} == {here.rows[0].top1} and there.rows[1].differing == 0
