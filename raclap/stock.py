"""What galleries are on offer, and how far one has come, as HTML.

In: a `Home`, a `Job`. Out: `markupsafe.Markup`. Deliberately not here: events.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from raclap.homes import Home
from raclap.shelf import Job
from raclap.words import counted

_OFFER = Markup(
    "<h3>{title}</h3><p>{speech}.</p><dl><dt>Size</dt><dd>{size}</dd><dt>Licence</dt>"
    '<dd>{licence}</dd><dt>Home</dt><dd><a href="{page}" rel="noreferrer">{host}</a></dd>'
    "<dt>Check</dt><dd>{checksum}</dd></dl>"
)
_BAR = Markup('<p>{said}</p><progress aria-label="{step}"{bounds}></progress>')
_TROUBLE = Markup('<p class="trouble">{}</p>')
_CALM = Markup("<p>{}</p>")
_OWNED = Markup(
    '<li><div id="about-{name}">{said}</div><div class="actions">{use}{delete}</div></li>'
)
_BUTTON = Markup(
    '<button type="button" data-tell="{does}" data-clip="{name}" '
    'aria-describedby="about-{name}">{text}</button>'
)
_NAMED = 3  # of the clips that could not be used


def offer(home: Home) -> Markup:
    """Return what is to be known of a corpus before it is fetched."""
    return _OFFER.format(
        title=home.title,
        speech=home.speech,
        size=home.size,
        licence=home.licence,
        page=home.page,
        host=home.page.removeprefix("https://"),
        checksum=home.checksum,
    )


def progress(job: Job | None, ready: bool, title: str = "") -> Markup:
    """Return how far a job is, or how it ended.

    Args:
        job: if there is or was one.
        ready: whether its gallery can be searched.
        title: of the gallery, where it does not stand beside.
    """
    if job and job.running:
        known = job.total is not None and job.total > 0
        bounds = Markup(' value="{}" max="{}"').format(job.done, job.total) if known else ""
        return _BAR.format(said=_said(job), step=job.step, bounds=bounds)
    if job and job.error:
        return _TROUBLE.format(job.error)
    if ready:
        return _CALM.format(f"{f'{title}: ready' if title else 'Ready'}.{_skipped(job)}")
    if job and job.step == "Stopped":
        return _CALM.format("Stopped. What has been done is kept.")
    return Markup("")


def owned(galleries: Sequence[tuple[str, str, Job | None, bool]]) -> Markup:
    """Return one's own galleries, each to be searched and, where one may, deleted.

    Args:
        galleries: name, title, job if there was one, and whether it may be deleted.
    """
    if not galleries:
        return Markup("")
    return Markup("<ul>{}</ul>").format(
        Markup("").join(
            _OWNED.format(
                name=name,
                said=progress(job, True, title),
                use=_BUTTON.format(does="use", name=name, text="Search it"),
                delete=_BUTTON.format(does="delete", name=name, text="Delete now") if may else "",
            )
            for name, title, job, may in galleries
        )
    )


def _skipped(job: Job | None) -> str:
    """Name the first clips that could not be used."""
    if not job or not job.skipped:
        return ""
    named, more = ", ".join(job.skipped[:_NAMED]), len(job.skipped) - _NAMED
    rest = f" and {more:,} more" if more > 0 else ""
    return f" {counted(len(job.skipped), 'clip')} could not be used: {named}{rest}."


def _said(job: Job) -> str:
    if job.step == "Downloading":
        total = f" of {job.total / 1e6:,.1f}" if job.total else ""
        return f"Downloading: {job.done / 1e6:,.1f}{total} MB{_left(job)}"
    if job.total:
        return f"{job.step}: {job.done:,} of {job.total:,}{_left(job)}"
    return f"{job.step} …"


def _left(job: Job) -> str:
    """Return how long the step still takes at its pace, once that can be told."""
    seconds = job.left
    if seconds is None:
        return ""
    if seconds < 90:
        return f", about {max(5, round(seconds / 5) * 5)} s left"
    return f", about {round(seconds / 60)} min left"
