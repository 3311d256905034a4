"""Take page.png from the real page: ``python assets/picture.py``.

Needs Chromium, and what tests/requirements.txt lists. Searches the bundled gallery and photographs
what a visitor sees first of the answer.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
QUERY = "a low-pitched, slow, sad man"


def main() -> None:
    """Open the page, search, and write the picture."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from raclap.interface import build, launch_options
    from raclap.search import Engine
    from raclap.shelf import Shelf

    shelf = Shelf(Engine.open())
    page = build(shelf)
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, **launch_options(shelf))
    chromium = os.environ.get("RACLAP_TEST_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1280, "height": 1000})
        view.set_default_timeout(120_000)
        view.goto(f"{address}?q={QUERY}")
        view.locator(".hit").first.wait_for()
        view.wait_for_timeout(1000)  # transitions come to rest
        view.screenshot(path=ROOT / "assets" / "page.png")
        browser.close()
    page.close()


if __name__ == "__main__":
    main()
