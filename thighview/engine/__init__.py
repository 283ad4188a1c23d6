"""The network: the only place with Keras and TensorFlow."""
