"""How many threads rpusim uses."""

from __future__ import annotations

from rpusim._base.validation import integer_value
from rpusim._core import threads as _core

__all__ = ["get_num_threads", "set_num_threads", "threads"]

MOST_THREADS = 1024


def get_num_threads() -> int:
    """Return the number of threads that calls of this thread may use.

    At first: the processors that the process may use (by its affinity, and by the limit of its control group, as containers
    have one), or OMP_NUM_THREADS.

    Returns
    -------
    int

    Examples
    --------
    >>> import rpusim as rpu
    >>> with rpu.threads(1):
    ...     rpu.get_num_threads()
    1
    """
    return _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Set the number of threads that calls may use: reads, updates, products of networks, solves of wires.

    Results do not depend on it, but for the rounding of reads (`CrossbarArray.forward`). Small work uses one thread in any
    case, and a call that finds the team of threads busy with another one does its work alone.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    See Also
    --------
    threads : the same for a block of code, in the calling thread only.

    Notes
    -----
    Matrix products are NumPy's, whose BLAS works with one thread while a call of rpusim lasts that shares the product among its
    own; then it is as it was. That is for OpenBLAS, which the wheels of NumPy for Linux bring; another BLAS (MKL, Accelerate)
    uses the threads that it is set to. Where nobody has called `set_num_threads` or `threads`, the settings of OpenBLAS
    (OPENBLAS_NUM_THREADS, threadpoolctl) limit the threads of products.

    Examples
    --------
    >>> import rpusim as rpu
    >>> before = rpu.get_num_threads()
    >>> rpu.set_num_threads(2)
    >>> rpu.get_num_threads()
    2
    >>> rpu.set_num_threads(before)
    """
    _core.set_num_threads(integer_value("n", n, 1, MOST_THREADS))


class threads(_core.Block):
    """Let the calls of this thread, within a `with` block, use `n` threads; those of other threads are as they were.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Examples
    --------
    >>> import rpusim as rpu
    >>> with rpu.threads(1):
    ...     rpu.get_num_threads()
    1
    """

    def __init__(self, n: int) -> None:
        super().__init__(integer_value("n", n, 1, MOST_THREADS))

    def __repr__(self) -> str:
        return f"threads({self.n})"
