"""Makes `from oracle import ...` work in every test folder, and holds fixtures that put global settings back."""

from __future__ import annotations

import os
import signal
import sys

import hypothesis
import pytest

# The same examples every time, and nothing timed.
hypothesis.settings.register_profile("rpusim", derandomize=True, deadline=None, database=None, max_examples=50)
hypothesis.settings.load_profile("rpusim")

sys.path.append(os.path.dirname(__file__))

# A job in the background of a shell is started deaf to Ctrl-C, which some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def restore_kernels():
    """Puts the kernel set back that was in use before."""
    from rpusim._core.kernels import active_kernel_set, use_kernel_set

    before = active_kernel_set()
    yield
    use_kernel_set(before)


@pytest.fixture
def restore_threads():
    """Puts the number of threads back that was in use before."""
    import rpusim

    before = rpusim.get_num_threads()
    yield
    rpusim.set_num_threads(before)


@pytest.fixture
def mnist_folder():
    """The folder of the MNIST files; skips where RPUSIM_DATA does not name its parent."""
    if not os.environ.get("RPUSIM_DATA"):
        pytest.skip("RPUSIM_DATA is not set: MNIST itself is not tested")
    return os.path.join(os.environ["RPUSIM_DATA"], "mnist")
