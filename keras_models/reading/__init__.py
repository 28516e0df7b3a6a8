"""A Keras model is read layer by layer, and built anew in another vocabulary with batch norm folded."""
