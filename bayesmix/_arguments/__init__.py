"""Arguments of the public functions, checked in one place: types, values, and other habits."""

from bayesmix._arguments.door import door, unknown_option
from bayesmix._arguments.habits import Hinted, family_name, unknown_function
from bayesmix._arguments.shown import shown
from bayesmix._arguments.values import (
    anything,
    at_least,
    check_known,
    generator,
    numeric,
    one_of,
    plain,
    probabilities,
    whole_number,
    written_options,
)
