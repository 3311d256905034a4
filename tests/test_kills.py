"""Kill -9 at random moments, 20 times each; see tests/kills.py, which does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_what_is_killed_goes_on_and_nothing_is_lost():
    """The harness raises at the first thing lost, and at half a thing taken for a whole one."""
    tests = Path(__file__).parent
    found = subprocess.run(
        [sys.executable, tests / "kills.py", "save,index,train", "20", "0"],
        cwd=tests.parent,
        env=os.environ | {"PYTHONPATH": f"{tests.parent}:{tests}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    assert [json.loads(line)["killed"] for line in found.stdout.splitlines()] == [20] * 3
