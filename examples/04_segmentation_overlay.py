"""Give every pixel of a picture a class, and say how much of the picture each covers.

    pip install "pvt-edge[export]"
    python 04_segmentation_overlay.py            # 480x640, as the bundled segmenter was trained
    python 04_segmentation_overlay.py 256 320    # another height and width

Writes the bundle `out/cells-seg`, the picture under its classes `out/overlay.jpg`, and the class of each pixel as a
palette PNG, `out/mask.png`.
"""

import sys

import pvt_edge
from pvt_edge.scenes import draw_scene

size = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else None

model = pvt_edge.create_model("b0", "segment", weights="cells-seg")
pvt_edge.export_model(model, "out/cells-seg", formats=("openvino",), imgsz=size)

with pvt_edge.load("out/cells-seg") as predictor:
    result = predictor(draw_scene(seed=7).image)

print(result)
# result.mask is (H, W) in the pixels of the picture, whatever the size of the input
for row in result.summary():
    print(f"{row['name']}: {row['area']:.1%} of the picture")
result.save("out/overlay.jpg")
result.save_mask("out/mask.png")
