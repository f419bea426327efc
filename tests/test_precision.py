"""A process that was forked after a computation is told so; JAX would wait in it without end."""

import os
import warnings

import pytest

import neutral as nt


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_fork_after_use_ends_with_an_error():
    assert nt.price(nt.Black(0.2), 100.0, 100.0, 1.0) > 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX and Python warn of the fork as well
        child = os.fork()
    if child == 0:
        try:
            nt.price(nt.Black(0.2), 100.0, 100.0, 1.0)
            os._exit(1)
        except nt.ForkError as error:
            os._exit(0 if "get_context('spawn')" in str(error) else 2)
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
