# Runs bundles on an x86-64 or aarch64 CPU: OpenVINO, ONNX Runtime, cameras, tracks and the live page, without torch.
#
#   make wheel && docker build -t pvt-edge .
#   docker run --rm -v "$PWD:/data" pvt-edge predict out/cells pictures/ --json found.jsonl
#   docker run --rm -p 127.0.0.1:8080:8080 -e PVT_EDGE_TOKEN -v "$PWD:/data" pvt-edge \
#     predict out/cells rtsp://192.168.1.20/1 --serve 0.0.0.0:8080
FROM python:3.12-slim

# what opencv-python loads
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

ARG EXTRAS=openvino,onnxruntime,opencv,stream,track,serve
COPY dist/*.whl constraints.txt /tmp/install/
RUN pip install --no-cache-dir --constraint /tmp/install/constraints.txt "$(ls /tmp/install/*.whl)[$EXTRAS]" \
    && rm -r /tmp/install

# root writes no files into the user's folder: docker run --user "$(id -u):$(id -g)" for another owner than 1000
USER 1000:1000
ENV HOME=/tmp
WORKDIR /data
ENTRYPOINT ["pvt-edge"]
CMD ["doctor"]
