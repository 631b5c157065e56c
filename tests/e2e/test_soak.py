"""The soak in short; `cargo xtask bench soak` is the long one."""

import os

from soak import FLAGS, soak
from test_sweep import Traces

SECONDS = 10


def test_everything_at_once_leaves_even_books(fresh):
    samovar = fresh(*FLAGS)
    traffic = soak(samovar, SECONDS, os.environ.get("SAMOVAR_TEST_SEED", "samovar"))
    assert sum(traffic.answers.values()) > 200
    assert samovar.stop() == 0
    assert not [name for name, found in Traces(samovar).all().items() if found]
