# mypy: allow-subclassing-any
"""Writes hls4ml's C++ of a network into a folder: its sources, without its scripts, test bench and bridge, which we replace.

hls4ml's own file set would hold absolute paths, a random stamp and a dump of the configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hls4ml.writer.vitis_writer import VitisWriter


class SourceWriter(VitisWriter):
    """hls4ml's writer, with weights written a layer at a time instead of a number at a time."""

    def print_array_to_cpp(self, var: Any, odir: str, namespace: str | None = None, write_txt_file: bool = True) -> None:
        """The array as a header, which synthesis reads, and as text, which the simulation loads (it compiles faster so)."""
        folder = Path(odir) / "firmware" / "weights"
        values = ", ".join(map(str, var.data.ravel().tolist()))
        (folder / f"{var.name}.txt").write_text(values)
        definition = var.definition_cpp()
        guard = f"{var.name.upper()}_H_"
        lines = [f"// shape {tuple(var.data.shape)}", f"#ifndef {guard}", f"#define {guard}", "", "#ifndef __SYNTHESIS__", f"{definition};"]
        lines += ["#else", f"{definition} = {{{values}}};", "#endif", "", "#endif", ""]
        (folder / f"{var.name}.h").write_text("\n".join(lines))


def write_sources(model: Any, folder: Path) -> None:
    """Writes folder/firmware: top function, parameters, weights, kernels and the simulation's ap_int types."""
    writer = SourceWriter()
    model.config.config["OutputDir"] = str(folder)
    writer.write_project_dir(model)
    writer.write_project_cpp(model)
    writer.write_project_header(model)
    writer.write_weights(model)
    writer.write_defines(model)
    writer.write_parameters(model)
    writer.write_nnet_utils(model)
    writer.write_nnet_utils_overrides(model)
    writer.write_generated_code(model)
