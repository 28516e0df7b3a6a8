"""What docs/layers.md tells of the layers that are read: rows of the readers' classes. `python -m edgekit.keras_models.reading.table`
prints it."""

from __future__ import annotations

from edgekit.keras_models.reading.replay import READERS

ROWS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("Conv2D", "QConv2D", "Dense", "QDense"),
        "Conv2D, Dense. A batch norm behind it is folded in, a ReLU or ReLU6 fused. Groups are zeros in the kernel",
    ),
    (
        ("DepthwiseConv2D", "QDepthwiseConv2D"),
        "DepthwiseConv2D; with a depth multiplier above 1 a Conv2D with zeros in its kernel",
    ),
    (("SeparableConv2D", "QSeparableConv2D"), "DepthwiseConv2D and Conv2D"),
    (("QConv2DBatchnorm",), "Conv2D, of the weights that qkeras folds"),
    (
        ("Conv2DTranspose", "QConv2DTranspose"),
        "zeros between the cells, and a Conv2D; strides the same in both directions",
    ),
    (("UpSampling2D", "DepthwiseUpsampling2D"), "DepthwiseConv2DTranspose; nearest neighbour, as many rows as columns"),
    (
        ("BatchNormalization", "QBatchNormalization", "Rescaling", "LayerScale", "ProgressiveNorm"),
        "into the weights in front; on its own into those of a 1x1 convolution or Dense behind it, else a 1x1 DepthwiseConv2D",
    ),
    (
        ("ReLU", "LeakyReLU", "ELU", "Activation", "QActivation"),
        "a fused clamp for ReLU and ReLU6; other bounds, slopes and functions (sigmoid, tanh, swish, gelu, hard_sigmoid, ...) a Lookup of "
        "256 entries. qkeras' quantizers are what they compute, bounds and hard functions too, but for their rounding",
    ),
    (("PReLU",), "DepthwiseConv2Ds with ReLU and an Add; one alpha a channel"),
    (
        ("Conv1D", "MaxPooling1D", "AveragePooling1D", "GlobalAveragePooling1D", "GlobalMaxPooling1D"),
        "as the layers of maps, on a map of one column",
    ),
    (("Multiply",), "Multiply, of two maps, or of a map and one number a channel, (1, 1, channels) or (channels,)"),
    (
        ("LayerNormalization",),
        "over the channels: batch norm, folded as above; its statistics are measured on the calibration images. Another function: train it",
    ),
    (
        ("OffsetAttention", "ReluAttention"),
        "two MatMuls, of ReLU attention. Another function than softmax attention: train it",
    ),
    (
        ("Add", "Subtract", "Concatenate"),
        "Add, Concat (of channels); all their tensors share a binary point. A vector may be added to a map",
    ),
    (
        ("TFOpLambda",),
        "as BatchNormalization: +, -, * and / by constants, as preprocess_input has them; + and * of two tensors",
    ),
    (("Average",), "one Dense, where two classifiers read one tensor"),
    (("ChannelSlice",), "a part of the Conv2D in front, else a Slice"),
    (
        (
            "MaxPooling2D",
            "GlobalMaxPooling2D",
            "AveragePooling2D",
            "GlobalAveragePooling2D",
            "QAveragePooling2D",
            "QGlobalAveragePooling2D",
        ),
        "MaxPool; means, without padding, depthwise convolutions",
    ),
    (("ZeroPadding2D",), "the padding of a convolution or pool behind it; elsewhere a 1x1 DepthwiseConv2D with padding"),
    (("Cropping2D",), "DepthwiseConv2D"),
    (("Flatten", "Reshape"), "nothing in front of a Dense, else Reshape"),
    (
        (
            *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
            *("ActivityRegularization", "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation"),
            *("RandomTranslation", "RandomZoom"),
        ),
        "nothing; a crop to the size that the image has",
    ),
    (("Softmax",), "at the end, over the channels: left out, the exact network returns logits, whose order is the same"),
)
"""Classes, and what they become in the exact form."""


def table() -> str:
    """In Markdown. Raises KeyError for a class of a row that has no reader."""
    lines = ["| Keras layer | becomes |", "| --- | --- |"]
    for classes, becomes in ROWS:
        for name in classes:
            READERS[name]
        lines.append(f"| {', '.join(classes)} | {becomes} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
