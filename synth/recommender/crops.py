"""An image as the crops that LLaVA-NeXT looks at: the whole one scaled, then tiles of a grid that suits its shape.

How many there are depends on the image: 5 for a square of 337 pixels or more, 3 for one of aspect 1.5 at 500 pixels.
LaViC's code takes five for granted, pads shorter stacks with zeros and lets them through (reference: B6); here an
image has the crops it has, and no others.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from synth.errors import SynthError


def open_image(path: Path) -> Image.Image:
    """A picture as RGB; what is transparent in it becomes white.

    Raises:
        SynthError: the file is missing or damaged.
    """
    try:
        with Image.open(path) as file:
            file.load()
            image: Image.Image = file
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                return Image.alpha_composite(white, image).convert("RGB")
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SynthError(f"The picture {path} cannot be read: {error}.", "Replace it, or take it out.") from error


def image_hash(path: Path) -> str:
    """The first 32 hex digits of the file's sha256: a picture's name in every cache, as in a catalogue.

    Raises:
        SynthError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise SynthError(
            f"The picture {path} cannot be read: {error.strerror}.", "Replace it, or take it out."
        ) from error


def crops(image: Image.Image, processor: Any) -> torch.Tensor:
    """The crops of one image, and no padding.

    Args:
        image: RGB.
        processor: a LLaVA-NeXT image processor.

    Returns:
        (n_real, 3, H, W), float32: the whole image first, then the tiles in reading order.
    """
    # Told where the channels are: of an image 3 pixels high the processor would guess wrong.
    pixels = processor(np.asarray(image), input_data_format="channels_last", return_tensors="pt")["pixel_values"][0]
    if len(pixels) != count(image.size, processor):
        raise SynthError(
            f"The image processor made {len(pixels)} crops of a picture of {image.width}x{image.height} pixels where "
            f"{count(image.size, processor)} were expected.",
            "Its settings contradict each other: check image_grid_pinpoints, size and crop_size.",
        )
    return torch.as_tensor(pixels, dtype=torch.float32)


def count(size: tuple[int, int], processor: Any) -> int:
    """How many crops an image of this width and height has, without making them."""
    from transformers.image_processing_utils import select_best_resolution

    width, height = size
    best_height, best_width = select_best_resolution((height, width), processor.image_grid_pinpoints)
    side = processor.crop_size["height"]
    return int(-(-best_height // side) * -(-best_width // side)) + 1
