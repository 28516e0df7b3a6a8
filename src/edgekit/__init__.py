"""edgekit: mobile vision networks from Keras to TFLite and HLS, equal to the last bit."""

__version__ = "0.1.0"
