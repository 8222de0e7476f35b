"""The operators of arrays that carry more than numbers: NumPy's functions of the same meaning."""

from __future__ import annotations

from numpy.lib.mixins import NDArrayOperatorsMixin


class Operators(NDArrayOperatorsMixin):
    """What every operator is, by ``__array_ufunc__``; ``a += b`` makes a new array."""

    __slots__ = ()


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or"):
    setattr(Operators, f"__i{_name}__", getattr(NDArrayOperatorsMixin, f"__{_name}__"))
