"""Finds the files of the systems: this package's, those of other packages, and single files of a user."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from nnunet_cardiac.errors import UserError
from nnunet_cardiac.systems.facts import System

#: Group of entry points of other packages; each names a module, such as `my_package.my_system`.
GROUP = "nnunet_cardiac.systems"

#: Environment variable with paths of Python files, separated as in PATH.
VARIABLE = "NNUNET_CARDIAC_SYSTEMS"


def find_systems() -> list[System]:
    """Return all systems in the order of lists.

    Raises:
        UserError: If a file or module cannot be read or holds no system, or two have one name.
    """
    systems = [*_own(), *_of_entry_points(), *_of_files(os.environ.get(VARIABLE, ""))]
    _refuse_doubles("system", ((system.key, system.title) for system in systems))
    _refuse_doubles("trainer", ((one.name, system.title) for system in systems for one in system.trainers))
    _refuse_doubles("row", ((row, system.title) for system in systems for row in system.rows))
    return sorted(systems, key=lambda system: system.place)


def _own() -> Iterator[System]:
    package = sys.modules[__package__]
    for module in pkgutil.iter_modules(package.__path__):
        system = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "SYSTEM", None)
        if system is not None:
            yield system


def _of_entry_points() -> Iterator[System]:
    for point in entry_points(group=GROUP):
        place = f"entry point {point.name} = {point.value} of the group {GROUP}"
        try:
            found = point.load()
        except Exception as error:  # a foreign module may raise anything when it is imported
            raise UserError(f"{place}: cannot be imported ({error}). Repair or uninstall that package.") from error
        yield _checked(found if isinstance(found, System) else getattr(found, "SYSTEM", None), place)


def _of_files(paths: str) -> Iterator[System]:
    for path in filter(None, map(str.strip, paths.split(os.pathsep))):
        place = f"{VARIABLE}, {path}"
        if not Path(path).is_file():
            raise UserError(f"{place}: no such file; expected a Python file with a name SYSTEM. Correct the variable.")
        try:
            module = _import_file(Path(path))
        except Exception as error:
            raise UserError(f"{place}: cannot be imported ({type(error).__name__}: {error}). Correct it.") from error
        yield _checked(getattr(module, "SYSTEM", None), place)


def _import_file(path: Path) -> ModuleType:
    """Import a file under the name that it has beside its own folder, so that its classes can be pickled."""
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(path.stem)


def _checked(found: object, place: str) -> System:
    if not isinstance(found, System):
        raise UserError(
            f"{place}: SYSTEM is {type(found).__name__}, expected a nnunet_cardiac.systems.facts.System; see "
            "docs/add_a_system.md."
        )
    return found


def _refuse_doubles(kind: str, named: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for name, title in named:
        if name in seen:
            raise UserError(f"{kind} {name!r} is in the file of {seen[name]} and in that of {title}; rename one.")
        seen[name] = title
