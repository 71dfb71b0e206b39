"""The package list, the direction of imports and what must not be in a file."""

import ast
import configparser
import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path

import pytest

from nnunet_cardiac.version import __version__

ROOT = Path(__file__).resolve().parent.parent

#: Folder -> name of the package that it becomes.
PARTS = {
    "nnunet_cardiac": "nnunet_cardiac",
    "trainers": "nnunet_cardiac.trainers",
    "architectures": "nnunet_cardiac.architectures",
    "cascade": "nnunet_cardiac.cascade",
}

#: Room -> what it holds and what it may import, from the top of the house down. CONTRIBUTING.md prints it, and
#: docs/figures/house.py draws it.
ROOMS = json.loads((ROOT / "docs" / "imports.json").read_text("utf-8"))

#: Last room of the table; every room may import it unless the table says otherwise.
GROUND = "ground"

#: Top-level packages that take long to import; commands import them inside `run`.
HEAVY = {"torch", "numpy", "nnunetv2", "SimpleITK", "pandas", "scipy", "skimage", "matplotlib", "tqdm", "timm"}


def modules():
    """Yield the dotted name and the file of every module of the source tree."""
    for folder, package in PARTS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join((package, *parts)).removesuffix(".__init__"), file


def imported_names(nodes):
    """Yield each name that the import statements among the nodes bring in, with the module before it."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}; use full module paths"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_inside(name, package):
    return name == package or name.startswith(f"{package}.")


def setup_cfg():
    config = configparser.ConfigParser()
    assert config.read(ROOT / "setup.cfg")
    return config


def test_every_package_is_listed():
    found = {
        ".".join((name, *file.parent.relative_to(ROOT / folder).parts))
        for folder, name in PARTS.items()
        for file in (ROOT / folder).rglob("*.py")
    }
    assert set(setup_cfg()["options"]["packages"].split()) == found


def test_typing_marker_is_packaged():
    assert "py.typed" in setup_cfg()["options.package_data"]["nnunet_cardiac"].split()
    assert (ROOT / "nnunet_cardiac" / "py.typed").is_file()


def test_version_stands_in_one_place():
    assert setup_cfg()["metadata"]["version"] == "attr: nnunet_cardiac.version.__version__"
    assert metadata.version("nnunet_cardiac") == __version__
    literal = re.compile(rf"['\"]{re.escape(__version__)}['\"]")
    assert [file.name for _, file in modules() if literal.search(file.read_text("utf-8"))] == ["version.py"]


def test_nnunet_has_an_upper_bound():
    """The trainers override nnU-Net's internals, which change from one minor version to the next."""
    assert "nnunetv2>=2.8,<2.9" in setup_cfg()["options"]["install_requires"].split()


def room_of(module):
    """The room of a module, by its longest name in the table; a module is a room, or lies in one."""
    inner = module.removeprefix("nnunet_cardiac").removeprefix(".")
    names = {name: room for room, entry in ROOMS.items() for name in entry.get("modules", [room])}
    while inner and inner not in names:
        inner = inner.rpartition(".")[0]
    return names[inner]


def allowed(room):
    """The rooms that a room may import."""
    below = list(ROOMS)[list(ROOMS).index(room) + 1 :]
    listed = ROOMS[room]["imports"]
    if listed == "every room below":
        return set(below)
    return {*listed, *([GROUND] if ROOMS[room].get("ground", room != GROUND) else [])}


def imports_of_rooms():
    """Yield each import of a module of this package by one in another room: the module, what it imports, both rooms."""
    known = {name for name, _ in modules()}
    for name, file in modules():
        for imported in imported_names(ast.walk(ast.parse(file.read_text("utf-8")))):
            if is_inside(imported, "nnunet_cardiac"):
                # `from package.module import name` imports the module; `from package import module` as well.
                target = imported if imported in known else imported.rpartition(".")[0]
                if room_of(name) != room_of(target):
                    yield name, target, room_of(name), room_of(target)


