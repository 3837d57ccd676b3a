"""An RTSP camera whose every picture carries its number, for tests and studies of what streams suffer.

    /usr/bin/python3 benchmarks/studies/numbered_camera.py --port 8554     # rtsp://127.0.0.1:8554/cam

Runs with the system's Python, GStreamer's introspection and its RTSP server (Debian: gir1.2-gst-rtsp-server-1.0,
gstreamer1.0-plugins-good -bad -ugly); prints `ready PORT` once it listens. `read_number` needs numpy alone.
"""

import argparse
import os
import sys
import threading
import time

BITS = 24  # of the number, in one row of squares, and below it their opposites: a damaged picture has no number
COLUMNS = 8
CELL = 16  # pixels a square; the bar code takes 128 x 96
LEAST_WH = (COLUMNS * CELL, 2 * BITS // COLUMNS * CELL)
ENCODERS = {
    # slices of its own threads would reach some decoders as damage
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast sliced-threads=false threads=1 bitrate=2000"
    " key-int-max={key} ! h264parse ! {loss} rtph264pay {pay} pt=96 config-interval=-1{end}",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast bitrate=2000"
    " key-int-max={key} ! h265parse ! {loss} rtph265pay {pay} pt=96 config-interval=-1{end}",
    "vp8": "vp8enc deadline=1 cpu-used=8 target-bitrate=2000000 keyframe-max-dist={key} !"
    " {loss} rtpvp8pay name=pay0 pt=96",
    "mjpeg": "jpegenc ! {loss} rtpjpegpay name=pay0 pt=26",
    "theora": "theoraenc speed-level=3 ! {loss} rtptheorapay name=pay0 pt=96",
}


def draw_number(number: int, width: int, height: int, *, noisy: bool = False) -> bytes:
    """The picture `number` as I420: squares white for ones and black for noughts, on a ramp that moves.

    `noisy` fills what is below with noise, so that a picture takes many packets.
    """
    ramp = bytes((column + 3 * number) % 160 + 48 for column in range(width))
    rows = []
    for row in range(height):
        at = row // CELL * COLUMNS
        if at < 2 * BITS:
            bits = [
                (number >> bit & 1) if bit < BITS else 1 - (number >> (bit - BITS) & 1)
                for bit in range(at, at + COLUMNS)
            ]
            squares = b"".join((b"\xeb" if bit else b"\x10") * CELL for bit in bits)
            rows.append((squares + ramp[len(squares) :])[:width])
        elif noisy:
            rows.append(os.urandom(width))
        else:
            rows.append(ramp)
    return b"".join(rows) + b"\x80" * (2 * ((width + 1) // 2) * ((height + 1) // 2))


def read_number(image) -> "int | None":  # type: ignore[no-untyped-def]
    """The number in a picture (H, W, 3) uint8; None where it is none of this camera's, or damaged."""
    if image.shape[0] < LEAST_WH[1] or image.shape[1] < LEAST_WH[0]:
        return None
    half = CELL // 2
    grey = image[half : LEAST_WH[1] : CELL, half : LEAST_WH[0] : CELL].mean(axis=2).reshape(-1)
    if ((grey > 80) & (grey < 175)).any():
        return None
    bits = grey > 127
    if (bits[:BITS] == bits[BITS:]).any():
        return None
    return int(sum(1 << place for place in range(BITS) if bits[place]))


def main() -> None:
    """Serve until killed, or do the damage that the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--path", default="/cam")
    parser.add_argument("--codec", choices=ENCODERS, default="h264")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--key", type=int, default=10, help="frames from one key frame to the next")
    parser.add_argument("--first", type=int, default=0, help="number of the first picture")
    parser.add_argument("--first-by-clock", action="store_true", help="numbers go on over a restart")
    parser.add_argument("--login", help="USER:PASSWORD")
    parser.add_argument("--digest", action="store_true", help="ask for the password by Digest, not Basic")
    parser.add_argument("--udp-only", action="store_true")
    parser.add_argument("--resize", help="AFTER:WxH, the size from that picture on")
    parser.add_argument("--loss", type=float, default=0.0, help="share of encoded pictures that get lost")
    parser.add_argument(
        "--packet-loss", type=float, default=0.0, help="share of RTP packets that get lost (h264, h265)"
    )
    parser.add_argument("--freeze", type=int, help="the same picture again and again after so many")
    parser.add_argument("--silent", type=int, help="nothing more after so many pictures")
    options = parser.parse_args()

    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

    Gst.init(None)
    width, height = (int(side) for side in options.size.split("x"))
    resize_after, resize_wh = 1 << 60, (width, height)
    if options.resize:
        after, _, size = options.resize.partition(":")
        resize_after, resize_wh = int(after), tuple(int(side) for side in size.split("x"))
    loss = f"identity drop-probability={options.loss} !" if options.loss else ""
    end = f" ! identity name=pay0 drop-probability={options.packet_loss}" if options.packet_loss else ""
    pay = "mtu=300" if options.packet_loss else "name=pay0"
    encoder = ENCODERS[options.codec].format(key=options.key, loss=loss, pay=pay, end=end)
    state = {"sent": 0}
    # at its rate and not faster, a camera never reaches the number that one started after it begins with
    first = int(time.time() * options.fps) % (1 << BITS) if options.first_by_clock else options.first

    def caps(wh):  # type: ignore[no-untyped-def]
        return Gst.Caps.from_string(f"video/x-raw,format=I420,width={wh[0]},height={wh[1]},framerate={options.fps}/1")

    def feed(source, ended):  # type: ignore[no-untyped-def]
        due = time.monotonic()
        wh = (width, height)
        while not ended.is_set():
            due += 1 / options.fps
            ended.wait(max(0.0, due - time.monotonic()))
            sent = state["sent"]
            if options.silent is not None and sent >= options.silent:
                continue
            if sent >= resize_after and wh != resize_wh:
                wh = resize_wh
                source.set_property("caps", caps(wh))
            number = min(sent, options.freeze) if options.freeze is not None else sent
            state["sent"] += 1
            buffer = Gst.Buffer.new_wrapped(draw_number(first + number, *wh, noisy=bool(options.packet_loss)))
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return

    def configure(_factory, media):  # type: ignore[no-untyped-def]
        source = media.get_element().get_child_by_name("src")
        source.set_property("caps", caps((width, height)))
        ended = threading.Event()
        thread = threading.Thread(target=feed, args=(source, ended), daemon=True)
        media.connect("unprepared", lambda _media: ended.set())
        thread.start()

    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( appsrc name=src is-live=true do-timestamp=true format=time ! {encoder} )")
    factory.connect("media-configure", configure)
    factory.set_shared(True)
    factory.set_latency(0)
    if options.udp_only:
        factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
    if options.login:
        user, _, password = options.login.partition(":")
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        if options.digest:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        role = Gst.Structure.new_empty("user")
        role.set_value("media.factory.access", True)
        role.set_value("media.factory.construct", True)
        factory.add_role_from_structure(role)
    server.get_mount_points().add_factory(options.path, factory)
    if not server.attach(None):
        sys.exit(f"cannot listen on port {options.port}")
    print(f"ready {server.get_bound_port()}", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
