"""Point fits and draws as a manifest and arrays, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np

from bayesmix.distributions import Prior, cut
from bayesmix.errors import DataError
from bayesmix.families.links import LINKS, Link
from bayesmix.likelihood import log_likelihood
from bayesmix.model import MixtureSpec
from bayesmix.model.smooth import held_smooths
from bayesmix.model.standard import standardise
from bayesmix.posterior.drawn import Apart, Drawn
from bayesmix.posterior.mode import Mode
from bayesmix.priors import Penalty, PriorModel, mapped, smooth_priors
from bayesmix.results.covariance import Covariance, covariance
from bayesmix.results.fitted import Ends, Fitted
from bayesmix.storage.columns import pack, unpack
from bayesmix.storage.file import Arrays, as_json, from_json

# The log-likelihood at the stored parameters is computed again, and may differ by so much.
TOLERANCE = 1e-6

# --- records -------------------------------------------------------------------------------


class Kind(NamedTuple):
    """How a field that is not None is described, under a name for its array, and read."""

    write: Callable[[Arrays, str, Any], Any]
    read: Callable[[Arrays, Any], Any]


Fields = Mapping[str, Kind]


def _array(*dims: str) -> Kind:
    return Kind(lambda arrays, at, values: pack(arrays, at, values, *dims), unpack)


def _json(write: Callable[[Any], Any], read: Callable[[Any], Any]) -> Kind:
    return Kind(lambda _a, _at, value: write(value), lambda _a, written: read(written))


DRAWS = ("chain", "draw")
VALUE = Kind(lambda _a, at, value: as_json(value, at), lambda _a, written: from_json(written))
TEXTS, OPTIONS = _json(list, tuple), _json(dict, dict)
NUMBERS = _json(lambda values: np.asarray(values).tolist(), np.array)
THETA = _array(*DRAWS, "parameter")

FITTED: Fields = {
    "theta": _array("parameter"),
    "trace": _array("iteration"),
    **dict.fromkeys(("loglik", "method", "status", "iterations", "k_requested"), VALUE),
    "reasons": TEXTS,
    "asked": OPTIONS,
}
STARTS: Fields = dict.fromkeys(("loglik", "iterations", "status"), _array("start"))
COVARIANCE: Fields = {
    "matrix": _array("parameter", "parameter_too"),
    "undetermined": _array("parameter"),
    "root": _array("parameter", "free"),
    "flat": _array("direction", "parameter"),
}
# Priors of files without `standard` are of the user's theta.
PRIORS: Fields = {
    **dict.fromkeys(("concentration", "opened"), VALUE),
    "standard": _json(sorted, frozenset),
    **dict.fromkeys(("spread", "lean"), NUMBERS),
}
CHAINS: Fields = {"theta": THETA, "raw": THETA, "log_density": _array(*DRAWS)}
DRAWN: Fields = {
    **dict.fromkeys(("method", "sampler", "relabelling", "khat", "thin"), VALUE),
    "asked": OPTIONS,
    "beside": TEXTS,
}


def _pack(arrays: Arrays, at: str, record: Any, fields: Fields) -> dict[str, Any]:
    """Describe fields of a record; names of arrays begin with `at`."""
    found = {name: (kind, getattr(record, name)) for name, kind in fields.items()}
    return {
        name: None if value is None else kind.write(arrays, at + name, value)
        for name, (kind, value) in found.items()
    }


def _unpack(arrays: Arrays, described: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """What `_pack` described, by name; what an early file lacks is left to the defaults."""
    found = {name: (kind, described[name]) for name, kind in fields.items() if name in described}
    return {n: None if w is None else kind.read(arrays, w) for n, (kind, w) in found.items()}


# --- point fits ----------------------------------------------------------------------------


def pack_fitted(arrays: Arrays, fitted: Fitted) -> dict[str, Any]:
    """Describe a point fit without its specification."""
    ends, penalty, found = fitted.ends, fitted.penalty, None
    if fitted.spec.rows.stream is not None:  # of rows in blocks, which may be elsewhere later
        found = _pack(arrays, "point/covariance_", covariance(fitted), COVARIANCE)
    starts = STARTS if ends.log_posterior is None else {**STARTS, "log_posterior": _array("start")}
    return {
        **_pack(arrays, "point/", fitted, FITTED),
        "starts": _pack(arrays, "point/start_", ends, starts),
        "agreeing": int(ends.agreeing),
        "penalty": None if penalty is None else _pack_penalty(penalty),
        "covariance": found,
    }


def unpack_fitted(arrays: Arrays, described: Mapping[str, Any], spec: MixtureSpec) -> Fitted:
    """The point fit of a specification.

    Raises
    ------
    DataError
        If its log-likelihood is no longer what it was.
    """
    starts = {name: unpack(arrays, values) for name, values in described["starts"].items()}
    found, penalty = _unpack(arrays, described, FITTED), described["penalty"]
    fitted = Fitted(
        held_smooths(spec, found["theta"]),
        ends=Ends(agreeing=described["agreeing"], **starts),
        penalty=None if penalty is None else _unpack_penalty(penalty, spec),
        **found,
    )
    if (stored := described.get("covariance")) is None:
        _check_loglik(fitted)
    else:
        fitted.covariances["observed"] = Covariance(**_unpack(arrays, stored, COVARIANCE))
    return fitted


def _check_loglik(fitted: Fitted) -> None:
    """A family of the user's, or a density of ours, may have changed since."""
    if fitted.status == "degenerate":  # unbounded there
        return
    now = _loglik(fitted, fitted.theta)
    if now == fitted.loglik or abs(now - fitted.loglik) <= TOLERANCE * (1 + abs(now)):
        return
    # Where parameters run to infinity their last digit alone may move it further.
    moved = [_loglik(fitted, np.nextafter(fitted.theta, end)) for end in (np.inf, -np.inf)]
    if not abs(now - fitted.loglik) <= max(abs(value - now) for value in moved):
        names = {f.name for block in fitted.spec.layout.blocks for f in block.families}
        raise DataError(
            f"the fit was saved with the log-likelihood {fitted.loglik:.6f}, but its parameters "
            f"now have {now:.6f}: the density of a family ({', '.join(sorted(names))}) is not "
            "what it was. Give the same families, use the version that wrote the file, or fit "
            "the model again"
        )


