"""Kill -9 at random moments, 8 times each, 20 with RACLAP_TEST_ALL; tests/kills.py does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TEST_ALL

pytestmark = pytest.mark.slow


def test_what_is_killed_goes_on_and_nothing_is_lost():
    """The harness raises at the first thing lost, and at half a thing taken for a whole one."""
    tests, rounds = Path(__file__).parent, 20 if TEST_ALL else 8
    found = subprocess.run(
        [sys.executable, tests / "kills.py", "save,index,train", str(rounds), "0"],
        cwd=tests.parent,
        env=os.environ | {"PYTHONPATH": f"{tests.parent}:{tests}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    assert [json.loads(line)["killed"] for line in found.stdout.splitlines()] == [rounds] * 3
