"""Posts to real servers: good ones, and ones that hang, refuse, close and lie about who they are."""

import json
import logging
import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep

import pytest

from pvt_edge.errors import DataError
from pvt_edge.sinks import Webhook, webhook

from .made import result


class Server(ThreadingHTTPServer):
    """Answers each post with the next status of `answers`, the last one for ever; 0 closes, None hangs."""

    daemon_threads = True

    def __init__(self, *answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.posts, self.connections = list(answers), [], 0
        self.ended = threading.Event()

    def get_request(self):
        self.connections += 1
        return super().get_request()

    def handle_error(self, request, client_address):
        pass  # a client that went away is what some tests do


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, self.headers, json.loads(body)))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            self.server.ended.wait()
        if not answer:
            self.close_connection = True
            return
        self.send_response(answer)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@contextmanager
def serving(*answers, certificate=None):
    server = Server(*answers)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def address(server, path="/hook", login=""):
    return f"http://{login}127.0.0.1:{server.server_port}{path}"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.3)


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.WARNING, "pvt_edge.streams")
    return caplog


def test_no_result_makes_no_connection():
    with serving(200) as server, Webhook(address(server)):
        pass
    assert server.connections == 0


def test_results_are_posted_over_one_connection(log):
    with serving(200, 201) as server, Webhook(address(server, "/a b?x=1")) as sink:
        for number in range(3):
            sink.write(result(number, stream=0))
        assert (sink.sent, sink.lost, sink.healthy) == (3, 0, True)
    assert [body["frame"]["id"] for _, _, body in server.posts] == [0, 1, 2]
    path, headers, body = server.posts[0]
    assert (path, headers["Content-Type"]) == ("/a%20b?x=1", "application/json")
    assert body["predictions"][0]["name"] == "RBC"
    assert server.connections == 1
    assert log.records == []


def test_user_and_password_are_sent_and_never_shown(log):
    with serving(500) as server:
        sink = Webhook(address(server, "/services/T0/B0/hush?token=abc", login="me:p%40ss@"))
        sink.write(result())
        with pytest.raises(DataError) as failure:
            sink.close()
    assert server.posts[0][1]["Authorization"] == f"Basic {b64encode(b'me:p@ss').decode()}"
    assert sink.target == f"webhook http://127.0.0.1:{server.server_port}"
    for shown in (str(failure.value), log.text):
        assert "the server answers 500" in shown
        assert [secret for secret in ("me:", "p@ss", "p%40ss", "hush", "abc") if secret in shown] == []


@pytest.mark.parametrize("answer", [500, 404, 301], ids=str)
def test_a_refusal_is_told_once_and_each_result_tried(log, answer):
    with serving(answer) as server:
        sink = Webhook(address(server))
        for number in range(3):
            sink.write(result(number))
        with pytest.raises(DataError, match=f"none of 3 posts arrived: the server answers {answer}"):
            sink.close()
    assert len(server.posts) == 3
    assert [record.getMessage().count("posts fail") for record in log.records] == [1]
    assert (sink.sent, sink.lost, sink.healthy) == (0, 3, False)


def test_a_server_that_comes_back_is_told_too(log):
    with serving(200, 500, 500, 200) as server, Webhook(address(server)) as sink:
        for number in range(4):
            sink.write(result(number))
    assert (sink.sent, sink.lost) == (2, 2)
    assert ["fail" in log.records[0].message, "again; 2 were lost" in log.records[1].message] == [True, True]


def test_a_connection_that_was_closed_while_idle_costs_no_result(log):
    with serving(200, 0, 200) as server, Webhook(address(server)) as sink:
        for number in range(3):
            sink.write(result(number))
    assert [body["frame"]["id"] for _, _, body in server.posts] == [0, 1, 1, 2]
    assert (sink.sent, sink.lost, log.records) == (3, 0, [])


def test_a_server_that_hangs_is_left_after_a_while(impatient, log):
    with serving(None) as server:
        sink = Webhook(address(server))
        sink.write(result())
        assert (sink.lost, sink.healthy) == (1, False)
        with pytest.raises(DataError, match=r"none of 1 posts arrived: no answer within 0.3 s"):
            sink.close()


@pytest.mark.parametrize("before", [0, 1], ids=["new connection", "used connection"])
def test_a_post_that_hangs_can_be_broken_off(monkeypatch, log, before):
    monkeypatch.setattr(webhook, "TIMEOUT_S", 60.0)
    with serving(*[200] * before, None) as server:
        sink = Webhook(address(server))
        for number in range(before):
            sink.write(result(number))
        thread = threading.Thread(target=sink.write, args=(result(9),))
        thread.start()
        while len(server.posts) == before:
            sleep(0.01)
        sink.give_up()
        thread.join(30)
        assert not thread.is_alive()
        assert (sink.sent, sink.lost, len(server.posts)) == (before, 1, before + 1)
        with suppress(DataError):
            sink.close()


def test_nobody_there(log):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        sink = Webhook(f"http://127.0.0.1:{taken.getsockname()[1]}/")
        sink.write(result())
        with pytest.raises(DataError, match="Connection refused"):
            sink.close()


def test_posts_of_each_stream_are_no_closer_than_asked(impatient):
    with serving(200) as server, Webhook(address(server), every_s=60) as sink:
        for number in range(3):
            sink.write(result(number, stream=0))
            sink.write(result(number, stream=1))
    assert [(body["stream"]["id"], body["frame"]["id"]) for _, _, body in server.posts] == [(0, 0), (1, 0)]
    assert sink.lost == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a key and a certificate for 127.0.0.1 that nobody else signed."""
    file = tmp_path_factory.mktemp("tls") / "self.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out", f"{file}.crt"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl here to make a certificate")
    file.write_text(file.read_text() + file.with_name("self.pem.crt").read_text())
    return file


def test_a_certificate_that_nobody_signed_is_refused_and_can_be_trusted(certificate, monkeypatch, log):
    with serving(200, certificate=certificate) as server:
        url = f"https://127.0.0.1:{server.server_port}/"
        sink = Webhook(url)
        sink.write(result())
        with pytest.raises(
            DataError, match=r"certificate is not trusted \(self.signed certificate\): let SSL_CERT_FILE"
        ):
            sink.close()
        assert server.posts == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with Webhook(url) as trusting:
            trusting.write(result())
        assert trusting.sent == 1


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "hooks.example/x", "ftp://host/x", "http:///x", "http://host:0/", "http://host:99999/", "http://[/"),
        *("http://hooks..example/x", f"http://{'x' * 64}.example/"),
    ],
)
def test_what_is_no_web_address_is_refused(wrong):
    with pytest.raises(DataError, match="write it like http://HOST:PORT/PATH"):
        Webhook(wrong)