def test_every_module_has_a_room():
    """A new folder is a room of the table: a module in no room would count as one of the entrances."""
    entrances = {name for name, _ in modules() if room_of(name) == "cli"}
    assert entrances == {"nnunet_cardiac", "nnunet_cardiac.cli"}


def test_no_module_imports_what_its_room_may_not():
    refused = [
        f"{name} imports {target}" for name, target, room, other in imports_of_rooms() if other not in allowed(room)
    ]
    assert refused == [], "see docs/imports.json and the table in CONTRIBUTING.md"


def test_no_circle_between_rooms():
    """Both what is allowed and what is imported, so that neither an entry of the table nor a module closes a circle."""
    graph = {room: allowed(room) for room in ROOMS}
    for _, _, room, other in imports_of_rooms():
        graph[room] = graph[room] | {other}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the rooms
    assert set(order) == set(ROOMS)


def test_table_goes_from_the_top_down():
    order = list(ROOMS)
    upwards = [
        f"{room} lists {other}" for room in order for other in allowed(room) if order.index(other) < order.index(room)
    ]
    assert upwards == []


@pytest.mark.parametrize("room", [room for room, entry in ROOMS.items() if "libraries" in entry])
def test_room_knows_only_its_libraries(room):
    """Networks know torch, and no nnU-Net; the files of the systems know the standard library."""
    usual = {*sys.stdlib_module_names, *ROOMS[room]["libraries"], "nnunet_cardiac"}
    foreign = [
        f"{name} imports {imported}"
        for name, file in modules()
        if room_of(name) == room
        for imported in imported_names(ast.walk(ast.parse(file.read_text("utf-8"))))
        if imported.split(".")[0] not in usual
    ]
    assert foreign == []


def test_contributing_prints_the_table():
    expected = ["| room | what it holds | may import |", "|---|---|---|", *map(table_row, ROOMS)]
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert "\n".join(expected) in text, "CONTRIBUTING.md: expected this table:\n" + "\n".join(expected)


def table_row(room):
    entry, listed = ROOMS[room], ROOMS[room]["imports"]
    inner = listed if isinstance(listed, str) else ", ".join(f"`{other}`" for other in listed)
    libraries = ", ".join(entry["libraries"]) or "only the standard library" if "libraries" in entry else ""
    may = "; ".join(filter(None, (inner, libraries))) or ("–" if room == GROUND else "`ground` alone")
    return f"| `{room}` | {entry['holds']} | {may} |"


def test_commands_are_light_at_module_level():
    heavy = [
        f"{name} imports {imported}"
        for name, file in modules()
        if is_inside(name, "nnunet_cardiac.commands")
        for imported in imported_names(ast.parse(file.read_text("utf-8")).body)
        if imported.split(".")[0] in HEAVY
    ]
    assert heavy == []


@pytest.mark.parametrize(
    "module", ["nnunet_cardiac.anatomy", "nnunet_cardiac.cli", "nnunet_cardiac.workflow.environment"]
)
def test_module_imports_nothing_heavy(module):
    code = f"import json, sys, {module}; print(json.dumps(sorted({HEAVY!r} & sys.modules.keys())))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_trainer_folder_is_no_package():
    """An `__init__.py` would make nnU-Net look for the class inside a package, where it does not find it."""
    files = sorted(file.name for file in (ROOT / "trainers" / "nnunet_ext").glob("*.py"))
    assert files == ["cardiac_trainers.py"]


def test_no_path_of_one_machine_in_any_file():
    own = Path(__file__).resolve()
    # Put together here, so that this file does not hold what it looks for.
    absolute = re.compile(
        "|".join("/" + word + "/" for word in ("home", "Users", "root", "work", "mnt", "opt", "scratch"))
    )
    suspects = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in tracked_text_files()
        if file != own and (match := absolute.search(file.read_text("utf-8")))
    ]
    assert suspects == []


def tracked_text_files():
    folders = [*PARTS, "tests", "docs", ".ci"]
    found = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()]
    found += [file for file in ROOT.iterdir() if file.is_file()]
    return [
        file for file in found if file.suffix in {".py", ".md", ".cfg", ".toml", ".json", ".sh"} or file.name == "run"
    ]
