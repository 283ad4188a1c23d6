"""Batches of made-up thighs: what a recipe learns from. Every batch follows from the seed and the step alone."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, ifft2
from scipy.ndimage import gaussian_filter

from thighview.core.phantom import Look, Person, draw_look, draw_person, fine_grid, see_cut
from thighview.core.phantom_anatomy import cut_legs
from thighview.core.phantom_names import CONTRASTS
from thighview.core.phantom_person import spline_weights
from thighview.core.phantom_surroundings import add_surroundings
from thighview.core.phantom_varied import KINDS_BEYOND, draw_person_beyond, draw_varied_look, draw_varied_person
from thighview.engine.preprocess import Intensity
from thighview.engine.recipe_config import Recipe

Images = NDArray[np.float32]
Labels = NDArray[np.uint8]
_PEOPLE, _STEPS, _GUARD = 7, 11, 13
_LEAST_PLAIN, _VARIED_FROM = 0.1, 0.5
_PLAIN_LEVELS, _LEVELS = (0.0, 1.0), (-0.09, 1.06)
_WITH_SURROUNDINGS = 0.6


def training_batch(recipe: Recipe, step: int) -> tuple[Images, Labels]:
    """The batch of one step: images (n, h, w, 1) as the network sees them, labels (n, h, w) by class."""
    rng = np.random.default_rng([recipe.train.seed, _STEPS, step])
    share = _plain_share(recipe, step)

    def draw() -> tuple[Images, Labels]:
        people = np.random.default_rng([recipe.train.seed, _PEOPLE, int(rng.integers(recipe.people))])
        if rng.random() < share:
            look = draw_look(rng, "t1" if rng.random() < 0.5 else str(rng.choice(CONTRASTS)))
            return _plain_slice(recipe, draw_person(people), look, rng)
        return _varied_slice(recipe, draw_varied_person(people), rng)

    return _stack(draw, recipe.train.batch_size)


def guard_batch(recipe: Recipe) -> tuple[Images, Labels]:
    """Slices of people beyond what training shows, to choose the weights by."""
    rng = np.random.default_rng([recipe.train.seed, _GUARD])
    kinds = iter(range(recipe.guard_slices))
    return _stack(
        lambda: _varied_slice(recipe, draw_person_beyond(rng, next(kinds) % KINDS_BEYOND), rng), recipe.guard_slices
    )


def ahead(recipe: Recipe, first: int, last: int, room: int = 6) -> Iterator[tuple[Images, Labels]]:
    """The batches of steps first to last - 1, drawn in a thread while the network learns."""
    with ThreadPoolExecutor(1, "phantom-batches") as pool:
        pending = deque(pool.submit(training_batch, recipe, step) for step in range(first, min(first + room, last)))
        try:
            for step in range(first, last):
                batch = pending.popleft().result()
                if step + room < last:
                    pending.append(pool.submit(training_batch, recipe, step + room))
                yield batch
        finally:
            for future in pending:
                future.cancel()


def _plain_share(recipe: Recipe, step: int) -> float:
    """Share of slices of plain people: all at first, few from half of the steps on.

    Which muscle is which is learnt in a fraction of the time where muscles lie in their usual places.
    """
    return max(_LEAST_PLAIN, 1.0 - (1.0 - _LEAST_PLAIN) * step / (_VARIED_FROM * recipe.steps))


def _stack(draw: Callable[[], tuple[Images, Labels]], count: int) -> tuple[Images, Labels]:
    images, labels = zip(*(draw() for _ in range(count)), strict=True)
    return np.stack(images)[..., None], np.stack(labels)


def _plain_slice(recipe: Recipe, person: Person, look: Look, rng: np.random.Generator) -> tuple[Images, Labels]:
    """A slice as a good scanner shows it."""
    level = float(rng.uniform(*_PLAIN_LEVELS))
    cut = cut_legs(person, level, *_grid(recipe, person, level, rng))
    image, labels, _ = see_cut(cut, look, rng, recipe.truth)
    return _as_seen(image, rng), labels


def _varied_slice(recipe: Recipe, person: Person, rng: np.random.Generator) -> tuple[Images, Labels]:
    """A slice at any level, stretched, with what lies beside the thighs and what goes wrong at the scanner."""
    level = float(rng.uniform(*_LEVELS))
    rows, columns = _grid(recipe, person, level, rng)
    stretch = np.float32(np.exp(rng.normal(0.0, 0.04)))
    rows, columns = rows * stretch, columns / stretch
    cut = cut_legs(person, level, rows, columns)
    if rng.random() < _WITH_SURROUNDINGS:
        add_surroundings(cut, rows, columns, rng)
    cut = cut.mirrored() if rng.random() < 0.5 else cut
    image, labels, air = see_cut(cut, draw_varied_look(rng, recipe.random_share), rng, recipe.truth)
    worse, labels = _as_acquired(_worsened(image, air, rng), labels, air, rng)
    return _as_seen(worse, rng), labels


def _grid(recipe: Recipe, person: Person, level: float, rng: np.random.Generator) -> tuple[Images, Images]:
    """Fine rows and columns of a slice about the midline or, now and then, about one leg."""
    spacing_mm = recipe.train.spacing_mm * float(np.exp(rng.normal(0.0, 0.15)))
    x, y = person.centre_mm(1 if rng.random() < 0.5 else -1, level)
    wander = rng.normal(0.0, 1.0, 2) * (25.0, 20.0)
    centre = y + float(wander[0]), (0.0 if rng.random() < 0.8 else x) + float(wander[1])
    return fine_grid(*recipe.slice_size, spacing_mm, centre)


def _worsened(image: Images, air: NDArray[np.bool_], rng: np.random.Generator) -> Images:
    """What scanners do: strong coil shading, coarse resolution, other greys, ghosts, air cut to zero, more noise."""
    if rng.random() < 0.3:
        return image
    if rng.random() < 0.3:
        knots = np.asarray(rng.uniform(0.2, 0.9) * rng.standard_normal((5, 5)), np.float32)
        rows, columns = (spline_weights(np.linspace(0.0, 2.0, n), 2) for n in image.shape)
        image = np.asarray(image * np.exp(rows @ knots @ columns.T), np.float32)
    if rng.random() < 0.3:
        image = np.asarray(gaussian_filter(image, float(rng.uniform(0.3, 1.3))), np.float32)
    image = image / max(float(image.max()), 1e-6)
    image = np.asarray(image ** np.float32(np.exp(rng.normal(0.0, 0.25))), np.float32)
    if rng.random() < 0.1:
        shift = image.shape[0] // int(rng.integers(2, 5))
        strength = np.float32(rng.uniform(0.01, 0.06))
        image = np.asarray(image + strength * np.roll(image, shift, int(rng.integers(0, 2))), np.float32)
    if rng.random() < 0.25:
        noise = rng.standard_normal((2, *image.shape), dtype=np.float32) * np.float32(rng.uniform(0.01, 0.06))
        image = np.hypot(image + noise[0], noise[1], dtype=np.float32)
    if rng.random() < 0.25 and air.any():
        image = image * ~(air & (image < np.percentile(image[air], 99.0)))
    return image


def _as_acquired(
    image: Images, labels: Labels, air: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Images, Labels]:
    """What a short or narrow acquisition does: ringing at edges, a field of view that ends, and what folds back."""
    rows, columns = image.shape
    if rng.random() < 0.3:
        image = _ringing(image, tuple(float(rng.uniform(0.45, 1.0)) for _ in range(2)))
    if rng.random() < 0.35:
        return image, labels
    top, bottom, left, right = 0, rows, 0, columns
    body = np.flatnonzero(~air.all(0))
    if rng.random() < 0.4 and len(body):  # one leg fills the picture
        middle = int(np.median(body))
        left, right = (middle, columns) if rng.random() < 0.5 else (0, middle)
        left, right = max(0, left - int(rng.integers(0, 12))), min(columns, right + int(rng.integers(0, 12)))
    cut = rng.random(4) < 0.3
    much = rng.uniform(0.0, 0.22, 4) * cut
    top, bottom = int(rows * much[0]), rows - int(rows * much[1])
    left, right = left + int((right - left) * much[2]), right - int((right - left) * much[3])
    seen = np.zeros(image.shape, bool)
    seen[top:bottom, left:right] = True
    folded = image.copy()
    if rng.random() < 0.15:  # what lies beyond an edge comes back on the other side
        strength = np.float32(rng.uniform(0.2, 1.0))
        over, height = rows - bottom, bottom - top
        n = min(over, height)
        folded[top : top + n] += strength * image[bottom : bottom + n]
        n = min(columns - right, right - left)
        folded[:, left : left + n] += strength * image[:, right : right + n]
    return np.where(seen, folded, np.float32(0.0)), np.where(seen, labels, np.uint8(0))


def _ringing(image: Images, kept: tuple[float, ...]) -> Images:
    """The image of the middle of k-space only: shares of rows and columns, 0 to 1."""
    k = np.asarray(fft2(image))
    for axis, share in enumerate(kept):
        far = np.abs(np.fft.fftfreq(image.shape[axis])) > share / 2
        k[(far, slice(None)) if axis == 0 else (slice(None), far)] = 0
    return np.abs(np.asarray(ifft2(k))).astype(np.float32)


def _as_seen(image: Images, rng: np.random.Generator) -> Images:
    """The network's numbers of a slice, as if a volume with more or less air around it had been measured."""
    rows = int(image.shape[0] * rng.uniform(0.0, 0.8))
    air = float(np.percentile(image, 2.0))
    seen = Intensity.of(np.pad(image, ((0, rows), (0, 0)), constant_values=air)[None]).apply(image)
    return seen * np.float32(rng.uniform(0.85, 1.15)) + np.float32(rng.normal(0.0, 0.1))
