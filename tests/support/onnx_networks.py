"""Makes tests/data/onnx: a tiny network of each family that PyTorch people use, as torch.onnx.export writes it.

Run it by hand where torch, onnx, onnxscript and onnxruntime are installed (the tests need none of them but onnx):

    python tests/support/onnx_networks.py tests/data/onnx

Beside the networks lies answers.npz: pictures, and onnxruntime's answers to them for each network and for a copy of it
with some channels of one convolution set to zero in the file. Weights are random, statistics and biases aren't 0 or 1.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.nn import functional

LABELS, SIDE, PICTURES = 7, 32, 24
# The way of exporting, the opset, and whether the number of images is left open.
EXPORTS = {"script13": (False, 13, False), "script17": (False, 17, True), "dynamo18": (True, 18, False),
           "dynamo": (True, None, True)}
PRUNED = [0, 2, 3]


def conv(into: int, out: int, size: Any = 3, act: type[nn.Module] | None = nn.ReLU, **settings: Any) -> nn.Sequential:
    """Convolution, batch normalisation and an activation."""
    padding = settings.pop("padding", size // 2 if isinstance(size, int) else tuple(s // 2 for s in size))
    layers = [nn.Conv2d(into, out, size, padding=padding, bias=False, **settings), nn.BatchNorm2d(out)]
    return nn.Sequential(*layers, *([act()] if act else []))


class Residual(nn.Module):
    """A body, added to what it is given, or to a shortcut of it."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, act: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut, self.act = body, shortcut or nn.Identity(), act or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


class Branches(nn.Module):
    """Several bodies side by side, their channels joined."""

    def __init__(self, *bodies: nn.Module) -> None:
        super().__init__()
        self.bodies = nn.ModuleList(bodies)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([body(x) for body in self.bodies], 1)


class Squeeze(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, channels: int, gate: nn.Module) -> None:
        super().__init__()
        self.pool, self.gate = nn.AdaptiveAvgPool2d(1), gate
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.up(functional.relu(self.down(self.pool(x)))))


class Shuffled(nn.Module):
    """ShuffleNet's unit: half of the channels go by, then both halves are shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(conv(half, half, 1), conv(half, half, act=None, groups=half), conv(half, half, 1))

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        joined = torch.cat((left, self.branch(right)), dim=1)
        n, c, h, w = joined.shape
        return joined.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class LayerNorm2d(nn.LayerNorm):
    """ConvNeXt's normalisation over channels."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    """Depthwise convolution, then a small network at each place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm, self.up = nn.LayerNorm(channels, 1e-6), nn.Linear(channels, 2 * channels)
        self.down = nn.Linear(2 * channels, channels)
        self.scale = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.scale * self.down(functional.gelu(self.up(y))).permute(0, 3, 1, 2)


class OptionA(nn.Module):
    """The shortcut without weights of the CIFAR ResNets: every other place, and channels of zeros."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))


class Normalised(nn.Module):
    """A picture's channels, each centred and scaled in the network itself."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


class ByChannel(nn.Module):
    """Inception's transform_input: channels taken out, scaled one by one and joined again."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, i].unsqueeze(1) * scale + shift
                          for i, (scale, shift) in enumerate(((0.458, -0.03), (0.448, -0.088), (0.45, -0.188)))], 1)


class Averaged(nn.Module):
    """The average of each channel, as x.mean."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean([2, 3])


