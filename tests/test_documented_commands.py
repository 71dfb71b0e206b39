"""Every `nnunet_cardiac` command in the README and in the docs exists, with every option that it is shown with."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunet_cardiac.cli import COMMANDS, build_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def documented_commands(text: str) -> Iterator[list[str]]:
    """Yield the words after `nnunet_cardiac` of each command in code blocks and between backquotes."""
    blocks = "\n".join(re.findall(r"^ *```(?:bash|text|console)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE))
    quoted = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE))
    for line in [*blocks.replace("\\\n", " ").splitlines(), *quoted]:
        for part in re.split(r"&&|;|\|", line.partition("# ")[0]):
            found = re.match(r'\s*(?:\$ |eval "\$\()?nnunet_cardiac ([a-z].*)', part)
            if found is not None:
                yield shlex.split(found[1].rstrip(')" '), posix=False)


def parser_of(words: list[str]) -> argparse.ArgumentParser | None:
    """The parser of a command, or of its action as in `benchmark table`; None if there is no such command."""
    if words[0] not in COMMANDS:
        return None
    parser = build_parser([words[0]])
    for word in words[:2]:
        actions = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        parser = next(actions, argparse.Namespace(choices={})).choices.get(word, parser)
    return parser


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_documented_options_exist(page: Path) -> None:
    wrong = []
    for words in documented_commands(page.read_text(encoding="utf-8")):
        parser = parser_of(words)
        options = set() if parser is None else set(parser._option_string_actions)
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
        if parser is None or given - options:
            wrong.append(" ".join(words))
    assert not wrong, f"{page.name}: no such command or option: {wrong}"


def test_commands_are_found_in_blocks_and_between_backquotes() -> None:
    block = '```bash\neval "$(nnunet_cardiac env --base F)"\n$ nnunet_cardiac report \\\n  -i A # x\n```\n'
    text = f"See `nnunet_cardiac plan --short`.\n{block}"
    assert list(documented_commands(text)) == [["env", "--base", "F"], ["report", "-i", "A"], ["plan", "--short"]]
    assert parser_of(["benchmark", "table"]).prog == "nnunet_cardiac benchmark table"
    assert parser_of(["mystery"]) is None
