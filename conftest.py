"""The order of the test files: another in each run, so that no test comes to need what an earlier one left behind."""

from __future__ import annotations

import random
import secrets
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--order-seed",
        type=int,
        default=secrets.randbelow(10**6),
        metavar="N",
        help="order of the test files, as a run has printed it (default: another in each run)",
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Gives a worker of pytest-xdist the seed: all workers must collect the same tests in the same order."""
    node.workerinput["order_seed"] = node.config.option.order_seed


def pytest_sessionstart(session: pytest.Session) -> None:
    """Prints the seed; the header of the report is not shown where `-q` is given."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"order of the test files: --order-seed {_seed(session.config)}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffles the files. Two of them follow one another alike whichever others run, so that a failure that comes of
    the order can be traced with ever fewer files.
    """
    seed = _seed(config)
    items.sort(key=lambda item: random.Random(f"{seed} {item.nodeid.partition('::')[0]}").random())


def _seed(config: pytest.Config) -> int:
    return getattr(config, "workerinput", {}).get("order_seed", config.option.order_seed)
