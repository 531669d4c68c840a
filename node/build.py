"""Which build of the node this is: its version, and whether a payment's modules are compiled (setup.py)."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from consensus import encoding


def is_native() -> bool:
    """Return whether the modules that setup.py names are compiled."""
    return not str(encoding.__file__).endswith(".py")


def software_version() -> str:
    """Return the version of the installed distribution, as PEP 440 says it of a build of one's own if compiled."""
    try:
        release = version("digital-som")
    except PackageNotFoundError:
        return "unknown"
    return f"{release}+native" if is_native() else release


VERSION: Final = software_version()
