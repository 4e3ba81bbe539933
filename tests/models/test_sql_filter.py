"""DuckDB is the oracle: whatever it keeps, we keep."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.models.data.sql_filter import ConditionError, condition

TABLE = pa.table(
    {
        "tier": ["high", "weak", "high", None, "it's"],
        "language": ["en", None, "zh", "en", "es"],
        "seconds": [1.5, 2.0, 30.0, None, 0.0],
        "num_samples": pa.array([24000, 32000, 480000, 5, None], pa.int64()),
        "row": [0, 1, 2, 3, 4],
    }
)
CON = duckdb.connect()
CON.register("samples", TABLE)


def kept(sql: str) -> list[int]:
    return [int(row.as_py()) for row in TABLE.filter(condition(sql, TABLE.column_names))["row"]]


def duckdbs(sql: str) -> list[int]:
    return sorted(row for (row,) in CON.execute(f"SELECT row FROM samples WHERE {sql}").fetchall())


comparisons = st.builds(
    "{} {} {}".format,
    st.sampled_from(["seconds", "num_samples"]),
    st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">="]),
    st.sampled_from(["2", "1.5", "24000", "-1"]),
)
texts = st.sampled_from(
    ["tier = 'high'", "language in ('en', 'zh')", "language not in ('en')", "tier is null", "tier IS NOT NULL", "tier like 'h%'",
     "seconds between 1 and 2", "seconds not between 1 and 2", "tier = 'it''s'", "language not like '%n'", "'zh' = language"]
)  # fmt: skip
conditions = st.recursive(
    comparisons | texts,
    lambda inner: (
        st.builds("({}) {} not ({})".format, inner, st.sampled_from(["and", "OR"]), inner)
        | st.builds("{} {} {}".format, inner, st.sampled_from(["AND", "or"]), inner)
    ),
    max_leaves=5,
)


@settings(deadline=None, max_examples=150)
@given(conditions)
def test_it_keeps_what_duckdb_keeps(sql: str) -> None:
    assert kept(sql) == duckdbs(sql)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("tier = ", "expected a column or a value at `tier = >>>`"),
        ("tier 'high'", "expected a comparison at `tier >>>'high'`"),
        ("(tier = 'high'", "expected )"),
        ("tier = 'high' drop", "expected the end, AND or OR at `tier = 'high' >>>drop`"),
        ("teir = 'high'", "no column 'teir' in the shards; did you mean 'tier'?"),
        ("tier = 'high'; select 1", "expected the end"),
        ("and", "expected a column"),
    ],
)
def test_what_cannot_be_read_is_shown(sql: str, message: str) -> None:
    with pytest.raises(ConditionError) as error:
        condition(sql, TABLE.column_names)
    assert message in str(error.value)