class Turned(nn.Module):
    """A flattened map whose values aren't read by a dense layer at once."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.flatten(1))


def _head(channels: int, *before: nn.Module) -> list[nn.Module]:
    return [*before, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, LABELS)]


def _dense_block(channels: int, growth: int, units: int) -> nn.Sequential:
    def unit(into: int) -> nn.Sequential:
        return nn.Sequential(nn.BatchNorm2d(into), nn.ReLU(), nn.Conv2d(into, growth, 3, padding=1, bias=False))
    return nn.Sequential(*(Branches(nn.Identity(), unit(channels + i * growth)) for i in range(units)))


def _inverted(channels: int, inner: int, act: type[nn.Module], *between: nn.Module) -> Residual:
    return Residual(nn.Sequential(conv(channels, inner, 1, act), conv(inner, inner, 5, act, groups=inner), *between,
                                  conv(inner, channels, 1, None)))


FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "alexnet": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d((7, 7)), nn.Flatten(), nn.Dropout(), nn.Linear(12 * 49, 20), nn.ReLU(),
        nn.Linear(20, LABELS)),
    "vgg_bn": lambda: nn.Sequential(
        conv(3, 8), nn.MaxPool2d(2), conv(8, 10), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(),
        nn.Linear(10 * 64, LABELS)),
    "resnet": lambda: nn.Sequential(
        conv(3, 8, 7, stride=2), nn.MaxPool2d(3, 2, 1), Residual(nn.Sequential(conv(8, 8), conv(8, 8, act=None)),
                                                                 act=nn.ReLU()),
        Residual(nn.Sequential(conv(8, 4, 1), conv(4, 4, stride=2), conv(4, 12, 1, None)),
                 conv(8, 12, 1, None, stride=2), nn.ReLU()), *_head(12)),
    "mobilenet_v2": lambda: nn.Sequential(
        conv(3, 8, 3, nn.ReLU6, stride=2), _inverted(8, 16, nn.ReLU6), conv(8, 14, 1, nn.ReLU6),
        *_head(14, nn.Dropout())),
    "mobilenet_v3": lambda: nn.Sequential(
        conv(3, 8, 3, nn.Hardswish, stride=2), _inverted(8, 16, nn.Hardswish, Squeeze(16, nn.Hardsigmoid())),
        conv(8, 12, 1, nn.Hardswish), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 20), nn.Hardswish(),
        nn.Linear(20, LABELS)),
    "densenet": lambda: nn.Sequential(
        conv(3, 8, stride=2), nn.MaxPool2d(3, 2, 1), _dense_block(8, 4, 2), conv(16, 8, 1), nn.AvgPool2d(2),
        _dense_block(8, 4, 2), nn.BatchNorm2d(16), nn.ReLU(), *_head(16)),
    "efficientnet": lambda: nn.Sequential(
        conv(3, 8, 3, nn.SiLU, stride=2), _inverted(8, 16, nn.SiLU, Squeeze(16, nn.Sigmoid())),
        conv(8, 16, 1, nn.SiLU), *_head(16)),
    "inception": lambda: nn.Sequential(
        ByChannel(), conv(3, 8, stride=2), nn.MaxPool2d(3, 2, ceil_mode=True),
        Branches(conv(8, 4, 1), nn.Sequential(conv(8, 4, (1, 7)), conv(4, 4, (7, 1))),
                 nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(8, 4, 1)), nn.MaxPool2d(3, 1, 1)),
        Branches(conv(20, 6, 3, stride=2, padding=0), nn.MaxPool2d(3, 2)), *_head(26, nn.Dropout())),
    "squeezenet": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(8, 6, 1), nn.ReLU(),
        Branches(nn.Sequential(nn.Conv2d(6, 8, 1), nn.ReLU()), nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU())),
        nn.Dropout(), nn.Conv2d(16, LABELS, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "regnet": lambda: nn.Sequential(
        conv(3, 8, stride=2), Residual(nn.Sequential(
            conv(8, 12, 1), conv(12, 12, groups=3, stride=2), Squeeze(12, nn.Sigmoid()), conv(12, 12, 1, None)),
            conv(8, 12, 1, None, stride=2), nn.ReLU()), *_head(12)),
    "shufflenet": lambda: nn.Sequential(
        conv(3, 8, stride=2), nn.MaxPool2d(3, 2, 1), Shuffled(8), Shuffled(8), conv(8, 16, 1), Averaged(),
        nn.Linear(16, LABELS)),
    "convnext": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), LayerNorm2d(8, 1e-6), ConvNextBlock(8), LayerNorm2d(8), nn.Conv2d(8, 12, 2, 2),
        ConvNextBlock(12), nn.AdaptiveAvgPool2d(1), LayerNorm2d(12), nn.Flatten(), nn.Linear(12, LABELS)),
    "cifar_resnet": lambda: nn.Sequential(
        Normalised(), conv(3, 8), Residual(nn.Sequential(conv(8, 12, stride=2), conv(12, 12, act=None)), OptionA(),
                                           nn.ReLU()), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, LABELS)),
    "others": lambda: nn.Sequential(
        nn.ZeroPad2d((1, 2, 0, 1)), nn.Conv2d(3, 8, 3, dilation=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8), nn.MaxPool2d(3, 2, 1), nn.PReLU(8), nn.Conv2d(8, 8, 3),
        nn.ELU(), nn.AvgPool2d(3, 2, 1), nn.Conv2d(8, 6, 3), nn.AvgPool2d(3, 1, 1, count_include_pad=False),
        nn.Hardtanh(-0.5, 3), Turned(6 * 25), nn.Linear(150, 12), nn.Tanh(), nn.Linear(12, LABELS), nn.Softmax(1)),
}


def randomised(model: nn.Module) -> nn.Module:
    """The model with statistics, scales and biases that aren't 0 or 1, set to answer and not to train."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.6, 1.4)
            nn.init.uniform_(module.bias, -0.3, 0.3)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3)
            nn.init.uniform_(module.running_var, 0.6, 1.5)
    return model.eval()


