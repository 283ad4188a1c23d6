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

from thighview.core.sums import (
    COMBO_ALPHA,
    COMBO_BETA,
    SMOOTH_PX,
    TVERSKY_ALPHA,
    TVERSKY_BETA,
    TVERSKY_FLOOR,
    TVERSKY_GAMMA,
)

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
    return 1.0 - ops.mean(_label_dice(terms), axis=-1)


def combo_loss(terms: SliceTerms, alpha: float = COMBO_ALPHA, beta: float = COMBO_BETA) -> Tensor:
    """Combo loss of each slice as its paper writes it, shape (n,); negative where the network is good.

    With one label, p_i its probability and t_i its truth in the N counted pixels::

        alpha * -1/N sum_i [beta t_i ln p_i + (1 - beta) (1 - t_i) ln(1 - p_i)]
        - (1 - alpha) * sum_K (2 sum_i p_i t_i + S) / (sum_i p_i + sum_i t_i + S)

    with S = SMOOTH_PX (Taghanaki et al. 2019, Computerized Medical Imaging and Graphics 75, arXiv 1805.02798). Public
    codes under this name put their brackets elsewhere and give other numbers.

    ``alpha`` is the share of cross-entropy. ``beta`` above 0.5 makes missed pixels of the label dearer, below 0.5
    pixels wrongly given to it. The smallest value is -(1 - alpha) K, at a perfect slice: no logarithmic axis shows it.

    For several labels the sum over K runs over the labels (the background is not one), and the cross-entropy is that
    of the softmax with the weight beta on pixels of any label and 1 - beta on the background. That is our reading:
    it is exact from the sums, and with one label it is the formula above. The mean of K one-against-rest losses is
    another number, which ``label_ce`` does not hold.

    Examples
    --------
    Eight pixels, the label's p = (0.9, 0.8, 0.6, 0.3) and p = (0.2, 0.1, 0.5, 0.1) on the background, alpha 0.2,
    beta 0.4: -ln(0.9 * 0.8 * 0.6 * 0.3) = 2.0433 and -ln(0.8 * 0.9 * 0.5 * 0.9) = 1.1270, so the cross-entropy is
    (0.4 * 2.0433 + 0.6 * 1.1270) / 8 = 0.1867; Dice is (2 * 2.6 + 1) / (3.5 + 4 + 1) = 0.7294; the loss is
    0.2 * 0.1867 - 0.8 * 0.7294 = -0.5462.
    """
    weighted = (1.0 - beta) * terms.label_ce[:, 0] + beta * ops.sum(terms.label_ce[:, 1:], axis=-1)
    entropy = weighted / ops.maximum(terms.pixels, 1.0)
    return alpha * entropy - (1.0 - alpha) * ops.sum(_label_dice(terms), axis=-1)


def focal_tversky_loss(
    terms: SliceTerms, alpha: float = TVERSKY_ALPHA, beta: float = TVERSKY_BETA, gamma: float = TVERSKY_GAMMA
) -> Tensor:
    """Focal Tversky loss of each slice, mean over the labels (the background is not one), shape (n,), 0 to 1.

    (1 - TI_c)^(1 / gamma), TI_c = (TP + s) / (TP + alpha FN + beta FP + s), s = SMOOTH_PX, of the soft counts
    TP = sum p y, FN = sum (1 - p) y, FP = sum p (1 - y) (Abraham and Khan 2019, ISBI, arXiv 1810.07842).

    Here ``alpha`` weighs false negatives and ``beta`` false positives, as in that paper and as in no fixed agreement
    elsewhere: Tversky losses of other libraries have them the other way round. The paper adds the labels up; here it
    is their mean, so that the loss does not grow with the table of labels.

    gamma above 1 gives small errors a steep slope, without end at TI = 1: an index within TVERSKY_FLOOR of 1 counts
    as 1 and has no gradient.

    Examples
    --------
    The eight pixels of :func:`combo_loss`: TP = 2.6, FN = 4 - 2.6 = 1.4, FP = 3.5 - 2.6 = 0.9, so alpha FN + beta FP
    = 0.7 * 1.4 + 0.3 * 0.9 = 1.25, 1 - TI = 1.25 / (2.6 + 1.25 + 1) = 0.2577, and 0.2577^(3/4) = 0.3617.
    """
    tp = terms.soft_tp[:, 1:]
    missed, surplus = (ops.maximum(a[:, 1:] - tp, 0.0) for a in (terms.soft_y, terms.soft_p))
    wrong = alpha * missed + beta * surplus
    lost = wrong / (tp + wrong + SMOOTH_PX)
    some = ops.cast(ops.greater(lost, TVERSKY_FLOOR), lost.dtype)
    # a product, not a choice after the power: its gradient at 0 would be 0 times infinity
    return ops.mean(some * (some * lost + (1.0 - some)) ** (1.0 / gamma), axis=-1)


def _label_dice(terms: SliceTerms) -> Tensor:
    """Soft Dice of each label on each slice, (n, C - 1)."""
    dice = (2.0 * terms.soft_tp + SMOOTH_PX) / (terms.soft_p + terms.soft_y + SMOOTH_PX)
    return dice[:, 1:]


def slice_loss(terms: SliceTerms, kind: str) -> Tensor:
    """Loss of each slice, shape (n,).

    Parameters
    ----------
    terms : SliceTerms
    kind : {"ce", "dice", "ce_dice", "combo", "focal_tversky"}
        ``ce_dice`` is the plain sum of both (nnU-Net's default, equal weights).
    """
    if kind == "ce":
        return cross_entropy(terms)
    if kind == "dice":
        return soft_dice_loss(terms)
    if kind == "ce_dice":
        return cross_entropy(terms) + soft_dice_loss(terms)
    if kind == "combo":
        return combo_loss(terms)
    if kind == "focal_tversky":
        return focal_tversky_loss(terms)
    raise ValueError(f"unknown loss {kind!r}")


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """sum w_i l_i / sum w_i over slices, a scalar; slices of weight 0 leave no trace.

    Examples
    --------
    Losses (0.2, 0.8), weights (3, 1): (0.6 + 0.8) / 4 = 0.35. Weights (1, 0): 0.2.
    """
    weights = ops.cast(weights, "float32")
    return ops.sum(values * weights) / ops.maximum(ops.sum(weights), 1e-12)
