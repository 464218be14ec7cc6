"""`liandong load` as a person uses it: what it says, and the codes that it ends with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner, Result

from ops.cli import app
from tests.ops.load_receiver import Received, Receiver, receiving, taken, written

MAPPING = """
title = { zh = "东西", en = "Things" }
source = "somebody"
licence = "CC0"
target = { service = "food", path = "/things" }
[columns]
n = { from = "n", type = "number", required = true }
"""


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A city that is one small server, with its `run.json`, a mapping and a file."""
    with receiving() as made:
        me = psutil.Process(os.getpid())
        (tmp_path / "run.json").write_text(json.dumps({**made.city("food"), "pid": me.pid, "started": me.create_time()}), encoding="utf-8")
        (tmp_path / "mine.toml").write_text(MAPPING, encoding="utf-8")
        written(tmp_path / "x.csv", "n\n1\nx\n3\n")
        yield made


def load(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["load", *arguments, "--var-dir", str(folder)])


def mine(folder: Path, *arguments: str, file: str = "x.csv") -> Result:
    return load(folder, str(folder / file), "-m", str(folder / "mine.toml"), *arguments)


def test_a_load_says_what_became_of_every_row(receiver: Receiver, tmp_path: Path):
    result = mine(tmp_path)
    assert result.exit_code == 0, result.output
    assert "3 lines = 3 rows" in result.output
    assert "3 rows = 2 taken + 0 corrected + 0 duplicates + 1 rejected" in result.output
    assert "1 rejected before sending: not-a-number\n  line 3: n: 'x' is not a number." in result.output


def test_where_every_row_was_rejected_the_mapping_says_what_it_needs(receiver: Receiver, tmp_path: Path):
    (tmp_path / "mine.toml").write_text('notes = """\nLoad the areas\nwith others first.\n"""\n' + MAPPING, encoding="utf-8")
    written(tmp_path / "bad.csv", "n\nx\ny\n")
    said = mine(tmp_path, file="bad.csv").output
    assert "Every row was rejected. What the mapping says of itself:\n  Load the areas\n  with others first.\n" in said
    written(tmp_path / "empty.csv", "n\n")
    for file in ("x.csv", "empty.csv"):
        assert "Load the areas" not in mine(tmp_path, file=file).output
    assert "Things\n  Load the areas\n  with others first.\n" in mine(tmp_path, "--dry-run").output


def test_strict_ends_with_3_if_rows_were_rejected(receiver: Receiver, tmp_path: Path):
    assert mine(tmp_path, "--strict").exit_code == 3
    written(tmp_path / "good.csv", "n\n1\n")
    assert mine(tmp_path, "--strict", file="good.csv").exit_code == 0


def test_the_summary_is_json_on_demand(receiver: Receiver, tmp_path: Path):
    found = json.loads(mine(tmp_path, "--json").stdout)
    assert (found["mapping"], found["target"], found["stopped"]) == ("mine", "POST food/things", None)
    assert found["total"] | {"lines": 3, "rows": 3, "taken": 2, "rejected": 1, "unsent": 0} == found["total"]
    assert found["files"][0]["reasons"][0] == {
        "where": "file",
        "code": "not-a-number",
        "rows": 1,
        "examples": [{"line": 3, "detail": "n: 'x' is not a number."}],
    }


def test_corrections_are_asked_for_by_a_word(receiver: Receiver, tmp_path: Path):
    mine(tmp_path, "--correct")
    assert receiver.batches[0].query == {"correct": ["true"]}


def test_a_load_that_cannot_be_done_ends_with_1_and_says_why(receiver: Receiver, tmp_path: Path):
    receiver.behave = lambda _: 403
    refused = mine(tmp_path)
    assert refused.exit_code == 1
    assert "Stopped: POST /things was refused: 403" in refused.output
    assert "2 not sent" in refused.output
    missing = mine(tmp_path, file="none.csv")
    assert (missing.exit_code, "There is no file" in missing.output) == (1, True)
    nobody = load(tmp_path / "elsewhere", str(tmp_path / "x.csv"), "-m", str(tmp_path / "mine.toml"))
    assert (nobody.exit_code, "No city is ready" in nobody.output) == (1, True)


@pytest.mark.parametrize("arguments", [[], ["x.csv"], ["-m", "beijing-air"], ["x.csv", "-m", "bejing-air"], ["x.csv", "--nonsense"]])
def test_a_wrong_command_ends_with_2(tmp_path: Path, arguments: list[str]):
    assert load(tmp_path, *arguments).exit_code == 2


def test_a_dry_run_shows_rows_and_faults_and_asks_nobody(tmp_path: Path):
    (tmp_path / "mine.toml").write_text(MAPPING, encoding="utf-8")
    written(tmp_path / "x.csv", "n\n1\nx\n3\n")
    result = mine(tmp_path, "--dry-run")
    assert result.exit_code == 0
    assert '{"n":1.0}' in result.output
    assert "line 3: n: 'x' is not a number." in result.output
    found = json.loads(mine(tmp_path, "--dry-run", "--json").stdout)[0]
    assert (found["ready"], found["rejected"], found["first_rows"]) == (2, 1, [{"n": 1.0}, {"n": 3.0}])
    assert mine(tmp_path, "--dry-run", "--strict").exit_code == 3
    assert mine(tmp_path, "--dry-run", file="none.csv").exit_code == 1


def test_the_list_says_where_the_originals_are_published(tmp_path: Path):
    shown = load(tmp_path, "--list").output
    assert "nuek-vuh3" in shown
    assert "UCI Machine Learning Repository, dataset 501" in shown
    found: list[dict[str, Any]] = json.loads(load(tmp_path, "--list", "--json").stdout)
    assert {"name", "title", "source", "licence", "notes", "target"} <= set(found[0])


def test_many_files_are_one_account(receiver: Receiver, tmp_path: Path):
    def behave(received: Received) -> dict[str, Any]:
        return {**taken(received), "taken": 0, "duplicates": len(received.rows)}

    receiver.behave = behave
    written(tmp_path / "y.csv.gz", "n\n1\ny\n")
    result = load(tmp_path, str(tmp_path / "x.csv"), str(tmp_path / "y.csv.gz"), "-m", str(tmp_path / "mine.toml"))
    assert "all files\n  5 lines = 5 rows\n  5 rows = 0 taken + 0 corrected + 3 duplicates + 2 rejected" in result.output
    assert "2 rejected before sending: not-a-number\n  x.csv, line 3: n: 'x' is not a number.\n  y.csv.gz, line 3: n: 'y' is not a number." in result.output


def test_faults_of_a_json_file_are_told_by_record(receiver: Receiver, tmp_path: Path):
    written(tmp_path / "x.json", '[{"n": 1}, {"n": "x"}]')
    output = mine(tmp_path, file="x.json").output
    assert "2 records = 2 rows" in output
    assert "  record 2: n: 'x' is not a number." in output
