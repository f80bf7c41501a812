"""What a vision feature holds of a colour: a linear probe, and the histogram it has to come near.

The gate of a small tower: where a linear map cannot read the colour of held-out products from the cached features, no
language model will, and stage 2 need not be started (the trial in the reference: tower 0.41, histogram 0.60).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

COARSE = {
    "black": "black charcoal",
    "white": "white cream off-white ivory",
    "grey": "grey gray silver steel melange metallic",
    "blue": "blue navy turquoise teal",
    "brown": "brown tan coffee copper bronze rust khaki taupe mushroom chocolate",
    "red": "red maroon burgundy",
    "green": "green olive lime",
    "purple": "purple lavender mauve violet",
    "pink": "pink peach magenta rose",
    "yellow": "yellow gold golden mustard",
    "orange": "orange",
    "beige": "beige nude skin sand",
}
"""Twelve colours, and the shop's names for each."""
_COARSE_OF = {word: coarse for coarse, words in COARSE.items() for word in words.split()}


def coarse_colour(name: str) -> str | None:
    """One of twelve colours for a shop's name of one, e.g. blue for `Navy Blue`; None where it names none.

    Of two colours the last one counts, as in `coffee brown`.
    """
    known = [_COARSE_OF[word] for word in name.lower().replace("off white", "off-white").split() if word in _COARSE_OF]
    return known[-1] if known else None


def histogram(image: Image.Image, side: int = 64) -> NDArray[np.float32]:
    """Shares of 64 colour cells, 4 steps each of red, green and blue: shape (64,)."""
    pixels = np.asarray(image.convert("RGB").resize((side, side)), dtype=np.int64) // 64
    cells = (pixels[..., 0] * 16 + pixels[..., 1] * 4 + pixels[..., 2]).ravel()
    shares: NDArray[np.float32] = (np.bincount(cells, minlength=64) / cells.size).astype(np.float32)
    return shares


def pooled(features: torch.Tensor) -> torch.Tensor:
    """An image's features (crops, d) at one width, however many crops: the whole image's, then the tiles' mean."""
    return torch.cat([features[0], features[1:].mean(0)]).float()


def probe(
    train: tuple[torch.Tensor, Sequence[str]], test: tuple[torch.Tensor, Sequence[str]], penalty: float = 1e-3
) -> float:
    """Accuracy on held-out examples of a logistic regression on standardised features.

    Args:
        train, test: features (n, d) and n labels. Test labels that training does not have count as missed.
        penalty: of the squared weights, against the mean loss.
    """
    features, labels = train
    mean, spread = features.float().mean(0), features.float().std(0).clamp_min(1e-6)
    x = ((features.float() - mean) / spread).double()
    names = sorted(set(labels))
    y = torch.tensor([names.index(label) for label in labels])
    weight = torch.zeros(x.shape[1], len(names), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(names), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(x @ weight + bias, y) + penalty * weight.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    scores = ((test[0].float() - mean) / spread).double() @ weight.detach() + bias.detach()
    found: list[str] = [names[i] for i in scores.argmax(1).tolist()]
    right = sum(name == label for name, label in zip(found, test[1], strict=True))
    return right / len(found)
