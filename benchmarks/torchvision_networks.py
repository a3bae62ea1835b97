"""torchvision's networks at their full size, with random weights: what is opened here against onnxruntime.

PyTorch takes gigabytes and isn't one of this project's packages, so there are two steps:

    python benchmarks/torchvision_networks.py export FOLDER     # where torch, torchvision, onnxscript, onnxruntime are
    .venv/bin/python -m benchmarks.torchvision_networks compare FOLDER [NAME ...]

The second one prints a row a network: the largest difference of its answers as a part of their range, the layer that is
pruned by default, and on how many of five pruning steps the labels are those of a copy with zeros in its weights.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("alexnet", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d", "mobilenet_v2", "mobilenet_v3_small",
         "mobilenet_v3_large", "mnasnet1_0", "densenet121", "efficientnet_b0", "googlenet", "inception_v3",
         "squeezenet1_1", "regnet_y_400mf", "shufflenet_v2_x1_0", "convnext_tiny")
WAYS: dict[str, dict[str, Any]] = {"script": {"dynamo": False, "opset_version": 13}, "dynamo": {"dynamo": True}}
PICTURES, STEPS = 4, 5


def export(folder: Path) -> None:
    """Write each network in both ways, and onnxruntime's answers to some pictures."""
    try:
        import onnxruntime
        import torch
        from torchvision import models
    except ImportError as error:
        sys.exit(f"skipped: {error.name} isn't installed here")
    warnings.filterwarnings("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        torch.manual_seed(0)
        settings = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        model = getattr(models, name)(weights=None, **settings).eval()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for values, low, high in ((module.running_mean, -0.2, 0.2), (module.running_var, 0.6, 1.5),
                                          (module.weight, 0.6, 1.4), (module.bias, -0.2, 0.2)):
                    torch.nn.init.uniform_(values, low, high)
        side = 299 if name == "inception_v3" else 224
        pictures = np.random.default_rng(1).uniform(0, 1, (PICTURES, 3, side, side)).astype(np.float32)
        for way, how in WAYS.items():
            path = folder / f"{name}-{way}.onnx"
            torch.onnx.export(model, (torch.zeros(1, 3, side, side),), path, verbose=False, **how)
            session = onnxruntime.InferenceSession(path)
            given = session.get_inputs()[0].name
            answers = [session.run(None, {given: picture[np.newaxis]})[0] for picture in pictures]
            np.savez(path.with_suffix(".npz"), pictures=pictures, answers=np.concatenate(answers))


def compare(folder: Path, names: list[str]) -> None:
    """Print the table."""
    from engine.models.networks import open_network
    from engine.progress import NEVER_CANCELLED
    from engine.pruning.incremental import predictor_for

    print("network                        difference  steps  default layer")
    for path in sorted(folder.glob("*.onnx")):
        if names and path.stem.rsplit("-", 1)[0] not in names:
            continue
        with np.load(path.with_suffix(".npz")) as found:
            pictures, expected = np.ascontiguousarray(found["pictures"].transpose(0, 2, 3, 1)), found["answers"]
        network = open_network(path)
        difference = np.abs(network.predict(pictures) - expected).max() / (expected.max() - expected.min())
        layer = network.default_layer()
        order = np.random.default_rng(0).permutation(network.prunable_layers()[layer])
        predictor = predictor_for(network, layer)
        labels = predictor.labels(predictor.features(pictures), order, NEVER_CANCELLED)
        steps = np.linspace(0, len(order), STEPS, dtype=int)
        equal = sum(bool((network.pruned(layer, order[:step].tolist()).predict_labels(pictures) == labels[step]).all())
                    for step in steps)
        print(f"{path.stem:30} {difference:10.1e}  {equal}/{STEPS}    {layer}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("export", "compare"):
        sys.exit(__doc__)
    if sys.argv[1] == "export":
        export(Path(sys.argv[2]))
    else:
        compare(Path(sys.argv[2]), sys.argv[3:])
