"""Put the trained members into one ONNX file whose weights are stored in half precision.

python export.py FOLDER us_nerve_vessel.onnx
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from network import Ensemble, Net
from onnx import helper, numpy_helper

SIDE = 256


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every large weight as half precision, widened again when the model is loaded."""
    graph, casts = model.graph, []
    for one in list(graph.initializer):
        values = numpy_helper.to_array(one)
        if values.dtype != np.float32 or values.size < 256:
            continue
        graph.initializer.remove(one)
        name = f"{one.name}_half"
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), name))
        casts.append(helper.make_node("Cast", [name], [one.name], to=onnx.TensorProto.FLOAT))
    for node in reversed(casts):
        graph.node.insert(0, node)
    onnx.checker.check_model(model)
    return model


def main(folder: Path, out: Path) -> None:
    """Read the members, write the model."""
    nets = []
    for path in sorted(folder.glob("member*.pt")):
        net = Net()
        net.load_state_dict(torch.load(path, weights_only=True))
        nets.append(net.eval())
    torch.onnx.export(
        Ensemble(nets).eval(), (torch.zeros(1, 1, SIDE, SIDE),), str(out), input_names=["image"],
        output_names=["chance"], dynamo=False, opset_version=17,
    )  # fmt: skip
    onnx.save(halved(onnx.load(out)), out)
    print(out.stat().st_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
