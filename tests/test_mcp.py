"""The endpoints as tools, asked by a real MCP client. Run: pytest tests/test_mcp.py."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator

import pytest

from raclap.answers import ENDPOINTS
from raclap.search import Engine
from raclap.shelf import Shelf

pytest.importorskip("mcp")


@pytest.fixture(scope="module")
def tools(shelf: Shelf) -> Iterator[str]:
    """Where the launched page offers its tools."""
    from raclap.interface import build, launch_options

    page = build(shelf)
    _, url, _ = page.launch(
        prevent_thread_lock=True, quiet=True, mcp_server=True, **launch_options(shelf)
    )
    yield f"{url}gradio_api/mcp/"
    page.close()


def test_tools_are_those_endpoints_and_answer_as_the_engine(tools: str, engine: Engine) -> None:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def ask() -> tuple[dict, object]:
        async with (
            streamablehttp_client(tools) as (read, write, _),
            ClientSession(read, write) as s,
        ):
            await s.initialize()
            named = {tool.name: tool for tool in (await s.list_tools()).tools}
            (search,) = (name for name in named if name.endswith("search_by_text"))
            asked = {"query": "an angry man", "top": 3, "without": "someone loud"}
            return named, await s.call_tool(search, asked)

    named, answer = asyncio.run(ask())
    assert sorted(name.rpartition("app_")[2] or name for name in named) == sorted(ENDPOINTS)
    (search,) = (tool for name, tool in named.items() if name.endswith("search_by_text"))
    assert "Find the clips that sound as described" in search.description
    assert search.inputSchema["properties"].keys() >= {"query", "top", "where", "without"}
    assert not answer.isError
    hits = ast.literal_eval(answer.content[0].text)["hits"]  # Gradio writes Python, not JSON
    expected = engine.search_text("an angry man", 3, without="someone loud")
    assert [hit["id"] for hit in hits] == [hit.clip.id for hit in expected]
