"""Write the lock files of this folder from pyproject.toml: exact versions with hashes, for every platform we run on.

`make lock` runs it, on x86_64 with Python 3.11; set UPGRADE=1 to move to the newest versions that the floors allow.

pip-compile resolves for the machine that it runs on and drops what a marker excludes there. So the markers of
pyproject.toml are taken off before, and put back after it. The files name no host: whoever installs chooses it.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
HEADER = """\
# Made by `make lock` from pyproject.toml; do not edit. For {use}.
# Python 3.11 and 3.12 on x86_64 and aarch64. Install with:
#   pip install {flags}--require-hashes --only-binary :all: -r requirements/{name}
"""
COMPILE = (
    *("--quiet", "--no-config", "--no-header", "--no-annotate", "--newline=lf"),
    *("--generate-hashes", "--strip-extras", "--allow-unsafe"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-emit-options"),
)


def main() -> None:
    """Write the files; the developer's contains every version of the validator's."""
    with (HERE.parent / "pyproject.toml").open("rb") as file:
        pyproject = tomllib.load(file)
    extras = pyproject["project"]["optional-dependencies"]
    run = [*pyproject["project"]["dependencies"], *extras["uvloop"]]
    schemas = pyproject["dependency-groups"]["schemas"]
    write("build.txt", "building the package", compiled(pyproject["build-system"]["requires"], "build.txt"))
    write("run.txt", "a validator", compiled(run, "run.txt"))
    write(
        "hsm.txt", "a signer whose key is in a device", compiled([*run, *extras["hsm"]], "hsm.txt", pinned("run.txt"))
    )
    write("index.txt", "the indexer", compiled([*run, *extras["index"]], "index.txt", pinned("run.txt")))
    develop = compiled([*run, *extras["hsm"], *extras["index"], *extras["dev"]], "dev.txt", pinned("run.txt"))
    write("dev.txt", "developers: run.txt and the tools", develop)
    write("schemas.txt", "tests against the official ISO 20022 schemas", "".join(map(hashed, schemas)), "--no-deps ")


def write(name: str, use: str, body: str, flags: str = "") -> None:
    (HERE / name).write_text(HEADER.format(use=use, flags=flags, name=name) + body)


def pinned(name: str) -> list[str]:
    """Return the lines ``name==version`` of a lock, without markers."""
    return re.findall(r"^[a-z]\S*==\S+", (HERE / name).read_text(), flags=re.MULTILINE)


def compiled(requirements: list[str], name: str, constraints: Sequence[str] = ()) -> str:
    """Return pip-compile's answer for ``requirements``; versions of the present file stay unless UPGRADE is set."""
    parts = [[part.strip() for part in requirement.partition(";")] for requirement in requirements]
    markers = {re.split(r"[<>=]", package)[0]: marker for package, _, marker in parts if marker}
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "requirements.in"), Path(folder, "requirements.txt")
        source.write_text("".join(f"{package}\n" for package, _, _ in parts))
        command = [sys.executable, "-m", "piptools", "compile", *COMPILE, "--output-file", str(output), str(source)]
        Path(folder, "constraints.txt").write_text("".join(f"{line}\n" for line in constraints))
        command += ["--constraint", str(Path(folder, "constraints.txt"))]
        if (HERE / name).exists() and not os.environ.get("UPGRADE"):
            output.write_text("".join(f"{line}\n" for line in pinned(name)))
        subprocess.run(command, check=True)
        lines = [line for line in output.read_text().splitlines(keepends=True) if line.strip() and line[0] != "#"]
    return with_markers("".join(lines), markers)


def with_markers(text: str, markers: dict[str, str]) -> str:
    for name, marker in markers.items():
        text = re.sub(rf"^({re.escape(name)}==\S+)", rf"\1 ; {marker}", text, flags=re.MULTILINE)
    return text


def hashed(requirement: str) -> str:
    """Return the requirement with the hash of its one wheel, for pure wheels of a fixed version."""
    with tempfile.TemporaryDirectory() as folder:
        download = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder, requirement]
        subprocess.run([sys.executable, "-m", "pip", *download], check=True)
        (wheel,) = Path(folder).iterdir()
        assert wheel.name.endswith("-none-any.whl"), f"{wheel.name} has other wheels, whose hashes would be missing"
        answer = subprocess.run(
            [sys.executable, "-m", "pip", "hash", str(wheel)], check=True, capture_output=True, text=True
        )
    return f"{requirement} \\\n    {answer.stdout.split()[-1]}\n"


if __name__ == "__main__":
    main()
