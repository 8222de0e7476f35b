"""Compiling the kernels once for a machine."""

from __future__ import annotations

from bayesmix.families import FAMILIES, family
from bayesmix.families.effects_kernel import effects_kernel
from bayesmix.families.kernel import OTHER_LINKS
from bayesmix.families.survival.base import COMPILED, LATE


def warm() -> None:
    """Compile the kernels once for this machine and user.

    It takes a few minutes.  From then on, compiled code fits small data too, in this and later
    processes, several times faster than NumPy.  Large data always use compiled code.

    Notes
    -----
    The kernels are kept in the user's cache folder; the environment variable XDG_CACHE_HOME
    chooses another one.  BAYESMIX_COMPILE=0 switches compiled code off, and 1 compiles whatever
    a fit needs.

    Examples
    --------
    >>> import bayesmix as bmx
    >>> bmx.warm()  # doctest: +SKIP
    """
    from bayesmix.kernels.density import copy_callback, density_callback, units_callback
    from bayesmix.kernels.passes import pass_callback
    from bayesmix.kernels.runs import runs_callback
    from bayesmix.kernels.step import step_callback
    from bayesmix.kernels.terms import family_callback, link_callback
    from bayesmix.kernels.times import times_callback

    for make in (
        pass_callback, step_callback, runs_callback, density_callback, copy_callback, units_callback
    ):  # fmt: skip
        make()
    for shipped in (family(name) for name in FAMILIES):
        for each in (shipped, *map(shipped.with_link, shipped.links)):
            if each.kernel is not None:
                family_callback(each.kernel)
        if shipped.survival is not None and shipped.survival.kernel is not None:
            kernel = shipped.survival.kernel
            for kind in (*COMPILED, *(LATE if kernel.straight else ())):
                times_callback(kernel, kind)
    for proportional in (False, True):
        family_callback(effects_kernel(proportional=proportional))
    for own, others in OTHER_LINKS.items():
        for link in others:
            link_callback(own, link)
