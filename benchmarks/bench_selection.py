"""How many components, in CPU seconds: 200 resamples of the patents, and evidence for NregFix.

The first test of a process is not counted: it loads the compiled code.  Times are those of one
process; on a machine with more cores the test shares long work among them.
"""

from __future__ import annotations

import argparse
import time
import warnings

from bench_first_fit import machine

import bayesmix as bmx


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resamples", type=int, default=200)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(machine())
    spec = bmx.Mixture(
        "Patents ~ lgRD", bmx.load_data("patent"), family="poisson", concomitant="~ RDS"
    )
    selection = bmx.select(spec, k=range(1, 5), seed=1)
    selection.test(1, 2, n_boot=19, seed=1, progress=False, n_jobs=1)
    for k0 in (1, 2, 3):
        begin = time.process_time()
        test = selection.test(k0, n_boot=options.resamples, seed=1, progress=False, n_jobs=1)
        seconds = time.process_time() - begin
        print(
            f"{k0} against {k0 + 1} components: {seconds:.2f} CPU s, statistic "
            f"{test.statistic:.2f}, p-value {test.p_value:.3f}"
        )
    spec = bmx.Mixture("y ~ x2 + x1", bmx.load_data("NregFix"), k=3, concomitant="~ w")
    posterior = spec.fit("nuts", seed=1, progress=False)
    begin = time.process_time()
    found = posterior.evidence()
    print(f"NregFix, after sampling: {time.process_time() - begin:.2f} CPU s, {found}")


if __name__ == "__main__":
    main()
