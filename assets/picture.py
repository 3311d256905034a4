"""Take page.png and page.webp from the real page: ``python assets/picture.py``.

Needs Chromium, and what tests/requirements.txt lists. Visits the page over the bundled gallery: the
still is what a visitor sees first of an answer, the animation a short session that goes on from it.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
QUERY = "a low-pitched, slow, sad man"
WIDTH = 800  # of the animation
MOST_BYTES = 1_500_000


class Film:
    """Frames of a visit, each with the milliseconds that it stands."""

    def __init__(self, view: Page) -> None:
        self.view, self.frames, self.times = view, [], []

    def take(self, milliseconds: int, pointer: tuple[float, float] | None = None) -> None:
        """Photograph the window, with a ring where the pointer is."""
        frame = Image.open(io.BytesIO(self.view.screenshot())).convert("RGB")
        if pointer:
            x, y = pointer
            ImageDraw.Draw(frame).ellipse(
                (x - 18, y - 18, x + 18, y + 18), outline="#d98a1e", width=5
            )
        height = round(frame.height * WIDTH / frame.width)
        self.frames.append(frame.resize((WIDTH, height), Image.Resampling.LANCZOS))
        self.times.append(milliseconds)

    def click(self, target: Locator) -> None:
        """Show where the pointer goes, and click there."""
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        self.take(700, (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
        target.click()

    def watch(self, count: int, milliseconds: int) -> None:
        """Follow what moves."""
        for _ in range(count):
            self.view.wait_for_timeout(milliseconds)
            self.take(milliseconds)

    def save(self, path: Path) -> None:
        """Write the film; it starts anew at its end."""
        first, *rest = self.frames
        first.save(
            path,
            save_all=True,
            append_images=rest,
            duration=self.times,
            loop=0,
            quality=62,
            method=6,
        )
        if path.stat().st_size > MOST_BYTES:
            raise SystemExit(f"{path.name} has {path.stat().st_size:,} bytes, too many")


def visit(view: Page, film: Film) -> None:
    """Describe a voice, hear one, ask why, read it, and relate some clips to descriptions."""
    box = view.get_by_label("How should it sound?")
    film.take(900)
    box.focus()
    for end in range(4, len(QUERY) + 4, 4):
        box.fill(QUERY[:end])
        film.take(140)
    box.press("Enter")
    view.locator(".hit .rank").nth(9).wait_for()
    view.wait_for_timeout(800)  # transitions come to rest
    film.take(1300)
    film.click(view.locator(".player .play").first)
    film.watch(5, 350)
    film.click(view.get_by_role("button", name="Why result 1 was found"))
    view.locator("#why[data-why=shown] img").wait_for()
    view.wait_for_timeout(300)
    film.take(3200)
    view.keyboard.press("Escape")
    film.click(view.get_by_role("button", name="Find similar: result 1", exact=True))
    view.get_by_role("heading", name="Clips that sound most alike").wait_for()
    view.wait_for_timeout(800)
    film.take(2600)
    film.click(view.get_by_role("tab", name="Relations"))
    view.get_by_role("button", name="Compare").click()
    tables = view.locator("#relations")
    tables.locator(".matrix").nth(2).wait_for()
    view.wait_for_timeout(800)
    tables.evaluate("element => element.scrollIntoView()")
    view.wait_for_timeout(300)
    film.take(1800)
    film.click(tables.locator("td button.above").first)
    view.locator("#why[data-why=shown] img").wait_for()
    view.wait_for_timeout(300)
    film.take(3200)


def main() -> None:
    """Open the page, visit it, and write both pictures."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from raclap.interface import build, launch_options
    from raclap.search import Engine
    from raclap.shelf import Shelf

    shelf = Shelf(Engine.open())
    page = build(shelf)
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, **launch_options(shelf))
    chromium = (
        os.environ.get("RACLAP_TEST_CHROMIUM")
        or shutil.which("chromium")
        or shutil.which("chromium-headless-shell")
    )
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1280, "height": 1000})
        view.set_default_timeout(30_000)
        view.goto(f"{address}?q={QUERY}")
        view.locator(".hit .rank").first.wait_for()
        view.wait_for_timeout(1000)
        view.screenshot(path=ROOT / "assets" / "page.png")
        view = browser.new_page(viewport={"width": 1180, "height": 860})
        view.set_default_timeout(30_000)
        view.goto(address)
        view.get_by_role("heading", level=1).wait_for()
        view.wait_for_timeout(1000)
        film = Film(view)
        visit(view, film)
        film.save(ROOT / "assets" / "page.webp")
        browser.close()
    page.close()


if __name__ == "__main__":
    main()
