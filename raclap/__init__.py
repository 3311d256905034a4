"""RA-CLAP: search for speech by how it is spoken.

    from raclap import RACLAP
    model = RACLAP.from_pretrained("checkpoints/raclap-base")

Letters for shapes: B batch, S samples, T frames, L tokens or layers, H encoder width, P prosody
figures, D embedding, N clips, M descriptions, Q queries, K results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raclap.model import RACLAP

__all__ = ["RACLAP"]


def __getattr__(name: str) -> object:
    """Import the model when it is asked for: ``python -m raclap --help`` needs no torch."""
    if name == "RACLAP":
        from raclap.model import RACLAP

        return RACLAP
    raise AttributeError(f"module 'raclap' has no attribute {name!r}")
