"""Weights of others put into networks of the zoo, and random ones."""
