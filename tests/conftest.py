"""What holds for every test: how hypothesis draws, and which tests may not run beside each other."""

import pytest
from hypothesis import settings

# No deadline: on a busy machine it would measure the neighbours. The same draws in every run; a fuzzing run, with
# draws of its own, is asked for with --hypothesis-profile=search.
settings.register_profile("suite", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=5_000)
settings.load_profile("suite")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this hook too
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests with containers, or in a browser, unless -m names them; put those that start
    processes that serve or measure time into one worker: there may be two cores.
    """
    if "docker" not in str(config.getoption("markexpr")):
        left_out = [item for item in items if item.get_closest_marker("docker")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    if "browser" not in str(config.getoption("markexpr")):
        left_out = [item for item in items if item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        if item.get_closest_marker("processes"):
            item.add_marker(pytest.mark.xdist_group("processes"))
