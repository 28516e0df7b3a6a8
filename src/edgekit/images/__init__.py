"""From a decoded image to the values of a network's input, in integers."""
