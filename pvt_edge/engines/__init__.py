"""TensorRT engines built on the device: neither torch nor onnx is needed."""
