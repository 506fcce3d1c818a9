"""`[flash]` of a bench file: how a search writes its candidates' images to the board."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from labd.config.quantity import shown
from labd.config.section import Section, Wrong
from labd.config.types import Name, Seconds, Words


class FlashSection(Section):
    """How a search writes its candidates' images to the board of this bench. Left out, none is written."""

    board: Name | None = Field(default=None, description="a board that `labd flash` lists; this or `recipe`")
    recipe: Words | None = Field(
        default=None, description="your own recipe, relative to this file, laid out as firmware/boards/*/flash.toml; this or `board`"
    )
    tool: Words | None = Field(
        default=None,
        description="the tool of the recipe to use, required with `port`; left out, the first that is installed and asks for no hand at "
        "the board",
    )
    port: Words | None = Field(
        default=None, description="which probe or port, as the tool names it; left out, the tool finds it, while no other bench is in use"
    )
    within: Seconds = Field(default=120.0, description="that each call of the tool may take")

    def wrong(self) -> Iterator[Wrong]:
        if (self.board is None) == (self.recipe is None):
            found = "neither" if self.board is None else "both"
            yield Wrong("board", f'expected either board = "nucleo-l476rg" or recipe = "my-board/flash.toml", got {found}')
        if self.port is not None and self.tool is None:
            yield Wrong("tool", "this key is required with port: each tool has its own names for probes")
        for key in ("recipe", "tool", "port"):
            if (text := getattr(self, key)) is not None and not text.isprintable():
                yield Wrong(key, f"expected printable text, got {shown(text)}")
