"""Files from outside, read as data: Keras models and checkpoints of other frameworks. Nothing in them is run."""
