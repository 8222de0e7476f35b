"""Files from strangers run nothing, and writing a file never costs the one that is there."""

import os
import socket
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_models import manifest, rewritten

import bayesmix as bmx
from bayesmix._arguments.files import write_whole
from bayesmix.errors import BayesmixError, DataError

DATA = Path(__file__).parents[1] / "data"
FORMULA = "y ~ x + g"


def rows(n=60):
    rng = np.random.default_rng(4)
    x = rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": x + rng.normal(size=n), "g": list("ab") * (n // 2)})


def fitted():
    return bmx.Mixture(FORMULA, rows(), k=1).fit("em", starts=1)


def changed(path, change, *, signed):
    """Rewrite the manifest of a file as `change` says."""
    rewritten(path, signed=signed, **change(manifest(path)))


def replaced(value, old, new):
    if isinstance(value, dict):
        return {name: replaced(entry, old, new) for name, entry in value.items()}
    if isinstance(value, list):
        return [replaced(entry, old, new) for entry in value]
    return new if value == old else value


# --- formulas in files ---------------------------------------------------------------------

ESCAPES = [
    "y ~ x + g + I(0 * (x).__class__.__base__.__subclasses__())",
    "y ~ x + g + I(g.__init__.__globals__['sys'].modules['os'].system('touch {mark}'))",
    "y ~ x + g + os.system('touch {mark}')",
    "y ~ x + g + open('{mark}', 'w')",
    "y ~ x + g + np.fromfile('{mark}')",
    "y ~ x + g + touch(x)",
    "y ~ x + g + I(9**9**9)",
]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("formula", ESCAPES)
def test_a_stored_formula_runs_nothing(formula, signed, tmp_path, monkeypatch):
    mark, path = tmp_path / "ran", tmp_path / "fit.nc"
    monkeypatch.setattr("builtins.touch", lambda x: mark.touch() or x, raising=False)
    fitted().save(path)
    formula = formula.format(mark=mark)
    changed(path, lambda m: replaced(m, FORMULA, formula), signed=signed)
    for options in ({}, {"functions": {}}, {"functions": {"half": abs}}):
        with pytest.raises(DataError, match=None if signed else "edited"):
            bmx.load(path, **options)
    assert not mark.exists()


def test_a_stored_scope_holds_values_only(tmp_path):
    path = tmp_path / "fit.nc"
    fitted().save(path)
    for entry in ({"ufunc": "numpy.load"}, {"ufunc": "os.system"}, {"value": {"exec": "1"}}, {}):
        changed(path, lambda m, e=entry: {**m, "scope": {"half": e}}, signed=True)
        with pytest.raises(DataError):
            bmx.load(path)


def test_functions_come_from_the_caller_alone(tmp_path):
    def half(x):
        return x / 2

    spec = bmx.Mixture("y ~ half(x)", rows(), k=1)
    spec.save(tmp_path / "spec.nc")
    with pytest.raises(DataError, match=r"'half'.*functions="):
        bmx.load(tmp_path / "spec.nc")
    again = bmx.load(tmp_path / "spec.nc", functions={"half": half})
    assert again.df == spec.df


# --- edited manifests ----------------------------------------------------------------------


def paths_in(value, at=()):
    """Where the parts of a manifest are."""
    yield at
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield from paths_in(value[name], (*at, name))


def put(value, at, new):
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = put(value[at[0]], at[1:], new)
    return copy


FILES = sorted(DATA.glob("format_*.nc"))


@pytest.mark.parametrize("name", [p.name for p in FILES])
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.data())
def test_edited_manifests_give_data_errors(name, data, tmp_path):
    path = tmp_path / name
    path.write_bytes((DATA / name).read_bytes())
    whole = manifest(path)
    at = data.draw(st.sampled_from([a for a in paths_in(whole) if a and a[0] != "format"]))
    new = data.draw(st.sampled_from([None, -1, 2.5, "", "x", [], {}, [[0]], {"a": 1}, True]))
    changed(path, lambda m: put(m, at, new), signed=True)
    try:
        bmx.load(path, functions={"half": lambda x: x / 2})
    except DataError:
        return
    except BayesmixError as error:
        raise AssertionError(f"{at}: {error!r}") from error


def test_the_checksum_is_of_everything(tmp_path):
    path = tmp_path / "fit.nc"
    fitted().save(path)
    whole = path.read_bytes()
    for at in [a for a in paths_in(manifest(path)) if a][::7]:
        path.write_bytes(whole)
        changed(path, lambda m, a=at: put(m, a, "edited"), signed=False)
        with pytest.raises(DataError):
            bmx.load(path)


def test_a_small_file_does_not_fill_the_memory(tmp_path):
    path, size = tmp_path / "fit.nc", 2**34
    fitted().save(path)
    with h5py.File(path, "r+") as file:  # nothing is written of it
        del file["point/theta"]
        file.create_dataset("point/theta", shape=(size,), dtype="f8", chunks=(2**20,))
    with pytest.raises(DataError, match="has the shape"):
        bmx.load(path)
    changed(path, lambda m: put(m, ("arrays", "point/theta"), ["float64", [size]]), signed=False)
    with pytest.raises(MemoryError, match=r"fit.nc' would take about .* made to fill the memory"):
        bmx.load(path)


# --- places and disks ----------------------------------------------------------------------


def test_only_regular_files_are_replaced(tmp_path):
    fit = fitted()
    pipe, folder, link = tmp_path / "pipe", tmp_path / "folder", tmp_path / "link"
    os.mkfifo(pipe)
    folder.mkdir()
    link.symlink_to(pipe)
    (tmp_path / "null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(tmp_path / "plug"))
        before = {p.name: p.lstat().st_mode for p in tmp_path.iterdir()}
        for path in (*sorted(tmp_path.iterdir()), Path("/dev/null")):
            for write in (fit.save, fit.report):
                with pytest.raises(DataError, match=r"device, a pipe or a socket|is a folder"):
                    write(path)
        assert {p.name: p.lstat().st_mode for p in tmp_path.iterdir()} == before
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a"
    write_whole(path, b"1")
    path.chmod(0o640)
    write_whole(path, b"22")
    assert path.read_bytes() == b"22"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["a"]


def test_errors_name_the_file_that_was_given(tmp_path, monkeypatch):
    def refuses(source, _target):
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr(os, "replace", refuses)
    with pytest.raises(PermissionError) as caught:
        write_whole(tmp_path / "a", b"1")
    assert caught.value.filename == str(tmp_path / "a")
    assert os.listdir(tmp_path) == []


FULL = """
    import gc, os, resource, sys
    import numpy as np, pandas as pd, bayesmix as bmx
    rng = np.random.default_rng(1)
    def fitted(n):
        data = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n)})
        return bmx.Mixture("y ~ x", data, k=1).fit("em", starts=1)
    small, large = fitted(50), fitted(20_000)
    os.chdir(sys.argv[1])
    small.save("a.nc"); small.report("a.html")
    page = open("a.html", "rb").read()
    # No file can grow beyond this, as on a disk that is full.
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
    for write in (lambda: large.save("a.nc"), lambda: large.report("a.html")):
        try: write()
        except OSError as error: print(isinstance(error, bmx.DataError), "too large" in str(error))
    gc.collect()
    print(bmx.load("a.nc").n_obs, open("a.html", "rb").read() == page, sorted(os.listdir()))
"""


def test_a_full_disk(tmp_path):
    code = textwrap.dedent(FULL)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [*["True True"] * 2, "50 True ['a.html', 'a.nc']"]
