"""Losses of a segmentation network: on logits, per slice, masked and weighted; ``keras.ops`` only.

Why our own (Keras 3.15.1, each measured): ``keras.losses.Dice()`` sums over the whole batch and gives loss 1 where
label and prediction are both empty; ``Tversky`` has alpha and beta swapped; slice weights of shape (n,) are refused
for images, and of shape (n, 1, 1) leave slices of weight zero in the denominator.

Everything here is computed from a few sums per slice, and those same sums are what a run records: the loss on a
curve can be recomputed from the recorded table (``core.sums.slice_losses``).

Shapes: n slices, h rows, w columns, C classes with the background first. A network with one label may have one
output channel (the logit of the label, C = 2 all the same) or two.
"""

from typing import Any, NamedTuple

from keras import ops as keras_ops

from thighview.core.sums import SMOOTH_PX

IGNORE = 255
"""Label of pixels that take no part: outside the scan, or not reviewed."""

Tensor = Any
ops: Any = keras_ops
"""Keras leaves the types of its results open."""


class SliceTerms(NamedTuple):
    """Sums over the counted pixels of each slice, float32.

    ``ce_sum`` and ``pixels`` have the shape (n,); ``soft_tp`` (sum p*y), ``soft_p`` (sum p), ``soft_y`` (sum y)
    and ``label_ce`` (cross-entropy over the pixels of each true class) have the shape (n, C).
    """

    ce_sum: Tensor
    pixels: Tensor
    soft_tp: Tensor
    soft_p: Tensor
    soft_y: Tensor
    label_ce: Tensor


def class_logits(logits: Tensor) -> Tensor:
    """Logits with one channel per class, float32 (n, h, w, C): a single channel z becomes (0, z).

    softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)), so binary cross-entropy is the two-class case, exactly.
    """
    logits = ops.cast(logits, "float32")
    if logits.shape[-1] == 1:
        return ops.concatenate([ops.zeros_like(logits), logits], axis=-1)
    return logits


def counted(labels: Tensor) -> Tensor:
    """1 where a pixel takes part, 0 where its label is IGNORE; float32 (n, h, w)."""
    return ops.cast(ops.not_equal(labels, IGNORE), "float32")


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Labels as float32 (n, h, w, C); ignored pixels are zero in every class."""
    numbers = ops.arange(classes, dtype="int32")
    return ops.cast(ops.equal(ops.expand_dims(ops.cast(labels, "int32"), -1), numbers), "float32")


def slice_terms(labels: Tensor, logits: Tensor) -> SliceTerms:
    """The sums of every slice at these logits.

    Parameters
    ----------
    labels : integer tensor, shape (n, h, w)
        Class of each pixel, 0 is the background, IGNORE is left out.
    logits : float tensor, shape (n, h, w, C), or (n, h, w, 1) for one label

    Notes
    -----
    Cross-entropy of a pixel is -ln softmax(z)_y = logsumexp(z) - z_y (Bishop 2006, eq. 4.108).
    """
    z = class_logits(logits)
    inside = counted(labels)
    y = one_hot(labels, z.shape[-1])
    log_p = ops.log_softmax(z, axis=-1)
    p = ops.exp(log_p) * ops.expand_dims(inside, -1)
    plane = (1, 2)
    label_ce = -ops.sum(y * log_p, axis=plane)
    return SliceTerms(
        ops.sum(label_ce, axis=-1),
        ops.sum(inside, axis=plane),
        ops.sum(y * p, axis=plane),
        ops.sum(p, axis=plane),
        ops.sum(y, axis=plane),
        label_ce,
    )


def cross_entropy(terms: SliceTerms) -> Tensor:
    """Mean cross-entropy of the counted pixels of each slice, nats, shape (n,); 0 for a slice without any.

    With one label this is binary cross-entropy.

    Examples
    --------
    Two pixels, logits of the label 0 and ln 3, both labelled: p = 0.5 and 0.75, so
    (ln 2 + ln 4/3) / 2 = (0.6931 + 0.2877) / 2 = 0.4904.
    """
    return terms.ce_sum / ops.maximum(terms.pixels, 1.0)


def soft_dice_loss(terms: SliceTerms) -> Tensor:
    """1 - soft Dice of each slice, mean over the labels (the background is not one), shape (n,), 0 to 1.

    Dice_c = (2 sum p y + s) / (sum p + sum y + s) with s = SMOOTH_PX (Milletari et al. 2016 without the squares;
    nnU-Net adds its smoothing to both sides in the same way).

    Examples
    --------
    Three pixels p = (0.8, 0.6, 0.1), y = (1, 1, 0): (2 * 1.4 + 1) / (1.5 + 2 + 1) = 3.8 / 4.5, loss 0.1556.
    Empty label and p = 0: (0 + 1) / (0 + 1), loss 0.
    """
    dice = (2.0 * terms.soft_tp + SMOOTH_PX) / (terms.soft_p + terms.soft_y + SMOOTH_PX)
    return 1.0 - ops.mean(dice[:, 1:], axis=-1)


def slice_loss(terms: SliceTerms, kind: str) -> Tensor:
    """Loss of each slice, shape (n,).

    Parameters
    ----------
    terms : SliceTerms
    kind : {"ce", "dice", "ce_dice"}
        ``ce_dice`` is the plain sum of both (nnU-Net's default, equal weights).
    """
    if kind == "ce":
        return cross_entropy(terms)
    if kind == "dice":
        return soft_dice_loss(terms)
    if kind == "ce_dice":
        return cross_entropy(terms) + soft_dice_loss(terms)
    raise ValueError(f"unknown loss {kind!r}")


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """sum w_i l_i / sum w_i over slices, a scalar; slices of weight 0 leave no trace.

    Examples
    --------
    Losses (0.2, 0.8), weights (3, 1): (0.6 + 0.8) / 4 = 0.35. Weights (1, 0): 0.2.
    """
    weights = ops.cast(weights, "float32")
    return ops.sum(values * weights) / ops.maximum(ops.sum(weights), 1e-12)
