"""Print docs/scenarios.md."""

from devnet.scenarios.rows import page

if __name__ == "__main__":
    print(page(), end="")
