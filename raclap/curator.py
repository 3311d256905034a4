"""The tab of galleries: which one the page searches, corpora from their homes, one's own clips.

In: a `Shelf`, inside an open `gr.Blocks`. Out: widgets and their events. Deliberately not here:
fetching and indexing (``shelf``), HTML of what is on offer (``stock``).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from raclap.answers import told
from raclap.config import InputError
from raclap.shelf import Job, Shelf
from raclap.stock import offer, progress
from raclap.widgets import EVENT, LIGHT, QUIET, announcement, markup
from raclap.words import counted

_ABOUT = (
    "What you choose here is what all other tabs search, for you alone; other visitors keep theirs."
)
_OWN = (
    "A zip of recordings is listed in this browser alone and deleted after an hour, or when you "
    "say so; until then, whoever you give the page's address can hear it. Use recordings only with "
    "the speakers' consent."
)
_NOT_HERE = "This is for whoever sits at the machine that runs the page; there, too: {}"
_REMEMBER = "(name) => window.raclap.remember(['gallery'], [name])"
_FORGET = (  # unless the page stays on the gallery of its address, with all that is asked there
    "(name) => (new URLSearchParams(location.search).get('gallery') ?? '') === name"
    " || window.raclap.remember(['gallery'], [name])"
)
_MOST_KEPT = 16  # names in a browser


def belongings() -> gr.BrowserState:
    """Return what a visitor's browser remembers, over a reload too: names of galleries taken in.

    To be made outside of all tabs, which exist in the browser only once they are opened.
    """
    # Both are fixed, and no secret: random ones would not read what was kept before a restart.
    return gr.BrowserState([], storage_key="raclap-galleries", secret="raclap-galleries")


def curator(
    shelf: Shelf,
    chosen: gr.Textbox,
    mine: gr.BrowserState,
    tab: gr.Tab,
    tabs: gr.Tabs,
    show: Callable[[str], list[Any]],
    shown: list[Any],
) -> Callable[..., Any]:
    """Choose a gallery, take in more, delete one's own.

    Args:
        shelf: of the galleries.
        chosen: holds the name of the chosen one.
        mine: the visitor's `belongings`.
        tab: this tab.
        tabs: holds a tab with the id ``search``, where a chosen gallery is searched.
        show: what the whole page shows for a gallery: values of ``shown``.
        shown: components.

    Returns:
        What makes of ``mine``, when the page is opened, those that are still here.
    """
    gr.Markdown(_ABOUT)
    choice = gr.Radio([], label="Search in", elem_id="choice")
    status = announcement()
    gr.Markdown("## Recorded corpora\nFetched from their own homes, then indexed on this machine.")
    rows = {}
    with gr.Row(elem_classes="stock", equal_height=True):
        for name, home in shelf.homes.items():
            with gr.Column(elem_classes="offer", min_width=280):
                markup(offer(home))
                rows[name] = [
                    markup(elem_classes="taking"),
                    gr.Button(f"Fetch {home.title}", variant="secondary", visible=False),
                    gr.Button(f"Stop {home.title}", visible=False),
                    gr.Button(f"Search {home.title}", variant="primary", visible=False),
                ]
    gr.Markdown(f"## Your own\n{_OWN}")
    with gr.Row():
        with gr.Column(min_width=280):
            archive = gr.File(
                file_types=[".zip"], label="A zip of audio, up to 128 MB", height=140, elem_id="zip"
            )
            use_zip = gr.Button("Index this zip", variant="secondary")
        with gr.Column(min_width=280, visible=False) as at_this_machine:
            folder = gr.Textbox(
                "", label="A folder of this machine", placeholder="/home/me/voices", max_lines=1
            )
            use_folder = gr.Button("Index this folder", variant="secondary")
    own = [
        markup(elem_classes="taking"),
        gr.Button("Stop this one", visible=False),
        gr.Button("Search it", variant="primary", visible=False),
        gr.Button("Delete now", visible=False, size="sm", variant="stop"),
    ]
    running = gr.State([])
    timer = gr.Timer(1.0, active=False)
    parts = [status, choice, running, timer, at_this_machine]
    parts += [part for row in rows.values() for part in row] + own

    def look(name: str, mine: Any, before: list[str], request: gr.Request) -> list[Any]:
        """What the tab shows now."""
        mine = _kept(shelf, mine, request)
        # What another visitor takes in of their own is not told here.
        jobs = {each: shelf.jobs.get(each) for each in [*shelf.homes, *mine]}
        now = [each for each, job in jobs.items() if job and job.running]
        done = [each for each in before if each not in now]
        entries = [(f"{e.title} ({counted(e.count, 'clip')})", e.name) for e in shelf.entries()]
        titles = {each: _title(shelf, each) for each in mine}
        entries += [(titles[each], each) for each in mine if titles[each] and shelf.own(each)]
        may = _may_fetch(request)
        values = [
            " ".join(filter(None, (_said(shelf, each) for each in done))) if done else gr.skip(),
            gr.Radio(choices=entries, value=name or ""),
            now,
            gr.Timer(active=bool(now)),
            gr.Column(visible=at_home(request)),
        ]
        for each in rows:
            busy, ready = each in now, shelf.ready(each)
            label = "Resume" if not ready and shelf.begun(each) else "Fetch"
            values += [
                progress(jobs[each], ready),
                gr.Button(
                    f"{label} {shelf.homes[each].title}", visible=may and not (busy or ready)
                ),
                gr.Button(visible=may and busy),
                gr.Button(visible=ready and not busy),
            ]
        last = mine[-1] if mine else ""
        busy = last in now
        title = "" if busy else titles.get(last, "")
        return [
            *values,
            progress(jobs.get(last), bool(title), title),
            gr.Button(visible=busy),
            gr.Button(visible=bool(title)),
            gr.Button(visible=bool(title) and shelf.own(last)),
        ]

    def fetch(corpus: str) -> Callable[..., list[str]]:
        def start(before: list[str], request: gr.Request) -> list[str]:
            if not _may_fetch(request):
                raise InputError(_NOT_HERE.format(f"python -m raclap corpus {corpus} DIR --fetch"))
            shelf.take_corpus(corpus)
            return _with(before, corpus)

        return start

    def take_zip(
        archive: str | None, mine: Any, before: list[str], request: gr.Request
    ) -> tuple[list[str], list[str]]:
        if not archive:
            raise InputError("There is no zip yet; choose one with recordings in it.")
        name = shelf.take_zip(archive, Path(archive).stem)
        return _with(_kept(shelf, mine, request), name), _with(before, name)

    def take_folder(
        folder: str, mine: Any, before: list[str], request: gr.Request
    ) -> tuple[list[str], list[str]]:
        if not at_home(request):
            raise InputError(_NOT_HERE.format("python -m raclap index DIR --output GALLERY"))
        name = shelf.take_folder(folder)
        return _with(_kept(shelf, mine, request), name), _with(before, name)

    def stop(corpus: str) -> Callable[..., None]:
        def end(request: gr.Request) -> None:
            if _may_fetch(request):
                _stop(shelf.jobs.get(corpus))

        return end

    def search(corpus: str) -> Callable[[], list[Any]]:
        return lambda: [gr.Tabs(selected="search"), *show(corpus)]

    def last(mine: Any, request: gr.Request) -> str:
        kept = _kept(shelf, mine, request)
        if not kept:
            raise InputError("There is no gallery of your own here (any more).")
        return kept[-1]

    def search_own(mine: Any, request: gr.Request) -> list[Any]:
        return search(last(mine, request))()

    def stop_own(mine: Any, request: gr.Request) -> None:
        _stop(shelf.jobs.get(last(mine, request)))

    def delete_own(mine: Any, name: str, request: gr.Request) -> list[Any]:
        gone = last(mine, request)
        title = _title(shelf, gone)
        shelf.remove(gone)
        rest = [each for each in _kept(shelf, mine, request) if each != gone]
        back = show("") if name == gone else [gr.skip()] * len(shown)
        return [rest, f"{title} is deleted." if title else "", None, *back]

    def recall(mine: Any, request: gr.Request) -> list[str] | dict[str, Any]:
        kept = [
            each
            for each in _kept(shelf, mine, request)
            if ((job := shelf.jobs.get(each)) and job.running)
            or (shelf.own(each) and _title(shelf, each))
        ]
        return gr.skip() if kept == mine else kept

    glance = {"fn": look, "inputs": [chosen, mine, running], "outputs": parts, **LIGHT}
    gr.on([tab.select, timer.tick], **glance)
    choice.input(told(show), choice, shown, **EVENT).success(
        None, choice, None, js=_REMEMBER, **LIGHT
    )
    for name, (_, begin, end, use) in rows.items():
        begin.click(told(fetch(name)), running, running, **QUIET).then(**glance)
        end.click(stop(name), None, None, **LIGHT).then(**glance)
        _lead(use.click, search(name), None, [tabs, *shown], chosen)
    for button, take, inputs in (
        (use_zip, take_zip, [archive, mine, running]),
        (use_folder, take_folder, [folder, mine, running]),
    ):
        button.click(told(take), inputs, [mine, running], **QUIET).then(**glance)
    own[1].click(told(stop_own), mine, None, **LIGHT).then(**glance)
    _lead(own[2].click, search_own, mine, [tabs, *shown], chosen)
    deleted = own[3].click(
        told(delete_own), [mine, chosen], [mine, status, archive, *shown], **QUIET
    )
    deleted.then(**glance)
    deleted.success(None, chosen, None, js=_FORGET, **LIGHT)
    return recall


def at_home(request: gr.Request) -> bool:
    """Whether the visitor sits at the machine that runs the page.

    Connection, address bar and page of origin must all be of this machine, so that neither a proxy
    nor another site's script passes for its owner.
    """
    headers = request.headers
    hosts = [request.client.host, urlsplit(f"//{headers.get('host', '')}").hostname]
    if headers.get("origin"):
        hosts.append(urlsplit(headers["origin"]).hostname)
    forwarded = headers.get("x-forwarded-for") or headers.get("forwarded")
    return not forwarded and all(_loopback(host) for host in hosts)


def _loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _may_fetch(request: gr.Request) -> bool:
    return at_home(request) or os.environ.get("RACLAP_FETCH") == "1"


def _lead(event: Any, handler: Callable[..., Any], inputs: Any, outputs: Any, chosen: Any) -> None:
    """Lead to the tab that searches, and put the gallery into the address."""
    event(told(handler), inputs, outputs, **EVENT).success(
        None, chosen, None, js=_REMEMBER, **LIGHT
    )


def _with(names: list[str], name: str) -> list[str]:
    """The names with this one last; a job counts as seen at once, however soon it ends."""
    return [*(each for each in names if each != name), name]


def _stop(job: Job | None) -> None:
    if job:
        job.stop.set()


def _kept(shelf: Shelf, mine: Any, request: gr.Request) -> list[str]:
    """What of ``mine``, which a browser may say as it likes, can be the visitor's."""
    names = mine[-_MOST_KEPT:] if isinstance(mine, list) else []
    home = at_home(request)
    return [each for each in names if isinstance(each, str) and each and (home or shelf.own(each))]


def _title(shelf: Shelf, name: str) -> str:
    """How a gallery is listed; empty if it cannot be searched (any more)."""
    try:
        gallery = shelf[name].gallery
    except InputError:
        return ""
    return f"{gallery.name} ({counted(len(gallery.clips), 'clip')})"


def _said(shelf: Shelf, name: str) -> str:
    """How a job ended, for the announcement; of a gallery that was removed since, nothing."""
    job = shelf.jobs[name]
    if not job.error and job.step == "Ready":
        title = _title(shelf, name)
        return f"{title} can be searched now." if title else ""
    return "Stopped." if job.step == "Stopped" else "A gallery could not be taken in."
