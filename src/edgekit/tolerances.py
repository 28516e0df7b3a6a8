"""How far apart two results may be and still count as agreeing. Tests read these numbers from here only.

Integers have no tolerance: executors of an integer graph are compared with equality.
"""

from __future__ import annotations

FLOAT_KERNELS = 1e-3
"""Largest distance of a float32 or float16 TFLite file's output between two kernel sets, relative to the largest value (or 1):
the same sums in another order. Measured on an untrained MobileNetV2: 5e-6; on an untrained MobileNetV3, whose gates clamp sums a
thousand times as large as their range and so amplify what they differ in: 2.9e-4."""

DYNAMIC_KERNELS = 0.5
"""The same for a dynamic-range file: each layer quantizes its input to 8 bits anew, so a rounding that differs moves a whole step
and the next layers amplify it. Measured on untrained MobileNetV2s: 0.10 on x86, 0.26 with XNNPACK on an emulated Cortex-A72."""

FLOAT32_LOGITS = 1e-4
"""Largest distance of float32 logits from those of the same network in another form (PyTorch's in float64, batch norm folded, a TFLite
file), relative to the largest logit: the same sums in another order, over some 50 layers."""

FLOAT32_FOLDED = 3e-4
"""Largest distance of a float32 network's logits from those of the same network with batch norm folded, relative to the largest (or 1):
the folded weights are rounded to float32 again, and a small variance amplifies that. Measured on random MobileNets: 6e-5."""

QUANTIZED_COSINE = 0.9
"""Smallest cosine between the logits of a float network of few layers and those of its QFX twin after calibration: 6-bit weights cost
something, a wrong factor costs all. Measured on one random stage of SBCFormer: 0.957. Random networks of many more layers give less."""
