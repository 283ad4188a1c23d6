"""The same scan is known again whatever its file looks like, and no other scan is taken for it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from thighview.core.fingerprint import SAME_LOOK, content_hash, fingerprint, look_distance, look_hash
from thighview.core.phantom import make_phantom
from thighview.core.twins import twin_sentences, twins
from thighview.core.volume import Volume
from thighview.io.reading import read_volume

PEOPLE = 12


@pytest.fixture(scope="module")
def people() -> list[Volume]:
    return [make_phantom(seed, "t1", slices=8, matrix=(120, 168)).volume for seed in range(PEOPLE)]


def changed(volume: Volume, voxels: np.ndarray) -> Volume:
    return Volume(voxels, volume.affine)


def scaled(factor: float) -> Callable[[Volume], Volume]:
    return lambda v: changed(v, ndimage.zoom(v.voxels.astype(np.float32), (1, factor, factor), order=1))


def noisy(share: float) -> Callable[[Volume], Volume]:
    def add(v: Volume) -> Volume:
        noise = np.random.default_rng(3).normal(0, share * np.percentile(v.voxels, 99), v.shape)
        return changed(v, (v.voxels + noise).astype(np.float32))

    return add


CHANGES: dict[str, Callable[[Volume], Volume]] = {
    "half the size": scaled(0.5),
    "a third larger": scaled(1.33),
    "noise of 5 %": noisy(0.05),
    "noise of 10 %": noisy(0.1),
    "edges cut off": lambda v: changed(v, v.voxels[:, 4:-4, 6:-6]),
    "end slices cut off": lambda v: changed(v, v.voxels[1:-1]),
    "8 bits": lambda v: changed(v, (v.voxels / v.voxels.max() * 255).astype(np.uint8)),
    "4 bits": lambda v: changed(v, (np.clip(v.voxels / np.percentile(v.voxels, 99.5), 0, 1) * 15).astype(np.uint8)),
    "gamma 0.7": lambda v: changed(v, (v.voxels / v.voxels.max()) ** 0.7),
    "gain and offset": lambda v: changed(v, v.voxels * 3.7 + 120.0),
    "uneven brightness": lambda v: changed(v, v.voxels * np.linspace(0.7, 1.3, v.shape[2])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_still_looks_the_same(people: list[Volume], change: str) -> None:
    away = [look_distance(look_hash(v), look_hash(CHANGES[change](v))) for v in people[:6]]
    assert max(away) < SAME_LOOK and sorted(away)[-2] <= 0.8 * SAME_LOOK
    assert content_hash(people[0]) != content_hash(CHANGES[change](people[0]))


def test_different_people_look_different(people: list[Volume]) -> None:
    looks = [look_hash(v) for v in people]
    away = [look_distance(a, b) for a, b in combinations(looks, 2)]
    assert min(away) > 1.25 * SAME_LOOK
    assert np.median(away) > 0.35
    assert len({content_hash(v) for v in people}) == PEOPLE


def orientations(volume: Volume) -> Iterator[Volume]:
    """The same scan in other storage orders, its affine saying so."""
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)):
        for flips in ((), (0,), (1, 2), (0, 1, 2)):
            affine = volume.affine[:, [*order, 3]].copy()
            voxels = volume.voxels.transpose(order)
            for axis in flips:
                voxels = np.flip(voxels, axis)
                affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
                affine[:3, axis] *= -1
            yield Volume(np.ascontiguousarray(voxels), affine, "another name", "dicom")


def test_storage_order_and_type_do_not_matter(people: list[Volume]) -> None:
    found = {fingerprint(v) for v in orientations(people[0])}
    assert found == {fingerprint(people[0])}
    assert content_hash(changed(people[0], people[0].voxels.astype(np.float64))) == content_hash(people[0])


def test_mirrored_is_not_the_same_content(people: list[Volume]) -> None:
    """A left-right flip that the affine does not tell of is another image."""
    assert content_hash(changed(people[0], people[0].voxels[:, :, ::-1])) != content_hash(people[0])
    one = people[0].voxels.copy()
    one[3, 60, 80] += 1
    assert content_hash(changed(people[0], one)) != content_hash(people[0])
    reshaped = changed(people[0], people[0].voxels.reshape(4, 240, 168))
    assert content_hash(reshaped) != content_hash(people[0])


def test_saved_again_flipped_compressed_and_with_another_header(people: list[Volume], tmp_path: Path) -> None:
    voxels = np.ascontiguousarray(people[1].voxels.T)
    affine = np.diag([1.2, 1.2, 5.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(voxels, affine), tmp_path / "first.nii")
    flipped = affine.copy()
    flipped[0] = [-1.2, 0, 0, 1.2 * (voxels.shape[0] - 1)]
    again = nibabel.Nifti2Image(voxels[::-1].astype(np.float32), flipped)
    again.header["descrip"] = b"somebody else"
    nibabel.save(again, tmp_path / "second.nii.gz")
    one, other = (fingerprint(read_volume(tmp_path / name)) for name in ("first.nii", "second.nii.gz"))
    assert one == other and one.content and one.look


def test_nothing_to_see_has_no_look() -> None:
    flat = Volume(np.full((4, 16, 16), 7, np.int16), np.eye(4)[[2, 1, 0, 3]])
    assert look_hash(flat) == "" and content_hash(flat)
    assert look_distance("", "") == 1.0
    odd = Volume(np.full((1, 8, 8), np.nan, np.float32), np.eye(4)[[2, 1, 0, 3]])
    assert content_hash(odd) == content_hash(changed(odd, odd.voxels.copy()))
    assert look_hash(odd) == ""


def test_distance_counts_bits() -> None:
    assert look_distance("f0" * 54, "f0" * 54) == 0
    assert look_distance("01" + "00" * 53, "00" * 54) == pytest.approx(1 / 429)
    assert look_distance("00" * 54, "00" * 53) == 1.0


@dataclass(frozen=True)
class Scan:
    title: str
    subject: str
    part: str
    content: str = ""
    look: str = ""


def test_twins_are_two_people_in_two_parts() -> None:
    near, far = "01" + "00" * 53, "ff" * 54
    scans = [
        Scan("a", "A", "train", "1", "00" * 54),
        Scan("b", "B", "validation", "2", near),
        Scan("c", "C", "train", "3", near),  # like a, but in the same part
        Scan("d", "A", "validation", "1", "00" * 54),  # the same person
        Scan("e", "E", "test", "3", far),  # the voxels of c
    ]
    found = twins(scans)
    assert [(p.one.title, p.other.title) for p in found] == [("c", "e"), ("b", "c"), ("a", "b"), ("c", "d")]
    assert found[0].distance == 0 < found[1].distance
    said = twin_sentences(found)
    assert said[0].startswith("c and e are the same scan but count as two people: c is trained on, e is locked away")
    assert said[1].startswith("b and c look like the same scan but count as two people: b validates, c is trained on")
    assert said[3] == "1 more pair of scans looks alike"
    assert all(";" not in sentence for sentence in said)
    (waiting,) = twin_sentences(twins([scans[0], Scan("f", "F", "", "1", near)]))
    assert "one could come to train and the other to validate" in waiting, "f has no part yet"


def test_what_real_scans_look_like(data: Path) -> None:
    """Three echoes of one thigh look alike (magnitude images); their phase images, and other body parts, do not."""
    thigh = {p.name[:4]: look_hash(read_volume(p)) for p in sorted((data / "thigh_siemens_dixon").glob("*.nii.gz"))}
    magnitude, phase = ("0006", "0008", "0010"), ("0007", "0009", "0011")
    assert max(look_distance(thigh[a], thigh[b]) for a, b in combinations(magnitude, 2)) <= SAME_LOOK
    assert min(look_distance(thigh[a], thigh[b]) for a in thigh for b in phase if a != b) > SAME_LOOK
    others = [
        look_hash(read_volume(data / name))
        for name in ("foot_siemens/0026-dix3d_TR23_fa05_460.nii.gz", "calf_siemens/t2_te16ms.nii.gz",
                     "legs_qmritools/water.nii.gz", "lumbar_musclemap/image.nii.gz")
    ]  # fmt: skip
    assert min(look_distance(a, b) for a, b in combinations([*others, thigh["0006"]], 2)) > SAME_LOOK
