"""Fixed point: quantizers with trainable binary points, calibration, and the way to the integer graph and back."""
