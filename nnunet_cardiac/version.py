"""The one place that holds the version, and reads those of others."""

import platform

__version__ = "0.1.0"


def installed_versions(*names: str) -> dict[str, str]:
    """Return the versions of packages, for the files that say what made a result.

    Args:
        names: Distributions, or `python` in any case; in the order in which they are to be listed.

    Returns:
        Name as given -> version; what is not installed is left out.
    """
    from importlib import metadata

    found = {}
    for name in names:
        if name == "nnunet_cardiac":
            found[name] = __version__
        elif name.lower() == "python":
            found[name] = platform.python_version()
        else:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    return found