def balanced(model: nn.Module, pictures: Tensor) -> nn.Module:
    """The model with labels that are told apart: each as likely as the others on these pictures."""
    last = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1]
    seen: list[Tensor] = []
    hook = last.register_forward_hook(lambda module, given, answer: seen.append(answer))
    with torch.no_grad():
        model(pictures)
        hook.remove()
        sums = seen[0].flatten(2).mean(2) if seen[0].ndim == 4 else seen[0]
        last.weight /= sums.std(0).mean()
        last.bias.copy_((last.bias - sums.mean(0)) / sums.std(0).mean() + (1 if sums is not seen[0] else 0))
    return model


def export(model: nn.Module, path: Path, dynamo: bool, opset: int | None, open_batch: bool) -> None:
    """Write a model in one of the two ways, as it comes but for notes on where on whose machine its code lies."""
    image = torch.rand(2 if open_batch and dynamo else 1, 3, SIDE, SIDE)
    settings: dict[str, Any] = {"dynamo": dynamo, "opset_version": opset, "verbose": False}
    if open_batch and dynamo:
        settings["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif open_batch:
        settings |= {"input_names": ["image"], "dynamic_axes": {"image": {0: "batch"}}}
    torch.onnx.export(model, (image,), path, **settings)
    found = onnx.load(path)
    graph = found.graph
    for thing in (found, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del thing.metadata_props[:]
        thing.doc_string = ""
    Path(f"{path}.data").unlink(missing_ok=True)
    outside = path.name == "resnet-dynamo.onnx"  # one keeps its weights outside, as all that are written this way do
    onnx.save(found, path, save_as_external_data=outside, location=f"{path.name}.data", size_threshold=1024)


def pruned(path: Path, into: Path) -> str:
    """Copy a network with the channels PRUNED of its last convolution but one set to zero; the name of its weights."""
    model = onnx.load(path)
    arrays = {array.name: array for array in model.graph.initializer}
    convs = [node for node in model.graph.node if node.op_type == "Conv" and arrays[node.input[1]].dims[0] >= 4]
    node = convs[-1 if len(convs) < 3 else -2]
    for name in node.input[1:]:
        values = onnx.numpy_helper.to_array(arrays[name]).copy()
        values[PRUNED] = 0
        copy = onnx.numpy_helper.from_array(values, f"{name}.pruned")
        model.graph.initializer.append(copy)
    for at in range(1, len(node.input)):
        node.input[at] += ".pruned"
    onnx.save(model, into)
    return node.input[1].removesuffix(".pruned")


def answers(path: Path, pictures: Any) -> Any:
    """What onnxruntime answers, one picture at a time."""
    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: picture[np.newaxis]})[0] for picture in pictures])


def main(folder: Path) -> None:
    """Write everything."""
    warnings.filterwarnings("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 230, (PICTURES, 4, 4, 3)).repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)
    pictures = (coarse + rng.integers(0, 26, coarse.shape)).astype(np.uint8)
    seen = pictures.transpose(0, 3, 1, 2).astype(np.float32) / 255
    found: dict[str, Any] = {"pictures": pictures, "pruned": np.asarray(PRUNED)}
    for family, make in FAMILIES.items():
        torch.manual_seed(len(family) + 20)
        model = balanced(randomised(make()), torch.from_numpy(seen))
        for way, settings in EXPORTS.items():
            path, name = folder / f"{family}-{way}.onnx", f"{family}-{way}"
            export(model, path, *settings)
            found[name] = answers(path, seen)
            found[f"{name}/layer"] = np.asarray(pruned(path, folder / "pruned.onnx"))
            found[f"{name}/pruned"] = answers(folder / "pruned.onnx", seen)
            print(f"{name}: {path.stat().st_size:,} bytes, {len(set(found[name].argmax(axis=1)))} labels", flush=True)
    (folder / "pruned.onnx").unlink()
    np.savez_compressed(folder / "answers.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