def _loglik(fitted: Fitted, theta: np.ndarray) -> float:
    """The log-likelihood at theta (D,)."""
    return float(log_likelihood(replace(fitted.problem, penalty=None), theta[None])[0])


# --- priors --------------------------------------------------------------------------------


def pack_given(priors: Any) -> Any:
    """Describe priors as they are given to a model: None, "flat", or a dict by name."""
    if not isinstance(priors, Mapping):
        return priors
    return {name: _pack_prior(prior) for name, prior in priors.items()}


def unpack_given(described: Any) -> Any:
    """What `pack_given` described."""
    if not isinstance(described, Mapping):
        return described
    return {name: _unpack_prior(prior) for name, prior in described.items()}


def _pack_prior(prior: Prior) -> list[Any]:
    parameters = {name: as_json(v, "a prior") for name, v in prior.parameters.items()}
    return [prior.kind, parameters]


def _unpack_prior(described: Any) -> Prior:
    kind, parameters = described[0], {name: from_json(v) for name, v in described[1].items()}
    if kind.startswith("truncated_"):  # one of its ends may be infinite
        return cut(kind.removeprefix("truncated_"), parameters)
    return Prior(kind, **parameters)


def _pack_penalty(penalty: Penalty) -> dict[str, Any]:
    return {"jacobian": penalty.jacobian, "priors": _pack_priors(penalty.model)}


def _unpack_penalty(described: Mapping[str, Any], spec: MixtureSpec) -> Penalty:
    return Penalty(_unpack_priors(described["priors"], spec), described["jacobian"])


def _pack_priors(model: PriorModel) -> dict[str, Any]:
    single = [[int(at), *_pack_prior(p), link.name] for at, (p, link) in model.single.items()]
    return {"single": single, **_pack(Arrays(), "", model, PRIORS)}


def _unpack_priors(described: Mapping[str, Any], spec: MixtureSpec) -> PriorModel:
    links: dict[str, Link] = {
        p.link.name: p.link for b in spec.layout.blocks for f in b.families for p in f.parameters
    }
    links |= LINKS
    single = {
        at: (_unpack_prior((kind, parameters)), links[link])
        for at, kind, parameters, link in described["single"]
    }
    model = PriorModel(single, smooths=smooth_priors(spec), **_unpack(Arrays(), described, PRIORS))
    if not model.standard and not model.smooths:
        return model
    standard = standardise(spec).standard
    assert standard is not None
    return mapped(model, standard)


# --- draws ---------------------------------------------------------------------------------


def pack_drawn(arrays: Arrays, drawn: Drawn) -> dict[str, Any]:
    """Describe draws without their specification."""
    apart, names = drawn.apart, [f.name for f in fields(Mode)]
    modes = {name: np.array([getattr(m, name) for m in drawn.modes]) for name in names}
    return {
        **_pack(arrays, "", drawn, DRAWN),
        "priors": _pack_priors(drawn.priors),
        **_pack_chains(arrays, "posterior", drawn, drawn.chain_mode),
        "apart": None if apart is None else _pack_chains(arrays, "apart", apart, apart.mode),
        "modes": {name: pack(arrays, f"modes/{name}", v) for name, v in modes.items()},
        "point": pack_fitted(arrays, drawn.point),
    }


def _pack_chains(
    arrays: Arrays, group: str, chains: Drawn | Apart, mode: np.ndarray
) -> dict[str, Any]:
    stats = enumerate(chains.stats.items())
    return {
        "draws": _pack(arrays, f"{group}/", chains, CHAINS),
        "stats": [[name, pack(arrays, f"{group}/stat_{i}", v, *DRAWS)] for i, (name, v) in stats],
        "chain_mode": pack(arrays, f"{group}/chain_mode", mode, "chain"),
    }


def unpack_drawn(arrays: Arrays, described: Mapping[str, Any], spec: MixtureSpec) -> Drawn:
    """The draws from the posterior of a specification."""
    modes = {name: unpack(arrays, values) for name, values in described["modes"].items()}
    apart = described.get("apart")  # early files have none
    return Drawn(
        spec,
        priors=_unpack_priors(described["priors"], spec),
        modes=tuple(_mode(modes, i) for i in range(len(modes["share"]))),
        point=unpack_fitted(arrays, described["point"], spec),
        apart=None if apart is None else Apart(**_unpack_chains(arrays, apart, "mode")),
        **_unpack_chains(arrays, described, "chain_mode"),
        **_unpack(arrays, described, DRAWN),
    )


def _unpack_chains(arrays: Arrays, described: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """Fields of chains; `mode` is what the record calls the modes at which they began."""
    stats = {name: unpack(arrays, values) for name, values in described["stats"]}
    draws = _unpack(arrays, described["draws"], CHAINS)
    return {**draws, "stats": stats, mode: unpack(arrays, described["chain_mode"])}


def _mode(modes: Mapping[str, np.ndarray], i: int) -> Mode:
    values: dict[str, Any] = {n: v[i] if v.ndim > 1 else float(v[i]) for n, v in modes.items()}
    return Mode(**values)
