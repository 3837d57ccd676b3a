"""Secrets leave addresses before anybody sees them."""

import pytest

from pvt_edge.web_addresses import is_broken, login_of, redact, without_login


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("", ""),
        ("0", "0"),
        ("clips/a.mp4", "clips/a.mp4"),
        ("rtsp://cam:554/1", "rtsp://cam:554/1"),
        ("rtsp://[fe80::1]:554/1", "rtsp://[fe80::1]:554/1"),
        ("rtsp://admin:1234@10.0.0.7:554/live?channel=1", "rtsp://***@10.0.0.7:554/live?channel=1"),
        ("rtsp://admin@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:p@ss@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:pa?ss#x@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:pa/ss@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:12/34@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:pa ss@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:pa ss/x@cam/1", "rtsp://***@cam/1"),
        ("admin:1234@cam/1", "***@cam/1"),
        ("rtsp:/admin:1234@cam/1", "rtsp:/***@cam/1"),
        ("rtsp:admin:1234@cam/1", "rtsp:***@cam/1"),
        ("http://cam/v?user=me&pwd=1234&size=2", "http://cam/v?user=***&pwd=***&size=2"),
        ("http://cam/v?access_token=abc", "http://cam/v?access_token=***"),
        ("http://cam/v?API_KEY=abc;sig=def", "http://cam/v?API_KEY=***;sig=***"),
        ("rtsp://cam/user=me_password=1234_channel=1", "rtsp://cam/user=***_password=***_channel=1"),
        ("http://cam/v?token=ab_cd e&size=2", "http://cam/v?token=***&size=2"),
        ("rtsp://cam/a?monkey=1&keyframe=2", "rtsp://cam/a?monkey=1&keyframe=2"),
    ],
)
def test_what_is_shown(address, shown):
    assert redact(address) == shown


@pytest.mark.parametrize(
    ("address", "broken"),
    [
        ("rtsp://cam/1", False),
        ("rtsp://me:1234@cam/1", False),
        ("rtsp://me:12%2F34@cam/1", False),
        ("rtsp://me:12/34@cam/1", True),
        ("rtsp://cam:554/1", False),
    ],
)
def test_a_password_that_ends_the_host(address, broken):
    assert is_broken(address) is broken


def test_logins():
    assert login_of("rtsp://cam/1") is None
    assert login_of("rtsp://me@cam/1") == ("me", "")
    assert login_of("rtsp://me:p%40%2F@cam/1") == ("me", "p@/")
    assert without_login("rtsp://me:1@cam/1?a=b") == "rtsp://cam/1?a=b"
