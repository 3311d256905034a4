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
from markupsafe import Markup

from raclap.answers import told
from raclap.config import InputError
from raclap.shelf import Job, Shelf
from raclap.stock import offer, owned, progress
from raclap.widgets import EVENT, LIGHT, QUIET, announcement, bus, markup
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
_TOP = "() => scrollTo(0, 0)"
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
    renew: Callable[..., None],
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
        renew: what to call with the ``success`` of an event that changes the gallery.

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
        markup(elem_classes="taking owned"),
    ]
    use_own, delete = bus("use"), bus("delete")
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
            label = "Resume" if shelf.begun(each) else "Fetch"
            values += [
                progress(jobs[each], ready),
                gr.Button(
                    f"{label} {shelf.homes[each].title}", visible=may and not (busy or ready)
                ),
                gr.Button(visible=may and busy),
                gr.Button(visible=ready and not busy),
            ]
        here = [each for each in mine if titles[each] and each not in now]
        coming = [each for each in mine if each in now or (each == mine[-1] and each not in here)]
        return [
            *values,
            Markup("").join(progress(jobs[each], False) for each in coming),
            gr.Button(visible=any(each in now for each in mine)),
            owned([(each, titles[each], jobs[each], shelf.own(each)) for each in here[::-1]]),
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

    def own_one(mine: Any, said: gr.EventData, request: gr.Request) -> str:
        if said.clip not in _kept(shelf, mine, request):
            raise InputError("There is no such gallery of your own here (any more).")
        return said.clip

    def search_own(mine: Any, said: gr.EventData, request: gr.Request) -> list[Any]:
        return search(own_one(mine, said, request))()

    def stop_own(mine: Any, request: gr.Request) -> None:
        jobs = [shelf.jobs.get(each) for each in _kept(shelf, mine, request)]
        _stop(next((job for job in jobs[::-1] if job and job.running), None))

    def delete_own(mine: Any, name: str, said: gr.EventData, request: gr.Request) -> list[Any]:
        gone = own_one(mine, said, request)
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

    def lead(event: Callable[..., Any], handler: Callable[..., Any], inputs: Any) -> None:
        """Lead to the tab that searches, and to its top."""
        led = event(told(handler), inputs, [tabs, *shown], **EVENT)
        led.success(None, None, None, js=_TOP, **LIGHT)
        renew(led.success)

    glance = {"fn": look, "inputs": [chosen, mine, running], "outputs": parts, **LIGHT}
    gr.on([tab.select, timer.tick], **glance)
    renew(choice.input(told(show), choice, shown, **EVENT).success)
    for name, (_, begin, end, use) in rows.items():
        begin.click(told(fetch(name)), running, running, **QUIET).then(**glance)
        end.click(stop(name), None, None, **LIGHT).then(**glance)
        lead(use.click, search(name), None)
    for events, take, given in (
        ([use_zip.click], take_zip, archive),
        ([use_folder.click, folder.submit], take_folder, folder),
    ):
        taking = gr.on(events, told(take), [given, mine, running], [mine, running], **QUIET)
        taking.then(**glance)
    own[1].click(told(stop_own), mine, None, **LIGHT).then(**glance)
    lead(use_own.click, search_own, mine)
    deleted = delete.click(
        told(delete_own), [mine, chosen], [mine, status, archive, *shown], **QUIET
    )
    deleted.then(**glance)
    renew(deleted.success)
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
    job = shelf.jobs.get(name)
    if not job:
        return ""
    if not job.error and job.step == "Ready":
        title = _title(shelf, name)
        return f"{title} can be searched now." if title else ""
    return "Stopped." if job.step == "Stopped" else "A gallery could not be taken in."
