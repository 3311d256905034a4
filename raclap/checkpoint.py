"""A checkpoint on disk or on the hub becomes a `Reader`, or a sentence that says why not.

In: a folder or a name. Out: a `Reader` that is quick to start, or the record of its training.
Deliberately not here: what is in a checkpoint (``model``), galleries.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

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
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        if Path(checkpoint).is_dir():
            reason = str(error).strip().partition("\n")[0]
            raise InputError(
                f"The checkpoint {checkpoint} is damaged ({reason}); restore it, e.g. with git, or "
                "give another one with --checkpoint."
            ) from error
        raise InputError(
            f"There is no checkpoint {checkpoint}, as a folder or on the hub; give one with "
            "--checkpoint."
        ) from error
    # Vectors of all attribute values are kept beside the weights, so that the next start is quick.
    cache = Path(checkpoint) / "values.npz" if Path(checkpoint).is_dir() else None
    return Reader(model, cache)


def training_of(checkpoint: str | Path) -> dict[str, Any]:
    """Read how a checkpoint was trained: ``stage``, ``config``, ``left_out`` and what else is told.

    Returns:
        What its ``training.json`` holds; empty where there is none, as of a name on the hub.

    Raises:
        InputError: that file is damaged.
    """
    path = Path(checkpoint) / "training.json"
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        int(told["config"][told["stage"]]["seed"])
        return {"left_out": [], **told}
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f"{path} is damaged and does not tell how {checkpoint} was trained; restore it, e.g. "
            "with git."
        ) from error
