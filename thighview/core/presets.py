"""Settings that belong together, by name: what most people want, and what the network of 2015 was trained with."""

from dataclasses import replace

from thighview.core.run import TrainConfig

_SEED = TrainConfig(
    architecture="seed_unet", base_filters=64, levels=5, dropout=0.5, loss="ce", optimizer="adam", learning_rate=2e-4,
    schedule="constant", precision="float32", epochs=80, batch_size=2, input_size=512,
)  # fmt: skip

PRESETS: dict[str, tuple[TrainConfig, str]] = {
    "default": (TrainConfig(), ""),
    "seed": (_SEED, ""),
    "seed_combo": (
        replace(_SEED, loss="combo", optimizer="rmsprop", learning_rate=1e-5),
        "The rate of 1e-5 is far too small to learn much in 80 epochs (1e-4 is usual for RMSprop), and the combo loss "
        "goes below zero, to -0.8 at best: only its fall means something.",
    ),
}
"""Name to settings and one sentence on what is wrong with them, empty where nothing is.

``seed``: Adam 2e-4 and binary cross-entropy, which ``ce`` is with one label. ``seed_combo``: the third way the
original was compiled, RMSprop 1e-5 with the combo loss (alpha 0.2, beta 0.4).
"""
