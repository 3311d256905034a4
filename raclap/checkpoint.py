"""A checkpoint on disk or on the hub becomes a `Reader`, or a sentence that says why not.

In: a folder or a name. Out: a `Reader` that is quick to start. Deliberately not here: what is in a
checkpoint (``model``), galleries.
"""

from __future__ import annotations

from pathlib import Path

from raclap.config import InputError
from raclap.reading import Reader

CHECKPOINT = Path(__file__).resolve().parent.parent / "checkpoints" / "raclap-base"


def open_reader(checkpoint: str | Path = CHECKPOINT) -> Reader:
    """Load a checkpoint from a folder or, by its name, from the hub.

    Raises:
        InputError: it is missing or damaged.
    """
    from raclap.model import RACLAP  # transformers takes seconds to import

    try:
        model = RACLAP.from_pretrained(str(checkpoint))
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"There is no checkpoint {checkpoint}, as a folder or on the hub; give one with "
            "--checkpoint."
        ) from error
    model.text.remember()
    # Vectors of all attribute values are kept beside the weights, so that the next start is quick.
    cache = Path(checkpoint) / "values.npz" if Path(checkpoint).is_dir() else None
    return Reader(model, cache)
