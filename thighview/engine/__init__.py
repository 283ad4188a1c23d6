"""The network: the only place with Keras and TensorFlow."""

import os

# oneDNN reads this at its first computation. Its AMX kernels gave gradients in bfloat16 that were now and then not finite
# (TensorFlow 2.21, a convolution of a slice of 176 x 304 pixels); those for AVX-512 give the same finite numbers each time
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16")
