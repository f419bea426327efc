"""Names of files from texts that come from anywhere."""

import string

from hypothesis import given
from hypothesis import strategies as st

from neutral.durable import file_name


def test_ordinary_names_stand_for_themselves():
    for name in ("BTC", "BTC_USDC", "SPX-W", "a.b"):
        assert file_name(name) == name
    assert file_name("BRK/B") == "BRK%2FB" and file_name("../x") == "%2E.%2Fx" and file_name("") == "%"


@given(st.text(max_size=400), st.text(max_size=400))
def test_no_name_leaves_its_folder_and_none_is_that_of_another_text(one, other):
    name = file_name(one)
    assert set(name) <= {*string.ascii_letters, *string.digits, *"_.+-%"}
    assert not name.startswith(".") and not name.endswith(".") and 0 < len(name) <= 120
    assert (name == file_name(other)) == (one == other)
