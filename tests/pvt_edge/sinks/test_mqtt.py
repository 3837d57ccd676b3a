"""Results published to a real broker, amqtt: what arrives, what is refused, and what happens while it is away."""

import json
import logging
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")
pytest.importorskip("amqtt", reason="amqtt is not installed")

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from pvt_edge.errors import DataError
from pvt_edge.sinks import Mqtt, mqtt
from pvt_edge.streams.delivery import Delivery

from .made import result

PASSWORD = "s3cret/@"  # written s3cret%2F%40
LOGIN = "camera:s3cret%2F%40@"


def until(true, seconds=20.0):
    """Whether it became true in time."""
    end = monotonic() + seconds
    while not true() and monotonic() < end:
        sleep(0.02)
    return bool(true())


class Broker:
    """amqtt in a process of its own, with one user; it can be stopped and started again at the same port."""

    def __init__(self, folder):
        from pwdlib import PasswordHash
        from pwdlib.hashers.argon2 import Argon2Hasher

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        users = folder / "users.txt"
        users.write_text(f"camera:{PasswordHash((Argon2Hasher(),)).hash(PASSWORD)}\n")
        self.config = folder / "broker.yaml"
        plugins = {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(users)}}
        listeners = {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}}
        self.config.write_text(json.dumps({"listeners": listeners, "plugins": plugins}))  # JSON is YAML
        self.start()

    def start(self):
        script = Path(sys.executable).with_name("amqtt")
        self.process = subprocess.Popen(
            [script, "-c", self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.config.parent
        )
        assert until(self._listens), "the broker does not start"

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.kill()
        self.process.wait()

    def address(self, topic="door/cells", login=LOGIN):
        return f"mqtt://{login}127.0.0.1:{self.port}/{topic}"

    @contextmanager
    def listener(self, topic):
        """The (topic, payload, retained) that arrive of a topic and those below it."""
        client, arrived, ready = Client(CallbackAPIVersion.VERSION2), [], []
        client.username_pw_set("camera", PASSWORD)

        def keep(_, __, message):
            if f"{message.topic}/".startswith(f"{topic}/"):  # amqtt also sends what others retained
                arrived.append((message.topic, message.payload.decode(), message.retain))

        client.on_message = keep
        client.on_subscribe = lambda *_: ready.append(True)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        client.subscribe(f"{topic}/#", 1)
        assert until(lambda: ready)
        yield arrived
        client.disconnect()
        client.loop_stop()


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_result_arrives_in_order(broker, qos):
    with broker.listener(f"q{qos}") as arrived:
        with Mqtt(broker.address(f"q{qos}/cells"), qos=qos) as sink:
            assert sink.target == f"mqtt://127.0.0.1:{broker.port}/q{qos}/cells"
            for number in range(60):
                sink.write(result(number))
        assert until(lambda: len(arrived) == 62)
    assert [(topic, text) for topic, text, _ in (arrived[0], arrived[-1])] == [
        (f"q{qos}/cells/status", "online"),
        (f"q{qos}/cells/status", "offline"),
    ]
    lines = [json.loads(text) for _, text, _ in arrived[1:-1]]
    assert [line["frame"]["id"] for line in lines] == [*range(60)]
    assert lines[0] == json.loads(result(0).to_json())
    assert sink.lost == 0
    with broker.listener(f"q{qos}") as later:
        assert until(lambda: later)
        assert {*later} == {(f"q{qos}/cells/status", "offline", True)}


def test_the_broker_tells_of_a_run_that_was_cut_off(broker):
    with broker.listener("will") as arrived:
        sink = Mqtt(broker.address("will"))
        assert until(lambda: arrived)
        sink._client.on_disconnect = None
        sink._client.loop_stop()
        sink._client.socket().close()  # as where the power is cut: no word of farewell
        assert until(lambda: len(arrived) == 2)
    assert [text for _, text, _ in arrived] == ["online", "offline"]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("mqtt://camera:hidden@127.0.0.1:1/x", "cannot publish to mqtt://127.0.0.1:1/x: Connection refused"),
        ("mqtt://camera:hidden@nowhere.invalid/x", "cannot publish to mqtt://nowhere.invalid:1883/x: "),
        ("mqtt://camera:hidden@127.0.0.1:PORT/x", "the broker refuses: Not authorized; see user and password"),
        ("mqtt://127.0.0.1:PORT/x", "the broker refuses: Not authorized"),
        ("mqtt://camera:hidden@127.0.0.1/", "a topic"),
        ("mqtt://camera:hidden@127.0.0.1/a/#", "a topic"),
        ("mqtt://camera:hidden@127.0.0.1/a/+/b", "a topic"),
        ("http://camera:hidden@127.0.0.1/a", "mqtt://USER:PASSWORD@HOST:1883/TOPIC"),
        ("camera:hidden@127.0.0.1", "mqtt://USER:PASSWORD@HOST:1883/TOPIC"),
        ("mqtt://camera:hidden@127.0.0.1:x/a", "mqtt://USER:PASSWORD@HOST:1883/TOPIC"),
    ],
)
def test_what_is_wrong_is_told_at_once_and_without_the_password(broker, address, told):
    with pytest.raises(DataError) as caught:
        Mqtt(address.replace("PORT", str(broker.port)))
    assert told.replace("a topic", "an MQTT topic") in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_broker_that_goes_away_is_waited_for_and_nobody_waits(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(mqtt, "MOST_WAITING", 30)
    broker = Broker(tmp_path)
    with caplog.at_level(logging.WARNING), Delivery([sink := Mqtt(broker.address())], live=True) as delivery:
        broker.stop()
        assert until(lambda: not sink.healthy)
        began = monotonic()
        for number in range(100):
            delivery.put(result(number))
        assert monotonic() - began < 5
        assert until(lambda: sink.lost == 70)
        broker.start()
        with broker.listener("door") as arrived:
            assert until(lambda: sum(topic == "door/cells" for topic, *_ in arrived) == 30)
        ids = [json.loads(text)["frame"]["id"] for topic, text, _ in arrived if topic == "door/cells"]
        assert ids == [*range(70, 100)]  # the oldest went
    broker.stop()
    assert delivery.losses == {sink.target: 70}
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2  # gone, and back
    assert PASSWORD not in caplog.text
    assert "s3cret" not in caplog.text


class DeafBroker:
    """Takes one client and acknowledges nothing; `said` is all that the client sent."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.address = f"mqtt://127.0.0.1:{self.server.getsockname()[1]}/door"
        self.said = b""
        self.thread = threading.Thread(target=self._listen)

    def _listen(self):
        self.client, _ = self.server.accept()
        self.client.sendall(b"\x20\x02\x00\x00")  # CONNACK
        with suppress(OSError):
            while part := self.client.recv(4096):
                self.said += part

    def stop(self):
        """Hang up, and let who knocks stand at the door."""
        self.waiting = [socket.socket() for _ in range(4)]
        for one in self.waiting:
            one.setblocking(False)
            one.connect_ex(self.server.getsockname())
        self.client.shutdown(socket.SHUT_RDWR)
        self.thread.join()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.thread.join()
        for one in (self.client, self.server, *getattr(self, "waiting", [])):
            one.close()


DISCONNECT = b"\xe0\x00"


@pytest.mark.parametrize("results", [0, 30])
def test_a_broker_that_acknowledges_nothing_hears_the_end_and_keeps_the_last_will(results):
    with DeafBroker() as broker, Mqtt(broker.address) as sink:
        for number in range(results):
            sink.write(result(number))
    assert broker.said.count(b"offline") == 2  # the last will and the end itself
    assert not broker.said.endswith(DISCONNECT)  # after which the will is void
    assert sink.lost == results


def test_a_broker_that_is_away_at_the_end_is_not_waited_for_longer_than_is_granted():
    with DeafBroker() as broker, Delivery([sink := Mqtt(broker.address)], live=True) as delivery:
        delivery.put(result())
        broker.stop()
        assert until(lambda: not sink.healthy)
        sleep(1.5)  # until it knocks
    assert delivery.failures == []


def test_the_command(broker, pvt_edge_command, cells_bundle):
    with broker.listener("cli") as arrived:
        run = ("predict", str(cells_bundle), "synthetic://cells?frames=3", "--runtime", "openvino")
        done = pvt_edge_command(*run, "--mqtt", broker.address("cli"), "--json", "-")
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines
        assert until(lambda: len(arrived) == len(lines) + 2)
    assert [text for _, text, _ in arrived[1:-1]] == lines
    assert "s3cret" not in done.stderr
    refused = pvt_edge_command(*run, "--mqtt", broker.address("cli", "camera:wrong@"))
    assert (refused.returncode, "Not authorized" in refused.stderr, "wrong" in refused.stderr) == (1, True, False)
