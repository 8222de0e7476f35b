"""Places of sizes, addresses and buffers in the model of the kernels for small data."""

from __future__ import annotations

# Sizes.  LINE: values between a chunk's rows of a buffer; CONSTANT: weights without covariates.
(
    N_COMPONENTS,
    N_COLUMNS,
    N_CONCOMITANT,
    SIZE,
    N_UNITS,
    N_CHUNKS,
    LINE,
    HAS_DISPERSION,
    CONSTANT,
    # Addresses of the compiled family, pass and M step.
    FAMILY,
    PASS_KERNEL,
    STEP_KERNEL,
    # Addresses of the data; 0: absent.  X, Z and ALLOWED hold the chunks one after another, each
    # by columns.  BOUNDS: the chunks' first units; FIRST: the units' first rows.
    X,
    OFFSET,
    Y,
    AUX,
    DENSITY_CONSTANT,
    WEIGHT,
    Z,
    LARGEST_Z,
    ALLOWED,
    BOUNDS,
    FIRST,
    # Where parameters stand in theta, -1: nowhere; KIND: what each entry of theta is.
    INDEX,
    DISPERSION_INDEX,
    ALPHA_INDEX,
    KIND,
    N_DATA,
) = range(28)

# What a pass is for: the log-likelihood; its observed information; its score alone; the sums of an
# M step with the pass's own responsibilities, with those of the most probable component, else with
# those at an address.
NONE, INFORMATION, SLOPE, OWN, HARD = range(5)

# Kinds of the entries of theta.
HELD, COEFFICIENT, LOG_DISPERSION, LOGIT, CONSTANT_WEIGHT = range(5)

# What the kernel can be asked to do, and how its runs end.
LOG_LIKELIHOOD, PASS, INFORMATIONS, MEMBERSHIPS, CLASSIFY, CLIMB, EXTRAPOLATE = range(7)
RUNNING, RESTING, DEGENERATE = range(3)

# Buffers of one start: its parameters; of a chunk; the sums; the M step; the information.
(
    COEF,
    DISPERSION,
    ALPHA,
    LOG_PRIOR,
    PI,
    ETA,
    SHARE,
    C,
    PRODUCT,
    ZEROS,
    SCRATCH,
    TERMS,
    JOINT,
    PRIOR,
    POSTERIOR,
    UNIT_WEIGHT,
    TOTALS,
    MASSES,
    MASS,
    COUNT,
    SQUARES,
    PARTS,
    GRAMS,
    Z_SCORE,
    Z_INFORMATION,
    SCORE,
    SCORING,
    STEP,
    RIGHT,
    SCALE,
    PLACES,
    FACTOR,
    PROPOSAL,
    SECOND,
    CHANNELS,
    MEANS,
    PRODUCTS,
    N_PLACES,
) = range(N_DATA, N_DATA + 38)


def buffers(s: int, p: int, q: int, size: int, line: int, scratch: int, n_terms: int) -> list[int]:
    """Numbers in each buffer, in the order above.

    Parameters
    ----------
    s, p, q, size : int
        Components, columns, concomitant columns, length of theta.
    line : int
        The most rows of a chunk, at least a block.
    scratch : int
    n_terms : int
    """
    channels = p + 1 + q
    return [
        *(s * p, s, s * q, s, s),
        *(line, line, line, line, line, scratch),
        s * n_terms * line,
        *(s * line, s * line, s * line, line, line, line),
        *(s, s, s, s * p, s * p * p, s * q, (s * q) ** 2),
        *(size, size * size),
        *(size, size, size, size, size * size, size, size),
        *(channels * line, size * line, channels * channels),
    ]


NOT_FINITE = 3

BLOCK = 256
