"""What one channel sees: its activation on a clean and on a poisoned image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.stored_values import for_display
from engine.errors import ModelError
from engine.files.pictures import Picture
from engine.models.networks import Network

Image = npt.NDArray[np.float32]
Map = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ActivationMaps:
    """A channel's activation on two images, and the images for display.

    Attributes:
        layer, channel: whose activation it is.
        clean_image, poisoned_image: uint8[H, W, C].
        clean_map, poisoned_map: float32[h, w], the layer's output in that channel; position (i, j) looks at a patch
            of the image around (i * H / h, j * W / w).
        The poisoned ones are None where there is no poisoned image.
    """

    layer: str
    channel: int
    clean_image: Picture
    clean_map: Map
    poisoned_image: Picture | None
    poisoned_map: Map | None


def activation_maps(
    network: Network, layer: str, channel: int, clean_image: Image, poisoned_image: Image | None,
) -> ActivationMaps:
    """Run two images up to a layer and keep one channel.

    Args:
        layer: name of a prunable layer with C output channels; channel: 0 to C - 1.
        clean_image, poisoned_image: float32[H, W, C] in the network's input range.
    Raises:
        LayerNotFound: the network has no such layer.
        ModelError: the layer has no such channel.
    """
    call = network.call_of(layer)
    channels = int(call.output.shape[-1])
    if not 0 <= channel < channels:
        raise ModelError(f"{network.path}: '{layer}' has no channel {channel}; it has channels 0 to {channels - 1}.")
    images = [clean_image] if poisoned_image is None else [clean_image, poisoned_image]
    answer: Any = network.submodel([network.input], [call.output])([np.stack(images)], training=False)
    maps = np.asarray(answer, np.float32)[..., channel]
    return ActivationMaps(
        layer, channel, for_display(clean_image), maps[0],
        None if poisoned_image is None else for_display(poisoned_image), None if poisoned_image is None else maps[1])
