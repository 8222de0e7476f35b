"""Point fits and draws as a manifest and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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
# The parts of a covariance and their dimensions.
COVARIANCE = {
    "matrix": ("parameter", "parameter_too"),
    "undetermined": ("parameter",),
    "root": ("parameter", "free"),
    "flat": ("direction", "parameter"),
}


# --- point fits ----------------------------------------------------------------------------


def pack_fitted(arrays: Arrays, fitted: Fitted) -> dict[str, Any]:
    """Describe a point fit without its specification."""
    ends = fitted.ends
    starts = {"loglik": ends.loglik, "iterations": ends.iterations, "status": ends.status}
    if ends.log_posterior is not None:
        starts["log_posterior"] = ends.log_posterior
    return {
        "theta": pack(arrays, "point/theta", fitted.theta, "parameter"),
        "trace": pack(arrays, "point/trace", fitted.trace, "iteration"),
        "starts": {n: pack(arrays, f"point/start_{n}", v, "start") for n, v in starts.items()},
        "agreeing": int(ends.agreeing),
        "loglik": as_json(float(fitted.loglik), "loglik"),
        "method": fitted.method,
        "status": fitted.status,
        "iterations": int(fitted.iterations),
        "k_requested": int(fitted.k_requested),
        "reasons": list(fitted.reasons),
        "penalty": None if fitted.penalty is None else _pack_penalty(fitted.penalty),
        "asked": dict(fitted.asked),
        "covariance": _pack_covariance(arrays, fitted),
    }


def _pack_covariance(arrays: Arrays, fitted: Fitted) -> dict[str, Any] | None:
    """Of rows in blocks, which may be elsewhere when the fit is loaded."""
    if fitted.spec.rows.stream is None:
        return None
    found = covariance(fitted)
    return {
        name: pack(arrays, f"point/covariance_{name}", getattr(found, name), *dims)
        for name, dims in COVARIANCE.items()
    }


def unpack_fitted(arrays: Arrays, described: Mapping[str, Any], spec: MixtureSpec) -> Fitted:
    """The point fit of a specification.

    Raises
    ------
    DataError
        If its log-likelihood is no longer what it was.
    """
    starts = {name: unpack(arrays, values) for name, values in described["starts"].items()}
    theta = unpack(arrays, described["theta"])
    fitted = Fitted(
        held_smooths(spec, theta),
        theta=theta,
        loglik=from_json(described["loglik"]),
        method=described["method"],
        status=described["status"],
        iterations=described["iterations"],
        ends=Ends(agreeing=described["agreeing"], **starts),
        k_requested=described["k_requested"],
        trace=unpack(arrays, described["trace"]),
        reasons=tuple(described["reasons"]),
        penalty=_unpack_penalty(described["penalty"], spec),
        asked=described.get("asked", {}),
    )
    if (stored := described.get("covariance")) is None:
        _check_loglik(fitted)
    else:
        found = {name: unpack(arrays, values) for name, values in stored.items()}
        fitted.covariances["observed"] = Covariance(**found)
    return fitted


def _check_loglik(fitted: Fitted) -> None:
    """A family of the user's, or a density of ours, may have changed since."""
    if fitted.status == "degenerate":  # unbounded there
        return
    problem = replace(fitted.problem, penalty=None)
    now = float(log_likelihood(problem, fitted.theta[None])[0])
    if now != fitted.loglik and not abs(now - fitted.loglik) <= TOLERANCE * (1 + abs(now)):
        names = {f.name for block in fitted.spec.layout.blocks for f in block.families}
        raise DataError(
            f"the fit was saved with the log-likelihood {fitted.loglik:.6f}, but its parameters "
            f"now have {now:.6f}: the density of a family ({', '.join(sorted(names))}) is not "
            "what it was. Give the same families, use the version that wrote the file, or fit "
            "the model again"
        )


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
    return {"jacobian": penalty.jacobian, "priors": _pack_model(penalty.model)}


def _unpack_penalty(described: Any, spec: MixtureSpec) -> Penalty | None:
    if described is None:
        return None
    return Penalty(_unpack_model(described["priors"], spec), described["jacobian"])


def _pack_model(model: PriorModel) -> dict[str, Any]:
    single = [
        [int(at), *_pack_prior(prior), link.name] for at, (prior, link) in model.single.items()
    ]
    spread = None if model.spread is None else np.asarray(model.spread).tolist()
    return {
        "single": single,
        "concentration": model.concentration,
        "spread": spread,
        "standard": sorted(model.standard),
        "lean": None if model.lean is None else model.lean.tolist(),
    }


