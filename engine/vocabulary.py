"""The layers, activations and operations a model may consist of. Whatever isn't here is refused unbuilt."""

from __future__ import annotations

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

MERGING = frozenset({"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"})

LAYERS = CONTAINERS | CHANNELWISE | MERGING | frozenset({
    "InputLayer", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose", "Dense",
    "PReLU", "Softmax", "LayerNormalization", "GroupNormalization", "UnitNormalization", "Normalization",
    "Reshape", "Permute", "Resizing", "CenterCrop", "RandomFlip", "RandomRotation", "RandomZoom",
    "RandomTranslation", "RandomContrast", "RandomBrightness", "RandomCrop",
})

# Operations on tensors that Keras 3 stores by name; those of a one-file GoodNet and plain arithmetic.
OPERATIONS = frozenset({
    "Argmax", "Equal", "Where", "OneHot", "Cast", "Add", "Subtract", "Multiply", "Divide", "TrueDivide",
    "Concatenate", "Relu", "Softmax", "Mean", "Max", "Clip", "Reshape", "Squeeze", "ExpandDims",
})

ELEMENTWISE_ACTIVATIONS = frozenset({
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish", "sigmoid",
    "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "tanh", "tanh_shrink", "softplus", "softsign",
    "exponential", "mish", "log_sigmoid", "soft_shrink", "hard_shrink", "squareplus", "sparse_plus",
    "sparse_sigmoid", "threshold",
})
ACTIVATIONS = ELEMENTWISE_ACTIVATIONS | frozenset({"softmax", "log_softmax", "glu", "sparsemax"})

# Parts of layers that Keras stores as objects: how weights began, were held back and typed.
PARTS = frozenset({
    "Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
    "Orthogonal", "Identity", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal",
    "LecunUniform", "L1", "L2", "L1L2", "OrthogonalRegularizer", "MaxNorm", "NonNeg", "UnitNorm",
    "MinMaxNorm", "DTypePolicy", "FloatDTypePolicy", "Policy",
})
STRUCTURE = frozenset({"__keras_tensor__", "__tuple__"})
