"""`python -m node.cli` is `som`."""

from node.cli.main import main

main(prog_name="som")
