"""The panel that shows how programs ask what the page asks.

In: nothing. Out: `markupsafe.Markup` with code to copy. ``ADDRESS`` becomes the page's own address
in the browser. Deliberately not here: the endpoints (`answers`).
"""

from __future__ import annotations

from markupsafe import Markup

ADDRESS = "http://127.0.0.1:7860"

PYTHON = f'''\
from gradio_client import Client, handle_file

client = Client("{ADDRESS}")
answer = client.predict("an angry man", 5, {{}}, "shouting", True, api_name="/search_by_text")
for hit in answer["hits"]:
    print(hit["rank"], round(hit["score"], 3), hit["id"], hit["audio"])
alike = client.predict(handle_file("voice.wav"), 5, api_name="/search_by_audio")
reading = client.predict(handle_file("voice.wav"), api_name="/describe")
known = client.predict(api_name="/galleries")["galleries"]  # give a name as gallery="..."
angrier = client.predict(handle_file("voice.wav"), "angrier", 2.0, 5, api_name="/blend")
'''

CURL = f"""\
ask() {{  # endpoint, arguments as JSON
  event=$(curl -s "$PAGE/gradio_api/call/$1" --json "{{\\"data\\": $2}}" | cut -d '"' -f 4)
  curl -sN "$PAGE/gradio_api/call/$1/$event"
}}
PAGE={ADDRESS}
ask search_by_text '["an angry man", 5, {{"gender": "male"}}, "", false, ""]'
path=$(curl -s "$PAGE/gradio_api/upload" -F files=@voice.wav | cut -d '"' -f 2)
file="{{\\"path\\": \\"$path\\", \\"meta\\": {{\\"_type\\": \\"gradio.FileData\\"}}}}"
ask galleries '[]'
ask search_by_audio "[$file, 5, \\"\\"]"
ask describe "[$file]"
ask blend "[$file, \\"angrier\\", 2, 5, \\"\\"]"
"""

_PANEL = Markup(
    '<div class="snippet"><h3 id="code-{id}">{title}</h3><button type="button" data-copy '
    'aria-label="Copy {title}">Copy</button><pre tabindex="0" role="region" '
    'aria-labelledby="code-{id}"><code>{code}</code></pre></div>'
)


def snippets() -> Markup:
    """Return both panels."""
    return Markup("").join(
        _PANEL.format(id=id, title=title, code=code)
        for id, title, code in (("python", "Python", PYTHON), ("curl", "curl", CURL))
    ) + Markup(
        '<p class="legend">Each answer is JSON; <code>audio</code> is relative to the page. All '
        'arguments are described at <a href="gradio_api/openapi.json">gradio_api/openapi.json</a>; '
        "<code>python app.py --mcp</code> offers the same five as MCP tools.</p>"
    )
