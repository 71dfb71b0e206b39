"""The package list, the direction of imports and what must not be in a file."""

import ast
import configparser
import json
import re
import subprocess
import sys
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

#: Package -> packages that none of its files may import, at any level of indentation.
FORBIDDEN = {
    "nnunet_cardiac.architectures": (
        "nnunetv2",
        "batchgenerators",
        "batchgeneratorsv2",
        "nnunet_cardiac.cascade",
        "nnunet_cardiac.trainers",
        "nnunet_cardiac.commands",
        "nnunet_cardiac.cli",
    ),
    "nnunet_cardiac.cascade": ("nnunet_cardiac.trainers", "nnunet_cardiac.commands", "nnunet_cardiac.cli"),
    "nnunet_cardiac.trainers": ("nnunet_cardiac.commands", "nnunet_cardiac.cli"),
    "nnunet_cardiac.evaluation": ("nnunet_cardiac.trainers", "nnunet_cardiac.commands", "nnunet_cardiac.cli"),
    "nnunet_cardiac.phantom": ("nnunet_cardiac.trainers", "nnunet_cardiac.commands", "nnunet_cardiac.cli"),
    "nnunet_cardiac.datasets": ("nnunet_cardiac.trainers", "nnunet_cardiac.commands", "nnunet_cardiac.cli"),
    "nnunet_cardiac.checks": ("nnunet_cardiac.trainers", "nnunet_cardiac.commands", "nnunet_cardiac.cli"),
}

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


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_downwards(package):
    files = [(name, file) for name, file in modules() if is_inside(name, package)]
    assert files
    upwards = [
        f"{name} imports {imported}"
        for name, file in files
        for imported in imported_names(ast.walk(ast.parse(file.read_text("utf-8"))))
        if any(is_inside(imported, forbidden) for forbidden in FORBIDDEN[package])
    ]
    assert upwards == []


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
