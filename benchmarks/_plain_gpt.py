"""A GPT as it is usually written: the baseline of the networks over characters.

One class a layer, the queries, keys and values of all heads from one product, PyTorch's
fused attention, and no cache: to compose a character, it reads the whole text again.
The sizes are those of a `CharacterDecoder`, whose weights it can take over.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, gelu, scaled_dot_product_attention

from handwriting_lib import CharacterDecoder


class Block(nn.Module):
    """Attention and a feedforward part, each with a norm before and a residual."""

    def __init__(self, width: int, heads: int, share: float) -> None:
        super().__init__()
        self.heads, self.share = heads, share
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, T, D)` to `(B, T, D)`."""
        batch, length, width = x.shape
        shape = (batch, length, self.heads, width // self.heads)
        query, key, value = (
            each.view(shape).transpose(1, 2)
            for each in self.project(self.norm_1(x)).split(width, 2)
        )
        mixed = scaled_dot_product_attention(query, key, value, is_causal=True)
        read = self.output(mixed.transpose(1, 2).reshape(x.shape))
        x = x + dropout(read, self.share, self.training)
        wide = self.down(gelu(self.up(self.norm_2(x))))
        return x + dropout(wide, self.share, self.training)


class PlainGPT(nn.Module):
    """The decoder without a cache.

    Args:
        like: decoder whose sizes and weights it takes.
    """

    def __init__(self, like: CharacterDecoder) -> None:
        super().__init__()
        sizes = like.config
        self.block, self.share = sizes.block, sizes.dropout
        self.symbols = nn.Embedding(sizes.symbols, sizes.width)
        self.positions = nn.Embedding(sizes.block, sizes.width)
        self.layers = nn.ModuleList(
            Block(sizes.width, sizes.heads, sizes.dropout) for _ in range(sizes.layers)
        )
        self.norm = nn.LayerNorm(sizes.width)
        self.output = nn.Linear(sizes.width, sizes.symbols)
        renamed = {"norm_past": "norm_1", "norm_wide": "norm_2", "past.": ""}
        weights = like.state_dict()
        for old, new in renamed.items():
            weights = {name.replace(old, new): w for name, w in weights.items()}
        self.load_state_dict(weights)

    def forward(self, text: Tensor) -> Tensor:
        """The scores `(B, T, V)` of the next character, for `(B, T)` characters."""
        places = torch.arange(text.shape[1], device=text.device)
        x = self.symbols(text) + self.positions(places)
        x = dropout(x, self.share, self.training)
        for layer in self.layers:
            x = layer(x)
        return self.output(self.norm(x))  # type: ignore[no-any-return]

    @torch.no_grad()
    def continued(self, text: Tensor, characters: int) -> Tensor:
        """The text `(B, T)` and the most probable characters after it."""
        for _ in range(characters):
            scores = self(text[:, -self.block :])[:, -1]
            text = torch.cat([text, scores.argmax(-1, keepdim=True)], 1)
        return text
