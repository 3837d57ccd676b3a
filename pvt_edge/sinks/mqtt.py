"""Results published to an MQTT broker."""

import logging
import socket
import ssl
import threading
from collections import deque
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pvt_edge.errors import DataError, RuntimeMissingError
from pvt_edge.sinks.sink import Sink
from pvt_edge.web_addresses import is_broken, login_of

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessageInfo

    from pvt_edge.results import Result

PORTS = {"mqtt": 1883, "mqtts": 8883}
EXAMPLE = "write it like mqtt://USER:PASSWORD@HOST:1883/TOPIC, or mqtts:// with TLS"
STATUS = "status"  # the topic's own sub-topic that says whether the run is there
ONLINE, OFFLINE = "online", "offline"
TIMEOUT_S = 5.0  # for the broker's first answer
LAST_S = 2.0  # for what still waits when the run ends
FAREWELL_S, STOP_S = 0.5, 1.0  # then for its last word, and for the client's thread, which may be connecting
KEEPALIVE_S = 30
MOST_WAITING = 1000  # results that wait for a broker that is away or slow; then the oldest go
MOST_UNDER_WAY = 20  # of them that the client was given and the broker does not have yet
log = logging.getLogger("pvt_edge.streams")


class Mqtt(Sink):
    """Publishes each result's JSON to the topic of an address mqtt://USER:PASSWORD@HOST:PORT/TOPIC.

    TOPIC/status says "online", retained, and "offline" once the run has ended, or by the broker's word where it broke
    off. A broker that goes away is connected to again, after 1, 2 ... 10 s, for ever; up to 1000 results wait
    and the oldest of more are counted in `lost`. Nobody waits for a publication. `target` has no user and password.

    Raises:
        DataError: Where the address is none, the broker is not there, or refuses.
        RuntimeMissingError: Without paho-mqtt.
    """

    grace_s = LAST_S
    idle_every_s = 0.2

    def __init__(self, address: str, *, qos: int = 1) -> None:
        try:
            parts = urlsplit(address)
            self._host, port = parts.hostname or "", parts.port
        except ValueError:
            self._host, port = "", None
        self._topic = unquote(parts.path).strip("/") if self._host else ""
        if not self._host or parts.scheme not in PORTS or port == 0 or is_broken(address):
            raise DataError(f"cannot publish there by MQTT: {EXAMPLE}")
        if not self._topic or set(self._topic) & set("#+\0") or set(address.rpartition("@")[2]) & set("#?"):
            raise DataError(f"an MQTT topic is needed to publish to, without #, + and ?: {EXAMPLE}")
        self._port = port or PORTS[parts.scheme]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.target = f"{parts.scheme}://{host}:{self._port}/{self._topic}"
        self._qos = qos
        self._waiting: deque[bytes] = deque()
        self._under_way: deque[MQTTMessageInfo] = deque()
        self._answered, self._refusal = threading.Event(), ""
        self._connected = self._given_up = self._closed = False
        self._client = self._new_client(login_of(address), tls=parts.scheme == "mqtts")
        self._connect()

    def _new_client(self, login: tuple[str, str] | None, *, tls: bool) -> Any:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise RuntimeMissingError(f'MQTT needs paho-mqtt ({error}): pip install "pvt-edge[mqtt]"') from error
        client = Client(CallbackAPIVersion.VERSION2)
        if login:
            client.username_pw_set(*login)
        if tls:
            client.tls_set_context(ssl.create_default_context())
        client.will_set(f"{self._topic}/{STATUS}", OFFLINE, qos=1, retain=True)
        client.max_inflight_messages_set(MOST_UNDER_WAY + 2)  # both words of the status have their place beside results
        client.reconnect_delay_set(1, 10)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        return client

    def _connect(self) -> None:
        """Connect for the first time, which tells a wrong address, user or password at once."""
        why = ""
        try:
            self._client.connect(self._host, self._port, KEEPALIVE_S)
        except ssl.SSLCertVerificationError as error:
            why = f"its certificate is not trusted ({error.verify_message}): let SSL_CERT_FILE name its authority's"
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if not why:
            self._client.loop_start()
            self._answered.wait(TIMEOUT_S)
            why = "" if self._connected else self._refusal or f"no broker answers within {TIMEOUT_S:g} s"
        if why:
            self._stop()
            raise DataError(f"cannot publish to {self.target}: {why}")

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if self._closed:  # while it connected
            client.disconnect()
            return
        if reason.is_failure:
            if self._answered.is_set() and not self._refusal:  # once, not at every attempt
                log.warning("%s: the broker refuses: %s", self.target, reason)
            self._refusal = f"the broker refuses: {reason}; see user and password in the address"
        else:
            if self._answered.is_set():
                log.warning("%s: connected again; %d results were lost so far", self.target, self.lost)
            self._connected, self._refusal = True, ""
            client.publish(f"{self._topic}/{STATUS}", ONLINE, qos=1, retain=True)
        self._answered.set()

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if self._connected and not self._closed:
            log.warning("%s: the broker is gone (%s); trying again until it is back", self.target, reason)
        self._connected = False

    @property
    def healthy(self) -> bool:
        return self._connected

    def write(self, result: "Result") -> None:
        self._waiting.append(result.to_json().encode())
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self.idle()

    def idle(self) -> None:
        """Give the client what waits, as far as the broker keeps up."""
        while self._under_way and self._done(self._under_way[0]):
            self.lost += self._under_way.popleft().rc != 0  # the connection broke before it was sent
        while self._connected and self._waiting and len(self._under_way) < MOST_UNDER_WAY:
            self._under_way.append(self._client.publish(self._topic, self._waiting.popleft(), qos=self._qos))

    def _done(self, message: "MQTTMessageInfo") -> bool:
        return message.rc != 0 or message.is_published()

    def give_up(self) -> None:
        self._given_up = True

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        until = monotonic() + LAST_S
        self.idle()
        while (self._waiting or self._under_way) and monotonic() < until and not self._given_up:
            sleep(0.01)
            self.idle()
        self.lost += len(self._waiting) + len(self._under_way)
        self._waiting.clear()
        delivered = True
        if self._connected:
            last = self._client.publish(f"{self._topic}/{STATUS}", OFFLINE, qos=1, retain=True)
            until = monotonic() + FAREWELL_S
            while not (delivered := self._done(last)) and monotonic() < until:
                sleep(0.01)
        self._stop(farewell=delivered)

    def _stop(self, *, farewell: bool = True) -> None:
        """End the connection; without `farewell` it breaks, and the broker tells the last will."""
        self._closed = True
        channel = self._client.socket()
        if farewell or channel is None:
            self._client.disconnect()
        else:
            with suppress(OSError):  # it broke by itself
                channel.shutdown(socket.SHUT_RDWR)
        stopping = threading.Thread(target=self._client.loop_stop, name="pvt-edge mqtt", daemon=True)
        stopping.start()  # it waits for the client's thread without a limit
        stopping.join(STOP_S)
