"""Files separated by semicolons, whose numbers have decimal commas, decimal points or separated thousands."""

import numpy as np
import pytest

from neutral.market.loaders.csv_table import decimal_mark
from neutral.market.loaders.table import read_table

HEADER = "strike;bid;when\n"


@pytest.mark.parametrize(
    ("rows", "strikes"),
    [
        ("90,5;1,25;2024-03-04\n100;0,5;2024-03-04\n", [90.5, 100]),
        ("1,250;1.25;2024-03-04\n1,300;0.5;2024-03-04\n", [1250, 1300]),
        ("1,250.50;1.25;2024-03-04\n1,300;0.5;2024-03-04\n", [1250.5, 1300]),
        ("1,250;0,125;2024-03-04\n1,300;0,250;2024-03-04\n", [1.25, 1.3]),
        ("1,250;7;2024-03-04\n1,300;6;2024-03-04\n", [1250, 1300]),
        ('"90,5";"1,25";2024-03-04\r\n"100,0";"0,5";2024-03-04\r\n', [90.5, 100]),
        ("90;1,2500\n100;1,3", [90, 100]),
    ],
)
def test_numbers_show_their_decimal_mark(tmp_path, rows, strikes):
    path = tmp_path / "chain.csv"
    path.write_bytes((HEADER + rows).encode())
    frame = read_table(path).select({"strike": ("strike",)}, required=("strike",), text=())
    np.testing.assert_array_equal(frame["strike"], strikes)


def test_a_file_with_both_marks_has_decimal_points():
    assert decimal_mark(b"a;b\n1,5;2.5\n") == "."
    assert decimal_mark(b"a;b\n01.02.2024;2,5\n") == ","
