"""The main jobs from start to end, as functions with the words of the command line: load, train, evaluate, export, write an HLS project."""

from edgekit.jobs.evaluate import evaluate_models
from edgekit.jobs.export import export_model
from edgekit.jobs.hls_project import synthesize_project, write_hls_project
from edgekit.jobs.source import ModelRequest, load_source
from edgekit.jobs.train import train_model

__all__ = ["ModelRequest", "evaluate_models", "export_model", "load_source", "synthesize_project", "train_model", "write_hls_project"]
