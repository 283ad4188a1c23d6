"""The model folder: what goes in comes out, and nothing else is let in."""

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from thighview.core.errors import UserError
from thighview.core.labels import Label, LabelTable
from thighview.io.folders import new_folder, put_back
from thighview.io.model_card import ModelCard
from thighview.io.models import (
    CARD,
    WEIGHTS,
    find_model,
    find_models,
    read_card,
    read_weights,
    set_temperature,
    write_model,
)

TABLE = LabelTable((Label(1, "muscle", "left"), Label(2, "fat", "left"), Label(6, "muscle", "right"), Label(9, "skin")))


def card(**changes: object) -> ModelCard:
    base = ModelCard(
        name="small",
        architecture="unet",
        base_filters=4,
        levels=3,
        dropout=0.0,
        classes=("background", "muscle", "fat", "skin"),
        labels=TABLE,
        sided=True,
        spacing_mm=1.5,
        input_size=32,
        scores={"dice": 0.5},
    )
    return replace(base, **changes)  # type: ignore[arg-type]


WEIGHTS_ = {
    "a/kernel": np.random.default_rng(0).normal(size=(3, 3, 1, 4)).astype(np.float32),
    "a/bias": np.arange(4, dtype=np.float32),
}


def test_round_trip(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "small"
    written = write_model(folder, card(), WEIGHTS_)
    assert sorted(p.name for p in folder.parent.iterdir()) == ["small"]
    again = read_card(folder)
    assert again == written and again.created and again.labels == TABLE and again.scores == {"dice": 0.5}
    weights = read_weights(folder, again)
    assert weights.keys() == WEIGHTS_.keys()
    for name, array in weights.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, WEIGHTS_[name])


def test_a_temperature_is_put_into_the_card_of_its_own_weights_only(tmp_path: Path) -> None:
    written = write_model(tmp_path / "m", card(), WEIGHTS_)
    assert written.temperature == 1.0
    stored = json.loads((tmp_path / "m" / CARD).read_text())
    del stored["temperature"]
    (tmp_path / "m" / CARD).write_text(json.dumps(stored))
    assert read_card(tmp_path / "m").temperature == 1.0, "cards of old have none"
    set_temperature(tmp_path / "m", 1.7, written.weights_sha256)
    assert read_card(tmp_path / "m") == replace(written, temperature=1.7)
    with pytest.raises(UserError, match="other weights"):
        set_temperature(tmp_path / "m", 1.2, "0" * 64)
    for wrong in (0.0, -1.0, 1e9, float("nan")):
        with pytest.raises(UserError, match="temperature"):
            set_temperature(tmp_path / "m", wrong, written.weights_sha256)
    assert read_card(tmp_path / "m").temperature == 1.7


def test_half_precision_reads_back_as_float32(tmp_path: Path) -> None:
    written = write_model(tmp_path / "half", card(), WEIGHTS_, half=True)
    weights = read_weights(tmp_path / "half", written)
    assert all(array.dtype == np.float32 for array in weights.values())
    np.testing.assert_allclose(weights["a/kernel"], WEIGHTS_["a/kernel"], rtol=1e-3, atol=1e-4)


def test_replaces_whole_folder_and_leaves_nothing_beside(tmp_path: Path) -> None:
    write_model(tmp_path / "m", card(), WEIGHTS_)
    second = write_model(tmp_path / "m", card(statement="second"), {"a": np.ones(2, np.float32)})
    assert read_card(tmp_path / "m") == second
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_failed_write_keeps_the_old_model(tmp_path: Path) -> None:
    first = write_model(tmp_path / "m", card(), WEIGHTS_)
    with pytest.raises(UserError, match="not finite"):
        write_model(tmp_path / "m", card(), {"a": np.array([1.0, np.inf])})
    with pytest.raises(TypeError):
        write_model(tmp_path / "m", card(scores={"x": object()}), WEIGHTS_)
    assert read_card(tmp_path / "m") == first
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_model_whose_replacing_was_cut_short_between_two_renames_is_there_again(tmp_path: Path) -> None:
    place = tmp_path / "models" / "run 1"
    first = write_model(place, card(name="run 1"), WEIGHTS_)

    def cut() -> None:
        """As a process leaves it that was killed between its two renames."""
        shutil.copytree(place, place.with_name(".run 1.0123abcd.new"))
        place.rename(place.with_name(".run 1.0123abcd.old"))

    cut()
    assert [m.card for m in find_models(tmp_path) if m.place == "project"] == [first] == [read_card(place)]
    shutil.rmtree(place.with_name(".run 1.0123abcd.new"))
    cut()
    with pytest.raises(OSError, match="No space"), new_folder(place):
        raise OSError("No space left on device")
    assert read_card(place) == first


