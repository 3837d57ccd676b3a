"""Export the bundled cell detector, then find the cells of a picture.

    pip install "pvt-edge[export]"
    python 01_export_and_predict.py            # 480x640, as it was trained
    python 01_export_and_predict.py 256 320    # another height and width: faster, and less exact

Writes the bundle `out/cells` and the annotated picture `out/cells.jpg`.
"""

import sys

import pvt_edge
from pvt_edge.scenes import draw_scene

size = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else None

# The bundled weights bring their labels, input size and thresholds. Others: weights="imagenet", "coco", or a file.
model = pvt_edge.create_model("b0", "detect", weights="cells")
# Each file is compared with the model before it is kept. precisions=("fp32", "int8") adds INT8, judged and timed.
bundle = pvt_edge.export_model(model, "out/cells", imgsz=size)  # ONNX and OpenVINO, FP32
print("wrote", bundle.folder)

with pvt_edge.load("out/cells") as predictor:
    picture = draw_scene(seed=7).image  # (H, W, 3) uint8 BGR, as cv2.imread gives it; a path will do too
    result = predictor(picture, conf=0.4)

print(result)
for box in result.boxes[:3]:
    x1, y1, x2, y2 = box.xyxy[0]
    print(f"{result.names[int(box.cls[0])]} {box.conf[0]:.2f} at {x1:.0f},{y1:.0f} to {x2:.0f},{y2:.0f}")
result.save("out/cells.jpg")
