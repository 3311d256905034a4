"""Pictures are drawn without state and put together: ``pytest tests/test_canvas.py``."""

from __future__ import annotations

import struct
import subprocess
import sys

from raclap import canvas


def test_pyplot_and_its_state_are_never_loaded():
    rooms = "raclap.heatmaps, raclap.curves, raclap.exhibits"
    code = f"import sys, {rooms}; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pictures_of_any_size_make_one():
    drawn = [canvas.blank(width=width, height=height) for width, height in ((4, 2.5), (9, 1))]
    content = canvas.png(drawn)
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (9 * 150, 3.5 * 150)
