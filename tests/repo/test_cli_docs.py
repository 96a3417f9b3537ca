"""docs/cli.md lists every command, argument, option and exit code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from perdure.cli.exits import ExitCode
from perdure.cli.main import app
from tests.repo.generated import check, table


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, in the order of the help, with the words that call it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, one in inner.items():
        yield from commands(one, f"{path} {name}")


def parameters(command: Any, kind: str) -> list[Any]:
    hidden = ("--help", "--install-completion", "--show-completion")
    return [
        one for one in command.params if one.param_type_name == kind and not one.hidden and one.opts[-1] not in hidden
    ]


def words_of(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    both = ", ".join((*parameter.opts, *parameter.secondary_opts))
    return f"`{both}`"


def meaning(parameter: Any) -> str:
    notes = [parameter.help.strip()]
    if parameter.envvar:
        notes.append(f"Variable: `{parameter.envvar}`.")
    shown = parameter.show_default
    if isinstance(shown, str):
        notes.append(f"Default: `{shown}`.")
    elif shown and parameter.default not in (None, False, [], ()):
        notes.append(f"Default: `{parameter.default}`.")
    return " ".join(notes)


def described(path: str, command: Any) -> str:
    arguments, options = parameters(command, "argument"), parameters(command, "option")
    usage = " ".join((path, *(word(one) for one in arguments), *(["[OPTIONS]"] if options else [])))
    parts = [f"### {path}", f"```\n{usage}\n```", (command.help or "").strip()]
    rows = [(words_of(one), meaning(one)) for one in (*arguments, *options)]
    return "\n\n".join([*parts, *([table(("", ""), rows)] if rows else [])])


def word(argument: Any) -> str:
    name = words_of(argument).strip("`")
    return name if argument.required else f"[{name}]"


def test_the_documentation_lists_every_command() -> None:
    root: Any = typer.main.get_command(app)
    found = list(commands(root, "perdure"))
    assert len({path for path, _ in found}) == len(found) > 15
    for path, command in found:
        unsaid = [one.name for one in command.params if not getattr(one, "help", None)]
        assert command.help and not unsaid, f"{path} lacks words: {unsaid}"
    shared = table(("", ""), [(words_of(one), meaning(one)) for one in parameters(root, "option")])
    check("docs/cli.md", "shared", shared)
    check("docs/cli.md", "commands", "\n\n".join(described(path, command) for path, command in found))


def test_the_documentation_lists_the_exit_codes() -> None:
    check("docs/cli.md", "exits", table(("code", "meaning"), [(str(int(code)), code.meaning) for code in ExitCode]))
