"""A condition keeps the rows that DuckDB keeps in a WHERE, and can do nothing else."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmill.manifests.matching_rows import ConditionError, matching_rows

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
    return [int(row.as_py()) for row in matching_rows(TABLE, sql)["row"]]


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
        ("tier = ", "syntax error at"),
        ("tier 'high'", "tier 'high'"),
        ("(tier = 'high'", ">>>"),
        ("tier = 'high' drop", "tier = 'high' "),
        ("teir = 'high'", "no column 'teir'; did you mean 'tier'? There are tier, language"),
        ("tier = 'high'; select 1", "more than one condition"),
        ("and", 'syntax error at or near "and" in `>>>and`'),
        ("", ">>>"),
        ("seconds", "is no condition: its value is a DOUBLE"),
        ("tier = 5", "Could not convert string 'high'"),
    ],
)
def test_what_cannot_be_read_is_shown(sql: str, message: str) -> None:
    with pytest.raises(ConditionError) as error:
        matching_rows(TABLE, sql)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "sql",
    [
        "(select count(*) from read_text('{file}')) > 0", "tier is null) union select * from read_text('{file}') --",
        "true from read_text('{file}')", "exists(select 1)", "tier = 'high' order by 1", "tier = 'high' limit 1",
        "tier = 'high', seconds > 1", "tier = 'high' as x", "count(*) > 1", "row_number() over () = 1", "tier = $1", "tier = ?",
        "random() < 0.5", "now() > '2020-01-01'", "columns(*) = 'x'", "true; copy samples to '{file}'", "samples.tier = 'high'",
    ],
)  # fmt: skip
def test_nothing_but_one_condition_of_one_row(sql: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("secret")
    with pytest.raises(ConditionError):
        matching_rows(TABLE, sql.format(file=file))
    assert file.read_text() == "secret"


def test_rows_keep_their_order_and_their_types() -> None:
    table = pa.table({"row": range(20_000), "text": ["a", "b"] * 10_000})
    kept = matching_rows(table, "text = 'b' and row % 3 = 0")
    assert kept.schema == table.schema
    assert kept["row"].to_pylist() == list(range(3, 20_000, 6))


def test_a_condition_may_look_into_a_struct() -> None:
    table = pa.table({"labels": [{"gender": "female"}, {"gender": "male"}, None]})
    assert matching_rows(table, "labels.gender = 'male'").num_rows == 1
    with pytest.raises(ConditionError, match="no column 'gender'"):
        matching_rows(table, "gender.labels = 'male'")
