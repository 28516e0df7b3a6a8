# mypy: allow-subclassing-any
"""Writes hls4ml's C++ of a network into a folder: its sources, without its scripts, test bench and bridge, which we replace.

hls4ml's own file set would hold absolute paths, a random stamp and a dump of the configuration.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from hls4ml.writer.vitis_writer import VitisWriter

from edgekit.hls.project.hls4ml_layers import HLS, STAGE_HEADERS


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


class FoldedWriter(SourceWriter):
    """The same for a folded dataflow, which needs none of hls4ml's kernels: only its tokens and its ap_int types.

    Weights in memory are arguments of the top function; hls4ml's arguments of that kind are ports of a block RAM, ours AXI masters.
    """

    def write_project_cpp(self, model: Any) -> None:
        weights = [weight for _, weight in _memories(model)]
        for weight in weights:
            weight.storage = "bram"
        super().write_project_cpp(model)
        path = Path(model.config.get_output_dir()) / "firmware" / f"{model.config.get_project_name()}.cpp"
        text = path.read_text()
        for weight in weights:
            words, name = weight.data_length, weight.name
            text = text.replace(f'        nnet::load_weights_from_txt<{weight.type.name}, {words}>({name}, "{name}.txt");\n', "")
        masters = "".join(_master(weight.name, weight.data_length) for weight in weights)
        text = re.sub(r" *#pragma HLS INTERFACE bram port=.*\n", lambda _: masters, text)
        path.write_text(text)

    def write_parameters(self, model: Any) -> None:
        super().write_parameters(model)
        path = Path(model.config.get_output_dir()) / "firmware" / "parameters.h"
        unused = ("nnet_code_gen.h", "nnet_helpers.h")
        text = [line for line in path.read_text().splitlines() if not any(header in line for header in unused)]
        path.write_text("\n".join(text) + "\n")

    def write_nnet_utils(self, model: Any) -> None:
        super().write_nnet_utils(model)
        folder = Path(model.config.get_output_dir()) / "firmware"
        for header in (folder / "nnet_utils").glob("*.h"):
            if header.name not in (*STAGE_HEADERS, "nnet_types.h"):
                header.unlink()
        shutil.copytree(HLS / "native", folder / "native")


def _master(port: str, words: int) -> str:
    return f"    #pragma HLS INTERFACE m_axi port={port} offset=slave bundle={port} depth={words}\n"


def _memories(model: Any) -> list[tuple[Any, Any]]:
    return [(layer, layer.weights["memory"]) for layer in model.get_layers() if layer.get_attr("reader")]


def write_sources(model: Any, folder: Path) -> None:
    """Writes folder/firmware: top function, parameters, weights, hls4ml's kernels and the simulation's ap_int types."""
    writer = SourceWriter()
    _write(writer, model, folder)
    writer.write_nnet_utils_overrides(model)
    writer.write_generated_code(model)


def write_folded_sources(model: Any, folder: Path) -> None:
    """Writes folder/firmware of a folded dataflow, with the content of its memories in firmware/memory."""
    _write(FoldedWriter(), model, folder)
    for layer, weight in _memories(model):
        target = folder / "firmware" / "memory" / f"{weight.name}.bin"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(layer.get_attr("reader").memory.content)


def _write(writer: SourceWriter, model: Any, folder: Path) -> None:
    model.config.config["OutputDir"] = str(folder)
    writer.write_project_dir(model)
    writer.write_project_cpp(model)
    writer.write_project_header(model)
    writer.write_weights(model)
    writer.write_defines(model)
    writer.write_parameters(model)
    writer.write_nnet_utils(model)