def _unpack_model(described: Mapping[str, Any], spec: MixtureSpec) -> PriorModel:
    links: dict[str, Link] = {
        p.link.name: p.link for b in spec.layout.blocks for f in b.families for p in f.parameters
    }
    links |= LINKS
    single = {
        at: (_unpack_prior((kind, parameters)), links[link])
        for at, kind, parameters, link in described["single"]
    }
    spread = described["spread"]
    model = PriorModel(
        single,
        described["concentration"],
        None if spread is None else np.array(spread),
        frozenset(described.get("standard", ())),  # priors of earlier files are of the user's theta
        smooths=smooth_priors(spec),
        lean=None if described.get("lean") is None else np.array(described["lean"]),
    )
    if not model.standard and not model.smooths:
        return model
    standard = standardise(spec).standard
    assert standard is not None
    return mapped(model, standard)


# --- draws ---------------------------------------------------------------------------------

DRAWS = ("chain", "draw")
MODE = ("theta", "log_density", "factor", "log_mass", "share")


def pack_drawn(arrays: Arrays, drawn: Drawn) -> dict[str, Any]:
    """Describe draws without their specification."""
    modes = {name: np.array([getattr(m, name) for m in drawn.modes]) for name in MODE}
    return {
        "method": drawn.method,
        "sampler": drawn.sampler,
        "relabelling": drawn.relabelling,
        "khat": as_json(float(drawn.khat), "khat"),
        "priors": _pack_model(drawn.priors),
        "thin": drawn.thin,
        "asked": dict(drawn.asked),
        "beside": list(drawn.beside),
        **_pack_chains(arrays, "posterior", drawn),
        "chain_mode": pack(arrays, "posterior/chain_mode", drawn.chain_mode, "chain"),
        "apart": None if drawn.apart is None else _pack_apart(arrays, drawn.apart),
        "modes": {name: pack(arrays, f"modes/{name}", v) for name, v in modes.items()},
        "point": pack_fitted(arrays, drawn.point),
    }


def _pack_apart(arrays: Arrays, apart: Apart) -> dict[str, Any]:
    mode = pack(arrays, "apart/chain_mode", apart.mode, "chain")
    return {**_pack_chains(arrays, "apart", apart), "chain_mode": mode}


def _pack_chains(arrays: Arrays, group: str, chains: Drawn | Apart) -> dict[str, Any]:
    by_draw = {"theta": chains.theta, "raw": chains.raw, "log_density": chains.log_density}
    return {
        "draws": {
            name: pack(arrays, f"{group}/{name}", v, *DRAWS, *("parameter",) * (v.ndim - 2))
            for name, v in by_draw.items()
        },
        "stats": [
            [name, pack(arrays, f"{group}/stat_{i}", v, *DRAWS)]
            for i, (name, v) in enumerate(chains.stats.items())
        ],
    }


def unpack_drawn(arrays: Arrays, described: Mapping[str, Any], spec: MixtureSpec) -> Drawn:
    """The draws from the posterior of a specification."""
    modes = {name: unpack(arrays, values) for name, values in described["modes"].items()}
    return Drawn(
        spec,
        priors=_unpack_model(described["priors"], spec),
        method=described["method"],
        sampler=described["sampler"],
        modes=tuple(_mode(modes, i) for i in range(len(modes["share"]))),
        chain_mode=unpack(arrays, described["chain_mode"]),
        point=unpack_fitted(arrays, described["point"], spec),
        relabelling=described["relabelling"],
        khat=from_json(described["khat"]),
        thin=described.get("thin", 1),
        asked=described.get("asked", {}),
        apart=_unpack_apart(arrays, described.get("apart")),
        beside=tuple(described.get("beside", ())),
        **_unpack_chains(arrays, described),
    )


def _unpack_apart(arrays: Arrays, described: Mapping[str, Any] | None) -> Apart | None:
    """Chains apart; files that were written before there were any have none."""
    if described is None:
        return None
    mode = unpack(arrays, described["chain_mode"])
    return Apart(mode=mode, **_unpack_chains(arrays, described))


def _unpack_chains(arrays: Arrays, described: Mapping[str, Any]) -> dict[str, Any]:
    draws = {name: unpack(arrays, values) for name, values in described["draws"].items()}
    return {**draws, "stats": {name: unpack(arrays, values) for name, values in described["stats"]}}


def _mode(modes: Mapping[str, np.ndarray], i: int) -> Mode:
    values: dict[str, Any] = {n: v[i] if v.ndim > 1 else float(v[i]) for n, v in modes.items()}
    return Mode(**values)
