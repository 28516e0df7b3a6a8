"""Every argument of every layer that is read: honoured by its reader, without effect on inference, or allowed at one value only.

A test walks the constructors of all these layers, so that no argument is dropped unseen. Keras' names, with its defaults as Keras keeps
them on a layer.
"""

from __future__ import annotations

from typing import Any

from edgekit.keras_models.reading.keras_layer import refuse

WITHOUT_EFFECT = frozenset(
    {
        *("name", "trainable", "dtype", "activity_regularizer", "seed", "common", "kwargs"),
        # training alone looks at them
        *("momentum", "synchronized", "rate", "noise_shape", "stddev", "initial", "robust_masking", "l1", "l2"),
        *("renorm", "renorm_clipping", "renorm_momentum", "fused", "virtual_batch_size", "adjustment"),
        *("ema_freeze_delay", "folding_mode"),
        # old arguments of qkeras, of which it makes constraints
        *("kernel_range", "bias_range", "depthwise_range", "beta_range", "gamma_range"),
    }
)
"""Of any layer; so is all that ends in one of ENDINGS. `dtype`: a mixed_float16 model is read in float32."""
ENDINGS = ("_initializer", "_regularizer", "_constraint")
ONLY: dict[str, Any] = {"data_format": "channels_last"}
"""Of any layer that has them: the one value that is read."""

_CONVOLUTION = ("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "activation", "use_bias")
_DEPTHWISE = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier", "activation", "use_bias")
_DENSE = ("units", "activation", "use_bias")
_TRANSPOSED = ("filters", "kernel_size", "strides", "padding", "output_padding", "dilation_rate", "activation", "use_bias")
_POOL = ("pool_size", "strides", "padding")
DROPPED: dict[str, tuple[str, ...]] = {
    "QBatchNormalization": ("activation",),  # qkeras keeps it and does nothing with it
    "RandomBrightness": ("factor", "value_range"),
    "RandomContrast": ("factor",),
    "RandomFlip": ("mode",),
    "RandomRotation": ("factor", "fill_mode", "interpolation", "fill_value"),
    "RandomTranslation": ("height_factor", "width_factor", "fill_mode", "interpolation", "fill_value"),
    "RandomZoom": ("height_factor", "width_factor", "fill_mode", "interpolation", "fill_value"),
}
"""By class: what is without effect, too. Augmentation does nothing in inference."""
HONOURED: dict[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "ActivityRegularization": (),
    "Add": (),
    "AlphaDropout": (),
    "Average": (),
    "AveragePooling1D": _POOL,
    "AveragePooling2D": _POOL,
    "BatchNormalization": ("axis", "epsilon", "center", "scale"),
    "ChannelSlice": ("start", "count"),
    "Concatenate": ("axis",),
    "Conv1D": _CONVOLUTION,
    "Conv2D": _CONVOLUTION,
    "Conv2DTranspose": _TRANSPOSED,
    "Cropping2D": ("cropping",),
    "Dense": _DENSE,
    "DepthwiseConv2D": _DEPTHWISE,
    "DepthwiseUpsampling2D": ("factor",),
    "Dropout": (),
    "ELU": ("alpha",),
    "Flatten": (),
    "GaussianDropout": (),
    "GaussianNoise": (),
    "GlobalAveragePooling1D": ("keepdims",),
    "GlobalAveragePooling2D": ("keepdims",),
    "GlobalMaxPooling1D": ("keepdims",),
    "GlobalMaxPooling2D": ("keepdims",),
    "LayerNormalization": ("axis", "epsilon", "center", "scale"),
    "LayerScale": (),
    "LeakyReLU": ("alpha",),
    "MaxPooling1D": _POOL,
    "MaxPooling2D": _POOL,
    "Multiply": (),
    "OffsetAttention": ("heads",),
    "PReLU": ("shared_axes",),
    "ProgressiveNorm": ("epsilon",),
    "QActivation": ("activation",),
    "QAveragePooling2D": (*_POOL, "average_quantizer", "activation"),
    "QBatchNormalization": (
        "axis",
        "epsilon",
        "center",
        "scale",
        "beta_quantizer",
        "gamma_quantizer",
        "mean_quantizer",
        "variance_quantizer",
    ),
    "QConv2D": (*_CONVOLUTION, "kernel_quantizer", "bias_quantizer"),
    "QConv2DBatchnorm": (*_CONVOLUTION, "kernel_quantizer", "bias_quantizer", "axis", "epsilon", "center", "scale"),
    "QConv2DTranspose": (*_TRANSPOSED, "kernel_quantizer", "bias_quantizer"),
    "QDense": (*_DENSE, "kernel_quantizer", "bias_quantizer"),
    "QDepthwiseConv2D": (*_DEPTHWISE, "depthwise_quantizer", "bias_quantizer"),
    "QGlobalAveragePooling2D": ("keepdims", "average_quantizer", "activation"),
    "QSeparableConv2D": ("filters", *_DEPTHWISE, "depthwise_quantizer", "pointwise_quantizer", "bias_quantizer"),
    "RandomBrightness": (),
    "RandomContrast": (),
    "RandomCrop": ("height", "width"),
    "RandomFlip": (),
    "RandomRotation": (),
    "RandomTranslation": (),
    "RandomZoom": (),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "ReluAttention": ("heads",),
    "Rescaling": ("scale", "offset"),
    "Reshape": ("target_shape",),
    "SeparableConv2D": ("filters", *_DEPTHWISE),
    "Softmax": ("axis",),
    "SpatialDropout1D": (),
    "SpatialDropout2D": (),
    "Subtract": (),
    "TFOpLambda": ("function",),
    "UpSampling2D": ("size", "interpolation"),
    "ZeroPadding2D": ("padding",),
}
"""By class: what its reader looks at. A value that it cannot read it refuses by name."""


def require_readable_arguments(layer: Any) -> None:
    """Raises UnsupportedLayer for an argument of ONLY with another value."""
    for name, wanted in ONLY.items():
        value = getattr(layer, name, wanted)
        if value != wanted and name not in HONOURED[type(layer).__name__]:
            raise refuse(layer, f"{name}={value}")


def require_inference(layer: Any, call: dict[str, Any]) -> None:
    """Raises UnsupportedLayer for a layer that the model calls for training even in inference, or with anything but tensors."""
    for name, value in call.items():
        if name == "training" and not value:
            continue
        if value is not None and name != "inputs":
            raise refuse(layer, f"{name}={value} where the model calls it")
