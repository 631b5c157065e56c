import itertools
import re

import pytest

from recorded import ECHO, Raw
from samovar import Samovar, create

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The server that most tests share; each uses names of its own."""
    samovar = Samovar(tmp_path_factory.mktemp("shared") / "data").start()
    yield samovar
    assert samovar.stop() == 0


@pytest.fixture
def fresh(tmp_path):
    """Makes servers of a test's own: `fresh(*flags)`."""
    made = []

    def make(*flags, **more):
        samovar = Samovar(tmp_path / more.pop("data", "data"), *flags, **more).start()
        made.append(samovar)
        return samovar

    yield make
    for samovar in made:
        if samovar.process.poll() is None:
            samovar.kill()


@pytest.fixture
def lam(server):
    return server.client("lambda")


@pytest.fixture
def logs(server):
    return server.client("logs")


@pytest.fixture
def lax(server):
    """A client for logs that sends what its own checks would refuse."""
    return server.client("logs", parameter_validation=False)


@pytest.fixture
def name(request):
    """A function name that no other test uses."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name)[:48].strip("-") + f"-{next(_numbers)}"


@pytest.fixture(scope="session")
def raw(server):
    """Plain HTTP to the shared server."""
    return Raw(server)


@pytest.fixture(scope="session")
def echo(server):
    """A function that all read and none change."""
    create(server.client("lambda"), "fidelity-echo", ECHO)
    return "fidelity-echo"


@pytest.fixture
def aliased(lam, name):
    """A function with version 1 and the alias `live`."""
    create(lam, name, ECHO)
    lam.publish_version(FunctionName=name)
    lam.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    return name
