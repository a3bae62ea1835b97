"""The layers, activations and operations a model may consist of. Whatever isn't here is refused unbuilt."""

from __future__ import annotations

from typing import Any

# What this program calls itself in the ONNX files that it writes, and knows them by.
PRODUCER = "GoodNet"

CONTAINERS = frozenset({"Model", "Functional", "Sequential"})

POOLING = frozenset({
    "MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling2D",
})

# Layers that treat every channel by itself, so a masked channel changes only its own outputs.
CHANNELWISE = POOLING | frozenset({
    "Activation", "ReLU", "LeakyReLU", "ELU", "BatchNormalization", "Dropout", "SpatialDropout2D",
    "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization", "Identity", "Rescaling",
    "ZeroPadding2D", "Cropping2D", "UpSampling2D", "Flatten",
})

MERGING = frozenset({
    "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "CustomScaleLayer",
})

LAYERS = CONTAINERS | CHANNELWISE | MERGING | frozenset({
    "InputLayer", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose", "Dense",
    "PReLU", "Softmax", "LayerNormalization", "GroupNormalization", "UnitNormalization", "Normalization",
    "MultiHeadAttention", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "LayerScale", "StochasticDepth",
    "Reshape", "Permute", "Resizing", "CenterCrop", "RandomFlip", "RandomRotation", "RandomZoom",
    "RandomTranslation", "RandomContrast", "RandomBrightness",
})

# Layers that Keras keeps beside the applications that they were made for.
HOMES = {**dict.fromkeys(("LayerScale", "StochasticDepth"), "keras.src.applications.convnext"),
         "CustomScaleLayer": "keras.src.applications.inception_resnet_v2"}

# Operations on tensors that Keras 3 stores by name, and where they live: those of a one-file GoodNet and
# plain arithmetic. Some share their name with a layer.
OPERATIONS = {
    **dict.fromkeys((
        "Argmax", "Equal", "Where", "Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Concatenate", "Mean",
        "Max", "Clip", "Reshape", "Squeeze", "ExpandDims", "Take", "Stack", "Pad", "Sqrt"), "keras.src.ops.numpy"),
    **dict.fromkeys(("OneHot", "Relu", "Softmax", "Gelu"), "keras.src.ops.nn"),
    "Cast": "keras.src.ops.core", "Erf": "keras.src.ops.math",
}

ELEMENTWISE_ACTIVATIONS = frozenset({
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "sigmoid",
    "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "tanh", "tanh_shrink", "softplus", "softsign",
    "exponential", "mish", "log_sigmoid", "soft_shrink", "hard_shrink", "squareplus", "sparse_plus",
    "sparse_sigmoid",
})
ACTIVATIONS = ELEMENTWISE_ACTIVATIONS | frozenset({"softmax", "log_softmax", "sparsemax"})
# clip(x / 6 + 0.5, 0, 1) since Keras 3, and clip(x / 5 + 0.5, 0, 1) before.
OTHER_IN_KERAS2 = frozenset({"hard_sigmoid"})

# Layers that Keras takes in the place of an activation.
ACTIVATION_LAYERS = frozenset({"ReLU", "LeakyReLU", "ELU", "Softmax"})

# How weights began and were held back in training. Checked and then left out: weights come from the file.
INITIALIZERS = frozenset({
    "Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
    "Orthogonal", "Identity", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal",
    "LecunUniform",
})
RESTRAINTS = frozenset({
    "L1", "L2", "L1L2", "OrthogonalRegularizer", "MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm",
})
POLICIES = frozenset({"DTypePolicy", "FloatDTypePolicy", "Policy"})
DTYPES = frozenset({"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"})
# All are computed in float32, the precision of the plain loop: halves are for training on GPUs, and weights of the
# mixed ones are float32 anyway.
WHOLE = dict.fromkeys(DTYPES, "float32")
INTEGERS = frozenset({"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})


def is_operation(module: Any) -> bool:
    """Whether what Keras keeps in a module is an operation on tensors and no layer, which may have the same name."""
    return isinstance(module, str) and module.startswith("keras.src.ops.")


def activation_name(layer: Any) -> str:
    """What the activation of a layer that is built is called; "" where it has none, or a layer in its place."""
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def ending_of(layer: Any) -> str:
    """The name of a built layer's activation; of one that is a softmax itself, that."""
    return "softmax" if type(layer).__name__ == "Softmax" else activation_name(layer)
