"""Keras layers and activations of our own, and the one door to TensorFlow's Keras 2."""