def test_a_model_that_was_replaced_is_not_back_when_the_new_one_is_deleted(tmp_path: Path) -> None:
    written = [write_model(tmp_path / f"{n}", card(name=f"{n}", statement=f"{n}"), WEIGHTS_) for n in range(3)]
    (tmp_path / "0").rename(tmp_path / ".m.0123abcd.old")  # killed before it was deleted, and so was the next
    (tmp_path / "1").rename(tmp_path / ".m.00000000.old")
    for seconds, name in ((1, "0123abcd"), (2, "00000000")):
        os.utime(tmp_path / f".m.{name}.old", (seconds, seconds))
    put_back(tmp_path)
    assert read_card(tmp_path / "m") == written[1], "the last one"
    (tmp_path / "2").rename(tmp_path / ".m.fedcba98.old")
    put_back(tmp_path)
    shutil.rmtree(tmp_path / "m")
    put_back(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_put_back_by_another_process_while_it_is_replaced_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "m", card(), WEIGHTS_)
    rename = Path.rename

    def looked_at_between(self: Path, target: Path) -> Path:
        moved = rename(self, target)
        if self.name == "m" and len(seen) < 1:
            seen.append(target)
            put_back(tmp_path)
        return moved

    seen: list[Path] = []
    monkeypatch.setattr(Path, "rename", looked_at_between)
    second = write_model(tmp_path / "m", card(statement="second"), WEIGHTS_)
    assert seen and read_card(tmp_path / "m") == second
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_values_by_side() -> None:
    assert [card().values_of(i) for i in range(4)] == [(0, 0), (1, 6), (2, 2), (9, 9)]
    keys = ("background", *(b.key for b in TABLE))
    plain = card(sided=False, classes=keys)
    assert [plain.values_of(i) for i in range(5)] == [(0, 0), (1, 1), (2, 2), (6, 6), (9, 9)]


def test_tampered_weights_are_refused(tmp_path: Path) -> None:
    written = write_model(tmp_path / "m", card(), WEIGHTS_)
    path = tmp_path / "m" / WEIGHTS
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(body)
    with pytest.raises(UserError, match="altered or damaged"):
        read_weights(tmp_path / "m", written)
    path.unlink()
    with pytest.raises(UserError, match="lacks its weights"):
        read_weights(tmp_path / "m", written)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"not safetensors at all", "not a safetensors file"),
        (b"", "not a safetensors file"),
        (safetensors.numpy.save({"a": np.ones(3)}), "floats"),
        (safetensors.numpy.save({"a": np.array([1, np.nan], np.float32)}), "not finite"),
    ],
)
def test_weights_that_match_their_hash_are_still_checked(tmp_path: Path, body: bytes, word: str) -> None:
    written = write_model(tmp_path / "m", card(), WEIGHTS_)
    (tmp_path / "m" / WEIGHTS).write_bytes(body)
    with pytest.raises(UserError, match=word):
        read_weights(tmp_path / "m", replace(written, weights_sha256=hashlib.sha256(body).hexdigest()))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"name": "../up"},
        {"name": 3},
        {"architecture": "lambda"},
        {"base_filters": 4096},
        {"base_filters": True},
        {"base_filters": 4.0},
        {"levels": 99},
        {"levels": "3"},
        {"dropout": 2},
        {"spacing_mm": -1},
        {"spacing_mm": None},
        {"input_size": 33},
        {"in_channels": 0},
        {"classes": ["muscle", "background"]},
        {"classes": ["background"]},
        {"classes": ["background", "muscle", "muscle", "skin"]},
        {"classes": "background"},
        {"classes": ["background", "muscle", "fat", ["skin"]]},
        {"labels": {}},
        {"labels": [1]},
        {"labels": [{"id": 999, "name": "muscle"}]},
        {"labels": [{"id": 1, "name": "other"}]},
        {"sided": 1},
        {"scores": []},
        {"normalisation": "none"},
        {"weights_sha256": "zz"},
        {"weights_sha256": None},
    ],
)
def test_malformed_card_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    write_model(tmp_path / "m", card(), WEIGHTS_)
    path = tmp_path / "m" / CARD
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError):
        read_card(tmp_path / "m")


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "[" * 100_000, '{"format": NaN}', "\x00\xff"])
def test_garbage_card_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD).write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError):
        read_card(tmp_path)


def test_every_needed_field_is_missed(tmp_path: Path) -> None:
    write_model(tmp_path / "m", card(), WEIGHTS_)
    path = tmp_path / "m" / CARD
    whole = json.loads(path.read_text())
    for name in ("name", "architecture", "levels", "classes", "labels", "sided", "input_size", "weights_sha256"):
        path.write_text(json.dumps({k: v for k, v in whole.items() if k != name}))
        with pytest.raises(UserError):
            read_card(tmp_path / "m")


def test_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("THIGHVIEW_HOME", str(tmp_path / "home"))
    project = tmp_path / "project"
    write_model(project / "models" / "mine", card(name="mine"), WEIGHTS_)
    write_model(tmp_path / "home" / "models" / "mine", card(name="mine", statement="user's"), WEIGHTS_)
    write_model(tmp_path / "home" / "models" / "other", card(name="other"), WEIGHTS_)
    broken = project / "models" / "broken"
    broken.mkdir()
    (broken / CARD).write_text("{}")
    found = [(e.card.name, e.place) for e in find_models(project) if e.place != "box"]
    assert found == [("mine", "project"), ("mine", "user"), ("other", "user")]
    assert "broken" in caplog.text
    assert find_model("mine", project).place == "project"
    assert find_model("mine").place == "user"
    assert find_model(tmp_path / "home" / "models" / "other").place == "user"
    assert find_model(project / "models" / "mine", project).place == "project"
    with pytest.raises(UserError, match="no model 'nothing'"):
        find_model("nothing", project)
