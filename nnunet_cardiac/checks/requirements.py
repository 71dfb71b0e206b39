"""Are the installed packages the ones that this package, and nnU-Net below it, ask for?"""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from nnunet_cardiac.checks.finding import Finding, fail, ok, warn


def check_requirements(
    version_of: Callable[[str], str] = metadata.version, package: str = "nnunet_cardiac"
) -> list[Finding]:
    """Compare Python and every installed requirement with the ranges in the package's own metadata.

    Args:
        version_of: Distribution name -> installed version; raises `PackageNotFoundError`.
        package: Distribution whose requirements are checked.
    """
    try:
        wanted = [Requirement(text) for text in metadata.requires(package) or []]
    except metadata.PackageNotFoundError:
        return [fail(package, "runs from a source tree, not installed", "pip install -e . (in the source tree)")]
    needed = [requirement for requirement in wanted if _applies(requirement)]
    return [
        _check_python(metadata.metadata(package)["Requires-Python"]),
        *(_check_one(requirement, version_of) for requirement in needed),
        *_check_torch_for_nnunet(version_of),
    ]


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _check_python(specifier: str) -> Finding:
    found = platform.python_version()
    if SpecifierSet(specifier).contains(found, prereleases=True):
        return ok("python", found)
    return fail("python", f"{found}; expected {specifier}", "Create an environment with a matching Python.")


def _check_one(requirement: Requirement, version_of: Callable[[str], str]) -> Finding:
    fix = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        found = version_of(requirement.name)
    except metadata.PackageNotFoundError:
        return fail(requirement.name, f"not installed; expected {requirement.specifier}", fix)
    if requirement.specifier.contains(found, prereleases=True):
        return ok(requirement.name, found)
    return fail(requirement.name, f"{found}; expected {requirement.specifier}", fix)


def _check_torch_for_nnunet(version_of: Callable[[str], str]) -> list[Finding]:
    """Warn of a torch that nnU-Net excludes (2.9.* in nnU-Net 2.8); pip lets it in when torch is upgraded later."""
    try:
        found = Version(version_of("torch"))
        texts = metadata.requires("nnunetv2") or []
    except metadata.PackageNotFoundError:
        return []
    ranges = [r for r in map(Requirement, texts) if r.name == "torch" and _applies(r)]
    return [
        warn("torch", f"{found} is excluded by nnU-Net ({r.specifier})", f"pip install 'torch{r.specifier}'")
        for r in ranges
        if not r.specifier.contains(found, prereleases=True)
    ]
